"""Order summaries as documents: kept, the same for everybody who asks again, and proved by a code."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import threading
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pypdf
import pytest
import time_machine
from django.conf import settings
from django.core import mail
from django.db import connection
from django.test import Client
from django.utils import timezone
from django.utils.translation import override
from procrastinate.contrib.django.models import ProcrastinateJob
from pytest_django import Settings

from orgs.models import Organization
from provisioning import actions
from provisioning.models import Mail, Webhook
from provisioning.pages.documents import UNKNOWN_CODES
from provisioning.people import links
from provisioning.worker import tasks
from subscriptions.models import Document, KeptPdf, Location, Order, OrderLine, Site, Subscription
from subscriptions.packs.meetings import SitePlan
from subscriptions.summary import build_summary, documents, pdf, pdf_cache, verification_codes
from subscriptions.summary.documents import CodeStatus, verify
from tests.factories import a_delegated_order, a_mapped_order, an_organization, signed_in
from tests.long.test_webhooks_under_fire import environment
from tests.mailbox import deliver
from tests.subscriptions.summary.test_pdf import packed, shown, text_of
from tests.subscriptions.test_set_up import HEADQUARTERS
from tests.turns import all_turns_taken

KIM = "kim@contoso.example.org"
CODE = re.compile(r"[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}")
pytestmark = pytest.mark.django_db


def set_up(order: Order, name: str = "contoso-main") -> Order:
    by = links.user_for(order.delegated_to or order.contact_email)
    return actions.set_up(order=order, by=by, plans={"meetings": [SitePlan(name, "Europe/Berlin", True, 250)]})


def download(order: Order, email: str = KIM, **headers: str) -> Any:
    return signed_in(email).get(f"/orders/{order.number}/summary.pdf", headers=headers)


def code_in(content: bytes) -> str:
    """The code that is printed at the end."""
    found = CODE.search(pypdf.PdfReader(io.BytesIO(content)).pages[-1].extract_text())
    assert found
    return found[0]


def asked(code: str) -> str:
    """What the public page says of a code, to somebody who isn't signed in."""
    page = Client().get(f"/verify/{code}/")
    assert page.status_code == 200
    return page.text


def test_document_is_genuine_and_current_until_something_changes() -> None:
    order = set_up(a_mapped_order(contact=KIM))
    code = code_in(download(order).content)
    assert "genuine and current" in asked(code)
    Organization.objects.update(name="Contoso Holding")
    page = asked(code)
    assert "genuine, but no longer current" in page
    # The next download is of today's facts, and has a code of its own; the old one is still known.
    newer = code_in(download(order).content)
    assert newer != code
    assert verify(newer) is CodeStatus.CURRENT
    assert verify(code) is CodeStatus.CHANGED


def test_page_says_nothing_of_the_order() -> None:
    order = set_up(a_mapped_order(contact=KIM))
    code = code_in(download(order).content)
    pages = {word: asked(word) for word in (code, "0000-0000-0000")}
    for page in pages.values():
        for fact in (order.number, "Contoso", "contoso-main", KIM, "Meetings"):
            assert fact not in page
    assert abs(len(pages[code]) - len(pages["0000-0000-0000"])) < 200


@pytest.mark.parametrize("how", [str.lower, lambda code: code.replace("-", ""), lambda code: f" {code} ",
                                 lambda code: code.replace("0", "O").replace("1", "l")])  # fmt: skip
def test_code_may_be_typed_as_it_is_read(how: Any) -> None:
    order = set_up(a_mapped_order(contact=KIM))
    _document, _summary, code = documents.issue(order)
    page = Client().get("/verify/", {"code": how(code)})
    assert "genuine and current" in page.text


@pytest.mark.parametrize("typed", ["", "hello", "ABCD-EFGH-JKM", "ABCD-EFGH-JKMU", "\x00" * 12, "🙂" * 12, "1" * 5000])
def test_what_is_no_code_is_asked_for_again(typed: str) -> None:
    page = Client().get("/verify/", {"code": typed})
    assert page.status_code == 200
    assert "12 letters and numbers" in page.text
    assert "There is a problem" in page.text


def test_qr_code_leads_to_the_page(settings: Settings) -> None:
    settings.PUBLIC_URL = "https://setup.example.com"
    order = set_up(a_mapped_order(contact=KIM))
    _document, _summary, code = documents.issue(order)
    url = verification_codes.verify_url(code)
    assert url == f"https://setup.example.com/verify/{code}/"
    assert "genuine and current" in Client().get(urlsplit(url).path).text
    content = download(order).content
    assert packed(f"enter {code} at setup.example.com/verify/") in text_of(content)


def test_guessing_is_counted_and_ends_for_that_network_only() -> None:
    order = set_up(a_mapped_order(contact=KIM))
    _document, _summary, code = documents.issue(order)
    guesser, other = Client(REMOTE_ADDR="203.0.113.9"), Client(REMOTE_ADDR="198.51.100.7")
    for number in range(UNKNOWN_CODES):
        assert "We don’t know" in guesser.get(f"/verify/0000-0000-{number:04}/").text
    refused = guesser.get(f"/verify/{code}/")
    assert (refused.status_code, "genuine" in refused.text) == (429, False)
    assert "genuine and current" in other.get(f"/verify/{code}/").text
    assert guesser.get("/verify/").status_code == 200
    with time_machine.travel(timezone.now() + timedelta(hours=1, minutes=1)):
        assert "genuine and current" in guesser.get(f"/verify/{code}/").text


def test_code_can_not_be_made_without_the_key_and_outlives_it(settings: Settings) -> None:
    order = set_up(a_mapped_order(contact=KIM))
    old = download(order)
    code = code_in(old.content)
    before, settings.SECRET_KEY = settings.SECRET_KEY, "another" * 10
    settings.SECRET_KEY_FALLBACKS = [before]
    assert documents.issue(order)[2] == code  # while the old key is known, the same bytes
    settings.SECRET_KEY_FALLBACKS = []
    assert documents.issue(order)[2] != code
    assert verify(code) is CodeStatus.CURRENT
    assert Document.objects.filter(order=order).count() == 2


def test_worker_keeps_the_pdf_of_everybody_who_may_read_it_and_a_download_makes_none() -> None:
    order = set_up(a_mapped_order(contact=KIM))
    document = Document.objects.get()
    tasks.make_pdfs.func(pk=document.pk)
    kept = KeptPdf.objects.count()
    assert kept == 2  # one a language
    answer = download(order)
    assert bytes(KeptPdf.objects.get(key=answer["ETag"].strip('"')).content) == answer.content
    german = signed_in(KIM)
    german.cookies["django_language"] = "de"
    assert "Bestell" in text_of(german.get(f"/orders/{order.number}/summary.pdf").content)
    tasks.make_pdfs.func(pk=document.pk)
    deliver()
    assert KeptPdf.objects.count() == kept
    [attachment] = mail.outbox[-1].attachments
    assert attachment[1] == answer.content  # the contact's email has the same bytes


def test_one_that_is_not_kept_yet_is_made_at_once_and_is_the_same() -> None:
    order = set_up(a_mapped_order(contact=KIM))
    first = download(order).content
    assert not KeptPdf.objects.exists()
    assert first == download(order).content
    tasks.make_pdfs.func(pk=Document.objects.get().pk)
    assert first == download(order).content


def test_same_document_is_not_sent_twice_to_a_reader_who_has_it() -> None:
    order = set_up(a_mapped_order(contact=KIM))
    tag = download(order)["ETag"]
    again = download(order, **{"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    assert download(order, **{"If-None-Match": '"other"'}).status_code == 200


def test_who_sees_masked_addresses_has_the_same_code_on_other_bytes() -> None:
    order = set_up(a_delegated_order())
    contents = [download(order, email).content for email in (order.contact_email, order.delegated_to)]
    assert contents[0] != contents[1]
    assert code_in(contents[0]) == code_in(contents[1])
    assert order.contact_email not in text_of(contents[1])


def test_sweeper_finds_what_a_killed_worker_left() -> None:
    set_up(a_mapped_order(contact=KIM))
    assert pdf_cache.documents_without_pdf() == []  # a worker may be at it
    with time_machine.travel(timezone.now() + timedelta(minutes=1)):
        [document] = pdf_cache.documents_without_pdf()
        tasks.sweep_pdfs.func(timestamp=0)
        tasks.make_pdfs.func(pk=document.pk)
        assert pdf_cache.documents_without_pdf() == []


def test_old_pdfs_are_dropped_and_their_documents_stay() -> None:
    order = set_up(a_mapped_order(contact=KIM))
    code = documents.issue(order)[2]
    tasks.make_pdfs.func(pk=Document.objects.get().pk)
    with time_machine.travel(timezone.now() + timedelta(days=8)):
        assert pdf_cache.delete_old_pdfs() == 0
        Organization.objects.update(name="Contoso Holding")
        documents.issue(order)
        assert pdf_cache.delete_old_pdfs() == 2
        assert verify(code) is CodeStatus.CHANGED
    assert download(order).status_code == 200


SCRIPT = """
import sys, time, threading, django
django.setup()
from subscriptions.summary import documents, pdf
from subscriptions.models import Order
order = Order.objects.get()
real = pdf.render
def timed(*args, **kwargs):
    begun = time.time()
    content = real(*args, **kwargs)
    print(begun, time.time(), flush=True)
    return content
pdf.render = timed
copy = documents.copy_for(order, reader=order.contact_email, language="en")
for _time in range(6):
    copy.make()
"""


@pytest.mark.django_db(transaction=True)
def test_never_more_than_two_are_made_at_once_by_all_processes_together(tmp_path: Path) -> None:
    set_up(a_mapped_order(contact=KIM))
    script = tmp_path / "make.py"
    script.write_text(SCRIPT)
    running = [
        subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, env=environment(1), text=True)
        for _number in range(4)
    ]
    spans = [tuple(map(float, line.split())) for one in running for line in one.communicate()[0].splitlines()]
    assert len(spans) == 24
    edges = sorted([(begun, 1) for begun, _ended in spans] + [(ended, -1) for _begun, ended in spans])
    most, now = 0, 0
    for _at, change in edges:
        now += change
        most = max(most, now)
    assert most == pdf_cache.RENDERS


@pytest.mark.django_db(transaction=True)
def test_whoever_waits_too_long_is_told_that_it_is_being_made_and_asks_again(caplog: pytest.LogCaptureFixture) -> None:
    order = set_up(a_mapped_order(contact=KIM))
    with all_turns_taken():
        answer = download(order)
    assert (answer.status_code, answer["Retry-After"], answer["Refresh"]) == (202, "1", "1")
    assert f"/orders/{order.number}/summary.pdf" in answer.text
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
    assert download(order)["Content-Type"] == "application/pdf"


@pytest.mark.django_db(transaction=True)
def test_download_waits_for_the_pdf_that_a_worker_is_making() -> None:
    order = set_up(a_mapped_order(contact=KIM))
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO procrastinate_workers DEFAULT VALUES")
    copy = documents.copy_for(order, reader=KIM, language="en")

    def keep() -> None:
        KeptPdf.objects.create(document=copy.document, key=copy.key, content=b"%PDF the worker's")
        connection.close()

    with all_turns_taken():  # so that it can't be made here
        worker = threading.Timer(0.2, keep)
        worker.start()
        answer = download(order)
        worker.join()
    assert answer.content == b"%PDF the worker's"


def jobs(name: str) -> list[ProcrastinateJob]:
    """The jobs of this task for the rows of this test, in the order in which they were deferred."""
    rows = Mail if name == "send_mail" else Document
    own = ProcrastinateJob.objects.filter(args__pk__in=list(rows.objects.values_list("pk", flat=True)))
    return list(own.filter(task_name=f"provisioning.tasks.{name}").order_by("pk"))


def test_readers_own_language_is_made_first_and_by_itself() -> None:
    order = a_mapped_order(contact=KIM)
    with override("de"):
        set_up(order)
    [first], [rest] = jobs("make_pdf"), jobs("make_pdfs")
    assert int(first.priority) > int(rest.priority)
    tasks.make_pdf.func(**first.args)
    german = signed_in(KIM)
    german.cookies["django_language"] = "de"
    answer = german.get(f"/orders/{order.number}/summary.pdf")
    assert [f'"{kept.key}"' for kept in KeptPdf.objects.all()] == [answer["ETag"]]


def test_pdfs_never_take_the_places_that_emails_need() -> None:
    for number in range(6):
        set_up(a_mapped_order(contact=KIM), f"site-{number}")
    pdfs = jobs("make_pdf") + jobs("make_pdfs")
    locks = {job.lock for job in pdfs}
    assert len(pdfs) == 12
    assert None not in locks
    # procrastinate runs one job of a lock at a time; two more may wait for the vendor's systems.
    assert len(locks) + 2 < settings.WORKER_CONCURRENCY
    assert all(int(job.priority) > int(pdf.priority) for job in jobs("send_mail") for pdf in pdfs)


@pytest.mark.django_db(transaction=True)
def test_confirmation_goes_out_once_its_pdf_is_made_and_keeps_nothing_waiting() -> None:
    order = set_up(a_mapped_order(contact=KIM))
    row = order.mails.get(event="set_up_confirmation")
    with all_turns_taken():
        tasks.send_mail.func(pk=row.pk)
    row.refresh_from_db()
    assert (row.sent_at, row.tries) == (None, 0)
    woken = len(jobs("send_mail"))
    tasks.make_pdf.func(pk=Document.objects.get().pk, reader=KIM, language="en")
    assert len(jobs("send_mail")) == woken + 1
    tasks.send_mail.func(pk=row.pk)
    assert mail.outbox[-1].attachments[0][1] == bytes(KeptPdf.objects.get().content)


def test_process_that_is_ready_has_parsed_the_styles_of_the_first_pdf() -> None:
    pdf.warm_up()
    before = pdf._style.cache_info()
    pdf.stylesheet(build_summary(set_up(a_mapped_order(contact=KIM))))
    after = pdf._style.cache_info()
    assert (after.hits, after.misses) == (before.hits + 1, before.misses)


@pytest.mark.parametrize("table", ["order", "organization", "line", "subscription", "site", "location"])
def test_change_of_any_fact_is_noticed_by_the_next_download(table: str) -> None:
    order = a_mapped_order(contact=KIM, meetings=250, calling=40)
    plans = {"meetings": [SitePlan("contoso-main", "Europe/Berlin", True, 250)], "calling": HEADQUARTERS}
    actions.set_up(order=order, by=links.user_for(KIM), plans=plans)
    tasks.make_pdfs.func(pk=Document.objects.get().pk)
    before = download(order)
    change: dict[str, Any] = {
        "order": lambda: Order.objects.update(sold_to="Contoso Holding"),
        "organization": lambda: Organization.objects.update(country="FR"),
        "line": lambda: OrderLine.objects.filter(service="calling").update(product="Calling Plus"),
        "subscription": lambda: Subscription.objects.update(ends_at=timezone.now() + timedelta(days=999)),
        "site": lambda: Site.objects.update(time_zone="Europe/Vienna"),
        "location": lambda: Location.objects.update(name="Zentrale"),
    }
    change[table]()
    after = download(order)
    assert code_in(after.content) != code_in(before.content)
    assert verify(code_in(before.content)) is CodeStatus.CHANGED


def test_page_pdf_email_and_webhook_say_the_same_fact_by_fact(settings: Settings) -> None:
    settings.WEBHOOK_URL, settings.WEBHOOK_SECRETS = "https://erp.example.com/", ["whsec_" + "A" * 43]
    order = a_mapped_order(contact=KIM, meetings=250, calling=40)
    plans = {
        "meetings": [SitePlan("contoso-main", "Europe/Berlin", True, 200), SitePlan("contoso-lab", "UTC", False, 50)],
        "calling": HEADQUARTERS,
    }
    actions.set_up(order=order, by=links.user_for(KIM), plans=plans)
    summary = build_summary(order)
    [letter] = [message for message in deliver() if "is set up" in message.subject]
    content = download(order).content
    texts = {
        "page": packed(unescape(re.sub("<[^>]+>", " ", signed_in(KIM).get(f"/orders/{order.number}/summary/").text))),
        "pdf": text_of(content),
        "email": packed(str(letter.body)).lower(),
        "email in HTML": packed(unescape(re.sub("<[^>]+>", " ", str(letter.alternatives[0][0])))).lower(),  # type: ignore[attr-defined]
    }
    facts = [packed(fact) for fact in shown(summary)]
    tables = [one.table for one in summary.sections if one.table]
    heads = {packed(word) for table in tables for word in (*table.head, *table.total)}  # an email lists the rows only
    for where, text in texts.items():
        wanted = {fact.lower() for fact in facts if fact not in heads} if "email" in where else set(facts)
        assert [fact for fact in wanted if fact not in text] == [], where
    [told] = Webhook.objects.filter(message__type="order.set_up")
    attached = pypdf.PdfReader(io.BytesIO(content)).attachments[f"order-{order.number}.json"][0]
    assert json.loads(told.message.body)["data"]["summary"] == json.loads(attached) == summary.as_dict()
    assert letter.attachments[0][1] == content


def test_everybody_named_in_the_order_gets_one_confirmation() -> None:
    order = set_up(a_delegated_order())
    told = [message.to for message in deliver() if "is set up" in message.subject]
    assert sorted(told) == [[order.customer_email], [order.contact_email]]
    assert order.delegated_to == order.customer_email
    mail.outbox.clear()
    own = a_mapped_order(
        contact="lee@adventure.example", customer=an_organization("Adventure", administrators=["lee@adventure.example"])
    )
    set_up(own, "adventure-main")
    assert [message.to for message in deliver() if "is set up" in message.subject] == [["lee@adventure.example"]]
