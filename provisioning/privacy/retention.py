"""How long data is kept, and the nightly deletion of what is older."""

from __future__ import annotations

from datetime import timedelta
from typing import Final, NamedTuple

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from provisioning.models import Draft, Mail, PersonKey, SignInCode, Webhook
from provisioning.privacy import stored_data
from provisioning.privacy.erasure import ERASED_AT, erase_from_history, replace_in
from subscriptions.models import KeptPdf, Order

_FINISHED: Final = (Order.State.SET_UP, Order.State.CANCELLED)
_BATCH: Final = 500


class Kept(NamedTuple):
    """What is kept, in words, and for how many days; 0 keeps it for good."""

    what: str | Promise
    days: int


def rules() -> dict[str, Kept]:
    """Return what is kept how long, by the names of the setting ``RETENTION_DAYS``."""
    words = {
        "drafts": _("Answers that were not confirmed, after the order was set up or cancelled"),
        "logs": _("Emails and messages to the vendor’s systems, with their addresses, after the order was finished"),
        "codes": _("Sign-in codes"),
        "documents": _("PDF files of order summaries (they are made again when somebody asks)"),
        "orders": _("Email addresses in orders that were set up or cancelled, and in their histories"),
    }
    return {name: Kept(what, settings.RETENTION_DAYS[name]) for name, what in words.items()}


def look_after_retention() -> None:
    """Delete what is older than its days. Safe to repeat, and to end at any time."""
    now = timezone.now()
    before = {name: now - timedelta(days=kept.days) for name, kept in rules().items() if kept.days}
    if "drafts" in before:
        Draft.objects.filter(order__state__in=_FINISHED, updated_at__lt=before["drafts"]).delete()
    if "logs" in before:
        old = Q(order__state__in=_FINISHED, created_at__lt=before["logs"])
        Mail.objects.filter(old).exclude(sent_at=None, tries__lt=Mail.MAX_TRIES).delete()
        Webhook.objects.filter(old).exclude(Webhook.OPEN).delete()
    if "codes" in before:
        SignInCode.objects.filter(made_at__lt=before["codes"], expires_at__lt=now).delete()
    if "documents" in before:
        KeptPdf.objects.filter(made_at__lt=before["documents"]).delete()
    if "orders" in before:
        # Nothing of a finished order changes, so its last event says since when it is finished.
        over = Order.objects.filter(state__in=_FINISHED, history_head__isnull=False)
        over = over.filter(Q(parts__ended_at__lt=before["orders"]) | Q(placed_at__lt=before["orders"]))
        for order in over.exclude(contact_email__endswith=ERASED_AT).distinct().order_by("pk")[:_BATCH]:
            if not order.events.filter(at__gte=before["orders"]).exists():
                erase_order(order)


@transaction.atomic
def erase_order(order: Order) -> None:
    """Replace every address in an order and in what belongs to it; the accounts of the people stay."""
    order = Order.objects.select_for_update(no_key=True).get(pk=order.pk)
    owners = set(PersonKey.objects.filter(chain=order.pk).values_list("address", flat=True))
    erase_from_history(order, owners | _addresses_of(order))

    def pseudonym(found: str) -> str:
        return found if found.endswith(ERASED_AT) else f"erased-{order.public_id.hex[-16:]}@{ERASED_AT}"

    for model, texts, _people in stored_data.tables():
        if model is Order:
            replace_in(Order.objects.filter(pk=order.pk), texts, pseudonym)
        elif model._meta.label != "provisioning.Event" and any(
            field.name == "order" for field in model._meta.get_fields()
        ):
            replace_in(model._base_manager.filter(order=order), texts, pseudonym)


def _addresses_of(order: Order) -> set[str]:
    named = {order.contact_email, order.customer_email, order.delegated_to} - {""}
    return named | set(order.parts.values_list(F("user__email"), flat=True))
