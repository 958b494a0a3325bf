"""The HTTP API under /api/v1/, for the vendor's systems. ``urlpatterns`` is all that is imported from outside."""

from provisioning.api.routers import urlpatterns

__all__ = ["urlpatterns"]
