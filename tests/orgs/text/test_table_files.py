"""CSV files as people have them: what is taken, and what is refused with a line and a sentence."""

from __future__ import annotations

import codecs
import contextlib
import gzip
import io
import lzma
import os
import zipfile
from pathlib import Path

import pytest
from django_countries import countries
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orgs.importing import COLUMNS, REQUIRED
from orgs.text import country_names
from orgs.text.table_files import MAX_FIELD, FileRefused, TableFile, truth

PLAIN = "external_id,name,country\nc1,Größe & Söhne,DE\nc2,Northwind,US\n"
ROWS = [("c1", "Größe & Söhne", "DE"), ("c2", "Northwind", "US")]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "organizations.csv"


def read(path: Path, content: str | bytes) -> tuple[list[tuple[str, ...]], dict[int, str], str]:
    """The rows, the reasons by line, and what the file was read as."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with TableFile(path, columns=COLUMNS, required=REQUIRED) as table:
        rows = [tuple(row.values()) for _line, row in table]
    return rows, {each.line: each.reason for each in table.refused}, table.read_as


@pytest.mark.parametrize(
    ("content", "read_as"),
    [
        (PLAIN.encode(), "UTF-8, separated by commas"),
        (codecs.BOM_UTF8 + PLAIN.encode(), "UTF-8, separated by commas"),
        (PLAIN.encode("utf-16"), "UTF-16, separated by commas"),
        (codecs.BOM_UTF16_BE + PLAIN.encode("utf-16-be"), "UTF-16, separated by commas"),
        (PLAIN.encode("utf-16-le"), "UTF-16, separated by commas"),
        (PLAIN.encode("utf-16-be"), "UTF-16, separated by commas"),
        (PLAIN.replace(",", ";").encode("cp1252"), "Windows-1252, separated by semicolons"),
        (PLAIN.replace(",", "\t").encode(), "UTF-8, separated by tabs"),
        (("sep=;\n" + PLAIN.replace(",", ";")).encode(), "UTF-8, separated by semicolons"),
        (('\ufeff"sep=;"\r\n' + PLAIN.replace(",", ";")).encode("utf-16-le"), "UTF-16, separated by semicolons"),
        (("SEP=\t\n" + PLAIN.replace(",", "\t")).encode(), "UTF-8, separated by tabs"),
        (PLAIN.replace("\n", "\r").encode(), "UTF-8, separated by commas"),
        (PLAIN.replace("\n", "\r\n").encode(), "UTF-8, separated by commas"),
        (PLAIN.rstrip("\n").encode(), "UTF-8, separated by commas"),
        ((PLAIN + "\x1a").encode(), "UTF-8, separated by commas"),
        (PLAIN.replace("\n", "\n\n , ,\n\n").encode(), "UTF-8, separated by commas"),
        (PLAIN.replace("\n", ",,,\n").encode(), "UTF-8, separated by commas"),
        (lzma.compress(PLAIN.encode()), "UTF-8, separated by commas"),
    ],
)
def test_a_file_is_read_as_its_program_wrote_it(path: Path, content: bytes, read_as: str) -> None:
    assert read(path, content) == (ROWS, {}, f"Read as {read_as}")


@pytest.mark.parametrize(
    "header",
    [
        "External ID,Name,COUNTRY",
        " external-id , name , country ",
        "externalId,Name,Country",
        '"External ID","Name","Country"',
        '"\ufeffexternal_id",name,country',
        '\ufeff\ufeff"external_id",name,country',
        '"External\nID",name,country',
        "ＥＸＴＥＲＮＡＬ＿ＩＤ,name,country,,",
    ],
)
def test_a_column_may_be_spelled_in_any_way(path: Path, header: str) -> None:
    path.write_text(f"{header}\nc1,Contoso,DE\n", encoding="utf-8")
    with TableFile(path, columns=COLUMNS, required=REQUIRED) as table:
        assert [row for _line, row in table] == [{"external_id": "c1", "name": "Contoso", "country": "DE"}]


def test_many_spaces_in_a_field_with_a_line_break_are_read_once(path: Path) -> None:
    # Looked at from each space on, one such field takes a minute.
    spaces = " " * 125_000
    rows, refused, _read_as = read(path, "external_id,name,country\n" + f'c1,"a\nb{spaces}c",DE\n' * 5)
    assert (rows, refused) == ([("c1", f"a b{spaces}c", "DE")] * 5, {})


def test_a_line_break_in_a_quoted_field_is_a_space_and_lines_are_counted_as_an_editor_does(path: Path) -> None:
    path.write_bytes(b'external_id,name\r\n\r\nc1,"Contoso \r\n GmbH, ""Berlin"""\r\nc2,Northwind\r\nc3\r\n')
    with TableFile(path, columns=COLUMNS, required=REQUIRED) as table:
        assert list(table) == [
            (3, {"external_id": "c1", "name": 'Contoso GmbH, "Berlin"'}),
            (5, {"external_id": "c2", "name": "Northwind"}),
        ]
    assert [each.line for each in table.refused] == [6]


@pytest.mark.parametrize(
    ("content", "kept", "refused"),
    [
        # An unclosed quote: the rows after it are read.
        ('c1,"Contoso,DE\nc2,Northwind,US\nc3,Fabrikam,FR\n', ["c2", "c3"], {2: "quote that opens in the column name"}),
        ('c1,"Contoso,DE\nc2,"Northwind",US\nc3,Fabrikam,FR\n', ["c2", "c3"], {2: "isn't closed"}),
        ('c1,"Contoso,DE\nc2,"",US\nc3,Fabrikam,FR\n', ["c2", "c3"], {2: "isn't closed"}),
        ('c1,Contoso,"DE', [], {2: "column country isn't closed"}),
        # It closes in a later row: nobody knows which of them is right.
        ('c1,"Contoso,DE\nc2,Northwind",US\nc3,F,FR\n', ["c3"], {2: "closes in line 3", 3: "line 2 opens a quote"}),
        (
            'c1,"Contoso,DE\nc2,A,US\nc3,B,US\nc4,"\n',
            [],
            {2: "closes in line 5", 3: "line 2", 4: "line 2", 5: "line 2"},
        ),
        ('c1,"Contoso "The Best" GmbH",DE\nc2,B,US\n', ["c2"], {2: "text follows a quote"}),
        ('c1,5" Pipes,DE\nc2 , "Spaces, around" ,US\n', ["c1", "c2 "], {}),
        ("c1,Contoso\nc2,B,US\nc3,C,FR,more\n", ["c2"], {2: "3, not 2", 4: "3, not 4"}),
        ("c1,Con\0toso,DE\nc2,B,US\n", ["c2"], {2: "NUL byte"}),
        (f"c1,{'x' * (MAX_FIELD + 1)},DE\nc2,B,US\n", ["c2"], {2: "column name has 131,073 characters"}),
        (f'c1,"{"x" * (MAX_FIELD + 1)}",DE\nc2,B,US\n', ["c2"], {2: "column name has 131,073 characters"}),
    ],
)
def test_a_row_that_can_t_be_read_is_refused_with_its_line(
    path: Path, content: str, kept: list[str], refused: dict[int, str]
) -> None:
    rows, reasons, _read_as = read(path, "external_id,name,country\n" + content)
    assert [row[0] for row in rows] == kept
    assert reasons.keys() == refused.keys()
    assert all(refused[line] in reasons[line] for line in refused), reasons


def test_a_line_break_goes_with_empty_columns_at_the_end(path: Path) -> None:
    rows, reasons, _read_as = read(
        path, 'external_id,name,country,,\nc1,"Größe\n& Söhne",DE,,\nc2,"Open,US,,\nc3,C",FR,,\n'
    )
    assert rows == [("c1", "Größe & Söhne", "DE")]
    assert sorted(reasons) == [4, 5]


def test_single_lines_in_another_encoding_are_refused_and_the_rest_is_read(path: Path) -> None:
    content = b"".join(
        [b"external_id,name\n", "c1,Größe\n".encode(), "c2,Söhne\n".encode("cp1252"), "c3,Straße".encode()]
    )
    rows, reasons, _read_as = read(path, content)
    assert [row[1] for row in rows] == ["Größe", "Straße"]
    assert list(reasons) == [3]
    assert "isn't UTF-8" in reasons[3]


def archive(*names: str) -> bytes:
    """A ZIP archive with these files."""
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as file:
        for name in names:
            file.writestr(name, "application/vnd.oasis.opendocument.spreadsheet" if name == "mimetype" else "x")
    return memory.getvalue()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "The file is empty"),
        (b"\xef\xbb\xbf\r\n\r\n", "The file is empty"),
        (b"external_id,name\n", "no row"),
        (b"external_id,name\n\n,\n", "no row"),
        (b"external_id,name,Name\nc1,a,b\n", "column name is there twice"),
        (b"external_id,name,other names,phone\nc1,a,b,c\n", "“phone” is unknown"),
        (b"external_id,name,othr_name\nc1,a,b\n", "likely meant: other_names"),
        (b"external_id,,name\nc1,a,b\n", "Column 2 has no name"),
        (b"name\nContoso\n", "not there: external_id"),
        (b"external_id|name\nc1|a\n", "separated by |"),
        (b"sep=|\nexternal_id|name\nc1|a\n", "names '|' as separator"),
        (b'external_id,"name\nc1,a\n', "opens a quote"),
        (archive("[Content_Types].xml", "xl/workbook.xml"), "Excel workbook"),
        (archive("mimetype", "content.xml"), "OpenDocument"),
        (archive("organizations.csv"), "ZIP archive"),
        (gzip.compress(b"external_id,name\n", mtime=0), "gzip"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500), "Excel workbook"),
        (b"%PDF-1.7\n", "PDF"),
        (b"<html><table>", "web page"),
        (b"external_id,name\nc1,\x81\x8d\n", "Line 2 has bytes that fit neither"),
        ("external_id,name\nc1,Рога и копыта\n".encode("cp1251"), "line 2 makes no sense as Windows-1252"),
        ("external_id,name\nc1,Spółka żółta\n".encode("cp1250"), "line 2 makes no sense as Windows-1252"),
        ("external_id,name\nc1,株式会社\n".encode("gbk"), "CSV (UTF-8)"),
        (PLAIN.encode("utf-16")[:-1], "Line 3 has bytes that fit neither UTF-8 nor UTF-16"),
        (lzma.compress(PLAIN.encode())[:-20], "can't be read to its end"),
    ],
)
def test_a_file_that_can_t_be_read_is_refused_with_what_to_do(path: Path, content: bytes, sentence: str) -> None:
    with pytest.raises(FileRefused) as refused:
        read(path, content)
    assert sentence in str(refused.value)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, sentence in {
        "": "is a folder",
        "none.csv": "There is no file",
        "pipe": "no ordinary",
        "a\0b": "can't",
    }.items():
        with pytest.raises(FileRefused, match=sentence):
            TableFile(tmp_path / name, columns=COLUMNS)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_refused(path: Path) -> None:
    path.write_text(PLAIN, encoding="utf-8")
    path.chmod(0)
    with pytest.raises(FileRefused, match="permissions"):
        TableFile(path, columns=COLUMNS)


def test_western_texts_are_taken_as_windows_1252(path: Path) -> None:
    names = ["Cœur d’Alène – «Bœuf»", "Žďár š r.o.".replace("ď", "d"), "Ñandú & Cía. Nº 5", "Col·legi", "50 € “Größe”…"]
    content = "external_id;name\r\n" + "".join(f"c{at};{name}\r\n" for at, name in enumerate(names))
    rows, _reasons, read_as = read(path, content.encode("cp1252"))
    assert [row[1] for row in rows] == names
    assert "Windows-1252" in read_as


ALPHABET = st.text(st.sampled_from('ab",;\n\r \t\0\x1aé|'), max_size=60)


@given(st.one_of(st.binary(max_size=300), ALPHABET.map(lambda text: b"external_id,name\n" + text.encode())))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
def test_any_bytes_are_read_or_refused(path: Path, content: bytes) -> None:
    with contextlib.suppress(FileRefused):
        read(path, content)


FIELD = st.text(st.sampled_from('ab",\n é'), min_size=1, max_size=8)
# A row as programs write it, with line breaks only where it is quoted; or any line at all.
WRITTEN = st.lists(
    FIELD.map(lambda text: '"' + text.replace('"', '""').replace("\n", " ") + '"'), min_size=3, max_size=3
)
LINE = st.one_of(WRITTEN.map(",".join), st.text(st.sampled_from('ab",é '), max_size=20))


@given(st.lists(LINE, min_size=1, max_size=8))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
def test_no_line_with_text_is_lost(path: Path, lines: list[str]) -> None:
    path.write_text("external_id,name,country\n" + "\n".join(lines), encoding="utf-8")
    read_lines: set[int] = set()
    with TableFile(path, columns=COLUMNS, required=REQUIRED) as table:
        try:
            for line, row in table:
                # A row takes the lines whose text it has.
                taken = 1
                while _is_open("\n".join(lines[line - 2 : line - 2 + taken])):
                    taken += 1
                assert row.keys() == {"external_id", "name", "country"}
                read_lines |= set(range(line, line + taken))
        except FileRefused:
            assert not table.refused
    read_lines |= {each.line for each in table.refused}
    blank = {at for at, line in enumerate(lines, start=2) if not line.replace('"', "").replace(",", "").strip()}
    assert set(range(2, len(lines) + 2)) - read_lines <= blank


def _is_open(text: str) -> bool:
    """Whether a field that begins with a quote goes on in the next line (checked letter by letter)."""
    state = "start"
    for char in text:
        if state == "start":
            state = "quoted" if char == '"' else "start" if char in ", " else "plain"
        elif state == "quoted":
            state = "closing" if char == '"' else "quoted"
        elif state == "closing":
            state = "quoted" if char == '"' else "start" if char == "," else "after"
        elif char == ",":
            state = "start"
    return state == "quoted"


@pytest.mark.parametrize("text", ["1", "TRUE", "True", " yes ", "WAHR", "ja", "X", "vrai", "sí", "はい", "ИСТИНА", "✓"])
def test_yes_is_yes_in_the_languages_of_spreadsheets(text: str) -> None:
    assert truth(text) is True


@pytest.mark.parametrize("text", ["", " ", "0", "FALSE", "no", "FALSCH", "nein", "FAUX", "não", "いいえ", "-"])
def test_no_is_no_and_so_is_nothing(text: str) -> None:
    assert truth(text) is False


@pytest.mark.parametrize("text", ["2", "maybe", "yes and no", "partner"])
def test_anything_else_is_neither(text: str) -> None:
    assert truth(text) is None


@pytest.mark.parametrize(
    ("text", "code"),
    [pair.strip().rsplit("=", 1) for pair in """
    DE=DE|de=DE|Germany=DE|deutschland=DE|Allemagne=DE|Alemania=DE|DEU=DE|276=DE|UK=GB|Great Britain=GB|England=GB
    EL=GR|Ελλάδα=GR|ΕΛΛΑΔΑ=GR|USA=US|U.S.=US|United States of America=US|Österreich=AT|osterreich=AT|Suomi=FI|日本=JP
    Россия=RU|Republic of Korea=KR|Cote d'Ivoire=CI|Ivory Coast=CI|St. Lucia=LC|Türkiye=TR|TURKEY=TR|Holland=NL
    The Netherlands=NL|Czech Republic=CZ|Iran, Islamic Republic of=IR|Kosovo=XK|中國=CN|ไทย=TH|السعودية=SA
    """.strip().replace("\n", "|").split("|")],
)  # fmt: skip
def test_a_country_is_known_by_its_names_and_codes(text: str, code: str) -> None:
    assert country_names.find(text) == code


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("XX", "“XX” is unknown."),
        ("EU", "“EU” is unknown."),
        ("Germny", "Likely meant: Germany (DE)"),
        ("Österrreich", "Likely meant: Austria (AT)"),
        ("Korea", "KP (North Korea) or KR (South Korea)"),
        ("Congo", "CD (Congo - Kinshasa) or CG (Congo - Brazzaville)"),
        ("AN", "CW (Curaçao)"),
    ],
)
def test_a_country_that_is_unknown_or_several_is_refused(text: str, sentence: str) -> None:
    assert country_names.find(text) == ""
    assert sentence in country_names.problem(text)


def test_the_countries_are_those_of_the_forms() -> None:
    assert country_names.codes() == {code for code, _name in countries} | {"XK"}
