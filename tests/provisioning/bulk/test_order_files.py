"""Files of orders from the command line: the plan row by row, applying exactly it, and what is refused."""

from __future__ import annotations

import csv
import json
import lzma
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from provisioning import actions
from provisioning.bulk import batches
from provisioning.models import BatchRow, Event, Mail, OrderBatch
from provisioning.people import links
from subscriptions.models import Order
from tests.factories import an_order, an_organization

pytestmark = pytest.mark.django_db

ORDERS: list[dict[str, Any]] = [
    {
        "number": "CRM-1",
        "sold_to": "Partner Networks",
        "contact_email": "sam@partner.example.net",
        "customer": {"name": "Größe & Söhne", "email": "it@groesse.example"},
        "lines": [
            {"service": "meetings", "product": "Meetings Pro", "licenses": 250, "term_months": 24},
            {"service": "calling", "licenses": 40, "term_months": 24},
        ],
    },
    {
        "number": "CRM-2",
        "sold_to": "Northwind",
        "contact_email": "kim@northwind.example",
        "lines": [{"service": "meetings", "licenses": 1000}],
    },
]
CSV_ROWS = """Number;Sold to;Contact e-mail;Customer name;Customer email;Service;Product;Licenses;Term months
CRM-1;Partner Networks;sam@partner.example.net;Größe & Söhne;it@groesse.example;Meetings;Meetings Pro;250;24
CRM-1;;;;;calling;;40;24
CRM-2;Northwind;"Kim <kim@northwind.example>";;;meetings;;1.000;
"""
CSV_WIDE = """number,sold_to,contact_email,customer_name,customer_email,product,meetings,calling,term_months
CRM-1,Partner Networks,sam@partner.example.net,Größe & Söhne,it@groesse.example,,250,40,24
CRM-2,Northwind,kim@northwind.example,,,,1000,,
"""
YAML = """
# Defaults that orders share, as code.
- &first
  number: CRM-1
  sold_to: Partner Networks
  contact_email: sam@partner.example.net
  customer: {name: Größe & Söhne, email: it@groesse.example}
  lines:
    - {service: meetings, product: Meetings Pro, licenses: 250, term_months: 24}
    - {service: calling, licenses: 40, term_months: 24}
- number: CRM-2
  sold_to: Northwind
  contact_email: kim@northwind.example
  lines:
    - {service: meetings, licenses: 1000}
"""
FILES = {
    "orders.json": json.dumps(ORDERS).encode(),
    "wrapped.json": json.dumps({"orders": ORDERS}).encode("utf-8-sig"),
    "orders.yaml": YAML.encode(),
    "excel.csv": CSV_ROWS.encode("cp1252"),
    "utf16.csv": CSV_ROWS.replace(";", "\t").encode("utf-16"),
    "wide.csv": CSV_WIDE.encode("utf-8-sig"),
}


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Call the command with a file; return its rows as JSON says them, and whether it ended with an error."""

    def call(content: object, *options: str, name: str = "orders.json") -> tuple[list[dict[str, Any]], str]:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        problem = ""
        try:
            call_command("place_orders", str(path), "--json", *options)
        except CommandError as error:
            problem = str(error)
        said = capsys.readouterr().out
        return (json.loads(said) if said else []), problem

    return call


@pytest.mark.parametrize("name", FILES)
def test_every_form_of_a_file_places_the_same_orders_once(run: Any, name: str) -> None:
    rows, problem = run(FILES[name], "--dry-run", name=name)
    assert ([row["outcome"] for row in rows], problem) == (["new", "new"], "")
    # A dry run writes nothing at all.
    assert not Order.objects.exists()
    assert not OrderBatch.objects.exists()
    assert not Mail.objects.exists()

    rows, problem = run(FILES[name], name=name)
    assert ([(row["outcome"], row["result"]) for row in rows], problem) == ([("new", "done")] * 2, "")
    first, second = Order.objects.order_by("number")
    assert (first.sold_to, first.contact_email) == ("Partner Networks", "sam@partner.example.net")
    assert (first.customer_name, first.customer_email) == ("Größe & Söhne", "it@groesse.example")
    bought = {(line.service, line.licenses, line.term_months) for line in first.lines.all()}
    assert bought == {("meetings", 250, 24), ("calling", 40, 24)}
    assert [(line.licenses, line.term_months) for line in second.lines.all()] == [(1000, 12)]
    assert second.contact_email == "kim@northwind.example"
    assert Mail.objects.filter(event="order_placed").count() == 2

    events = Event.objects.count()
    rows, problem = run(FILES[name], name=name)
    assert ([(row["outcome"], row["result"]) for row in rows], problem) == ([("unchanged", "done")] * 2, "")
    assert (Event.objects.count(), Order.objects.count(), Mail.objects.count()) == (events, 2, 2)


def test_a_correction_is_told_field_by_field_and_does_just_that(run: Any) -> None:
    run(ORDERS)
    changed = json.loads(json.dumps(ORDERS))
    changed[0]["customer"]["email"] = "admin@groesse.example"
    changed[0]["lines"][0]["licenses"] = 300
    del changed[0]["lines"][0]["product"]  # not said: as it is
    del changed[1]["lines"][0]["licenses"]
    changed[1]["lines"][0]["licenses"] = 1000
    [first, second], problem = run(changed, "--dry-run")
    assert (first["outcome"], second["outcome"], problem) == ("corrected", "unchanged", "")
    by_field = {each["field"]: (each["before"], each["after"]) for each in first["changes"]}
    assert set(by_field) == {"customer_email", "lines"}
    assert by_field["customer_email"] == ("it@groesse.example", "admin@groesse.example")
    licenses = [{line["service"]: line["licenses"] for line in side} for side in by_field["lines"]]
    assert [side["meetings"] for side in licenses] == [250, 300]
    assert Order.objects.get(number="CRM-1").customer_email == "it@groesse.example"

    [first, _second], _problem = run(changed)
    order = Order.objects.get(number="CRM-1")
    assert first["result"] == "done"
    assert order.customer_email == "admin@groesse.example"
    line = order.lines.get(service="meetings")
    assert (line.product, line.licenses) == ("Meetings Pro", 300)
    assert order.events.filter(kind=Event.Kind.CORRECTED).count() == 1


def test_lines_of_one_service_are_known_by_their_number_or_their_place(run: Any) -> None:
    emea = {"number": 10, "service": "meetings", "product": "Meetings Pro", "licenses": 100, "term_months": 24}
    apac = {"number": 20, "service": "meetings", "licenses": 50}
    run([{**ORDERS[1], "lines": [emea, apac]}])
    rows, _problem = run([{**ORDERS[1], "lines": [{"number": 20, "service": "meetings", "licenses": 60}, emea]}])
    assert (rows[0]["outcome"], rows[0]["warnings"]) == ("corrected", [])
    lines = Order.objects.get().lines.values_list("number", "product", "licenses", "term_months")
    assert list(lines) == [(10, "Meetings Pro", 100, 24), (20, "Meetings", 60, 12)]
    # Without numbers, product and term: the next line of the service.
    unnamed = [{"service": "meetings", "licenses": 100}, {"service": "meetings", "licenses": 60}]
    assert run([{**ORDERS[1], "lines": unnamed}])[0][0]["outcome"] == "unchanged"
    twice = [{**apac, "licenses": 1}, {**emea, "number": 20}]
    assert run([{**ORDERS[1], "lines": twice}])[0][0]["errors"] == [
        {"pointer": "/lines/1/number", "detail": "Give each line a number of its own."}
    ]
    [row], _problem = run([{**ORDERS[1], "number": "NEW", "lines": unnamed[:1] * 2}], "--dry-run")
    assert (row["outcome"], [each["kind"] for each in row["warnings"]]) == ("new", ["equal_lines"])


def test_a_hand_over_is_no_difference_to_the_file(run: Any) -> None:
    run(ORDERS)
    order = Order.objects.get(number="CRM-1")
    actions.hand_over(order=order, by=links.user_for("sam@partner.example.net"), email="pat@partner.example.net")
    [first, _second], _problem = run(ORDERS)
    assert first["outcome"] == "unchanged"
    assert Order.objects.get(number="CRM-1").contact_email == "pat@partner.example.net"


def test_refused_rows_say_every_fault_in_the_words_of_the_form_and_the_others_are_placed(run: Any) -> None:
    bad = {
        "number": "A B",
        "sold_to": "",
        "contact_email": "nobody",
        "customer": {"name": "x" * 201, "mail": "a@b.example"},
        "lines": [{"service": "fax", "licenses": 5}, {"service": "meetings", "licenses": 0}],
        "set_up_by": "24/12/26",
    }
    more = [
        {**ORDERS[0], "number": "B-1", "lines": []},
        {**ORDERS[0], "number": "B-2", "lines": [{"service": "meetings", "licenses": 2.5}]},
        {**ORDERS[0], "number": "B-3", "set_up_by": "2020-01-01"},
        {**ORDERS[0], "number": "B-4", "sold_to": "a\0b", "contact_email": "\ud800@x.example"},
        {**ORDERS[0], "number": True},
        "CRM-3",
        {**ORDERS[0], "number": "TWICE"},
        {**ORDERS[0], "number": "TWICE", "sold_to": "Somebody else"},
    ]
    rows, problem = run([bad, *more, *ORDERS])
    assert problem == "9 of 11 orders were refused. Correct them, and run it again."
    said = {each["pointer"]: each["detail"] for each in rows[0]["errors"]}
    assert said["/number"].startswith("Enter an order number of up to 40 letters")
    assert said["/sold_to"] == "Enter the name of the company that bought it, in up to 200 characters."
    assert said["/contact_email"] == "Enter the provisioning contact's email address like name@example.com."
    assert said["/customer/name"] == "Enter the customer's name in up to 200 characters, or leave it empty."
    assert said["/customer/mail"] == "The field “mail” is unknown; the fields are name, email."
    assert said["/lines/0/service"] == "Choose a service that is sold."
    assert said["/set_up_by"] == "Enter a date like 2026-12-24."
    pointers = [[each["pointer"] for each in row["errors"]] for row in rows[1:9]]
    assert pointers == [
        ["/lines"],
        ["/lines/0/licenses"],
        ["/set_up_by"],
        ["/sold_to", "/contact_email"],
        ["/number"],
        ["", "/number", "/sold_to", "/contact_email", "/lines"],
        ["/number"],
        ["/number"],
    ]
    assert rows[8]["errors"][0]["detail"] == "The order is in the file again with other facts: see 8."
    assert {row["result"] for row in rows[:9]} == {"refused"}
    assert sorted(Order.objects.values_list("number", flat=True)) == ["CRM-1", "CRM-2"]


def test_rows_of_a_spreadsheet_that_can_t_be_read_or_contradict_each_other_are_refused(run: Any) -> None:
    text = (
        "number,sold_to,contact_email,service,licenses\n"
        "A-1,Northwind,kim@northwind.example,meetings,10\n"
        "A-2,Northwind,kim@northwind.example,meetings\n"
        "A-1,Northwind,pat@northwind.example,calling,10\n"
        ",Northwind,kim@northwind.example,meetings,10\n"
    )
    rows, _problem = run(text.encode(), name="orders.csv")
    assert [(row["line"], row["outcome"]) for row in rows] == [(2, "refused"), (3, "refused"), (5, "refused")]
    assert rows[0]["errors"] == [
        {"pointer": "/contact_email", "detail": "Another row of this order says something else: see 4."}
    ]
    assert rows[1]["errors"][0]["detail"].startswith("The row needs as many fields")
    assert not Order.objects.exists()


def test_the_plan_names_what_looks_wrong_and_whom_the_finder_would_suggest(run: Any) -> None:
    an_organization("Contoso Bakery", domains=["contoso.example"], administrators=["it@contoso.example"])
    contoso = {"name": "Contoso Bakery Ltd", "email": "it@contoso.example"}
    rows, problem = run(
        [
            {**ORDERS[1], "number": "C-1", "customer": contoso},
            {**ORDERS[1], "number": "C-2", "customer": {"name": "CONTOSO BAKERY", "email": "x@gmail.com"}},
            {**ORDERS[1], "number": "C-3"},
            {**ORDERS[1], "number": "C-3"},
        ],
        "--dry-run",
    )
    assert problem == ""
    assert rows[0]["suggestion"]["name"] == "Contoso Bakery"
    assert (rows[0]["suggestion"]["best"], rows[0]["suggestion"]["because"][0]) == (True, "administrator")
    kinds = [[warning["kind"] for warning in row["warnings"]] for row in rows]
    assert kinds == [["same_customer"], ["free_mail", "same_customer"], ["twice"]]
    assert rows[0]["warnings"][0]["detail"] == "Other orders of the file are for the same customer: see 2."
    assert rows[2]["suggestion"] is None


def test_an_order_that_changes_between_plan_and_apply_stays_as_it_is_and_says_so() -> None:
    olga = links.user_for("olga@vendor.example")
    changed = json.loads(json.dumps(ORDERS))
    an_order(number="CRM-2", contact="kim@northwind.example", sold_to="Old Northwind", customer="", meetings=1000)
    late = [*changed, {**ORDERS[1], "number": "CRM-3"}, {**ORDERS[1], "number": "CRM-4"}]
    batch = batches.create(name="orders.json", content=json.dumps(late).encode(), by=olga)
    while batches.step(batch.pk):
        pass
    batch.refresh_from_db()
    assert batch.state == OrderBatch.State.PLANNED
    assert Order.objects.count() == 1
    # In the meantime somebody corrects one order, and places another by hand.
    actions.correct_order(order=Order.objects.get(number="CRM-2"), sold_to="Northwind Traders")
    an_order(number="CRM-3", meetings=5)
    batches.start_applying(batch, by=olga)
    batches.start_applying(batch, by=None)
    assert not batches.work_on_all(60)
    results = dict(BatchRow.objects.values_list("number", "result"))
    assert results == {"CRM-1": "done", "CRM-2": "changed", "CRM-3": "changed", "CRM-4": "done"}
    assert Order.objects.get(number="CRM-2").sold_to == "Northwind Traders"
    assert Order.objects.get(number="CRM-3").lines.get().licenses == 5
    assert Order.objects.get(number="CRM-1").events.get(kind=Event.Kind.PLACED).who == "olga@vendor.example"


def test_an_order_whose_organizations_are_confirmed_is_refused_with_its_sentence(run: Any) -> None:
    order = an_order(number="CRM-2", contact="kim@northwind.example", sold_to="Northwind", customer="", meetings=1000)
    actions.cancel_order(order=order, by=None)
    [row], problem = run([{**ORDERS[1], "sold_to": "Another"}])
    assert row["errors"] == [{"pointer": "", "detail": "This order is cancelled; nothing about it can be changed."}]
    assert problem
    assert run([ORDERS[1]])[0][0]["outcome"] == "unchanged"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.json", b"[{]", "The file is no JSON: see line 1, column 3."),
        ("a.json", b'[{"number": "1", "number": "2"}]', "the name “number” is there twice"),
        ("a.json", b'{"a": 1}', "The file must be a list of orders"),
        ("a.json", b"[" * 100_000, "nested too deeply"),
        ("a.json", b"[]", "The file has no orders."),
        ("a.json", b"\xff\xfe", "The file isn’t UTF-8"),
        ("a.yaml", b"a: [", "The file is no YAML: see line 2"),
        ("a.yaml", b"- number: 1\n  number: 2\n", "The name “number” is there twice, after line 1."),
        ("a.yaml", b"- !!python/object/apply:os.system [id]\n", "The file is no YAML: see line 1"),
        ("a.yaml", b"- &a [*a]\n", "An alias in the file is within what it stands for."),
        ("a.yaml", b"[" * 1_000_000, "nested too deeply"),
        (
            "a.yaml",
            b"a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
            + b"".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n".encode() for n in range(1, 9)),
            "The file’s aliases make it too large.",
        ),
        ("a.csv", b"", "The file is empty."),
        ("a.csv", b"number,sold_to\n1,2\n", "not there: contact_email"),
        ("a.xlsx", b"PK\x03\x04[Content_Types].xml", "Excel workbook"),
        ("a.csv", b"x" * (10 * 1024 * 1024 + 1), "larger than 10 MB"),
        # Small files that would take a lot of memory or time.
        ("a.csv", lzma.compress(b"number,sold_to,contact_email\n" + b"1,a,b\n" * 100_000), "compressed"),
        ("a.csv", b"number,sold_to,contact_email\n" + b"x\n" * 1_000_000, "More than 10,000 rows can't be read"),
        ("a.yaml", b"[" + b"a," * 1_000_001 + b"]", "too many values"),
    ],
    ids=range(19),
)
def test_a_file_that_can_t_be_read_is_refused_whole_with_a_sentence(
    run: Any, name: str, content: bytes, said: str
) -> None:
    rows, problem = run(content, name=name)
    assert said in problem
    assert problem.startswith("Nothing was placed.")
    assert not rows
    assert not OrderBatch.objects.exists()


def test_faults_and_lines_of_one_order_are_bounded(run: Any) -> None:
    many = dict(ORDERS[1]) | {f"field {number}": 1 for number in range(100_000)}
    [row], _problem = run([many])
    assert 10 < len(row["errors"]) < 100
    table = "number,sold_to,contact_email,meetings\n" + "A-1,Northwind,kim@northwind.example,1\n" * 1000
    [row], _problem = run(table.encode(), name="a.csv")
    assert "at most 100" in " ".join(each["detail"] for each in row["errors"])
    assert len(BatchRow.objects.latest("pk").facts["lines"]) <= 100
    assert not Order.objects.exists()


def test_texts_of_yaml_stay_as_they_are_written(run: Any) -> None:
    text = (
        b"number: 012\nsold_to: No\ncontact_email: kim@northwind.example\nlines: [{service: meetings, licenses: 1_0}]\n"
    )
    [row], _problem = run(text, "--dry-run", name="a.yaml")
    assert row["number"] == "012"
    assert [each["pointer"] for each in row["errors"]] == ["/lines/0/licenses"]


def test_planning_takes_as_many_statements_for_many_orders_as_for_one() -> None:
    def statements(count: int) -> int:
        orders = [{**ORDERS[1], "number": f"N-{count}-{at}"} for at in range(count)]
        batch = batches.create(name="orders.json", content=json.dumps(orders).encode())
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert batches.step(batch.pk)
        return len(queries)

    assert statements(60) == statements(2)  # one company, so the finder is asked once


def test_the_report_is_a_table_without_formulas(run: Any, tmp_path: Path) -> None:
    bad = {**ORDERS[1], "number": "=1+1", "sold_to": '=HYPERLINK("http://x.example")'}
    report = tmp_path / "report.csv"
    _rows, problem = run([bad, ORDERS[0]], "--report", str(report))
    assert problem
    head, first, second = csv.reader(report.read_text(encoding="utf-8-sig").splitlines())
    assert head[:3] == ["line", "number", "outcome"]
    assert first[:3] == ["1", "'=1+1", "Refused"]
    assert second[:3] == ["2", "CRM-1", "New"]
