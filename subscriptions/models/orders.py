"""Orders and their lines."""

from __future__ import annotations

import uuid_utils.compat as uuid
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models.functions import Upper
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from orgs.models import Organization
from subscriptions.rules import validation

MAX_LICENSES = validation.MAX_LICENSES
MAX_TERM_MONTHS = validation.MAX_TERM_MONTHS


# What a search of orders looks in; each is indexed for parts of it (trigrams).
SEARCHED = ("number", "sold_to", "customer_name", "contact_email", "customer_email")


class Order(models.Model):
    """One order: who bought what, who provisions it, and how far it has come."""

    class State(models.TextChoices):
        """placed → mapped → setting_up → set_up; held until an administrator decides; cancelled by the order desk.

        From mapped on, the state follows from the provisioning requests of the order's lines
        (subscriptions.actions): setting_up while one is open, set_up once all have succeeded.
        """

        PLACED = "placed", _("Placed")
        HELD = "held", _("Held")
        MAPPED = "mapped", _("Organizations confirmed")
        SETTING_UP = "setting_up", _("Being set up")
        SET_UP = "set_up", _("Set up")
        CANCELLED = "cancelled", _("Cancelled")

    class Audience(models.TextChoices):
        """Who the order is for, as the contact said."""

        CUSTOMER = "customer", _("For a customer")
        OWN = "own", _("For the own company")

    public_id = models.UUIDField(default=uuid.uuid7, unique=True, editable=False)
    number = models.CharField(_("order number"), max_length=40, unique=True)
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.PLACED)
    sold_to = models.CharField(_("sold to"), max_length=200, help_text=_("The company that bought it."))
    customer_name = models.CharField(
        _("end customer"), max_length=200, blank=True, help_text=_("Where a partner bought it for a customer.")
    )
    customer_email = models.EmailField(_("customer's administrator email"), blank=True)
    contact_email = models.EmailField(
        _("provisioning contact email"), help_text=_("Gets the welcome email and completes the order.")
    )
    placed_at = models.DateTimeField(_("placed at"), default=timezone.now, editable=False)
    # From this moment on an order that is not set up is closed; the date alone decides, and extending moves it.
    closes_at = models.DateTimeField(_("set up by"), editable=False)
    date_set_at = models.DateTimeField(default=timezone.now, editable=False)  # since when it has this date
    audience = models.CharField(max_length=10, choices=Audience.choices, blank=True, editable=False)
    # Null until the mapping; for the own company partner stays null.
    partner = models.ForeignKey(
        Organization, on_delete=models.PROTECT, null=True, blank=True, related_name="orders_as_partner", editable=False
    )
    customer = models.ForeignKey(
        Organization, on_delete=models.PROTECT, null=True, blank=True, related_name="orders_as_customer", editable=False
    )
    # The customer organization existed before and the partner provisions it: the label of the second seed.
    provisioning_administrator = models.BooleanField(default=False, editable=False)
    delegated_to = models.EmailField(blank=True, editable=False)  # "My customer will set up their own services"
    mapped_at = models.DateTimeField(null=True, blank=True, editable=False)
    set_up_at = models.DateTimeField(null=True, blank=True, editable=False)
    cancelled_at = models.DateTimeField(null=True, blank=True, editable=False)
    # When somebody who has a part in it opened it first.
    opened_at = models.DateTimeField(null=True, blank=True, editable=False)
    # The order desk holds it since then: nobody but the desk can act, and its date doesn't pass.
    on_hold_at = models.DateTimeField(null=True, blank=True, editable=False)
    hold_reason = models.TextField(blank=True, default="", db_default="", editable=False)  # for the order desk
    hold_message = models.TextField(blank=True, default="", db_default="", editable=False)  # for the order's people
    desk_owner = models.EmailField(
        _("looked after by"), blank=True, default="", db_default="", editable=False
    )  # an operator's address

    class Meta:
        verbose_name = _("order")
        verbose_name_plural = _("orders")
        ordering = ["-placed_at", "-pk"]
        indexes = [
            models.Index(
                fields=["closes_at"],
                condition=models.Q(state__in=["placed", "held", "mapped"]),
                name="order_to_set_up_by_date",
            ),
            # The order desk's lists: newest first, by state, and searched by a part of these texts.
            models.Index(fields=["-placed_at", "-id"], name="order_newest_first"),
            models.Index(fields=["state", "-placed_at", "-id"], name="order_by_state"),
            models.Index(fields=["on_hold_at"], condition=models.Q(on_hold_at__isnull=False), name="order_on_hold"),
            models.Index(fields=["desk_owner"], condition=~models.Q(desk_owner=""), name="order_by_desk_owner"),
            GinIndex(*(OpClass(Upper(name), name="gin_trgm_ops") for name in SEARCHED), name="order_searched"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(closes_at__gt=models.F("placed_at")), name="order_closes_after_it_was_placed"
            ),
            models.CheckConstraint(
                condition=models.Q(closes_at__gt=models.F("date_set_at")), name="order_got_a_date_that_lay_ahead"
            ),
            models.CheckConstraint(
                condition=~models.Q(state__in=["mapped", "setting_up", "set_up"])
                | models.Q(customer__isnull=False, mapped_at__isnull=False),
                name="mapped_order_has_its_customer",
            ),
            models.CheckConstraint(
                condition=~models.Q(state__in=["placed", "held"]) | models.Q(customer=None, partner=None),
                name="unmapped_order_has_no_organization",
            ),
            models.CheckConstraint(
                condition=models.Q(set_up_at__isnull=False, state="set_up")
                | models.Q(models.Q(set_up_at=None), ~models.Q(state="set_up")),
                name="set_up_order_says_when",
            ),
            models.CheckConstraint(
                condition=models.Q(audience="customer", partner__isnull=False)
                | ~models.Q(audience="customer")
                | models.Q(mapped_at=None),
                name="customer_order_has_its_partner",
            ),
        ]

    def __str__(self) -> str:
        return self.number

    @property
    def is_closed(self) -> bool:
        """Whether its set-up-by date has passed before it was set up (or cancelled)."""
        return self.state in UNFINISHED and self.on_hold_at is None and self.closes_at <= timezone.now()

    @property
    def is_on_hold(self) -> bool:
        """Whether the order desk holds it."""
        return self.state in UNFINISHED and self.on_hold_at is not None

    @property
    def is_stopped(self) -> bool:
        """Whether it has closed or is on hold: only the order desk can do anything with it."""
        return self.is_closed or self.is_on_hold

    @property
    def is_open(self) -> bool:
        """Whether it waits for somebody to complete it."""
        return self.state in UNFINISHED and not self.is_stopped


# The states in which an order still waits for somebody, and can close.
UNFINISHED = frozenset({Order.State.PLACED.value, Order.State.HELD.value, Order.State.MAPPED.value})


class _CurrentLines(models.Manager["OrderLine"]):
    """The lines that were not removed."""

    def get_queryset(self) -> models.QuerySet[OrderLine]:
        """Leave removed lines out; a request still reads its own line (``_base_manager``)."""
        return super().get_queryset().filter(removed_at=None)


class OrderLine(models.Model):
    """A line of an order: a service with its product, licenses and term. Several lines may be of one service.

    A line that something was asked for and that is removed from its order stays, with ``removed_at``: what may exist
    outside for it is still deleted. ``order.lines`` and ``objects`` leave it out.
    """

    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="lines")  # part of it
    number = models.PositiveIntegerField(  # the vendor's
        validators=[MinValueValidator(1), MaxValueValidator(validation.MAX_LINE_NUMBER)]
    )
    service = models.CharField(max_length=validation.MAX_SERVICE)  # of a pack: subscriptions.packs.base knows them all
    product = models.CharField(max_length=80)
    licenses = models.PositiveIntegerField(validators=[MinValueValidator(1), MaxValueValidator(MAX_LICENSES)])
    term_months = models.PositiveSmallIntegerField(
        default=12, validators=[MinValueValidator(1), MaxValueValidator(MAX_TERM_MONTHS)]
    )
    removed_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = _CurrentLines()

    class Meta:
        ordering = ["number"]  # ``packs.in_order`` puts them as they are shown
        constraints = [
            models.UniqueConstraint(
                fields=["order", "number"], condition=models.Q(removed_at=None), name="order_line_number_once"
            ),
            models.CheckConstraint(condition=models.Q(number__gte=1), name="order_line_number_is_positive"),
            models.CheckConstraint(condition=models.Q(licenses__gte=1), name="order_line_has_licenses"),
            models.CheckConstraint(condition=models.Q(term_months__gte=1), name="order_line_has_a_term"),
        ]

    def __str__(self) -> str:
        return f"{self.product} × {self.licenses}"
