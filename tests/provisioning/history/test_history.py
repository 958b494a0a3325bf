"""The history of an order: only ever added to, checked without the database's help, and told to whom it concerns."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, connections, transaction

from provisioning import actions, history
from provisioning.history import event_sentences, verification
from provisioning.models import Event, HistoryHead
from provisioning.people import links
from provisioning.people.access import access_to
from subscriptions.models import Order
from tests.factories import a_delegated_order, an_order, an_organization, an_own_order
from tests.mailbox import deliver, newest

pytestmark = pytest.mark.django_db

SAM, ALEX, KIM, BOSS = "sam@partner.example", "alex@partner.example", "kim@contoso.example", "boss@contoso.example"


def an_order_with_a_past() -> Order:
    """Placed, handed over, taken back, and its emails went out."""
    order = an_order(contact=SAM)
    actions.hand_over(order=order, by=links.user_for(SAM), email=ALEX)
    actions.take_order_back(order=order, by=links.user_for(SAM))
    deliver()
    return order


def verify(*arguments: str) -> str:
    """Return what the command prints; it fails with CommandError."""
    out = StringIO()
    call_command("verify_history", *arguments, stdout=out)
    return out.getvalue()


def broken(order: Order) -> str:
    """Return what the command says of an order whose history isn't whole."""
    out = StringIO()
    with pytest.raises(CommandError, match=r"Of 1 histories, 1 are broken") as failed:
        call_command("verify_history", order.number, stdout=out)
    assert failed.value.returncode == 1
    return out.getvalue()


@contextmanager
def behind_the_triggers() -> Any:
    """Write as somebody who owns the tables could."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table in ("event", "historyhead"):
            cursor.execute(f"ALTER TABLE provisioning_{table} DISABLE TRIGGER USER")
        yield cursor
        for table in ("event", "historyhead"):
            cursor.execute(f"ALTER TABLE provisioning_{table} ENABLE TRIGGER USER")


def test_each_event_follows_the_one_before_it_and_python_computes_the_same_hashes() -> None:
    order = an_order_with_a_past()
    events = list(order.events.all())
    assert [event.position for event in events] == list(range(1, len(events) + 1))
    assert [event.previous for event in events] == [verification.FIRST, *(event.hash for event in events[:-1])]
    assert [event.hash for event in events] == [
        verification.hash_of(number=order.number, event=event) for event in events
    ]
    assert {event.kind: event.who for event in events}["handed_over"] == SAM
    assert history.head(order) == f"{len(events)}:{events[-1].hash}"
    assert f"whole. It ends with {history.head(order)}" in verify(order.number)


@pytest.mark.parametrize(
    "facts",
    [
        {"b": 1, "a": [True, None, -5, {"é": "\u2028", "zz": ""}], "longer": {"10": "x", "9": "y"}},
        {"reason": 'quote " backslash \\ slash / tab \t newline \n bell \x07 delete \x7f \x1b'},
        {"reason": "株式会社 ☃ 😀 \u202e e\u0301 é"},
        {"n": 10**30, "empty": {}, "none": [], "": "the empty key"},
    ],
)
def test_whatever_the_facts_are_python_and_the_database_write_them_alike(facts: dict[str, Any]) -> None:
    order = an_order()
    history.record(order=order, kind=Event.Kind.CORRECTED, facts=facts)
    event = order.events.get(kind=Event.Kind.CORRECTED)
    assert event.hash == verification.hash_of(number=order.number, event=event)


def test_a_fraction_is_refused_before_it_is_written() -> None:
    with pytest.raises(TypeError):
        history.record(order=an_order(), kind=Event.Kind.CORRECTED, facts={"changes": [{"a": 0.5}]})


def test_an_event_that_somebody_adds_with_a_place_and_hash_of_their_own_gets_the_database_s() -> None:
    order = an_order()
    before = history.head(order)
    event = Event.objects.create(order=order, kind="cancelled", position=99, who="x", previous="y", hash="z")
    assert (f"{event.position - 1}:{event.previous}", event.who) == (before, "")
    Event.objects.bulk_create([Event(order=order, kind="cancelled"), Event(order=order, kind="placed")])
    assert verification.check(order).problem == ""


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE provisioning_event SET facts = '{}'",
        "UPDATE provisioning_event SET id = id",
        "DELETE FROM provisioning_event",
        "UPDATE provisioning_historyhead SET events = 1",
        "DELETE FROM provisioning_historyhead",
        "INSERT INTO provisioning_historyhead SELECT pk + 1000, 1, 'x' FROM generate_series(1, 1) AS pk",
        "ALTER TABLE provisioning_event ENABLE TRIGGER USER; TRUNCATE provisioning_event",
        "ALTER TABLE provisioning_historyhead ENABLE TRIGGER USER; TRUNCATE provisioning_historyhead",
        "ALTER TABLE provisioning_event ENABLE TRIGGER USER; TRUNCATE subscriptions_order CASCADE",
        "SET session_replication_role = replica; DELETE FROM provisioning_event",
    ],
)
def test_the_database_refuses_to_change_what_is_written(statement: str) -> None:
    order = an_order_with_a_past()
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        with pytest.raises(DatabaseError, match="only ever added to"), transaction.atomic():
            cursor.execute(statement)
    assert verification.check(order).problem == ""


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("UPDATE provisioning_event SET facts = jsonb_set(facts, '{to}', '\"eve@x.example\"') WHERE position = 3",
         "event 3 (handed_over, "),
        ("UPDATE provisioning_event SET who = 'eve@x.example' WHERE position = 3", "isn't what was written"),
        ("UPDATE provisioning_event SET at = at - interval '1 day' WHERE position = 1", "event 1 (placed, "),
        ("UPDATE provisioning_event SET kind = 'taken_back' WHERE position = 3", "event 3 (taken_back, "),
        ("UPDATE subscriptions_order SET number = 'ANOTHER'", "event 1 (placed, "),
        ("DELETE FROM provisioning_event WHERE position = 2", "event 2 is missing"),
        ("DELETE FROM provisioning_event WHERE position > 4", "events after 4 are missing: there were 7"),
        ("DELETE FROM provisioning_event", "events after 0 are missing: there were 7"),
        ("DELETE FROM provisioning_event; DELETE FROM provisioning_historyhead", "there is no history at all"),
        ("DELETE FROM provisioning_historyhead", "what its history ends with is not known any more"),
    ],
)  # fmt: skip
def test_the_command_names_the_first_event_that_somebody_changed(statement: str, sentence: str) -> None:
    order = an_order_with_a_past()
    assert order.events.count() == 7
    with behind_the_triggers() as cursor:
        cursor.execute(statement)
    order.refresh_from_db()
    assert sentence in broken(order)
    with pytest.raises(CommandError, match="1 are broken"):
        verify()


def test_an_end_that_was_cut_off_with_its_head_is_seen_by_who_kept_an_older_head() -> None:
    order = an_order_with_a_past()
    kept = history.head(order)
    assert "whole" in verify(order.number, "--expect", kept)
    assert "whole" in verify(order.number, "--expect", kept.partition(":")[2])
    actions.cancel_order(order=order, by=None)
    assert "whole" in verify(order.number, "--expect", kept)  # it went on since
    with behind_the_triggers() as cursor:
        cursor.execute("DELETE FROM provisioning_event WHERE position > 5")
        cursor.execute(
            "UPDATE provisioning_historyhead SET events = 5,"
            " hash = (SELECT hash FROM provisioning_event WHERE position = 5)"
        )
    assert "whole" in verify(order.number)  # this is what a chain can't see
    with pytest.raises(CommandError, match="1 are broken"):
        verify(order.number, "--expect", kept)


def test_the_command_says_what_it_needs() -> None:
    order = an_order_with_a_past()
    an_order()
    assert verify() == "2 histories are whole.\n"
    with pytest.raises(CommandError, match="There is no order NO-SUCH-1"):
        verify("NO-SUCH-1")
    with pytest.raises(CommandError, match="verify_history NUMBER --expect HEAD"):
        verify("--expect", history.head(order))


def test_every_email_about_an_order_carries_the_head_of_its_history() -> None:
    order = an_order(contact=SAM)
    head = history.head(order)
    message = newest(SAM)
    assert message.message()["X-Order-History"] == head
    assert "whole" in verify(order.number, "--expect", head)


@pytest.mark.django_db(transaction=True)
def test_many_at_once_make_one_chain() -> None:
    order = an_order()

    def record(_index: int) -> None:
        try:
            history.record(order=order, kind=Event.Kind.POSTPONED)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(record, range(60)))
    assert order.events.count() == 62
    assert verification.check(order).problem == ""


@pytest.mark.django_db(transaction=True)
def test_events_of_before_are_chained_by_the_migration(restored: None) -> None:
    order = an_order_with_a_past()
    other = an_order_with_a_past()
    call_command("migrate", "provisioning", "0021", verbosity=0)  # the release before tokens stood for addresses
    before = list(Event.objects.values_list("order_id", "kind", "at", "by_id", "facts"))
    heads = set(HistoryHead.objects.values_list("order_id", "events", "hash"))
    call_command("migrate", "provisioning", "0004", verbosity=0)
    call_command("migrate", "provisioning", verbosity=0)
    assert list(Event.objects.values_list("order_id", "kind", "at", "by_id", "facts")) == before
    assert set(HistoryHead.objects.values_list("order_id", "events", "hash")) == heads
    for each in (order, other):
        assert verification.check(each).problem == ""


@pytest.fixture
def restored() -> Any:
    """Make the tests' database anew as it was: without the triggers against TRUNCATE (tests/conftest.py)."""
    yield
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE provisioning_event DISABLE TRIGGER event_is_not_emptied")
        cursor.execute("ALTER TABLE provisioning_historyhead DISABLE TRIGGER head_is_not_emptied")
        cursor.execute("ALTER TABLE provisioning_operatorevent DISABLE TRIGGER operator_event_is_not_emptied")
        cursor.execute("ALTER TABLE provisioning_operatorsloghead DISABLE TRIGGER operators_head_is_not_emptied")


# In words


def told(order: Order, reader: event_sentences.Reader) -> list[str]:
    """Return the sentences that somebody reads."""
    return [line.sentence for line in event_sentences.sentences_for(order.events.select_related("by"), reader)]


def test_the_desk_reads_everything_and_people_read_masked_addresses() -> None:
    order = an_order_with_a_past()
    assert told(order, event_sentences.DESK) == [
        f"The system placed the order; its provisioning contact was {SAM}.",
        f"The system had a link sent to {SAM}.",
        f"{SAM} handed the order over to {ALEX}.",
        f"{SAM} took the order back from {ALEX}.",
        f"The email “Provisioning information required” went out to {SAM}.",
        f"The email “Order handed over to you” went out to {ALEX}.",
        f"The email “Order taken back” went out to {ALEX}.",
    ]
    assert told(order, event_sentences.Reader(SAM)) == [
        f"The order was placed; its provisioning contact was {SAM} (you).",
        f"A link to the order was sent to {SAM} (you).",
        f"{SAM} (you) handed the order over to {ALEX}.",
        f"{SAM} (you) took the order back from {ALEX}.",
        f"The email “Provisioning information required” went out to {SAM} (you).",
        f"The email “Order handed over to you” went out to {ALEX}.",
        f"The email “Order taken back” went out to {ALEX}.",
    ]
    assert (
        told(order, event_sentences.Reader(KIM))[2]
        == "s•••@partner.example handed the order over to a•••@partner.example."
    )


def reader(order: Order, email: str) -> event_sentences.Reader:
    """Return as whom somebody reads an order."""
    return access_to(links.user_for(email), order.number).reader


def test_who_had_the_order_reads_who_has_it_and_nothing_else_of_what_came_later() -> None:
    order = an_order(contact=SAM)
    actions.hand_over(order=order, by=links.user_for(SAM), email=ALEX)
    organization = an_organization("Contoso", administrators=[BOSS])
    actions.ask_administrators(order=order, by=links.user_for(ALEX), organization=organization.public_id)
    actions.hand_over(order=order, by=links.user_for(ALEX), email=KIM)
    assert told(order, reader(order, SAM))[2:] == [
        f"{SAM} (you) handed the order over to {ALEX}.",
        f"{ALEX} handed the order over to k•••@contoso.example.",
    ]
    assert told(order, reader(order, KIM))[3] == "The order waits for an administrator of the organization."


def test_who_was_asked_is_told_to_nobody_but_the_desk_and_a_reason_to_who_asked() -> None:
    organization = an_organization("Secret Contoso", administrators=[BOSS, "chief@contoso.example"])
    order = an_own_order(contact=SAM)
    request = actions.ask_administrators(order=order, by=links.user_for(SAM), organization=organization.public_id)
    deliver()
    links.send_again(link=order.links.get(part__user__email=BOSS))
    actions.decide(request=request, by=links.user_for(BOSS), approve=False, reason="Who are you?")
    deliver()
    actions.hand_over(order=order, by=links.user_for(SAM), email=ALEX)
    for email in (SAM, ALEX):
        sentences = told(order, reader(order, email))
        assert "An administrator declined the request." in [text.partition(" The reason")[0] for text in sentences]
        text = "\n".join(sentences)
        assert ("Who are you?" in text) is (email == SAM)
        for secret in ("boss", "chief", "b•••", "c•••", "Secret"):
            assert secret not in text
        assert text.count("“Request") == (1 if email == SAM else 0)
    text = "\n".join(told(order, event_sentences.DESK))
    for fact in ("Secret Contoso", BOSS, "chief@contoso.example", "Who are you?", "Request for rights"):
        assert fact in text


def test_the_customer_s_administrator_reads_from_their_own_start() -> None:
    order = a_delegated_order(contact=SAM, customer_email=KIM)
    deliver()
    assert told(order, reader(order, KIM)) == [
        f"s•••@partner.example asked {KIM} (you) to set up the services.",
        f"The email “Set up your services” went out to {KIM} (you).",
    ]
    actions.take_over(order=order, by=links.user_for(SAM))
    actions.cancel_order(order=order, by=None)
    assert told(order, reader(order, KIM))[2:] == [
        f"s•••@partner.example took the set-up over from {KIM} (you).",
        "The order was cancelled.",
    ]


def test_an_unknown_kind_is_shown_to_the_desk_only() -> None:
    order = an_order(contact=SAM)
    Event.objects.create(order=order, kind="of_an_older_release")
    assert told(order, event_sentences.DESK)[-1] == "of_an_older_release"
    assert len(told(order, event_sentences.Reader(SAM))) == 2
