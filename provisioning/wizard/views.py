"""The two wizards: finding the organizations, and setting up the services. How they move is in engine.py."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any, ClassVar
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext as _

from provisioning import actions
from provisioning.actions.drafts import changed_at
from provisioning.matching import response_padding
from provisioning.people.access import May, Role
from provisioning.rules.plan import PlanChanged
from provisioning.wizard import steps
from provisioning.wizard.engine import PROBLEM, OrderWizard, display
from provisioning.wizard.finder_lookups import FinderLookups
from provisioning.wizard.forms.access_requests import asked_too_often
from provisioning.wizard.set_up_lookups import SetUpLookups
from subscriptions.models import Order
from subscriptions.rules.validation import Problem, Refused, SiteNameTaken


class FinderWizard(OrderWizard):
    """Part one: who the order is for, and which organizations it belongs to."""

    flow = "find"
    table = steps.FINDER
    capability = May.FIND
    done_states = frozenset({Order.State.MAPPED.value, Order.State.SETTING_UP.value, Order.State.SET_UP.value})
    form_list: ClassVar[list[tuple[str, type[Any]]]] = [(step.name, step.form) for step in steps.FINDER]

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answer alike in size and time, whatever the organization finder has found."""
        begun = time.monotonic()
        response = response_padding.pad_response(super().dispatch(request, *args, **kwargs))
        asks = request.method == "POST" and kwargs.get("at") == "administrator"
        response_padding.wait(begun, response_padding.ASKING if asks else 1)
        return response

    @cached_property
    def facts(self) -> FinderLookups:
        """What this part looks up."""
        return FinderLookups(access=self.access, query=self.request.POST or self.request.GET)

    def expected(self) -> dict[str, Any]:
        """An order with an end customer is for that customer, most likely."""
        likely = "customer" if self.order.customer_name else "own"
        return {"intent": {"audience": likely}} | self.answers

    def order_facts(self) -> dict[str, Any]:
        """Add whether the person is an administrator of the organization that was chosen, as of now."""
        return {
            **super().order_facts(),
            "administrator": self.facts.is_administrator(steps.chosen(self.kept, "customer")),
        }

    def step_facts(self, step: str) -> dict[str, Any]:
        """Return candidates and the like."""
        remembered = (self.storage.typed(step), self.storage.get_step_data(step))
        return self.facts.of_step(step, self.answers, remembered)

    def page_facts(self, step: str, form: Any) -> dict[str, Any]:
        """Return what was chosen, for the page that reviews it, and where to change what was entered."""
        if step.endswith("-check"):
            return {"edit_url": self.url(step.replace("-check", "-new"))}
        return self.facts.of_page(step, self.answers, self.seal_before(step))

    def lead_to(self, step: str) -> HttpResponseBase:
        """Ask the organization finder what the next page shows the answer to."""
        if question := self.facts.question(step, self.answers):
            actions.search(order=self.order, by=self.access.user, question=question)
        return super().lead_to(step)

    def searched(self, step: str) -> HttpResponseBase | None:
        """Ask the organization finder again, or who has a domain; the page that follows shows the answer."""
        question = self.facts.question(step, self.answers)
        if question is None:
            return None
        typed = str(self.request.POST.get("domain", "")).strip()[:253]
        for asked in (question, self.facts.question_by_domain(step, self.answers, typed)):
            if asked is not None:
                actions.search(order=self.order, by=self.access.user, question=asked, more=not typed)
        return redirect(self.url(step, urlencode({"domain": typed}) if typed else ""))

    def instead(self, step: str, answer: Any) -> HttpResponseBase | None:
        """*I want someone else to complete this order* hands it over at once; it can be taken back."""
        if step != "intent" or answer["audience"] != "other":
            return None
        actions.hand_over(order=self.order, by=self.access.user, email=answer["email"])
        return redirect("order", number=self.order.number)

    def answer_changed(self, step: str) -> None:
        """A held order whose person chooses differently isn't held any more."""
        if step not in {"administrator", "review"}:
            actions.release(order=self.order, by=self.access.user)

    def done(self, form_list: list[Any], **kwargs: Any) -> HttpResponseBase:
        """Confirm the mapping, or ask the administrators who have to agree first."""
        answers = self.answers
        if steps.must_ask(answers):
            chosen = steps.chosen(answers, "customer") or {}
            try:
                actions.ask_administrators(
                    order=self.order,
                    by=self.access.user,
                    organization=chosen["organization"],
                    right=answers["administrator"]["right"],
                    shown_name=chosen["name"],
                )
            except actions.AskedTooOften:
                return self.refuse("administrator", asked_too_often())
            except actions.OrganizationGone:
                return self.refuse("customer", _("This organization is no longer there. Choose again."))
            return redirect("order", number=self.order.number)
        try:
            actions.map_order(order=self.order, by=self.access.user, seal=self.seal, **self.facts.mapping(answers))
        except PlanChanged:
            return self.show_again("review")
        except actions.MappingRefused:
            sentence = _(
                "This is your own company, and one of its administrators has to agree first. Select “This order is "
                "for my company” under “Who is this order for?”: then you can ask them."
            )
            return self.refuse("customer", sentence)
        except actions.NotAnAdministrator:
            return self.refuse("review", self.facts.not_an_administrator(answers))
        except actions.OrganizationGone:
            return self.refuse("customer", _("This organization is no longer there. Choose again."))
        return redirect("order", number=self.order.number)


class SetUpWizard(OrderWizard):
    """Part two: setting up what was bought."""

    flow = "set_up"
    table = steps.SETUP
    capability = May.SET_UP
    done_states = frozenset({Order.State.SETTING_UP.value, Order.State.SET_UP.value})
    form_list: ClassVar[list[tuple[str, type[Any]]]] = [(step.name, step.form) for step in steps.SETUP]

    @cached_property
    def facts(self) -> SetUpLookups:
        """What this part looks up."""
        return SetUpLookups(order=self.order)

    @property
    def kept(self) -> dict[str, Any]:
        """The answers in the draft, but for those that the other side refused: their steps are asked again."""
        kept = super().kept
        refused = self.facts.refused(kept)
        return {step: answer for step, answer in kept.items() if step not in refused}

    def expected(self) -> dict[str, Any]:
        """The answers with those that were refused: the steps that rest on them are shown as to come."""
        kept, expected = super().kept, {"order": self.answers["order"]}
        for step in self.table:
            if step.name in kept and step.applies(expected):
                expected[step.name] = kept[step.name]
        return expected

    def order_facts(self) -> dict[str, Any]:
        """The services that are to be set up now: all, or those that were refused or taken back."""
        return {"services": [line.service for line in self.facts.lines], "administrator": False}

    def step_facts(self, step: str) -> dict[str, Any]:
        """Return licenses bought, names taken and the like, and what the other side refused."""
        refused = self.facts.refused(super().kept).get(step)
        return self.facts.of_step(step) | ({"refused": refused} if refused else {})

    def page_facts(self, step: str, form: Any) -> dict[str, Any]:
        """Return what was bought, and on the last page the plan, each service with its *Change*."""
        if step != "review":
            return self.facts.of_page(step)
        return self.facts.of_review(self.answers, self.access, self.url, self.seal_before(step))

    def get_context_data(self, form: Any, **kwargs: Any) -> dict[str, Any]:
        """Add what the partner and the customer's administrator know of each other on this step."""
        context = super().get_context_data(form, **kwargs)
        context["together"] = self.together(self.steps.current, form)
        return context

    def together(self, step: str, form: Any) -> dict[str, Any]:
        """Return who else answered this step within the hour, the open questions about it, and what one may do."""
        entry = self.storage.entry(step)
        recent = entry and changed_at(entry) > timezone.now() - timedelta(hours=1)
        theirs = entry if entry and recent and entry["by"] not in {"", self.access.user.email} else None
        if self.order.audience == Order.Audience.OWN and not theirs:
            return {}  # nobody else ever sets up an order of one's own
        return {
            "other": {"by": theirs["by"], "at": changed_at(theirs)} if theirs else None,
            "questions": list(self.order.questions.filter(step=step, closed_at=None).select_related("asked_by")),
            "may_ask": self.access.other_in_set_up is not None and step not in {"subscription", "review"},
            "may_hand_back": self.access.role is Role.CONTACT and self.access.may(May.HAND_BACK),
        }

    def instead(self, step: str, answer: Any) -> HttpResponseBase | None:
        """*Set up later* leaves everything as it is."""
        if step != "subscription" or answer["choice"] != "later":
            return None
        actions.postpone(order=self.order, by=self.access.user)
        return redirect("postponed", number=self.order.number)

    def _accept(self, at: str, form: Any, answer: Any) -> HttpResponseBase:
        """Reserve what only one order can have; where somebody was faster by a moment, say so at the step."""
        try:
            if wanted := self.facts.wanted(at, {**self.kept, at: answer}):
                actions.reserve(order=self.order, wanted=wanted)
        except SiteNameTaken:
            self.storage.keep_typed(at, self.request.POST)
            return redirect(self.url(at, PROBLEM))
        return super()._accept(at, form, answer)

    def done(self, form_list: list[Any], **kwargs: Any) -> HttpResponseBase:
        """Set the services up, all of them or nothing, as the forms understand the answers now."""
        forms = {name: form for name, form in kwargs["form_dict"].items() if form.answers() != self.answers[name]}
        for name, form in forms.items():
            # What the page showed was understood by an older version: the plan is another one now, and shown again.
            self.storage.keep(name, form.data, form.answers(), display(form), by=self.access.user.email)
        answers = {**self.answers, **{name: form.answers() for name, form in forms.items()}}
        try:
            plans = self.facts.plans(answers)
            order = actions.set_up(order=self.order, by=self.access.user, plans=plans, seal=self.seal)
        except PlanChanged:
            return self.show_again("review")
        except Refused as refused:
            if refused.problem is Problem.CLOSED:
                raise  # the engine says so for every step
            step = self.facts.step_of(refused, answers)
            if not step:
                words = {"help": settings.HELP_CONTACT, "number": self.order.number}
                return self.refuse(
                    "review", _("This can’t be set up. Write to %(help)s about order %(number)s.") % words
                )
            self.storage.keep_typed(step, self.storage.get_step_data(step) or {})
            return redirect(self.url(step, PROBLEM))
        if order.state != Order.State.SET_UP:
            return redirect("progress", number=self.order.number)
        messages.success(self.request, _("Everything is set up. A confirmation is on its way by email."))
        return redirect("summary", number=self.order.number)
