"""The rules of site names, in plain Python: what a name may be, which are kept back, and what to offer instead.

A site name is the first label of the site's address, so a host label of RFC 1123 narrowed by the product: 4 to 63 of
a-z, 0-9 and single hyphens, starting with a letter and not ending in a hyphen.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterator

from anyascii import anyascii

MIN_LENGTH = 4
MAX_LENGTH = 63
MAX_SITES = 51  # the first, and up to 50 additional ones

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


def fold(typed: str, base_domain: str = "") -> str:
    """Return what was typed in lower case; of a pasted URL, what stands before the base domain."""
    text = re.sub(r"^[a-z]+://", "", typed.strip().lower()).split("/", 1)[0]
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
    """Say whether the vendor keeps this name, or one that reads like it, for itself."""
    joined = name.replace("-", "")
    return bool({name, joined, *(joined.translate(table) for table in _PASSES_FOR)} & RESERVED)


def plain_form(text: str) -> str:
    """Return the text as a site name would spell it (a-z, 0-9, hyphens; other scripts by sound), or "" for none.

    >>> plain_form("Müller & Söhne GmbH"), plain_form("東京 支社"), plain_form("7-Seas")
    ('muller-sohne-gmbh', 'dongjing-zhishe', 'seas')
    """
    latin = anyascii(text[:500]).lower().replace("'", "").replace("&", " ")
    name = re.sub(r"[^a-z0-9]+", "-", latin).lstrip("-0123456789")[:MAX_LENGTH].strip("-")
    return name if _NAME.fullmatch(name) else ""


def alternatives(wanted: str, is_free: Callable[[str], bool], *, country: str = "", limit: int = 3) -> list[str]:
    """Return up to ``limit`` valid names near to the wanted one for which ``is_free`` says yes.

    ``country`` is a two-letter code; ``is_free`` is asked only for names that keep the rules.
    """
    found: list[str] = []
    for name in _near(plain_form(wanted), country.lower()):
        if name not in found and problem(name) is None and is_free(name):
            found.append(name)
            if len(found) == limit:
                break
    return found


def _near(stem: str, country: str) -> Iterator[str]:
    """Yield names near to the stem, the likeliest first; always enough of them to find three that are free."""
    if not stem:
        return
    yield stem
    first = stem.split("-")[0]
    endings = [country] if country else []
    endings += ["meetings", "group", "team", "hq", "online", *(str(number) for number in range(2, 30))]
    for base in dict.fromkeys((stem, first)):
        for ending in endings:
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
