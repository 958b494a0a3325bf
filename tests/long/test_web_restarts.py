"""Pages while PostgreSQL restarts, is away, or is replaced by its standby, through gunicorn and its connection pool."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from tests.database_door import Door
from tests.long.database_server import DatabaseServer, a_folder
from tests.long.installation import Answer, Browser, Installation
from tests.long.local_machine import eventually

THREADS = 8
# Seconds: a request that first waits for the pool needs 5 (connection_pool.BUSY_TIMEOUT) or more.
AT_ONCE = 4.5

MAKE = """
from provisioning.people import links
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.auth import SESSION_KEY, BACKEND_SESSION_KEY, HASH_SESSION_KEY
from tests.factories import an_own_order
order = an_own_order(number="T-1")
user = links.user_for(order.contact_email)
session = SessionStore()
session[SESSION_KEY] = str(user.pk)
session[BACKEND_SESSION_KEY] = "allauth.account.auth_backends.AuthenticationBackend"
session[HASH_SESSION_KEY] = user.get_session_auth_hash()
session.create()
say(session.session_key)
"""
PATH = "/orders/T-1/organizations/intent/"


@pytest.fixture
def session(installation: Installation) -> str:
    """The session of somebody with an order; the web server runs."""
    found: str = installation.python(MAKE)
    installation.environment |= {"PROVISIONING_DEMO": "1"}  # static files without a collection
    installation.start_web("--threads", str(THREADS), "--keep-alive", "75")
    return found


def all_at_once(installation: Installation, session: str, count: int = THREADS) -> list[Answer]:
    """Open the order's page in as many browsers."""
    browsers = [Browser(installation, session=session) for _ in range(count)]
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda browser: browser.get(PATH), browsers))


def statuses(answers: list[Answer]) -> set[int]:
    """The statuses of answers."""
    return {answer.status for answer in answers}


def test_every_page_comes_after_a_restart_without_a_failed_one_before(
    installation: Installation, database: DatabaseServer, session: str
) -> None:
    """Nobody asked for a page meanwhile, so that all the pool's connections are dead ones."""
    for _ in range(3):
        assert statuses(all_at_once(installation, session)) == {200}
        database.stop()
        database.start()
        began = time.monotonic()
        assert Browser(installation, session=session).get(PATH).status == 200
        assert time.monotonic() - began < AT_ONCE
        assert statuses(all_at_once(installation, session)) == {200}


def test_pages_answer_503_at_once_while_the_server_is_away_and_200_when_it_is_back(
    installation: Installation, database: DatabaseServer, session: str
) -> None:
    """It is away longer than psycopg's pool would wait for its fifth try."""
    assert statuses(all_at_once(installation, session)) == {200}
    database.stop()
    until = time.monotonic() + 20
    while time.monotonic() < until:
        began = time.monotonic()
        answers = all_at_once(installation, session)
        assert statuses(answers) == {503}
        assert {answer.headers["Retry-After"] for answer in answers} == {"5"}
        assert time.monotonic() - began < AT_ONCE
    database.start()
    assert Browser(installation, session=session).get(PATH).status == 200
    assert statuses(all_at_once(installation, session)) == {200}
    told = installation.log("web")
    assert told.count("The database is away") == 1
    assert told.count("The database answers again") == 1
    assert "Traceback" not in told


def test_what_was_posted_while_it_was_away_is_sent_again_once(
    installation: Installation, database: DatabaseServer, session: str
) -> None:
    browser = Browser(installation, session=session)
    page = browser.get(PATH)
    token = page.text.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
    assert token
    database.stop()
    typed = [("csrfmiddlewaretoken", token), ("intent-audience", "own"), ("revision", "0")]
    lost = browser.post(PATH, typed)
    assert lost.status == 503
    assert [field for field in lost.fields() if field[0] != "csrfmiddlewaretoken"] == typed[1:]
    again = browser.send_again(lost)
    assert again.status == 503
    database.start()
    done = browser.send_again(again)
    assert done.status == 200
    assert done.url.endswith("/organizations/customer/")
    assert database.execute("SELECT count(*) FROM provisioning_draft") == [(1,)]


def test_standby_that_takes_no_writes_yet_is_an_outage_and_the_promoted_one_is_used(
    installation: Installation, database: DatabaseServer, session: str
) -> None:
    browser = Browser(installation, session=session)
    page = browser.get(PATH)
    token = page.text.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
    with a_folder() as folder:
        standby = database.standby(folder)
        database.stop()
        standby.start()
        try:
            lost = browser.post(PATH, [("csrfmiddlewaretoken", token), ("intent-audience", "own")])
            assert lost.status == 503
            standby.promote()
            assert browser.send_again(lost).status == 200
        finally:
            standby.stop()


def test_busy_pool_is_waited_for_and_too_many_clients_are_an_outage(
    installation: Installation, database: DatabaseServer, session: str
) -> None:
    installation.end("web")
    installation.environment["DATABASE_POOL"] = "1"
    installation.start_web("--threads", str(THREADS))
    assert statuses(all_at_once(installation, session, 3 * THREADS)) == {200}
    installation.end("web")
    with contextlib.ExitStack() as others:
        with contextlib.suppress(psycopg.OperationalError):
            while True:
                others.enter_context(psycopg.connect(database.url))
        installation.start_web("--threads", str(THREADS))
        assert Browser(installation, session=session).get(PATH).status == 503
    assert Browser(installation, session=session).get(PATH).status == 200


@pytest.fixture
def silent(installation: Installation, database: DatabaseServer) -> Iterator[Any]:
    """The database behind a door that can stop passing on anything, as a network that drops packets."""
    door = Door(f"127.0.0.1:{database.port}")
    door.open()
    installation.environment["DATABASE_URL"] = database.url.replace(str(database.port), str(door.port))
    yield door
    door.close()


def test_connections_that_the_network_cut_are_replaced(silent: Door, installation: Installation, session: str) -> None:
    assert statuses(all_at_once(installation, session)) == {200}
    silent.close()
    assert statuses(all_at_once(installation, session)) == {503}
    silent.open()
    assert statuses(all_at_once(installation, session)) == {200}
    eventually(lambda: "The database answers again" in installation.log("web"), "the log says that it is over")
