"""Drills: a dump is restored into an empty database, and SECRET_KEY is changed, while people are in the middle."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection, connections
from django.test import Client
from psycopg.conninfo import make_conninfo
from pytest_django import Settings

from provisioning.local.database import postgres
from provisioning.models import Mail
from provisioning.people import links, sign_in
from subscriptions.summary import documents
from tests.factories import a_mapped_order, an_order, signed_in
from tests.mailbox import deliver, link_in, newest, newest_code

pytestmark = pytest.mark.django_db(transaction=True)
SAM = "sam@partner.example"


def programs() -> Path:
    """Return the folder of PostgreSQL's programs."""
    server = postgres.start(Path(os.environ.get("STATE_DIR", ".state")).resolve())
    try:
        assert server.programs
        return Path(server.programs) / "bin"
    finally:
        server.release()


@contextmanager
def restored(folder: Path) -> Iterator[None]:
    """Dump the tests' database, restore the dump into an empty one, and use that one."""
    params = connection.get_connection_params()
    own = {key: str(params[key]) for key in ("host", "port", "user", "password") if params.get(key)}
    name, copy, dump = params["dbname"], f"{params['dbname']}_restored", folder / "dump"
    bin_folder = programs()
    connections.close_all()
    subprocess.run(
        [str(bin_folder / "pg_dump"), "--format=custom", f"--file={dump}", make_conninfo("", **own, dbname=name)],
        check=True,
    )
    with psycopg.connect(make_conninfo("", **own, dbname="postgres"), autocommit=True) as server:
        server.execute(f'DROP DATABASE IF EXISTS "{copy}"')
        server.execute(f'CREATE DATABASE "{copy}" TEMPLATE template0')
    target = make_conninfo("", **own, dbname=copy)
    subprocess.run(
        [str(bin_folder / "pg_restore"), "--no-owner", "--exit-on-error", f"--dbname={target}", str(dump)], check=True
    )
    connection.settings_dict["NAME"] = copy
    try:
        yield
    finally:
        connections.close_all()
        connection.settings_dict["NAME"] = name
        with psycopg.connect(make_conninfo("", **own, dbname="postgres"), autocommit=True) as server:
            server.execute(f'DROP DATABASE "{copy}" WITH (FORCE)')


def test_restored_dump_has_a_whole_history_working_links_and_codes_and_sends_nothing_twice(tmp_path: Path) -> None:
    order = an_order(contact=SAM)
    path = link_in(newest(SAM))
    finished = a_mapped_order(contact="kim@contoso.example.org")
    _document, _summary, code = documents.issue(finished)
    deliver()
    waiting = an_order(contact="later@partner.example").mails.get()
    browser = signed_in(SAM)
    with restored(tmp_path):
        out = StringIO()
        call_command("verify_history", stdout=out)
        assert "whole" in out.getvalue()
        assert browser.get(f"/orders/{order.number}/", follow=True).status_code == 200
        visitor = Client()
        assert visitor.post(path).status_code == 302
        assert visitor.post("/sign-in/code/", {"code": newest_code(SAM)}).status_code == 302
        assert visitor.get("/orders/").status_code == 200
        assert code in Client().get(f"/verify/{code}/").content.decode()
        sent = [message for message in deliver() if "Provisioning information" in message.subject]
        assert sent == []  # newest_code sent the one that waited, and nothing that had been sent
        assert set(Mail.objects.filter(sent_at=None)) == set()
        assert Mail.objects.get(pk=waiting.pk).public_id == waiting.public_id
        assert Mail.objects.filter(tries__gt=1).count() == 0


def test_changed_secret_key_keeps_links_sessions_and_codes_that_are_on_the_way(settings: Settings) -> None:
    order = an_order(contact=SAM)
    path = link_in(newest(SAM))
    browser = signed_in(SAM)
    visitor = Client()
    visitor.post(path)
    code = newest_code(SAM)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another key of fifty characters 0123456789 abcdefgh"
    assert browser.get(f"/orders/{order.number}/", follow=True).status_code == 200
    assert Client().get(path).status_code == 200
    assert links.url_for(order.links.get()).endswith(path)
    assert visitor.post("/sign-in/code/", {"code": code}).status_code == 302
    assert visitor.get("/orders/").status_code == 200
    assert sign_in.use_code(SAM, code) is False  # it worked once
