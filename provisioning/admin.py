"""Registers the order desk's tables; Django's admin imports this module."""

from orgs.admin import LikelyDuplicateAdmin, OrganizationAdmin
from orgs.models import LikelyDuplicate, Organization
from provisioning.desk import access_requests, deliveries, operators, orders, other_systems, people, provisioning
from provisioning.desk.site import site

__all__ = ["access_requests", "deliveries", "operators", "orders", "other_systems", "people", "provisioning", "site"]

site.register(Organization, OrganizationAdmin)
site.register(LikelyDuplicate, LikelyDuplicateAdmin)
