"""Many people walk whole journeys at once, from the emailed link to the PDF: `python -m tests.bench.load --people 100`.

Starts the product as it runs on a server (gunicorn with two processes, and a worker) on an embedded PostgreSQL of its
own, places an order a person, and walks each in a thread with 1 to 3 seconds between two pages. Reports, by page, the
median, the 95th and the 99th percentile of the time from the request to the last byte; errors; journeys a second; and
which share of the processor the driver, the web server, the worker and PostgreSQL had.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import os
import random
import re
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from email import message_from_bytes
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from provisioning.local.database import postgres

ROOT = Path(__file__).resolve().parent.parent.parent
PATIENCE = 60  # seconds for an email or a PDF to come
_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
_LINK = re.compile(r"http://\S+(/l/\S+)")
_CODE = re.compile(r"^\s+([A-Z]{4}-[A-Z]{4})\s*$", re.MULTILINE)


class Mailbox:
    """What the product's worker has mailed, read from the folder that it writes to."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.seen = folder, set[str]()
        self.texts: dict[str, list[str]] = defaultdict(list)
        self.lock = threading.Lock()

    def find(self, to: str, what: re.Pattern[str]) -> str:
        """Return what this pattern finds in an email to this address, once there is one."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            with self.lock:
                self._read()
                for text in reversed(self.texts[to]):
                    if found := what.search(text):
                        return found[1]
            time.sleep(0.2)
        raise TimeoutError(f"no email to {to}")

    def _read(self) -> None:
        for file in self.folder.glob("*.log") if self.folder.is_dir() else ():
            content = file.read_bytes()
            if file.name in self.seen or not content.rstrip().endswith(b"-" * 79):
                continue
            self.seen.add(file.name)
            message = message_from_bytes(content)
            part = next(part for part in message.walk() if part.get_content_type() == "text/plain")
            self.texts[str(message["To"])].append(bytes(part.get_payload(decode=True)).decode())


class Timings:
    """How long each page took, and what went wrong."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.pages: dict[str, list[float]] = defaultdict(list)
        self.errors: Counter[str] = Counter()
        self.finished = 0

    def add(self, page: str, seconds: float, status: int) -> None:
        """Note one answer."""
        with self.lock:
            self.pages[page].append(seconds * 1000)
            if status >= 400:
                self.errors[f"{page}: {status}"] += 1

    def lines(self) -> Iterator[str]:
        """Yield a line a page, all of them together last."""
        everything = [one for times in self.pages.values() for one in times]
        for page, times in [*sorted(self.pages.items()), ("all", everything)]:
            cuts = statistics.quantiles(times, n=100, method="inclusive") if len(times) > 1 else times * 99
            yield f"{page:34} {len(times):6} {cuts[49]:8.0f} {cuts[94]:8.0f} {cuts[98]:8.0f}"


class Person:
    """One browser, without JavaScript: cookies, redirects, and forms as they stand."""

    def __init__(self, number: int, port: int, mailbox: Mailbox, timings: Timings, pause: tuple[float, float]) -> None:
        self.number, self.port, self.mailbox, self.timings, self.pause = number, port, mailbox, timings, pause
        self.email = f"person{number}@company{number}.example"
        self.cookies: dict[str, str] = {}
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        self.url = self.html = ""
        self.choice = random.Random(number)

    def walk(self) -> None:
        """Go from the emailed link to the PDF."""
        try:
            self.get(self.mailbox.find(self.email, _LINK))
            self.post(self.url, {})
            self.post(self.url, {"code": self.mailbox.find(self.email, _CODE)})
            for _page in range(30):
                if self.url.endswith("/summary/"):
                    break
                self.answer()
            self.download()
        except Exception as problem:  # whatever it was, the others walk on
            with self.timings.lock:
                self.timings.errors[f"{urlsplit(self.url).path.rsplit('/', 2)[-2:]}: {problem!r}"[:200]] += 1
        else:
            with self.timings.lock:
                self.timings.finished += 1

    def answer(self) -> None:
        """Fill the step's form in and send it."""
        from tests.driver import form_fields  # needs the settings, which the product's start decides

        step = urlsplit(self.url).path.rstrip("/").rpartition("/")[2]
        answers = {
            "intent": {"audience": "own"},
            "customer": {"organization": "new"},
            "customer-new": {"name": f"Company {self.number} of Load", "vertical": "retail", "country": "DE"},
            "customer-check": {"duplicate": "new"},
            "subscription": {"choice": "now"},
            "meetings": {"site_name": f"load-site-{self.number}", "time_zone": "Europe/Berlin", "early_release": "no"},
            "location": {"name": "Headquarters", "country": "DE"},
            "address": {
                "street_address": "Unter den Linden 1", "city": "Berlin", "postal_code": "10117", "language": "de",
                "announcement_language": "de", "emergency": "same", "time_zone": "Europe/Berlin",
            },
            "review": {},
        }  # fmt: skip
        fields: dict[str, Any] = form_fields(self.html)
        fields |= {f"{step}-{name}": value for name, value in answers[step].items()}
        before = self.url
        self.post(urlsplit(self.url).path, fields)
        if self.url == before or self.url.endswith("?problem"):
            raise RuntimeError(f"{step} was refused")

    def download(self) -> None:
        """Ask for the PDF, and again as long as the page says so; the whole counts as one page."""
        time.sleep(self.choice.uniform(*self.pause))
        begun = time.monotonic()
        while time.monotonic() < begun + PATIENCE:
            answer, body = self.request("GET", self.url.replace("/summary/", "/summary.pdf"))
            if answer.status != 202:
                self.timings.add("PDF", time.monotonic() - begun, answer.status)
                if not body.startswith(b"%PDF"):
                    raise RuntimeError("no PDF")
                return
            time.sleep(int(answer.headers["Refresh"]))
        raise TimeoutError("no PDF")

    def get(self, url: str) -> None:
        """Open a page after a pause, follow redirects."""
        time.sleep(self.choice.uniform(*self.pause))
        self._follow("GET", url, b"")

    def post(self, url: str, fields: dict[str, Any]) -> None:
        """Send a form after a pause, follow redirects."""
        time.sleep(self.choice.uniform(*self.pause))
        if token := _TOKEN.search(self.html):
            fields = fields | {"csrfmiddlewaretoken": token[1]}
        self._follow("POST", url, urlencode(fields, doseq=True).encode())

    def _follow(self, method: str, url: str, body: bytes) -> None:
        for _redirect in range(10):
            begun = time.monotonic()
            answer, content = self.request(method, url, body)
            name = re.sub(r"/(orders|l)/[^/]+", "", urlsplit(url).path).strip("/") or "order"
            self.timings.add(f"{method} {name}", time.monotonic() - begun, answer.status)
            if answer.status not in {301, 302, 303}:
                if answer.status >= 400:
                    raise RuntimeError(f"{method} {url}: {answer.status}")
                self.url, self.html = url, content.decode()
                return
            method, url, body = "GET", answer.headers["Location"], b""

    def request(self, method: str, url: str, body: bytes = b"") -> tuple[http.client.HTTPResponse, bytes]:
        """Send one request and read its answer."""
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        if method == "POST":
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        self.connection.request(method, url, body or None, headers)
        answer = self.connection.getresponse()
        content = answer.read()
        for cookie in answer.headers.get_all("Set-Cookie", []):
            name, _equals, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        return answer, content


def processor_seconds(root: int) -> float:
    """The processor's time of a process, of those that it began, and of those of them that have ended."""
    children, times = defaultdict(list), {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            children[int(fields[1])].append(int(folder.name))
            times[int(folder.name)] = sum(map(int, fields[11:15]))
    total, waiting = 0, [root]
    while waiting:
        pid = waiting.pop()
        total += times.get(pid, 0)
        waiting += children[pid]
    return total / os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextlib.contextmanager
def product(state: Path, port: int, threads: int) -> Iterator[dict[str, int]]:
    """Run the product; gives the process of each of its parts."""
    state.mkdir(parents=True, exist_ok=True)
    os.environ.pop("DATABASE_URL", None)
    os.environ |= {
        "STATE_DIR": str(state), "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "DJANGO_SETTINGS_MODULE": "provisioning.settings",
        "EMAIL_URL": f"filemail://{state / 'mail'}", "LOG_LEVEL": "WARNING", "ALLOWED_HOSTS": "127.0.0.1",
    }  # fmt: skip
    server = postgres.start(state)
    running: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for command in (("migrate", "-v0"), ("collectstatic", "--noinput", "-v0")):
            subprocess.run([sys.executable, "manage.py", *command], cwd=ROOT, check=True)
        web = ["-m", "gunicorn", "provisioning.wsgi", "--workers", "2", "--threads", str(threads), "--keep-alive", "75"]
        commands = {
            "web": [*web, "--bind", f"127.0.0.1:{port}", "--log-level", "warning"],
            "worker": ["manage.py", "procrastinate", "worker"],
        }
        for name, words in commands.items():
            running[name] = subprocess.Popen([sys.executable, *words], cwd=ROOT)
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.1)
        postmaster = int((server.cluster.data / "postmaster.pid").read_text().split()[0])
        yield {**{name: process.pid for name, process in running.items()}, "PostgreSQL": postmaster}
    finally:
        for process in running.values():
            process.send_signal(signal.SIGTERM)
        for process in running.values():
            process.wait()
        server.release()


def place_orders(people: int) -> None:
    """Place an order a person, who buys for their own company."""
    import django

    django.setup()
    from provisioning import actions
    from subscriptions.rules.validation import Line

    for number in range(people):
        actions.place_order(
            number=f"LOAD-{os.getpid()}-{number}", sold_to=f"Company {number}", customer_name="", customer_email="",
            contact_email=f"person{number}@company{number}.example", lines=[Line("meetings", 20), Line("calling", 5)],
        )  # fmt: skip


def main(arguments: list[str]) -> int:
    """Run the load and print the report; 1 where somebody did not reach the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--pause", type=float, nargs=2, default=(1.0, 3.0), help="seconds between two pages")
    parser.add_argument("--threads", type=int, default=8, help="of each of the two web processes")
    parser.add_argument("--state", type=Path, required=True, help="an empty folder: the database and the emails")
    options = parser.parse_args(arguments)
    timings, port, state = Timings(), free_port(), options.state.resolve()
    with product(state, port, options.threads) as parts:
        place_orders(options.people)
        mailbox = Mailbox(state / "mail")
        for number in range(options.people):
            mailbox.find(f"person{number}@company{number}.example", _LINK)
        people = [Person(number, port, mailbox, timings, tuple(options.pause)) for number in range(options.people)]
        used: Callable[[], dict[str, float]] = lambda: {  # noqa: E731
            "driver": time.process_time(), **{name: processor_seconds(pid) for name, pid in parts.items()}
        }  # fmt: skip
        before, begun = used(), time.monotonic()
        walking = [threading.Thread(target=person.walk) for person in people]
        for thread in walking:
            thread.start()
        for thread in walking:
            thread.join()
        took, after = time.monotonic() - begun, used()
    print(f"{'page':34} {'count':>6} {'p50 ms':>8} {'p95 ms':>8} {'p99 ms':>8}")
    print("\n".join(timings.lines()))
    pages = sum(map(len, timings.pages.values()))
    rates = f"{timings.finished / took:.2f} a second, {pages / took:.1f} pages a second"
    print(f"{timings.finished} of {options.people} journeys in {took:.0f} s: {rates}")
    spent = {name: after[name] - before[name] for name in after}
    whole = took * (os.cpu_count() or 1)
    print("processor: " + ", ".join(f"{name} {100 * seconds / whole:.0f} %" for name, seconds in spent.items()))
    print("errors: " + (", ".join(f"{what} ({count})" for what, count in timings.errors.items()) or "none"))
    return 0 if timings.finished == options.people else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
