"""Every page × everybody × every order: who gets what. A new address without a row here fails the test."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from http.cookies import SimpleCookie
from typing import Any

import pytest
import time_machine
from django.core import mail
from django.db import connection
from django.test import Client, override_settings
from django.urls import URLPattern, resolve, reverse
from django.urls.exceptions import Resolver404
from pytest_django import DjangoDbBlocker, Settings

from orgs.actions import add_member
from provisioning import actions
from provisioning.fulfillment.outcomes import Rejected, Running
from provisioning.models import AccessRequest, User
from provisioning.people import links
from provisioning.urls import urlpatterns
from subscriptions.models import Order
from subscriptions.packs.meetings import SitePlan
from subscriptions.summary import pdf_cache
from tests import scripted
from tests.databases import rolled_back
from tests.driver import Wizard, form_fields
from tests.factories import a_delegated_order, a_mapped_order, an_order, an_organization, an_own_order, signed_in
from tests.mailbox import deliver, link_in, newest, newest_code
from tests.scripted_broker import work

pytestmark = pytest.mark.django_db

SAM, ALEX, WRONG, KIM, LEE, BOSS, DANA, EVE, DESK = (
    "sam@partner.example", "alex@partner.example", "wrong@partner.example", "kim@contoso.example",
    "lee@adventure.example", "boss@adventure.example", "dana@fabrikam.example", "eve@elsewhere.example",
    "desk@vendor.example",
)  # fmt: skip

# Who stands where: the person's email, and how their order came there.
PEOPLE = {
    "contact": ALEX,  # the order was handed over to them
    "former": SAM,  # handed it over, and may take it back
    "replaced": WRONG,  # the desk named somebody else
    "held": LEE,  # waits for an administrator
    "approver": BOSS,  # is asked by the one who waits
    "partner": SAM,  # lets the customer set up the services
    "delegate": DANA,  # sets them up
    "taken": DANA,  # did, until the partner took over
    "mapped": KIM,
    "set-up": KIM,
    "ended": KIM,  # the order was cancelled
}
# People of orders that are being set up, which don't close.
SETTING_UP = {
    "running": KIM,  # everything is asked for
    "refused": DANA,  # sets up the services for the customer, and an answer was refused
    "watching": SAM,  # lets them do it
}
# The same people once the set-up-by date has passed: what each address leads to, by GET and by POST.
CLOSED_READING = """
                contact former replaced held   approver partner delegate taken  mapped set-up  ended
order           closed  closed closed   closed request  closed  closed   closed closed summary cancelled
closed          page    page   page     page   order    page    page     page   page   order   order
access_request  404     404    404      404    page     404     404      404    404    404     404
cancelled       order   order  order    order  order    order   order    order  order  order   page
summary         order   order  order    order  order    order   order    order  order  page    order
summary_pdf     404     404    404      404    404      404     404      404    404    page    404
site_name       404     404    404      404    404     404     404      404    404    404     404
history         page    page   page     page   404     page     page     page   page   page    page
history_as csv  page    page   page     page   404     page     page     page   page   page    page
history_as json page    page   page     page   404     page     page     page   page   page    page
"""  # every other address leads to "order"

# What each address answers to a GET (and HEAD), by who asks. A name is where it leads; "page" is a page.
READING = """
                contact former      replaced    held  approver partner   delegate taken      mapped set-up  ended
order           find    handed_over handed_over held  request  delegated set_up   taken_over set_up summary cancelled
find            find    order       order       find  order    order     order    order      order  order   order
find intent     page    order       order       page  order    order     order    order      order  order   order
find review     find    order       order       find  order    order     order    order      order  order   order
set_up          order   order       order       order order    order     set_up   order      set_up order   order
set_up meetings order   order       order       order order    order     set_up   order      set_up order   order
site_name       404     404         404         404   404      404       page     404        page   404     404
handed_over     order   page        page        order order    order     order    order      order  order   order
held            order   order       order       page  order    order     order    order      order  order   order
access_request  404     404         404         404   page     404       404      404        404    404     404
full_right      order   order       order       order order    order     order    order      order  order   order
hand_back       order   order       order       order order    order     order    order      order  order   order
questions       order   order       order       order order    page      page     order      order  order   order
delegated       order   order       order       order order    page      order    order      order  order   order
taken_over      order   order       order       order order    order     order    page       order  order   order
postponed       order   order       order       order order    order     page     order      page   order   order
cancelled       order   order       order       order order    order     order    order      order  order   page
closed          order   order       order       order order    order     order    order      order  order   order
on_hold         order   order       order       order order    order     order    order      order  order   order
progress        order   order       order       order order    order     order    order      order  order   order
stop_set_up     order   order       order       order order    order     order    order      order  order   order
summary         order   order       order       order order    order     order    order      order  page    order
summary_pdf     404     404         404         404   404      404       404      404        404    page    404
history         page    page        page        page  404      page      page     page       page   page    page
history_as csv  page    page        page        page  404      page      page     page       page   page    page
history_as json page    page        page        page  404      page      page     page       page   page    page
send_again      order   order       order       order order    order     order    order      order  order   order
"""
# The same for orders that are being set up, and (*) what an empty POST gets.
BEING_SET_UP = """
                running  refused  watching running* refused* watching*
order           progress progress progress no       no       no
find            order    order    order    order    order    order
find intent     order    order    order    order    order    order
find review     order    order    order    order    order    order
set_up          order    set_up   order    order    set_up   order
set_up meetings order    set_up   order    order    set_up   order
site_name       404      page     404      no       no       no
handed_over     order    order    order    order    order    order
held            order    order    order    order    order    order
access_request  404      404      404      404      404      404
full_right      order    order    order    order    order    order
hand_back       order    order    order    order    order    order
questions       order    page     page     order    page     page
delegated       order    order    page     order    order    order
taken_over      order    order    order    no       no       no
postponed       order    order    order    no       no       no
cancelled       order    order    order    no       no       no
closed          order    order    order    no       no       no
on_hold         order    order    order    no       no       no
progress        page     page     page     no       no       no
stop_set_up     page     order    order    order    order    order
summary         order    order    order    no       no       no
summary_pdf     page     page     page     no       no       no
history         page     page     page     no       no       no
history_as csv  page     page     page     no       no       no
history_as json page     page     page     no       no       no
send_again      order    order    order    order    order    order
"""
# What each address answers to an empty POST. "no" is 405: it takes none.
POSTING = """
                contact former replaced held  approver partner delegate taken mapped set-up ended
order           no      no     no       no    no       no      no       no    no     no     no
find            find    order  order    find  order    order   order    order order  order  order
find intent     find    order  order    find  order    order   order    order order  order  order
find review     find    order  order    find  order    order   order    order order  order  order
set_up          order   order  order    order order    order   set_up   order set_up order  order
set_up meetings order   order  order    order order    order   set_up   order set_up order  order
site_name       no      no     no       no    no       no      no       no    no     no     no
handed_over     order   order  order    order order    order   order    order order  order  order
held            order   order  order    held  order    order   order    order order  order  order
access_request  404     404    404      404   page     404     404      404   404    404    404
full_right      order   order  order    order order    order   order    order order  order  order
hand_back       order   order  order    order order    order   order    order order  order  order
questions       order   order  order    order order    page    page     order order  order  order
delegated       order   order  order    order order    order   order    order order  order  order
taken_over      no      no     no       no    no       no      no       no    no     no     no
postponed       no      no     no       no    no       no      no       no    no     no     no
cancelled       no      no     no       no    no       no      no       no    no     no     no
closed          no      no     no       no    no       no      no       no    no     no     no
on_hold         no      no     no       no    no       no      no       no    no     no     no
progress        no      no     no       no    no       no      no       no    no     no     no
stop_set_up     order   order  order    order order    order   order    order order  order  order
summary         no      no     no       no    no       no      no       no    no     no     no
summary_pdf     no      no     no       no    no       no      no       no    no     no     no
history         no      no     no       no    no       no      no       no    no     no     no
history_as csv  no      no     no       no    no       no      no       no    no     no     no
history_as json no      no     no       no    no       no      no       no    no     no     no
send_again      order   order  order    order order    order   order    order order  order  order
"""
# A POST that does something, by address and person; everything else of POSTING changes nothing.
WRITES = {
    ("handed_over", "former"), ("delegated", "partner"), ("find intent", "contact"), ("find intent", "held"),
    ("stop_set_up", "running"), ("delegated", "watching"),
}  # fmt: skip

# The addresses that name no order: to a GET of somebody not signed in, a person, an operator; then to a POST.
OTHERS = """
                           anonymous   person      desk        anonymous*  person*     desk*
brand_css                  page        page        page        page        page        page
set_language               home        home        home        home        home        home
link                       404         404         404         404         404         404
account_login              page        my_orders   my_orders   page        my_orders   my_orders
account_confirm_login_code sign-in     my_orders   my_orders   sign-in     my_orders   my_orders
account_logout             sign-in     page        page        sign-in     sign-in     sign-in
account_request_login_code page        my_orders   my_orders   page        my_orders   my_orders
account_inactive           page        my_orders   my_orders   page        my_orders   my_orders
home                       my_orders   my_orders   my_orders   no          no          no
my_orders                  sign-in     page        page        sign-in     no          no
same_partner               sign-in     page        page        sign-in     page        page
verify                     page        page        page        no          no          no
organizations              sign-in     page        page        sign-in     no          no
account                    sign-in     page        page        sign-in     no          no
second_factor              sign-in     account     account     sign-in     account     account
add_passkey                sign-in     account     account     sign-in     account     account
add_app                    sign-in     404         account     sign-in     404         account
recovery_codes             sign-in     404         404         sign-in     404         404
passkey_sign_in            no          no          no          sign-in     sign-in     sign-in
privacy                    page        page        page        no          no          no
admin:index                admin:login admin:login page        admin:login admin:login page
admin:login                sign-in     403         admin:index sign-in     403         admin:index
"""

# The addresses that name an organization: a GET, then a POST, by who asks: its administrator, the person whose right it
# is (a full administrator by it), a plain member, an administrator of another one, the desk, and nobody.
OF_ORGANIZATIONS = """
       administrator requester member other desk anonymous administrator* requester* member* other* desk* anonymous*
rights page          page      404    404   404  sign-in   no             no         no      no     no    sign-in
right  page          page      404    404   404  sign-in   page           right      404     404    404   sign-in
"""


# The addresses that are looked at elsewhere: test_returned_mail (signed, or by a mail program) and test_passkeys.
ELSEWHERE = {"mail_events", "reminders", "passkey_options", "remove_factor"}


def table(text: str) -> dict[str, dict[str, str]]:
    """Return {row: {column: cell}} of a table; the first column is as wide as its heading's blank."""
    head, *lines = text.strip("\n").splitlines()
    width = len(head) - len(head.lstrip())
    return {line[:width].strip(): dict(zip(head.split(), line[width:].split(), strict=True)) for line in lines}


@dataclass(frozen=True)
class Scene:
    """The orders that everybody stands in, and the request that waits."""

    orders: dict[str, Order]
    request: AccessRequest

    def url(self, row: str, number: str) -> str:
        """Return the address of a row of the tables for an order."""
        name, _space, step = row.partition(" ")
        if name == "access_request":
            return reverse(name, args=[number, self.request.public_id])
        return reverse(name, args=[number, step] if step else [number])


def _wait_for_fonts() -> None:
    """Return when the fonts are loaded: no PDF is answered with "being made" then."""
    pdf_cache.warm_up()
    for thread in threading.enumerate():
        if thread.name == "get ready for PDFs":
            thread.join()


@pytest.fixture(scope="module")
def made_scene(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Scene]:
    """The scene of all tests of this file, made once. What a test writes is undone after it."""
    with django_db_blocker.unblock(), rolled_back():
        yield make_scene()


@pytest.fixture
def scene(made_scene: Scene, settings: Settings) -> Scene:
    settings.PROVISIONING = {"meetings": scripted.PATH}
    return deepcopy(made_scene)


def make_scene() -> Scene:
    _wait_for_fonts()
    handed = an_order(contact=SAM)
    actions.hand_over(order=handed, by=links.user_for(SAM), email=ALEX)
    links.note_opened(order=handed, user=links.user_for(ALEX))
    corrected = an_order(contact=WRONG)
    actions.correct_order(order=corrected, contact_email="right@partner.example")
    adventure = an_organization("Adventure", administrators=[BOSS], members=[LEE])
    held = an_own_order(contact=LEE, sold_to="Adventure")
    lee = links.user_for(LEE)
    links.note_opened(order=held, user=lee)
    asked = actions.ask_administrators(order=held, by=lee, organization=adventure.public_id, right="full")
    delegated = a_delegated_order(contact=SAM, customer="Fabrikam", customer_email=DANA)
    assert delegated.partner
    assert delegated.customer
    taken = actions.map_order(
        order=an_order(contact=SAM, customer="Fabrikam", customer_email=DANA),
        by=links.user_for(SAM),
        audience="customer",
        partner=actions.Existing(delegated.partner.public_id),
        customer=actions.Existing(delegated.customer.public_id),
        delegate_to=DANA,
    )
    actions.take_over(order=taken, by=links.user_for(SAM))
    mapped = a_mapped_order(contact=KIM, meetings=10)
    set_up = a_mapped_order(contact=KIM, customer=mapped.customer, meetings=10)
    site = SitePlan(name="contoso-one", time_zone="Europe/Paris", early_release=False, licenses=10)
    actions.set_up(order=set_up, by=links.user_for(KIM), plans={"meetings": [site]})
    ended = an_own_order(contact=KIM)
    actions.cancel_order(order=ended, by=None)
    with override_settings(PROVISIONING={"meetings": scripted.PATH}):
        running = a_mapped_order(contact=KIM, customer=mapped.customer, meetings=10)
        actions.set_up(order=running, by=links.user_for(KIM), plans={"meetings": [replace(site, name="contoso-two")]})
        refused = actions.map_order(
            order=an_order(contact=SAM, customer="Fabrikam", customer_email=DANA, meetings=10),
            by=links.user_for(SAM),
            audience="customer",
            partner=actions.Existing(delegated.partner.public_id),
            customer=actions.Existing(delegated.customer.public_id),
            delegate_to=DANA,
        )
        actions.set_up(order=refused, by=links.user_for(DANA), plans={"meetings": [replace(site, name="fabrikam")]})
        scripted.script("meetings", Running(), Rejected("/sites/0/name", "The name is taken."))
        work()
    orders = {
        "running": running, "refused": refused, "watching": refused,
        "contact": handed, "former": handed, "replaced": corrected, "held": held, "approver": held,
        "partner": delegated, "delegate": delegated, "taken": taken, "mapped": mapped, "set-up": set_up, "ended": ended,
    }  # fmt: skip
    return Scene(orders, asked)


def fingerprint() -> dict[str, str]:
    """Every table's rows as one hash: equal exactly when nothing was written."""
    each = "SELECT '{0}', md5(coalesce(string_agg(t::text, chr(10) ORDER BY t::text), '')) FROM \"{0}\" t"
    with connection.cursor() as cursor:
        names = connection.introspection.table_names(cursor)
        cursor.execute(" UNION ALL ".join(each.format(name) for name in names))
        return dict(cursor.fetchall())


# The same page has several names for allauth's sake.
SHORT = {"account_login": "sign-in", "account_request_login_code": "sign-in", "access_request": "request"}


def outcome(response: Any) -> str:
    """Return the answer as the tables have it."""
    if response.status_code == 302:
        try:
            name = resolve(response["Location"].partition("?")[0]).view_name
            return SHORT.get(name, name)
        except Resolver404:
            return str(response["Location"])
    return {200: "page", 405: "no"}.get(response.status_code, str(response.status_code))


def body(response: Any) -> str:
    """The answer's text without the tokens that differ each time."""
    text = re.sub(r'name="csrfmiddlewaretoken" value="[^"]+"', "", response.content.decode())
    return re.sub(r"T-0{4}\d\d|NO-SUCH-1|/orders/[^\"]*", "ORDER", text)


def test_every_address_has_its_row() -> None:
    names = {each.name for each in urlpatterns if isinstance(each, URLPattern)}
    of_orders = {row.partition(" ")[0] for row in table(READING)}
    assert {row.partition(" ")[0] for row in table(POSTING)} == of_orders
    others = {row for row in table(OTHERS) if ":" not in row}
    assert names == of_orders | others | set(table(OF_ORGANIZATIONS)) | ELSEWHERE
    assert {str(each.pattern) for each in urlpatterns if not isinstance(each, URLPattern)} <= {
        "admin/",
        "",
        "api/",
    }  # the API's own matrix: test_api_provisioning


@pytest.mark.parametrize("who", [*PEOPLE, *SETTING_UP])
def test_reading_answers_as_the_table_says_and_writes_nothing(scene: Scene, who: str) -> None:
    client, number = signed_in((PEOPLE | SETTING_UP)[who]), scene.orders[who].number
    before = fingerprint()
    seen, heads, caching = {}, {}, {}
    for row in table(READING):
        response = client.get(scene.url(row, number))
        seen[row], heads[row] = outcome(response), outcome(client.head(scene.url(row, number)))
        if response.status_code != 404:
            caching[row] = response.get("Cache-Control", "")
    wanted = BEING_SET_UP if who in SETTING_UP else READING
    assert seen == {row: cells[who] for row, cells in table(wanted).items()}
    assert heads == seen
    assert fingerprint() == before
    assert all("no-store" in value and "private" in value for value in caching.values()), caching


@pytest.mark.parametrize("who", [*PEOPLE, *SETTING_UP])
def test_posting_answers_as_the_table_says(scene: Scene, who: str) -> None:
    client, number = signed_in((PEOPLE | SETTING_UP)[who]), scene.orders[who].number
    seen, written = {}, set()
    before = fingerprint() | {"django_session": ""}
    for row in table(POSTING):
        with rolled_back():
            seen[row] = outcome(client.post(scene.url(row, number)))
            if fingerprint() | {"django_session": ""} != before:
                written.add((row, who))
    wanted, column = (BEING_SET_UP, f"{who}*") if who in SETTING_UP else (POSTING, who)
    assert seen == {row: cells[column] for row, cells in table(wanted).items()}
    assert written == {each for each in WRITES if each[1] == who}


@pytest.mark.parametrize("who", PEOPLE)
def test_closed_order_is_read_as_the_table_says_and_takes_nothing(scene: Scene, who: str) -> None:
    client, number = signed_in(PEOPLE[who]), scene.orders[who].number
    wanted = {row: table(CLOSED_READING).get(row, {}).get(who, "order") for row in table(READING)}
    with time_machine.travel(scene.orders[who].closes_at, tick=False):
        client.force_login(links.user_for(PEOPLE[who]))  # a session lasts two weeks
        before = fingerprint()
        assert {row: outcome(client.get(scene.url(row, number))) for row in wanted} == wanted
        for row in wanted:
            answer = outcome(client.post(scene.url(row, number)))
            assert answer in {"order", "404", "no"} or (row, answer) == ("access_request", "request"), row
        after = fingerprint()
        changed = {name for name in before if before[name] != after[name]}
        assert changed <= {"django_session", "provisioning_draft"}
    for other in (EVE, DESK):
        assert outcome(signed_in(other).get(reverse("closed", args=[number]))) == "404"


@pytest.mark.parametrize("email", [EVE, DESK, KIM])
def test_somebody_else_s_order_looks_like_one_that_does_not_exist(scene: Scene, email: str) -> None:
    client = signed_in(email)
    User.objects.filter(email=DESK).update(is_staff=True, is_superuser=True)
    own = {order.number for who, order in scene.orders.items() if (PEOPLE | SETTING_UP)[who] == email}
    before = fingerprint()
    for row in table(READING):
        for method in ("get", "head", "post"):
            unknown = getattr(client, method)(scene.url(row, "NO-SUCH-1"))
            if method == "post" and table(POSTING)[row]["contact"] == "no":
                assert outcome(unknown) == "no"
                continue
            assert outcome(unknown) == "404"
            foreign = {order.number for order in scene.orders.values()} - own
            for number in sorted(foreign)[:3]:
                response = getattr(client, method)(scene.url(row, number))
                assert (response.status_code, body(response)) == (404, body(unknown))
                assert response.headers.keys() == unknown.headers.keys()
    assert fingerprint() == before


def test_who_is_not_signed_in_is_asked_to_sign_in_for_any_order(scene: Scene) -> None:
    before = fingerprint()
    for row in table(READING):
        for number in ("NO-SUCH-1", scene.orders["contact"].number):
            for method in ("get", "post"):
                response = getattr(Client(), method)(scene.url(row, number))
                assert outcome(response) in {"sign-in", "no"}
                assert outcome(response) == "sign-in" or method == "post"
    assert fingerprint() == before


@pytest.mark.parametrize("who", ["anonymous", "person", "desk"])
def test_addresses_without_an_order_answer_as_the_table_says(scene: Scene, who: str) -> None:
    client = Client() if who == "anonymous" else signed_in(DESK if who == "desk" else KIM)
    User.objects.filter(email=DESK).update(is_staff=True, is_superuser=True)
    seen = {}
    for row in table(OTHERS):
        url = reverse(row, args=["no-such-token"] if row == "link" else [])
        for column, method in ((who, "get"), (f"{who}*", "post")):
            with rolled_back():
                session = SimpleCookie(client.cookies.output(header="", sep=";"))
                seen[row, column] = outcome(getattr(client, method)(url))
                client.cookies = session
    wanted = table(OTHERS)
    assert seen == {(row, column): wanted[row][column] for row in wanted for column in (who, f"{who}*")}


@pytest.mark.parametrize("who", table(OF_ORGANIZATIONS)["rights"])
def test_addresses_of_an_organization_answer_as_the_table_says(scene: Scene, who: str) -> None:
    people = {"administrator": BOSS, "requester": LEE, "member": "plain@adventure.example", "other": DANA, "desk": DESK}
    actions.decide(request=scene.request, by=links.user_for(BOSS), approve=True)
    organization = scene.request.organization
    add_member(organization=organization, email=people["member"])
    User.objects.filter(email=DESK).update(is_staff=True, is_superuser=True)
    name = who.rstrip("*")
    client = Client() if name == "anonymous" else signed_in(people[name])
    method = "post" if who.endswith("*") else "get"
    before = fingerprint()
    urls = {"rights": reverse("rights", args=[organization.public_id])}
    urls["right"] = reverse("right", args=[organization.public_id, scene.request.public_id])
    seen = {row: outcome(getattr(client, method)(url)) for row, url in urls.items()}
    assert seen == {row: cells[who] for row, cells in table(OF_ORGANIZATIONS).items()}
    assert {**fingerprint(), "django_session": ""} == {**before, "django_session": ""}


def test_order_desk_is_for_operators_only(scene: Scene) -> None:
    order = scene.orders["contact"]
    pages = [
        "admin:subscriptions_order_changelist", "admin:subscriptions_order_add", "admin:provisioning_mail_changelist",
        "admin:provisioning_webhook_changelist", "admin:provisioning_webhookendpoint_changelist",
        "admin:provisioning_accessrequest_changelist", "admin:orgs_organization_changelist",
        "admin:orgs_likelyduplicate_changelist", "admin:subscriptions_provisioningrequest_changelist",
        "admin:subscriptions_provisioningrequest_retry", "admin:subscriptions_provisioningrequest_done",
        "admin:subscriptions_provisioningrequest_cancel",
    ]  # fmt: skip
    urls = [reverse(page) for page in pages]
    urls += [reverse(f"admin:subscriptions_order_{name}", args=[order.pk]) for name in ("change", "resend", "cancel")]
    urls.append(reverse("admin:provisioning_accessrequest_change", args=[scene.request.pk]))
    before = fingerprint()
    for client in (Client(), signed_in(KIM)):
        for url in urls:
            for method in ("get", "post"):
                response = getattr(client, method)(url)
                assert outcome(response) == "admin:login"
    reader = signed_in(DESK)
    User.objects.filter(email=DESK).update(is_staff=True)  # let in, but without any permission
    before = fingerprint()
    for url in urls:
        for method in ("get", "post"):
            assert getattr(reader, method)(url).status_code == 403
    assert fingerprint() == before


def test_every_post_needs_the_page_it_comes_from(scene: Scene) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(links.user_for(KIM))
    before = fingerprint()
    urls = [scene.url(row, scene.orders["mapped"].number) for row in table(READING)]
    urls += [reverse(row, args=["x"] if row == "link" else []) for row in table(OTHERS)]
    for url in urls:
        response = client.post(url, {"email": KIM, "code": "BCDF-BCDF", "language": "de"})
        assert response.status_code == 403, url
        assert "<main" in response.text
    assert fingerprint() == before


def test_another_host_gets_no_page(scene: Scene) -> None:
    with override_settings(ALLOWED_HOSTS=["testserver"]):
        for path in ("/sign-in/", "/orders/", "/l/x/", "/language/"):
            for method in ("get", "post"):
                response = getattr(signed_in(KIM), method)(path, headers={"host": "evil.example"})
                assert response.status_code == 400
                assert "evil.example" not in response.text


@pytest.mark.parametrize(
    "wanted",
    ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)", "http:evil.example",
     "\thttps://evil.example", "https:///evil.example", "/\t/evil.example", "https://testserver@evil.example/"],
)  # fmt: skip
def test_next_never_leads_away(wanted: str) -> None:
    links.user_for(KIM)
    client = Client()
    answers = [client.post("/sign-in/", {"email": KIM, "next": wanted})]
    code = newest_code(KIM)
    answers.append(client.post(answers[0]["Location"], {"code": code, "next": wanted}))
    answers.append(client.get("/sign-in/", {"next": wanted}))
    answers.append(client.post("/language/", {"language": "de", "next": wanted}))
    answers.append(client.post("/sign-in/sign-out/", {"next": wanted}))
    for answer in answers:
        assert answer.status_code == 302
        assert answer["Location"].startswith("/")
        assert not re.match(r"/[\s/\\]", answer["Location"])


def test_token_of_a_link_is_nowhere_but_in_the_mail(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    order = an_order(contact=SAM)
    path = link_in(newest(SAM))
    token = path.strip("/").rpartition("/")[2]
    client = Client()
    page = client.get(path)
    assert page.headers["Referrer-Policy"] == "same-origin"
    assert "no-store" in page.headers["Cache-Control"]
    client.post(path)
    client.post("/sign-in/code/", {"code": newest_code(SAM)})
    wizard = Wizard(client, order)
    wizard.open()
    wizard.fill("intent", audience="other", email=ALEX)
    deliver()
    actions.resend_link(order=Order.objects.get(pk=order.pk), by=None)
    User.objects.filter(email=links.user_for(DESK).email).update(is_staff=True, is_superuser=True)
    desk = signed_in(DESK)
    seen = [desk.get(reverse("admin:subscriptions_order_change", args=[order.pk])).text, wizard.html]
    seen += [desk.get(reverse("admin:provisioning_mail_changelist")).text, client.get("/orders/").text]
    seen += [str(dict(client.session)), caplog.text]
    with connection.cursor() as cursor:
        for name in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT t::text FROM "{name}" t')
            seen += [row[0] for row in cursor.fetchall()]
    assert not [text for text in seen if token in text]
    assert any(token in str(message.body) for message in mail.outbox)


def test_signing_in_gives_the_browser_a_new_session_and_signing_out_ends_it() -> None:
    an_order(contact=SAM)
    client = Client()
    client.post(link_in(newest(SAM)))
    planted = client.cookies["sessionid"].value
    client.post("/sign-in/code/", {"code": newest_code(SAM)})
    assert client.cookies["sessionid"].value != planted
    thief = Client()
    thief.cookies["sessionid"] = planted
    assert outcome(thief.get("/orders/")) == "sign-in"
    kept = client.cookies["sessionid"].value
    client.post("/sign-in/sign-out/")
    thief.cookies["sessionid"] = kept
    assert outcome(thief.get("/orders/")) == "sign-in"


def test_an_account_that_is_closed_is_out_at_once(scene: Scene) -> None:
    client = signed_in(KIM)
    User.objects.filter(email=KIM).update(is_active=False)
    assert outcome(client.get("/orders/")) == "sign-in"


def test_answer_of_one_account_is_not_taken_for_another_that_signs_in_meanwhile(scene: Scene) -> None:
    wizard = Wizard(signed_in(ALEX), scene.orders["contact"])
    fields = form_fields(wizard.open())
    wizard.client.force_login(links.user_for(EVE))
    before = fingerprint()
    response = wizard.client.post(wizard.url("intent"), {**fields, "intent-audience": "customer"})
    assert response.status_code == 404
    assert {**fingerprint(), "django_session": ""} == {**before, "django_session": ""}
