"""The product behind PgBouncer in transaction mode: people's whole ways, emails, sweeps, an import, all at once."""

from __future__ import annotations

import contextlib
import email
import email.policy
import http.cookiejar
import json
import os
import pwd
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import environ as django_environ
import psycopg
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink
from django.conf import settings
from django.db import connection, connections

from orgs.models import Organization
from provisioning.database import transaction_pooler
from provisioning.local.database import postgres
from provisioning.models import Mail
from subscriptions.models import Order, Site
from tests.driver import Wizard
from tests.factories import an_order, an_organization
from tests.long.local_machine import ROOT, environ, eventually
from tests.long.test_local_demo import free_port

pytestmark = pytest.mark.django_db(transaction=True)

PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
CONFIG = """
[databases]
* = {server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 6
server_round_robin = {round_robin}
max_client_conn = 200
logfile = {folder}/pgbouncer.log
"""
# No word is in two names: whoever sees another's name was given another's answer.
PEOPLE = [
    ("Zorblax Mining", "Ulmenhof Bakery"), ("Quendal Foods", "Tarkine Optics"), ("Vexley Robotics", "Oberon Paper"),
    ("Harwick Timber", "Solvane Glass"), ("Jundra Textiles", "Pemberly Dairy"), ("Kestrel Drones", "Ystad Ferries"),
    ("Marrakai Cement", "Bluthorn Violins"), ("Dovetail Cabinets", "Innsmouth Trawlers"),
]  # fmt: skip


class Pooler:
    """PgBouncer in front of the tests' server."""

    def __init__(self, folder: Path, *, round_robin: int) -> None:
        self.port, self.log = free_port(), folder / "pgbouncer.log"
        facts = connection.settings_dict
        server = {"host": facts["HOST"], "port": facts["PORT"], "user": facts["USER"], "password": facts["PASSWORD"]}
        config = folder / "pgbouncer.ini"
        config.write_text(
            CONFIG.format(
                server=" ".join(f"{name}={value}" for name, value in server.items() if value),
                port=self.port,
                round_robin=round_robin,
                folder=folder,
            )
        )
        # PgBouncer, too, doesn't run as root.
        user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        if user:
            for path in (folder, config):
                os.chown(path, user.pw_uid, user.pw_gid)
        options: dict[str, Any] = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}
        assert PGBOUNCER
        self.process = subprocess.Popen([PGBOUNCER, "-q", str(config)], stderr=subprocess.DEVNULL, **options)
        eventually(self._answers, "PgBouncer answers")

    def _answers(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
            return True
        return False

    @property
    def url(self) -> str:
        """The address of the tests' database behind it."""
        return f"postgres://{connection.settings_dict['USER']}@127.0.0.1:{self.port}/{connection.settings_dict['NAME']}"


class Product:
    """The product's processes, all of which know PgBouncer only."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.folder, self.mail, self.port = folder, folder / "mail", free_port()
        self.environment = environ(
            DATABASE_URL=database_url,
            DJANGO_SETTINGS_MODULE="provisioning.settings",
            PYTHONPATH=str(ROOT),
            SECRET_KEY=settings.SECRET_KEY,
            STATE_DIR=str(folder / "state"),
            PUBLIC_URL=f"http://127.0.0.1:{self.port}",
            EMAIL_URL=f"filemail://{self.mail}",
            LOG_LEVEL="WARNING",
        )
        self.running: list[subprocess.Popen[bytes]] = []

    def manage(self, *command: str) -> str:
        """Run a command to its end; returns what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "django", *command],
            cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def start(self, name: str, *command: str) -> None:
        """Start a process; what it writes is in its log."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running.append(
                subprocess.Popen(
                    [sys.executable, "-m", *command], cwd=ROOT, env=self.environment, stdout=log, stderr=log
                )
            )

    def logs(self) -> str:
        """What all processes wrote."""
        return "".join(path.read_text() for path in sorted(self.folder.glob("*.log")))

    def answers(self) -> bool:
        """Whether the web server answers."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
            return True
        return False

    def newest(self, to: str, pattern: str) -> str:
        """Wait for an email to this address with something in it; returns that."""
        found: list[str] = []

        def arrived() -> bool:
            for path in sorted(self.mail.glob("*"), key=lambda path: path.stat().st_mtime):
                for part in re.split(rb"^-{79}$", path.read_bytes(), flags=re.MULTILINE):
                    message = email.message_from_bytes(part.lstrip(), policy=email.policy.default)
                    body = message.get_body(("plain",)) if message["To"] == to else None
                    found.extend(re.findall(pattern, body.get_content(), re.MULTILINE) if body else [])
            return bool(found)

        eventually(arrived, f"an email to {to} with {pattern}", 90)
        return found[-1]


class Page:
    """An answer as the wizard's driver reads it."""

    def __init__(self, url: str, content: bytes, headers: Any) -> None:
        self.content, self.headers = content, headers
        self.redirect_chain = [(url, 302)]


class Browser:
    """Cookies and redirects over real connections; everything that isn't answered well fails."""

    def __init__(self, product: Product) -> None:
        self.base = f"http://127.0.0.1:{product.port}"
        jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self.open = urllib.request.build_opener(jar).open

    def get(self, path: str, follow: bool = True) -> Page:
        """Open a page."""
        return self._ask(path, None)

    def post(self, path: str, fields: dict[str, Any], follow: bool = True) -> Page:
        """Post a form."""
        return self._ask(path, urllib.parse.urlencode(fields, doseq=True).encode())

    def _ask(self, path: str, body: bytes | None) -> Page:
        try:
            with self.open(urllib.parse.urljoin(self.base, path), body, timeout=120) as answer:
                return Page(answer.url, answer.read(), answer.headers)
        except urllib.error.HTTPError as error:
            page = error.read()
            # So many PDFs at once take their turns: a page says so, and asks again by itself.
            if b"The order summary is being made" not in page:
                raise AssertionError(f"{path}: {error.code} {page[:500]!r}") from None
            return Page(path, page, error.headers)


@pytest.fixture(params=[0, 1], ids=["last server first", "each server in turn"])
def pooler(request: pytest.FixtureRequest) -> Iterator[Pooler]:
    """PgBouncer, which hands out either way another server process for each transaction."""
    if PGBOUNCER is None:
        pytest.skip("PgBouncer is not installed")
    folder = Path(tempfile.mkdtemp(prefix="pooler-", dir="/tmp"))
    folder.chmod(0o755)
    pooler = Pooler(folder, round_robin=request.param)
    yield pooler
    pooler.process.kill()
    pooler.process.wait()
    shutil.rmtree(folder)


@pytest.fixture
def product(pooler: Pooler, tmp_path: Path) -> Iterator[Product]:
    """Web processes and workers behind it."""
    product = Product(tmp_path, pooler.url)
    yield product
    for process in product.running:
        process.terminate()
    for process in product.running:
        process.wait(60)


def walk(product: Product, order: Order, partner: Organization, customer: str, *, is_new: bool) -> bytes:
    """Go one person's whole way, from the link in the email to the PDF; returns that."""
    browser, contact = Browser(product), order.contact_email
    link = product.newest(contact, rf"{re.escape(browser.base)}(/l/\S+)")
    token = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', browser.get(link).content.decode())[0]
    page = browser.post(link, {"csrfmiddlewaretoken": token}).content.decode()
    code = product.newest(contact, r"^\s+([A-Z]{4}-[A-Z]{4})$")
    token, following = (re.findall(rf'name="{name}" value="([^"]+)"', page) for name in ("csrfmiddlewaretoken", "next"))
    browser.post("/sign-in/code/", {"csrfmiddlewaretoken": token[0], "code": code, "next": following[:1]})

    wizard = Wizard(browser, order)  # type: ignore[arg-type]
    wizard.open()
    own(wizard.fill("intent", audience="customer"), partner.name)
    wizard.fill("partner")
    own(wizard.fill("customer-details"), customer)
    if is_new:
        own(wizard.make("customer", customer, country="US"), customer)
    else:
        own(wizard.fill("customer"), customer)
    assert wizard.at == "review", wizard.html
    wizard.fill("review")
    wizard = Wizard(browser, order, "set_up")  # type: ignore[arg-type]
    wizard.open()
    wizard.fill("subscription", choice="now")
    site = re.sub(r"\W+", "-", customer.lower())
    wizard.fill("meetings", site_name=site, time_zone="Europe/Berlin", early_release="no")
    assert site in wizard.html
    assert "Download order summary (PDF)" in own(wizard.fill("review"), customer)
    pdf: list[bytes] = []

    def is_made() -> bool:
        pdf.append(browser.get(f"/orders/{order.number}/summary.pdf").content)
        return pdf[-1].startswith(b"%PDF-")

    eventually(is_made, "the PDF is made", 120)
    return pdf[-1]


def own(page: str, name: str) -> str:
    """The page, which has this person's organization and nobody else's."""
    assert name in page, page
    mine = next(people for people in PEOPLE if name in people)
    assert not [other for people in PEOPLE if people is not mine for other in people if other in page]
    return page


def in_own_thread(act: Callable[[], bytes]) -> bytes:
    """Close what a thread used of the database when it ends."""
    try:
        return act()
    finally:
        connections.close_all()


def test_people_finish_behind_a_pooler_while_an_import_runs(product: Product, tmp_path: Path) -> None:
    ways = []
    for number, (partner_name, customer) in enumerate(PEOPLE):
        contact = f"sam@{partner_name.split()[0].lower()}.example"
        partner = an_organization(
            partner_name, partner=True, administrators=[contact], domains=[contact.partition("@")[2]]
        )
        address = f"it@{customer.split()[0].lower()}.example"
        is_new = number % 2 == 1
        if not is_new:
            an_organization(customer, administrators=[address], domains=[address.partition("@")[2]])
        order = an_order(contact=contact, sold_to=partner_name, customer=customer, customer_email=address)
        ways.append((order, partner, customer, is_new))
    product.manage("collectstatic", "--noinput", "-v0")
    gunicorn = ("--workers", "2", "--threads", "4", "--bind", f"127.0.0.1:{product.port}")
    product.start("web", "gunicorn", "provisioning.wsgi", *gunicorn)
    for name in ("worker 1", "worker 2"):
        product.start(name, "django", "procrastinate", "worker")
    eventually(product.answers, "the web server answers")

    rows = tmp_path / "organizations.csv"
    lines = [f"x-{number},Wexmoor{number} Imports,verified:wexmoor{number}.test" for number in range(3000)]
    rows.write_text("\n".join(["external_id,name,domains", *lines]))
    with ThreadPoolExecutor(len(ways) + 1) as pool:
        imported = pool.submit(product.manage, "import_organizations", str(rows))
        walked = [
            pool.submit(in_own_thread, lambda way=way: walk(product, *way[:3], is_new=way[3]))  # type: ignore[misc]
            for way in ways
        ]
        pdfs = [each.result() for each in walked]
        imported.result()

    assert len(set(pdfs)) == len(PEOPLE)
    assert Organization.objects.filter(external_id__startswith="x-").count() == 3000
    for order, partner, customer, is_new in ways:
        order.refresh_from_db()
        assert (order.state, order.partner) == (Order.State.SET_UP, partner)
        assert order.customer
        assert order.customer.name == customer
        assert (order.customer.origin != "import") or not is_new
    assert Site.objects.count() == len(PEOPLE)
    eventually(lambda: not Mail.objects.filter(sent_at=None).exists(), "all emails went out", 90)
    assert Mail.objects.filter(event="set_up_confirmation").count() >= len(PEOPLE)
    assert f"{len(PEOPLE)} histories are whole" in product.manage("verify_history")
    assert "Traceback" not in product.logs(), product.logs()
    errors = [line for line in product.logs().splitlines() if " ERROR " in line]
    # Whoever asks for a PDF before its turn is asked to wait, which Django logs as an error.
    assert [line for line in errors if not re.search(r"Service Unavailable: /orders/\S+/summary\.pdf$", line)] == []


SAY = (
    "import json, django; django.setup(); from provisioning.database import transaction_pooler as pooler; "
    "print(json.dumps(pooler.%s()))"
)


def test_pooler_is_found_out_and_the_check_says_where_the_setting_denies_it(product: Product) -> None:
    def asked(function: str, **changes: str) -> Any:
        done = subprocess.run(
            [sys.executable, "-c", SAY % function],
            cwd=ROOT, env=product.environment | changes, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return json.loads(done.stdout)

    assert asked("is_transaction_pooler") is True
    assert asked("is_transaction_pooler", DATABASE_POOLER="none") is False
    assert transaction_pooler.is_transaction_pooler() is False
    mail_server = Controller(Sink(), hostname="127.0.0.1", port=free_port())
    mail_server.start()  # the check connects to it
    try:
        product.environment["EMAIL_URL"] = f"smtp://127.0.0.1:{mail_server.port}"
        product.manage("collectstatic", "--noinput", "-v0")
        assert "provisioning.W024" not in product.manage("check", "--deploy")
        product.environment["DATABASE_POOLER"] = "none"
        assert "there is a pooler in transaction mode" in product.manage("check", "--deploy")
    finally:
        mail_server.stop()


def test_workers_leave_sweeps_out_without_an_error_in_the_log_of_postgresql(tmp_path: Path) -> None:
    state_dir = Path(tempfile.mkdtemp(prefix="sweeps-", dir="/tmp"))
    state_dir.chmod(0o755)
    with postgres.running(state_dir) as server:
        product = Product(tmp_path, "")
        product.environment["DATABASE_URL"] = postgres.url(state_dir)
        product.environment["STATE_DIR"] = str(state_dir)
        found = django_environ.Env.db_url_config(postgres.url(state_dir))
        product.manage("migrate", "-v0")
        with psycopg.connect(host=found["HOST"], user=found["USER"], dbname=found["NAME"], autocommit=True) as direct:

            def waiting() -> int:
                """How many sweeps wait for a worker."""
                task = "provisioning.tasks.sweep_webhooks"
                rows = direct.execute("SELECT count(*) FROM procrastinate_jobs WHERE task_name = %s", [task]).fetchall()
                return int(rows[0][0])

            try:
                # Two that see to the times of the sweeps and leave the work to others, who don't come.
                for name in ("clock 1", "clock 2"):
                    product.start(name, "django", "procrastinate", "worker", "--queues", "nobody's")
                eventually(lambda: waiting() >= 3, "three sweeps of webhooks wait", 90)
                for name in ("worker 1", "worker 2"):
                    product.start(name, "django", "procrastinate", "worker")
                eventually(lambda: waiting() == 0, "they are done", 90)
            finally:
                for process in product.running:
                    process.terminate()
                for process in product.running:
                    process.wait(60)
        errors = [line for line in server.cluster.log.read_text().splitlines() if " ERROR: " in line]
    shutil.rmtree(state_dir)
    assert errors == []
    assert [line for line in product.logs().splitlines() if not line.startswith("Launching a worker on ")] == []
