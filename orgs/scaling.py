"""Makes a directory of any size from real names: for measuring how the finder grows."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from django.db import connection
from django.utils import timezone

from orgs import normalize, words
from orgs.benchmark import ORGANIZATION, Directory, domain_row, organization_row, read

_BIG_DOMAIN = 228  # organizations on the busiest domain of the real directory


def names(rows: list[dict[str, str]], count: int) -> Iterator[tuple[str, str, str]]:
    """Names, countries and domains: the real ones first, then real names with words of other real names in them.

    A made name keeps all but one word of a real name and takes that one from another, and a syllable made of
    consonants and vowels joins its domain and, for one in two, its rarest word: vocabularies grow with directories.
    """
    rng = random.Random(20261121)  # noqa: S311 — repeatable, not secret
    for row in rows[:count]:
        yield row["name"], row["country"], row["domain"]
    for number in range(count - len(rows)):
        one, other = rng.choice(rows), rng.choice(rows)
        parts, others = one["name"].split(), other["name"].split()
        parts[rng.randrange(len(parts))] = rng.choice(others)
        mark = _syllables(number)
        if number % 2:
            parts.insert(rng.randrange(len(parts) + 1), mark.capitalize())
        label, _dot, ending = one["domain"].partition(".")
        domain = one["domain"] if number % 7 == 0 and number < 200 * _BIG_DOMAIN else f"{label}-{mark}.{ending}"
        yield " ".join(parts)[:200], one["country"], domain


def _syllables(number: int) -> str:
    text = ""
    number += 70
    while number:
        number, rest = divmod(number, 70)
        text += "bdfgklmnprstvz"[rest % 14] + "aeiou"[rest // 14]
    return text


def fill(directory: Directory, organizations: Path, count: int, members: int = 0) -> None:
    """Fill the empty tables with this many organizations, and members spread over them."""
    rows = list(read(organizations))
    now = timezone.now()
    with connection.cursor() as cursor:
        domains: list[tuple[int, str]] = []
        with cursor.copy(f"COPY orgs_organization ({ORGANIZATION}) FROM STDIN") as copy:
            for pk, (name, country, domain) in enumerate(names(rows, count), start=1):
                external = rows[pk - 1]["org_id"] if pk <= len(rows) else f"made-{pk}"
                if pk <= len(rows):
                    directory.external[pk], directory.pks[external] = external, pk
                copy.write_row(organization_row(pk, external, name, country, now))
                domains.append((pk, normalize.ascii_domain(domain)))
        with cursor.copy("COPY orgs_domain (organization_id, name, registrable, label, status) FROM STDIN") as copy:
            for pk, domain in domains:
                copy.write_row(domain_row(pk, domain))
        if members:
            each = max(1, members // count)
            with cursor.copy("COPY orgs_member (organization_id, email, email_domain, role) FROM STDIN") as copy:
                for pk, domain in domains:
                    for person in range(each):
                        copy.write_row((pk, f"person{person}.{pk}@{domain}", domain, "user"))
        for table in ("orgs_organization", "orgs_domain", "orgs_member"):
            cursor.execute(f"ANALYZE {table}")
    words.rebuild()
