from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class OrgsConfig(AppConfig):
    name = "orgs"
    default_auto_field = "django.db.models.BigAutoField"
    verbose_name = _("Organizations")

    def ready(self) -> None:
        """Have migrations make the finder's functions."""
        from orgs.finder import statements

        post_migrate.connect(statements.install, sender=self, dispatch_uid="orgs.finder.statements.install")
