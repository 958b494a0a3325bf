"""What is missing at a first start is told in one sentence, by every command there is, and never as a traceback."""

from __future__ import annotations

import argparse
import contextlib
import os
import runpy
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management import get_commands, load_command_class
from django.db import connections
from psycopg.conninfo import make_conninfo
from pytest_django import DjangoDbBlocker, Settings

from provisioning.deployment import readiness
from provisioning.env import Env
from provisioning.local import commands, private
from provisioning.local.commands import NEEDS, Needs
from provisioning.local.database import postgres

# Commands close their connections: no test's transaction may hold them.
on_databases = pytest.mark.django_db(transaction=True)

Point = Callable[[str], None]
NAMES = sorted({*get_commands()} - {"demo", "test"})  # manage.py runs those two without Django
ROOT = Path(__file__).resolve().parents[3]
AWAY = {
    "no such host": ("postgres://u:secret@nosuch.invalid/d", "The host nosuch.invalid of the database isn't known"),
    "port closed": ("postgres://u:secret@127.0.0.1:1/d", "Nothing listens at 127.0.0.1:1"),
    "no socket": ("postgres://u:secret@/%2Fnowhere/d", "PostgreSQL has no socket in /nowhere"),
}
WRONG = {
    "not an address": ("nonsense", "isn't an address"),
    "a connection string": ("host=db dbname=d", "isn't an address"),
    "in quotes": ('"postgres://u:secret@h/d"', "isn't an address"),
    "another product": ("mysql://u:secret@h/d", "begins with mysql://, but must begin with postgres://"),
    "a slip": ("postgress://u:secret@h/d", "begins with postgress://, but must begin with postgres://"),
    "a slash in the password": ("postgres://u:sec/ret@h/d", "write / as %2F"),
    "a question mark in the password": ("postgres://u:sec?ret@h/d", "write / as %2F, ? as %3F"),
    "a number, then a slash": ("postgres://u:12/secret@h/d", "write / as %2F"),
    "no database": ("postgres://u:secret@h", "names no database"),
    "no database after the slash": ("postgres://u:secret@h/", "names no database"),
    "port in letters": ("postgres://u:secret@h:port/d", "The port in DATABASE_URL must be a number"),
    "port too high": ("postgres://u:secret@h:99999/d", "The port in DATABASE_URL must be a number"),
}
VARIABLES = {
    "LINK_DAYS": "soon",
    "DATABASE_POOL": "0",
    "PUBLIC_URL": "http://[::1",
    "EMAIL_URL": "smpt://mail.example.com",
    "WEBHOOK_URL": "ftp://erp.example.com",
    "TIME_ZONE": "Middle/Earth",
    "LOG_LEVEL": "loud",
    "PACKS": "meetings,nowhere",
    "SET_UP_DAYS_BY_PRODUCT": "calling=x",
    "LANGUAGE_CODE": "tlh",
    "STATE_DIR": "/proc/nowhere/state",
}


def arguments(parser: argparse.ArgumentParser) -> list[str]:
    """Arguments that a command takes, whatever they would do."""
    found: list[str] = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            name = "healthchecks" if "healthchecks" in action.choices else sorted(action.choices)[0]
            found += [name, *arguments(action.choices[name])]
        elif action.required:
            value = str(next(iter(action.choices))) if action.choices else "1"
            found += [*action.option_strings[:1], *[value] * (action.nargs if isinstance(action.nargs, int) else 1)]
    return found


def run(name: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command that has to be refused; the sentence that it says, which is all that it says."""
    parser = load_command_class(get_commands()[name], name).create_parser("manage.py", name)
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        commands.run(["manage.py", name, *arguments(parser)])
    out, err = capsys.readouterr()
    assert end.value.code == 1
    assert out == ""
    assert err.startswith("manage.py: ")
    assert err.count("\n") == 1
    assert "secret" not in err
    assert "5.00 sec" not in err
    return err


@pytest.fixture(autouse=True)
def _own_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Commands of another installation: a state folder of its own, and connections that no test's transaction holds."""
    monkeypatch.setenv("STATE_DIR", str(tmp_path / "state"))
    mask = os.umask(0o022)
    with django_db_blocker.unblock():
        yield
    os.umask(mask)


@pytest.fixture
def point(monkeypatch: pytest.MonkeyPatch) -> Point:
    """Have the product use the database of an address, as DATABASE_URL does."""

    def use(url: str) -> None:
        monkeypatch.setenv("DATABASE_URL", url)
        settings = {"OPTIONS": {}, **Env().postgresql("DATABASE_URL", default="")}
        for name in ("NAME", "USER", "PASSWORD", "HOST", "PORT", "OPTIONS"):
            monkeypatch.setitem(connections["default"].settings_dict, name, settings[name])

    return use


@pytest.fixture(scope="module")
def databases(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[dict[str, str]]:
    """Addresses of three databases: without tables, one migration behind, and one ahead of this version."""
    with django_db_blocker.unblock():
        connections.close_all()
        params = connections["default"].get_connection_params()
    own = {key: params[key] for key in ("host", "user", "password", "port") if params.get(key)}
    made = {name: f"{params['dbname']}_{name}" for name in ("empty", "behind", "ahead")}
    with psycopg.connect(make_conninfo("", **own, dbname="postgres"), autocommit=True) as server:
        for name, database in made.items():
            server.execute(f'DROP DATABASE IF EXISTS "{database}"')
            template = "template0" if name == "empty" else params["dbname"]
            server.execute(f'CREATE DATABASE "{database}" TEMPLATE "{template}"')
        with psycopg.connect(make_conninfo("", **own, dbname=made["behind"])) as behind:
            behind.execute(
                "DELETE FROM django_migrations WHERE name = (SELECT max(name) FROM django_migrations"
                " WHERE app = 'provisioning') AND app = 'provisioning'"
            )
        with psycopg.connect(make_conninfo("", **own, dbname=made["ahead"])) as ahead:
            ahead.execute("INSERT INTO django_migrations (app, name, applied) VALUES ('orgs', '9999_later', now())")
        user = f"{quote(own['user'])}{':' + quote(own['password']) if 'password' in own else ''}@"
        place = f"{user}/{quote(own['host'])}" if own["host"].startswith("/") else f"{user}{own['host']}"
        port = f":{own['port']}" if "port" in own else ""
        yield {name: f"postgres://{place}{port}/{database}" for name, database in made.items()}
        for database in made.values():
            server.execute(f'DROP DATABASE "{database}" WITH (FORCE)')


@pytest.fixture(scope="module")
def strict_port() -> Iterator[int]:
    """A server that asks for passwords, knows no TLS, and has a table that its user `app` may not read."""
    folder = Path(tempfile.mkdtemp(prefix="strict-", dir="/tmp"))
    folder.chmod(0o755)
    server = postgres.Server(folder / "state")
    own = server.cluster
    own.prepare(server.programs)
    hba = "local all all trust\nhost all nobody_in all reject\nhost all all 127.0.0.1/32 scram-sha-256\n"
    (own.data / "pg_hba.conf").write_text(hba)
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        port = int(asked.getsockname()[1])
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": own.socket_dir,
        "fsync": "off",
    }
    process = subprocess.Popen(
        [str(server.programs / "bin" / "postgres"), "-D", str(own.data)]
        + [f"--{name}={value}" for name, value in settings.items()],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **own._as_user(),
    )
    try:
        local = make_conninfo("", host=str(own.socket_dir), port=port, user="postgres", dbname="provisioning")
        while True:
            assert process.poll() is None
            with contextlib.suppress(psycopg.OperationalError), psycopg.connect(local, autocommit=True) as connection:
                connection.execute("CREATE TABLE django_migrations (id int, app text, name text, applied timestamptz)")
                connection.execute("CREATE ROLE app LOGIN PASSWORD 'secret'")
                connection.execute("CREATE ROLE full_up LOGIN PASSWORD 'secret' CONNECTION LIMIT 0")
                break
        yield port
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder)


@pytest.fixture
def web_port() -> Iterator[int]:
    """A port where a web server answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            with contextlib.suppress(OSError):
                while True:
                    with listener.accept()[0] as asked:
                        asked.recv(1000)
                        asked.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield int(listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_list_of_what_commands_need_names_commands_that_exist() -> None:
    assert set(NEEDS) <= set(get_commands())


@pytest.mark.parametrize("name", [name for name in NAMES if NEEDS.get(name, Needs.TABLES) >= Needs.DATABASE])
@pytest.mark.parametrize("case", AWAY)
def test_every_command_says_where_the_database_is_missing(
    name: str, case: str, point: Point, capsys: pytest.CaptureFixture[str]
) -> None:
    url, sentence = AWAY[case]
    point(url)
    told = run(name, capsys)
    assert sentence in told
    assert "DATABASE_URL" in told


@on_databases
def test_every_command_says_how_to_make_or_complete_the_tables(
    point: Point, databases: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    names = [name for name in NAMES if NEEDS.get(name, Needs.TABLES) >= Needs.TABLES]
    point(databases["empty"])
    for name in names:
        assert "The database has no tables yet: run python3 manage.py migrate." in run(name, capsys), name
    point(databases["behind"])
    for name in names:
        told = run(name, capsys)
        assert "The migration provisioning.0" in told, name
        assert "is not applied to the database: run python3 manage.py migrate." in told


@pytest.mark.parametrize("name", [name for name in NAMES if NEEDS.get(name, Needs.TABLES) == Needs.NOTHING])
def test_commands_that_need_no_database_ask_for_none(name: str, point: Point, tmp_path: Path) -> None:
    point("postgres://u:secret@127.0.0.1:1/d")
    commands.require(name)
    assert not (tmp_path / "state").exists()


@on_databases
def test_command_goes_on_with_a_warning_where_the_database_is_newer(
    point: Point, databases: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    point(databases["ahead"])
    assert commands.run(["manage.py", "verify_history"]) == 0
    out, err = capsys.readouterr()
    assert out == "0 histories are whole.\n"
    assert err == (
        "manage.py: The database is newer than this version (it has orgs.9999_later): install the newer version.\n"
    )


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("app:wrong@127.0.0.1:{}/provisioning", "refuses the user app: correct user and password in DATABASE_URL"),
        ("app@127.0.0.1:{}/provisioning", "refuses the user app: correct user and password in DATABASE_URL"),
        ("nobody:secret@127.0.0.1:{}/provisioning", "refuses the user nobody: correct user and password"),
        ("nobody_in:secret@127.0.0.1:{}/provisioning", "lets nobody_in not in from this machine"),
        ("app:secret@127.0.0.1:{}/nowhere", "There is no database nowhere at 127.0.0.1:{}"),
        ("app:secret@127.0.0.1:{}/provisioning?sslmode=require", "correct sslmode and the certificates"),
        ("app:secret@127.0.0.1:{}/provisioning?sslmode=always", 'invalid sslmode value: "always"'),
        ("app:secret@127.0.0.1:{}/provisioning?speed=high", 'invalid connection option "speed"'),
        ("full_up:secret@127.0.0.1:{}/provisioning", "has no connection left"),
        ("app:secret@127.0.0.1:{}/provisioning", "may not do this (permission denied for table django_migrations)"),
    ],
)
def test_what_the_server_refuses_is_told_with_what_to_correct(
    address: str, sentence: str, strict_port: int, point: Point, capsys: pytest.CaptureFixture[str]
) -> None:
    point(f"postgres://{address.format(strict_port)}")
    assert sentence.format(strict_port) in run("verify_history", capsys)


def test_what_is_no_database_or_never_answers_is_told(
    web_port: int, point: Point, capsys: pytest.CaptureFixture[str]
) -> None:
    point(f"postgres://u:secret@127.0.0.1:{web_port}/d")
    assert f"What listens at 127.0.0.1:{web_port} isn't PostgreSQL" in run("verify_history", capsys)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        point(f"postgres://u:secret@127.0.0.1:{port}/d?connect_timeout=1")
        assert f"The database at 127.0.0.1:{port} doesn't answer" in run("verify_history", capsys)


@pytest.mark.parametrize("case", WRONG)
def test_wrong_database_url_is_told_without_the_password(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    url, sentence = WRONG[case]
    monkeypatch.setenv("DATABASE_URL", url)
    with pytest.raises(ImproperlyConfigured, match="DATABASE_URL") as refused:
        Env().postgresql("DATABASE_URL", default="")
    assert sentence in str(refused.value)
    assert "secret" not in str(refused.value)
    assert str(refused.value).endswith(".")


@pytest.mark.parametrize("variable", VARIABLES)
def test_every_variable_that_cannot_be_read_is_named_in_a_sentence(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SECRET_KEY", raising=False)
    monkeypatch.setenv(variable, VARIABLES[variable])
    with pytest.raises(ImproperlyConfigured, match=variable) as refused:
        runpy.run_path(str(ROOT / "provisioning" / "settings.py"))
    assert str(refused.value).endswith(".")


@pytest.mark.parametrize(
    ("url", "password"),
    [
        ("postgres://u:p%40s%2Fs@h/d", "p@s/s"),
        ("postgres://u:p@s@h/d", "p@s"),
        ("postgres://u:p#s@h/d", "p#s"),
        (" postgresql://u:p%25s@h/d\n", "p%s"),
        ("postgres://u:p[s@h/d", "p[s"),
    ],
)
def test_password_that_can_be_read_in_one_way_only_is_read(
    url: str, password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    found = Env().postgresql("DATABASE_URL", default="")
    assert (found["USER"], found["PASSWORD"], found["HOST"], found["NAME"]) == ("u", password, "h", "d")


@on_databases
def test_check_of_a_deployment_names_tables_and_files_with_ids(
    point: Point, databases: dict[str, str], settings: Settings, tmp_path: Path
) -> None:
    def found() -> dict[str, str]:
        messages = checks.run_checks(include_deployment_checks=True, tags=["readiness"])
        return {str(message.id): message.msg for message in messages}

    point("postgres://u:secret@127.0.0.1:1/d")
    assert "Nothing listens at 127.0.0.1:1" in found()["provisioning.E020"]
    point(databases["empty"])
    assert "run python3 manage.py migrate" in found()["provisioning.E021"]
    point(databases["ahead"])
    assert "newer than this version" in found()["provisioning.W022"]
    real_storage(settings, tmp_path)
    assert "collectstatic" in found()["provisioning.E023"]


def test_check_that_asks_a_database_says_where_that_is_missing(
    point: Point, capsys: pytest.CaptureFixture[str]
) -> None:
    point("postgres://u:secret@127.0.0.1:1/d")
    with pytest.raises(SystemExit):
        commands.run(["manage.py", "check", "--database", "default"])
    assert "Nothing listens at 127.0.0.1:1" in capsys.readouterr().err
    assert commands.run(["manage.py", "check", "--tag", "models"]) == 0


def real_storage(settings: Settings, root: Path) -> None:
    """The storage of static files that is used outside of the demo."""
    backend = "whitenoise.storage.CompressedManifestStaticFilesStorage"
    settings.STATIC_ROOT = root / "static"
    settings.STORAGES = {"staticfiles": {"BACKEND": backend}}


@on_databases
@pytest.mark.parametrize("name", ["runserver"])
def test_files_that_are_not_collected_keep_pages_from_being_served(
    name: str,
    settings: Settings,
    tmp_path: Path,
    databases: dict[str, str],
    point: Point,
) -> None:
    point(databases["ahead"])
    real_storage(settings, tmp_path)
    with pytest.raises(readiness.NotReady, match=r"not collected .*: run python3 manage\.py collectstatic --noinput"):
        commands.require(name)
    with pytest.raises(readiness.NotReady, match="collectstatic"):
        commands.require_for_pages()
    with pytest.raises(ValueError, match="Missing staticfiles manifest entry"):
        staticfiles_storage.url("admin/css/base.css")  # as a page would


@on_databases
def test_database_that_is_not_there_yet_keeps_no_web_process_from_starting(
    point: Point, databases: dict[str, str], strict_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    point("postgres://u:secret@127.0.0.1:1/d")
    commands.require_for_pages("wsgi")
    assert capsys.readouterr().err.startswith("wsgi: Nothing listens at 127.0.0.1:1")
    for url, sentence in (
        (databases["empty"], "no tables yet"),
        (databases["behind"], "is not applied"),
        (f"postgres://app:wrong@127.0.0.1:{strict_port}/provisioning", "refuses the user app"),
    ):
        point(url)
        with pytest.raises(readiness.NotReady, match=sentence):
            commands.require_for_pages("wsgi")
    point(databases["ahead"])
    commands.require_for_pages("wsgi")
    assert "newer than this version" in capsys.readouterr().err


def test_everything_in_the_state_folder_is_closed_also_what_was_open_before(tmp_path: Path) -> None:
    state, shared, elsewhere = tmp_path / "state", tmp_path / "shared", tmp_path / "elsewhere"
    for folder in (state / "mail", state / "postgres", shared, elsewhere):
        folder.mkdir(parents=True)
        folder.chmod(0o755)
    state.chmod(0o755)
    for file in (
        state / "mail" / "1.log",
        state / "postgres" / "log",
        state / "key",
        shared / "1",
        elsewhere / "1.log",
    ):
        file.write_text("code 123456")
        file.chmod(0o644)
    (state / "link").symlink_to(shared / "1")
    private.begin(state, mails=elsewhere)
    (state / "later").write_text("")
    modes = {str(path.relative_to(tmp_path)): path.lstat().st_mode & 0o777 for path in tmp_path.rglob("*")}
    assert modes["state/mail"] == 0o700
    assert {modes[name] for name in ("state/mail/1.log", "state/postgres/log", "state/key", "state/later")} == {0o600}
    assert (modes["elsewhere"], modes["elsewhere/1.log"]) == (0o755, 0o600)
    assert (modes["shared"], modes["shared/1"]) == (0o755, 0o644)  # a link leads there; it isn't the product's


def test_emails_in_files_are_their_owners_alone(settings: Settings, tmp_path: Path) -> None:
    from django.core.mail import send_mail

    settings.MAILERS = {
        "default": {
            "BACKEND": "provisioning.local.mail_files.EmailBackend",
            "OPTIONS": {"file_path": str(tmp_path / "new" / "mail")},
        }
    }
    send_mail("Code", "123456", "a@example.com", ["b@example.com"])
    (file,) = (tmp_path / "new" / "mail").iterdir()
    assert b"123456" in file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
