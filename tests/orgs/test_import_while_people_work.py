"""A directory that is brought up to date while people work: who waits for whom, what goes, what is left half way."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Barrier, Event
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from orgs import importing, search_index
from orgs.actions import create_organization, give_full_right, recount_all, report_use, take_full_right_back
from orgs.finder.matching import find_candidates, get_candidate, near_duplicates, search_by_domain
from orgs.importing import Report, merge, slices
from orgs.models import Domain, Member, Organization, OtherName, Posting, Spelling, Word
from provisioning.actions import Existing, OrganizationGone, ask_administrators, map_order
from provisioning.models import AccessRequest
from provisioning.people import links
from provisioning.people.access import access_to_request, organizations_of
from subscriptions.models import Order
from tests.driver import Wizard
from tests.factories import a_mapped_order, an_organization, an_own_order, signed_in

pytestmark = pytest.mark.django_db(transaction=True)

LONG = 60  # seconds until somebody who waits is taken for stuck
FULL_HEADER = "external_id,name,country,status,domains,other_names,members\n"


class Heard(Report):
    """A report that tells when a slice has given way."""

    def __init__(self) -> None:
        self.has_given_way = Event()
        super().__init__()

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name == "retried" and value:
            self.has_given_way.set()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the file goes."""
    return tmp_path / "organizations.csv"


def bring(path: Path, *rows: str, header: str = FULL_HEADER, **options: Any) -> Report:
    """Import these rows."""
    path.write_text(header + "".join(f"{row}\n" for row in rows), encoding="utf-8")
    return importing.import_file(path, **options)


def create(name: str) -> Organization:
    """Create an organization as somebody does who confirms a new one."""
    return create_organization(
        name=name, vertical="other", country="DE", administrator_email="ada@x.example", is_partner=False,
        origin=Organization.Origin.DIRECT_ORDER,
    )  # fmt: skip


def elsewhere(act: Callable[[], Any]) -> Callable[[], Any]:
    """Run ``act`` on a connection of its own, which is closed afterwards."""

    def run() -> Any:
        try:
            return act()
        finally:
            connections.close_all()

    return run


@contextmanager
def at_the_statement(beginning: str, act: Callable[[], None], *, nth: int = 1) -> Iterator[None]:
    """Do something after the nth statement of this connection that begins like this."""
    seen = [0]

    def watch(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        result = execute(sql, params, many, context)
        if sql.strip().startswith(beginning):
            seen[0] += 1
            if seen[0] == nth:
                act()
        return result

    with connection.execute_wrapper(watch):
        yield


# Who waits for whom


def test_people_who_create_organizations_of_the_same_new_words_wait_for_no_import(path: Path) -> None:
    paused, go = Event(), Event()

    def pause() -> None:
        paused.set()
        assert go.wait(LONG)

    def run() -> Report:
        # By then the slice has written everything, and holds what it holds.
        with at_the_statement("INSERT INTO orgs_posting", pause):
            return bring(path, "z1,Zorblax Quantix Yttrium,DE,,,,", "z2,Yttrium Quantix,DE,,,,")

    with ThreadPoolExecutor(8) as pool:
        imported = pool.submit(elsewhere(run))
        try:
            assert paused.wait(LONG)
            names = ["Yttrium Zorblax", "Zorblax Yttrium", "Quantix Zorblax Yttrium", "Yttrium"]
            people = [pool.submit(elsewhere(lambda name=name: create(name))) for name in names]  # type: ignore[misc]
            assert [each.result(LONG).name for each in people] == names  # while the import is still at it
        finally:
            go.set()
        assert imported.result(LONG).made == 2
    found = find_candidates(email="new@gmail.com", company_name="Zorblaks Quantix Yttrium")
    assert found.candidates[0].organization.external_id == "z1"
    search_index.recount()
    assert Word.objects.get(word="yttrium").organizations == 6  # one row of it, counted


def test_people_who_create_organizations_the_other_way_round_never_lock_up() -> None:
    barrier = Barrier(2)

    def both(first: str, second: str) -> Callable[[], None]:
        def run() -> None:
            with transaction.atomic():
                create(first)
                barrier.wait(LONG)
                create(second)

        return run

    with ThreadPoolExecutor(2) as pool:
        people = [pool.submit(elsewhere(both(*names))) for names in (("Aaardvax", "Bzzrt"), ("Bzzrt", "Aaardvax"))]
        for person in people:
            person.result(LONG)
    assert Organization.objects.count() == 4


@pytest.mark.parametrize("direction", [1, -1])
def test_import_gives_way_to_somebody_who_has_the_rows_it_wants(path: Path, direction: int) -> None:
    bring(path, "c1,Contoso,DE,,contoso.com,,full:ada@contoso.com", "c2,Fabrikam,DE,,,,full:eve@fabrikam.com")
    both = list(Organization.objects.order_by("pk").values_list("pk", flat=True))[::direction]
    has_first = Event()
    report = Heard()

    def person() -> None:
        with transaction.atomic():
            Organization.objects.select_for_update(no_key=True).get(pk=both[0])
            has_first.set()
            assert report.has_given_way.wait(LONG)
            # The import waits for the first, and lets the person have the second, whichever comes first.
            Organization.objects.select_for_update(no_key=True).get(pk=both[1])
            Organization.objects.filter(pk__in=both).update(vertical="retail")

    def run() -> Report:
        assert has_first.wait(LONG)
        rows = ("c1,Contoso Two,DE,,contoso.org,,full:bob@contoso.com", "c2,Fabrikam Two,DE,,,,user:eve@fabrikam.com")
        return bring(path, *rows, report=report)

    with ThreadPoolExecutor(2) as pool:
        acts = [pool.submit(elsewhere(person)), pool.submit(elsewhere(run))]
        for each in acts:
            each.result(LONG)
    assert set(Organization.objects.values_list("name", "vertical")) == {
        ("Contoso Two", "retail"),
        ("Fabrikam Two", "retail"),
    }
    assert Member.objects.get(email="eve@fabrikam.com").role == Member.Role.USER


def test_two_imports_and_people_at_once_bring_in_everything_once(path: Path, tmp_path: Path) -> None:
    vocabulary = ["alfa", "brava", "karlo", "delto", "ekko", "foxtra"]
    rows = [
        f"r{number},{vocabulary[number % 6]} {vocabulary[number * 5 % 6]} {number % 40},DE,,d{number}.example,,"
        for number in range(1200)
    ]
    barrier = Barrier(6)

    def importer(name: str, order: int) -> Callable[[], Report]:
        def run() -> Report:
            barrier.wait(LONG)
            return bring(tmp_path / name, *rows[::order])

        return run

    def person(number: int) -> Callable[[], None]:
        def run() -> None:
            barrier.wait(LONG)
            for made in range(25):
                with transaction.atomic():
                    create(f"{' '.join(vocabulary[:: 1 if number % 2 else -1])} neu{number}")
                    create(f"neu{1 - number % 2} {vocabulary[made % 6]}")

        return run

    with ThreadPoolExecutor(6) as pool:
        imports = [pool.submit(elsewhere(importer("a.csv", 1))), pool.submit(elsewhere(importer("b.csv", -1)))]
        people = [pool.submit(elsewhere(person(number))) for number in range(4)]
        reports = [each.result(300) for each in imports]
        for each in people:
            each.result(300)
    assert sum(report.made for report in reports) == 1200
    assert Organization.objects.filter(external_id=None).count() == 4 * 25 * 2
    assert_words_are_right()


def assert_words_are_right() -> None:
    """The words that were kept row by row are those that would be made anew."""

    def all_words() -> list[Any]:
        return [
            sorted(Posting.objects.values_list("word", "organization_id")),
            sorted(Word.objects.values_list("word", "organizations", "sound", "country")),
            sorted(set(Spelling.objects.values_list("key", "word"))),
        ]

    search_index.recount()
    kept = all_words()
    search_index.rebuild()
    assert kept[:2] == all_words()[:2]
    assert set(all_words()[2]) <= set(kept[2])


def test_words_kept_row_by_row_are_those_that_are_made_anew(path: Path) -> None:
    bring(
        path,
        "c1,Contoso Zürich,CH,,contoso.com|contoso-labs.ch,native:株式会社日立製作所|Initech Works,",
        "c2,Contoso Bern,CH,,contoso.org,,",
        "c3,Contoso Basel,CH,,,Fabrikam,",
        "c4,Contoso Genf,FR,,,,",
    )
    assert_words_are_right()
    assert Word.objects.get(word="contoso").organizations == 4
    bring(
        path,
        "c1,Kontoso Zürich,CH,,removed:contoso-labs.ch,removed:Initech Works,",
        "c2,Contoso Bern,CH,closed,,,",
        "c3,Contoso Basel,CH,,,Northwind,",
    )
    assert Word.objects.get(word="contoso").organizations == 3  # c1 by its domain
    assert not Posting.objects.filter(word__in=["initech", "bern"]).exists()
    assert_words_are_right()
    assert find_candidates(email="n@gmail.com", company_name="Initech Works").candidates == ()


# An import that ended early


def test_killed_import_has_brought_in_whole_slices_and_the_next_run_goes_on(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(slices, "SLICE", 2)
    monkeypatch.setattr(merge, "_AHEAD", 1)
    rows = [f"k{number},Killed Number{number},DE,,k{number}.example,,full:ada@k{number}.example" for number in range(8)]
    path.write_text(FULL_HEADER + "\n".join(rows) + "\n", encoding="utf-8")
    connection.ensure_connection()
    own = connection.connection.info.backend_pid

    def kill() -> None:
        def terminate() -> None:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(%s, 10000)", [own])

        with ThreadPoolExecutor(1) as pool:
            pool.submit(elsewhere(terminate)).result(LONG)

    with at_the_statement("INSERT INTO orgs_posting", kill, nth=3), pytest.raises(CommandError) as told:
        call_command("import_organizations", path)
    connection.close()
    assert "4 made" in str(told.value)
    assert "Run it again" in str(told.value)
    whole = Organization.objects.order_by("pk")
    assert [each.external_id for each in whole] == ["k0", "k1", "k2", "k3"]
    assert all(each.domains.count() == each.members.count() == each.user_count == 1 for each in whole)
    assert find_candidates(email="n@gmail.com", company_name="Killed Number3").candidates
    call_command("import_organizations", path)
    assert "4 made, 0 changed" in capsys.readouterr().out
    assert Organization.objects.count() == Domain.objects.count() == Member.objects.count() == 8
    assert_words_are_right()


# What the source no longer has


ROWS = (
    "c1,Contoso,DE,,contoso.com|old.contoso.de,former:Fabrikam|CTS,full:ada@contoso.com|full:bob@contoso.com",
    "c2,Northwind,US,,northwind.example,,user:eve@northwind.example",
)
LESS = ("c1,Contoso,DE,,contoso.com,CTS,full:ada@contoso.com",)


def test_full_file_takes_away_what_isnt_in_it_and_nothing_that_people_made(path: Path) -> None:
    bring(path, *ROWS)
    contoso = Organization.objects.get(external_id="c1")
    own = create("Made by a person")
    Domain(organization=contoso, name="typed.example").save()
    OtherName(organization=contoso, name="Typed at the desk").save()
    report = bring(path, *LESS, remove_missing=True, most_removed=1.0)
    assert (report.closed, report.removed_domains, report.removed_other_names, report.removed_members) == (1, 1, 1, 1)
    assert set(contoso.domains.values_list("name", flat=True)) == {"contoso.com", "typed.example"}
    assert set(contoso.other_names.values_list("name", flat=True)) == {"CTS", "Typed at the desk"}
    assert set(contoso.members.values_list("email", flat=True)) == {"ada@contoso.com"}
    contoso.refresh_from_db()
    assert contoso.user_count == 1
    own.refresh_from_db()
    assert own.closed_at is None
    assert own.members.count() == 1
    assert Organization.objects.get(external_id="c2").closed_at
    again = bring(path, *LESS, remove_missing=True)
    assert (again.written, again.unchanged) == (0, 1)


def test_file_without_a_column_takes_nothing_of_it_away(path: Path) -> None:
    bring(path, *ROWS)
    bring(path, "c1,Contoso", "c2,Northwind", header="external_id,name\n", remove_missing=True)
    assert Member.objects.count() == Domain.objects.count() == 3
    assert Organization.objects.get(external_id="c1").country.code == "DE"
    assert not Organization.objects.exclude(closed_at=None).exists()


def test_dry_run_says_how_much_it_is_and_changes_nothing(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bring(path, *ROWS)

    def everything() -> list[Any]:
        models = (Organization, Domain, OtherName, Member, Word, Posting, Spelling)
        return [sorted(model.objects.values_list()) for model in models]

    before = everything()
    path.write_text(FULL_HEADER + LESS[0].replace("DE", "AT") + "\nc3,Neu,DE,,,,\n", encoding="utf-8")
    call_command("import_organizations", path, "--remove-missing", "--dry-run", "--most-removed", "60%")
    told = capsys.readouterr().out
    for said in ("Nothing was changed", "1 made, 1 changed, 1 closed", "Removed: 1 domains, 1 other names, 2 members"):
        assert said.replace("2 members", "1 members") in told
    assert everything() == before


def test_more_than_the_share_is_not_taken_away(path: Path) -> None:
    bring(path, *ROWS)
    path.write_text(FULL_HEADER + LESS[0] + "\nc3,Neu,DE,,,,\n", encoding="utf-8")
    with pytest.raises(CommandError, match=r"1 of 3 organizations \(33.3%\).*at most 5.0% .*--most-removed"):
        call_command("import_organizations", path, "--remove-missing")
    assert Organization.objects.filter(closed_at=None).count() == 3  # what the file has was brought in
    assert Domain.objects.count() == 3
    assert Member.objects.count() == 3
    call_command("import_organizations", path, "--remove-missing", "--most-removed=50%")
    assert Organization.objects.filter(closed_at=None).count() == 2
    assert Member.objects.filter(organization__external_id="c1").count() == 1


def test_file_takes_away_explicitly_and_opens_again(path: Path) -> None:
    bring(path, *ROWS)
    contoso = Organization.objects.get(external_id="c1")
    Domain(organization=contoso, name="typed.example").save()
    report = bring(
        path, "c1,Contoso,DE,,removed:typed.example,removed:CTS,removed:bob@contoso.com", "c2,Northwind,US,closed,,,"
    )
    assert (report.closed, report.removed_domains, report.removed_other_names, report.removed_members) == (1, 1, 1, 1)
    assert set(contoso.domains.values_list("name", flat=True)) == {"contoso.com", "old.contoso.de"}
    assert set(contoso.members.values_list("email", flat=True)) == {"ada@contoso.com"}
    assert bring(path, "c2,Northwind,US,,,,").reopened == 0  # an empty status says nothing
    assert find_candidates(email="n@gmail.com", company_name="Northwind").candidates == ()
    assert bring(path, "c2,Northwind,US,open,,,").reopened == 1
    assert find_candidates(email="n@gmail.com", company_name="Northwind").candidates


def test_closed_organization_is_never_offered_nor_mapped_to(path: Path) -> None:
    bring(path, *ROWS)
    northwind = Organization.objects.get(external_id="c2")
    bring(path, "c2,Northwind,US,closed,,,")
    eve = "eve@northwind.example"
    assert find_candidates(email=eve, company_name="Northwind").candidates == ()
    assert near_duplicates(name="Northwind", country="US", email=eve) == ()
    assert search_by_domain(domain="northwind.example", email=eve) == ()
    assert get_candidate(public_id=northwind.public_id, email=eve, company_name="Northwind") is None
    order = an_own_order(contact=eve, sold_to="Northwind")
    chosen = Existing(northwind.public_id)
    with pytest.raises(OrganizationGone):
        map_order(order=order, by=links.user_for(eve), audience="own", partner=None, customer=chosen)
    with pytest.raises(OrganizationGone):
        ask_administrators(order=order, by=links.user_for(eve), organization=northwind.public_id)
    order.refresh_from_db()
    assert order.state == Order.State.PLACED


def test_order_of_an_organization_that_closed_stays_readable_and_goes_on(path: Path) -> None:
    bring(path, *ROWS)
    ada = "ada@contoso.com"
    order = a_mapped_order(contact=ada, customer=Organization.objects.get(external_id="c1"), meetings=10)
    bring(path, "c1,Contoso,DE,closed,,,")
    setup = Wizard(signed_in(ada), order, "set_up")
    setup.open()
    setup.fill("subscription", choice="now")
    setup.fill("meetings", site_name="contoso-one", time_zone="Europe/Paris", early_release="no")
    page = setup.fill("review")
    assert "Contoso" in page
    order.refresh_from_db()
    assert order.state == Order.State.SET_UP
    assert "Contoso" in signed_in(ada).get("/orders/").content.decode()


def test_member_who_left_is_no_administrator_any_more(path: Path) -> None:
    bring(path, *ROWS)
    contoso = Organization.objects.get(external_id="c1")
    order = an_own_order(contact="new@contoso.com", sold_to="Contoso")
    request = ask_administrators(order=order, by=links.user_for("new@contoso.com"), organization=contoso.public_id)
    bob, ada = links.user_for("bob@contoso.com"), links.user_for("ada@contoso.com")
    assert access_to_request(bob, order.number, request.public_id).may("decide")
    bring(path, *LESS, remove_missing=True, most_removed=1.0)
    assert not access_to_request(bob, order.number, request.public_id).may("decide")
    assert not organizations_of(bob).exists()
    assert access_to_request(ada, order.number, request.public_id).may("decide")
    assert AccessRequest.objects.get().state is AccessRequest.State.OPEN


def test_right_given_by_request_stays_as_the_request_says(path: Path) -> None:
    bring(path, *ROWS)
    contoso = Organization.objects.get(external_id="c1")
    request = uuid4()
    until = timezone.now() + timedelta(days=30)
    give_full_right(organization=contoso, email="bob.user@contoso.com", request=request, until=until)
    bring(path, "c1,Contoso,DE,,,,user:bob.user@contoso.com")
    member = Member.objects.get(email="bob.user@contoso.com")
    assert (member.role, member.role_before, member.given_by, member.given_until) == ("full", "user", request, until)
    bring(path, *ROWS, remove_missing=True, most_removed=1.0)
    member.refresh_from_db()
    assert (member.role, member.role_before, member.given_by, member.given_until) == ("full", "", request, until)
    assert bring(path, *ROWS, remove_missing=True).written == 0
    assert take_full_right_back(organization=contoso, email="bob.user@contoso.com", request=request)
    assert not Member.objects.filter(email="bob.user@contoso.com").exists()


# Use


USE_HEADER = "external_id,name,members,users,active_users,active_subscriptions,last_activity\n"


def figures(organization: Organization) -> tuple[int, int, int]:
    """Users, active users and active subscriptions as they are stored now."""
    organization.refresh_from_db()
    return organization.user_count, organization.active_user_count, organization.active_subscription_count


def test_use_of_other_systems_comes_in_and_is_evidence(path: Path) -> None:
    day = (timezone.now() - timedelta(days=3)).replace(hour=0, minute=0, second=0, microsecond=0)
    bring(path, f"u1,Contoso,ada@contoso.com,120,80,3,{day:%Y-%m-%d}", header=USE_HEADER)
    contoso = Organization.objects.get()
    assert figures(contoso) == (120, 80, 3)
    assert contoso.last_activity_at == day
    (card,) = find_candidates(email="new@gmail.com", company_name="Contoso").candidates
    assert (card.organization.active_user_count, card.organization.active_subscription_count) == (80, 3)


def test_nightly_count_and_reports_dont_overwrite_each_other(path: Path) -> None:
    bring(path, "u1,Contoso,full:ada@contoso.com|bob@contoso.com,120,80,3,", header=USE_HEADER)
    contoso = Organization.objects.get()
    assert recount_all() == 0
    order = a_mapped_order(contact="ada@contoso.com", customer=contoso, meetings=10)
    setup = Wizard(signed_in("ada@contoso.com"), order, "set_up")
    setup.open()
    setup.fill("subscription", choice="now")
    setup.fill("meetings", site_name="contoso-one", time_zone="Europe/Paris", early_release="no")
    setup.fill("review")
    assert figures(contoso) == (120, 80, 4)  # ours beside theirs
    bring(path, "u1,Contoso,full:ada@contoso.com|bob@contoso.com,1,1,5,", header=USE_HEADER)
    assert figures(contoso) == (2, 1, 6)  # two members are known here
    report_use(organization=contoso, users=50, active_users=40)
    assert figures(contoso) == (50, 40, 6)
    with time_machine.travel(timezone.now() + timedelta(days=91)):
        recount_all()
        assert figures(contoso) == (50, 0, 6)  # nobody has said for long that they are active
        again = bring(path, "u1,Contoso,,50,40,5,", header=USE_HEADER)
        assert again.unchanged == 0
        assert figures(contoso) == (50, 40, 6)


@pytest.mark.parametrize(
    ("use", "said"),
    [
        ("-1,,,", "in digits"),
        ("many,,,", "in digits"),
        ("²,,,", "in digits"),
        ("5,6,,", "more active_users than users"),
        (",,,yesterday", "2026-01-31"),
        (",,,2999-01-01", "past date"),
    ],
)
def test_use_that_cant_be_is_refused_and_the_rest_of_the_row_comes_in(path: Path, use: str, said: str) -> None:
    report = bring(path, f"u1,Contoso,ada@contoso.com,{use}", header=USE_HEADER)
    assert [(each.line, said in each.reason) for each in report.refused] == [(2, True)]
    contoso = Organization.objects.get()
    assert figures(contoso) == (1, 0, 0)
    assert contoso.last_activity_at is None


def test_signing_in_is_activity_for_a_member_of_one_organization_alone() -> None:
    from provisioning.people.sign_in import ask_for_code, code_of, use_code

    contoso = an_organization("Contoso", members=["ada@contoso.com", "two@contoso.com"])
    fabrikam = an_organization("Fabrikam", members=["two@contoso.com"])
    for email in ("ada@contoso.com", "two@contoso.com"):
        links.user_for(email)
        assert not use_code(email, "BBBB-BBBB")
        assert use_code(email, code_of(ask_for_code(email)))
    for each, active in ((contoso, 1), (fabrikam, 0)):
        each.refresh_from_db()
        assert (each.active_user_count, each.last_activity_at is not None) == (active, bool(active))


# Plans


def read_whole(statements: Sequence[dict[str, str]]) -> set[str]:
    """The tables of the directory that these statements would read whole."""
    found: set[str] = set()
    with connection.cursor() as cursor:
        for each in statements:
            if each["sql"].lstrip().startswith(("SELECT", "UPDATE")) and "orgs_" in each["sql"]:
                cursor.execute(f"EXPLAIN {each['sql']}")
                plan = "\n".join(line for (line,) in cursor.fetchall())
                found.update(re.findall(r"Seq Scan on (orgs_\w+)", plan))
    return found


def test_pages_about_orders_look_organizations_up_after_a_bulk_import(path: Path) -> None:
    contact = "kim@contoso.example.org"
    order = a_mapped_order(contact=contact, meetings=10)
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO orgs_organization (public_id, external_id, name, name_key, name_start, country, vertical,
                   is_partner, origin, account_created_at, user_count, active_user_count, active_subscription_count)
               SELECT gen_random_uuid(), 'g' || n, 'Made ' || n, 'made ' || n, 'made ', 'DE', '', false, 'direct_order',
                      now(), 0, 0, 0 FROM generate_series(1, 60000) AS n"""
        )
    bring(path, *(f"b{number},Bulk {number},DE,,b{number}.example,,ada@b{number}.example" for number in range(600)))
    browser = signed_in(contact)
    for url in ("my_orders", "order", "history"):
        with CaptureQueriesContext(connection) as queries:
            answer = browser.get(reverse(url, args=[] if url == "my_orders" else [order.number]), follow=True)
        assert answer.status_code == 200
        assert read_whole(queries.captured_queries) == set(), url


def test_import_tells_the_planner_about_every_table_of_the_product(path: Path) -> None:
    def never_analyzed() -> set[str]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT relname FROM pg_class WHERE relkind = 'r' AND reltuples = -1")
            return {name for (name,) in cursor.fetchall()}

    an_own_order()
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE orgs_member")  # as a table that nobody has looked at
    assert "orgs_member" in never_analyzed()
    bring(path, *(f"b{number},Bulk {number},DE,,,," for number in range(600)))
    tables = {model._meta.db_table for model in apps.get_models() if model._meta.managed and not model._meta.proxy}
    assert not never_analyzed() & tables


def test_statements_of_an_import_look_up_rows_whatever_the_size_of_the_directory(path: Path) -> None:
    bring(
        path,
        *(f"b{number},Bulk {number},DE,,b{number}.example,Also {number},a@b{number}.example" for number in range(600)),
    )
    with CaptureQueriesContext(connection) as queries:
        report = bring(path, "b7,Bulk Seven,AT,,b7.example|seven.example,removed:Also 7,full:a@b7.example")
    assert (report.changed, report.domains, report.removed_other_names, report.members) == (1, 1, 1, 1)
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
    assert read_whole(queries.captured_queries) == set()
    assert len(queries) < 45
