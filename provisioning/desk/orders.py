"""Orders at the order desk: the list, one order, and what operators do with it. Every write is an action."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, Model, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from orgs.text import pasted_text
from provisioning import actions
from provisioning.desk.deadlines import MOST_AT_ONCE, give_more_time
from provisioning.desk.deliveries import type_words
from provisioning.desk.lists import order_acts, order_filters
from provisioning.desk.lists.order_filters import undelivered_mails
from provisioning.desk.order_form import FINISHED, OrderForm
from provisioning.desk.provisioning import ACTS, acts_for, state_words
from provisioning.desk.site import operator, recent_factor, site
from provisioning.desk.tables import Preset, Table
from provisioning.history import event_sentences
from provisioning.models import Event
from provisioning.pages import history
from provisioning.rules import refusals
from provisioning.templatetags.display import day
from subscriptions.models import SEARCHED, UNFINISHED, Order
from subscriptions.rules.validation import Problem, Refused

if TYPE_CHECKING:  # Django's own classes take no type at run time
    AdminOfOrder = admin.ModelAdmin[Order]
else:
    AdminOfOrder = admin.ModelAdmin

UNDELIVERED = undelivered_mails().filter(order=OuterRef("pk"))


class Button(NamedTuple):
    """An action on one order: its sentences, translated when they are shown, and what it calls."""

    title: Any
    explanation: Any
    label: Any
    done: Any
    action: Callable[..., Order]


BUTTONS = {
    "resend": Button(
        gettext_lazy("Send the link of order %(number)s again?"),
        gettext_lazy("Whoever has to act now gets an email with a new link; the link before it stops working."),
        gettext_lazy("Send the link again"),
        gettext_lazy("The link of order %(number)s is on its way."),
        actions.resend_link,
    ),
    "cancel": Button(
        gettext_lazy("Cancel order %(number)s?"),
        gettext_lazy("Nobody can complete it any more, and its links say that it was cancelled. This can't be undone."),
        gettext_lazy("Cancel the order"),
        gettext_lazy("Order %(number)s is cancelled."),
        actions.cancel_order,
    ),
}


def _lead_to(what: str) -> Callable[..., HttpResponse]:
    """Return an action of the list that leads to the page of this act with the chosen orders."""

    @admin.action(description=order_acts.ACTS[what].button, permissions=["change"])
    def lead(admin_of_orders: OrderAdmin, request: HttpRequest, chosen: QuerySet[Order]) -> HttpResponse:
        orders = [("order", pk) for pk in chosen.values_list("pk", flat=True)[: MOST_AT_ONCE + 1]]
        if len(orders) > MOST_AT_ONCE:
            messages.error(request, _("Choose at most %(count)s orders at once.") % {"count": MOST_AT_ONCE})
            return redirect("admin:subscriptions_order_changelist")
        return redirect(f"{reverse(f'admin:subscriptions_order_act_{what}')}?{urlencode(orders)}")

    lead.__name__ = what
    return lead


@admin.register(Order, site=site)
class OrderAdmin(Table, AdminOfOrder):
    """One order: its facts, its history, its emails, and what can be done with it."""

    form = OrderForm
    list_display = (
        "number",
        "state_shown",
        "sold_to",
        "customer_name",
        "contact_email",
        "placed",
        "date",
        "emails_went_out",
    )
    list_filter = order_filters.FILTERS
    search_fields = SEARCHED
    search_help_text = gettext_lazy("Order number, company, customer or email address")
    list_per_page = 50
    actions = ("give_more_time", *map(_lead_to, order_acts.ACTS))
    fieldsets = (
        (None, {"fields": ("number", "sold_to", "contact_email", "set_up_by")}),
        (gettext_lazy("End customer"), {"fields": ("customer_name", "customer_email")}),
    )

    @admin.display(description=gettext_lazy("Emails sent"), boolean=True)
    def emails_went_out(self, order: Order) -> bool:
        """Say whether every email of this order was delivered."""
        return not getattr(order, "mail_problem", False)

    @admin.display(description=gettext_lazy("State"), ordering="state")
    def state_shown(self, order: Order) -> str:
        """Return the state, and whether the desk holds the order."""
        return f"{order.get_state_display()} ({_('on hold')})" if order.is_on_hold else order.get_state_display()

    @admin.display(description=gettext_lazy("Placed"), ordering="placed_at")
    def placed(self, order: Order) -> str:
        """Return the day on which it was placed."""
        return day(order.placed_at)

    @admin.display(description=gettext_lazy("Set up by"), ordering="closes_at")
    def date(self, order: Order) -> str:
        """Return the set-up-by date of an unfinished order, or since when it is closed."""
        if order.is_closed:
            return _("Closed on %(day)s") % {"day": day(order.closes_at)}
        if order.is_on_hold:
            return _("Stands still")
        if order.state == Order.State.SETTING_UP and order.closes_at <= timezone.now():
            return _("Past its date since %(day)s") % {"day": day(order.closes_at)}
        return day(order.closes_at) if order.is_open or order.state == Order.State.SETTING_UP else "–"

    @admin.display(description=gettext_lazy("What was ordered"))
    def lines_ordered(self, order: Order) -> str:
        """Return the lines, for operators who only read."""
        return ", ".join(map(str, order.lines.all()))

    @admin.action(description=gettext_lazy("Give more time"), permissions=["change"])
    def give_more_time(self, request: HttpRequest, chosen: QuerySet[Order]) -> HttpResponse:
        """Lead to the page that asks for the date and the reason."""
        orders = [("order", pk) for pk in chosen.values_list("pk", flat=True)[: MOST_AT_ONCE + 1]]
        if len(orders) > MOST_AT_ONCE:
            messages.error(request, _("Choose at most %(count)s orders at once.") % {"count": MOST_AT_ONCE})
            return redirect("admin:subscriptions_order_changelist")
        return redirect(f"{reverse('admin:subscriptions_order_extend')}?{urlencode(orders)}")

    def presets(self) -> Sequence[Preset]:
        """Return the filters that every operator has."""
        return order_filters.presets()

    def act(self, request: HttpRequest, what: str) -> HttpResponse:
        """Show the page of an act on one order or several; POST does it."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        if what == "cancel" and request.method == "POST" and (asked := recent_factor(request)) is not None:
            return asked
        return order_acts.page(request, what, site=self.admin_site, opts=self.opts)

    def extend(self, request: HttpRequest) -> HttpResponse:
        """Show the page that asks for the date and the reason; POST gives more time."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        return give_more_time(request, site=self.admin_site, opts=self.opts)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the fieldsets; an existing order has its date on a page of its own."""
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None:
            return fieldsets
        if not self.has_change_permission(request, obj):
            names = ("number", "sold_to", "contact_email", "customer_name", "customer_email", "lines_ordered")
            return [(None, {"fields": names})]
        return [
            (title, {**options, "fields": [name for name in options["fields"] if name != "set_up_by"]})
            for title, options in fieldsets
        ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Order]:
        """Annotate each order with ``mail_problem``: whether an email was not delivered."""
        orders: QuerySet[Order] = super().get_queryset(request)
        return orders.annotate(mail_problem=Exists(UNDELIVERED))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Order], search_term: str
    ) -> tuple[QuerySet[Order], bool]:
        """Search for the entered text without the characters that pasting adds."""
        pasted = "".join(pasted_text.emails(search_term)[:1]) if "@" in search_term else pasted_text.short(search_term)
        return super().get_search_results(request, queryset, pasted)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Allow it to nobody: orders are cancelled, never deleted."""
        return False

    def get_urls(self) -> list[URLPattern]:
        """Add the pages of ``BUTTONS``, of giving more time, and the export of the history."""
        own = [
            path(
                f"<int:pk>/{name}/",
                self.admin_site.admin_view(self.button),
                {"name": name},
                name=f"subscriptions_order_{name}",
            )
            for name in BUTTONS
        ]
        own += [
            path(
                f"act/{what}/",
                self.admin_site.admin_view(self.act),
                {"what": what},
                name=f"subscriptions_order_act_{what}",
            )
            for what in order_acts.ACTS
        ]
        own.append(path("extend/", self.admin_site.admin_view(self.extend), name="subscriptions_order_extend"))
        export = path(
            "<int:pk>/history.<form:form>",
            self.admin_site.admin_view(self.export_history),
            name="subscriptions_order_export",
        )
        return [*own, export, *super().get_urls()]

    def export_history(self, request: HttpRequest, pk: int, form: str) -> HttpResponse:
        """Return the order's history as a file, with each event's hash and the text that it is the hash of."""
        order = get_object_or_404(Order, pk=pk)
        if not self.has_view_permission(request, order):
            raise PermissionDenied
        return history.exported(order, event_sentences.DESK, form)

    def button(self, request: HttpRequest, pk: int, name: str) -> HttpResponse:
        """Ask for confirmation by GET; do it by POST."""
        order = get_object_or_404(Order, pk=pk)
        if not self.has_change_permission(request, order):
            raise PermissionDenied
        back = redirect("admin:subscriptions_order_change", order.pk)
        button = BUTTONS[name]
        if request.method != "POST":
            context = {
                **self.admin_site.each_context(request),
                "title": button.title % {"number": order.number},
                "order": order,
                "explanation": ACTS["cancel"].explanation
                if name == "cancel" and order.state == Order.State.SETTING_UP
                else button.explanation,
                "button": button.label,
                "opts": self.opts,
            }
            return TemplateResponse(request, "admin/subscriptions/order/confirm.html", context)
        if name == "cancel" and (asked := recent_factor(request)) is not None:
            return asked
        try:
            button.action(order=order, by=operator(request))
        except Refused as refused:
            messages.error(request, refusals.sentence(refused))
        else:
            messages.success(request, button.done % {"number": order.number})
        return back

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show the form with the order's history and emails. A refusal of an action becomes a message."""
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
                "webhooks": [
                    (each, type_words(each.message.type))
                    for each in order.webhooks.select_related("message", "endpoint").order_by("-pk")
                ],
                "webhooks_url": reverse("admin:provisioning_webhook_changelist") + f"?order__number={order.number}",
                "people": order.parts.select_related("user").order_by("-pk"),
                "notes": order.events.filter(kind=Event.Kind.NOTED).order_by("-position"),
                "may_hold": order.state in UNFINISHED and not order.is_stopped,
                "may_resend": order.state != Order.State.CANCELLED and not order.is_stopped,
                "may_cancel": not finished,
                "may_extend": not finished and not being_set_up,
                "show_save": not finished and not being_set_up and not order.is_closed,
                "requests": [(each, state_words(each), acts_for(each)) for each in requests],
            }
        context |= {"show_save_and_add_another": False, "show_save_and_continue": False}
        try:
            return super().changeform_view(request, object_id, form_url, context)
        except Refused as refused:
            # The order's state changed after the page was shown.
            messages.error(request, refusals.sentence(refused))
            return redirect(request.path)

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Lead to the history on the order's own page."""
        return redirect(reverse("admin:subscriptions_order_change", args=[object_id]) + "#history")

    def save_model(self, request: HttpRequest, obj: Order, form: Any, change: bool) -> None:
        """Write by an action, which checks the rules and records an event."""
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
