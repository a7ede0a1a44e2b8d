"""The Celery application: settings come from Django's, tasks from each app's ``tasks.py``."""

import os
from collections.abc import Sequence

from celery import Celery, Task
from celery.signals import task_postrun, task_prerun, worker_init

from ssot_dash import logs
from ssot_dash.embedded.lifeline import follow_supervisor

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ssot_dash.settings")
# A worker that starts would run Django's checks and throw away what they say: a third of what its start costs.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")

app = Celery("ssot_dash")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_init.connect  # type: ignore[untyped-decorator]
def _end_with_the_supervisor(**_: object) -> None:
    follow_supervisor()


@task_prerun.connect  # type: ignore[untyped-decorator]
def _log_about_the_task(task: Task, args: Sequence[object], **_: object) -> None:
    """Messages carry a row's id and nothing else: log lines of a task name both."""
    logs.begin(task=task.name.rpartition(".")[2], row=", ".join(map(str, args)) or "none")


@task_postrun.connect  # type: ignore[untyped-decorator]
def _log_about_nothing(**_: object) -> None:
    logs.begin()
