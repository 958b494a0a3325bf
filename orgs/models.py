"""Who bought it: organizations, the domains and names they are known by, and their members."""

from __future__ import annotations

from typing import Any

import uuid_utils.compat as uuid
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.functions import Lower, Replace
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django_countries.fields import CountryField

from orgs import search_index
from orgs.text import normalize, pasted_text

# What names are looked up by: "kuow public radio" is found as "kuowpublicradio" too (see orgs.text.spacing).
_WITHOUT_SPACES = Replace("name_key", models.Value(" "), models.Value(""))


class Organization(models.Model):
    """A company in the vendor's directory: a partner, a customer, or both."""

    class Origin(models.TextChoices):
        """How the organization came to be (first seed: trial online, purchase online, order through a partner)."""

        ONLINE_TRIAL = "online_trial", _("Online trial")
        ONLINE_PURCHASE = "online_purchase", _("Online purchase")
        PARTNER_ORDER = "partner_order", _("Order through a partner")
        DIRECT_ORDER = "direct_order", _("Order from the vendor")

    public_id = models.UUIDField(default=uuid.uuid7, unique=True, editable=False)
    external_id = models.CharField(max_length=64, unique=True, null=True, blank=True)
    name = models.CharField(max_length=200)
    # Kept by save() and by the importer; see orgs.text.normalize for what the two keys mean.
    name_key = models.CharField(max_length=200, editable=False)
    name_start = models.CharField(max_length=5, editable=False)
    country = CountryField(blank=True)
    vertical = models.CharField(_("business vertical"), max_length=40, blank=True)
    is_partner = models.BooleanField(default=False)
    origin = models.CharField(max_length=20, choices=Origin.choices, default=Origin.DIRECT_ORDER)
    account_created_at = models.DateTimeField(default=timezone.now)
    # Statistics of use are stored and kept right by what changes them, never counted in a request.
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
    # Since when it is closed: never offered any more, for orders that have it as readable as before.
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
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, **kwargs: Any) -> None:
        """Keep the search keys with the name they are made from."""
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
    # Whether an import brought it: then an import may take it away again. What people here made stays.
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
        """Keep the search key with the name it is made from."""
        self.name_key = normalize.name_key(self.name)
        super().save(**kwargs)
        search_index.index_names(self.organization_id, self.name_key)


class DomainQuerySet(models.QuerySet["Domain"]):
    """Domains of organizations."""

    def current(self) -> DomainQuerySet:
        """Return those that the organization has now: an address at a former one proves nothing."""
        return self.exclude(status=Domain.Status.FORMER)


class Domain(models.Model):
    """A domain that an organization has verified, claimed for itself alone, or used before.

    Somebody else may own a former one now. It helps to find the organization; it proves no tie to it.
    """

    class Status(models.TextChoices):
        VERIFIED = "verified", _("Verified")
        CLAIMED = "claimed", _("Claimed")
        FORMER = "former", _("Former")

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="domains")  # part of it
    name = models.CharField(max_length=253)
    # What somebody registered, and its first label: for sub-domains and other TLDs of the same name. Kept by save().
    registrable = models.CharField(max_length=253, editable=False, default="")
    label = models.CharField(max_length=63, editable=False, default="")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.VERIFIED)
    # As precise as it is known, ISO 8601: "2022", "2022-06", "2022-06-30"; "" where it is not known.
    used_until = models.CharField(
        _("used until"),
        max_length=10,
        blank=True,
        default="",
        db_default="",
        help_text=_("For a former domain, if known: a year or a date, such as 2022 or 2022-06-30."),
    )

    # Whether an import brought it: then an import may take it away again. What people here made stays.
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
        """Keep the domain as DNS has it, and the two search keys with it; a former one is no search word."""
        self.name = pasted_text.domain(self.name) or normalize.ascii_domain(self.name)
        self.registrable = normalize.registrable_domain(self.name)
        self.label = normalize.domain_label(self.name)[:63]
        super().save(**kwargs)
        if self.is_current:
            search_index.index_names(self.organization_id, self.label)

    @property
    def is_current(self) -> bool:
        """Whether the organization has the domain now."""
        return self.status != self.Status.FORMER

    def clean(self) -> None:
        """Refuse a day that isn't one."""
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
    # What follows the @, lower case: the seed's rule compares it exactly.
    email_domain = models.CharField(max_length=253, editable=False)
    role = models.CharField(max_length=12, choices=Role.choices, default=Role.USER)
    last_active_at = models.DateTimeField(null=True, blank=True)
    # A full right that was given by a request: which one (its public id), since when, until when if it is limited, and
    # what the person was before: "" for nobody here.
    given_by = models.UUIDField(null=True, blank=True, editable=False)
    given_at = models.DateTimeField(null=True, blank=True, editable=False)
    given_until = models.DateTimeField(null=True, blank=True, editable=False)
    role_before = models.CharField(max_length=12, blank=True, editable=False, db_default="")
    # Whether an import brought it: then an import may take it away again. What people here made stays.
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
        """Keep the address in lower case and its domain beside it."""
        self.email = normalize.email_key(self.email)
        self.email_domain = normalize.email_domain(self.email)
        super().save(**kwargs)


def full_administrators() -> models.Q:
    """Return the condition for members who are full administrators now: a right that has ended counts no more."""
    lasting = models.Q(given_until=None) | models.Q(given_until__gt=timezone.now())
    return models.Q(role=Member.Role.FULL) & lasting


class LikelyDuplicate(models.Model):
    """Two organizations that are likely the same one, for the order desk: kept by every night's look (orgs.actions)."""

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
    domain = models.CharField(_("domain"), max_length=253, blank=True)  # the same registrable one, where that is why
    found_at = models.DateTimeField(_("found"), default=timezone.now)
    # When somebody at the order desk said that they are not the same, and who.
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
    """A word of the directory's names, and in how many organizations it is (as of the last count: a hint).

    Not unique: two people who bring the same new word at once don't wait for each other, and the next count keeps one
    row of it (orgs.search_index.recount).
    """

    word = models.CharField(max_length=60)
    organizations = models.PositiveIntegerField(default=1)
    sound = models.CharField(max_length=30, default="")  # see orgs.text.terms.sound
    country = models.CharField(max_length=2, default="")  # where nearly all organizations with this word are

    class Meta:
        indexes = [
            models.Index(fields=["word"], name="orgs_word_word"),
            models.Index(fields=["sound"], condition=~models.Q(sound=""), name="word_sound"),
        ]

    def __str__(self) -> str:
        return self.word


class Spelling(models.Model):
    """A word with one letter left out, for finding the word from a misspelling with the same letter left out."""

    key = models.CharField(max_length=60)
    word = models.CharField(max_length=60)

    class Meta:
        indexes = [models.Index(fields=["key"], name="spelling_key")]

    def __str__(self) -> str:
        return f"{self.key} → {self.word}"


class Posting(models.Model):
    """An organization that has a word in one of its names.

    Only a hint where to look: an organization that has lost the word, or is gone, may still be listed, so it is
    no foreign key; the names themselves decide.
    """

    pk = models.CompositePrimaryKey("word", "organization_id")
    word = models.CharField(max_length=60)
    organization_id = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.word}: {self.organization_id}"


class WordPair(models.Model):
    """Two words that stand for each other, learned from organizations that have both: "hospital" and "krankenhaus"."""

    word = models.CharField(max_length=60)
    other = models.CharField(max_length=60)
    strength = models.FloatField()  # 0 to 1

    class Meta:
        constraints = [models.UniqueConstraint(fields=["word", "other"], name="word_pair_once")]

    def __str__(self) -> str:
        return f"{self.word} = {self.other}"


class SearchBudget(models.Model):
    """What somebody who proved no tie has been shown and has asked, by order and by person: the finder is no directory.

    ``key`` is whatever the caller counts by, such as ``order:PO-100001`` or ``person:ada@contoso.com``.
    """

    key = models.CharField(max_length=300, unique=True)
    searches = models.PositiveIntegerField(default=0)  # since `since_at`
    since_at = models.DateTimeField(default=timezone.now)
    organization_ids = ArrayField(models.BigIntegerField(), default=list)  # shown so far, for good

    def __str__(self) -> str:
        return self.key


class Search(models.Model):
    """A question that was asked of the finder under a key: counted once, its answer is shown again for nothing."""

    key = models.CharField(max_length=300)  # as SearchBudget's
    question = models.CharField(max_length=64)  # a digest: nobody reads here whom somebody looked for
    asked_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["key", "question"], name="search_counted_once")]

    def __str__(self) -> str:
        return f"{self.key}: {self.question[:12]}"
