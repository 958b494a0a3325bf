"""`manage.py demo`: the embedded database, the sample, a web server and a worker, started and ended together.

Django is imported once; web server and worker are forks of this process: a start takes a second or two.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import http.client
import os
import secrets
import signal
import socket
import sys
import time
import webbrowser
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from provisioning.local import private
from provisioning.local.database import postgres
from provisioning.local.database.cluster import Problem
from provisioning.local.demo.broker import USER, Broker
from provisioning.local.processes import Children

_APPS = ("provisioning", "subscriptions", "orgs")
_BROKERED = ("meetings", "calling")
_PASSWORD = secrets.token_urlsafe(24)  # of the demo's broker, for this run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `manage.py demo`."""
    parser.add_argument("--port", type=_port, default=8000, help="port to listen on, on this machine only (8000)")
    parser.add_argument("--open", action="store_true", help="open the first page in the browser")


def main(arguments: list[str], state_dir: Path) -> int:
    """Run the demo until Ctrl-C. Returns the exit status; raises Problem, with a sentence, where it can't run."""
    parser = argparse.ArgumentParser(prog="manage.py demo", description="Run the product with sample data.")
    add_arguments(parser)
    options = parser.parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)  # SIGINT as well: a shell's background job starts with it ignored
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup
        signal.signal(signal.SIGHUP, _stop)
    try:
        listener, broker = _listen(options.port), _listen(0)
        _settings(options.port, state_dir, broker)
        server = postgres.begin(state_dir)
        import django
        from django.conf import settings

        django.setup()
        server.wait()
        private.begin(state_dir, mails=state_dir / "mail")
        _prepare(settings.BASE_DIR)
        Path(settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)
        tasks = {"web server": lambda: _serve(listener), "worker": _work, "broker": lambda: _broke(broker, state_dir)}
        children = Children(tasks)
        try:
            children.start()
            _first_page(options.port)
            _tell(options.port, state_dir)
            if options.open:
                webbrowser.open(f"http://127.0.0.1:{options.port}/")
            _watch(children, server)
        finally:
            children.stop()
    except KeyboardInterrupt:
        sys.stderr.write("\nThe demo has ended; the next start goes on with the same data.\n")
    return 0


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError("expects a number from 1 to 65535")
    return int(text)


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _listen(port: int) -> socket.socket:
    """Open the port first: it is the likeliest step to fail, and early requests wait instead of being refused."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
    except PermissionError:
        raise Problem(f"Port {port} is for administrators only: choose another one, such as --port 8001.") from None
    except OSError:
        other = port + 1 if port < 65535 else 8001
        raise Problem(f"Port {port} is in use already: choose another one, such as --port {other}.") from None
    return listener


def _settings(port: int, state_dir: Path, broker: socket.socket) -> None:
    if os.environ.pop("DATABASE_URL", None):
        sys.stderr.write("DATABASE_URL is set; the demo leaves that database alone and uses its own.\n")
    os.environ.update(
        DJANGO_SETTINGS_MODULE="provisioning.settings",
        PROVISIONING_DEMO="1",
        PUBLIC_URL=f"http://127.0.0.1:{port}",
        EMAIL_URL=f"filemail://{state_dir / 'mail'}",
        STATE_DIR=str(state_dir),
    )
    # The demo's services are set up by its own broker, unless the environment names what does.
    setting = f"osb+http://{USER}:{_PASSWORD}@127.0.0.1:{broker.getsockname()[1]}"
    for service in _BROKERED:
        os.environ.setdefault(f"PROVISIONING_{service.upper()}", setting)
    networks = [os.environ.get("OUTGOING_ALLOW_PRIVATE", ""), "127.0.0.0/8"]
    os.environ["OUTGOING_ALLOW_PRIVATE"] = ",".join(filter(None, networks))


def _prepare(base_dir: Path) -> None:
    """Migrate and load the sample, unless the database says that exactly this was done."""
    from django.core.management import call_command
    from django.db import connection, connections
    from django.test.utils import override_settings
    from django.urls import get_resolver

    from provisioning.local.demo import outside_world, sample, sample_orders

    wanted = _fingerprint(base_dir)
    if _done() != wanted:
        sys.stderr.write("Preparing the demo: tables and the sample directory.\n")
        call_command("migrate", verbosity=0, interactive=False)
        call_command("createcachetable", verbosity=0)
        with override_settings(PROVISIONING={}):  # the broker doesn't run yet; what the sample sets up is set up
            sample.load()
        for number, fault in sample_orders.FAULTS.items():
            outside_world.switch(number, fault)
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM django_migrations")
            row = cursor.fetchone()
            # A comment belongs to the database: it goes where the data goes, unlike a file beside it.
            cursor.execute(f"COMMENT ON DATABASE {postgres.DATABASE} IS '{wanted} {row[0]}'")
    _ = get_resolver().url_patterns  # imported before the fork, by both
    connection.close()
    connections["default"].close_pool()  # type: ignore[attr-defined]  # its threads don't survive a fork


def _done() -> str:
    """Fingerprint of what was prepared in this database; empty where something is missing since."""
    from django.db import DatabaseError, connection

    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT shobj_description(oid, 'pg_database'), (SELECT count(*) FROM django_migrations),"
                " EXISTS (SELECT FROM orgs_organization) FROM pg_database WHERE datname = current_database()"
            )
            comment, migrations, filled = cursor.fetchone()
    except DatabaseError:
        return ""
    fingerprint, _space, count = (comment or "").partition(" ")
    return fingerprint if filled and count == str(migrations) else ""


def _fingerprint(base_dir: Path) -> str:
    digest = hashlib.sha256((base_dir / "requirements.txt").read_bytes())
    files = [path for app in _APPS for path in base_dir.glob(f"{app}/migrations/*.py")]
    files += base_dir.glob("provisioning/local/demo/sample*.py")
    for path in sorted(files):
        digest.update(path.name.encode() + path.read_bytes())
    for path in sorted(base_dir.glob("provisioning/local/demo/data/*")):
        digest.update(f"{path.name} {path.stat().st_size}".encode())
    return digest.hexdigest()


def _serve(listener: socket.socket) -> None:
    from django.core.wsgi import get_wsgi_application
    from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]

    class Web(BaseApplication):  # type: ignore[misc]
        def load_config(self) -> None:
            options = {
                "bind": f"fd://{listener.fileno()}",
                "worker_class": "gthread",
                "workers": 1,
                "threads": 8,
                "loglevel": "error",
                "graceful_timeout": 2,
                "control_socket_disable": True,
                "proc_name": "demo",
            }
            for name, value in options.items():
                self.cfg.set(name, value)

        def load(self) -> Callable[..., object]:
            return get_wsgi_application()

    Web().run()


def _broke(listener: socket.socket, state_dir: Path) -> None:
    """Run the demo's broker on a socket that listens already."""
    from subscriptions import packs

    schemas = {service: packs.of(service).schema for service in _BROKERED}
    Broker(listener, state_dir / "broker", _PASSWORD, schemas).serve_forever()


def _work() -> None:
    from procrastinate.contrib.django import app

    from provisioning.worker import supervisor

    sys.exit(supervisor.run(app, shutdown_graceful_timeout=3))


def _first_page(port: int) -> None:
    """Ask for the first page until it comes: only then is "look here" true."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with contextlib.suppress(OSError, http.client.HTTPException):
            page = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            page.request("GET", "/")
            page.getresponse().read()
            return
        time.sleep(0.05)


def _tell(port: int, state_dir: Path) -> None:
    from django.urls import NoReverseMatch, reverse

    address = f"http://127.0.0.1:{port}"
    lines = [f"Look here: {address}/"]
    with contextlib.suppress(NoReverseMatch):
        lines.append(f"Mailbox:   {address}{reverse('mailbox')}")
    lines.append(f"Data:      {state_dir}")
    lines.append("Ctrl-C ends it.")
    print("\n".join(lines), flush=True)


def _watch(children: Children, server: postgres.Server) -> None:
    missing = 0
    while True:
        time.sleep(0.2)
        children.revive()
        # The database's own guardian is quicker; this is for the day when both were killed.
        missing = 0 if server.cluster.running() else missing + 1
        if missing > 10:
            server.revive()
