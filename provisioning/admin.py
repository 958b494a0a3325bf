"""Registers the order desk's tables; Django's admin imports this module."""

from provisioning.desk import (
    access_requests,
    api_keys,
    deliveries,
    order_files,
    orders,
    organizations,
    other_systems,
    provisioning,
)
from provisioning.desk.site import site

__all__ = [
    "access_requests",
    "api_keys",
    "deliveries",
    "order_files",
    "orders",
    "organizations",
    "other_systems",
    "provisioning",
    "site",
]
