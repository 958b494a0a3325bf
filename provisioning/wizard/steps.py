"""The flow of the wizard in two tables, FINDER and SETUP. This file alone decides which step comes next.

A condition is a pure function of the answers: a plain dict of the answers given so far by step name, and under
``"order"`` facts of the order: ``services`` (codes), and ``administrator`` (whether the person is a full administrator
of the chosen organization).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.utils.translation import gettext_lazy as _

from provisioning.wizard.forms import access_requests, customer, organizations, reviews
from provisioning.wizard.packs.base import Answers, Step, installed

# Conditions


def for_customer(answers: Answers) -> bool:
    """*This order is for a customer.*"""
    return bool(answers.get("intent", {}).get("audience") == "customer")


def for_own_company(answers: Answers) -> bool:
    """*This order is for my company.*"""
    return bool(answers.get("intent", {}).get("audience") == "own")


def not_handed_over(answers: Answers) -> bool:
    """The contact completes the order, and does not hand it over."""
    return for_customer(answers) or for_own_company(answers)


def creates_partner(answers: Answers) -> bool:
    """A new partner organization is created."""
    return for_customer(answers) and answers.get("partner", {}).get("organization") == "new"


def creates_customer(answers: Answers) -> bool:
    """A new customer organization is created."""
    return not_handed_over(answers) and answers.get("customer", {}).get("organization") == "new"


def chosen_organization(answers: Answers, which: str) -> dict[str, Any] | None:
    """Return the organization chosen for ``which`` ("partner" or "customer").

    ``{"organization": public id, "name": …}`` for one that exists, ``{"organization": "new", "name": …, "vertical": …,
    "country": …}`` for one to be made; None where nothing is chosen yet.
    """
    choice = answers.get(which)
    if not choice:
        return None
    if choice["organization"] != "new":
        return dict(choice)
    check = answers.get(f"{which}-check") or {}
    if check.get("duplicate") not in {None, "", "new"}:
        return {"organization": check["duplicate"], "name": check["name"]}
    new = answers.get(f"{which}-new")
    return {"organization": "new", **new} if new else None


def existing_customer(answers: Answers) -> bool:
    """The customer organization is one that exists."""
    customer = chosen_organization(answers, "customer")
    return customer is not None and customer["organization"] != "new"


def needs_approval(answers: Answers) -> bool:
    """The order is for the own company, where an administrator has to give this person a right first."""
    return for_own_company(answers) and existing_customer(answers) and not answers["order"]["administrator"]


def can_review(answers: Answers) -> bool:
    """The organizations can be reviewed and confirmed."""
    return not_handed_over(answers) and not needs_approval(answers)


def step_of_service(service: str, step: Step) -> Step:
    """Return a pack's step, limited to orders with a line of its service."""
    return replace(step, applies=lambda answers: service in answers["order"]["services"] and step.applies(answers))


_CUSTOMER_DETAILS = ("intent", "customer-details")
_PARTNER = ("intent", "partner", "partner-new", "partner-check")
_CUSTOMER = ("customer-details", "customer", "customer-new", "customer-check")

FINDER: tuple[Step, ...] = (
    Step("intent", _("Who it is for"), customer.Intent),
    Step("partner", _("Partner organization"), organizations.PartnerChoice, for_customer, ("intent",)),
    Step("partner-new", _("New partner organization"), organizations.NewPartner, creates_partner, ("intent",)),
    Step("partner-check", _("Check the new partner"), organizations.PartnerCheck, creates_partner, ("partner-new",)),
    Step("customer-details", _("Customer details"), customer.CustomerDetails, for_customer),
    Step(
        "customer",
        _("Customer organization"),
        organizations.CustomerChoice,
        not_handed_over,
        _CUSTOMER_DETAILS,
    ),
    Step("customer-new", _("New organization"), organizations.NewCustomer, creates_customer, _CUSTOMER_DETAILS),
    Step(
        "customer-check",
        _("Check the new organization"),
        organizations.CustomerCheck,
        creates_customer,
        ("customer-new",),
    ),
    Step(
        "administrator",
        _("Ask an administrator"),
        access_requests.AskAdministrator,
        needs_approval,
        ("intent", *_CUSTOMER),
    ),
    Step("review", _("Review the organizations"), reviews.OrganizationsReview, can_review, (*_PARTNER, *_CUSTOMER)),
)

# Each pack defines its own steps: provisioning/wizard/packs.
_PACKS: tuple[Step, ...] = tuple(
    step_of_service(service, step) for service, pack in installed().items() for step in pack.steps
)

SETUP: tuple[Step, ...] = (
    Step("subscription", _("Review your subscription"), reviews.SubscriptionReview),
    *_PACKS,
    Step("review", _("Review the set-up"), reviews.SetupReview, depends_on=tuple(step.name for step in _PACKS)),
)


def loadable_answers(flow: tuple[Step, ...], kept: Mapping[str, Any]) -> dict[str, Any]:
    """Return the saved answers of these steps that the current forms can load."""
    return {step.name: kept[step.name] for step in flow if step.name in kept and step.form.can_load(kept[step.name])}


def applicable_steps(flow: tuple[Step, ...], answers: Answers) -> list[Step]:
    """Return the steps that apply with these answers, in order."""
    return [step for step in flow if step.applies(answers)]


def dependent_steps(flow: tuple[Step, ...], name: str) -> list[str]:
    """Return the names of the steps to ask again when the answer of this step changes."""
    return [step.name for step in flow if name in step.depends_on]
