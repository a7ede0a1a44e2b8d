"""The site's Celery: real workers, and settings that keep tasks from being lost or run beside themselves."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings

from audits.tasks import dispatch_due
from ssot_dash import health
from ssot_dash.celery import app
from ssot_dash.embedded import processes, programs
from ssot_dash.embedded.supervisor import Program
from ssot_dash.models import Heartbeat

pytestmark = pytest.mark.celery

StartWorker = Callable[..., Program]


def test_message_is_carried_out_by_a_real_worker(start_worker: StartWorker) -> None:
    worker = start_worker()
    dispatch_due.delay()
    assert processes.wait_until(lambda: "dispatch_due[" in worker.log.read_text(), 300)
    assert processes.wait_until(lambda: "succeeded in" in worker.log.read_text(), 300), worker.log.read_text()


def test_killed_worker_takes_its_pool_along(start_worker: StartWorker) -> None:
    worker = start_worker(concurrency=2)
    process = worker.process
    assert process is not None
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(children) == 2
    os.kill(process.pid, signal.SIGKILL)
    gone = [Path("/proc") / child / "exe" for child in children]
    assert processes.wait_until(
        lambda: not any(os.path.lexists(path) and _has_program(path) for path in gone), 300
    )


def test_every_scheduled_task_exists() -> None:
    app.loader.import_default_modules()  # as a worker does when it starts
    assert {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()} <= set(app.tasks)


def test_the_first_tick_comes_with_the_scheduler(child_environment: dict[str, str], tmp_path: Path) -> None:
    """Not ten seconds later: until then nothing is taken back, and the site counts as one without a scheduler."""
    app.control.purge()
    beat = programs.beat(child_environment, tmp_path)
    beat.launch()
    try:
        assert processes.wait_until(lambda: health.age_of_beat() is not None, 300), beat.log.read_text()
        assert "Sending due task dispatch-what-is-due" not in beat.log.read_text()
    finally:
        beat.stop()
        app.control.purge()


def test_a_worker_of_a_queue_that_there_is_not_does_not_start(
    child_environment: dict[str, str], tmp_path: Path
) -> None:
    worker = programs.worker(child_environment, tmp_path, "lost", concurrency=1, queues=["notces"])
    worker.launch()
    try:
        assert worker.process is not None and worker.process.wait(300) != 0
        assert "notces" in worker.log.read_text()
    finally:
        worker.stop()


def test_the_attendant_hears_of_ticks_and_notices_alone(
    child_environment: dict[str, str], tmp_path: Path
) -> None:
    attendant = programs.attendant(child_environment, tmp_path)
    attendant.launch()
    try:
        workers = Heartbeat.objects.filter(kind="worker")
        assert processes.wait_until(workers.exists, 300), attendant.log.read_text()
        prefix = settings.SSOT_QUEUE_PREFIX
        assert workers.get().queues == [f"{prefix}default", f"{prefix}notices"]
    finally:
        attendant.stop()


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
