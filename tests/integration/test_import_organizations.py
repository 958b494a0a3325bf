"""Bringing organizations in from a file: upsert, refusals with lines and reasons, what a second run finds."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from orgs import importing
from orgs.matching import Result, find_candidates
from orgs.models import Domain, Member, Organization, OtherName

pytestmark = pytest.mark.django_db(transaction=True)

HEADER = "external_id,name,country,domains,other_names,members\n"
ROWS = (
    "c1,Contoso GmbH,DE,verified:contoso.com|claimed:contoso.de,former:Fabrikam AG|acronym:CTS,"
    "full:Ada@contoso.com|bob@contoso.com\n"
    "c2,Northwind Traders,US,northwind.example,,\n"
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with two organizations."""
    path = tmp_path / "organizations.csv"
    path.write_text(HEADER + ROWS, encoding="utf-8")
    return path


def everything() -> list[object]:
    """All that an import can change."""
    return [list(model.objects.order_by("pk").values()) for model in (Organization, Domain, OtherName, Member)]


def test_file_brings_organizations_with_domains_names_and_members(file: Path) -> None:
    report = importing.import_file(file)
    assert (report.rows, report.organizations, report.domains, report.other_names, report.members) == (2, 2, 3, 2, 2)
    assert report.refused == []
    contoso = Organization.objects.get(external_id="c1")
    assert contoso.user_count == 2
    assert set(contoso.domains.values_list("name", "status")) == {
        ("contoso.com", "verified"),
        ("contoso.de", "claimed"),
    }
    assert set(contoso.other_names.values_list("name", "kind")) == {("Fabrikam AG", "former"), ("CTS", "acronym")}
    assert set(contoso.members.values_list("email", "role")) == {
        ("ada@contoso.com", "full"),
        ("bob@contoso.com", "user"),
    }


def test_what_was_imported_is_found(file: Path) -> None:
    importing.import_file(file)
    assert find_candidates(email="ada@contoso.com", company_name="").result is Result.EXACT
    found = find_candidates(email="new@gmail.com", company_name="Nortwind Traders")
    assert [each.organization.name for each in found.candidates] == ["Northwind Traders"]


def test_second_run_changes_nothing(file: Path) -> None:
    importing.import_file(file)
    before = everything()
    report = importing.import_file(file)
    assert (report.organizations, report.domains, report.other_names, report.members) == (0, 0, 0, 0)
    assert everything() == before


def test_changed_row_changes_its_organization_and_keeps_the_rest(file: Path) -> None:
    importing.import_file(file)
    public_id = Organization.objects.get(external_id="c1").public_id
    file.write_text(HEADER + "c1,Contoso Holding,AT,,,\n", encoding="utf-8")
    importing.import_file(file)
    contoso = Organization.objects.get(external_id="c1")
    assert (contoso.name, contoso.name_key, contoso.country.code) == ("Contoso Holding", "contoso holding", "AT")
    assert contoso.public_id == public_id
    assert contoso.domains.count() == 2
    assert Organization.objects.count() == 2


def test_refused_rows_are_reported_with_line_and_reason(file: Path) -> None:
    file.write_text(
        HEADER
        + "c1,Contoso,DE,,,\n"
        + ",No id,DE,,,\n"
        + "c3,,DE,,,\n"
        + "c4,Nowhere,XX,,,\n"
        + "c1,Twice,DE,,,\n"
        + "c5,Parts,DE,not a domain,,nobody\n"
        + "c6,Short row\n",
        encoding="utf-8",
    )
    report = importing.import_file(file)
    assert [(each.line, each.reason.split(" ")[0:3]) for each in report.refused] == [
        (3, ["An", "external", "id"]),
        (4, ["A", "name", "has"]),
        (5, ["A", "country", "is"]),
        (6, ["The", "external", "id"]),
        (7, ["A", "domain", "is"]),
        (7, ["A", "member", "is"]),
        (8, ["The", "row", "needs"]),
    ]
    assert sorted(Organization.objects.values_list("name", flat=True)) == ["Contoso", "Parts"]


def test_domain_is_claimed_by_one_organization_alone(file: Path) -> None:
    importing.import_file(file)
    file.write_text(HEADER + "c2,Northwind Traders,US,claimed:contoso.de,,\n", encoding="utf-8")
    report = importing.import_file(file)
    assert [each.line for each in report.refused] == [2]
    assert Domain.objects.get(name="contoso.de").organization.external_id == "c1"


def test_file_without_the_columns_is_refused_with_a_sentence(file: Path) -> None:
    file.write_text("name\nContoso\n", encoding="utf-8")
    with pytest.raises(CommandError, match="external_id"):
        call_command("import_organizations", file)


def test_hostile_text_is_brought_in_as_text(file: Path) -> None:
    file.write_text(HEADER + 'h1,"A\\b\ttab ""quoted"" \x01 name",DE,,"x\\ny|z",\n', encoding="utf-8")
    importing.import_file(file)
    assert Organization.objects.get().name == 'A\\btab "quoted"  name'


def run(*arguments: object) -> tuple[str, str]:
    """What the command says, and its last word where it doesn't end well."""
    out = StringIO()
    problem = ""
    try:
        call_command("import_organizations", *arguments, stdout=out)
    except CommandError as error:
        problem = str(error)
    return out.getvalue(), problem


def test_spreadsheet_in_its_own_language_comes_in(tmp_path: Path) -> None:
    path = tmp_path / "Firmen.csv"
    path.write_bytes(
        "sep=;\r\n External-ID ;NAME;Country;Is Partner;Domains;Members;\r\n"
        'c1;"Größe\r\n& Söhne";Deutschland;WAHR;https://www.groesse.example/start;Ada <ada@groesse.example>;\r\n'
        "\r\nc2;Northwind;UK;;;;\r\nc3;Ellás;EL;nein;;;\r\n".encode("cp1252")
    )
    said, problem = run(path)
    assert problem == ""
    assert said.startswith("Read as Windows-1252, separated by semicolons. Read 3 rows. Organizations: 3 made")
    assert list(Organization.objects.order_by("external_id").values_list("name", "country", "is_partner")) == [
        ("Größe & Söhne", "DE", True),
        ("Northwind", "GB", False),
        ("Ellás", "GR", False),
    ]
    assert Domain.objects.get().name == "groesse.example"
    assert Member.objects.get().email == "ada@groesse.example"


def test_what_is_refused_is_named_with_its_line_and_the_rest_comes_in(tmp_path: Path) -> None:
    path, refused = tmp_path / "organizations.csv", tmp_path / "refused.txt"
    path.write_text(
        "external_id,name,country,is_partner,members\n"
        'c1,"Contoso,DE,,\n'
        "c2,Northwind,Germny,,\n"
        "c3,Fabrikam,Korea,,\n"
        "c4,Adventure,DE,perhaps,\n"
        f"c5,{'x' * 140_000},DE,,\n"
        'c6,Tailspin,DE,,"a@x.example, b@x.example"\n'
        "c7,Wingtip,DE,yes,\n",
        encoding="utf-8",
    )
    said, problem = run(path, "--refused", refused)
    assert "Read 7 rows" in said
    assert "the rest was imported" in problem
    assert refused.read_text(encoding="utf-8").splitlines() == said.splitlines()[1:]
    expected = {
        2: "isn't closed",
        3: "Germany (DE)",
        4: "KR (South Korea)",
        5: "“perhaps”",
        6: "140,000",
        7: "A member is",
    }
    for line, text in expected.items():
        assert [each for each in said.splitlines() if each.startswith(f"line {line}: ") and text in each], (line, said)
    assert set(Organization.objects.values_list("external_id", flat=True)) == {"c6", "c7"}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"PK\x03\x04" + b"xl/workbook.xml" * 9, "save it as CSV"),
        (b"external_id,name,telephone\nc1,Contoso,1\n", "“telephone” is unknown"),
        (b"external_id,name\n", "no row"),
        (b"", "empty"),
    ],
)
def test_file_that_is_none_changes_nothing(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "organizations.csv"
    path.write_bytes(content)
    said, problem = run(path)
    assert (said, Organization.objects.count()) == ("", 0)
    assert problem.startswith("Nothing was imported. ")
    assert sentence in problem
    assert "is a folder" in run(tmp_path)[1]
    assert "There is no file" in run(tmp_path / "none.csv")[1]
