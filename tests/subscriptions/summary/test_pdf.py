"""The order summary as a PDF: every fact, in every script, accessible, and the same bytes each time."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

import pypdf
import pytest
from django.core.management import CommandError, call_command
from django.utils.translation import override
from pytest_django import DjangoAssertNumQueries, Settings

from subscriptions.packs.calling import CallingFacts, LocationFacts
from subscriptions.packs.meetings import MeetingsFacts
from subscriptions.summary import Company, OrderSummary, build_summary, pdf
from tests.factories import set_up_order
from tests.subscriptions.summary.test_summary import a_summary
from tests.subscriptions.test_orders import place
from tests.subscriptions.test_set_up import HEADQUARTERS, mapped_order, plans, site

NAMES = {
    "Chinese": ("东方软件有限公司", "CN"),
    "Japanese": ("株式会社東方システムズ", "JP"),
    "Korean": ("주식회사 한국통신", "KR"),
    "Arabic": ("شركة النور للتجارة", "SA"),
    "Hebrew": ("חברת אור", "IL"),
    "Thai": ("บริษัท ไทยคอม จำกัด", "TH"),
    "Devanagari": ("कंपनी लिमिटेड", "IN"),
    "Greek and Cyrillic": ("Ελληνική ООО Ромашка", "GR"),
}


# The code and QR code at the end, as every PDF that is given out has them.
PROVED = {"code": "ABCD-EFGH-JKMN", "url": "https://setup.example.com/verify/ABCD-EFGH-JKMN/"}


def text_of(content: bytes) -> str:
    """The text of all pages without white space and marks that have no shape."""
    pages = pypdf.PdfReader(io.BytesIO(content)).pages
    return packed("".join(page.extract_text() for page in pages))


def packed(text: str) -> str:
    return re.sub(r"[\s\u2060\u2066-\u2069\u200b]", "", unicodedata.normalize("NFC", text))


def shown(summary: OrderSummary) -> list[str]:
    """Everything that the page shows, fact by fact."""
    found = [summary.lead]
    for section in summary.sections:
        found += [section.title, *section.sentences]
        for row in section.rows:
            found += [row.term, *row.lines]
        if section.table:
            found += [cell for row in (section.table.head, *section.table.rows, section.table.total) for cell in row]
    return found


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize(
    "summary",
    [
        a_summary(1, calling=False),
        a_summary(0),
        a_summary(3),
        a_summary(50),
        a_summary(3, customer=Company("c", "Contoso Inc.", "US")),
        a_summary(2, provisioning_administrator=False, delegated_to="", customer_name=""),
        a_summary(1, calling=False, state="mapped", set_up_at=None, made=False),
    ],
    ids=["meetings", "calling", "three-sites", "fifty-sites", "letter", "few-facts", "not-set-up"],
)
def test_pdf_has_every_fact_that_the_page_shows(summary: OrderSummary, language: str) -> None:
    text = text_of(pdf.render(summary, language))
    with override(language):
        missing = [fact for fact in shown(summary) if packed(fact) not in text]
    assert missing == []


def test_long_names_take_their_room_and_nothing_is_lost() -> None:
    name = "Gesellschaft für außerordentlich lange Firmennamen " * 3 + "x" * 40
    summary = a_summary(5, sold_to=name, customer_name=name, customer=Company("c", "Q" * 200, "DE"))
    text = text_of(pdf.render(summary, "en"))
    assert [fact for fact in shown(summary) if packed(fact) not in text] == []


@pytest.mark.parametrize("script", NAMES)
def test_names_in_many_scripts_are_shown_with_fonts_that_have_them(script: str) -> None:
    name, country = NAMES[script]
    location = LocationFacts(name, country, (("city", name),), "UTC", "en", "en", "")
    content = pdf.render(a_summary(1, sold_to=name, customer=Company("c", name, country), location=location), "en")
    # Readers differ in how they put right-to-left text in order: each character is there, though.
    assert set(packed(name)) - set(text_of(content)) <= {"\u0e33"}
    for font in fonts_of(content):
        assert "/FontDescriptor" in font or "/DescendantFonts" in font


def fonts_of(content: bytes) -> list[Any]:
    reader = pypdf.PdfReader(io.BytesIO(content))
    resources = reader.pages[0]["/Resources"]
    return [font.get_object() for font in resources["/Font"].values()]  # type: ignore[index]


def test_same_summary_gives_the_same_bytes_also_in_another_process(tmp_path: Path) -> None:
    first = pdf.render(a_summary(3), "en", **PROVED)
    assert pdf.render(a_summary(3), "en", **PROVED) == first
    script = tmp_path / "again.py"
    script.write_text(
        "import os, sys, django\n"
        "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'tests.settings')\n"
        "django.setup()\n"
        "from subscriptions.summary import pdf\n"
        "from tests.subscriptions.summary.test_summary import a_summary\n"
        f"sys.stdout.buffer.write(pdf.render(a_summary(3), 'en', **{PROVED}))\n"
    )

    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    again = subprocess.run([sys.executable, str(script)], capture_output=True, check=True, env=environment)
    assert again.stdout == first


def test_renders_on_many_threads_do_not_disturb_each_other() -> None:
    wanted = {count: pdf.render(a_summary(count), "en") for count in (1, 2, 3, 4)}
    made: dict[int, bytes] = {}
    threads = [
        threading.Thread(target=lambda count=count: made.update({count: pdf.render(a_summary(count), "en")}))
        for count in wanted
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == wanted


def test_file_says_its_title_language_and_dates_and_is_tagged() -> None:
    reader = pypdf.PdfReader(io.BytesIO(pdf.render(a_summary(1), "de")))
    root: Any = reader.trailer["/Root"]
    assert root["/Lang"] == "de"
    assert root["/MarkInfo"]["/Marked"]
    assert root["/ViewerPreferences"]["/DisplayDocTitle"]
    assert root["/Metadata"].get_object().get_data().count(b"<pdfuaid:part>1</pdfuaid:part>") == 1
    metadata = reader.metadata
    assert metadata is not None
    assert "PO-100001" in (metadata.title or "")
    assert metadata.creation_date == a_summary(1).set_up_at


def test_mark_number_and_page_are_on_each_page(settings: Settings) -> None:
    settings.BRAND_NAME = "Adatum Cloud"
    pages = pypdf.PdfReader(io.BytesIO(pdf.render(a_summary(50), "en"))).pages
    assert len(pages) > 1
    for at, page in enumerate(pages, start=1):
        text = page.extract_text()
        assert "Adatum Cloud" in text
        assert "Order PO-100001" in text
        assert f"Page {at} of {len(pages)}" in text


@pytest.mark.parametrize(("country", "size"), [("DE", (595, 842)), ("US", (612, 792))])
def test_paper_is_that_of_the_country(country: str, size: tuple[int, int]) -> None:
    content = pdf.render(a_summary(3, customer=Company("c", "Contoso", country)), "en")
    box = pypdf.PdfReader(io.BytesIO(content)).pages[0].mediabox
    assert (round(box.width), round(box.height)) == size


def test_first_page_answers_who_what_where_and_what_is_next() -> None:
    for sites in (1, 3, 50):
        first = packed(pypdf.PdfReader(io.BytesIO(pdf.render(a_summary(sites), "en"))).pages[0].extract_text())
        for fact in (
            "Contoso GmbH",
            "Fabrikam Partners Ltd",
            "250",
            "https://contoso-0.",
            "Berlin",
            "What happens next",
        ):
            assert packed(fact) in first


def test_facts_are_attached_for_programs() -> None:
    summary = a_summary(3)
    attached = pypdf.PdfReader(io.BytesIO(pdf.render(summary, "en"))).attachments
    assert json.loads(attached["order-PO-100001.json"][0]) == summary.as_dict()


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        '<img src="http://169.254.169.254/">',
        "</title><link rel=attachment href=file:///etc/passwd>",
    ],
)
def test_hostile_names_are_text_and_nothing_is_fetched(hostile: str) -> None:
    content = pdf.render(a_summary(1, sold_to=hostile, customer=Company("c", hostile, "DE")), "en")
    assert packed(hostile) in text_of(content)
    assert list(pypdf.PdfReader(io.BytesIO(content)).attachments) == ["order-PO-100001.json"]


def test_logo_from_elsewhere_is_not_fetched(settings: Settings) -> None:
    settings.BRAND_LOGO_URL = "https://203.0.113.1/logo.png"
    assert pdf.render(a_summary(1), "en").startswith(b"%PDF-")


def test_vendors_accent_font_and_own_logo_are_used(settings: Settings) -> None:
    settings.BRAND_ACCENT = "#a10046"
    settings.BRAND_FONT = "DejaVu Sans"
    settings.BRAND_LOGO_URL = "/static/favicon.svg"
    content = pdf.render(a_summary(1), "en")
    assert any("DejaVu" in str(font["/BaseFont"]) for font in fonts_of(content))


@pytest.mark.skipif(not shutil.which("qpdf"), reason="qpdf is not installed")
def test_file_has_no_structural_faults(tmp_path: Path) -> None:
    for sites in (1, 50):
        file = tmp_path / f"{sites}.pdf"
        file.write_bytes(pdf.render(a_summary(sites), "en", **PROVED))
        subprocess.run(["qpdf", "--check", str(file)], check=True, capture_output=True)


@pytest.mark.parametrize("profile", ["ua1", "3a"])
def test_long_file_keeps_both_standards(profile: str) -> None:
    checker = pytest.importorskip("page", reason="page-validation is not installed")
    report = checker.validate_pdf_bytes(pdf.render(a_summary(50), "en", **PROVED), profile=profile)
    assert [(failure.rule_id, failure.message) for failure in report.failures] == []


@pytest.mark.parametrize("profile", ["ua1", "3a"])
@pytest.mark.parametrize("script", ["Latin", *NAMES])
def test_file_keeps_both_standards(script: str, profile: str) -> None:
    checker = pytest.importorskip("page", reason="page-validation is not installed")
    name, country = NAMES.get(script, ("Contoso GmbH", "DE"))
    content = pdf.render(a_summary(3, customer=Company("c", name, country)), "en", **PROVED)
    report = checker.validate_pdf_bytes(content, profile=profile)
    assert [(failure.rule_id, failure.message) for failure in report.failures] == []


@pytest.mark.django_db
def test_summary_of_an_order_is_read_in_four_queries_however_large(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    small = set_up_order(order=mapped_order("V-1"), plans=plans([site("contoso-main")]))
    fifty = [site(f"contoso-{at:02}", 5) for at in range(50)]
    large = set_up_order(order=mapped_order("V-2"), plans=plans(fifty, replace(HEADQUARTERS, name="Branch office")))
    for order, count in ((small, 1), (large, 50)):
        with django_assert_num_queries(4):
            summary = build_summary(order)
        with django_assert_num_queries(0):
            assert summary.sections
        sites, headquarters = (line.made for line in summary.lines)
        assert isinstance(sites, MeetingsFacts)
        assert len(sites.sites) == count
        assert sites.sites[0].url == f"https://contoso-{'main' if count == 1 else '00'}.meet.example.com"
    assert isinstance(headquarters, CallingFacts)
    assert dict(headquarters.location.address) == HEADQUARTERS.address
    assert summary.administrator_email == "anna@contoso.com"


@pytest.mark.django_db
def test_command_writes_the_file_and_says_what_to_do_otherwise(tmp_path: Path) -> None:
    set_up_order(order=mapped_order("V-1"), plans=plans([site("contoso-main")]))
    file = tmp_path / "summary.pdf"
    call_command("order_summary", "V-1", "--output", str(file), "--language", "de")
    assert file.read_bytes().startswith(b"%PDF-1.7")
    with pytest.raises(CommandError, match="Check the number"):
        call_command("order_summary", "V-404", "--output", str(file))
    with pytest.raises(CommandError, match="Choose another file"):
        call_command("order_summary", "V-1", "--output", str(tmp_path / "no" / "folder.pdf"))


@pytest.mark.django_db
def test_order_just_placed_has_a_summary_too() -> None:
    order, _ = place()
    assert "V-1" in text_of(pdf.render(build_summary(order), "en"))


def test_verification_is_at_the_end_of_the_last_page_and_never_on_one_of_its_own() -> None:
    for sites, country in ((1, "DE"), (3, "DE"), (3, "US"), (12, "DE"), (50, "US")):
        summary = a_summary(sites, customer=Company("c", "Contoso", country))
        last = pypdf.PdfReader(io.BytesIO(pdf.render(summary, "en", **PROVED))).pages[-1].extract_text()
        assert PROVED["code"] in last
        assert "Site URL" in last
