from django.apps import AppConfig
from django.db.backends.signals import connection_created
from django.utils.translation import gettext_lazy as _


class OrgsConfig(AppConfig):
    name = "orgs"
    default_auto_field = "django.db.models.BigAutoField"
    verbose_name = _("Organizations")

    def ready(self) -> None:
        """Say how the finder's statements are planned, on every connection that is made."""
        from orgs.finder import statements

        connection_created.connect(statements.plan_once, dispatch_uid="orgs.statements.plan_once")
