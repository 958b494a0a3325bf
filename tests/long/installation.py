"""An installation of the product on a database server of a test's own: commands, a worker, a web server, a browser."""

from __future__ import annotations

import contextlib
import http.cookiejar
import json
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

from tests.long.local_machine import MANAGE, ROOT, environ, eventually
from tests.long.test_local_demo import free_port

SECRET_KEY = "the key of an installation that only tests have, long enough"


class Installation:
    """The product as an operator runs it, with one database address."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.mail = folder / "mail"
        self.environment = {
            "DATABASE_URL": database_url,
            "DJANGO_SETTINGS_MODULE": "provisioning.settings",
            "SECRET_KEY": SECRET_KEY,
            "EMAIL_URL": f"filemail://{self.mail}",
            "STATE_DIR": str(folder / "state"),
            "PUBLIC_URL": f"http://127.0.0.1:{self.port}",
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
        }
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def manage(self, *arguments: str) -> None:
        """Run manage.py to its end."""
        done = subprocess.run(
            [sys.executable, str(MANAGE), *arguments],
            env=environ(**self.environment),
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def python(self, script: str) -> Any:
        """Run a script inside the product; returns what it gives to ``say``, by way of JSON."""
        head = "import json\nimport django\ndjango.setup()\ndef say(what):\n    print(json.dumps(what))\n"
        done = subprocess.run(
            [sys.executable, "-c", head + script],
            env=environ(**self.environment),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1]) if done.stdout.strip() else None

    def start(self, name: str, *command: str) -> subprocess.Popen[bytes]:
        """Start a part of it; what it writes is in ``log``."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                command, cwd=ROOT, env=environ(**self.environment), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        return self.running[name]

    def start_worker(self) -> subprocess.Popen[bytes]:
        """Start a worker, as the README says."""
        return self.start("worker", sys.executable, str(MANAGE), "procrastinate", "worker")

    def start_web(self, *options: str) -> None:
        """Start gunicorn and wait until it answers."""
        bind = f"127.0.0.1:{self.port}"
        command = [sys.executable, "-m", "gunicorn", "provisioning.wsgi", "--bind", bind, "--no-control-socket"]
        self.start("web", *command, *(options or ("--threads", "8")))
        eventually(self.accepts, "the web server answers")

    def accepts(self) -> bool:
        """Whether the web server answers anything."""
        with contextlib.suppress(OSError):
            Browser(self).get("/brand.css")
            return True
        return False

    def log(self, name: str) -> str:
        """What a part has written."""
        return (self.folder / f"{name}.log").read_text()

    def end(self, name: str, number: signal.Signals = signal.SIGTERM, *, within: float = 30) -> int:
        """End a part by a signal; returns its exit status."""
        process = self.running.pop(name)
        process.send_signal(number)
        try:
            return process.wait(within)
        finally:
            process.kill()

    def end_all(self) -> None:
        """Kill what still runs."""
        for process in self.running.values():
            process.kill()
        for process in self.running.values():
            process.wait()


@dataclass
class Answer:
    """What the web server answered."""

    status: int
    headers: Any
    text: str
    url: str

    def fields(self) -> list[tuple[str, str]]:
        """The hidden fields of the page's main form."""
        main = self.text.partition("<main")[2].partition("</main>")[0]
        found = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', main)
        return [(unescape(name), unescape(value)) for name, value in found]

    def action(self) -> str:
        """Where the page's main form is posted to."""
        main = self.text.partition("<main")[2].partition("</main>")[0]
        found = re.search(r'<form method="post"\s+action="([^"]*)"', main)
        assert found, self.text
        return unescape(found[1])


class Browser:
    """Cookies and redirects, no scripts."""

    def __init__(self, installation: Installation, *, session: str = "", language: str = "en") -> None:
        self.base = f"http://127.0.0.1:{installation.port}"
        self.jar = http.cookiejar.CookieJar()
        self.headers = {"Accept": "text/html,*/*", "Accept-Language": language}
        if session:
            where = {"domain": "127.0.0.1", "domain_specified": False, "domain_initial_dot": False}
            path = {"path": "/", "path_specified": True, "port": None, "port_specified": False}
            rest: dict[str, object] = {
                "secure": False,
                "expires": None,
                "discard": True,
                "comment": None,
                "comment_url": None,
                "rest": {},
            }
            self.jar.set_cookie(http.cookiejar.Cookie(0, "sessionid", session, **where, **path, **rest))  # type: ignore[arg-type]
        self._open = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.jar)).open

    def get(self, path: str, **headers: str) -> Answer:
        """Open a page."""
        return self._ask(path, None, headers)

    def post(self, path: str, fields: list[tuple[str, str]], **headers: str) -> Answer:
        """Post a form."""
        body = urllib.parse.urlencode(fields).encode()
        return self._ask(path, body, headers)

    def send_again(self, answer: Answer) -> Answer:
        """Press "Send again"."""
        return self.post(answer.action(), answer.fields())

    def _ask(self, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        request = urllib.request.Request(self.base + path, body, headers=self.headers | headers)  # noqa: S310
        try:
            response = self._open(request, timeout=60)
        except urllib.error.HTTPError as error:
            response = error
        with response:
            return Answer(response.status, response.headers, response.read().decode(), response.url)
