"""Read-only lookups of the first part (find the organizations) for its forms and pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Any
from uuid import UUID

from django.conf import settings
from django.urls import reverse
from django.utils.translation import gettext as _
from django_countries import countries

from orgs import policies
from orgs.finder.cards import Candidate, Viewer
from orgs.text import normalize
from orgs.verticals import VERTICALS
from provisioning.actions import (
    Choice,
    Existing,
    MappingRefused,
    New,
    OrganizationGone,
    administers,
    is_full_administrator,
    is_handed_over_too_often,
    plan_mapping,
)
from provisioning.finder_gateway import finder_questions, signed_ids
from provisioning.finder_gateway.finder_questions import Kind, Question
from provisioning.people.access import Access
from provisioning.people.order_people import provisioner_of
from provisioning.rules.order_mismatch import order_mismatch_name
from provisioning.rules.plan import Plan, Right, Which
from provisioning.wizard import review_rows
from provisioning.wizard.steps import chosen_organization

Answers = Mapping[str, Any]


class FinderLookups:
    """The lookups of the first part for one person and one order."""

    def __init__(self, *, access: Access, query: Mapping[str, Any]) -> None:
        self.access, self.order, self.email = access, access.order, access.user.email
        self.query = query
        self._shown_again: dict[tuple[Question, UUID], Candidate | None] = {}

    def is_administrator(self, choice: Mapping[str, Any] | None) -> bool:
        """Return whether this person is an administrator of the organization chosen, as of now."""
        if not choice or choice["organization"] == "new":
            return False
        return administers(order=self.order, user=self.access.user, public_id=choice["organization"])

    def form_facts(self, step: str, answers: Answers, remembered: Sequence[Mapping[str, Any] | None]) -> dict[str, Any]:
        """Return the facts that this step's form needs; ``remembered`` are its fields as typed or kept."""
        if step == "intent":
            return {"handed_over_too_often": partial(is_handed_over_too_often, self.order)}
        if step in {"partner", "customer"}:
            return self._candidates(step, answers, remembered)
        if step in {"partner-check", "customer-check"}:
            return self._duplicates(step.removesuffix("-check"), answers)
        if step == "administrator":
            return {
                "refusal": self._refusal(answers),
                "customer": (chosen_organization(answers, "customer") or {}).get("name", ""),
            }
        if step == "review":
            return {"delegate_problem": self._delegate_problem(answers)}
        return {}

    def page_facts(self, step: str, answers: Answers, before: str) -> dict[str, Any]:
        """Return what the review shows: the organizations and the plan; ``before`` is the seal seen last, or ""."""
        if step != "review":
            return {}
        own = answers["intent"]["audience"] == "own"
        which: tuple[Which, ...] = ("customer",) if own else ("partner", "customer")
        organizations: dict[str, Any] = {each: self._review_organization(each, answers) for each in which}
        names = {each: organization["name"] for each, organization in organizations.items() if organization}
        plan = self.plan(answers)
        different = plan.changed_since(before) if plan and before else frozenset()
        facts = {
            "own": own,
            "provisioning_administrator": bool(plan and plan.holder_of(Right.PROVISIONING)),
            "customer_email": self._asked_for("customer", answers)[0],
            "seal": plan.seal if plan else "",
            "different": {each: each in different for each in names},
            "plan_rows": tuple(review_rows.mapping(plan, names=names, seen=str, you=self.email, different=different))
            if plan
            else (),
            "order_mismatch_name": {each: self._order_mismatch(each, answers) for each in which if organizations[each]},
            "lost": bool(plan and before and plan.has_fewer_parts_than(before)),
        }
        return {**facts, **organizations}

    def plan(self, answers: Answers) -> Plan | None:
        """Return what confirming these answers does; None where it can't be done, and confirming says why."""
        try:
            return plan_mapping(order=self.order, by=self.access.user, **self._choices(answers))
        except (MappingRefused, OrganizationGone):
            return None

    def mapping(self, answers: Answers) -> dict[str, Any]:
        """Return the arguments of ``actions.map_order`` that these answers stand for."""
        choices = self._choices(answers)
        return {**choices, "delegate_to": choices["offered_to"] if answers["review"].get("delegate") else ""}

    def _choices(self, answers: Answers) -> dict[str, Any]:
        """Return the arguments of ``actions.plan_mapping``."""
        audience = answers["intent"]["audience"]
        customer_email = self._asked_for("customer", answers)[0]
        return {
            "audience": audience,
            "partner": self._choice("partner", answers, self.email) if audience == "customer" else None,
            "customer": self._choice("customer", answers, customer_email),
            "offered_to": customer_email if audience == "customer" and self._may_reveal_administrator(answers) else "",
        }

    # The search and its viewer

    def _asked_for(self, which: str, answers: Answers) -> tuple[str, str]:
        """Return the administrator's email and the company name that are matched."""
        if which == "partner" or answers["intent"]["audience"] == "own":
            return self.email, self.order.sold_to
        details = answers.get("customer-details", {})
        return details.get("administrator_email", ""), details.get("company_name", "")

    def _names_customer(self, which: str, answers: Answers) -> bool:
        """Return whether the search is for the customer, whom the order itself may name."""
        return which == "customer" and answers["intent"]["audience"] == "customer"

    def question(self, step: str, answers: Answers) -> Question | None:
        """Return the search whose result the page of this step shows; None for a step without one."""
        which = step.removesuffix("-check")
        if which not in {"partner", "customer"} or not (which == "partner" or self._is_known(answers)):
            return None
        email, name = self._asked_for(which, answers)
        asked = Question(Kind.MATCH, which == "partner", self._names_customer(which, answers), email, name)
        if which == step:
            return asked
        new = answers.get(f"{which}-new", {})
        return replace(asked, kind=Kind.DUPLICATES, name=new.get("name", ""), country=new.get("country", ""))

    def question_by_domain(self, step: str, answers: Answers, typed: str) -> Question | None:
        """Return the search by this domain; None for an invalid domain or one of a free mail provider."""
        asked, domain = self.question(step, answers), finder_questions.clean_domain(typed)
        if asked is None or asked.kind is not Kind.MATCH or not domain or finder_questions.is_free_mail(domain):
            return None
        return replace(asked, kind=Kind.DOMAIN, domain=domain)

    def _is_known(self, answers: Answers) -> bool:
        return answers.get("intent", {}).get("audience") == "own" or "customer-details" in answers

    @cached_property
    def _partner_of(self) -> frozenset[int]:
        return finder_questions.partner_of(self.access.user)

    @cached_property
    def _shown_so_far(self) -> Sequence[int]:
        return finder_questions.usage_of(self.order, self.access.user).shown

    def _viewer(self, question: Question) -> Viewer:
        return finder_questions.viewer(self.order, self.access.user, named=question.named, partner_of=self._partner_of)

    def _candidates(
        self, which: str, answers: Answers, remembered: Sequence[Mapping[str, Any] | None]
    ) -> dict[str, Any]:
        sources = [(self.query, "domain"), *((fields or {}, f"{which}-domain") for fields in (self.query, *remembered))]
        typed = next((str(value) for fields, key in sources if (value := fields.get(key))), "").strip()[:253]
        asked, by_domain = self.question(which, answers), self.question_by_domain(which, answers, typed)
        facts = self._answered(asked, by_domain)
        facts |= {"match": facts["answer"].match, "domain": typed, "found": facts["found"].candidates}
        facts["looked_for"] = (asked.email, asked.name) if asked else ("", "")
        if typed and by_domain is None:
            facts["domain_problem"] = (
                _(
                    "Anybody can have an address at this domain, so it can’t tell an organization. "
                    "Enter a company’s own domain."
                )
                if finder_questions.clean_domain(typed)
                else _("Enter a whole domain, such as contoso.com")
            )
        return facts

    def _duplicates(self, which: str, answers: Answers) -> dict[str, Any]:
        facts = self._answered(self.question(f"{which}-check", answers), None)
        return {**facts, "duplicates": facts["answer"].candidates}

    def _answered(self, *questions: Question | None) -> dict[str, Any]:
        """Return the answers to these questions (``answer``, ``found``) as far as they were asked, and what may be
        said of those that were not: ``unasked``, ``free_at`` (nothing can be asked before), ``withheld``, ``is_full``.
        """
        asked = [question for question in questions if question]
        standing = finder_questions.usage_of(self.order, self.access.user, asked)
        found = []
        for question in questions:
            if question and question.digest in standing.asked:
                found.append(finder_questions.answer(question, self._viewer(question), standing.shown))
            else:
                found.append(finder_questions.NOTHING)
        unasked = [question.kind for question in asked if question.digest not in standing.asked]
        return {
            "answer": found[0],
            "found": found[1],
            "unasked": unasked,
            "free_at": standing.free_at if unasked else None,
            "is_full": standing.is_full,
            "withheld": any(one.withheld for one in found) and not standing.is_full,
            "help_contact": settings.HELP_CONTACT,
            "sign": partial(signed_ids.sign, order=self.order, user=self.access.user),
            "is_signed": partial(signed_ids.is_signed, order=self.order, user=self.access.user),
        }

    # The chosen organizations

    def _choice(self, which: str, answers: Answers, administrator_email: str) -> Choice:
        choice = chosen_organization(answers, which) or {}
        if choice["organization"] != "new":
            return Existing(UUID(choice["organization"]))
        return New(
            name=choice["name"],
            vertical=choice["vertical"],
            country=choice["country"],
            administrator_email=administrator_email,
        )

    def _review_organization(self, which: str, answers: Answers) -> dict[str, Any] | None:
        """Return an organization chosen as the review shows it: name, new or not, and its rows."""
        choice = chosen_organization(answers, which)
        if choice is None:
            return None
        url = reverse("find", args=[self.order.number, which])
        if choice["organization"] == "new":
            country, vertical = str(countries.name(choice["country"])), dict(VERTICALS).get(choice["vertical"], "")
            rows = [(_("Business vertical"), vertical), (_("Country or region"), country)]
            return {"new": True, "name": choice["name"], "url": url, "rows": rows}
        candidate = self._shown_candidate(which, answers, UUID(choice["organization"]))
        if candidate is None:
            return {"new": False, "name": choice["name"], "url": url}
        return {
            "new": False,
            "name": choice["name"] if candidate.masked else candidate.shown_name,
            "url": url,
            "rows": [
                *([(_("Country or region"), candidate.shown_country)] if candidate.shown_country else []),
                (_("Domains"), ", ".join(name for name, _status in candidate.domains)),
                (_("Users"), candidate.shown_users),
                (_("Last activity"), candidate.shown_activity),
                (_("Active subscriptions"), candidate.shown_subscriptions),
            ],
        }

    def _order_mismatch(self, which: Which, answers: Answers) -> str:
        """Return whom the order names where the organization chosen, as this person may see it, isn't that; else ""."""
        choice, names = chosen_organization(answers, which) or {}, []
        if choice["organization"] != "new":
            candidate = self._shown_candidate(which, answers, UUID(choice["organization"]))
            if candidate and not candidate.masked:
                names = [candidate.organization.name, *(o.name for o in candidate.organization.other_names.all())]
        name, *others = names or [choice["name"]]
        return order_mismatch_name(
            self.order, audience=answers["intent"]["audience"], which=which, name=name, other_names=others
        )

    def _shown_candidate(self, which: str, answers: Answers, public_id: UUID) -> Candidate | None:
        asked = self.question(which, answers)
        if asked is None:
            return None
        if (asked, public_id) not in self._shown_again:
            candidate = finder_questions.shown_candidate(public_id, asked, self._viewer(asked), self._shown_so_far)
            self._shown_again[asked, public_id] = candidate
        return self._shown_again[asked, public_id]

    def _refusal(self, answers: Answers) -> policies.Refusal | None:
        customer = chosen_organization(answers, "customer") or {}
        return policies.may_provision(
            provisioner=provisioner_of(self.order, answers["intent"]["audience"]),
            audience=answers["intent"]["audience"],
            existing=customer.get("organization") != "new",
            is_administrator=bool(answers["order"]["administrator"]),
        )

    def _may_reveal_administrator(self, answers: Answers) -> bool:
        """Return whether this person may learn if the entered address is an administrator of the customer.

        For an organization without a tie to the person, the answer is the same in both cases.
        """
        customer = chosen_organization(answers, "customer") or {}
        email = self._asked_for("customer", answers)[0]
        if customer.get("organization") == "new" or email == normalize.email_key(self.order.customer_email):
            return True
        candidate = self._shown_candidate("customer", answers, UUID(customer["organization"]))
        return candidate is not None and not candidate.masked

    def _delegate_problem(self, answers: Answers) -> str:
        """Return why this address can't be given the set-up, or ""."""
        customer = chosen_organization(answers, "customer") or {}
        email = self._asked_for("customer", answers)[0]
        if not self._may_reveal_administrator(answers):
            return _(
                "Nothing shows yet that %(email)s is an administrator of this customer. Leave this unticked and set up "
                "the services yourself, or ask the order desk to name the customer’s administrator in the order: "
                "%(contact)s."
            ) % {"email": email, "contact": settings.HELP_CONTACT}
        if customer.get("organization") == "new" or is_full_administrator(
            email=email, public_id=customer["organization"]
        ):
            return ""
        return self.not_an_administrator(answers)

    def not_an_administrator(self, answers: Answers) -> str:
        """Return the sentence for a customer's administrator who isn't one."""
        return _(
            "%(email)s isn’t an administrator of %(organization)s, so they can’t set up its services. Leave this "
            "unticked, or enter an administrator’s email address under Customer details."
        ) % {
            "email": self._asked_for("customer", answers)[0],
            "organization": (chosen_organization(answers, "customer") or {}).get("name", ""),
        }
