"""Registers the order desk's tables; Django's admin imports this module."""

__all__ = [
    *("access_requests", "api_keys", "deliveries", "orders", "organizations", "other_systems", "provisioning", "site"),
]
