"""The site as a Django app. Importing this module makes the Celery application current, as ``shared_task`` needs."""

from django.apps import AppConfig

from ssot_dash.celery import app as celery_app

__all__ = ["SsotDashConfig", "celery_app"]


class SsotDashConfig(AppConfig):
    name = "ssot_dash"
    verbose_name = "SSOT Dash"
