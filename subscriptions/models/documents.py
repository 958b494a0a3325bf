"""Order summaries that were given out, and their PDFs."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from subscriptions.models.orders import Order


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
