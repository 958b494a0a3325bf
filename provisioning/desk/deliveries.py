"""Emails and webhooks at the order desk: what was sent, what was not, and trying again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from provisioning import actions, emails
from provisioning.desk.site import ReadOnly, operator, site
from provisioning.desk.tables import Table
from provisioning.integration import deliveries, webhooks
from provisioning.models import EMAIL_NAMES, Event, Mail, Webhook

if TYPE_CHECKING:  # Django's own classes take no type at run time
    AdminOfMail = admin.ModelAdmin[Mail]
    AdminOfWebhook = admin.ModelAdmin[Webhook]
else:
    AdminOfMail = AdminOfWebhook = admin.ModelAdmin


def type_words(kind: str) -> str:
    """Return what a type of webhook is about, in words: "Order placed" for "order.placed"."""
    for event, (name, _facts) in webhooks.TYPES.items():
        if name == kind:
            return str(Event.Kind(event).label)
    return kind


class EmailFilter(admin.SimpleListFilter):
    """Emails by what they are called."""

    title = gettext_lazy("email")
    parameter_name = "event"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the emails that there are."""
        return [(event, str(name)) for event, name in EMAIL_NAMES.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Mail]) -> QuerySet[Mail]:
        """Return those emails, or all."""
        return queryset.filter(event=self.value()) if self.value() else queryset


@admin.register(Mail, site=site)
class MailAdmin(ReadOnly, Table, AdminOfMail):
    """The emails. One that was given up can be tried again."""

    list_display = ("created_at", "order", "event_shown", "to", "sent_at", "tries", "bounced_at", "problem")
    list_filter = (("sent_at", admin.EmptyFieldListFilter), EmailFilter)
    search_fields = ("to", "order__number")
    list_select_related = ("order",)
    list_display_links = None
    actions = ("try_again", "came_back")

    @admin.display(description=gettext_lazy("Email"), ordering="event")
    def event_shown(self, mail: Mail) -> str:
        """Return what the email is called."""
        return mail.event_words

    @admin.action(description=gettext_lazy("Try to send again"), permissions=["change"])
    def try_again(self, request: HttpRequest, chosen: QuerySet[Mail]) -> None:
        """Start the tries of those that were not sent again."""
        waiting = list(chosen.filter(sent_at=None))
        for mail in waiting:
            emails.try_again(mail)
        messages.success(request, _("Emails that are sent again in a moment: %(count)s.") % {"count": len(waiting)})

    @admin.action(description=gettext_lazy("Emails to these addresses come back"), permissions=["change"])
    def came_back(self, request: HttpRequest, chosen: QuerySet[Mail]) -> None:
        """Note the bounce on every recent email to these addresses and in the orders' histories."""
        addresses = sorted(set(chosen.values_list("to", flat=True)))
        orders = {order.pk for email in addresses for order in actions.note_bounce(email=email, by=operator(request))}
        messages.success(request, _("Orders of which it was noted: %(count)s.") % {"count": len(orders)})


class WebhookState(admin.SimpleListFilter):
    """Webhooks by their outcome."""

    title = gettext_lazy("what became of it")
    parameter_name = "became"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the three outcomes."""
        return [("open", _("Waiting")), ("given_up", _("Given up")), ("accepted", _("Accepted"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Webhook]) -> QuerySet[Webhook]:
        """Return the webhooks with this outcome, or all."""
        wanted = {
            "open": Q(Webhook.OPEN, given_up_at=None),
            "given_up": Q(given_up_at__isnull=False),
            "accepted": Q(accepted_at__isnull=False),
        }.get(self.value() or "", Q())
        return queryset.filter(wanted)


class TypeFilter(admin.SimpleListFilter):
    """Webhooks by what they are about."""

    title = gettext_lazy("event")
    parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the types that there are."""
        return [(name, type_words(name)) for name in dict.fromkeys(name for name, _facts in webhooks.TYPES.values())]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Webhook]) -> QuerySet[Webhook]:
        """Return those webhooks, or all."""
        return queryset.filter(message__type=self.value()) if self.value() else queryset


@admin.register(Webhook, site=site)
class WebhookAdmin(ReadOnly, Table, AdminOfWebhook):
    """The webhooks. They can be sent again, or skipped."""

    list_display = (
        *("created_at", "order", "event", "endpoint", "accepted_at", "tries", "next_try_at", "given_up_at"),
        *("answer_status", "problem"),
    )
    list_filter = (WebhookState, TypeFilter, "endpoint")
    search_fields = ("order__number", "message__public_id")
    list_select_related = ("order", "message", "endpoint")
    list_display_links = None
    actions = ("send_again", "skip")

    @admin.display(description=gettext_lazy("event"), ordering="message__type")
    def event(self, webhook: Webhook) -> str:
        """Return what the message is about, in words."""
        return type_words(webhook.message.type)

    @admin.action(description=gettext_lazy("Send again"), permissions=["change"])
    def send_again(self, request: HttpRequest, chosen: QuerySet[Webhook]) -> None:
        """Send them again, accepted ones too."""
        count = deliveries.send_again(chosen)
        messages.success(request, _("Webhooks that are sent again in a moment: %(count)s.") % {"count": count})

    @admin.action(description=gettext_lazy("Skip, and go on with the later ones of the order"), permissions=["change"])
    def skip(self, request: HttpRequest, chosen: QuerySet[Webhook]) -> None:
        """Skip those that are open, so that the later ones of their orders are sent."""
        count = deliveries.skip(chosen)
        messages.success(request, _("Webhooks that are skipped: %(count)s.") % {"count": count})
