"""Several hosts: three for the web, three for workers, nginx, PostgreSQL with a standby; nothing is shared on disk.

Each host is a network namespace with a folder of its own. While people go through the wizard, hosts are killed, frozen,
cut off and brought back, an upgrade with a migration is rolled over them, and the standby is promoted. Then every
acknowledged answer is there, no order was confirmed twice, and all histories are whole.

``ROUNDS`` (1): how often each fault happens; ``PEOPLE`` (6): how many people at once. Asked for by path.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.driver import form_fields
from tests.long.database_server import DatabaseServer, a_folder
from tests.long.hosts import NET, Host, forget, network, why_not
from tests.long.local_machine import MANAGE, ROOT, environ, eventually

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "never")

WEB, WORKERS, DATABASES = ("web1", "web2", "web3"), ("work1", "work2", "work3"), ("db1", "db2")
ROUNDS, PEOPLE = int(os.environ.get("ROUNDS", "1")), int(os.environ.get("PEOPLE", "6"))
FLOATING = f"{NET}.100"  # the address of the primary, which moves with it
RECOVERED_WITHIN = 10.0
PORT = 5432

# Orders, each of a company of its own, with the session of its contact.
PREPARE = """
import uuid
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.utils.module_loading import import_string
from provisioning import actions
from provisioning.people import links
from subscriptions.rules.validation import Line
Store = import_string(settings.SESSION_ENGINE + ".SessionStore")
found = []
for each in range({orders}):
    name = uuid.uuid4().hex[:12]
    email = f"kim@{{name}}.example"
    order, _new = actions.place_order(
        number=f"H-{{each}}", sold_to=name, contact_email=email, customer_name="", customer_email="",
        lines=[Line("meetings", 25)])
    user, store = links.user_for(email), Store()
    store[SESSION_KEY], store[BACKEND_SESSION_KEY] = str(user.pk), settings.AUTHENTICATION_BACKENDS[0]
    store[HASH_SESSION_KEY] = user.get_session_auth_hash()
    store.save(must_create=True)
    found.append([order.number, name, store.session_key])
say(found)
"""
# What became of the orders: state, confirmations, and the site that was asked for.
LOOK = """
from provisioning.models import Event, Mail
from provisioning.history import verification
from subscriptions.models import Order, Site
say({order.number: {
    "state": order.state,
    "mapped": order.events.filter(kind=Event.Kind.MAPPED).count(),
    "confirmed": order.events.filter(kind=Event.Kind.SETTING_UP).count(),
    "sites": list(Site.objects.filter(subscription__line__order=order).values_list("name", flat=True)),
    "doubled": Mail.objects.filter(order=order, event="set_up_confirmation").count() > 1,
    "unsent": Mail.objects.filter(order=order, sent_at=None).count(),
    "problem": verification.check(order).problem,
} for order in Order.objects.all()})
"""


@dataclass
class Person:
    """Goes through the wizard, order after order. A page that says "later" is asked again, as a person does."""

    orders: list[tuple[str, str, str]]  # number, company, session
    session: str = ""
    acknowledged: dict[str, set[str]] = field(default_factory=dict)
    failures: list[tuple[float, int]] = field(default_factory=list)
    slowest: float = 0.0
    last_good: float = 0.0
    gaps: list[tuple[float, float]] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    def ask(self, method: str, path: str, fields: dict[str, Any] | None = None) -> tuple[int, str, str]:
        """Return (status, location, page) of one request through nginx; status 0 for a broken connection."""
        began = time.monotonic()
        token = "a" * 32
        cookie = f"sessionid={self.session}; csrftoken={token}"
        body = urlencode({**(fields or {}), "csrfmiddlewaretoken": token}, doseq=True) if method == "POST" else None
        try:
            asked = http.client.HTTPConnection(f"{NET}.1", 8080, timeout=70)
            asked.request(
                method, path, body,
                {"Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded", "Host": f"{NET}.1:8080"},
            )  # fmt: skip
            answer = asked.getresponse()
            page = answer.read().decode()
            status, where = answer.status, answer.headers.get("Location", "")
        except (OSError, http.client.HTTPException):
            status, where, page = 0, "", ""
        ended = time.monotonic()
        if status in {0, 500, 502, 503, 504}:
            self.failures.append((ended, status))
        else:
            if self.failures and self.failures[-1][0] > self.last_good:
                self.gaps.append((self.last_good or began, ended))
            self.last_good = ended
            self.slowest = max(self.slowest, ended - began)
        return status, where, page

    def follow(self, path: str) -> tuple[str, str]:
        """Open a page until it is there; return its path and text."""
        while not self.stopped.is_set():
            status, where, page = self.ask("GET", path)
            if status == 302:
                path = where
            elif status == 200:
                return path, page
            else:
                time.sleep(0.2)
        return "", ""

    def complete(self, number: str, company: str) -> bool:
        """Take an order from its first page to the set-up; False where the exercise ends before."""
        answers: dict[str, dict[str, str]] = {
            "intent": {"intent-audience": "own"},
            "customer-new": {
                "customer-new-name": company,
                "customer-new-vertical": "retail",
                "customer-new-country": "US",
            },
            "subscription": {"subscription-choice": "now"},
            "meetings": {
                "meetings-site_name": f"site-{number.lower()}",
                "meetings-time_zone": "Europe/Berlin",
                "meetings-early_release": "no",
            },
        }
        path = f"/orders/{number}/"
        while not self.stopped.is_set():
            at, page = self.follow(path)
            step = at.rstrip("/").rpartition("/")[2]
            if step in {"progress", "summary"}:
                self.acknowledged.setdefault(number, set()).add("confirmed")
                return True
            fields: dict[str, Any] = {**form_fields(page), **answers.get(step, {})}
            status, where, _page = self.ask("POST", at, fields)
            if status == 302:
                self.acknowledged.setdefault(number, set()).add(step)
                path = where
            elif status == 200:
                raise AssertionError(f"{number} does not get beyond {step}: {_page[_page.find('<main') :][:1500]}")
            else:
                path = f"/orders/{number}/"  # a person reloads
        return False

    def run(self) -> None:
        """Complete one order after the other."""
        for number, company, session in self.orders:
            self.session = session
            if not self.complete(number, company):
                return


class Vendor:
    """The hosts of an installation, with one address for the database and one for people."""

    def __init__(self, hosts: dict[str, Host], folder: Path) -> None:
        self.hosts, self.folder = hosts, folder
        self.servers = {name: DatabaseServer(hosts[name].folder, port=PORT) for name in DATABASES}
        self.primary, self.standby = DATABASES
        self.release = 1

    def environment(self, host: Host) -> dict[str, str]:
        """Return the settings of a host; nothing in them names another's folder."""
        return environ(
            DATABASE_URL=f"postgres://postgres@{FLOATING}:{PORT}/postgres",
            DJANGO_SETTINGS_MODULE="provisioning.settings",
            SECRET_KEY="the key that all hosts of the exercise have, long enough",
            PUBLIC_URL=f"http://{NET}.1:8080",
            EMAIL_URL=f"filemail://{host.folder / 'mail'}",
            STATE_DIR=str(host.folder / "state"),
            BEHIND_PROXY="true",
            PYTHONPATH=str(ROOT),
            ALLOWED_HOSTS="*",
            LOG_LEVEL="WARNING",
            RELEASE=str(self.release),
        )

    def start_database(self, name: str) -> None:
        """Start PostgreSQL on its host, and wait until it answers."""
        server, host = self.servers[name], self.hosts[name]
        options = ["-c", "listen_addresses=*", "-c", "max_connections=200", "-c", "fsync=off", "-k", ""]
        options += ["-c", "wal_keep_size=256MB", "-c", "tcp_keepalives_idle=5", "-c", "tcp_user_timeout=8000"]
        command = [str(server.programs / "postgres"), "-D", str(server.data), "-p", str(PORT), *options]
        if server.user:
            ids = [f"--reuid={server.user.pw_uid}", f"--regid={server.user.pw_gid}", "--clear-groups"]
            command = ["setpriv", *ids, *command]
        host.start(command, {"PATH": os.defpath, "LC_ALL": "C", "HOME": "/"})
        eventually(lambda: self._accepts(host.address), f"{name} answers")

    def _accepts(self, address: str) -> bool:
        asked = [str(self.servers["db1"].programs / "pg_isready"), "-h", address, "-p", str(PORT), "-q", "-t", "1"]
        return subprocess.run(asked, check=False).returncode == 0

    def make_database(self) -> None:
        """Make the primary and its standby, which streams synchronously: what is acknowledged is on both."""
        server, host = self.servers["db1"], self.hosts["db1"]
        server.make()
        with (server.data / "pg_hba.conf").open("a") as rules:
            rules.write(f"host all all {NET}.0/24 trust\nhost replication all {NET}.0/24 trust\n")
        self.start_database("db1")
        host.take(FLOATING)
        other = self.servers["db2"]
        source = ["-h", host.address, "-p", str(PORT), "-U", "postgres"]
        other._run("pg_basebackup", "-D", other.data, *source, "-R", "-X", "stream", "-c", "fast", "--no-sync")
        self.start_database("db2")
        self.sql("ALTER SYSTEM SET synchronous_standby_names = '*'")
        self.sql("SELECT pg_reload_conf()")
        eventually(
            lambda: self.sql("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") == "1", "sync"
        )

    def sql(self, statement: str) -> str:
        """Run a statement on the primary; return its first value as text."""
        program = str(self.servers["db1"].programs / "psql")
        done = subprocess.run(
            [program, f"postgres://postgres@{FLOATING}:{PORT}/postgres", "-Atqc", statement],
            capture_output=True, text=True, check=False, timeout=20,
        )  # fmt: skip
        return done.stdout.strip().partition("\n")[0]

    def manage(self, host: Host, *arguments: str) -> None:
        """Run manage.py on a host to its end."""
        done = subprocess.run(
            ["ip", "netns", "exec", host.space, sys.executable, str(MANAGE), *arguments],
            env=self.environment(host), capture_output=True, text=True, check=False, timeout=240,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    def python(self, host: Host, script: str) -> Any:
        """Run a script inside of the product on a host; return what it gives to ``say``."""
        head = "import json\nimport django\ndjango.setup()\ndef say(what):\n    print(json.dumps(what))\n"
        done = subprocess.run(
            ["ip", "netns", "exec", host.space, sys.executable, "-c", head + script],
            env=self.environment(host), capture_output=True, text=True, check=False, timeout=240,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    def start(self, name: str) -> None:
        """Start what a host runs, and wait until a web host answers."""
        host = self.hosts[name]
        if name in WEB:
            command = ["-m", "gunicorn", "provisioning.wsgi", "--bind", f"{host.address}:8000", "--workers", "1"]
            host.start([sys.executable, *command, "--threads", "8", "--keep-alive", "75", "--no-control-socket"],
                       self.environment(host), cwd=ROOT)  # fmt: skip
            eventually(lambda: _answers(host.address), f"{name} answers")
        else:
            host.start([sys.executable, str(MANAGE), "procrastinate", "worker"], self.environment(host), cwd=ROOT)

    def start_nginx(self) -> subprocess.Popen[bytes]:
        """Start nginx on this machine with the example's configuration, for the three web hosts."""
        text = (ROOT / "provisioning" / "deployment" / "nginx.conf").read_text()
        servers = "\n".join(f"server {self.hosts[name].address}:8000 max_fails=1 fail_timeout=2s;" for name in WEB)
        text = text.replace("listen 80;", f"listen {NET}.1:8080;").replace("server 127.0.0.1:8000;", servers)
        text = text.replace("server_name setup.example.com;", "server_name _;")
        text = text.replace("$host;", "$http_host;").replace("proxy_read_timeout 60s;", "proxy_read_timeout 8s;")
        folders = "".join(f"{part}_temp_path {self.folder}/{part};"
                          for part in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))  # fmt: skip
        main = self.folder / "nginx.conf"
        main.write_text(
            f"pid {self.folder}/nginx.pid; error_log {self.folder}/nginx.log; worker_processes 1; daemon off;\n"
            f"user root; events {{ worker_connections 512; }} http {{ access_log off; {folders}\n{text}\n}}\n"
        )
        program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        assert program
        return subprocess.Popen([program, "-c", str(main)], stderr=subprocess.DEVNULL)

    def promote(self) -> None:
        """The primary's machine is lost: the standby becomes the primary, and takes the address over."""
        self.hosts[self.primary].kill()
        self.hosts[self.primary].cut_off()
        server = self.servers[self.standby]
        server._run("pg_ctl", "promote", "-D", server.data, "-w")
        self.hosts[self.standby].take(FLOATING)
        for host in self.hosts.values():
            host.forget(FLOATING)
        forget(FLOATING)
        self.primary, self.standby = self.standby, self.primary
        self.sql("ALTER SYSTEM SET synchronous_standby_names = ''")
        self.sql("SELECT pg_reload_conf()")


def _answers(address: str) -> bool:
    try:
        asked = http.client.HTTPConnection(address, 8000, timeout=5)
        asked.request("GET", "/brand.css", headers={"X-Forwarded-Proto": "http"})
        return asked.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with a_folder() as folder, network(folder, [*WEB, *WORKERS, *DATABASES]) as hosts:
        vendor = Vendor(hosts, folder)
        vendor.make_database()
        for name in (*WEB, *WORKERS):
            (hosts[name].folder / "state").mkdir()
        vendor.manage(hosts["web1"], "migrate", "--verbosity", "0")
        for name in WEB:
            vendor.manage(hosts[name], "collectstatic", "--noinput", "--verbosity", "0")
        for name in (*WEB, *WORKERS):
            vendor.start(name)
        nginx = vendor.start_nginx()
        try:
            eventually(lambda: Person([]).ask("GET", "/sign-in/")[0] == 200, "nginx answers")
            yield vendor
        finally:
            nginx.terminate()
            nginx.wait()
            for host in hosts.values():
                print(host.name, (host.folder / "log").read_text()[-1500:] if (host.folder / "log").exists() else "")


def test_hosts_come_and_go(vendor: Vendor) -> None:
    """Each fault while people work: nothing acknowledged is lost, nothing is done twice, all is well in ten seconds."""
    hosts = vendor.hosts
    prepared = vendor.python(hosts["web1"], PREPARE.format(orders=PEOPLE * 30 * ROUNDS))
    people = [Person([(*each,) for each in prepared[who::PEOPLE]]) for who in range(PEOPLE)]
    threads = [threading.Thread(target=person.run, daemon=True) for person in people]
    for thread in threads:
        thread.start()
    began, faults = time.monotonic(), []

    def strike(what: str, *acts: Any, pause: float = 6.0) -> None:
        """Let a fault happen, give it time, and undo it."""
        at = time.monotonic()
        acts[0]()
        time.sleep(pause)
        for act in acts[1:]:
            act()
        faults.append((what, at, time.monotonic()))
        time.sleep(2)

    for turn in range(ROUNDS):
        web, worker = hosts[WEB[turn % 3]], hosts[WORKERS[turn % 3]]
        strike("web host killed", web.kill, partial(vendor.start, web.name))
        strike("worker host killed", worker.kill, partial(vendor.start, worker.name))
        strike("web host frozen", web.freeze, web.thaw, pause=10)
        strike("worker host frozen", worker.freeze, worker.thaw)
        strike("web host cut off", web.cut_off, web.rejoin, pause=10)
        strike("worker host cut off", worker.cut_off, worker.rejoin, pause=10)
    roll = time.monotonic()
    vendor.manage(hosts["web1"], "migrate", "provisioning", "--verbosity", "0")
    vendor.sql("ALTER TABLE provisioning_part ADD COLUMN of_the_next_release text NULL")  # as a next release's would
    vendor.release = 2
    for name in (*WEB, *WORKERS):
        hosts[name].end()
        vendor.start(name)
    faults.append(("upgrade rolled", roll, time.monotonic()))
    strike("standby promoted", vendor.promote)
    for person in people:
        person.stopped.set()
    for thread in threads:
        thread.join(80)
    told = vendor.sql("SELECT pg_is_in_recovery()")
    assert told == "f"
    eventually(lambda: vendor.sql("SELECT count(*) FROM provisioning_mail WHERE sent_at IS NULL") == "0", "mail", 120)

    orders = vendor.python(hosts["web1"], LOOK)
    lost, doubled = [], []
    answers = 0
    for person in people:
        for number, steps in person.acknowledged.items():
            answers += len(steps)
            found = orders[number]
            if "confirmed" in steps and (found["state"] != "set_up" or found["sites"] != [f"site-{number.lower()}"]):
                lost.append((number, found))
    for number, found in orders.items():
        if found["mapped"] > 1 or found["confirmed"] > 1 or found["doubled"] or len(found["sites"]) > 1:
            doubled.append((number, found))
        assert found["problem"] == "", (number, found)
    gaps = [end - start for person in people for start, end in person.gaps]
    statuses = sorted(status for person in people for _at, status in person.failures)
    done = sum("confirmed" in steps for person in people for steps in person.acknowledged.values())
    print(f"{len(faults)} faults in {time.monotonic() - began:.0f} s; {done} orders, {answers} answers acknowledged;")
    print(f"lost {len(lost)}, doubled {len(doubled)}; failed requests {len(statuses)}: {statuses}")
    print(f"longest recovery {max(gaps, default=0):.1f} s; slowest answer {max(p.slowest for p in people):.1f} s")
    for what, start, end in faults:
        during = [round(e - s, 1) for person in people for s, e in person.gaps if start <= e <= end + 2]
        print(f"{what}: {len(during)} people waited, at most {max(during, default=0)} s")
    assert done >= PEOPLE
    assert (lost, doubled) == ([], [])
    assert max(gaps, default=0) <= RECOVERED_WITHIN
    assert 500 not in statuses
