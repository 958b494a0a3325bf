"""The administrators' rules, case by case."""

from __future__ import annotations

import itertools

import pytest

from orgs.policies import Audience, Provisioner, Refusal, may_provision, must_ask_for_access

CUSTOMER = Refusal.ASK_CUSTOMER_ADMINISTRATOR
CURRENT = Refusal.ASK_CURRENT_ADMINISTRATOR

# provisioner, audience, existing, is_administrator -> refusal, told to ask
CASES: list[tuple[Provisioner, Audience, bool, bool, Refusal | None, bool]] = [
    ("partner", "customer", True, False, None, True),
    ("partner", "customer", True, True, None, False),
    ("partner", "customer", False, False, None, False),
    ("partner", "customer", False, True, None, False),
    ("customer", "own", True, False, CUSTOMER, False),
    ("customer", "own", True, True, None, False),
    ("customer", "own", False, False, None, False),
    ("customer", "own", False, True, None, False),
    ("partner", "own", True, False, CURRENT, False),
    ("partner", "own", True, True, None, False),
    ("partner", "own", False, False, None, False),
    ("partner", "own", False, True, None, False),
    # Nobody but a partner is asked whether an order is for a customer; the rule is still total.
    ("customer", "customer", True, False, None, False),
    ("customer", "customer", True, True, None, False),
    ("customer", "customer", False, False, None, False),
    ("customer", "customer", False, True, None, False),
]


@pytest.mark.parametrize(("provisioner", "audience", "existing", "administrator", "refusal", "asks"), CASES)
def test_rules_allow_or_refuse_who_sets_up_for_whom(
    provisioner: Provisioner,
    audience: Audience,
    existing: bool,
    administrator: bool,
    refusal: Refusal | None,
    asks: bool,
) -> None:
    """Each row of the table gets its answer."""
    assert (
        may_provision(provisioner=provisioner, audience=audience, existing=existing, is_administrator=administrator)
        == refusal
    )
    assert (
        must_ask_for_access(
            provisioner=provisioner, audience=audience, existing=existing, is_administrator=administrator
        )
        == asks
    )


def test_the_table_has_every_case_once() -> None:
    """No combination is missing."""
    every = set(itertools.product(("partner", "customer"), ("customer", "own"), (True, False), (True, False)))
    assert {case[:4] for case in CASES} == every
    assert len(CASES) == len(every)
