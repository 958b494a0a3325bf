"""The two wizards: finding the organizations, and setting up the services. The engine is in engine.py."""

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
from provisioning.finder_gateway import response_padding
from provisioning.people.access import May, Role
from provisioning.rules.plan import PlanChanged
from provisioning.rules.refusals import sentence
from provisioning.wizard import steps
from provisioning.wizard.engine import PROBLEM, OrderWizard, summary_rows
from provisioning.wizard.finder_lookups import FinderLookups
from provisioning.wizard.forms.access_requests import asked_too_often
from provisioning.wizard.set_up_lookups import SetUpLookups
from subscriptions.models import Order
from subscriptions.rules.validation import Problem, Refused, SiteIsAskedFor, SiteNameTaken


class FinderWizard(OrderWizard):
    """Part one: who the order is for, and which organizations it belongs to."""

    flow = "find"
    table = steps.FINDER
    capability = May.FIND
    done_states = frozenset({Order.State.MAPPED.value, Order.State.SETTING_UP.value, Order.State.SET_UP.value})
    form_list: ClassVar[list[tuple[str, type[Any]]]] = [(step.name, step.form) for step in steps.FINDER]

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Pad size and time of each response, so that they do not reveal search results."""
        begun = time.monotonic()
        response = response_padding.pad_response(super().dispatch(request, *args, **kwargs))
        asks = request.method == "POST" and kwargs.get("at") == "administrator"
        response_padding.pad_time(begun, response_padding.ADMINISTRATOR_REQUEST_STEPS if asks else 1)
        return response

    @cached_property
    def lookups(self) -> FinderLookups:
        """The database lookups of this wizard."""
        return FinderLookups(access=self.access, query=self.request.POST or self.request.GET)

    def expected_answers(self) -> dict[str, Any]:
        """Assume that an order with an end customer is for that customer."""
        likely = "customer" if self.order.customer_name else "own"
        return {"intent": {"audience": likely}} | self.answers

    def order_facts(self) -> dict[str, Any]:
        """Add whether the person is an administrator of the organization that was chosen, as of now."""
        return {
            **super().order_facts(),
            "administrator": self.lookups.is_administrator(steps.chosen_organization(self.kept, "customer")),
        }

    def step_facts(self, step: str) -> dict[str, Any]:
        """Return candidates and other lookups for the form."""
        remembered = (self.storage.typed(step), self.storage.get_step_data(step))
        return self.lookups.form_facts(step, self.answers, remembered)

    def page_facts(self, step: str, form: Any) -> dict[str, Any]:
        """Return the chosen organizations for the review, or the URL where the entered values can be changed."""
        if step.endswith("-check"):
            return {"edit_url": self.url(step.replace("-check", "-new"))}
        return self.lookups.page_facts(step, self.answers, self.previous_seal(step))

    def redirect_to_step(self, step: str) -> HttpResponseBase:
        """Run the finder search whose result the next page shows."""
        if question := self.lookups.question(step, self.answers):
            actions.search(order=self.order, by=self.access.user, question=question)
        return super().redirect_to_step(step)

    def handle_search(self, step: str) -> HttpResponseBase | None:
        """Repeat the finder search, or search by domain; the next page shows the result."""
        question = self.lookups.question(step, self.answers)
        if question is None:
            return None
        typed = str(self.request.POST.get("domain", "")).strip()[:253]
        for asked in (question, self.lookups.question_by_domain(step, self.answers, typed)):
            if asked is not None:
                actions.search(order=self.order, by=self.access.user, question=asked, more=not typed)
        return redirect(self.url(step, urlencode({"domain": typed}) if typed else ""))

    def redirect_for_answer(self, step: str, answer: Any) -> HttpResponseBase | None:
        """*I want someone else to complete this order* hands it over at once; it can be taken back."""
        if step != "intent" or answer["audience"] != "other":
            return None
        actions.hand_over(order=self.order, by=self.access.user, email=answer["email"])
        return redirect("order", number=self.order.number)

    def answer_changed(self, step: str) -> None:
        """Release a held order when the person changes an answer."""
        if step not in {"administrator", "review"}:
            actions.release_held_order(order=self.order, by=self.access.user)

    def done(self, form_list: list[Any], **kwargs: Any) -> HttpResponseBase:
        """Confirm the mapping, or send the request to the organization's administrators."""
        answers = self.answers
        if steps.needs_approval(answers):
            chosen = steps.chosen_organization(answers, "customer") or {}
            try:
                actions.ask_administrators(
                    order=self.order,
                    by=self.access.user,
                    organization=chosen["organization"],
                    right=answers["administrator"]["right"],
                    shown_name=chosen["name"],
                )
            except actions.AskedTooOften:
                return self.redirect_with_error("administrator", asked_too_often())
            except actions.OrganizationGone:
                return self.redirect_with_error("customer", _("This organization is no longer there. Choose again."))
            return redirect("order", number=self.order.number)
        try:
            actions.map_order(order=self.order, by=self.access.user, seal=self.seal, **self.lookups.mapping(answers))
        except PlanChanged:
            return self.redirect_to_changed_plan("review")
        except actions.MappingRefused:
            sentence = _(
                "This is your own company, and one of its administrators has to agree first. Select “This order is "
                "for my company” under “Who is this order for?”: then you can ask them."
            )
            return self.redirect_with_error("customer", sentence)
        except actions.NotAnAdministrator:
            return self.redirect_with_error("review", self.lookups.not_an_administrator(answers))
        except actions.OrganizationGone:
            return self.redirect_with_error("customer", _("This organization is no longer there. Choose again."))
        return redirect("order", number=self.order.number)


class SetUpWizard(OrderWizard):
    """Part two: set up the services that were bought."""

    flow = "set_up"
    table = steps.SETUP
    capability = May.SET_UP
    done_states = frozenset({Order.State.SETTING_UP.value, Order.State.SET_UP.value})
    form_list: ClassVar[list[tuple[str, type[Any]]]] = [(step.name, step.form) for step in steps.SETUP]

    @cached_property
    def lookups(self) -> SetUpLookups:
        """What this part looks up."""
        return SetUpLookups(order=self.order)

    @property
    def kept(self) -> dict[str, Any]:
        """The saved answers without those that the provisioning system refused; their steps are asked again."""
        kept = super().kept
        refused = self.lookups.rejected_answers(kept)
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
        return {"services": [line.service for line in self.lookups.lines], "administrator": False}

    def step_facts(self, step: str) -> dict[str, Any]:
        """Return the facts of the pack, and the answer that the provisioning system refused."""
        refused = self.lookups.rejected_answers(super().kept).get(step)
        return self.lookups.form_facts(step) | ({"refused": refused} if refused else {})

    def page_facts(self, step: str, form: Any) -> dict[str, Any]:
        """Return what was bought, and on the last page the plan, each service with its *Change*."""
        if step != "review":
            return self.lookups.page_facts(step)
        return self.lookups.review_facts(self.answers, self.access, self.url, self.previous_seal(step))

    def get_context_data(self, form: Any, **kwargs: Any) -> dict[str, Any]:
        """Add changes and questions of the other person who sets up."""
        context = super().get_context_data(form, **kwargs)
        context["together"] = self.together(self.steps.current, form)
        return context

    def together(self, step: str, form: Any) -> dict[str, Any]:
        """Return another person's answer of the last hour, open questions, and which actions are allowed."""
        entry = self.storage.entry(step)
        recent = entry and changed_at(entry) > timezone.now() - timedelta(hours=1)
        theirs = entry if entry and recent and entry["by"] not in {"", self.access.user.email} else None
        if self.order.audience == Order.Audience.OWN and not theirs:
            return {}  # no other person sets up an order for the own company
        return {
            "other": {"by": theirs["by"], "at": changed_at(theirs)} if theirs else None,
            "questions": list(self.order.questions.filter(step=step, closed_at=None).select_related("asked_by")),
            "may_ask": self.access.other_in_set_up is not None and step not in {"subscription", "review"},
            "may_hand_back": self.access.role is Role.CONTACT and self.access.may(May.HAND_BACK),
        }

    def redirect_for_answer(self, step: str, answer: Any) -> HttpResponseBase | None:
        """*Set up later* leaves everything as it is."""
        if step != "subscription" or answer["choice"] != "later":
            return None
        actions.postpone(order=self.order, by=self.access.user)
        return redirect("postponed", number=self.order.number)

    def _accept(self, at: str, form: Any, answer: Any) -> HttpResponseBase:
        """Reserve unique names before accepting; a name that was just taken is an error of the step."""
        try:
            if wanted := self.lookups.reservations(at, {**self.kept, at: answer}):
                actions.reserve(order=self.order, wanted=wanted)
        except SiteNameTaken:
            self.storage.keep_typed(at, self.request.POST)
            return redirect(self.url(at, PROBLEM))
        return super()._accept(at, form, answer)

    def done(self, form_list: list[Any], **kwargs: Any) -> HttpResponseBase:
        """Set the services up, all of them or nothing, as the forms understand the answers now."""
        forms = {name: form for name, form in kwargs["form_dict"].items() if form.answers() != self.answers[name]}
        for name, form in forms.items():
            # The answers were saved by an older version of a form; the plan changes, so the review is shown again.
            self.storage.keep(name, form.data, form.answers(), summary_rows(form), by=self.access.user.email)
        answers = {**self.answers, **{name: form.answers() for name, form in forms.items()}}
        try:
            plans = self.lookups.plans(answers)
            order = actions.set_up(order=self.order, by=self.access.user, plans=plans, seal=self.seal)
        except PlanChanged:
            return self.redirect_to_changed_plan("review")
        except Refused as refused:
            if refused.problem in {Problem.CLOSED, Problem.ON_HOLD}:
                raise  # the engine says so for every step
            step = self.lookups.step_to_correct(refused, answers)
            if not step:
                words = {"help": settings.HELP_CONTACT, "number": self.order.number}
                return self.redirect_with_error(
                    "review", _("This can’t be set up. Write to %(help)s about order %(number)s.") % words
                )
            if isinstance(refused, SiteIsAskedFor):
                return self.redirect_with_error(step, sentence(refused))
            self.storage.keep_typed(step, self.storage.get_step_data(step) or {})
            return redirect(self.url(step, PROBLEM))
        if order.state != Order.State.SET_UP:
            return redirect("progress", number=self.order.number)
        messages.success(self.request, _("Everything is set up. A confirmation is on its way by email."))
        return redirect("summary", number=self.order.number)
