"""Organizations with their domains, other names and members; search index; rate limits."""

from __future__ import annotations

from typing import Any

import uuid_utils.compat as uuid
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.functions import Lower, Replace, Upper
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django_countries.fields import CountryField

from orgs import search_index
from orgs.text import normalize, pasted_text

# The indexed form of names: "kuow public radio" is also found as "kuowpublicradio" (see orgs.text.spacing).
_WITHOUT_SPACES = Replace("name_key", models.Value(" "), models.Value(""))


class Organization(models.Model):
    """A company in the vendor's directory: a partner, a customer, or both."""

    class Origin(models.TextChoices):
        """How the organization was created."""

        ONLINE_TRIAL = "online_trial", _("Online trial")
        ONLINE_PURCHASE = "online_purchase", _("Online purchase")
        PARTNER_ORDER = "partner_order", _("Order through a partner")
        DIRECT_ORDER = "direct_order", _("Order from the vendor")

    public_id = models.UUIDField(default=uuid.uuid7, unique=True, editable=False)
    external_id = models.CharField(max_length=64, unique=True, null=True, blank=True)
    name = models.CharField(max_length=200)
    # Set by save() and by the import; see orgs.text.normalize for the two keys.
    name_key = models.CharField(max_length=200, editable=False)
    name_start = models.CharField(max_length=5, editable=False)
    country = CountryField(blank=True)
    vertical = models.CharField(_("business vertical"), max_length=40, blank=True)
    is_partner = models.BooleanField(default=False)
    origin = models.CharField(max_length=20, choices=Origin.choices, default=Origin.DIRECT_ORDER)
    account_created_at = models.DateTimeField(default=timezone.now)
    # Usage statistics are updated by the actions that change them and every night, never counted in a request.
    user_count = models.PositiveIntegerField(default=0)
    active_user_count = models.PositiveIntegerField(default=0)
    active_subscription_count = models.PositiveIntegerField(default=0)
    last_activity_at = models.DateTimeField(null=True, blank=True)
    # Usage figures that other systems reported, and when; None: not reported. See orgs.usage_statistics.
    reported_user_count = models.PositiveIntegerField(null=True, blank=True, editable=False)
    reported_active_user_count = models.PositiveIntegerField(null=True, blank=True, editable=False)
    reported_subscription_count = models.PositiveIntegerField(null=True, blank=True, editable=False)
    reported_activity_at = models.DateTimeField(null=True, blank=True, editable=False)
    reported_at = models.DateTimeField(null=True, blank=True, editable=False)
    # When it was closed. The finder doesn't find it; its orders still show it.
    closed_at = models.DateTimeField(_("closed"), null=True, blank=True)

    class Meta:
        verbose_name = _("organization")
        verbose_name_plural = _("organizations")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(active_user_count__lte=models.F("user_count")),
                name="organization_active_users_are_users",
            ),
            models.CheckConstraint(condition=~models.Q(name=""), name="organization_has_a_name"),
        ]
        indexes = [
            models.Index(_WITHOUT_SPACES, name="organization_joined_name"),
            models.Index(fields=["name_start"], name="organization_name_start"),
            models.Index(fields=["id"], condition=models.Q(external_id=None), name="organization_created_here"),
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, **kwargs: Any) -> None:
        """Set the search keys from the name, and update the search index."""
        self.name_key = normalize.name_key(self.name)
        self.name_start = normalize.name_start(self.name)
        fields = kwargs.get("update_fields")
        if fields is not None and "name" in fields:
            kwargs["update_fields"] = {*fields, "name_key", "name_start"}
        super().save(**kwargs)
        if fields is None or "name" in fields:
            search_index.index_names(self.pk, self.name_key)


class OtherName(models.Model):
    """Another name an organization is known by: former, trading, native script, translated, acronym."""

    class Kind(models.TextChoices):
        FORMER = "former", _("Former name")
        TRADING = "trading", _("Trading name")
        NATIVE = "native", _("Name in its own script")
        TRANSLATED = "translated", _("Translated name")
        ACRONYM = "acronym", _("Acronym")

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="other_names")  # part of it
    name = models.CharField(max_length=200)
    name_key = models.CharField(max_length=200, editable=False)
    kind = models.CharField(max_length=12, choices=Kind.choices, default=Kind.TRADING)
    # Whether an import added it. Only then may an import remove it.
    imported = models.BooleanField(default=False, db_default=False, editable=False)

    class Meta:
        verbose_name = _("other name")
        verbose_name_plural = _("other names")
        constraints = [
            models.UniqueConstraint(fields=["organization", "name"], name="organization_other_name_once"),
        ]
        indexes = [models.Index(_WITHOUT_SPACES, name="other_joined_name")]

    def __str__(self) -> str:
        return self.name

    def save(self, **kwargs: Any) -> None:
        """Set the search key from the name, and update the search index."""
        self.name_key = normalize.name_key(self.name)
        super().save(**kwargs)
        search_index.index_names(self.organization_id, self.name_key)


class DomainQuerySet(models.QuerySet["Domain"]):
    """Domains of organizations."""

    def current(self) -> DomainQuerySet:
        """Return current domains. An address at a former one is no proof."""
        return self.exclude(status=Domain.Status.FORMER)


class Domain(models.Model):
    """A domain that an organization has verified, claimed exclusively, or used before.

    Others may own a former domain now. It helps to find the organization but is no proof of belonging to it.
    """

    class Status(models.TextChoices):
        VERIFIED = "verified", _("Verified")
        CLAIMED = "claimed", _("Claimed")
        FORMER = "former", _("Former")

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="domains")  # part of it
    name = models.CharField(max_length=253)
    # The registrable domain, and its first label: for subdomains and the same name under other suffixes. Set by save().
    registrable = models.CharField(max_length=253, editable=False, default="")
    label = models.CharField(max_length=63, editable=False, default="")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.VERIFIED)
    # ISO 8601, as precise as known: "2022", "2022-06", "2022-06-30"; "" if unknown.
    used_until = models.CharField(
        _("used until"),
        max_length=10,
        blank=True,
        default="",
        db_default="",
        help_text=_("For a former domain, if known: a year or a date, such as 2022 or 2022-06-30."),
    )

    # Whether an import added it. Only then may an import remove it.
    imported = models.BooleanField(default=False, db_default=False, editable=False)

    objects = DomainQuerySet.as_manager()

    class Meta:
        verbose_name = _("domain")
        verbose_name_plural = _("domains")
        constraints = [
            models.UniqueConstraint(fields=["organization", "name"], name="organization_domain_once"),
            models.UniqueConstraint(
                fields=["name"], condition=models.Q(status="claimed"), name="organization_domain_claimed_once"
            ),
            models.CheckConstraint(
                condition=models.Q(used_until="") | models.Q(status="former"),
                name="domain_used_until_is_of_a_former_one",
                violation_error_message=_("Only a former domain has a time until which it was used."),
            ),
            models.CheckConstraint(
                condition=models.Q(used_until__regex=r"^([0-9]{4}(-[0-9]{2}){0,2})?$"),
                name="domain_used_until_is_a_year_or_a_date",
                violation_error_message=_("Enter a year or a date, such as 2022 or 2022-06-30."),
            ),
        ]
        indexes = [
            models.Index(fields=["name"], name="domain_name"),
            models.Index(fields=["registrable"], name="domain_registrable"),
            models.Index(fields=["label"], name="domain_label"),
            models.Index(fields=["name"], condition=models.Q(status="former"), name="domain_former"),
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, **kwargs: Any) -> None:
        """Store the domain in ASCII, set its keys, and update the search index unless it is a former domain."""
        self.name = pasted_text.domain(self.name) or normalize.ascii_domain(self.name)
        self.registrable = normalize.registrable_domain(self.name)
        self.label = normalize.domain_label(self.name)[:63]
        super().save(**kwargs)
        if self.is_current:
            search_index.index_names(self.organization_id, self.label)

    @property
    def is_current(self) -> bool:
        """Whether it is not a former domain."""
        return self.status != self.Status.FORMER

    def clean(self) -> None:
        """Refuse an invalid year or date."""
        if self.used_until and not normalize.is_year_or_date(self.used_until):
            raise ValidationError({"used_until": _("Enter a year or a date, such as 2022 or 2022-06-30.")})


class Member(models.Model):
    """A person's account in an organization, known by the email address."""

    class Role(models.TextChoices):
        USER = "user", _("User")
        PROVISIONING = "provisioning", _("Provisioning administrator")
        FULL = "full", _("Full administrator")

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="members")  # part of it
    email = models.CharField(max_length=254)  # lower case
    # The part after the @ in lower case; the finder compares it exactly.
    email_domain = models.CharField(max_length=253, editable=False)
    role = models.CharField(max_length=12, choices=Role.choices, default=Role.USER)
    last_active_at = models.DateTimeField(null=True, blank=True)
    # A full right by request: the request's public id, start, end (None for no end), and the role before it, "" for no
    # member.
    given_by = models.UUIDField(null=True, blank=True, editable=False)
    given_at = models.DateTimeField(null=True, blank=True, editable=False)
    given_until = models.DateTimeField(null=True, blank=True, editable=False)
    role_before = models.CharField(max_length=12, blank=True, editable=False, db_default="")
    # Whether an import added it. Only then may an import remove it.
    imported = models.BooleanField(default=False, db_default=False, editable=False)

    class Meta:
        verbose_name = _("member")
        verbose_name_plural = _("members")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(given_by=None, given_at=None, given_until=None, role_before="")
                | models.Q(given_by__isnull=False, given_at__isnull=False),
                name="member_right_given_says_by_which_request",
            ),
            models.UniqueConstraint(fields=["organization", "email"], name="organization_member_once"),
            models.CheckConstraint(condition=models.Q(email=Lower("email")), name="member_email_is_lower_case"),
        ]
        indexes = [
            models.Index(fields=["email"], name="member_email"),
            models.Index(fields=["email_domain", "organization"], name="member_email_domain"),
            models.Index(
                fields=["given_until"], condition=models.Q(given_until__isnull=False), name="member_right_given_until"
            ),
        ]

    def __str__(self) -> str:
        return self.email

    def save(self, **kwargs: Any) -> None:
        """Store the address in lower case, and set its domain."""
        self.email = normalize.email_key(self.email)
        self.email_domain = normalize.email_domain(self.email)
        super().save(**kwargs)


def full_administrators() -> models.Q:
    """Return the condition for members who are full administrators now, without those whose right has ended."""
    lasting = models.Q(given_until=None) | models.Q(given_until__gt=timezone.now())
    return models.Q(role=Member.Role.FULL) & lasting


class OrganizationMerge(models.Model):
    """One organization that was merged into another one, and what moved. ``gone`` is closed for good."""

    kept = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="merges")
    gone = models.OneToOneField(Organization, on_delete=models.PROTECT, related_name="merge")
    merged_at = models.DateTimeField(default=timezone.now)
    by = models.CharField(max_length=254, blank=True)  # an operator's address, or the name of a system's key
    # name, external_id, domains, names, members, administrators (of them), and what the product moved besides.
    moved = models.JSONField(default=dict)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~models.Q(kept=models.F("gone")), name="organization_merge_of_two"),
        ]

    def __str__(self) -> str:
        return f"{self.gone} → {self.kept}"


class LikelyDuplicate(models.Model):
    """Two organizations that are likely the same one. A nightly job (orgs.actions) adds and deletes pairs."""

    class Why(models.TextChoices):
        SAME_NAME_DOMAIN = "same_name_domain", _("Same name and same domain")
        OTHER_NAME_DOMAIN = "other_name_domain", _("The name of one is another name of the other; same domain")
        SAME_NAME_COUNTRY = "same_name_country", _("Same name and same country; one has no domain")
        OTHER_NAME_COUNTRY = (
            "other_name_country",
            _("The name of one is another name of the other; same country; one has no domain"),
        )

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="+")  # goes with it
    other = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="+")  # goes with it
    why = models.CharField(_("why"), max_length=20, choices=Why.choices)
    domain = models.CharField(
        _("domain"), max_length=253, blank=True
    )  # the common registrable domain, if it is the reason
    found_at = models.DateTimeField(_("found"), default=timezone.now)
    # When an operator of the order desk dismissed the pair, and who.
    dismissed_at = models.DateTimeField(null=True, blank=True)
    dismissed_by_email = models.CharField(max_length=254, blank=True)

    class Meta:
        verbose_name = _("likely duplicate")
        verbose_name_plural = _("likely duplicates")
        constraints = [
            models.UniqueConstraint(fields=["organization", "other"], name="likely_duplicate_once"),
            models.CheckConstraint(
                condition=models.Q(organization__lt=models.F("other")), name="likely_duplicate_lower_one_first"
            ),
            models.CheckConstraint(
                condition=models.Q(dismissed_at=None, dismissed_by_email="")
                | (models.Q(dismissed_at__isnull=False) & ~models.Q(dismissed_by_email="")),
                name="likely_duplicate_dismissed_by_somebody",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.organization} = {self.other}"


class Word(models.Model):
    """A word of the directory's names, and how many organizations had it at the last count.

    It has no unique constraint, so that two transactions that insert the same word don't wait for each other; the next
    count (orgs.search_index.recount) deletes duplicates.
    """

    word = models.CharField(max_length=60)
    organizations = models.PositiveIntegerField(default=1)
    sound = models.CharField(max_length=30, default="")  # see orgs.text.terms.sound
    country = models.CharField(max_length=2, default="")  # the country of nearly all organizations with this word

    class Meta:
        indexes = [
            models.Index(fields=["word"], name="orgs_word_word"),
            GinIndex(OpClass(Upper("word"), name="gin_trgm_ops"), name="word_searched_by_part"),
            models.Index(fields=["sound"], condition=~models.Q(sound=""), name="word_sound"),
        ]

    def __str__(self) -> str:
        return self.word


class Spelling(models.Model):
    """A word with one letter left out. A misspelling with a letter left out has a key in common with the word."""

    key = models.CharField(max_length=60)
    word = models.CharField(max_length=60)

    class Meta:
        indexes = [models.Index(fields=["key"], name="spelling_key")]

    def __str__(self) -> str:
        return f"{self.key} → {self.word}"


class Posting(models.Model):
    """An organization that has a word in one of its names (inverted index).

    A posting may be outdated, so the organization is no foreign key; the finder compares the names themselves.
    """

    pk = models.CompositePrimaryKey("word", "organization_id")
    word = models.CharField(max_length=60)
    organization_id = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.word}: {self.organization_id}"


class WordPair(models.Model):
    """Two words that replace each other, such as "hospital" and "krankenhaus", learned from organizations with both."""

    word = models.CharField(max_length=60)
    other = models.CharField(max_length=60)
    strength = models.FloatField()  # 0 to 1

    class Meta:
        constraints = [models.UniqueConstraint(fields=["word", "other"], name="word_pair_once")]

    def __str__(self) -> str:
        return f"{self.word} = {self.other}"


class SearchBudget(models.Model):
    """Counters of orgs.rate_limits: questions in a time window, and organizations shown in total.

    The caller chooses the key, such as ``order:PO-100001`` or ``person:ada@contoso.com``.
    """

    key = models.CharField(max_length=300, unique=True)
    searches = models.PositiveIntegerField(default=0)  # in the window that began at since_at
    since_at = models.DateTimeField(default=timezone.now)
    organization_ids = ArrayField(models.BigIntegerField(), default=list)  # shown so far; never reset

    def __str__(self) -> str:
        return self.key


class Search(models.Model):
    """A question that was counted under a key. It is counted once."""

    key = models.CharField(max_length=300)  # as in SearchBudget
    question = models.CharField(max_length=64)  # a digest, so that nobody can read it here
    asked_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["key", "question"], name="search_counted_once")]

    def __str__(self) -> str:
        return f"{self.key}: {self.question[:12]}"
