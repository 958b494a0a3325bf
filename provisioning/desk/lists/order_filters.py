"""The filters of the list of orders, and the presets that are made of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from django.contrib import admin
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext_lazy

from provisioning.desk.deadlines import DateFilter, of_date
from provisioning.desk.provisioning import to_see_to
from provisioning.desk.site import operator
from provisioning.desk.tables import Preset
from provisioning.models import AccessRequest, Mail, Part
from subscriptions import packs
from subscriptions.models import UNFINISHED, Order, OrderLine, ProvisioningRequest

State = Order.State
UNOPENED_DAYS: Final = (3, 7, 14, 30)


def undelivered_mails() -> QuerySet[Mail]:
    """Return the emails that were not sent, or came back from somebody who still has a part in the order."""
    return Mail.objects.filter(
        Q(sent_at=None) & ~Q(problem="") | Q(bounced_at__isnull=False, link__part__ended_at=None)
    )


class Choices(admin.SimpleListFilter):
    """A filter of orders with a fixed list of choices, each with its condition."""

    def conditions(self, request: HttpRequest) -> dict[str, tuple[Any, Q]]:
        """Return the choices: by value, the words and the condition."""
        raise NotImplementedError

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the choices."""
        return [(value, str(words)) for value, (words, _condition) in self.conditions(request).items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Order]) -> QuerySet[Order]:
        """Return the orders of the choice, or all."""
        chosen = self.conditions(request).get(self.value() or "")
        return queryset.filter(chosen[1]) if chosen else queryset


def bounced() -> Q:
    """Return the condition for orders with an email that was not delivered."""
    return Q(pk__in=undelivered_mails().values("order"))


def failed() -> Q:
    """Return the condition for orders whose set-up the desk has to mend."""
    return Q(pk__in=ProvisioningRequest.objects.filter(to_see_to()).values("order"))


def refused() -> Q:
    """Return the condition for orders with an answer that the customer has to change."""
    requests = ProvisioningRequest.objects.filter(state="refused", superseded_at=None)
    return Q(state=State.SETTING_UP, pk__in=requests.values("order"))


def on_hold() -> Q:
    """Return the condition for orders that the desk holds."""
    return Q(on_hold_at__isnull=False, state__in=UNFINISHED)


def unopened(days: int) -> Q:
    """Return the condition for orders that whoever has them hasn't opened for so many days."""
    parts = Part.objects.filter(
        opened_at=None,
        ended_at=None,
        access_request=None,
        since_at__lte=timezone.now() - timedelta(days=days),
    )
    return Q(state__in=[State.PLACED, State.MAPPED], pk__in=parts.values("order")) & running()


def running() -> Q:
    """Return the condition for orders whose people can act: neither closed nor on hold."""
    return Q(on_hold_at=None, closes_at__gt=timezone.now()) | ~Q(state__in=UNFINISHED)


def must_act(who: str) -> Q:
    """Return the condition for orders that wait for this one: contact, customer, administrator, desk or system.

    It follows ``people.order_people.who_must_act``, and what the desk itself has to see to.
    """
    open_request = Exists(
        AccessRequest.objects.filter(order=OuterRef("pk"), decision="", ended_at=None, expires_at__gt=timezone.now())
    )
    decided = Q(state=State.HELD) | Q(state=State.MAPPED, delegated_to="")
    stopped = Q(state__in=UNFINISHED) & (Q(on_hold_at__isnull=False) | Q(closes_at__lte=timezone.now()))
    return {
        "contact": (Q(state=State.PLACED) | decided & ~Q(open_request) | refused() & Q(delegated_to="")) & running(),
        "customer": (Q(state=State.MAPPED) | refused()) & ~Q(delegated_to="") & running(),
        "administrator": decided & Q(open_request) & running(),
        "desk": stopped | failed(),
        "system": Q(state=State.SETTING_UP) & ~failed() & ~refused(),
    }[who]


class MailProblem(Choices):
    """Orders with an email that was not delivered."""

    title = gettext_lazy("emails")
    parameter_name = "emails"

    def conditions(self, request: HttpRequest) -> dict[str, tuple[Any, Q]]:
        """Return the one choice."""
        return {"problem": (_("An email was not delivered"), bounced())}


class ProvisioningProblem(Choices):
    """Orders whose set-up somebody has to act on."""

    title = gettext_lazy("set-up")
    parameter_name = "set_up"

    def conditions(self, request: HttpRequest) -> dict[str, tuple[Any, Q]]:
        """Return what the desk, or the customer, has to do."""
        return {
            "failed": (_("Failed, or out of reach"), failed()),
            "refused": (_("Waiting for the customer’s change"), refused()),
        }


class Service(Choices):
    """Orders with a line of a service."""

    title = gettext_lazy("service")
    parameter_name = "service"

    def conditions(self, request: HttpRequest) -> dict[str, tuple[Any, Q]]:
        """Return the services that are sold."""
        lines = OrderLine.objects.filter(order=OuterRef("pk"))
        return {
            service: (sold.label, Q(Exists(lines.filter(service=service))))
            for service, sold in packs.installed().items()
        }


class MustAct(Choices):
    """Orders by who must act."""

    title = gettext_lazy("who must act")
    parameter_name = "acts"

    def conditions(self, request: HttpRequest) -> dict[str, tuple[Any, Q]]:
        """Return who can have to act."""
        words = {
            "contact": _("Provisioning contact"),
            "customer": _("Customer’s administrator"),
            "administrator": _("Administrator who was asked for a right"),
            "desk": _("Order desk"),
            "system": _("System that sets up"),
        }
        return {who: (said, must_act(who)) for who, said in words.items()}


class Unopened(Choices):
    """Orders that whoever has them hasn't opened for some days."""

    title = gettext_lazy("not opened")
    parameter_name = "unopened"

    def conditions(self, request: HttpRequest) -> dict[str, tuple[Any, Q]]:
        """Return the numbers of days."""
        words = ngettext_lazy("for %(days)s day", "for %(days)s days", "days")
        return {str(days): (words % {"days": days}, unopened(days)) for days in UNOPENED_DAYS}


class Delegated(Choices):
    """Orders whose set-up the customer has."""

    title = gettext_lazy("delegation")
    parameter_name = "delegated"

    def conditions(self, request: HttpRequest) -> dict[str, tuple[Any, Q]]:
        """Return both choices."""
        return {
            "yes": (_("Delegated to the customer"), ~Q(delegated_to="")),
            "no": (_("Not delegated"), Q(delegated_to="")),
        }


class Hold(Choices):
    """Orders that the desk holds."""

    title = gettext_lazy("hold of the order desk")
    parameter_name = "hold"

    def conditions(self, request: HttpRequest) -> dict[str, tuple[Any, Q]]:
        """Return the one choice."""
        return {"yes": (_("On hold"), on_hold())}


class Owner(Choices):
    """Orders by the operator who looks after them."""

    title = gettext_lazy("looked after by")
    parameter_name = "owner"

    def conditions(self, request: HttpRequest) -> dict[str, tuple[Any, Q]]:
        """Return the reader, anybody and nobody."""
        return {
            "me": (_("Me"), Q(desk_owner=operator(request).email)),
            "others": (_("Somebody else"), ~Q(desk_owner__in=["", operator(request).email])),
            "nobody": (_("Nobody"), Q(desk_owner="")),
        }


FILTERS: Final[tuple[Any, ...]] = (
    *("state", MustAct, ProvisioningProblem, DateFilter, MailProblem, Unopened, Delegated, Hold, Owner, Service),
    "placed_at",
)


def presets() -> Sequence[Preset]:
    """Return the filters that every operator has, with counts where an index answers them."""
    orders = Order.objects.all()
    return (
        Preset(_("Closing soon"), "date=soon", of_date(orders, "soon")),
        Preset(_("Closed"), "date=closed", of_date(orders, "closed")),
        Preset(_("Held for an administrator"), "state__exact=held", orders.filter(state=State.HELD)),
        Preset(_("On hold"), "hold=yes", orders.filter(on_hold())),
        Preset(_("Failed"), "set_up=failed", orders.filter(failed())),
        Preset(_("Bounced"), "emails=problem", orders.filter(bounced())),
        Preset(_("Not opened for a week"), "unopened=7", orders.filter(unopened(7))),
        Preset(_("Delegated"), "delegated=yes&state__exact=mapped"),
        Preset(_("For the order desk"), "acts=desk"),
        Preset(_("Mine"), "owner=me"),
    )
