"""The features of a candidate: named numbers that the regressions in ``scoring`` weigh. Plain Python.

``asked_…`` is about the query's name, ``name_…`` about the most similar name of the organization. ``…_covered`` is the
share of idf that the other side has, ``…_missing`` the greatest idf that it lacks.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable
from typing import Final

from orgs.finder import domain_ties
from orgs.finder.comparison import Name, PreparedOrganization, PreparedQuery
from orgs.finder.similarity import acronym_score, estimate_similarity, name_similarity, reading_similarity

FULL_FEATURES: Final = 20  # candidates for which all features are computed


def compute_features(
    asked: PreparedQuery, found: Iterable[PreparedOrganization], must: Container[int] = ()
) -> list[tuple[PreparedOrganization, dict[str, float]]]:
    """Return the most promising candidates with their features by name.

    :param must: primary keys of candidates that are returned in any case.
    """
    found = list(found)
    tied_by = {known.pk: domain_ties.domain_ties(asked, known) for known in found}
    guesses: dict[int, float] = {}
    nearest: dict[int, list[Name]] = {}
    for known in found:
        guess, nearest[known.pk] = estimate_similarity(asked, known)
        guesses[known.pk] = guess + domain_ties.strength(tied_by[known.pk])
    found.sort(key=lambda known: (known.pk not in must, -guesses[known.pk], -known.word_score, known.pk))
    first = found[: FULL_FEATURES + sum(known.pk in must for known in found)]
    on_domain = sum(1 for each in tied_by.values() if each["domain_same"] or each["domain_sub"])
    on_label = sum(1 for each in tied_by.values() if each["domain_other_ending"])
    worth = min(asked.worth, 40.0)
    hinted = {word.country for word in asked.words if word.country}
    joined = asked.joined.replace("-", "")
    described: list[tuple[PreparedOrganization, dict[str, float]]] = []
    for known in first:
        close = nearest[known.pk]
        similarities = [name_similarity(asked, name) for name in close]
        best, own = max(similarities, key=lambda each: each.total), similarities[0]
        tie = tied_by[known.pk]
        tied = max(tie["domain_same"], tie["domain_sub"], tie["domain_parent"], tie["domain_sibling"])
        country = float(bool(asked.country) and asked.country == known.country)
        cover = best.asked_covered * best.name_covered
        words_country = float(known.country in hinted)
        begins = [name for name in known.names if name.key and asked.key.startswith(name.key + " ")]
        begun = [name for name in known.names if asked.key and name.key.startswith(asked.key + " ")]
        is_short = float(len(joined) <= 8 and best.asked_covered < 0.5)
        short = max((acronym_score(joined, name) for name in known.names), default=0.0) if len(joined) <= 8 else 0.0
        longer = max(
            (acronym_score(name.joined, asked.as_name) for name in known.names if len(name.joined) <= 8),
            default=0.0,
        )
        described.append(
            (
                known,
                {
                    **tie,
                    "domain_alone": tied / (1 + math.log(max(on_domain, 1))),
                    "other_ending_alone": tie["domain_other_ending"] / max(on_label, 1),
                    "name_same": best.same,
                    "same_words": best.same_words,
                    "asked_covered": best.asked_covered,
                    "name_covered": best.name_covered,
                    "both_covered": cover,
                    "both_covered_squared": cover * cover,
                    "any_name_covers": max(each.asked_covered for each in similarities),
                    # An equal other name counts nearly as much as the own name.
                    "own_name_covered": max(own.asked_covered * own.name_covered, 0.85 * best.same),
                    "edits": best.edits,
                    "country_of_words_same": words_country,
                    "country_of_words_differs": float(bool(hinted) and not words_country),
                    "name_begins_asked": float(bool(begins)),
                    "asked_begins_name": float(bool(begun)),
                    **domain_ties.name_in_domains(asked, known),
                    "long_ending": tie["domain_other_ending"] * (len(asked.label) >= 7),
                    "short_ending": tie["domain_other_ending"] * (len(asked.label) <= 4),
                    "domain_is_a_name_and_covered": tie["domain_is_a_name"] * cover,
                    "worth_covered": cover * worth / 40,
                    "ending_and_missing": tie["domain_other_ending"] * best.asked_missing,
                    "reads_the_same": max(reading_similarity(asked, name) for name in close),
                    "short_form": short,
                    "short_form_tied": short * tied,
                    "asked_is_short": is_short * tied,
                    "short_form_of_asked": longer,
                    "asked_missing": best.asked_missing,
                    "name_missing": best.name_missing,
                    "numbers_differ": best.numbers_differ,
                    "first_word": best.first_word,
                    "country_same": country,
                    "country_differs": float(bool(asked.country) and not country),
                    "script_country": domain_ties.script_country(asked, known.country),
                    "native": float(asked.is_native) * cover,
                    "tied_and_covered": tied * cover,
                    "tied_and_missing": tied * best.asked_missing,
                    "ending_and_covered": tie["domain_other_ending"] * cover,
                    "domain_is_short_name_here": tie["domain_is_short_name"] * country,
                    "domain_has_name_here": tie["domain_has_name"] * country,
                    "domain_shares_part_here": tie["domain_shares_part"] * country,
                    "domain_similar_here": tie["domain_similar"] * country,
                    "domain_is_a_name_here": tie["domain_is_a_name"] * country,
                    "known_missing": best.known_missing,
                    "asked_exact": best.asked_exact,
                    "asked_likened": best.asked_likened,
                    "begins_worth": max((n.worth for n in begins), default=0.0) / 20,
                },
            )
        )
    return described
