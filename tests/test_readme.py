"""What the READMEs say exists: links, pictures, settings, commands, modules; and they are short."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import get_commands

from provisioning.emails.events import EVENTS

ROOT = Path(settings.BASE_DIR)
READMES = sorted(
    path
    for top in (ROOT, *(ROOT / name for name in ("provisioning", "subscriptions", "orgs", "tests")))
    for path in (top.glob("README.md") if top == ROOT else top.rglob("README.md"))
)
# Bytes: a README is read whole, so it stays short.
MOST = {ROOT / "README.md": 9 * 1024}
MOST_OF_PACKAGE = 6 * 1024
# Modules that read environment variables of operators.
READERS = ("provisioning/settings.py", "provisioning/deployment/gunicorn.py")

each_readme = pytest.mark.parametrize("path", READMES, ids=lambda path: str(path.relative_to(ROOT)))


@pytest.mark.parametrize("event", [*EVENTS, "sign_in_code"])
def test_every_email_is_in_its_readme_with_its_picture(event: str) -> None:
    emails = (ROOT / "provisioning/emails/README.md").read_text()
    name = f"`{event}`" if event in EVENTS else "sign-in code"
    assert [line for line in emails.splitlines() if line.startswith("| ") and f"[{name}]" in line]
    assert f"[{name}]: ../../tests/browser/pictures/emails/{event}.png" in emails


@each_readme
def test_a_readme_is_short(path: Path) -> None:
    assert len(path.read_bytes()) <= MOST.get(path, MOST_OF_PACKAGE)


@each_readme
def test_every_link_and_picture_of_a_readme_exists(path: Path) -> None:
    text = without_code(path.read_text())
    targets = [*re.findall(r"\]\(([^)\s]+)\)", text), *re.findall(r"^\[[^\]]+\]: (\S+)$", text, re.MULTILINE)]
    missing = [target for target in targets if not target_exists(path, target)]
    assert not missing


@each_readme
def test_every_name_that_a_readme_refers_to_is_defined(path: Path) -> None:
    defined = {label.lower() for label in re.findall(r"^\[([^\]]+)\]: ", path.read_text(), re.MULTILINE)}
    used = re.findall(r"(?<!!)\[(`[a-z_]+`|[a-z -]+)\](?![(:])", without_code(path.read_text()))
    assert not {label.lower() for label in used} - defined


@each_readme
def test_every_command_of_a_readme_exists(path: Path) -> None:
    named = set(re.findall(r"manage\.py ([a-z_]+)", path.read_text()))
    assert not named - set(get_commands())


@each_readme
def test_every_module_of_a_readme_exists(path: Path) -> None:
    missing = [name for name in modules_named(path.read_text()) if not module_exists(path, name)]
    assert not missing


@each_readme
def test_every_variable_of_a_readme_exists(path: Path) -> None:
    text = path.read_text()
    cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| ")]
    named = {name for cell in cells for name in re.findall(r"`([A-Z][A-Z0-9_]+)`", cell)}
    named |= set(re.findall(r"`([A-Z]+(?:_[A-Z0-9]+)+)(?:=[^`]*)?`", text))
    named |= set(re.findall(r"\b([A-Z]+(?:_[A-Z0-9]+)+)=", text))
    assert not {name for name in named if name not in read_by_operators() and name not in names_in_code()}


def test_every_variable_that_the_settings_read_is_in_the_table_of_a_readme() -> None:
    rows = [line for path in READMES for line in path.read_text().splitlines() if line.startswith("| `")]
    listed = {name for row in rows for name in re.findall(r"`([A-Z][A-Z0-9_]+)`", row)}
    assert len(read_by_operators()) > 40
    assert not read_by_operators() - listed


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def target_exists(path: Path, target: str) -> bool:
    if target.startswith(("https://", "http://")):
        return True
    name, _mark, anchor = target.partition("#")
    found = path.parent / name if name else path
    if anchor:
        titles = re.findall(r"^#+ (.+)$", found.read_text(), re.MULTILINE)
        return anchor in {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
    return found.exists()


def modules_named(text: str) -> Iterator[str]:
    """File and folder names, and dotted names of our packages, in backquotes."""
    for name in re.findall(r"`([\w./-]+)`", without_code(text)):
        if (
            re.fullmatch(r"[\w/-]+(?:/|\.py|\.toml|\.html|\.css|\.js|\.po)", name) and not name.startswith("/")
        ) or re.fullmatch(r"(?:provisioning|subscriptions|orgs|tests)(?:\.\w+)+", name):
            yield name


def module_exists(path: Path, name: str) -> bool:
    if "/" not in name and not name.endswith((".py", ".toml", ".html", ".css", ".js", ".po")):
        return (path.parent / name).exists() or resolves(name) or f'"{name}"' in source()
    if name.startswith(".") or any((folder / name).exists() for folder in (ROOT, path.parent, path.parent.parent)):
        return True
    # A file of a package that the README is about, named without its folders.
    return "/" not in name and path.parent != ROOT and any(path.parent.rglob(name))


def resolves(name: str) -> bool:
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: object = import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        return all((found := getattr(found, part, None)) is not None for part in parts[length:])
    return False


@functools.cache
def source() -> str:
    """Return the product's source: types of webhooks are written like dotted names."""
    files = (path for top in ("provisioning", "subscriptions", "orgs") for path in sorted((ROOT / top).rglob("*.py")))
    return "\n".join(path.read_text() for path in files)


@functools.cache
def read_by_operators() -> frozenset[str]:
    """Return the variables that settings and gunicorn's configuration read, from their source."""
    readers = "\n".join((ROOT / reader).read_text() for reader in READERS)
    found = set(re.findall(r'\b_?env\.\w+\(\s*"([A-Z_]+)"', readers)) | set(
        re.findall(r'"([A-Z_]+)" not in os\.environ', readers)
    )
    for names in re.findall(r"for name in \(([^)]+)\)", readers):  # one setting that is read under several names
        found |= set(re.findall(r'"([A-Z_]+)"', names))
    return frozenset(found)


@functools.cache
def names_in_code() -> frozenset[str]:
    """Constants, enum members and variables of the tests and of drivers, which READMEs also name."""
    found: set[str] = {f"PROVISIONING_{service.upper()}" for service in settings.PACKS}
    for top in ("provisioning", "subscriptions", "orgs", "tests"):
        for path in (ROOT / top).rglob("*.py"):
            text = path.read_text()
            found |= set(re.findall(r"^\s*([A-Z][A-Z0-9_]+)\b[^=\n]*=", text, re.MULTILINE))
            found |= set(re.findall(r'environ(?:\.get)?[(\[]"([A-Z_]+)"', text))
    return frozenset(found)
