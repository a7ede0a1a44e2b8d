"""The site as a Django app. Importing this module makes the Celery application current, as ``shared_task`` needs."""

from django.apps import AppConfig, apps
from django.db.models.signals import post_migrate

from ssot_dash.celery import app as celery_app

__all__ = ["SsotDashConfig", "celery_app"]


class SsotDashConfig(AppConfig):
    name = "ssot_dash"
    verbose_name = "SSOT Dash"

    def ready(self) -> None:
        from ssot_dash import roles  # noqa: PLC0415 - models can be imported only now

        # The last of the site's apps, whose permissions are made last.
        post_migrate.connect(roles.ensure, sender=apps.get_app_config("audits"), dispatch_uid="roles")
