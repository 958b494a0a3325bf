"""While the database can't be reached: 503, nothing typed is lost, and sending again does nothing twice."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.template import Context, Template
from django.test import Client
from django.urls import path
from pytest_django import Settings

from orgs.models import Organization
from provisioning.database import unavailable_page
from provisioning.models import Event, Mail, SignInCode, User
from provisioning.people import links, sign_in
from provisioning.urls import handler500
from provisioning.urls import urlpatterns as product
from subscriptions.models import Order, Site
from tests.database_door import Door, a_door
from tests.driver import Wizard
from tests.factories import an_own_order, signed_in

pytestmark = pytest.mark.django_db(transaction=True)

__all__ = ["handler500", "urlpatterns"]


def _lazy_user(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"Hello {request.user}")


def _lazy_rows(request: HttpRequest) -> HttpResponse:
    return HttpResponse(
        Template("{% for one in rows %}{{ one }}{% endfor %}").render(Context({"rows": Order.objects.all()}))
    )


def _swallowed(request: HttpRequest) -> HttpResponse:
    """Django's ``if`` takes an error in a condition with an operator for false."""
    rows = Template("{% if not rows.exists %}There are no orders.{% endif %}")
    return HttpResponse(rows.render(Context({"rows": Order.objects.all()})))


def _saved_on_the_way_out(request: HttpRequest) -> HttpResponse:
    """The session is saved by its middleware, after the page was made."""
    request.session["seen"] = True
    connection.connection.close()  # as when the server ends it
    return HttpResponse("done")


def _read_only(request: HttpRequest) -> HttpResponse:
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
        cursor.execute("DELETE FROM django_session")
    return HttpResponse("deleted")


def _session_read_only(request: HttpRequest) -> HttpResponse:
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
    request.session["seen"] = True
    return HttpResponse("done")


def _mistake(request: HttpRequest) -> HttpResponse:
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM there_is_no_such_table")
    return HttpResponse("unexpected")


urlpatterns = [
    *product,
    path("lazy-user/", _lazy_user),
    path("lazy-rows/", _lazy_rows),
    path("swallowed/", _swallowed),
    path("saved-on-the-way-out/", _saved_on_the_way_out),
    path("read-only/", _read_only),
    path("session-read-only/", _session_read_only),
    path("mistake/", _mistake),
]


@pytest.fixture
def door(settings: Settings) -> Iterator[Door]:
    """The database behind a door, and pages that fail in their own ways."""
    settings.ROOT_URLCONF = __name__
    unavailable_page.outage = unavailable_page.Outage()
    with a_door() as door:
        yield door


def browser(email: str = "", **headers: str) -> Client:
    """A browser, signed in where there is an email; it sees what a person would see of an error."""
    client = signed_in(email) if email else Client()
    client.raise_request_exception = False
    client.defaults.update({f"HTTP_{name.upper()}": value for name, value in headers.items()})
    return client


class NewConnections(Client):
    """Lets go of the connection before each request, as a web server does after it."""

    def request(self, **request: Any) -> Any:
        """Make a request."""
        connection.close_if_unusable_or_obsolete()
        if connection.connection is not None and not connection.is_usable():
            connection.close()
        return super().request(**request)


def carried(page: Any) -> tuple[str, dict[str, list[str]]]:
    """Return the address and the fields that the page's "Send again" would post."""
    html = page.content.decode()
    main = html.partition("<main")[2].partition("</main>")[0]
    action = re.search(r'<form method="post"\s+action="([^"]*)"', main)
    assert action, main
    fields: dict[str, list[str]] = {}
    for name, value in re.findall(r'<input type="hidden"\s+name="([^"]*)"\s+value="([^"]*)"', main):
        fields.setdefault(unescape(name), []).append(unescape(value))
    return unescape(action[1]), fields


@pytest.mark.parametrize(
    "address", ["/orders/", "/lazy-user/", "/lazy-rows/", "/swallowed/", "/saved-on-the-way-out/", "/nothing-here/"]
)
def test_every_page_answers_503_wherever_the_connection_is_lost(door: Door, address: str) -> None:
    client = browser("sam@partner.example.net")
    assert client.get("/orders/").status_code == 200
    if address != "/saved-on-the-way-out/":
        door.close()
    page = client.get(address)
    assert page.status_code == 503
    assert page.headers["Retry-After"] == str(unavailable_page.RETRY_AFTER)
    assert "no-store" in page.headers["Cache-Control"]
    assert "This service is not available for a moment" in page.content.decode()
    assert "sessionid" not in page.cookies


def test_the_page_is_in_the_readers_language_and_the_vendors_look(door: Door, settings: Settings) -> None:
    settings.BRAND_NAME = "Fabrikam Cloud"
    door.close()
    german = browser(accept_language="de").get("/lazy-rows/").content.decode()
    assert "Dieser Dienst ist gerade nicht erreichbar" in german
    assert '<html lang="de"' in german
    assert "Fabrikam Cloud" in german
    client = browser(accept_language="en")
    client.cookies["django_language"] = "de"
    assert "Dieser Dienst ist gerade nicht erreichbar" in client.get("/lazy-rows/").content.decode()


def test_a_server_that_takes_no_writes_is_away_too(door: Door) -> None:
    for address in ("/read-only/", "/session-read-only/"):
        page = browser("sam@partner.example.net").get(address)
        assert page.status_code == 503, address
        assert "Retry-After" in page.headers
        connection.close()


def test_a_mistake_stays_a_500(door: Door) -> None:
    page = browser().get("/mistake/")
    assert page.status_code == 500
    assert "Retry-After" not in page.headers


def test_a_script_gets_a_sentence(door: Door) -> None:
    door.close()
    for headers in ({"hx_request": "true"}, {"accept": "application/json"}):
        page = browser(**headers).get("/lazy-rows/")
        assert (page.status_code, page.headers["Content-Type"]) == (503, "text/plain; charset=utf-8")
        assert page.content.decode() == "This is not available for a moment. Try again in a few seconds."


def test_an_outage_is_two_lines_in_the_log_and_no_traceback(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    client = browser("sam@partner.example.net")
    door.close()
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            assert client.get("/orders/").status_code == 503
        door.open()
        connection.close()
        for _ in range(2):
            assert client.get("/orders/").status_code == 200
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "The database is away, pages answer 503",
        "The database answers again after 0 s.",
    ]
    assert not [record for record in caplog.records if record.exc_info]


def test_an_error_while_a_session_is_loaded_is_shown_by_itself(caplog: pytest.LogCaptureFixture) -> None:
    client = browser("sam@partner.example.net")
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE django_session RENAME TO elsewhere")
    try:
        assert client.get("/orders/").status_code == 500
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE elsewhere RENAME TO django_session")
    told = "\n".join(logging.Formatter().format(record) for record in caplog.records)
    assert 'relation "django_session" does not exist' in told
    assert "AttributeError" not in told


def test_everything_that_was_typed_is_carried(door: Door) -> None:
    client = browser("sam@partner.example.net")
    door.close()
    typed = {"one": ['<b>"quoted" & more</b>', ""], "many": ["1", "2", "3"], "text": ["two\r\nlines  "], "ünï": ["☃"]}
    page = client.post("/orders/T-1/organizations/intent/?problem=1", typed)
    assert page.status_code == 503
    address, fields = carried(page)
    assert address == "/orders/T-1/organizations/intent/?problem=1"
    assert fields == typed


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/x-www-form-urlencoded", "text=" + "x" * (unavailable_page.MOST_CARRIED + 1)),
        ("application/x-www-form-urlencoded", "text=" + "x" * 3_000_000),
        ("application/json", '{"a": 1}'),
        ("multipart/form-data; boundary=x", "no multipart at all"),
    ],
)
def test_what_cannot_be_carried_is_left_to_the_browsers_back_button(
    door: Door, settings: Settings, content_type: str, body: str
) -> None:
    client = browser("sam@partner.example.net")
    door.close()
    page = client.generic("POST", "/orders/", body, content_type=content_type)
    assert page.status_code == 503
    assert "Use the Back button of your browser" in page.content.decode()
    assert len(page.content) < 20_000


def test_a_forged_form_is_refused_and_not_carried(door: Door) -> None:
    client = signed_in("sam@partner.example.net")
    forged = Client(enforce_csrf_checks=True, raise_request_exception=False)
    forged.cookies = client.cookies
    door.close()
    page = forged.post("/orders/T-1/organizations/intent/", {"a": "1"})
    assert page.status_code in {403, 503}
    assert b"Send again" not in page.content


def walk_own_company(wizard: Wizard) -> None:
    """Confirm a new organization and set up Meetings and Calling."""
    wizard.open()
    wizard.fill("intent", audience="own")
    wizard.fill("customer")
    wizard.fill("customer-new", name="Contoso", vertical="retail", country="US")
    wizard.fill("customer-check")
    wizard.fill("review")
    wizard.flow = "set_up"
    wizard.open()
    wizard.fill("subscription", choice="now")
    wizard.fill("meetings", site_name="contoso", time_zone="Europe/Berlin", early_release="no")
    wizard.fill_headquarters("Zentrale")
    if wizard.at == "licenses":
        wizard.fill("licenses")
    wizard.fill("review")


def rows() -> dict[str, Any]:
    """What a journey leaves behind, without times and numbers."""
    return {
        "order": list(Order.objects.values_list("state", "customer__name")),
        "organizations": list(Organization.objects.values_list("name", "country")),
        "sites": list(Site.objects.values_list("name", flat=True)),
        "events": sorted(Event.objects.values_list("kind", flat=True)),
        "mails": sorted(Mail.objects.values_list("event", "to")),
        "people": sorted(User.objects.values_list("email", flat=True)),
    }


class SendsAgain(NewConnections):
    """A browser whose every post loses its connection at a word once, and whose person sends again."""

    lose: Callable[[], None]
    lost = 0

    def post(self, *args: Any, **kwargs: Any) -> Any:
        """Post, see the 503, send again."""
        follow = kwargs.pop("follow", False)
        self.lose()
        answer = super().post(*args, **kwargs)
        if answer.status_code == 503:
            self.lost += 1
            address, fields = carried(answer)
            answer = super().post(address, fields, follow=follow)
        elif follow and "Location" in answer.headers:
            answer = self.get(answer.headers["Location"], follow=True)
        return answer


@pytest.mark.parametrize("answer_only", [False, True], ids=["before the commit", "after the commit"])
def test_a_journey_whose_every_post_is_lost_at_the_commit_ends_as_one_that_is_not(
    door: Door, answer_only: bool
) -> None:
    undisturbed = an_own_order(meetings=10, calling=5, number="T-1")
    walk_own_company(Wizard(signed_in(undisturbed.contact_email), undisturbed))
    expected = rows()
    assert expected["order"] == [("set_up", "Contoso")]
    _empty()

    order = an_own_order(meetings=10, calling=5, number="T-1")
    client = SendsAgain(raise_request_exception=False)
    client.force_login(links.user_for(order.contact_email))
    client.lose = lambda: door.lose(b"COMMIT", answer_only=answer_only)
    walk_own_company(Wizard(client, order))
    assert rows() == expected
    assert client.lost >= 8


def _empty() -> None:
    from django.core.management import call_command

    call_command("flush", verbosity=0, interactive=False)


def test_signing_in_is_sent_again_until_it_worked(door: Door) -> None:
    links.user_for("kim@contoso.example.org")
    client = NewConnections(raise_request_exception=False)
    client.post("/sign-in/", {"email": "kim@contoso.example.org"})
    code = sign_in.code_of(SignInCode.objects.get())
    for word in (b"used_at", b'UPDATE "django_session"', b'INSERT INTO "django_session"', b"COMMIT"):
        door.lose(word)
        page = client.post("/sign-in/code/", {"code": code})
        if not door.loses():
            assert page.status_code == 503, word
            address, fields = carried(page)
            assert (address, fields["code"]) == ("/sign-in/code/", [code])
        door._lost.clear()
    page = client.post("/sign-in/code/", {"code": code})
    assert (page.status_code, page.headers["Location"]) == (302, "/orders/")
