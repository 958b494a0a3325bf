"""Reads CSV files of spreadsheets and databases.

The encoding and the separator are detected, and columns are matched by name in any spelling. Every row is either
yielded, or refused with its first line number and a sentence. If the whole file is unusable, ``FileRefused`` is raised
with a sentence; no other exception is raised for the content of a file.
"""

from __future__ import annotations

import codecs
import csv
import io
import lzma
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self, cast

from rapidfuzz import fuzz, process

MAX_FIELD: Final = 131_072  # characters, the limit of Python's csv module
MAX_LINE: Final = 16_000_000
_LOOK_AHEAD: Final = 1_000_000  # characters in which the end of a quoted field is searched
_BLOCK: Final = 1 << 18

_SEPARATORS: Final = {",": "commas", ";": "semicolons", "\t": "tabs"}
_SEP_LINE: Final = re.compile(r'\s*"?sep=(.?)"?\s*', re.IGNORECASE)
_AS_CSV: Final = "Open it in a spreadsheet program and save it as CSV (UTF-8)."
_MAGIC: Final = (
    (b"\xd0\xcf\x11\xe0", "an Excel workbook or another Office document"),
    (b"%PDF", "a PDF document"),
    (b"\x1f\x8b", "compressed by gzip"),
    (b"BZh", "compressed by bzip2"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"PAR1", "a Parquet file"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"{\\rtf", "an RTF document"),
)
_MARKUP: Final = re.compile(rb"\s*<(?:!doctype|html|\?xml|table|workbook)", re.IGNORECASE)
_XZ: Final = b"\xfd7zXZ\0"
# Symbols that don't occur between letters in Windows-1252; they are letters in other encodings.
_NOT_WESTERN: Final = re.compile(
    r"(?<=[^\W\d_])[\x80-\x89\x8b\x8d\x8f-\x91\x93-\x95\x98\x99\x9b\x9d\xa1-\xac\xae-\xb3\xb5\xb6\xb8-\xbf](?=[^\W\d_])"
)
_RUN: Final = re.compile(r"[\x80-\U0010ffff]{4,}")

# Words for yes and no in the languages of spreadsheet programs, and check marks.
_TRUE: Final = frozenset(
    """
    1 true t yes y x on ✓ ✔ ☑ wahr ja j vrai oui verdadero sí si vero verdadeiro sim waar prawda tak sant sann
    sand tosi kyllä pravda ano igaz igen doğru evet истина да adevărat da αληθεσ ναι 是 はい 예 真
    """.split()
)
_FALSE: Final = frozenset(
    """
    0 false f no n off - – — ☐ ✗ ✘ falsch nein faux non falso falsos não nao onwaar nee fałsz nie falskt usann falsk
    nej nei epätosi ei nepravda ne hamis nem yanliş yanlış hayır hayir ложь нет fals nu ψευδεσ οχι όχι
    否 いいえ 아니요 假
    """.split()
)


class FileRefused(ValueError):
    """The file can't be read. The message is a sentence that says why and what to do."""


@dataclass(frozen=True)
class RefusedRow:
    """A row, or a part of one, that was refused: its line number, and a sentence with what is expected.

    ``field`` is the column, and for a part also its place from 0: ``name``, ``domains/2``; "" for the whole row.
    """

    line: int
    reason: str
    field: str = ""


def truth(text: str) -> bool | None:
    """Parse yes or no in many languages. An empty text is no; None for anything else."""
    word = unicodedata.normalize("NFKC", text).strip(" .'\"“”„‚’\u200b\ufeff").casefold()
    if word in _TRUE:
        return True
    return False if not word or word in _FALSE else None


@dataclass(frozen=True)
class _Encoding:
    codec: str
    label: str
    errors: str = "strict"


class _Record:
    """A row while it is read line by line: its fields, and the quoted field that is still open."""

    def __init__(self, separator: str) -> None:
        self.separator = separator
        self.fields: list[str] = []
        self.open: list[str] | None = None
        self.broken = False  # text follows a closing quote

    def feed(self, line: str) -> None:
        """Parse one line, without its line end."""
        separator, size, at = self.separator, len(line), 0
        if self.open is not None:
            self.open.append("\n")
            at = self._quoted(line, 0)
        while 0 <= at <= size:
            start = at
            while line.startswith(" ", start):
                start += 1
            if line.startswith('"', start):
                self.open = []
                at = self._quoted(line, start + 1)
                continue
            end = line.find(separator, at)
            if end < 0:
                self.fields.append(line[at:])
                return
            self.fields.append(line[at:end])
            at = end + 1

    def _quoted(self, line: str, at: int) -> int:
        """Continue the open field; return where the next field begins, -1 if none does."""
        parts = self.open
        assert parts is not None  # noqa: S101 - for mypy: only called with an open field
        while True:
            end = line.find('"', at)
            if end < 0:
                parts.append(line[at:])
                return -1
            if not line.startswith('"', end + 1):
                break
            parts.append(line[at : end + 1])
            at = end + 2
        parts.append(line[at:end])
        self.fields.append("".join(parts))
        self.open = None
        at = end + 1
        while line.startswith(" ", at):
            at += 1
        if at == len(line):
            return -1
        if not line.startswith(self.separator, at):
            self.broken = True
            return -1
        return at + 1


class _Lines:
    """An iterator of lines that counts them, and to which lines can be pushed back."""

    def __init__(self, blocks: Iterator[str]) -> None:
        self._blocks = blocks
        self._ready: list[str] = []  # in reverse
        self._rest = ""
        self._ended = False
        self.number = 0  # of the last line that was returned

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        while not self._ready:
            self._read()
        self.number += 1
        return self._ready.pop()

    def _read(self) -> None:
        if self._ended:
            raise StopIteration
        block = next(self._blocks, None)
        if block is None:
            self._ended = True
            self._ready = [self._rest.removesuffix("\x1a")] if self._rest else []  # Ctrl-Z, the end of a DOS file
            return
        *self._ready, self._rest = (self._rest + block).split("\n")
        if len(self._rest) > MAX_LINE:
            line = self.number + len(self._ready) + 1
            raise FileRefused(f"Line {line} has more than {MAX_LINE:,} characters: this is no CSV file. {_AS_CSV}")
        self._ready.reverse()

    def push_back(self, lines: Sequence[str]) -> None:
        """Push back the last lines."""
        self._ready.extend(reversed(lines))
        self.number -= len(lines)


class TableFile:
    """An open CSV file. Iterating yields ``(line, {column: text})``; ``refused`` has the rows that couldn't be read.

    :param columns: the names of the columns in the yielded rows. A file may spell them in any case, with spaces or
        hyphens.
    :param required: columns that must be there.
    :param others: whether other columns are read under their own names instead of being refused.
    :param encoding: the codec; "" to detect it.
    :param most_refused: the file is refused where more rows than this can't be read; None for no limit.
    :param progress: called with the number of bytes that were read.

    :raises FileRefused: here, or while the rows are read.
    """

    def __init__(
        self,
        path: Path,
        *,
        columns: Sequence[str] = (),
        required: Sequence[str] = (),
        others: bool = False,
        encoding: str = "",
        most_refused: int | None = None,
        progress: Callable[[int], None] = lambda _read: None,
    ) -> None:
        self.refused: list[RefusedRow] = []
        self._most_refused = most_refused
        self._odd = False  # the file has characters that a row may not have
        self._progress = progress
        if encoding:
            self._encoding = _Encoding(encoding, encoding)
        else:
            with _open(path) as file:
                self._encoding = _detect(file)
        self._odd = self._encoding.errors != "strict"
        self._file = _open(path)
        try:
            self._lines = _Lines(self._blocks())
            self.separator, header = self._header(columns)
            self.columns = _columns(header, columns, required, others=others)
            # Separators of a complete row, with and without empty columns at its end.
            self._separators = {len(self.columns) - 1, len(header) - 1}
            # Created once, because creating it takes longer than reading a row.
            self._dialect = csv.reader((), delimiter=self.separator, skipinitialspace=True, strict=True).dialect
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    @property
    def read_as(self) -> str:
        """The detected format: "Read as Windows-1252, separated by semicolons"."""
        return f"Read as {self._encoding.label}, separated by {_SEPARATORS[self.separator]}"

    def __iter__(self) -> Iterator[tuple[int, dict[str, str]]]:
        lines, separator, columns = self._lines, self.separator, self.columns
        width, empty = len(columns), True
        for line in lines:
            number = lines.number
            if '"' in line:
                fields = self._quoted(line, number, width)
            else:
                fields = line.split(separator)
                if len(line) > MAX_FIELD or self._odd:
                    fields = self._checked(number, fields)
            if len(fields) != width or not fields[0] or fields[0].isspace():
                fields = self._fitting(number, fields)
            if fields:
                empty = False
                yield number, dict(zip(columns, fields, strict=True))
        if empty and not self.refused:
            raise FileRefused("The file names its columns and has no row below them.")

    def _blocks(self) -> Iterator[str]:
        """Yield the text in blocks, with line ends as \\n."""
        plain = codecs.getincrementaldecoder(self._encoding.codec)(self._encoding.errors)
        decoder = io.IncrementalNewlineDecoder(plain, translate=True)
        ended = False
        while not ended:
            try:
                block = self._file.read(_BLOCK)
                ended = not block
                text = decoder.decode(block, final=ended)
            except UnicodeError as error:
                raise FileRefused(f"The file isn't {self._encoding.label} throughout.") from error
            except (OSError, EOFError, lzma.LZMAError) as error:
                raise FileRefused(f"The file can't be read to its end: {error}.") from error
            if "\0" in text:
                self._odd = True
            yield text
            self._progress(self._file.tell())

    def _header(self, wanted: Sequence[str]) -> tuple[str, list[str]]:
        """Return the separator, and the names in the first line that isn't empty."""
        known = {_key(name) for name in wanted}
        given = ""
        for line in self._lines:
            if line.strip(" \t,;\ufeff") == "":
                continue
            found = None if given else _SEP_LINE.fullmatch(line)
            if found is None:
                break
            given = found[1]
            if given not in _SEPARATORS:
                raise FileRefused(
                    f"Line {self._lines.number} names {given!r} as separator. Separate the columns by commas, "
                    "semicolons or tabs."
                )
        else:
            raise FileRefused("The file is empty." if not given else "The file has no line that names the columns.")
        number = self._lines.number
        records = {each: self._header_record(line, each) for each in ([given] if given else _SEPARATORS)}

        def fit(each: str) -> tuple[int, int]:
            names = records[each][0].fields
            return sum(_key(name) in known for name in names), len(names)

        separator = max(records, key=fit)
        record, more = records[separator]
        if record.open is not None:
            raise FileRefused(f"Line {number}, which names the columns, opens a quote that isn't closed.")
        if record.broken:
            raise FileRefused(f'Line {number}, which names the columns, has a quote within a name. Double it: "".')
        if len(record.fields) == 1 and "|" in record.fields[0]:
            raise FileRefused(
                "The columns are separated by |, which separates the parts of a field. Separate the columns by commas, "
                "semicolons or tabs."
            )
        for _line in range(more):
            next(self._lines)
        return separator, record.fields

    def _header_record(self, line: str, separator: str) -> tuple[_Record, int]:
        """Parse the header with this separator; return it and the number of further lines, which are pushed back."""
        record, taken = _Record(separator), list[str]()
        record.feed(line)
        while record.open is not None and len(taken) < 100 and (more := next(self._lines, None)) is not None:
            taken.append(more)
            record.feed(more)
        self._lines.push_back(taken)
        return record, len(taken)

    def _quoted(self, line: str, number: int, width: int) -> list[str]:
        """Return the fields of a row with quotes, which may continue in the next lines; [] if it is refused."""
        try:
            # Nearly all rows are one line; the others are parsed below.
            fields = next(csv.reader((line,), self._dialect))
            return self._checked(number, fields) if self._odd else fields
        except csv.Error:
            pass
        record, taken, size = _Record(self.separator), list[str](), 0
        record.feed(line)
        while record.open is not None and size <= _LOOK_AHEAD and (more := next(self._lines, None)) is not None:
            taken.append(more)
            size += len(more) + 1
            record.feed(more)
        if record.open is not None or (record.broken and taken):
            # The next lines are separate rows.
            self._lines.push_back(taken)
            column = self._column(len(record.fields) - record.broken)
            return self._refuse(
                number,
                f"The quote that opens in the column {column} isn't closed. Close it, or double a quote that belongs "
                'to the text: "".',
            )
        if record.broken:
            column = self._column(len(record.fields) - 1)
            return self._refuse(
                number, f'In the column {column}, text follows a quote. Double each quote that belongs to the text: "".'
            )
        if not taken:
            return self._checked(number, record.fields)
        while len(record.fields) > width and not record.fields[-1].strip():
            record.fields.pop()
        if len(record.fields) != width or self._look_like_rows(line, taken, width):
            last = number + len(taken)
            for at, text in enumerate(taken, start=number + 1):
                if text.strip():
                    self._refuse(at, f"The row was not read: line {number} opens a quote that closes in line {last}.")
            return self._refuse(
                number,
                f"The quote that opens here closes in line {last}, and the lines read like rows of their own. Close it "
                "in this line, or write the field without line breaks.",
            )
        return [_in_one_line(field) for field in self._checked(number, record.fields)]

    def _look_like_rows(self, first: str, taken: list[str], width: int) -> bool:
        """Return whether lines within a quoted field look like rows, so that a closing quote is probably missing."""
        *between, last = taken
        like = [text.count(self.separator) in self._separators for text in between if text.strip()]
        if like:
            return width > 1 and all(like) and (len(like) > 1 or width > 2)
        both = width > 1 and {first.count(self.separator), last.count(self.separator)} <= self._separators
        # With two columns, a name with a separator looks like a row. If they are rows, their ids have the same shape.
        return both and (width > 2 or _shape(first, self.separator) == _shape(last, self.separator))

    def _checked(self, number: int, fields: list[str]) -> list[str]:
        """Return the fields; [] if one of them is too long or has invalid characters."""
        for at, field in enumerate(fields):
            if len(field) > MAX_FIELD:
                return self._refuse(
                    number,
                    f"The column {self._column(at)} has {len(field):,} characters; {MAX_FIELD:,} are possible. "
                    "Is a quote missing?",
                )
            if "\0" in field:
                return self._refuse(
                    number, f"The column {self._column(at)} has a NUL byte, which is no text. Take it out."
                )
            if self._encoding.errors != "strict" and any("\udc80" <= char <= "\udcff" for char in field):
                return self._refuse(
                    number,
                    f"The column {self._column(at)} isn't {self._encoding.label} as the rest of the file is. Type it "
                    "again, and save the file as UTF-8.",
                )
        return fields

    def _fitting(self, number: int, fields: list[str]) -> list[str]:
        """Return as many fields as there are columns; [] for an empty line, and if there are too few or too many."""
        if not any(field.strip().strip("\x1a") for field in fields):
            return []
        width = len(self.columns)
        more = fields[width:]
        if len(fields) < width or any(field.strip() for field in more):
            advice = " Put a text with the separator in it in quotes." if more else ""
            return self._refuse(
                number,
                f"The row needs as many fields as the first line has columns: {width}, not {len(fields)}.{advice}",
            )
        return fields[:width]

    def _refuse(self, line: int, reason: str) -> list[str]:
        self.refused.append(RefusedRow(line, reason))
        most = self._most_refused
        if most is not None and len(self.refused) > most:
            raise FileRefused(f"More than {most:,} rows can't be read, the last one in line {line}: {reason}")
        return []

    def _column(self, at: int) -> str:
        return self.columns[at] if at < len(self.columns) else str(at + 1)


def _open(path: Path) -> BinaryIO:
    """Open a file, decompressing xz; refuse what isn't a regular file."""
    try:
        if path.is_dir():
            raise FileRefused(f"{path} is a folder. Name the CSV file in it.")
        if path.exists() and not path.is_file():
            raise FileRefused(f"{path} is no ordinary file. Save it to disk first.")
        file = path.open("rb")
        if file.read(len(_XZ)) == _XZ:
            file.close()
            return cast(BinaryIO, lzma.open(path, "rb"))
        file.seek(0)
    except FileNotFoundError as error:
        raise FileRefused(f"There is no file {path}.") from error
    except PermissionError as error:
        raise FileRefused(f"{path} can't be read: its permissions don't allow it.") from error
    except (OSError, ValueError) as error:
        if isinstance(error, FileRefused):
            raise
        raise FileRefused(f"{path} can't be read: {getattr(error, 'strerror', None) or error}.") from error
    return file


def _detect(file: BinaryIO) -> _Encoding:
    """Return the encoding of the whole file; refuse what isn't text."""
    try:
        head = file.read(4096)
        _refuse_other_formats(head)
        if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return _fits(file, _Encoding("utf-16", "UTF-16"))
        if (codec := _utf_16_without_mark(head)) is not None:
            return _fits(file, _Encoding(codec, "UTF-16"))
        marked = head.startswith(codecs.BOM_UTF8)
        utf_8 = _Encoding("utf-8-sig" if marked else "utf-8", "UTF-8")
        if _wrong_line(file, utf_8) is None:
            return utf_8
        right, wrong = _count(file, utf_8.codec)
        if not marked and right < wrong < 4 * right:
            raise FileRefused("The file is neither UTF-8 nor Windows-1252 throughout. Save it as CSV (UTF-8).")
        if marked or right >= wrong:
            return _Encoding(utf_8.codec, "UTF-8", "surrogateescape")
        western = _fits(file, _Encoding("cp1252", "Windows-1252"))
        _refuse_other_alphabets(file)
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise FileRefused(f"The file can't be read to its end: {error}.") from error
    return western


def _refuse_other_formats(head: bytes) -> None:
    if not head.strip(b"\0 \r\n\t"):
        raise FileRefused("The file is empty.")
    if head.startswith(b"PK\x03\x04"):
        if b"opendocument" in head:
            raise FileRefused(f"The file is an OpenDocument file (.ods), not a CSV file. {_AS_CSV}")
        if b"[Content_Types].xml" in head or b"xl/" in head:
            raise FileRefused(f"The file is an Excel workbook (.xlsx), not a CSV file. {_AS_CSV}")
        raise FileRefused("The file is a ZIP archive. Take the table out of it and save it as CSV (UTF-8).")
    for magic, what in _MAGIC:
        if head.startswith(magic):
            raise FileRefused(f"The file is {what}, not a CSV file. Save the table in it as CSV (UTF-8).")
    if _MARKUP.match(head.removeprefix(codecs.BOM_UTF8)):
        raise FileRefused(f"The file is a web page or an XML document, not a CSV file. {_AS_CSV}")


def _utf_16_without_mark(head: bytes) -> str | None:
    """The codec where every other byte of Latin letters is zero, as UTF-16 has it."""
    some = head[: 256 - 256 % 2]
    even, odd = some[0::2].count(0), some[1::2].count(0)
    if odd * 2 > len(some) // 2 and even * 10 < odd:
        return "utf-16-le"
    return "utf-16-be" if even * 2 > len(some) // 2 and odd * 10 < even else None


def _decoded(file: BinaryIO, codec: str, errors: str) -> Iterator[str]:
    file.seek(0)
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(codec)(errors), translate=True)
    while block := file.read(_BLOCK):
        yield decoder.decode(block)
    yield decoder.decode(b"", final=True)


def _wrong_line(file: BinaryIO, encoding: _Encoding) -> int | None:
    """The first line whose bytes don't fit the encoding."""
    try:
        for _text in _decoded(file, encoding.codec, "strict"):
            pass
    except UnicodeError:
        line = 1
        # Each replacement character stands for what doesn't fit; the text itself may have one too.
        replaced = "\ufffd" if encoding.codec.startswith("utf-16") else None
        for text in _decoded(file, encoding.codec, "replace" if replaced else "surrogateescape"):
            bad = re.search(replaced or "[\udc80-\udcff]", text)
            if bad:
                return line + text.count("\n", 0, bad.start())
            line += text.count("\n")
        return line
    return None


def _fits(file: BinaryIO, encoding: _Encoding) -> _Encoding:
    line = _wrong_line(file, encoding)
    if line is not None:
        raise FileRefused(
            f"Line {line} has bytes that fit neither UTF-8 nor {encoding.label}. Save the file as CSV (UTF-8)."
        )
    return encoding


def _count(file: BinaryIO, codec: str) -> tuple[int, int]:
    """Return the number of valid characters beyond ASCII, and of invalid bytes."""
    right = wrong = 0
    for text in _decoded(file, codec, "surrogateescape"):
        if not text.isascii():
            bad = len(re.findall("[\udc80-\udcff]", text))
            right += len(re.findall(r"[^\x00-\x7f]", text)) - bad
            wrong += bad
    return right, wrong


def _refuse_other_alphabets(file: BinaryIO) -> None:
    """Refuse other single-byte and Japanese encodings, whose bytes are valid Windows-1252 but make no sense."""
    all_of_them = strange = 0
    line, first = 1, 0
    for text in _decoded(file, "cp1252", "strict"):
        latin_1 = text.encode("cp1252").decode("latin-1")
        found = [*_NOT_WESTERN.finditer(latin_1), *_RUN.finditer(latin_1)]
        strange += sum(len(each[0]) for each in found)
        all_of_them += len(re.findall(r"[^\x00-\x7f]", latin_1))
        if found and not first:
            first = line + text.count("\n", 0, min(each.start() for each in found))
        line += text.count("\n")
    if strange * 10 > all_of_them:
        raise FileRefused(
            f"The file isn't UTF-8, and line {first} makes no sense as Windows-1252. Save the file as CSV (UTF-8)."
        )


def _key(name: str) -> str:
    """Return a column's name without case, spaces and punctuation."""
    return "".join(char for char in unicodedata.normalize("NFKC", name).casefold() if char.isalnum())


def _columns(header: list[str], wanted: Sequence[str], required: Sequence[str], *, others: bool) -> list[str]:
    """Return the columns in the file's order; refuse unknown, missing, unnamed and duplicate ones."""
    while header and not _key(header[-1]):
        header = header[:-1]
    known = {_key(name): name for name in wanted}
    found: list[str] = []
    for at, written in enumerate(header, start=1):
        shown = _in_one_line(written).strip(" \ufeff")[:80]
        if not _key(written):
            raise FileRefused(f"Column {at} has no name. Name it in the first line, or take it out.")
        name = known.get(_key(written))
        if name is None and others:
            name = shown
        if name is None:
            close = process.extractOne(_key(written), list(known), scorer=fuzz.ratio, score_cutoff=60)
            meant = f" likely meant: {known[close[0]]}." if close else f" the columns are {', '.join(wanted)}."
            raise FileRefused(f"The column “{shown}” is unknown;{meant} Rename it, or take it out.")
        if name in found:
            raise FileRefused(f"The column {name} is there twice: take one of them out.")
        found.append(name)
    missing = sorted(set(required) - set(found))
    if missing:
        raise FileRefused(f"The first line must name the columns; not there: {', '.join(missing)}.")
    return found


def _shape(line: str, separator: str) -> str:
    """Return the shape of the first field: "a9" for c1, "a-9" for PO-100001."""
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "9", line.partition(separator)[0]))


def _in_one_line(text: str) -> str:
    # Each run of spaces is read once, however long it is.
    return re.sub(r"\s+", lambda run: " " if "\n" in run[0] else run[0], text) if "\n" in text else text
