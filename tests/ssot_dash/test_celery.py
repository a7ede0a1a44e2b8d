"""The site's Celery: real workers, and settings that keep tasks from being lost or run beside themselves."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings

from audits.tasks import dispatch_due
from ssot_dash.celery import app
from ssot_dash.embedded import processes
from ssot_dash.embedded.supervisor import Program

pytestmark = pytest.mark.celery

StartWorker = Callable[..., Program]


def test_message_is_carried_out_by_a_real_worker(start_worker: StartWorker) -> None:
    worker = start_worker()
    dispatch_due.delay()
    assert processes.wait_until(lambda: "dispatch_due[" in worker.log.read_text(), 20)
    assert processes.wait_until(lambda: "succeeded in" in worker.log.read_text(), 20), worker.log.read_text()


def test_killed_worker_takes_its_pool_along(start_worker: StartWorker) -> None:
    worker = start_worker(concurrency=2)
    process = worker.process
    assert process is not None
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(children) == 2
    os.kill(process.pid, signal.SIGKILL)
    gone = [Path("/proc") / child / "exe" for child in children]
    assert processes.wait_until(
        lambda: not any(os.path.lexists(path) and _has_program(path) for path in gone), 20
    )


def test_every_scheduled_task_exists() -> None:
    assert {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()} <= set(app.tasks)


def test_only_json_is_accepted_and_a_task_ends_before_its_message_comes_back() -> None:
    assert app.conf.accept_content == ["json"]
    limits = (
        app.conf.task_soft_time_limit,
        app.conf.task_time_limit,
        app.conf.broker_transport_options["visibility_timeout"],
    )
    assert list(limits) == sorted(limits)


def _has_program(link: Path) -> bool:
    """False for a process that has ended and only waits to be noticed."""
    try:
        return bool(link.readlink())
    except OSError:
        return False
