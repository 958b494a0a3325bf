"""The rules of site names, in plain Python: valid names, reserved names, look-alikes and alternatives.

A site name is the first label of the site's address, so a host label of RFC 1123 narrowed by the product: 4 to 63 of
a-z, 0-9 and single hyphens, starting with a letter and not ending in a hyphen.
"""

from __future__ import annotations

import enum
import itertools
import re
import unicodedata
from collections.abc import Callable, Container, Iterator, Sequence

from anyascii import anyascii

from orgs.text import pasted_text

MIN_LENGTH = 4
MAX_LENGTH = 63
MAX_SITES = 51  # the first, and up to 50 additional ones

_AT_ONCE = 24  # names that are asked for together
_NAME = re.compile(r"[a-z](?:-?[a-z0-9])*")

# Names that machines look up on their own (wpad, autodiscover), or that the vendor needs or would be taken for.
RESERVED = frozenset(
    """
    about abuse account accounts admin administrator administrators alerts analytics app1 assets auth autoconfig
    autodiscover backup beta billing blog broadcasthost calendar call calling careers chat checkout cloud config
    console contact cookie customer customers dashboard default demo developer developers devices directory docs
    domain download downloads email enterprise error example exchange feedback files firewall forum gateway global
    guest health help helpdesk home host hostmaster identity images imap info internal intranet invalid invoice
    isatap jobs kubernetes ldap legal license licenses link links live local localhost localdomain login logout
    mail mailer mailserver manage marketing media meet meeting meetings metrics mobile monitor monitoring mysql
    name nameserver network news newsletter none noreply null oauth office official online operator order orders
    ours partner partners passport password passwords payment payments platform policy pop3 portal postgres
    postmaster press preview privacy private production profile provisioning proxy public radius recovery register
    registration release releases remote reset root router sales saml sandbox search secure security server servers
    service services session settings setup shop signin signout signup site sites smtp sample soap staff stage
    staging start static stats status store subscription subscriptions support system team teams telemetry telnet
    terms test testing tests token tools tracking trial trust undefined update updates upgrade upload uploads user
    users verify video voice voip webhook webhooks webmail webmaster website welcome wiki wpad www1 www2 www3
    """.split()
)
# Digits that pass for letters: adm1n, l0gin.
_PASSES_FOR = (str.maketrans("01", "oi"), str.maketrans("01", "ol"))
# What can't be told apart at a glance becomes one letter (after the skeletons of Unicode UTS #39, for a-z and 0-9).
_SHAPES = str.maketrans("01i", "oll", "-")
_PAIRS = (("rn", "m"), ("vv", "w"))
# Where ä, ö and ü are written a, o and u when there is no umlaut; elsewhere, as in German, ae, oe and ue.
_PLAIN_UMLAUTS = frozenset({"AZ", "EE", "ES", "FI", "HU", "IS", "SE", "TM", "TR"})
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})


class SiteNameProblem(enum.StrEnum):
    """Why a text can't be a site name."""

    MISSING = "missing"
    CHARACTERS = "characters"
    OTHER_SCRIPT = "other_script"
    SHORT = "short"
    LONG = "long"
    START = "start"
    HYPHENS = "hyphens"
    RESERVED = "reserved"
    # What the text alone doesn't tell: somebody has it, or another organization has one that looks like it.
    TAKEN = "taken"
    LOOK_ALIKE = "look_alike"


Problems = Callable[[Sequence[str]], Container[str]]


def fold(typed: str, base_domain: str = "") -> str:
    """Return what was typed in lower case; of a pasted URL, what stands before the base domain."""
    text = re.sub(r"^[a-z]+://", "", (pasted_text.bare(pasted_text.plain(typed)) or typed).lower()).split("/", 1)[0]
    return text.removesuffix(f".{base_domain.lower()}") if base_domain else text


def problem(name: str) -> SiteNameProblem | None:
    """Return why this folded text can't be a site name, or None where it can."""
    if not name:
        return SiteNameProblem.MISSING
    if re.search(r"[^\x00-\x7f]", name):
        return SiteNameProblem.OTHER_SCRIPT
    if re.search(r"[^a-z0-9-]", name):
        return SiteNameProblem.CHARACTERS
    if not name[0].isalpha():
        return SiteNameProblem.START
    if name.endswith("-") or "--" in name:
        return SiteNameProblem.HYPHENS
    if len(name) < MIN_LENGTH:
        return SiteNameProblem.SHORT
    if len(name) > MAX_LENGTH:
        return SiteNameProblem.LONG
    if is_reserved(name):
        return SiteNameProblem.RESERVED
    return None


def is_reserved(name: str) -> bool:
    """Return whether the vendor keeps this name, or one that reads like it, for itself."""
    joined = name.replace("-", "")
    for pair, letter in _PAIRS:
        joined = joined.replace(pair, letter)
    return bool({name, joined, *(joined.translate(table) for table in _PASSES_FOR)} & RESERVED)


def shape(name: str) -> str:
    """Return what a site name looks like: two names of one shape can be taken for each other.

    >>> shape("acme-corn"), shape("acrnecom"), shape("l0gin"), shape("1ogin")
    ('acmecom', 'acmecom', 'logln', 'logln')
    """
    joined = name.translate(_SHAPES)
    for pair, letter in _PAIRS:
        joined = joined.replace(pair, letter)
    return joined


def plain_form(text: str, country: str = "") -> str:
    """Return the text as a site name would spell it (a-z, 0-9, hyphens; other scripts by sound), or "" for none.

    ``country`` is a two-letter code: it says how umlauts are written out.

    >>> plain_form("Büro München"), plain_form("Göteborg", "SE"), plain_form("東京 支社"), plain_form("7-Seas")
    ('buero-muenchen', 'goteborg', 'dongjing-zhishe', 'seas')
    """
    composed = unicodedata.normalize("NFC", text[:500]).lower()
    if country.upper() not in _PLAIN_UMLAUTS:
        composed = composed.translate(_UMLAUTS)
    latin = anyascii(composed).lower().replace("'", "").replace("&", " ")
    name = re.sub(r"[^a-z0-9]+", "-", latin).lstrip("-0123456789")[:MAX_LENGTH].strip("-")
    return name if _NAME.fullmatch(name) else ""


def alternatives(
    wanted: str, unusable: Problems, *, country: str = "", but_not: Container[str] = (), limit: int = 3
) -> list[str]:
    """Return up to ``limit`` valid names near to the wanted one that are free.

    ``unusable`` says of several names, all of which keep the rules, which of them can't be had; it is asked as seldom
    as can be. ``country`` is a two-letter code, ``but_not`` are names that aren't to be offered.
    """
    found: list[str] = []
    near = (name for name in _near(plain_form(wanted, country), country.lower()) if problem(name) is None)
    seen: set[str] = set()
    while len(found) < limit and (some := [*itertools.islice(near, _AT_ONCE)]):
        new = [name for name in dict.fromkeys(some) if name not in seen and name not in but_not]
        seen.update(new)
        refused = unusable(new)
        found += [name for name in new if name not in refused]
    return found[:limit]


def _near(stem: str, country: str) -> Iterator[str]:
    """Yield names near to the stem, the likeliest first; always enough of them to find three that are free."""
    if not stem:
        return
    yield stem
    first = stem.split("-")[0]
    endings = [country] if country else []
    endings += ["meetings", "group", "team", "hq", "online", *(str(number) for number in range(2, 30))]
    for base, ending in itertools.chain(
        itertools.product(dict.fromkeys((stem, first)), endings),
        itertools.product((stem,), map(str, range(30, 10_000))),
    ):
        yield f"{base[: MAX_LENGTH - 1 - len(ending)].rstrip('-')}-{ending}"


def split_evenly(total: int, parts: int) -> list[int]:
    """Return ``parts`` whole numbers that add up to ``total`` and differ by at most one, the larger first.

    >>> split_evenly(250, 3)
    [84, 83, 83]
    """
    if parts < 1:
        return []
    share, rest = divmod(total, parts)
    return [share + 1] * rest + [share] * (parts - rest)
