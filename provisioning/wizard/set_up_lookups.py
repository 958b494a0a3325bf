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
from subscriptions.actions import lines_to_ask_for
from subscriptions.models import Order, OrderLine, ProvisioningRequest
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
        except (LookupError, TypeError, ValueError):
            plans, plan = {}, None  # answers that don't belong together: confirming leads to the step that is wrong
        different = plan.changed_since(before) if plan and before else frozenset()
        packs = installed()
        links = {
            line.service: tuple(
                (str(step.label), url(step.name)) for step in packs[line.service].steps if step.name in answers
            )
            for line in self.lines
            if line.service in packs
        }

        def seen(email: str) -> str:
            return email if access.role is Role.CONTACT or email == access.user.email else mask_email(email)

        would_refuse = dry_run.refusals(order=self.order, lines=self.lines, plans=plans) if plan else {}
        places = [line.made.time_zone for line in plan.subscriptions if line.made] if plan else []
        return {
            "seal": plan.seal if plan else "",
            "refusals": tuple(
                (refused.sentence, url(packs[service].locate_field(refused.field, answers)[0]))
                for service, refused in would_refuse.items()
            ),
            "services": tuple(
                review_rows.services(
                    plan,
                    links=links,
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
                        text for name, each in plans.items() for text in packs[name].irreversible_effects(each)
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
            pack, line = installed()[request.line.service], request.line
            step, control = pack.locate_field(request.problem_field, kept)
            try:
                asked = packs.of(line.service).parameters(pack.plan(kept, line))
            except (LookupError, TypeError, ValueError, AttributeError):
                continue  # a step of it is being answered anew
            pointer = request.problem_field
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

    def form_facts(self, step: str) -> dict[str, Any]:
        """Return the facts of this step's form from its pack."""
        for line in self.lines:
            pack = installed().get(line.service)
            if pack and any(each.name == step for each in pack.steps):
                return pack.facts(self.order, line)
        return {}

    def page_facts(self, step: str) -> dict[str, Any]:
        """Return the template context of a step's page."""
        return {"lines": self.lines, "customer_organization": self.customer.name}

    def site_name(self, text: str, *, control: str, twice: bool) -> SiteNameCheck | None:
        """Return a site's name as its step would take it (see ``check_site_name``); None where no site was bought."""
        line = next((line for line in self.lines if line.service == meetings.STEPS.service), None)
        if line is None:
            return None
        entries = drafts.load(self.order.pk).steps.get("set_up", {})
        kept = loadable_answers(meetings.STEPS.steps, {step: entry["answer"] for step, entry in entries.items()})
        return meetings.STEPS.check_site_name(self.order, line, text, control=control, answers=kept, twice=twice)

    def reservations(self, step: str, answers: Answers) -> dict[str, Any]:
        """Return the reservations by service that this step's answer makes."""
        packs = [pack for pack in installed().values() if any(each.name == step for each in pack.steps)]
        found = {pack.service: pack.reservation(step, answers) for pack in packs}
        return {service: wanted for service, wanted in found.items() if wanted is not None}

    def plans(self, answers: Answers) -> dict[str, Any]:
        """Return the plan of each service that these answers stand for."""
        packs = installed()
        return {line.service: packs[line.service].plan(answers, line) for line in self.lines if line.service in packs}

    def step_to_correct(self, refused: Refused, answers: Answers) -> str:
        """Return the step that has to be answered anew after this refusal, or ""."""
        return next((step for pack in installed().values() if (step := pack.step_to_correct(refused, answers))), "")


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
