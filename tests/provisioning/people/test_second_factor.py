"""The order desk's second factor: set up, asked for, asked for again, limited, lost, and of the right role."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth as totp
from allauth.mfa.utils import decrypt
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.test import Client
from pytest_django import Settings

from provisioning.history import verification
from provisioning.integration import endpoints
from provisioning.models import OperatorEvent, User
from tests.factories import an_order
from tests.mailbox import code_in, newest
from tests.provisioning.history.test_history import verify

pytestmark = pytest.mark.django_db

ORDERS = "/admin/subscriptions/order/"
OLGA, OMAR = "olga@vendor.example", "omar@vendor.example"
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _required(settings: Settings) -> None:
    settings.SECOND_FACTOR_REQUIRED = True


def signed_in(email: str, role: str = "supervisor") -> Client:
    """Return the browser of an operator who signed in with a code by email."""
    call_command("add_operator", email, "--role", role, verbosity=0)
    client = Client()
    client.post("/sign-in/", {"email": email})
    client.post("/sign-in/code/", {"code": code_in(newest(email))})
    return client


def code_of(email: str) -> str:
    """Return the six digits that the person's app shows now."""
    row = Authenticator.objects.get(user__email=email, type="totp")
    counter = int(datetime.now(UTC).timestamp()) // 30
    return str(totp.format_hotp_value(totp.hotp_value(decrypt(row.data["secret"]), counter)))


def with_app(client: Client) -> str:
    """Set up an app as a person does, by the key on the page; return the page with the secret."""
    page = client.post("/account/app/").text
    secret = re.search(r"<code>([A-Z2-7 ]+)</code>", page)
    assert secret
    counter = int(datetime.now(UTC).timestamp()) // 30
    code = totp.format_hotp_value(totp.hotp_value(secret[1].replace(" ", ""), counter))
    assert client.post("/account/app/", {"code": f"{code[:3]} {code[3:]}"}).status_code == 302
    return page


def test_the_desk_opens_with_a_second_factor_and_a_code_works_once() -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        client = signed_in(OLGA)
        assert client.get(ORDERS)["Location"].startswith("/account/second-factor/?next=")
        assert client.get(ORDERS, follow=True).redirect_chain[-1][0].startswith("/account/?next=")
        page = with_app(client)
        assert "<svg" in page
        assert client.get(ORDERS).status_code == 200
        kept = Authenticator.objects.get(type="totp").data["secret"]
        assert kept != decrypt(kept)  # not in clear in the database

        other = Client()
        other.post("/sign-in/", {"email": OLGA})
        other.post("/sign-in/code/", {"code": code_in(newest(OLGA))})
        assert other.get(ORDERS).status_code == 302
        used = code_of(OLGA)
        assert "six digits" in other.post("/account/second-factor/", {"second_factor_code": used}).text  # used above
        assert other.get(ORDERS).status_code == 302
        clock.shift(30)
        wanted = {"second_factor_code": code_of(OLGA), "next": ORDERS}
        assert other.post("/account/second-factor/", wanted)["Location"] == ORDERS
        assert other.get(ORDERS).status_code == 200
        clock.shift(timedelta(hours=12))
        assert other.get(ORDERS).status_code == 302


def test_recovery_codes_work_once_and_guessing_is_limited() -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        client = signed_in(OLGA)
        with_app(client)
        codes = re.findall(r"<code>(\d{4} \d{4})</code>", client.post("/account/recovery-codes/").text)
        assert len(codes) == 10
        clock.shift(timedelta(hours=13))
        give = {"second_factor_code": codes[0], "next": ORDERS}
        assert client.post("/account/second-factor/", give)["Location"] == ORDERS
        clock.shift(timedelta(hours=13))
        assert client.post("/account/second-factor/", give).status_code == 200  # used
        for _try in range(20):
            client.post("/account/second-factor/", {"second_factor_code": "000000"})
        right = {"second_factor_code": codes[1], "next": ORDERS}
        assert client.post("/account/second-factor/", right).status_code == 200  # too many tries
        assert OperatorEvent.objects.filter(kind="refused", facts__limited=True).exists()
        clock.shift(timedelta(hours=1, minutes=1))
        assert client.post("/account/second-factor/", right).status_code == 302


def test_a_dangerous_act_asks_again_and_loses_nothing() -> None:
    order = an_order()
    cancel = f"{ORDERS}{order.pk}/cancel/"
    with time_machine.travel(NOON, tick=False) as clock:
        client = signed_in(OLGA)
        with_app(client)
        clock.shift(timedelta(minutes=11))
        page = client.post(cancel, {"reason": "kept <as> typed"})
        assert "kept &lt;as&gt; typed" in page.text
        order.refresh_from_db()
        assert order.state == "placed"
        assert "less than ten minutes" in client.post(f"{ORDERS}act/cancel/?order={order.pk}").text  # of many
        wrong = client.post(cancel, {"reason": "x", "second_factor_code": "123456"})
        assert "six digits" in wrong.text
        # The admin site does the action that "index" names, wherever it stands among several.
        endpoint, _secret = endpoints.make(url="https://crm.example.com/", types=[], known_types=[])
        sent = {"action": ["rotate", "turn_on"], "index": "0", "_selected_action": [endpoint.pk]}
        assert "less than ten minutes" in client.post("/admin/provisioning/webhookendpoint/", sent).text
        secret = endpoint.secret
        endpoint.refresh_from_db()
        assert endpoint.secret == secret
        done = client.post(cancel, {"reason": "x", "second_factor_code": code_of(OLGA)})
        assert done.status_code == 302
    order.refresh_from_db()
    assert order.state == "cancelled"


def test_the_last_factor_stays_and_a_supervisor_gives_a_new_start() -> None:
    with time_machine.travel(NOON, tick=False):
        olga, omar = signed_in(OLGA), signed_in(OMAR, "desk")
        for client in (olga, omar):
            with_app(client)
        row = Authenticator.objects.get(user__email=OMAR, type="totp")
        omar.post(f"/account/remove/{row.pk}/")
        olga.post(f"/account/remove/{row.pk}/")  # somebody else's
        assert Authenticator.objects.filter(pk=row.pk).exists()
        assert omar.get(ORDERS).status_code == 200
        assert omar.post("/admin/operators/", {"forget": str(row.user_id)}).status_code == 403
        olga.post("/admin/operators/", {"forget": str(row.user_id)})
        assert not Authenticator.objects.filter(user__email=OMAR).exists()
        assert omar.get(ORDERS, follow=True).redirect_chain[-1][0].startswith("/sign-in/")  # signed out, too
        call_command("add_operator", OLGA, "--forget-second-factors", verbosity=0)
        assert olga.get(ORDERS, follow=True).redirect_chain[-1][0].startswith("/sign-in/")


def test_a_viewer_sees_and_changes_nothing(settings: Settings) -> None:
    settings.SECOND_FACTOR_REQUIRED = False
    order = an_order()
    viewer = signed_in("vera@vendor.example", "viewer")
    page = viewer.get(f"{ORDERS}{order.pk}/change/")
    assert page.status_code == 200
    assert order.number in page.text
    assert 'name="_save"' not in page.text
    paths = ["", f"{order.pk}/change/", f"{order.pk}/cancel/", f"{order.pk}/resend/", "extend/", "add/"]
    before = list(order.events.values_list("kind"))
    for path in [*(ORDERS + path for path in paths), "/admin/provisioning/mail/", "/admin/orgs/organization/add/"]:
        assert viewer.post(path, {"action": "try_again", "_selected_action": "1"}).status_code == 403, path
    for path in ("/admin/operators/", "/admin/operators/log/"):
        assert viewer.get(path).status_code == 403
    order.refresh_from_db()
    assert (order.state, list(order.events.values_list("kind"))) == ("placed", before)
    desk = signed_in("dora@vendor.example", "desk")
    desk.post(f"{ORDERS}{order.pk}/cancel/")
    order.refresh_from_db()
    assert order.state == "cancelled"


def test_roles_are_changed_by_another_supervisor_and_are_in_the_log(settings: Settings) -> None:
    settings.SECOND_FACTOR_REQUIRED = False
    olga = signed_in(OLGA)
    olga.post("/admin/operators/", {"email": OMAR, "role": "viewer"})
    olga.post("/admin/operators/", {"email": OMAR, "role": "desk"})
    olga.post("/admin/operators/", {"email": OLGA, "role": "viewer"})  # nobody changes their own
    assert olga.post("/admin/operators/", {"email": OMAR, "role": "root"}).status_code == 403
    assert (User.objects.get(email=OLGA).operator_role, User.objects.get(email=OMAR).operator_role) == (
        "supervisor",
        "desk",
    )
    page = olga.get("/admin/operators/log/").text
    assert "omar@vendor.example: Viewer" in page
    with pytest.raises(CommandError, match="invalid choice"):
        call_command("add_operator", OMAR, "--role", "root", verbosity=0)


def test_what_the_log_can_not_keep_is_refused_or_replaced(settings: Settings) -> None:
    settings.SECOND_FACTOR_REQUIRED = False
    olga = signed_in(OLGA)
    for query in ("q=%00", "owner=%00", "%00=1", "state__exact=a%00b"):
        assert olga.get(f"{ORDERS}?{query}").status_code == 400, query
    assert olga.get("/admin/operators/log/?who=%00").status_code == 400
    assert olga.post(ORDERS, {"action": "a\0b", "c\0d": "1", "_selected_action": "\0"}).status_code < 500
    assert OperatorEvent.objects.filter(who=OLGA, facts__action="a\ufffdb").exists()


def test_looks_and_acts_are_logged_chained_and_kept(settings: Settings) -> None:
    settings.SECOND_FACTOR_REQUIRED = False
    order, olga = an_order(contact="sam@partner.example"), signed_in(OLGA)
    olga.get(ORDERS, {"q": "sam@partner.example"})
    olga.get(f"{ORDERS}{order.pk}/change/")
    olga.post(f"{ORDERS}{order.pk}/resend/")
    rows = list(OperatorEvent.objects.filter(who=OLGA).values_list("kind", "facts__page", "facts__path"))
    assert rows == [
        ("looked", "admin:subscriptions_order_changelist", ORDERS),
        ("looked", "admin:subscriptions_order_change", f"{ORDERS}{order.pk}/change/"),
        ("acted", "admin:subscriptions_order_resend", f"{ORDERS}{order.pk}/resend/"),
    ]
    assert "q=sam@partner.example" in olga.get("/admin/operators/log/").text
    assert "The operators' log is whole." in verify()
    with connection.cursor() as cursor:
        for statement in (
            "UPDATE provisioning_operatorevent SET facts = '{}'",
            "DELETE FROM provisioning_operatorevent",
            "UPDATE provisioning_operatorsloghead SET events = 1",
        ):
            with pytest.raises(DatabaseError, match="only ever added to"), transaction.atomic():
                cursor.execute(statement)
        assert verification.check_operators_log().problem == ""
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; ALTER TABLE provisioning_operatorevent DISABLE TRIGGER USER")
        cursor.execute("UPDATE provisioning_operatorevent SET facts = '{}' WHERE kind = 'acted'")
    with pytest.raises(CommandError, match=r"operators' log is broken: event 4 \(acted"):
        verify()
