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
from provisioning.integration import deliveries
from provisioning.models import Mail, Webhook

if TYPE_CHECKING:  # Django's own classes take no type at run time
    AdminOfMail = admin.ModelAdmin[Mail]
    AdminOfWebhook = admin.ModelAdmin[Webhook]
else:
    AdminOfMail = AdminOfWebhook = admin.ModelAdmin


@admin.register(Mail, site=site)
class MailAdmin(ReadOnly, AdminOfMail):
    """The emails. One that was given up can be tried again."""

    list_display = ("created_at", "order", "event", "to", "sent_at", "tries", "bounced_at", "problem")
    list_filter = (("sent_at", admin.EmptyFieldListFilter), "event")
    search_fields = ("to", "order__number")
    list_select_related = ("order",)
    list_display_links = None
    show_full_result_count = False
    actions = ("try_again", "came_back")

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


@admin.register(Webhook, site=site)
class WebhookAdmin(ReadOnly, AdminOfWebhook):
    """The webhooks. They can be sent again, or skipped."""

    list_display = (
        *("created_at", "order", "event", "endpoint", "accepted_at", "tries", "next_try_at", "given_up_at"),
        *("answer_status", "problem"),
    )
    list_filter = (WebhookState, "message__type", "endpoint")
    search_fields = ("order__number", "message__public_id")
    list_select_related = ("order", "message", "endpoint")
    list_display_links = None
    show_full_result_count = False
    actions = ("send_again", "skip")

    @admin.display(description=gettext_lazy("event"), ordering="message__type")
    def event(self, webhook: Webhook) -> str:
        """Return the type of the message."""
        return webhook.message.type

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
