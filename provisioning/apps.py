from django.apps import AppConfig


class ProvisioningConfig(AppConfig):
    name = "provisioning"
    default_auto_field = "django.db.models.BigAutoField"
    verbose_name = "Provisioning"

    def ready(self) -> None:
        """Register the checks of an installation."""
        from provisioning import checks  # noqa: F401  # importing registers them
