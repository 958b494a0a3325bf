"""A small Open Service Broker that counts instances by their id, keeps them in a file, and holds calls when it is told.

In a thread of a test, or in a process of its own that can be killed and started again: ``python -m tests.broker``.
What it does with an instance follows from the first name in its parameters: ``refused-…`` is refused, ``fails-…`` is
begun and fails, ``at-once-…`` is there with the answer, everything else is there after ``seconds``.
"""

from __future__ import annotations

import argparse
import json
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

PLANS = ("meetings", "calling")


class Broker(ThreadingHTTPServer):
    """Listens on this machine.

    :param file: what it remembers, a line for each change.
    :param seconds: how long it takes to set an instance up.
    :param capacity: how many it can set up at the same time; the others wait for their answer.
    """

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, port: int = 0, file: Path | None = None, seconds: float = 0.1, capacity: int = 1000) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.file, self.seconds = file, seconds
        self.capacity = threading.BoundedSemaphore(capacity)
        self.lock = threading.Condition()
        self.instances: dict[str, dict[str, Any]] = {}
        self.calls: list[tuple[str, str]] = []  # method and instance of each call, as it came
        self.most_at_once = self._at_once = 0
        self.hold: set[str] = set()  # "PUT before", "GET after": calls that wait before their effect, or after it
        self.held: list[tuple[str, str]] = []  # the point and the instance of each that waits
        if file and file.exists():
            for line in file.read_text().splitlines():
                self._apply(json.loads(line))

    @property
    def url(self) -> str:
        """The value of a setting that names this broker."""
        return f"osb+http://user:password@127.0.0.1:{self.server_address[1]}"

    def start(self) -> None:
        """Serve in a thread of this process."""
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def release(self) -> None:
        """Let everything go on that waits, and hold nothing more."""
        with self.lock:
            self.hold.clear()
            self.lock.notify_all()

    def wait_for_held(self, count: int = 1) -> None:
        """Return when so many calls wait."""
        with self.lock:
            assert self.lock.wait_for(lambda: len(self.held) >= count, 30), f"only {self.held} wait"

    def answer(self, method: str, instance: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Do what a call asks for, and return the status and the body of the answer."""
        with self.lock:
            self.calls.append((method, instance))
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            self._hold(f"{method} before", instance)
        try:
            found = self._answer(method, instance, body)
        finally:
            with self.lock:
                self._at_once -= 1
        with self.lock:
            self._hold(f"{method} after", instance)
        return found

    def _answer(self, method: str, instance: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        with self.lock:
            known = self.instances.get(instance)
            if method == "DELETE":
                if known is None:
                    return 410, {}
                self._write({"deleted": instance})
                return 200, {}
            if method == "GET":
                return self._last_operation(known)
            if known is not None:
                return (200 if self._is_ready(known) else 202), {}
            name = _name_of(body)
            if name.startswith("refused-"):
                return 400, {"description": f"The name {name} can't be had.", "field": "/sites/0/name"}
            if not name.startswith("at-once-"):
                self._write({"made": instance, "name": name, "at": time.time()})
                return 202, {"operation": "making"}
        with self.capacity:
            time.sleep(self.seconds)
        with self.lock:
            if instance not in self.instances:
                self._write({"made": instance, "name": name, "at": 0})
        return 201, {}

    def _last_operation(self, known: dict[str, Any] | None) -> tuple[int, dict[str, Any]]:
        if known is None:
            return 404, {}
        if not self._is_ready(known):
            return 200, {"state": "in progress", "description": "Being made."}
        if known["name"].startswith("fails-"):
            return 200, {"state": "failed", "description": "No room."}
        return 200, {"state": "succeeded"}

    def _is_ready(self, known: dict[str, Any]) -> bool:
        return bool(known["at"] + self.seconds <= time.time())

    def _hold(self, point: str, instance: str) -> None:
        if point in self.hold:
            self.held.append((point, instance))
            self.lock.notify_all()
            self.lock.wait_for(lambda: point not in self.hold)
            self.held.remove((point, instance))

    def _write(self, change: dict[str, Any]) -> None:
        if self.file:
            with self.file.open("a") as file:
                file.write(json.dumps(change) + "\n")
        self._apply(change)

    def _apply(self, change: dict[str, Any]) -> None:
        if "made" in change:
            self.instances[change["made"]] = change
        else:
            self.instances.pop(change["deleted"], None)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that was killed hangs up: no news."""


class _Handler(BaseHTTPRequestHandler):
    server: Broker

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/v2/catalog":
            plans = [{"id": f"plan-{name}", "name": name, "description": name} for name in PLANS]
            services = [
                {
                    "id": f"id-{plan['name']}",
                    "name": plan["name"],
                    "description": "",
                    "bindable": False,
                    "plans": [plan],
                }
                for plan in plans
            ]
            self._say(200, {"services": services})
        elif path == "/control":
            with self.server.lock:
                self._say(200, {"held": self.server.held, "instances": sorted(self.server.instances)})
        else:
            self._do("GET", path.split("/")[3])

    def do_PUT(self) -> None:
        self._do("PUT", urlsplit(self.path).path.split("/")[3])

    def do_DELETE(self) -> None:
        self._do("DELETE", urlsplit(self.path).path.split("/")[3])

    def do_POST(self) -> None:
        """Hold these points from now on, and let everything else go on."""
        points = set(json.loads(self._body()))
        with self.server.lock:
            self.server.hold = points
            self.server.lock.notify_all()
        self._say(200, {})

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the parent's name
        """Say nothing."""

    def _do(self, method: str, instance: str) -> None:
        body = self._body()
        self._say(*self.server.answer(method, instance, json.loads(body) if body else {}))

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _say(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def control(port: int, hold: list[str] | None = None) -> dict[str, Any]:
    """Ask a broker in another process for what it has; ``hold``: tell it what to hold from now on."""
    data = None if hold is None else json.dumps(hold).encode()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/control", data, timeout=20) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def _name_of(body: dict[str, Any]) -> str:
    parameters = body.get("parameters", {})
    sites = parameters.get("sites")
    return str(sites[0]["name"] if sites else parameters.get("location", {}).get("name", ""))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--file", type=Path)
    parser.add_argument("--seconds", type=float, default=0.1)
    parser.add_argument("--capacity", type=int, default=1000)
    Broker(**vars(parser.parse_args())).serve_forever(poll_interval=0.02)
