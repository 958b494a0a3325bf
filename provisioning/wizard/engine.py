"""The base view of both wizards. It extends formtools' SessionWizardView; no other file imports formtools' views.

Differences from formtools: answers belong to the order and not to a session, so that a second device or person sees
them; each step has a URL; a GET changes nothing; every POST redirects; a person whose page is out of date sees what
changed; input that was not accepted is saved.
"""

from __future__ import annotations

import contextlib
from typing import Any, ClassVar

from django.contrib import messages
from django.contrib.auth.mixins import LoginRequiredMixin
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.functional import cached_property
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.generic import View
from formtools.wizard.views import SessionWizardView, StepsHelper

from provisioning.actions.drafts import changed_at, draft_of, keepable
from provisioning.people import access, links
from provisioning.people.access import Access, May
from provisioning.wizard import pending_posts, progress_rail, steps
from provisioning.wizard.draft_storage import DraftStorage
from provisioning.wizard.packs.base import Step
from subscriptions.rules.validation import Problem, Refused
from subscriptions.summary import mask_email

PROBLEM, CHANGED, KEPT, PLAN = "problem", "changed", "kept", "plan"  # query parameters: why the page is shown


def summary_rows(form: Any) -> list[list[str]]:
    """Return the answer of a valid form as rows of [label, value]."""
    return [[str(label), str(value)] for label, value in form.summary()]


@method_decorator(never_cache, name="dispatch")
class OrderWizard(LoginRequiredMixin, SessionWizardView):  # type: ignore[misc]
    """The wizard of one order for one table of steps."""

    http_method_names: ClassVar[list[str]] = ["get", "head", "post"]
    storage_name = "provisioning.wizard.draft_storage.DraftStorage"
    flow: str  # the name of the table in the draft and of the address
    table: tuple[Step, ...]
    capability: May
    done_states: frozenset[str]  # states after confirming: a second confirm shows the result
    access: Access
    storage: DraftStorage

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Check permissions, lock the order for a POST, and redirect people without permission."""
        writing, at = request.method == "POST", kwargs.get("at", "")
        if not request.user.is_authenticated:
            if writing and at in self.form_list:
                pending_posts.keep(request, number=kwargs["number"], flow=self.flow, step=at)
            return self.handle_no_permission()
        with transaction.atomic() if writing else contextlib.nullcontext():
            self.access = access.access_to(request.user, kwargs["number"], lock=writing, steps=True)
            self.order = self.access.order
            if not self.access.may(self.capability):
                if writing and self.order.is_stopped and self.access.would_may(self.capability):
                    self.keep_for_later(request, at)
                elif writing and not self.is_done():
                    messages.warning(
                        request,
                        _("What you just sent was not saved: somebody else has the order now, or it is over."),
                    )
                return redirect("order", number=self.order.number)
            if writing and self.access.part.opened_at is None:
                links.note_opened(order=self.order, user=self.access.user)
            try:
                response = self.dispatch_step(request, *args, **kwargs)
            except Refused as refused:
                # The order closed, or was put on hold, after the check above. Only the typed input is saved.
                if refused.problem not in {Problem.CLOSED, Problem.ON_HOLD}:
                    raise
                self.keep_for_later(request, at)
                return redirect("order", number=self.order.number)
            return response

    def dispatch_step(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Do what formtools' ``dispatch`` does, with the draft that was read with the order."""
        self.prefix = self.get_prefix(request)
        self.storage = DraftStorage(self.prefix, request, draft=draft_of(self.order))
        self.steps = StepsHelper(self)
        response: HttpResponseBase = View.dispatch(self, request, *args, **kwargs)
        return response

    def keep_for_later(self, request: HttpRequest, at: str) -> None:
        """Save the input of an order that has just closed, for when it gets more time, and add a message."""
        if at in self.form_list and keepable(request.POST):
            storage = DraftStorage(self.get_prefix(request), request, draft=draft_of(self.order))
            storage.keep_typed(at, request.POST)
        if self.order.is_on_hold:
            sentence = _("The order desk put the order on hold before you sent this. What you typed is kept.")
        else:
            sentence = _("The order closed before you sent this. What you typed is kept.")
        messages.warning(request, sentence)

    def is_done(self) -> bool:
        """Return whether this wizard was confirmed already; then a second confirm shows the result."""
        return self.access.part.ended_at is None and self.order.state in self.done_states

    def get_prefix(self, request: HttpRequest, *args: Any, **kwargs: Any) -> str:
        """Answers are kept per order and table."""
        return f"{self.flow}.{self.order.pk}"

    # Which steps there are

    @cached_property
    def kept(self) -> dict[str, Any]:
        """The answers in the draft that can be read, whether their steps apply or not."""
        return steps.loadable_answers(self.table, self.storage.answers())

    @cached_property
    def answers(self) -> dict[str, Any]:
        """The answers of the steps that apply, by step name, and the order's own facts under "order"."""
        answers: dict[str, Any] = {"order": self.order_facts()}
        kept = self.kept
        for step in self.table:
            if step.name in kept and step.applies(answers):
                answers[step.name] = kept[step.name]
        return answers

    def expected_answers(self) -> dict[str, Any]:
        """Return the answers, completed by likely ones: they decide which later steps the rail shows."""
        return self.answers

    def order_facts(self) -> dict[str, Any]:
        """Return the facts of the order that the conditions of the steps use."""
        return {"services": [line.service for line in self.order.lines.all()], "administrator": False}

    @cached_property
    def applicable(self) -> dict[str, Any]:
        """The form classes of the steps that apply, by name, in order."""
        return {step.name: step.form for step in steps.applicable_steps(self.table, self.answers)}

    def get_form_list(self) -> dict[str, Any]:
        """Return the form classes of the steps that apply, by name, in order."""
        return self.applicable

    def clear_cached_answers(self) -> None:
        """Clear the cached properties that were computed from the draft."""
        for name in ("kept", "answers", "applicable", "frontier"):
            self.__dict__.pop(name, None)

    @cached_property
    def frontier(self) -> str:
        """The first step without an answer: the last one that may be opened."""
        names = list(self.get_form_list())
        return next((name for name in names if name not in self.answers), names[-1])

    def is_reachable(self, step: str) -> bool:
        """Return whether this step applies and everything before it is answered."""
        names = list(self.get_form_list())
        return step in names and names.index(step) <= names.index(self.frontier)

    def url(self, step: str, why: str = "") -> str:
        """Return the address of a step."""
        return reverse(self.flow, args=[self.order.number, step]) + (f"?{why}" if why else "")

    # A page is shown

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Show a step; redirect from a step that cannot be opened yet to the first open one."""
        at = kwargs.get("at")
        if at is None:
            return redirect(self.url(self.frontier))
        if at not in self.form_list:
            raise Http404
        if not self.is_reachable(at):
            return redirect(self.url(self.frontier))
        self.storage.current_step = at
        typed = None if KEPT in request.GET else self.storage.typed(at)
        data = typed if typed is not None else self.storage.get_step_data(at)
        form = self.get_form(at, data=data)
        if data is not None and (typed is None or PROBLEM not in request.GET) and not form.refused:
            form.hide_errors()
        response: HttpResponseBase = self.render(form)
        return response

    def get_form_kwargs(self, step: str | None = None) -> dict[str, Any]:
        """Return the form's arguments: the order, the earlier answers and the step's facts; never the request."""
        step = step or self.steps.current
        return {"order": self.order, "answers": self.answers, **self.step_facts(step)}

    def step_facts(self, step: str) -> dict[str, Any]:
        """Return the facts that the form of a step needs from the database."""
        raise NotImplementedError

    def get_template_names(self) -> list[str]:
        """Return the template that the step's form names."""
        return [self.form_list[self.steps.current].template]

    def get_context_data(self, form: Any, **kwargs: Any) -> dict[str, Any]:
        """Return what the page shows besides the form."""
        at = self.steps.current
        expected = self.expected_answers()
        names = [step.name for step in steps.applicable_steps(self.table, expected)]
        return {
            "form": form,
            "step": {"name": at, "title": form.title, "lead": form.lead, "button": form.button},
            "order": self.order,
            "access": self.access,
            "revision": self.revision(at),
            "back": names.index(at) > 0,
            "changed": self.change_by_another(at) if CHANGED in self.request.GET else None,
            "shown_again": PLAN in self.request.GET,
            "rail": progress_rail.rail(
                order=self.order,
                flow=self.flow,
                answers=self.answers,
                expected=expected,
                current=at,
                frontier=self.frontier,
            ),
            "position": progress_rail.position(names, at),
            **self.page_facts(at, form),
        }

    def page_facts(self, step: str, form: Any) -> dict[str, Any]:
        """Return additional template context for a step."""
        return {}

    def revision(self, step: str) -> str:
        """Return the revision of the answers that the page is made from."""
        return self.storage.revision(step, self._depends_on(step))

    def _depends_on(self, step: str) -> tuple[str, ...]:
        return next(each.depends_on for each in self.table if each.name == step)

    def change_by_another(self, step: str) -> dict[str, Any] | None:
        """Return who changed this step or one that it depends on, when, and the new answer; None for no change."""
        entries = [(name, self.storage.entry(name)) for name in (step, *self._depends_on(step))]
        found = [(name, entry) for name, entry in entries if entry]
        if not found:
            return None
        own = self.storage.entry(step)
        name, entry = (step, own) if own else max(found, key=lambda each: changed_at(each[1]))
        return {
            "by": mask_email(entry["by"]),
            "yourself": entry["by"] == self.access.user.email,
            "at": changed_at(entry),
            "step": next(each.label for each in self.table if each.name == name),
            "same_step": name == step,
            "answers": self.display_rows(name),
        }

    def display_rows(self, step: str) -> list[list[str]]:
        """Return a saved answer as rows of [label, value] in the reader's language."""
        entry = self.storage.entry(step) or {"display": []}
        if entry.get("language") not in (None, get_language()):
            form = self.get_form(step, data=self.storage.get_step_data(step))
            if form.is_valid():
                return summary_rows(form)
        return list(entry["display"])

    # Something is posted

    def post(self, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Handle every button of a step: Next, Back, search, and those that edit the form. Always redirect."""
        request, at = self.request, self.kwargs.get("at")
        if at is None:
            return redirect(self.url(self.frontier))
        if at not in self.form_list:
            raise Http404
        if not self.is_reachable(at):
            if keepable(request.POST):
                self.storage.keep_typed(at, request.POST)
            messages.info(request, _("This step isn’t due: an earlier answer changed. Go on from here."))
            return redirect(self.url(self.frontier))
        self.storage.current_step = at
        if "search" in request.POST and (searched := self.handle_search(at)):
            return searched
        if "back" in request.POST:
            self.storage.keep_typed(at, request.POST)
            return redirect(self.url(self.get_prev_step(at) or at))
        form = self.get_form(at, data=request.POST)
        if (edited := form.handle_button(request.POST)) is not None:
            fields, place = edited
            self.storage.keep_typed(at, fields)
            return redirect(f"{self.url(at)}#{place}")
        if not form.is_valid():
            self.storage.keep_typed(at, request.POST)
            return redirect(self.url(at, PROBLEM))
        answer = form.answers()
        if self.is_stale(at, answer):
            self.storage.keep_typed(at, request.POST)
            return redirect(self.url(at, CHANGED))
        if elsewhere := self.redirect_for_answer(at, answer):
            self.storage.forget_typed(at)
            return elsewhere
        return self._accept(at, form, answer)

    def _accept(self, at: str, form: Any, answer: Any) -> HttpResponseBase:
        if self.storage.keep(at, self.request.POST, answer, summary_rows(form), by=self.access.user.email):
            self.storage.reopen(steps.dependent_steps(self.table, at))
            self.answer_changed(at)
        self.clear_cached_answers()
        names = list(self.get_form_list())
        if at == names[-1]:
            if (frontier := self.frontier) != at or at not in self.answers:
                return self.redirect_to_step(frontier)
            response: HttpResponseBase = self.render_done(form)
            return response
        return self.redirect_to_step(names[names.index(at) + 1])

    def redirect_to_step(self, step: str) -> HttpResponseBase:
        """Redirect to a step after an answer. A subclass runs the finder search of that page here, in the POST."""
        return redirect(self.url(step))

    def handle_search(self, step: str) -> HttpResponseBase | None:
        """Run the search that was posted and return its redirect; None for a step without a search."""
        return None

    def is_stale(self, step: str, answer: Any) -> bool:
        """Return whether the page shows outdated answers, so that accepting it would overwrite newer ones."""
        own, _dot, basis = self.request.POST.get("revision", "").partition(".")
        entry = self.storage.entry(step)
        if basis != self.storage.mark(self._depends_on(step)) and (basis or entry):
            return True
        return entry is not None and entry["answer"] != answer and own != str(entry["revision"])

    def redirect_for_answer(self, step: str, answer: Any) -> HttpResponseBase | None:
        """Return the redirect of an answer that is an action of its own (hand over, set up later); else None."""
        return None

    def answer_changed(self, step: str) -> None:
        """Handle side effects of a changed answer."""

    # The last step is answered

    def render_revalidation_failure(self, step: str, form: Any, **kwargs: Any) -> HttpResponseBase:
        """Redirect to the earlier step whose answer is no longer valid, for example a taken name."""
        self.storage.keep_typed(step, form.data)
        return redirect(self.url(step, PROBLEM))

    @property
    def seal(self) -> str:
        """The seal of the plan that the person confirms."""
        return str(self.request.POST.get("plan", ""))

    def previous_seal(self, step: str) -> str:
        """Return the seal of the plan that the person saw last, if the plan changed since; else ""."""
        shown_again = {PLAN, CHANGED} & self.request.GET.keys()
        typed = self.storage.typed(step) if shown_again else None
        return str(typed.get("plan", "")) if typed else ""

    def redirect_to_changed_plan(self, step: str) -> HttpResponseBase:
        """Redirect to the review, because its plan changed before it was confirmed. Nothing was written."""
        self.storage.keep_typed(step, self.request.POST)
        return redirect(self.url(step, PLAN))

    def redirect_with_error(self, step: str, sentence: str) -> HttpResponseBase:
        """Redirect to a step with an error message."""
        messages.error(self.request, sentence)
        return redirect(self.url(step))
