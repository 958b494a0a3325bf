"""A person's data: exported whole, erased everywhere, and the histories stay whole."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO

import pytest
from allauth.mfa.models import Authenticator
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from orgs.models import Member
from provisioning import actions, history, privacy
from provisioning.history import verification
from provisioning.models import Draft, Event, Mail, OperatorEvent, PersonKey, Scheme, User
from provisioning.people import links
from provisioning.privacy import retention
from subscriptions.models import Order
from tests.factories import an_order, an_organization
from tests.mailbox import code_in, deliver, newest
from tests.provisioning.history.test_history import behind_the_triggers, verify
from tests.scripted import an_operator

pytestmark = pytest.mark.django_db

SAM, ALEX = "sam@partner.example", "alex@partner.example"


def rows_with(text: str) -> list[str]:
    """Return the tables of the whole database that have a text anywhere, as PostgreSQL sees them."""
    found = []
    with connection.cursor() as cursor:
        for model in apps.get_models():
            table = model._meta.db_table
            cursor.execute(f'SELECT count(*) FROM "{table}" AS t WHERE t::text ILIKE %s', [f"%{text}%"])
            if cursor.fetchone()[0]:
                found.append(table)
    return found


def a_past(*, finished: bool = True) -> Order:
    """Return an order that SAM placed, handed over with a note, had back, and signed in for."""
    order = an_order(contact=SAM)
    actions.hand_over(order=order, by=links.user_for(SAM), email=ALEX)
    actions.take_order_back(order=order, by=links.user_for(SAM))
    said = f"He said:\nwrite to {SAM.capitalize()}, or 'mailto:{SAM}'."
    history.record(order=order, kind=Event.Kind.EXTENDED, facts={"reason": said, "list": [{"to": [SAM, ALEX]}]})
    deliver()
    client = Client()
    client.post("/sign-in/", {"email": SAM})
    client.post("/sign-in/code/", {"code": code_in(newest(SAM))})
    if finished:
        actions.cancel_order(order=order, by=an_operator())
        deliver()
    return order


def of_an_earlier_release(order: Order) -> None:
    """Give the order's events the hashes that releases before the tokens wrote: the migration's own statements."""
    with behind_the_triggers() as cursor:
        cursor.execute("DELETE FROM provisioning_personkey")
        cursor.execute(
            """DO $$ DECLARE e record; last text := repeat('0', 64); BEGIN
            FOR e IN SELECT * FROM provisioning_event ORDER BY position LOOP
                UPDATE provisioning_event SET scheme = 1, previous = last, hash = provisioning_event_hash(
                    (SELECT number FROM subscriptions_order WHERE id = e.order_id), e.position, last, e.kind, e.at,
                    e.who, e.facts) WHERE id = e.id RETURNING hash INTO last;
                UPDATE provisioning_historyhead SET hash = last WHERE order_id = e.order_id;
            END LOOP; END $$"""
        )


def test_an_export_has_everything_and_no_secret_and_masks_others() -> None:
    a_past()
    out = StringIO()
    call_command("export_person", f"Sam <{SAM.upper()}>", stdout=out)
    found = json.loads(out.getvalue())
    assert found["person"] == SAM
    assert {
        "provisioning.User",
        "provisioning.Event",
        "provisioning.Mail",
        "provisioning.Part",
        "sessions.Session",
    } <= set(found["tables"])
    assert "subscriptions.Order" in found["tables"]
    text = out.getvalue()
    assert ALEX not in text
    assert "a•••@partner.example" in text
    assert not any(secret in text for secret in ('"password"', "token_hash", PersonKey.objects.first().key))  # type: ignore[union-attr]
    assert OperatorEvent.objects.get(kind="exported").facts == {"person": SAM}
    with pytest.raises(CommandError, match="Enter one email address"):
        call_command("export_person", "sam", stdout=out)


@pytest.mark.parametrize("earlier", [False, True], ids=["with tokens", "of an earlier release"])
def test_erasing_leaves_no_trace_and_whole_histories(earlier: bool) -> None:
    order = a_past()
    if earlier:
        of_an_earlier_release(order)
    head, count = history.head(order), order.events.count()
    assert verification.check(order, expect=head).problem == ""
    assert "provisioning_event" in rows_with(SAM)
    call_command("erase_person", SAM, stdout=StringIO())
    assert rows_with(SAM) == []
    assert rows_with(ALEX)  # nobody else is touched
    assert "whole" in verify(order.number, "--expect", head)
    events = list(order.events.order_by("position"))
    assert len(events) == count + 1
    tokens = {event.who for event in events if event.kind in {"handed_over", "taken_back"}}
    assert len(tokens) == 1
    assert tokens.pop().startswith("person-")
    assert {event.scheme for event in events} == ({Scheme.PLAIN, Scheme.VOUCHED, Scheme.COMMITTED} if earlier else {2})
    user = User.objects.get(email__endswith="@erased.invalid")
    assert (user.is_active, Authenticator.objects.filter(user=user).exists()) == (False, False)
    page = Client()
    page.force_login(an_operator())
    assert page.get(f"/admin/subscriptions/order/{order.pk}/change/").status_code == 200
    with pytest.raises(CommandError, match="Nothing is stored"):
        call_command("erase_person", SAM, stdout=StringIO())
    # What is left can't be changed unseen, whatever the scheme.
    with behind_the_triggers() as cursor:
        cursor.execute('UPDATE provisioning_event SET facts = facts || \'{"to": "eve@x.example"}\' WHERE position = 3')
    assert "isn't what was written" in verification.check(order).problem


def test_the_database_accepts_tokens_and_nothing_else() -> None:
    order = a_past()
    key = PersonKey.objects.get(chain=order.pk, address=SAM).key
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SELECT provisioning_person_token(%s, %s)", [order.pk, SAM])
        token = cursor.fetchone()[0]
        for change in (
            "who = 'person-0000'",
            f"who = '{token}', kind = 'placed'",
            f"who = '{token}', at = now()",
            f"who = '{token}', scheme = 1",
        ):
            with pytest.raises(DatabaseError, match="only ever added to"), transaction.atomic():
                cursor.execute(f"UPDATE provisioning_event SET {change} WHERE who = '{SAM}'")
        cursor.execute(f"UPDATE provisioning_event SET who = '{token}' WHERE who = '{SAM}' AND kind = 'handed_over'")
        assert cursor.rowcount == 1
    assert verification.check(order).problem == ""
    PersonKey.objects.filter(key=key).update(key="0" * 64)  # the token no longer is the address's
    assert "isn't what was written" in verification.check(order).problem


def test_who_still_has_a_part_is_not_erased() -> None:
    order = a_past(finished=False)
    with pytest.raises(CommandError, match=f"part in these orders: {order.number}"):
        call_command("erase_person", SAM)
    operator = an_operator()
    with pytest.raises(CommandError, match="is an operator"):
        call_command("erase_person", operator.email)
    contoso = an_organization(administrators=["boss@contoso.example"])
    with pytest.raises(CommandError, match="last full administrator"):
        call_command("erase_person", "boss@contoso.example")
    Member.objects.create(organization=contoso, email="chief@contoso.example", role="full")
    call_command("erase_person", "boss@contoso.example", stdout=StringIO())
    assert rows_with("boss@contoso.example") == []
    assert rows_with(SAM)


def test_a_supervisor_exports_and_erases_at_the_desk(settings: Settings) -> None:
    a_past()
    client = Client()
    client.force_login(an_operator())
    assert "Enter one email address" in client.post("/admin/people/", {"email": "sam", "export": "1"}).text
    answer = client.post("/admin/people/", {"email": SAM, "export": "1"})
    assert json.loads(answer.content)["person"] == SAM
    assert "Erase sam@partner.example?" in client.post("/admin/people/", {"email": SAM, "erase": "1"}).text
    assert rows_with(SAM)
    client.post("/admin/people/", {"email": SAM, "erase": "1", "sure": "1"})
    assert rows_with(SAM) == []
    User.objects.filter(is_staff=True).update(is_superuser=False, desk_role="desk")
    assert client.get("/admin/people/").status_code == 403
    page = Client().get("/privacy/")
    assert "365 days" in page.text
    assert "until you ask us" in page.text


def test_what_is_older_than_its_days_goes(settings: Settings) -> None:
    settings.RETENTION_DAYS = {"drafts": 30, "logs": 60, "codes": 2, "documents": 90, "orders": 100}
    order, open_order = a_past(), an_order(contact=ALEX)
    for each in (order, open_order):
        Draft.objects.create(order=each)
    privacy.look_after_retention()
    assert Draft.objects.count() == 2
    old = timezone.now() - timedelta(days=61)
    Draft.objects.update(updated_at=old)
    Mail.objects.update(created_at=old, sent_at=old)
    privacy.look_after_retention()
    assert [draft.order for draft in Draft.objects.all()] == [open_order]
    assert set(Mail.objects.values_list("order", flat=True)) == {open_order.pk}
    settings.RETENTION_DAYS = {**settings.RETENTION_DAYS, "orders": 1}
    with behind_the_triggers() as cursor:
        cursor.execute("UPDATE subscriptions_order SET placed_at = now() - interval '3 days'")
    privacy.look_after_retention()  # its last event is of today
    order.refresh_from_db()
    assert order.contact_email == SAM
    retention.erase_order(order)
    order.refresh_from_db()
    assert order.contact_email.endswith("@erased.invalid")
    assert set(rows_with(SAM)) <= {"provisioning_user", "provisioning_signincode", "provisioning_operatorevent"}
    assert verification.check(order).problem == ""
