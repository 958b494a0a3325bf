"""manage.py makes its own environment, and says in one sentence what is missing where it can't."""

from __future__ import annotations

import ast
import base64
import hashlib
import os
import pwd
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.long.local_machine import ROOT, copy_of_project, environ, manage, needs_proc, needs_root, small_disk

BEFORE_THE_ENVIRONMENT = ("manage.py", "provisioning/local/environment.py", "provisioning/local/pythons.py")


def wheel(folder: Path, version: str) -> str:
    """Build a small package; returns its line of requirements.txt."""
    name = f"sample_of_ours-{version}"
    files = {
        "sample_of_ours.py": f"version = '{version}'\n",
        f"{name}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: sample-of-ours\nVersion: {version}\n",
        f"{name}.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(text)}\n"
    built = folder / f"{name}-py3-none-any.whl"
    with zipfile.ZipFile(built, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
        archive.writestr(f"{name}.dist-info/RECORD", record + f"{name}.dist-info/RECORD,,\n")
    return f"sample-of-ours=={version} --hash=sha256:{hashlib.sha256(built.read_bytes()).hexdigest()}\n"


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes packages from instead of any index."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def installed(clone: Path) -> str:
    """The version of the small package in a clone's environment."""
    ask = "import sample_of_ours; print(sample_of_ours.version)"
    return subprocess.check_output([clone / ".venv/bin/python", "-c", ask], text=True).strip()


def one_sentence(stderr: str) -> str:
    """What went wrong, as it was told: one line, no traceback."""
    assert "Traceback" not in stderr, stderr
    told = [line for line in stderr.splitlines() if line.startswith("manage.py: ")]
    assert len(told) == 1, stderr
    assert stderr.rstrip().endswith(told[0])
    return told[0]


@pytest.mark.parametrize("name", BEFORE_THE_ENVIRONMENT)
def test_what_runs_before_the_environment_is_written_for_python_3_8(name: str) -> None:
    ast.parse((ROOT / name).read_text(), feature_version=(3, 8))


def test_environment_is_made_finished_renewed_and_made_again_where_it_was_moved(tmp_path: Path, shelf: Path) -> None:
    clone = copy_of_project(tmp_path / "clone", wheel(shelf, "1.0"))

    first = manage("demo", "--port", "1", root=clone)
    assert first.stdout.split() == ["inside", str(clone / ".venv"), "demo", "--port", "1"]
    assert first.stderr.splitlines()[0].startswith("Setting up .venv with Python 3.")
    assert "installed packages: 1 of 1" in first.stderr

    second = manage("version", root=clone)
    assert (second.returncode, second.stderr) == (0, "")

    # Somebody pulled the plug while the package was being written.
    (clone / ".venv/requirements.sha256").unlink()
    site = next(clone.glob(".venv/lib/python3.*/site-packages"))
    (site / "sample_of_ours.py").unlink()
    (site / "sample_of_ours-1.0.dist-info/RECORD").unlink()
    assert manage("version", root=clone).returncode == 0
    assert installed(clone) == "1.0"

    (clone / "requirements.txt").write_text(wheel(shelf, "2.0"))
    assert manage("version", root=clone).returncode == 0
    assert installed(clone) == "2.0"

    moved = tmp_path / "moved"
    clone.rename(moved)
    again = manage("version", root=moved)
    assert again.stdout.split()[1] == str(moved / ".venv")
    assert installed(moved) == "2.0"


def test_two_commands_at_once_make_one_environment(tmp_path: Path, shelf: Path) -> None:
    clone = copy_of_project(tmp_path / "clone", wheel(shelf, "1.0"))
    command = [sys.executable, str(clone / "manage.py"), "version"]
    both = [
        subprocess.Popen(command, env=environ(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    told = [process.communicate(timeout=240) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sum("Setting up" in stderr for _stdout, stderr in told) == 1
    assert all(stdout.startswith("inside") for stdout, _stderr in told)


def test_without_a_network_or_the_locked_package_one_sentence_says_so_and_the_next_start_goes_on(
    tmp_path: Path, shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = copy_of_project(tmp_path / "clone", wheel(shelf, "1.0"))
    monkeypatch.delenv("PIP_NO_INDEX")
    closed = manage("demo", root=clone, PIP_INDEX_URL="http://127.0.0.1:9/simple", PIP_FIND_LINKS="")
    assert closed.returncode == 1
    assert "connect this machine to the network" in one_sentence(closed.stderr)

    locked = (clone / "requirements.txt").read_text()
    (clone / "requirements.txt").write_text(f"sample-of-ours==1.0 --hash=sha256:{'0' * 64}\n")
    other = manage("demo", root=clone)
    assert other.returncode == 1
    assert "differs from the one that requirements.txt names" in one_sentence(other.stderr)
    (clone / "requirements.txt").write_text(locked)

    connected = manage("demo", root=clone)
    assert connected.stdout.startswith("inside")
    assert "Setting up" not in connected.stderr


def only_python(clone: Path, minor: int) -> None:
    """Make a clone need a Python that this machine doesn't have."""
    path = clone / "provisioning/local/pythons.py"
    path.write_text(path.read_text().replace("OLDEST = (3, 12)", f"OLDEST = (3, {minor})"))


def test_without_a_suitable_python_one_sentence_says_what_to_install(tmp_path: Path) -> None:
    clone = copy_of_project(tmp_path / "clone", "")
    only_python(clone, 99)
    refused = manage("demo", root=clone, HOME=str(tmp_path))
    assert refused.returncode == 1
    told = one_sentence(refused.stderr)
    assert "needs Python 3.99 or newer and found only" in told
    assert sys.version.split()[0] in told


def test_without_the_venv_module_one_sentence_names_its_package(tmp_path: Path) -> None:
    clone = copy_of_project(tmp_path / "clone", "")
    only_python(clone, 99)
    fake = tmp_path / "bin" / "python3"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\necho '[[3, 99, 1], false]'\n")
    fake.chmod(0o755)
    refused = manage("demo", root=clone, PATH=f"{fake.parent}:{os.environ['PATH']}")
    assert refused.returncode == 1
    assert "apt install python3.99-venv" in one_sentence(refused.stderr)


@needs_proc
def test_without_pango_one_sentence_names_the_packages(tmp_path: Path) -> None:
    (tmp_path / "libpango-1.0.so.0").write_text("not a library")
    clone = copy_of_project(tmp_path / "clone", "")
    for root in (clone, ROOT):
        refused = manage("demo", root=root, LD_LIBRARY_PATH=str(tmp_path))
        assert refused.returncode == 1
        told = one_sentence(refused.stderr)
        assert "libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0" in told
        assert "brew install pango" in told


@needs_root
def test_full_disk_is_told_in_one_sentence_whether_it_is_the_projects_or_the_temporary_one(
    tmp_path: Path, shelf: Path
) -> None:
    with small_disk(tmp_path / "disk", 20) as disk:
        clone = copy_of_project(disk / "clone", "")
        full = manage("demo", root=clone)
        assert full.returncode == 1
        assert "The disk is full" in one_sentence(full.stderr)
    with small_disk(tmp_path / "temporary", 1) as disk:
        clone = copy_of_project(tmp_path / "clone", wheel(shelf, "1.0"))
        full = manage("demo", root=clone, TMPDIR=str(disk))
        assert full.returncode == 1
        assert "The disk is full" in one_sentence(full.stderr)


@pytest.mark.parametrize("minor", [8, 9, 10, 11])
def test_older_python_finds_a_newer_one(minor: int, tmp_path: Path, shelf: Path) -> None:
    """Also under a HOME that isn't the one of whoever installed the Pythons."""
    name = f"python3.{minor}"
    kept_by_pyenv = map(str, Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/{name}"))
    old = next(kept_by_pyenv, "") or shutil.which(name) or ""
    if not old or subprocess.run([old, "-c", ""], capture_output=True, check=False).returncode != 0:
        pytest.skip(f"no Python 3.{minor} on this machine")
    clone = copy_of_project(tmp_path / "clone", "")
    only_python(clone, 99)
    refused = manage("demo", root=clone, python=old, HOME=str(tmp_path))
    assert "found only" in one_sentence(refused.stderr)
    assert sys.version.split()[0] in refused.stderr  # this very Python, which would do, was among them


def test_pythons_in_the_users_own_home_are_found_whatever_home_and_path_say(tmp_path: Path) -> None:
    own_home, system = Path(pwd.getpwuid(os.getuid()).pw_dir), "/usr/bin/python3"
    if own_home not in Path(sys.base_prefix).parents or not Path(system).exists():
        pytest.skip("no Python in the home of this user beside one of the system")
    clone = copy_of_project(tmp_path / "clone", "")
    only_python(clone, 99)
    refused = manage("demo", root=clone, python=system, HOME=str(tmp_path), PATH="/usr/bin:/bin", PYENV_ROOT="")
    assert "found only" in one_sentence(refused.stderr)
    assert sys.version.split()[0] in refused.stderr
