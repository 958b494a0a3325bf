"""Orders, subscriptions, provisioning requests and documents, by subject. Import every model from here."""

from subscriptions.models.documents import Document, KeptPdf
from subscriptions.models.orders import MAX_LICENSES, MAX_TERM_MONTHS, SEARCHED, UNFINISHED, Order, OrderLine
from subscriptions.models.provisioning import AbandonedInstance, DriverHealth, Leased, ProvisioningRequest, was_begun
from subscriptions.models.services import Location, Site, SiteName, Subscription

__all__ = [
    "MAX_LICENSES",
    "MAX_TERM_MONTHS",
    "SEARCHED",
    "UNFINISHED",
    "AbandonedInstance",
    "Document",
    "DriverHealth",
    "KeptPdf",
    "Leased",
    "Location",
    "Order",
    "OrderLine",
    "ProvisioningRequest",
    "Site",
    "SiteName",
    "Subscription",
    "was_begun",
]
