"""Features from domains and countries. Plain Python."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from rapidfuzz.distance import JaroWinkler

from orgs.finder.comparison import PreparedOrganization, PreparedQuery
from orgs.finder.similarity import acronym_score
from orgs.text import normalize


def domain_ties(asked: PreparedQuery, known: PreparedOrganization) -> dict[str, float]:
    """Return the features that compare the email's domain with the organization's domains and names."""
    found = dict.fromkeys(
        ("domain_same", "domain_sub", "domain_parent", "domain_sibling", "domain_other_ending", "domain_similar"), 0.0
    )
    found["domain_is_a_name"] = found["domain_is_initials"] = found["domain_in_name"] = 0.0
    found["domain_is_short_name"] = found["domain_has_name"] = found["domain_shares_part"] = 0.0
    if not asked.domain:
        return found
    for name, _claimed in known.domains:
        if name == asked.domain:
            found["domain_same"] = 1.0
        elif asked.domain.endswith("." + name):
            found["domain_sub"] = 1.0
        elif name.endswith("." + asked.domain):
            found["domain_parent"] = 1.0
        elif normalize.registrable_domain(name) == asked.registrable:
            found["domain_sibling"] = 1.0
        elif normalize.domain_label(name) == asked.label:
            found["domain_other_ending"] = 1.0
        else:
            theirs = normalize.domain_label(name)
            near = JaroWinkler.normalized_similarity(theirs, asked.label)
            mine = {part for part in asked.label.split("-") if len(part) >= 5}
            if any(part in theirs for part in mine) or any(
                part in asked.label for part in theirs.split("-") if len(part) >= 5
            ):
                found["domain_shares_part"] = 1.0
            found["domain_similar"] = max(found["domain_similar"], near if near >= 0.8 else 0.0)
    label = asked.label.replace("-", "")
    label_parts = asked.label.split("-")
    if len(label) >= 3:
        for each in known.names:
            joined, initials = each.joined, each.initials
            if label == joined or (len(label) >= 4 and joined.startswith(label)):
                found["domain_is_a_name"] = 1.0
            elif label == initials:
                found["domain_is_initials"] = 1.0
            if label == joined and len(joined) <= 8:
                found["domain_is_short_name"] = 1.0
            elif (4 <= len(joined) < len(label) and label.startswith(joined)) or (
                len(joined) >= 3 and joined in label_parts
            ):
                found["domain_has_name"] = 1.0
            parts = [part for part in asked.label.split("-") if len(part) >= 4]
            found["domain_in_name"] = max(
                found["domain_in_name"],
                max((float(part in term or term in part) for part in parts for term in each.terms if len(term) >= 4),
                    default=0.0),
            )  # fmt: skip
    return found


def name_in_domains(asked: PreparedQuery, known: PreparedOrganization) -> dict[str, float]:
    """Return the features that compare the query's name with the organization's domains."""
    found = {"their_domain_is_asked": 0.0, "their_domain_is_initials": 0.0, "their_domain_has_word": 0.0}
    joined = asked.readings or asked.joined
    for name, _claimed in known.domains:
        label = normalize.domain_label(name).replace("-", "")
        if len(label) < 3:
            continue
        if label == joined or (len(label) >= 5 and (joined.startswith(label) or label.startswith(joined))):
            found["their_domain_is_asked"] = 1.0
        found["their_domain_is_initials"] = max(found["their_domain_is_initials"], acronym_score(label, asked.as_name))
        inside = sum(word.idf for word in asked.words if len(word.word) >= 4 and word.word in label)
        found["their_domain_has_word"] = max(found["their_domain_has_word"], inside / asked.worth)
    return found


def strength(tie: Mapping[str, float]) -> float:
    """Return the weight of domain features in the preselection of candidates."""
    return (
        2.0 * max(tie["domain_same"], tie["domain_sub"], tie["domain_parent"], tie["domain_sibling"])
        + 0.8 * tie["domain_other_ending"]
        + 0.3 * tie["domain_is_a_name"]
        + 0.2 * tie["domain_similar"]
    )


_SCRIPTS: Final = (
    (re.compile(r"[\u3040-\u30ff]"), {"JP"}),
    (re.compile(r"[\uac00-\ud7a3]"), {"KR", "KP"}),
    (re.compile(r"[\u4e00-\u9fff]"), {"CN", "TW", "HK", "JP", "MO", "SG"}),
    (re.compile(r"[\u0e00-\u0e7f]"), {"TH"}),
    (re.compile(r"[\u0370-\u03ff]"), {"GR", "CY"}),
    (re.compile(r"[\u0590-\u05ff]"), {"IL"}),
    (re.compile(r"[\u0400-\u04ff]"), {"RU", "UA", "BY", "BG", "RS", "KZ", "KG", "MK", "MN", "TJ", "UZ", "ME", "BA"}),
    (re.compile(r"[\u0600-\u06ff]"), {"EG", "SA", "IR", "IQ", "DZ", "MA", "TN", "SY", "LB", "JO", "AE", "KW", "QA",
                                      "BH", "OM", "YE", "LY", "SD", "PS", "PK", "AF", "MR"}),
)  # fmt: skip


def script_countries(name: str) -> frozenset[str]:
    """Return the countries that use the script of a name; empty for Latin script."""
    return next((frozenset(countries) for script, countries in _SCRIPTS if script.search(name)), frozenset())


def script_country(asked: PreparedQuery, country: str) -> float:
    """Return 1 if the country uses the script of the query's name, -1 if not, 0 for Latin script."""
    if not asked.is_native:
        return 0.0
    return 1.0 if country in asked.script_countries else -1.0
