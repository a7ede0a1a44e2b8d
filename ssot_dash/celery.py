"""The Celery application: settings come from Django's, tasks from each app's ``tasks.py``."""

import os

from celery import Celery
from celery.signals import worker_init

from ssot_dash.embedded.lifeline import follow_supervisor

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ssot_dash.settings")

app = Celery("ssot_dash")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_init.connect  # type: ignore[untyped-decorator]
def _end_with_the_supervisor(**_: object) -> None:
    follow_supervisor()
