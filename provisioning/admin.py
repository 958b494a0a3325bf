"""Registers the order desk's tables; Django's admin imports this module."""

from provisioning.desk import (
    access_requests,
    api_keys,
    deliveries,
    operators,
    order_files,
    orders,
    organizations,
    other_systems,
    people,
    provisioning,
)
from provisioning.desk.site import site

__all__ = [
    "access_requests",
    "api_keys",
    "deliveries",
    "operators",
    "order_files",
    "orders",
    "organizations",
    "other_systems",
    "people",
    "provisioning",
    "site",
]
