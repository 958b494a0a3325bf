"""Reads files of orders: CSV as spreadsheets write it, JSON and YAML. No row is checked here.

Every file is bounded before it is taken apart: MAX_BYTES, MAX_ORDERS, MAX_LINES and _MOST_FAULTS of an order; a YAML
file has no more than _MAX_NODES, also with its aliases written out, and its texts stay texts ("No" is no truth value,
012 no octal number).
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml
from django.utils.translation import gettext as _

from orgs.text import pasted_text
from orgs.text.csv_out import csv_lines
from orgs.text.table_files import FileRefused, RefusedRow, TableFile
from subscriptions import packs

MAX_BYTES: Final = 10 * 1024 * 1024
MAX_ORDERS: Final = 10_000
MAX_LINES: Final = 100
_MAX_NODES: Final = 1_000_000
_MAX_DEPTH: Final = 20
_MOST_FAULTS: Final = 50  # unknown fields that are told of one order
_XZ: Final = b"\xfd7zXZ\0"

SHARED: Final = ("sold_to", "contact_email", "customer_name", "customer_email", "set_up_by")
LINE: Final = ("number", "service", "product", "licenses", "term_months")
# Columns of a CSV file for the fields of a line; ``number`` is the order's there.
_LINE_COLUMNS: Final = {"line_number" if name == "number" else name: name for name in LINE}


@dataclass
class Raw:
    """One order as a file has it.

    :param line: the line of a CSV file where it begins; of other files its place in the list, from 1.
    :param facts: the texts of ``number`` and SHARED; a key that isn't there was not given.
    :param lines: each a mapping of LINE to texts or whole numbers.
    :param faults: [field, sentence] of what is wrong with its form.
    :param differs: fields that rows of this order give differently (CSV).
    """

    line: int
    facts: dict[str, Any]
    lines: list[dict[str, Any]] = field(default_factory=list)
    faults: list[tuple[str, str]] = field(default_factory=list)
    differs: dict[str, list[int]] = field(default_factory=dict)


@dataclass(frozen=True)
class OrderFile:
    """What was read: the orders, the rows that are none, and in which form the file was."""

    orders: list[Raw]
    refused: list[RefusedRow]
    read_as: str


def read(name: str, content: bytes) -> OrderFile:
    """Take a file of orders apart. Its name decides: .json, .yaml and .yml, and CSV otherwise.

    :raises FileRefused: with a sentence, where the file as a whole can't be read.
    """
    if len(content) > MAX_BYTES:
        raise FileRefused(_("The file is larger than 10 MB. Divide it."))
    kind = Path(name).suffix.lower()
    found = {".json": _json, ".yaml": _yaml, ".yml": _yaml}.get(kind, _csv)(content)
    if not found.orders and not found.refused:
        raise FileRefused(_("The file has no orders."))
    if len(found.orders) > MAX_ORDERS:
        raise FileRefused(_("The file has more than 10,000 orders. Divide it."))
    return found


def sample() -> Iterator[str]:
    """Yield a CSV file that can be filled in: an order with a row for each service."""
    shared = ["PO-1", "Partner Networks", "sam@partner.example", "Contoso", "it@contoso.example", ""]
    rows = [
        [*(shared if at == 1 else ["PO-1"] + [""] * 5), at, service, "", 100, 12]
        for at, service in enumerate(packs.installed(), start=1)
    ]
    return csv_lines(["number", *SHARED, *_LINE_COLUMNS], rows, mark=True)


def columns() -> list[str]:
    """Return the columns of a CSV file; a service's own column has its licenses."""
    return ["number", *SHARED, *_LINE_COLUMNS, *packs.installed()]


def _csv(content: bytes) -> OrderFile:
    if content.startswith(_XZ):  # TableFile would read it, and a small file can have any number of rows
        raise FileRefused(_("The file is compressed. Unpack it first."))
    with tempfile.NamedTemporaryFile(suffix=".csv") as file:
        file.write(content)
        file.flush()
        required = ["number", "sold_to", "contact_email"]
        with TableFile(Path(file.name), columns=columns(), required=required, most_refused=MAX_ORDERS) as table:
            orders = _grouped(iter(table))
            return OrderFile(orders, table.refused, table.read_as)


def _grouped(rows: Iterator[tuple[int, dict[str, str]]]) -> list[Raw]:
    """Make one order of the rows with one number; what a later row leaves empty is as in the first."""
    found: list[Raw] = []
    by_number: dict[str, Raw] = {}
    for line, row in rows:
        facts: dict[str, Any] = {name: row[name].strip() for name in ("number", *SHARED) if name in row}
        key = pasted_text.order_number(facts["number"])
        raw = by_number.get(key) if key else None
        if raw is None:
            raw = Raw(line, facts)
            found.append(raw)
            if key:
                by_number[key] = raw
            if len(found) > MAX_ORDERS:
                break
        else:
            for name in SHARED:
                if facts.get(name) and facts[name] != raw.facts.get(name):
                    raw.differs.setdefault(name, []).append(line)
        if len(raw.lines) <= MAX_LINES:
            raw.lines += _lines_of(row)
    for raw in found:
        _refuse_many_lines(raw)
    return found


def _lines_of(row: dict[str, str]) -> list[dict[str, Any]]:
    """Return the lines of a row: the one that its columns describe, and one for each service's own column."""
    given = {name: row[column].strip() for column, name in _LINE_COLUMNS.items() if row.get(column, "").strip()}
    own = [service for service in packs.installed() if row.get(service, "").strip()]
    lines: list[dict[str, Any]] = []
    if {"service", "product", "licenses"} & set(given) or (given and not own):
        lines.append(given)
    term = {"term_months": given["term_months"]} if "term_months" in given else {}
    return lines + [{"service": service, "licenses": row[service].strip(), **term} for service in own]


def _json(content: bytes) -> OrderFile:
    try:
        text = content.decode("utf-8-sig")
        found = json.loads(text, object_pairs_hook=_each_once, parse_constant=_no_number, parse_float=str)
    except UnicodeError as error:
        raise FileRefused(_("The file isn’t UTF-8. Save it as UTF-8.")) from error
    except json.JSONDecodeError as error:
        where = {"line": error.lineno, "column": error.colno}
        raise FileRefused(_("The file is no JSON: see line %(line)s, column %(column)s.") % where) from error
    except RecursionError as error:
        raise FileRefused(_("The file is nested too deeply.")) from error
    except ValueError as error:
        raise FileRefused(
            _("The file is no JSON that means one thing only: %(problem)s.") % {"problem": error}
        ) from error
    return OrderFile([_order(at, each) for at, each in enumerate(_list(found), start=1)], [], _("Read as JSON"))


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        name = _twice([name for name, _value in pairs])
        raise ValueError(_("the name “%(name)s” is there twice") % {"name": name[:80]})
    return found


def _twice(names: list[str]) -> str:
    """Return a name that is there more than once, or ""."""
    return next((name for name, count in Counter(names).items() if count > 1), "")


def _no_number(name: str) -> Any:
    raise ValueError(_("“%(name)s” is no number") % {"name": name})


class _TextLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The safe loader, with texts for everything but null: a number or a date is read where the field says so."""

    yaml_implicit_resolvers: Final = {
        first: [(tag, regex) for tag, regex in pairs if tag in {"tag:yaml.org,2002:null", "tag:yaml.org,2002:merge"}]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def _yaml(content: bytes) -> OrderFile:
    try:
        text = content.decode("utf-8-sig")
        _refuse_bombs(text)
        loader = _TextLoader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                raise FileRefused(_("The file is empty."))
            if _size(node, {}, 0) > _MAX_NODES:
                raise FileRefused(_("The file’s aliases make it too large. Write the orders out."))
            found = loader.construct_document(node)
        finally:
            loader.dispose()
    except UnicodeError as error:
        raise FileRefused(_("The file isn’t UTF-8. Save it as UTF-8.")) from error
    except RecursionError as error:
        raise FileRefused(_("The file is nested too deeply.")) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = {"line": mark.line + 1 if mark else 1, "problem": error.problem or ""}
        raise FileRefused(_("The file is no YAML: see line %(line)s (%(problem)s).") % where) from error
    except (yaml.YAMLError, ValueError, TypeError) as error:
        if isinstance(error, FileRefused):
            raise
        raise FileRefused(_("The file is no YAML: %(problem)s.") % {"problem": str(error)[:200]}) from error
    return OrderFile([_order(at, each) for at, each in enumerate(_list(found), start=1)], [], _("Read as YAML"))


def _refuse_bombs(text: str) -> None:
    """Raise FileRefused for a document that would overflow the stack or the memory when it is composed."""
    depth = nodes = 0
    for event in yaml.parse(text, Loader=_TextLoader):
        nodes += isinstance(event, yaml.NodeEvent)
        if nodes > _MAX_NODES:
            raise FileRefused(_("The file has too many values. Divide it."))
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _MAX_DEPTH:
            raise FileRefused(_("The file is nested too deeply."))


def _size(node: yaml.Node, known: dict[int, int], depth: int) -> int:
    """Return the number of nodes of this one with its aliases written out. Raises FileRefused where there is no end."""
    if depth > _MAX_DEPTH:
        raise FileRefused(_("The file is nested too deeply."))
    if id(node) in known:
        if not known[id(node)]:
            raise FileRefused(_("An alias in the file is within what it stands for."))
        return known[id(node)]
    known[id(node)] = 0  # being counted
    parts: list[yaml.Node] = []
    if isinstance(node, yaml.MappingNode):
        if name := _twice([str(key.value) for key, _value in node.value if isinstance(key, yaml.ScalarNode)]):
            where = {"name": name[:80], "line": node.start_mark.line + 1}
            raise FileRefused(_("The name “%(name)s” is there twice, after line %(line)s.") % where)
        parts = [part for pair in node.value for part in pair]
    elif isinstance(node, yaml.SequenceNode):
        parts = node.value
    total = 1
    for part in parts:
        total = min(total + _size(part, known, depth + 1), _MAX_NODES + 1)
    known[id(node)] = total
    return total


def _list(found: object) -> list[Any]:
    """Return the orders of a document: a list of them, ``{"orders": […]}``, or one."""
    if isinstance(found, Mapping) and set(found) == {"orders"}:
        found = found["orders"]
    elif isinstance(found, Mapping) and "number" in found:
        found = [found]
    if not isinstance(found, list):
        raise FileRefused(_("The file must be a list of orders, or an object with “orders”."))
    if len(found) > MAX_ORDERS:
        raise FileRefused(_("The file has more than 10,000 orders. Divide it."))
    return found


_FIELDS: Final = ("number", "sold_to", "contact_email", "customer", "lines", "set_up_by")


def _order(at: int, found: object) -> Raw:
    """Return one order of a JSON or YAML file. Its fields are those of POST /api/v1/orders."""
    raw = Raw(at, {})
    if not isinstance(found, Mapping):
        raw.faults.append(
            ("", _("An order must be an object with the fields %(fields)s.") % {"fields": ", ".join(_FIELDS)})
        )
        return raw
    _refuse_unknown(raw, "", found, _FIELDS)
    for name in ("number", "sold_to", "contact_email", "set_up_by"):
        if name in found:
            raw.facts[name] = _text(found[name])
    customer = found.get("customer")
    if isinstance(customer, Mapping):
        _refuse_unknown(raw, "customer.", customer, ("name", "email"))
        raw.facts |= {f"customer_{name}": _text(customer[name]) for name in ("name", "email") if name in customer}
    elif "customer" in found and customer is None:
        raw.facts |= {"customer_name": "", "customer_email": ""}
    elif "customer" in found:
        raw.faults.append(("customer", _("The customer must be an object with the fields name and email.")))
    lines = found.get("lines", [])
    if not isinstance(lines, list) or len(lines) > MAX_LINES or not all(isinstance(line, Mapping) for line in lines):
        raw.faults.append(("lines", _expected_lines()))
        return raw
    for number, line in enumerate(lines):
        _refuse_unknown(raw, f"lines.{number}.", line, LINE)
        raw.lines.append({name: _text(line[name]) for name in LINE if line.get(name) is not None})
    return raw


def _refuse_many_lines(raw: Raw) -> None:
    if len(raw.lines) > MAX_LINES:
        del raw.lines[MAX_LINES:]
        raw.faults.append(("lines", _expected_lines()))


def _expected_lines() -> str:
    expected = _("The lines must be a list of at most %(most)s objects with the fields %(fields)s.")
    return expected % {"most": MAX_LINES, "fields": ", ".join(LINE)}


def _refuse_unknown(raw: Raw, before: str, found: Mapping[Any, Any], known: tuple[str, ...]) -> None:
    for name in found:
        if name not in known and len(raw.faults) < _MOST_FAULTS:
            sentence = _("The field “%(name)s” is unknown; the fields are %(fields)s.")
            raw.faults.append(
                (f"{before}{name}"[:100], sentence % {"name": str(name)[:80], "fields": ", ".join(known)})
            )


def _text(value: object) -> Any:
    """Return a text; a whole number as it is written; a value that is neither as None, which every rule refuses."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return str(value) if abs(value) < 10**18 else None
    return "" if value is None else None
