"""The order desk: place, correct, resend and cancel orders, and see what happened to them. Every write is an action."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, Model, OuterRef, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from orgs.admin import LikelyDuplicateAdmin, OrganizationAdmin
from orgs.models import LikelyDuplicate, Organization
from orgs.text import pasted_text
from provisioning import actions, emails
from provisioning.desk.access_requests import RequestAdmin
from provisioning.desk.deadlines import MOST_AT_ONCE, DateFilter, give_more_time
from provisioning.desk.provisioning import ACTS, ProvisioningAdmin, acts_for, state_words, to_see_to
from provisioning.history import event_sentences
from provisioning.integration import webhooks
from provisioning.models import AccessRequest, Mail, User, Webhook, WebhookReceiver
from provisioning.pages import history, links
from provisioning.rules import refusals
from provisioning.templatetags.display import day
from provisioning.wizard.forms.fields import EmailField, WholeNumberField
from subscriptions import packs
from subscriptions.actions import end_of_day
from subscriptions.models import Order, ProvisioningRequest
from subscriptions.rules import validation
from subscriptions.rules.deadlines import may_be_date
from subscriptions.rules.validation import Line, Problem, Refused

if TYPE_CHECKING:  # Django's own classes take no type at run time
    ModelFormOfOrder = forms.ModelForm[Order]
    AdminOfOrder = admin.ModelAdmin[Order]
    AdminOfMail = admin.ModelAdmin[Mail]
    AdminOfWebhook = admin.ModelAdmin[Webhook]
    AdminOfReceiver = admin.ModelAdmin[WebhookReceiver]
else:
    ModelFormOfOrder = forms.ModelForm
    AdminOfOrder = AdminOfMail = AdminOfWebhook = AdminOfReceiver = admin.ModelAdmin

FACTS = ("sold_to", "contact_email", "customer_name", "customer_email")
# What did not go out, or came back from somebody who still has a part.
UNSENT = Mail.objects.filter(
    Q(sent_at=None) & ~Q(problem="") | Q(bounced_at__isnull=False, link__part__ended_at=None), order=OuterRef("pk")
)
FINISHED = (Order.State.SET_UP, Order.State.CANCELLED)


class OrderDesk(admin.AdminSite):
    """The admin site with the order desk's tables only, behind the same sign-in as everything."""

    site_header = site_title = gettext_lazy("Order desk")
    index_title = gettext_lazy("Orders")
    enable_nav_sidebar = False

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """An operator proves the mailbox with a code, like everybody."""
        return links.order_desk_sign_in(request)


site = OrderDesk(name="admin")


class OrderForm(ModelFormOfOrder):
    """An order as the desk writes it; what its state no longer allows is shown and can't be typed in."""

    term_months = WholeNumberField(
        label=gettext_lazy("Term in months"),
        initial=12,
        expected=refusals.SENTENCES[Problem.TERM],
        min_value=1,
        max_value=validation.MAX_TERM_MONTHS,
    )
    set_up_by = forms.DateField(
        label=gettext_lazy("Set up by"),
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text=gettext_lazy(
            "Leave empty for as many days as its products have. The order closes at the end of this day."
        ),
    )

    class Meta:
        model = Order
        fields = ("number", *FACTS)
        field_classes = {"contact_email": EmailField, "customer_email": EmailField}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lines = {line.service: line for line in self.instance.lines.all()} if self.instance.pk else {}
        for service, line in self.lines.items():
            self.initial.setdefault(service, line.licenses)
            self.initial.setdefault("term_months", line.term_months)
        if not self.instance.pk:
            self.fields["number"].required = False
            self.fields["number"].help_text = _("Leave empty for the next one of ours.")
            return
        closed = {"number"}
        del self.fields["set_up_by"]  # more time has a page of its own
        if self.instance.state == Order.State.MAPPED:
            closed |= {"contact_email", "customer_name", "customer_email"}
        if self.instance.state in {*FINISHED, Order.State.SETTING_UP} or self.instance.is_closed:
            closed = set(self.fields)
        for name in closed:
            self.fields[name].disabled = True

    def clean(self) -> dict[str, Any]:
        """Say at the field what the rules would refuse."""
        super().clean()
        data = self.cleaned_data
        checks: dict[str, Callable[[str], str]] = {
            "number": lambda value: validation.clean_number(value) if value else value,
            "sold_to": lambda value: validation.clean_text(value, Problem.SOLD_TO, longest=validation.MAX_NAME),
            "contact_email": lambda value: validation.clean_email(value, Problem.CONTACT_EMAIL),
            "customer_name": lambda value: validation.clean_text(
                value, Problem.CUSTOMER_NAME, longest=validation.MAX_NAME, required=False
            ),
            "customer_email": lambda value: validation.clean_email(value, Problem.CUSTOMER_EMAIL, required=False),
        }
        for name, check in checks.items():
            if name in data and not self.fields[name].disabled:
                try:
                    check(data[name] or "")
                except Refused as refused:
                    self.add_error(name, refusals.sentence(refused))
        if (day := data.get("set_up_by")) and not may_be_date(end_of_day(day), now=timezone.now()):
            self.add_error("set_up_by", refusals.sentence(Refused(Problem.SET_UP_BY)))
        if not self.errors:
            try:
                validation.clean_lines(self.wanted_lines(data), {service: service for service in packs.installed()})
            except Refused as refused:
                services = list(packs.installed())
                where = {str(Problem.TERM): "term_months", str(Problem.NO_LINES): services[0]}.get(refused.problem)
                if where is None:
                    asked = [service for service in services if data.get(service) is not None]
                    where = asked[refused.at or 0]
                self.add_error(where, refusals.sentence(refused))
        return data

    def wanted_lines(self, data: dict[str, Any]) -> list[Line]:
        """The lines as typed; a product that is there stays, and so does its term unless the term was changed."""
        lines = []
        for service in packs.installed():
            if (licenses := data.get(service)) is None:
                continue
            old = self.lines.get(service)
            term = old.term_months if old and "term_months" not in self.changed_data else data["term_months"]
            lines.append(Line(service, licenses, term, old.product if old else ""))
        return lines

    def facts(self) -> dict[str, Any]:
        """The keyword arguments of an action: everything for a new order, what was changed for one that is there."""
        typed = {name: self.cleaned_data[name] for name in FACTS}
        if not self.instance.pk:
            number = self.cleaned_data["number"] or None
            day = self.cleaned_data["set_up_by"]
            set_up_by = end_of_day(day) if day else None
            return {"number": number, **typed, "lines": self.wanted_lines(self.cleaned_data), "set_up_by": set_up_by}
        facts = {name: value for name, value in typed.items() if name in self.changed_data}
        if {*packs.installed(), "term_months"} & set(self.changed_data):
            facts["lines"] = self.wanted_lines(self.cleaned_data)
        return facts


# A field for the licenses of each service that is sold; none of them has to be filled in.
OrderForm.declared_fields |= {
    service: WholeNumberField(
        label=format_lazy(gettext_lazy("{service} licenses"), service=sold.label),
        required=False,
        expected=refusals.SENTENCES[Problem.LICENSES],
        min_value=1,
        max_value=validation.MAX_LICENSES,
    )
    for service, sold in packs.installed().items()
}


class MailProblem(admin.SimpleListFilter):
    """Orders with an email that did not go out."""

    title = gettext_lazy("emails")
    parameter_name = "emails"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """One choice."""
        return [("problem", _("An email was not delivered"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Order]) -> QuerySet[Order]:
        """Those orders, or all."""
        return queryset.filter(Exists(UNSENT)) if self.value() == "problem" else queryset


class ProvisioningProblem(admin.SimpleListFilter):
    """Orders whose set-up somebody has to see to."""

    title = gettext_lazy("set-up")
    parameter_name = "set_up"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """What the desk, or the customer, has to do."""
        return [("failed", _("Failed, or out of reach")), ("refused", _("Waiting for the customer’s change"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Order]) -> QuerySet[Order]:
        """Those orders, or all."""
        refused = Q(state="refused", superseded_at=None, order__state=Order.State.SETTING_UP)
        wanted = {"failed": to_see_to(), "refused": refused}.get(self.value() or "")
        if wanted is None:
            return queryset
        return queryset.filter(pk__in=ProvisioningRequest.objects.filter(wanted).values("order"))


@admin.register(Order, site=site)
class OrderAdmin(AdminOfOrder):
    """One order: its facts, its history, its emails, and what can be done with it."""

    form = OrderForm
    list_display = (
        "number",
        "state",
        "sold_to",
        "customer_name",
        "contact_email",
        "placed_at",
        "date",
        "emails_went_out",
    )
    list_filter = ("state", ProvisioningProblem, DateFilter, MailProblem, "placed_at")
    search_fields = ("number", "sold_to", "customer_name", "contact_email", "customer_email")
    search_help_text = gettext_lazy("Order number, company, customer or email address")
    list_per_page = 50
    show_full_result_count = False
    actions = ("give_more_time",)
    fieldsets = (
        (None, {"fields": ("number", "sold_to", "contact_email", "set_up_by")}),
        (gettext_lazy("End customer"), {"fields": ("customer_name", "customer_email")}),
        (gettext_lazy("What was ordered"), {"fields": (*packs.installed(), "term_months")}),
    )

    @admin.display(description=gettext_lazy("Emails sent"), boolean=True)
    def emails_went_out(self, order: Order) -> bool:
        """Whether no email of this order has a problem."""
        return not getattr(order, "mail_problem", False)

    @admin.display(description=gettext_lazy("Set up by"), ordering="closes_at")
    def date(self, order: Order) -> str:
        """The date of an order that isn't set up, and that it has passed."""
        if order.is_closed:
            return _("Closed on %(day)s") % {"day": day(order.closes_at)}
        return day(order.closes_at) if order.is_open else "–"

    @admin.action(description=gettext_lazy("Give more time"), permissions=["change"])
    def give_more_time(self, request: HttpRequest, chosen: QuerySet[Order]) -> HttpResponse:
        """Ask for the date and the reason on a page of its own."""
        orders = [("order", pk) for pk in chosen.values_list("pk", flat=True)[: MOST_AT_ONCE + 1]]
        if len(orders) > MOST_AT_ONCE:
            messages.error(request, _("Choose at most %(count)s orders at once.") % {"count": MOST_AT_ONCE})
            return redirect("admin:subscriptions_order_changelist")
        return redirect(f"{reverse('admin:subscriptions_order_extend')}?{urlencode(orders)}")

    def extend(self, request: HttpRequest) -> HttpResponse:
        """The page that asks for the date and the reason, and gives more time by POST."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        return give_more_time(request, site=self.admin_site, opts=self.opts)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Without the date where there is one already."""
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None:
            return fieldsets
        return [
            (title, {**options, "fields": [name for name in options["fields"] if name != "set_up_by"]})
            for title, options in fieldsets
        ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Order]:
        """With a note where an email has a problem."""
        return super().get_queryset(request).annotate(mail_problem=Exists(UNSENT))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Order], search_term: str
    ) -> tuple[QuerySet[Order], bool]:
        """By what was typed without what pasting brings along."""
        pasted = "".join(pasted_text.emails(search_term)[:1]) if "@" in search_term else pasted_text.short(search_term)
        return super().get_search_results(request, queryset, pasted)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Orders are cancelled, never deleted."""
        return False

    def get_urls(self) -> list[URLPattern]:
        """The two buttons, each with a page that asks first."""
        own = [
            path(
                f"<int:pk>/{name}/",
                self.admin_site.admin_view(self.button),
                {"name": name},
                name=f"subscriptions_order_{name}",
            )
            for name in BUTTONS
        ]
        own.append(path("extend/", self.admin_site.admin_view(self.extend), name="subscriptions_order_extend"))
        export = path(
            "<int:pk>/history.<form:form>",
            self.admin_site.admin_view(self.export_history),
            name="subscriptions_order_export",
        )
        return [*own, export, *super().get_urls()]

    def export_history(self, request: HttpRequest, pk: int, form: str) -> HttpResponse:
        """The order's history as a file, each event whole, with its hash and what the hash is of."""
        order = get_object_or_404(Order, pk=pk)
        if not self.has_view_permission(request, order):
            raise PermissionDenied
        return history.exported(order, event_sentences.DESK, form)

    def button(self, request: HttpRequest, pk: int, name: str) -> HttpResponse:
        """GET asks, POST does it."""
        order = get_object_or_404(Order, pk=pk)
        if not self.has_change_permission(request, order):
            raise PermissionDenied
        back = redirect("admin:subscriptions_order_change", order.pk)
        words = BUTTONS[name]
        if request.method != "POST":
            context = {
                **self.admin_site.each_context(request),
                "title": words.title % {"number": order.number},
                "order": order,
                "explanation": CANCEL_RUNNING
                if name == "cancel" and order.state == Order.State.SETTING_UP
                else words.explanation,
                "button": words.button,
                "opts": self.opts,
            }
            return TemplateResponse(request, "admin/subscriptions/order/confirm.html", context)
        action = {"resend": actions.resend_link, "cancel": actions.cancel_order}[name]
        try:
            action(order=order, by=operator(request))
        except Refused as refused:
            messages.error(request, refusals.sentence(refused))
        else:
            messages.success(request, words.done % {"number": order.number})
        return back

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The form with the order's history and emails under it; a refusal of the action is said on the page."""
        context = dict(extra_context or {})
        order = self.get_object(request, object_id) if object_id else None
        if order is not None:
            finished = order.state in FINISHED
            being_set_up = order.state == Order.State.SETTING_UP
            requests = order.provisioning_requests.select_related("line", "order").order_by("-pk")
            context |= {
                "title": _("Order %(number)s") % {"number": order.number},
                "order": order,
                "events": event_sentences.sentences_for(
                    order.events.select_related("by").order_by("-position"), event_sentences.DESK
                ),
                "mails": order.mails.order_by("-pk"),
                "webhooks": order.webhooks.order_by("-pk"),
                "webhooks_url": reverse("admin:provisioning_webhook_changelist") + f"?order__number={order.number}",
                "people": order.parts.select_related("user").order_by("-pk"),
                "may_resend": order.state != Order.State.CANCELLED and not order.is_closed,
                "may_cancel": not finished,
                "may_extend": not finished and not being_set_up,
                "show_save": not finished and not being_set_up and not order.is_closed,
                "requests": [(each, state_words(each), acts_for(each)) for each in requests],
            }
        context |= {"show_save_and_add_another": False, "show_save_and_continue": False}
        try:
            return super().changeform_view(request, object_id, form_url, context)
        except Refused as refused:
            # The order went on between the page and the button.
            messages.error(request, refusals.sentence(refused))
            return redirect(request.path)

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The history is on the order's own page."""
        return redirect(reverse("admin:subscriptions_order_change", args=[object_id]) + "#history")

    def save_model(self, request: HttpRequest, obj: Order, form: Any, change: bool) -> None:
        """Through the actions, never by the row."""
        by = operator(request)
        facts = form.facts()
        if change:
            actions.correct_order(order=obj, by=by, **facts)
        else:
            order, created = actions.place_order(by=by, **facts)
            if not created:
                raise Refused(Problem.NUMBER)
            obj.pk = order.pk
        obj.refresh_from_db()


class _ToBeRead:
    """Rows that follow from what happens to an order: nobody adds, changes or deletes one."""

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        """All of them."""
        return [field.name for field in self.opts.fields]  # type: ignore[attr-defined]  # of the admin it is mixed into

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """They stay."""
        return False


@admin.register(Mail, site=site)
class MailAdmin(_ToBeRead, AdminOfMail):
    """The emails, to be read; one that was given up can be tried again."""

    list_display = ("created_at", "order", "event", "to", "sent_at", "tries", "bounced_at", "problem")
    list_filter = (("sent_at", admin.EmptyFieldListFilter), "event")
    search_fields = ("to", "order__number")
    list_select_related = ("order",)
    list_display_links = None
    show_full_result_count = False
    actions = ("try_again", "came_back")

    @admin.action(description=gettext_lazy("Try to send again"))
    def try_again(self, request: HttpRequest, chosen: QuerySet[Mail]) -> None:
        """Wake a worker for those that were not sent."""
        waiting = list(chosen.filter(sent_at=None))
        for mail in waiting:
            emails.try_again(mail)
        messages.success(request, _("Emails that are sent again in a moment: %(count)s.") % {"count": len(waiting)})

    @admin.action(description=gettext_lazy("Emails to these addresses come back"))
    def came_back(self, request: HttpRequest, chosen: QuerySet[Mail]) -> None:
        """Note it on every email that went to them lately; who waits for these people is told."""
        addresses = sorted(set(chosen.values_list("to", flat=True)))
        orders = {order.pk for email in addresses for order in actions.note_bounce(email=email, by=operator(request))}
        messages.success(request, _("Orders of which it was noted: %(count)s.") % {"count": len(orders)})


class WebhookState(admin.SimpleListFilter):
    """Webhooks by what became of them."""

    title = gettext_lazy("what became of it")
    parameter_name = "became"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The three states that somebody looks for."""
        return [("open", _("Waiting")), ("given_up", _("Given up")), ("accepted", _("Accepted"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Webhook]) -> QuerySet[Webhook]:
        """Those in this state, or all."""
        wanted = {
            "open": Q(Webhook.OPEN, given_up_at=None),
            "given_up": Q(given_up_at__isnull=False),
            "accepted": Q(accepted_at__isnull=False),
        }.get(self.value() or "", Q())
        return queryset.filter(wanted)


@admin.register(Webhook, site=site)
class WebhookAdmin(_ToBeRead, AdminOfWebhook):
    """What the vendor's systems were told, or not yet: to be read, sent again, or skipped."""

    list_display = ("created_at", "order", "type", "accepted_at", "tries", "next_try_at", "given_up_at", "problem")
    list_filter = (WebhookState, "type")
    search_fields = ("order__number", "public_id")
    list_select_related = ("order",)
    list_display_links = None
    show_full_result_count = False
    actions = ("send_again", "skip")

    @admin.action(description=gettext_lazy("Send again"))
    def send_again(self, request: HttpRequest, chosen: QuerySet[Webhook]) -> None:
        """Begin anew, also with one that was accepted."""
        count = webhooks.send_again(chosen)
        messages.success(request, _("Webhooks that are sent again in a moment: %(count)s.") % {"count": count})

    @admin.action(description=gettext_lazy("Skip, and go on with the later ones of the order"))
    def skip(self, request: HttpRequest, chosen: QuerySet[Webhook]) -> None:
        """Never send them, unless somebody says otherwise."""
        count = webhooks.skip(chosen)
        messages.success(request, _("Webhooks that are skipped: %(count)s.") % {"count": count})


@admin.register(WebhookReceiver, site=site)
class WebhookReceiverAdmin(_ToBeRead, AdminOfReceiver):
    """Addresses that answered 410: nothing is sent there until the desk turns them on again."""

    list_display = ("url", "off_at")
    list_display_links = None
    actions = ("turn_on",)

    @admin.action(description=gettext_lazy("Turn on again"))
    def turn_on(self, request: HttpRequest, chosen: QuerySet[WebhookReceiver]) -> None:
        """Send what waited."""
        webhooks.turn_on(chosen)
        messages.success(request, _("Everything that waited is sent in a moment."))


class Words(NamedTuple):
    """What a button of the desk says (translated when it is shown)."""

    title: Any
    explanation: Any
    button: Any
    done: Any


BUTTONS = {
    "resend": Words(
        gettext_lazy("Send the link of order %(number)s again?"),
        gettext_lazy("Whoever has to act now gets an email with a new link; the link before it stops working."),
        gettext_lazy("Send the link again"),
        gettext_lazy("The link of order %(number)s is on its way."),
    ),
    "cancel": Words(
        gettext_lazy("Cancel order %(number)s?"),
        gettext_lazy("Nobody can complete it any more, and its links say that it was cancelled. This can't be undone."),
        gettext_lazy("Cancel the order"),
        gettext_lazy("Order %(number)s is cancelled."),
    ),
}


CANCEL_RUNNING = ACTS["cancel"].explanation


def operator(request: HttpRequest) -> User:
    """Who is at the desk; the site lets nobody else in."""
    return cast(User, request.user)


site.register(Organization, OrganizationAdmin)
site.register(LikelyDuplicate, LikelyDuplicateAdmin)
site.register(AccessRequest, RequestAdmin)
site.register(ProvisioningRequest, ProvisioningAdmin)
