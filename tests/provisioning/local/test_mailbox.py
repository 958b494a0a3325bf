"""The demo's mailbox: whatever lies in the folder of sent emails, it shows what can be read, and nothing else."""

from __future__ import annotations

import itertools
import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from django.core.mail import EmailMultiAlternatives, mailers
from django.test import Client
from django.urls import NoReverseMatch, reverse
from pytest_django import Settings

from provisioning.local.demo import mailbox
from provisioning.worker import tasks
from tests.factories import an_order

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.demo_urls")]

SAM, KIM = "sam@partner.example.net", "kim@contoso.example.org"
SECONDS = itertools.count()  # each email is a second younger than the one before it


@pytest.fixture(autouse=True)
def folder(settings: Settings, tmp_path: Path) -> Path:
    """Emails are kept in files, as in the demo."""
    settings.MAILERS = {
        "default": {
            "BACKEND": "django.core.mail.backends.filebased.EmailBackend",
            "OPTIONS": {"file_path": str(tmp_path / "mail")},
        }
    }
    return tmp_path / "mail"


def send(
    *, to: str = SAM, subject: str = "Hello", html: str = "", files: tuple[tuple[str, bytes, str], ...] = ()
) -> None:
    an_email(to=to, subject=subject, html=html, files=files).send()


def an_email(
    *, to: str, subject: str, html: str = "", files: tuple[tuple[str, bytes, str], ...] = ()
) -> EmailMultiAlternatives:
    sent = datetime(2026, 1, 5, 9, tzinfo=UTC) + timedelta(seconds=next(SECONDS))
    email = EmailMultiAlternatives(
        subject=subject,
        body="The text. See http://127.0.0.1:8000/l/abc/ now.",
        to=[to],
        headers={"Date": format_datetime(sent)},
    )
    if html:
        email.attach_alternative(html, "text/html")
    for name, content, kind in files:
        email.attach(name, content, kind)
    return email


def subjects(page: str) -> list[str]:
    return re.findall(r"<h2>\s*<a [^>]*>\s*([^<]*?)\s*</a>\s*</h2>", page)


def test_newest_email_comes_first_and_one_address_can_be_picked(client: Client) -> None:
    for number in range(3):
        send(subject=f"For Sam {number}")
    send(to=KIM, subject="For Kim")
    assert subjects(client.get("/mailbox/").content.decode()) == ["For Kim", "For Sam 2", "For Sam 1", "For Sam 0"]
    page = client.get("/mailbox/", {"to": " Sam@Partner.example.net "}).content.decode()
    assert subjects(page) == ["For Sam 2", "For Sam 1", "For Sam 0"]
    assert f'<option value="{SAM}" selected>' in page


def test_file_that_holds_several_emails_shows_each_of_them(client: Client, folder: Path) -> None:
    mailers["default"].send_messages([an_email(to=SAM, subject=f"Number {number}") for number in (1, 2, 3)])
    assert len(list(folder.iterdir())) == 1
    assert subjects(client.get("/mailbox/").content.decode()) == ["Number 3", "Number 2", "Number 1"]
    second = next(letter for letter in mailbox.letters() if letter.subject == "Number 2")
    assert "<h1>Number 2</h1>" in client.get(reverse("mail", args=[second.file, second.at])).content.decode()


def test_email_that_is_still_being_written_shows_when_it_is_complete(client: Client, folder: Path) -> None:
    mailers["default"].send_messages([an_email(to=SAM, subject=f"Number {number}") for number in (1, 2)])
    file = next(folder.iterdir())
    whole = file.read_bytes()
    middle = whole.index(b"-" * 79) + 80
    for length in range(0, len(whole), 37):
        file.write_bytes(whole[:length])
        assert subjects(client.get("/mailbox/").content.decode()) == (["Number 1"] if length >= middle else [])
    file.write_bytes(whole)
    assert subjects(client.get("/mailbox/").content.decode()) == ["Number 2", "Number 1"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00\xff\xfe no email at all",
        b"To: \xff\xfe\r\nSubject: =?bogus?Q?=FF?=\r\nDate: the day before\r\n\r\nbody\r\n",
        b"Content-Type: multipart/alternative\r\nTo: <<<>\r\n\r\n--x\r\n",
        b'Content-Type: text/plain; charset="no-such-charset"\r\nTo: sam@partner.example.net\r\n\r\n\xff\r\n',
    ],
)
def test_file_that_is_no_email_hides_no_other(client: Client, folder: Path, content: bytes) -> None:
    send(subject="Readable")
    (folder / "broken.log").write_bytes(content + b"\n" + b"-" * 79 + b"\n")
    (folder / "broken.eml").write_bytes(content)
    (folder / "folder.log").mkdir()
    (folder / "notes.txt").write_bytes(b"To: sam@partner.example.net\r\nSubject: Not an email\r\n\r\n")
    page = client.get("/mailbox/")
    assert page.status_code == 200
    assert "Readable" in subjects(page.content.decode())
    assert "Not an email" not in page.content.decode()


def test_html_of_an_email_is_shut_in_and_its_links_open_in_the_readers_tab(client: Client) -> None:
    send(html="<html><head></head><body style='color:red'><script>x()</script><a href='/l/abc/'>Go</a></body></html>")
    letter = mailbox.letters()[0]
    page = client.get(reverse("mail", args=[letter.file, letter.at]))
    frame = re.search(r'<iframe [^>]*sandbox="([^"]*)"[^>]*src="([^"]*)"', page.content.decode())
    assert frame
    assert "allow-scripts" not in frame[1]
    assert "allow-same-origin" not in frame[1]
    assert "frame-src 'self'" in page["Content-Security-Policy"]
    assert "unsafe-inline" not in page["Content-Security-Policy"]
    shown = client.get(frame[2])
    policy = shown["Content-Security-Policy"]
    assert "style-src 'unsafe-inline'" in policy
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "sandbox allow-popups" in policy
    assert "frame-ancestors 'self'" in policy
    assert shown["X-Frame-Options"] == "SAMEORIGIN"
    assert '<head><base target="_top">' in shown.content.decode()


def test_text_version_can_be_read_and_its_link_opened(client: Client) -> None:
    send(html="<p>x</p>")
    letter = mailbox.letters()[0]
    page = client.get(reverse("mail", args=[letter.file, letter.at])).content.decode()
    assert '<a href="http://127.0.0.1:8000/l/abc/"' in page
    assert "Text version" in page


def test_attachment_is_downloaded_as_it_was_sent(client: Client) -> None:
    send(files=(("order summary.pdf", b"%PDF-1.7\n-------\n\x00\xff", "application/pdf"),))
    letter = mailbox.letters()[0]
    page = client.get(reverse("mail", args=[letter.file, letter.at])).content.decode()
    address = reverse("mail_attachment", args=[letter.file, letter.at, 0])
    assert f'<a href="{address}">order summary.pdf</a>' in page
    file = client.get(address)
    assert file.content == b"%PDF-1.7\n-------\n\x00\xff"
    assert file["Content-Disposition"] == 'attachment; filename="order summary.pdf"'
    assert client.get(reverse("mail_attachment", args=[letter.file, letter.at, 1])).status_code == 404


@pytest.mark.parametrize(
    "file", ["..", "no-such.log", "..%2F..%2Fetc%2Fpasswd", "a%00.log", ".log", "%F0%9F%93%A7.log"]
)
def test_nothing_but_an_email_of_the_folder_can_be_opened(client: Client, file: str) -> None:
    send()
    for page in ("", "html/", "files/0/"):
        assert client.get(f"/mailbox/{file}/0/{page}").status_code == 404
    assert client.get(f"/mailbox/{mailbox.letters()[0].file}/99999999999999999999/").status_code == 404


def test_folder_that_is_not_there_yet_is_an_empty_mailbox(client: Client) -> None:
    page = client.get("/mailbox/", {"to": SAM}).content.decode()
    assert "No emails yet" in page


def test_email_that_waits_for_the_worker_is_announced(client: Client) -> None:
    order = an_order(contact=SAM)
    assert "1 email is on its way" in client.get("/mailbox/", {"to": SAM}).content.decode()
    assert "on its way" not in client.get("/mailbox/", {"to": KIM}).content.decode()
    tasks.send_mail.func(pk=order.mails.get().pk)
    page = client.get("/mailbox/", {"to": SAM}).content.decode()
    assert subjects(page) == [f"Provisioning information required for order {order.number}"]
    assert "on its way" not in page


def test_mail_that_goes_elsewhere_is_said_to(client: Client, settings: Settings) -> None:
    settings.MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}
    assert "sends emails elsewhere" in client.get("/mailbox/").content.decode()


@pytest.mark.urls("provisioning.urls")
def test_nobody_but_the_demo_has_a_mailbox(client: Client) -> None:
    send()
    letter = mailbox.letters()[0]
    for page in ("/mailbox/", f"/mailbox/{letter.file}/0/", f"/mailbox/{letter.file}/0/html/"):
        assert client.get(page).status_code == 404
    with pytest.raises(NoReverseMatch):
        reverse("mailbox")
