"""Read-only lookups of the second part (set up the services) for its forms and pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext as _

from orgs.models import Member, Organization
from orgs.text import normalize
from provisioning.actions import drafts, plan_set_up
from provisioning.fulfillment import dry_run
from provisioning.models import AccessRequest
from provisioning.people.access import Access, Role
from provisioning.wizard import review_rows
from provisioning.wizard.forms.meetings.site_names import SiteNameCheck
from provisioning.wizard.packs import meetings
from provisioning.wizard.packs.base import installed
from provisioning.wizard.steps import loadable_answers
from subscriptions import packs
from subscriptions.actions import given_parts, lines_to_ask_for, split_plans
from subscriptions.models import Order, OrderLine, ProvisioningRequest
from subscriptions.packs import Bought
from subscriptions.rules.validation import Refused
from subscriptions.summary import mask_email

Answers = Mapping[str, Any]


def requester_facts(request: AccessRequest) -> dict[str, Any]:
    """Return what an administrator sees about the person who asks for rights: ``member`` (their role there, or ""), and
    ``outside`` (their address is at none of the organization's domains), ``formerly`` (it is at one that the
    organization used before, which somebody else may own now).
    """
    email, organization = request.requester.email, request.organization
    member = Member.objects.filter(organization=organization, email=email).first()
    domain, domains = normalize.email_domain(email), list(organization.domains.all())
    at = {each.is_current for each in domains if normalize.is_within(domain, each.name)}
    return {
        "member": member.get_role_display() if member else "",
        "outside": bool(domains) and True not in at,
        "formerly": False in at,
    }


def organization_name_for_requester(request: AccessRequest) -> str:
    """Return the name of an organization as it was shown to the person who asks, who may not know its own."""
    return request.shown_name or _("the organization")


class SetUpLookups:
    """The lookups of the second part for one order."""

    def __init__(self, *, order: Order) -> None:
        self.order = order

    def review_facts(self, answers: Answers, access: Access, url: Callable[[str], str], before: str) -> dict[str, Any]:
        """Return the plan as the review shows it to this person; ``before`` is the seal that they saw last, or ""."""
        try:
            plans = self.plans(answers)
            plan = plan_set_up(order=self.order, by=access.user, plans=plans, lines=self.lines)
            parts = self._parts(plans)
        except (LookupError, TypeError, ValueError):
            plans, plan, parts = (
                {},
                None,
                {},
            )  # answers that don't belong together: confirming leads to the step that is wrong
        different = plan.changed_since(before) if plan and before else frozenset()
        steps = installed()
        links = {
            service: tuple((str(step.label), url(step.name)) for step in steps[service].steps if step.name in answers)
            for service in packs.bought_of(self.lines)
            if service in steps
        }

        def seen(email: str) -> str:
            return email if access.role is Role.CONTACT or email == access.user.email else mask_email(email)

        would_refuse = dry_run.refusals(order=self.order, lines=self.lines, parts=parts) if plan else {}
        places = [line.made.time_zone for line in plan.subscriptions if line.made] if plan else []
        return {
            "seal": plan.seal if plan else "",
            "refusals": tuple(  # several lines of a service may be refused for the same answer
                dict.fromkeys(
                    (
                        would_refuse[line.pk].sentence,
                        url(
                            _control(
                                line.service,
                                would_refuse[line.pk].field,
                                packs.of(line.service).parameters(parts[line.pk]),
                                plans,
                                answers,
                            )[0]
                        ),
                    )
                    for line in self.lines
                    if line.pk in would_refuse
                )
            ),
            "services": tuple(
                review_rows.services(
                    plan,
                    links=links,
                    several=[service for service, each in self.bought.items() if len(each.lines) > 1],
                    different=different,
                    now=timezone.now(),
                    time_zone=next((each for each in places if each), str(settings.TIME_ZONE)),
                )
            ),
            "plan_rows": tuple(
                review_rows.set_up(
                    plan,
                    seen=seen,
                    irreversible=[
                        text for name, each in plans.items() for text in steps[name].irreversible_effects(each)
                    ],
                    different=different,
                )
            )
            if plan
            else (),
            "lost": bool(plan and before and plan.has_fewer_parts_than(before)),
        }

    @cached_property
    def lines(self) -> list[OrderLine]:
        """The lines to set up, in the order of PACKS, without those that are set up or in progress."""
        return lines_to_ask_for(self.order)

    def rejected_answers(self, kept: Answers) -> dict[str, dict[str, Any]]:
        """Return, by step, the answers that the provisioning system refused."""
        if self.order.state != Order.State.SETTING_UP:
            return {}
        found = {}
        for request in self._refused_requests:
            line, pointer = request.line, request.problem_field
            try:
                plans = {line.service: self._plan(line.service, kept)}
                asked = packs.of(line.service).parameters(self._parts(plans)[line.pk])
            except (LookupError, TypeError, ValueError, AttributeError):
                continue  # a step of it is being answered anew
            step, control = _control(line.service, pointer, request.parameters, plans, kept)
            if step in kept and _at(asked, pointer) == _at(request.parameters, pointer):
                found[step] = {"control": control, "sentence": request.problem, "answer": kept[step]}
        return found

    @cached_property
    def _refused_requests(self) -> list[ProvisioningRequest]:
        state = ProvisioningRequest.State.REFUSED
        current = self.order.provisioning_requests.filter(superseded_at=None, state=state).select_related("line")
        return [request for request in current if request.line.service in installed()]

    @cached_property
    def customer(self) -> Organization:
        """The organization that the services are for."""
        if self.order.customer is None:
            raise LookupError(f"order {self.order.number} is not mapped")
        return self.order.customer

    @cached_property
    def bought(self) -> dict[str, Bought]:
        """What there is to set up, by service: with all lines of the service, also those that are set up already."""
        services = packs.bought_of(self.lines)
        return {name: each for name, each in packs.bought_of(self.order.lines.all()).items() if name in services}

    def form_facts(self, step: str) -> dict[str, Any]:
        """Return the facts of this step's form from its pack."""
        for service, bought in self.bought.items():
            pack = installed().get(service)
            if pack and any(each.name == step for each in pack.steps):
                return pack.facts(self.order, bought)
        return {}

    def page_facts(self, step: str) -> dict[str, Any]:
        """Return the template context of a step's page."""
        labels = packs.labels_of(self.order.lines.all())
        lines = [(labels[line.number], line) for line in self.lines]
        return {"lines": lines, "customer_organization": self.customer.name}

    def site_name(self, text: str, *, control: str, twice: bool) -> SiteNameCheck | None:
        """Return a site's name as its step would take it (see ``check_site_name``); None where no site was bought."""
        bought = self.bought.get(meetings.STEPS.service)
        if bought is None:
            return None
        entries = drafts.load(self.order.pk).steps.get("set_up", {})
        kept = loadable_answers(meetings.STEPS.steps, {step: entry["answer"] for step, entry in entries.items()})
        return meetings.STEPS.check_site_name(self.order, bought, text, control=control, answers=kept, twice=twice)

    def reservations(self, step: str, answers: Answers) -> dict[str, Any]:
        """Return the reservations by service that this step's answer makes."""
        asking = [pack for pack in installed().values() if any(each.name == step for each in pack.steps)]
        found = {pack.service: pack.reservation(step, answers) for pack in asking}
        return {service: wanted for service, wanted in found.items() if wanted is not None}

    def plans(self, answers: Answers) -> dict[str, Any]:
        """Return the plan of each service that these answers stand for."""
        return {service: self._plan(service, answers) for service in self.bought if service in installed()}

    def _parts(self, plans: Mapping[str, Any]) -> dict[int, Any]:
        return split_plans(lines=self.lines, plans=plans, given=self._given)

    @cached_property
    def _given(self) -> dict[str, list[Any]]:
        return given_parts(self.order)

    def _plan(self, service: str, answers: Answers) -> Any:
        return installed()[service].plan(answers, self.bought[service])

    def step_to_correct(self, refused: Refused, answers: Answers) -> str:
        """Return the step that has to be answered anew after this refusal, or ""."""
        return next((step for pack in installed().values() if (step := pack.step_to_correct(refused, answers))), "")


def _control(
    service: str, field: str, asked: Mapping[str, Any], plans: Mapping[str, Any], answers: Answers
) -> tuple[str, str]:
    """Return the step and its control where that was answered which ``field`` points to in a line's parameters."""
    pack = packs.of(service)
    whole = pack.locate(field, asked, pack.parameters(plans[service]))
    return installed()[service].locate_field(whole, answers)


def _at(parameters: Any, pointer: str) -> Any:
    """Return the value at a JSON pointer (RFC 6901), or all parameters if there is none."""
    found = parameters
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict) and name in found:
            found = found[name]
        elif isinstance(found, list) and name.isdigit() and int(name) < len(found):
            found = found[int(name)]
        else:
            return parameters
    return found
