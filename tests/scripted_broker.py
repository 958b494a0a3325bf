"""An Open Service Broker that answers what a test wrote down, over real HTTP, and notes every request."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from provisioning.fulfillment import loop, transitions
from subscriptions.models import AbandonedInstance, DriverHealth, ProvisioningRequest

USER, PASSWORD = "platform", "p@ss/word:1"


def let_time_pass() -> int:
    """Let every pause be over; return how many rows are open."""
    now = transitions.database_now()
    DriverHealth.objects.filter(open_until__gt=now).update(open_until=now)
    instances = AbandonedInstance.objects.filter(deleted_at=None)
    open_rows = [rows.exclude(next_try_at=None) for rows in (ProvisioningRequest.objects.all(), instances)]
    return sum(rows.update(next_try_at=now) for rows in open_rows)


def work(*, turns: int = 1, calls: int = 0) -> None:
    """Do what workers do, without waiting: a call for each row that is open, ``turns`` times.

    ``calls``: at most so many calls instead, as long as anything is open.
    """
    for _turn in range(calls or turns):
        rows = let_time_pass()
        if sum(loop.run_next() for _row in range(1 if calls else rows)) == 0:
            return


@dataclass(frozen=True)
class Reply:
    """One answer. A body that isn't bytes is sent as JSON. ``act``: "reset" or "hang" answers nothing, "stall" stops
    in the middle of the body, "drip" never ends.
    """

    status: int = 200
    body: Any = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    act: str = ""


class Asked(NamedTuple):
    """One request as it came."""

    kind: str  # CATALOG, PUT, POLL, DELETE
    instance: str
    query: dict[str, str]
    raw_query: str
    headers: dict[str, str]
    body: dict[str, Any]


def catalog(
    service: str = "meetings", *, schema: Mapping[str, Any] | None = None, plan: str = "standard", **more: Any
) -> Reply:
    """Return a catalog with one service that has one plan."""
    offered: dict[str, Any] = {"id": f"{plan}-id", "name": plan, "description": "A plan.", **more}
    if schema is not None:
        offered["schemas"] = {"service_instance": {"create": {"parameters": schema}}}
    return Reply(200, {"services": [{"id": f"{service}-id", "name": service, "bindable": False, "plans": [offered]}]})


class ScriptedBroker(ThreadingHTTPServer):
    """``script`` has the answers by kind of request; the last of each is repeated."""

    daemon_threads = True

    def __init__(self, **script: list[Reply]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script: dict[str, list[Reply]] = {
            "CATALOG": [catalog()],
            "PUT": [Reply(201)],
            "POLL": [Reply(200, {"state": "succeeded"})],
            "DELETE": [Reply(200)],
            **script,
        }
        self.asked: list[Asked] = []
        self.ended = threading.Event()
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def setting(self) -> str:
        """Return the value of PROVISIONING_<SERVICE>."""
        return f"osb+http://{USER}:p%40ss%2Fword%3A1@127.0.0.1:{self.server_address[1]}"

    @property
    def calls(self) -> list[str]:
        """Return the requests but for the catalog's: "PUT 1", "POLL 1"; instances are numbered as they appear."""
        numbers: dict[str, int] = {}
        return [
            f"{each.kind} {numbers.setdefault(each.instance, len(numbers) + 1)}"
            for each in self.asked
            if each.kind != "CATALOG"
        ]

    def of(self, kind: str) -> list[Asked]:
        """Return the requests of a kind."""
        return [each for each in self.asked if each.kind == kind]

    def next(self, asked: Asked) -> Reply:
        """Note a request, and return its answer."""
        self.asked.append(asked)
        replies = self.script[asked.kind]
        return replies.pop(0) if len(replies) > 1 else replies[0]

    def close(self) -> None:
        """Stop answering."""
        self.ended.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A platform that hung up is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: ScriptedBroker

    def _any(self) -> None:
        parts = urlsplit(self.path)
        path = parts.path.split("/")  # "", v2, service_instances, id[, last_operation]
        kind = "CATALOG" if path[2] == "catalog" else "POLL" if path[-1] == "last_operation" else self.command
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        instance = path[3] if len(path) > 3 else ""
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = self.server.next(Asked(kind, instance, query, parts.query, headers, json.loads(sent or b"{}")))
        if reply.act == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
            return
        if reply.act == "hang":
            self.server.ended.wait(5)
            return
        body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        if reply.status != 204:
            self.send_header("Content-Length", str(len(body) + (1000 if reply.act else 0)))
        self.end_headers()
        if reply.status != 204:
            self.wfile.write(body)
        if reply.act:
            self.wfile.flush()
        while reply.act == "drip" and not self.server.ended.wait(0.05):
            self.wfile.write(b" ")
        if reply.act == "stall":
            self.server.ended.wait(5)

    do_GET = do_PUT = do_DELETE = _any

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the parent's name
        """Say nothing."""
