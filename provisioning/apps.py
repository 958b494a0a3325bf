from importlib import import_module

from django.apps import AppConfig
from django.conf import settings
from django.utils.translation import gettext_lazy as _


class ProvisioningConfig(AppConfig):
    name = "provisioning"
    default_auto_field = "django.db.models.BigAutoField"
    verbose_name = _("Provisioning")

    def ready(self) -> None:
        """Register the checks of an installation."""
        from provisioning.deployment import checks  # noqa: F401  # importing registers them

        for name in ("fulfillment", "monitoring"):  # by name: they stand above this module
            import_module(f"provisioning.{name}.checks")
        if settings.SENTRY_DSN:
            import_module("provisioning.monitoring.error_reports").start(settings.SENTRY_DSN)
