"""The demo's outside world: a small Open Service Broker that sets sites and locations up in seconds.

It runs in a process of its own, keeps its instances in a file of its own, and knows faults that the demo's page
switches. Production needs nothing of it; it needs nothing of Django.
"""

from __future__ import annotations

import base64
import hmac
import json
import socket
import sqlite3
import threading
import time
from collections.abc import Mapping
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit
from uuid import NAMESPACE_URL, uuid5

USER: Final = "demo"
EVERY_ORDER: Final = "*"

# What may be wrong, for one order or for all.
NONE, SLOW, FAILS_TWICE, FAILS, DOWN = "", "slow", "fails_twice", "fails", "down"
# What it refuses of an order, by fault: the JSON pointer of what was sent, and the sentence for the person.
REFUSES: Final = {
    "refuses_name": ("/sites/0/name", "The name {value} is taken by another customer. Choose another one."),
    "refuses_address": (
        "/location/address/street_address",
        "There is no building at {value}. Enter the address as the post office knows it.",
    ),
    "refuses_number": ("/location/main_number", "The number {value} is not one of the ranges that can be used here."),
}
FAULTS: Final = (NONE, SLOW, FAILS_TWICE, *REFUSES, FAILS, DOWN)

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS instance (
    id TEXT PRIMARY KEY, asked TEXT NOT NULL, "order" TEXT NOT NULL, service TEXT NOT NULL, operation TEXT NOT NULL,
    begun_at REAL NOT NULL, seconds REAL NOT NULL, fails INTEGER NOT NULL, is_deleting INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS fault (target TEXT PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS seen ("order" TEXT, service TEXT, what TEXT, value TEXT,
    PRIMARY KEY ("order", service, what, value));
"""


class Store:
    """The file that the broker keeps everything in; the demo's page switches faults in it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / "broker.sqlite3"
        with closing(self.open()) as connection:
            connection.executescript(_TABLES)

    def open(self) -> sqlite3.Connection:
        """Return a connection whose statements are their own transactions."""
        connection = sqlite3.connect(self.file, timeout=10, isolation_level=None)
        connection.row_factory = sqlite3.Row
        return connection

    def faults(self) -> dict[str, str]:
        """Return the faults that are on, by order number or EVERY_ORDER."""
        with closing(self.open()) as connection:
            return {row["target"]: row["name"] for row in connection.execute("SELECT target, name FROM fault")}

    def switch(self, target: str, fault: str) -> None:
        """Let a fault be on for an order or EVERY_ORDER, instead of the one before. Raises ValueError."""
        if fault not in FAULTS:
            raise ValueError(fault)
        with closing(self.open()) as connection:
            connection.execute("DELETE FROM fault WHERE target = ?", (target,))
            if fault:
                connection.execute("INSERT INTO fault VALUES (?, ?)", (target, fault))

    def instances(self) -> list[str]:
        """Return the ids of what is set up and stays so."""
        now = time.time()
        with closing(self.open()) as connection:
            found = connection.execute("SELECT * FROM instance WHERE NOT is_deleting AND NOT fails")
            return [row["id"] for row in found if row["begun_at"] + row["seconds"] <= now]

    def everything(self) -> list[str]:
        """Return the ids of all that is there in any state."""
        with closing(self.open()) as connection:
            return [row["id"] for row in connection.execute("SELECT id FROM instance")]


class Broker(ThreadingHTTPServer):
    """Answers on a socket that listens. ``schemas``: the services, each with the JSON schema of its parameters.

    :param seconds: how long a set-up and a deletion take.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        listener: socket.socket,
        folder: Path,
        password: str,
        schemas: Mapping[str, Mapping[str, Any]],
        *,
        seconds: float = 4,
    ) -> None:
        super().__init__(listener.getsockname(), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket, self.server_address = listener, listener.getsockname()
        self.store, self.password, self.schemas, self.seconds = Store(folder), password, schemas, seconds
        self.lock = threading.Lock()

    @property
    def setting(self) -> str:
        """Return the value of PROVISIONING_<SERVICE>."""
        return f"osb+http://{USER}:{self.password}@127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A platform that hung up is no news."""

    def catalog(self) -> dict[str, Any]:
        """Return what can be set up."""
        return {
            "services": [
                {
                    "id": _id_of(name),
                    "name": name,
                    "description": f"{name.capitalize()}, as the demo's outside world sets it up.",
                    "bindable": False,
                    "plans": [
                        {
                            "id": _id_of(f"{name}/standard"),
                            "name": "standard",
                            "description": "The only plan.",
                            "schemas": {"service_instance": {"create": {"parameters": schema}}},
                            "maximum_polling_duration": 3600,
                        }
                    ],
                }
                for name, schema in self.schemas.items()
            ]
        }

    def provision(self, instance: str, body: Any) -> tuple[int, dict[str, Any]]:
        """Begin to set an instance up; the same again is answered alike."""
        if not isinstance(body, dict) or not isinstance(body.get("parameters"), dict):
            return 400, {"description": "The body must be an object with parameters."}
        service = next((name for name in self.schemas if _id_of(name) == body.get("service_id")), "")
        if not service or body.get("plan_id") != _id_of(f"{service}/standard"):
            return 400, {"description": "There is no such service or plan."}
        asked = json.dumps([service, body["parameters"]], sort_keys=True)
        context = body.get("context")
        order = str(context.get("order", "")) if isinstance(context, dict) else ""
        with self.lock, closing(self.store.open()) as connection:
            row = connection.execute("SELECT * FROM instance WHERE id = ?", (instance,)).fetchone()
            if row is not None:
                return self._again(row, asked)
            fault = self._fault(connection, order)
            if fault == DOWN:
                return 503, {"description": "The demo's broker is switched off."}
            if fault == FAILS_TWICE and self._seen(connection, order, service, fault) < 2:
                self._note(connection, order, service, fault, instance)
                return 500, {"description": "Something broke. (The demo wants this twice.)"}
            if fault in REFUSES and (refused := self._refusal(connection, order, service, fault, body["parameters"])):
                return 400, refused
            seconds = max(60.0, self.seconds) if fault == SLOW else self.seconds
            connection.execute(
                'INSERT INTO instance (id, asked, "order", service, operation, begun_at, seconds, fails)'
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (instance, asked, order, service, f"set up {instance}", time.time(), seconds, fault == FAILS),
            )
        return 202, {"operation": f"set up {instance}"}

    def last_operation(self, instance: str, operation: str) -> tuple[int, dict[str, Any]]:
        """Say how far an instance is."""
        with self.lock, closing(self.store.open()) as connection:
            row = connection.execute("SELECT * FROM instance WHERE id = ?", (instance,)).fetchone()
            if row is None:
                # Whatever was asked for last was the deletion, or there never was such an instance.
                return (410, {}) if operation.startswith("delete") else (404, {})
            if self._fault(connection, row["order"]) == DOWN:
                return 503, {"description": "The demo's broker is switched off."}
            passed = time.time() - row["begun_at"]
            if row["is_deleting"]:
                if passed < row["seconds"]:
                    return 200, {"state": "in progress", "description": "It is being deleted."}
                connection.execute("DELETE FROM instance WHERE id = ?", (instance,))
                return 410, {}
            if passed < row["seconds"]:
                step = 1 + int(4 * passed / row["seconds"])
                return 200, {"state": "in progress", "description": f"Step {step} of 4"}
            if row["fails"]:
                return 200, {"state": "failed", "description": "There is no capacity left in this region."}
            return 200, {"state": "succeeded", "description": "It is ready."}

    def deprovision(self, instance: str) -> tuple[int, dict[str, Any]]:
        """Begin to delete an instance; the same again is answered alike."""
        with self.lock, closing(self.store.open()) as connection:
            row = connection.execute("SELECT * FROM instance WHERE id = ?", (instance,)).fetchone()
            if row is None:
                return 410, {}
            if self._fault(connection, row["order"]) == DOWN:
                return 503, {"description": "The demo's broker is switched off."}
            if not row["is_deleting"]:
                connection.execute(
                    "UPDATE instance SET is_deleting = 1, begun_at = ?, seconds = ? WHERE id = ?",
                    (time.time(), self.seconds / 2, instance),
                )
        return 202, {"operation": f"delete {instance}"}

    def is_down(self) -> bool:
        """Say whether it is switched off for everybody."""
        return self.store.faults().get(EVERY_ORDER) == DOWN

    @staticmethod
    def _again(row: sqlite3.Row, asked: str) -> tuple[int, dict[str, Any]]:
        if row["asked"] != asked or row["is_deleting"]:
            return 409, {"description": "There is an instance of this id with other parameters."}
        if row["fails"] or time.time() < row["begun_at"] + row["seconds"]:
            return 202, {"operation": row["operation"]}
        return 200, {}

    @staticmethod
    def _fault(connection: sqlite3.Connection, order: str) -> str:
        row = connection.execute(
            "SELECT name FROM fault WHERE target IN (?, ?) ORDER BY target = ? LIMIT 1",
            (order, EVERY_ORDER, EVERY_ORDER),
        ).fetchone()
        return str(row["name"]) if row else NONE

    @staticmethod
    def _seen(connection: sqlite3.Connection, order: str, service: str, what: str) -> int:
        found = connection.execute(
            'SELECT count(*) FROM seen WHERE "order" = ? AND service = ? AND what = ?', (order, service, what)
        )
        return int(found.fetchone()[0])

    @staticmethod
    def _note(connection: sqlite3.Connection, order: str, service: str, what: str, value: str) -> None:
        connection.execute("INSERT OR IGNORE INTO seen VALUES (?, ?, ?, ?)", (order, service, what, value))

    def _refusal(
        self, connection: sqlite3.Connection, order: str, service: str, fault: str, parameters: Mapping[str, Any]
    ) -> dict[str, str] | None:
        """Refuse the first value that an order came with, for good; any other one is taken."""
        pointer, sentence = REFUSES[fault]
        found: Any = parameters
        try:
            for part in pointer.split("/")[1:]:
                found = found[int(part)] if isinstance(found, list) else found[part]
        except (LookupError, TypeError):
            return None
        if not found:
            return None
        if not self._seen(connection, order, service, fault):
            self._note(connection, order, service, fault, str(found))
        query = 'SELECT 1 FROM seen WHERE "order" = ? AND service = ? AND what = ? AND value = ?'
        if connection.execute(query, (order, service, fault, str(found))).fetchone() is None:
            return None
        return {"error": "Refused", "description": sentence.format(value=found), "field": pointer}


class _Handler(BaseHTTPRequestHandler):
    server: Broker
    protocol_version = "HTTP/1.1"
    timeout = 10

    def do_GET(self) -> None:
        """Catalog, and last operation."""
        if self._is_let_in():
            if self._path == ["v2", "catalog"]:
                self._answer(200, self.server.catalog())
            elif len(self._path) == 4 and self._path[3] == "last_operation":
                query = parse_qs(urlsplit(self.path).query)
                self._answer(*self.server.last_operation(self._path[2], query.get("operation", [""])[0]))
            else:
                self._answer(404, {})

    def do_PUT(self) -> None:
        """Provision."""
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self._is_let_in() and self._is_instance():
            try:
                body = json.loads(sent)
            except ValueError:
                self._answer(400, {"description": "The body must be JSON."})
                return
            if "accepts_incomplete=true" not in urlsplit(self.path).query:
                self._answer(422, {"error": "AsyncRequired", "description": "It takes some seconds."})
                return
            self._answer(*self.server.provision(self._path[2], body))

    def do_DELETE(self) -> None:
        """Deprovision."""
        if self._is_let_in() and self._is_instance():
            self._answer(*self.server.deprovision(self._path[2]))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the parent's name
        """Say nothing."""

    @property
    def _path(self) -> list[str]:
        return urlsplit(self.path).path.strip("/").split("/")

    def _is_instance(self) -> bool:
        if len(self._path) == 3 and self._path[:2] == ["v2", "service_instances"]:
            return True
        self._answer(404, {})
        return False

    def _is_let_in(self) -> bool:
        expected = "Basic " + base64.b64encode(f"{USER}:{self.server.password}".encode()).decode()
        if not hmac.compare_digest(self.headers.get("Authorization", "").encode(), expected.encode()):
            self._answer(401, {})
        elif not self.headers.get("X-Broker-API-Version", "").startswith("2."):
            self._answer(412, {"description": "X-Broker-API-Version must be 2.x."})
        elif self.server.is_down():
            self._answer(503, {"description": "The demo's broker is switched off."})
        else:
            return True
        return False

    def _answer(self, status: int, body: Mapping[str, Any]) -> None:
        sent = json.dumps(body).encode()
        self.send_response(status)
        if identity := self.headers.get("X-Broker-API-Request-Identity"):
            self.send_header("X-Broker-API-Request-Identity", identity)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(sent)))
        if status == 202 or (status == 200 and body.get("state") == "in progress"):
            self.send_header("Retry-After", "1")
        self.end_headers()
        self.wfile.write(sent)


def _id_of(name: str) -> str:
    return str(uuid5(NAMESPACE_URL, f"https://broker.demo.invalid/{name}"))
