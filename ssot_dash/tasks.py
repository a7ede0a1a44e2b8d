"""What the site hears from Celery: signs of life of its scheduler and workers, written down as rows.

A worker says so from a thread of its main process, because its children may be busy for minutes. The scheduler does
when it has sent a tick, because that is what it is for.
"""

import logging
import os
import threading
from collections.abc import Sequence
from typing import Any

from celery import current_app, shared_task
from celery.signals import after_task_publish, beat_init, worker_ready, worker_shutdown
from django.conf import settings
from django.db import DatabaseError, InterfaceError, close_old_connections, connection
from django.dispatch import receiver
from django.utils import timezone

from audits import sharing, turns, workforce
from audits.workforce import Workforce
from ssot_dash import heartbeats, logs, retention

logger = logging.getLogger(__name__)


def _auditing() -> int:
    return heartbeats.processes_for(f"{settings.SSOT_QUEUE_PREFIX}audits")


def _helping() -> int:
    """Those of this host count only where an audit leaves them a core."""
    queue = f"{settings.SSOT_QUEUE_PREFIX}parsing"
    if sharing.processes() < (os.cpu_count() or 1):
        return max(heartbeats.processes_for(queue) - 1, 0)
    return heartbeats.processes_elsewhere(queue, sharing.host())


workforce.register(Workforce(_auditing, _helping))

TICK = "audits.tasks.dispatch_due"
WORKER_SECONDS = 10.0

_ended = threading.Event()


@shared_task  # type: ignore[untyped-decorator]
def purge_old() -> None:
    """Delete what is older than its setting says."""
    for setting, rows in retention.purge(timezone.now()).items():
        if rows:
            logger.info("%s: %s rows were older and are deleted", setting, rows)


@beat_init.connect  # type: ignore[untyped-decorator]
def _scheduler_begins(**_: Any) -> None:
    """The first tick comes at once: by itself Celery's scheduler waits for as long as between two."""
    try:
        current_app.send_task(TICK, expires=10, retry=False)
    except Exception as error:  # noqa: BLE001 (whatever ails the broker, the next tick comes soon)
        logger.warning("The scheduler's first tick could not be sent: %s", error)


@after_task_publish.connect(sender=TICK)  # type: ignore[untyped-decorator]
def _tick_was_sent(**_: Any) -> None:
    """In the scheduler, which is the only one to send it."""
    close_old_connections()
    try:
        heartbeats.scheduler_ticked()
    except (DatabaseError, InterfaceError) as error:
        logger.warning("The scheduler's sign of life could not be written: %s", error)


@receiver(turns.begun)
def _another_audit_has_begun(audit_id: int, **_: Any) -> None:
    """Log lines are about the audit that is worked on; the message may have named another one."""
    logs.turn_to(row=audit_id)


@worker_ready.connect  # type: ignore[untyped-decorator]
def _worker_is_ready(sender: Any, **_: Any) -> None:
    said = (str(sender.hostname), list(sender.app.amqp.queues.consume_from), sender.controller.concurrency)
    threading.Thread(target=_live, args=said, name="signs of life", daemon=True).start()


@worker_shutdown.connect  # type: ignore[untyped-decorator]
def _worker_ends(sender: Any, **_: Any) -> None:
    _ended.set()
    try:
        heartbeats.worker_ends(str(sender.hostname))
    except (DatabaseError, InterfaceError) as error:
        logger.warning("The end of this worker could not be written down: %s", error)
    connection.close()


def _live(name: str, queues: Sequence[str], processes: int) -> None:
    while not _ended.is_set():
        try:
            heartbeats.worker_lives(name, queues, processes)
        except (DatabaseError, InterfaceError) as error:
            logger.warning("This worker's sign of life could not be written: %s", error)
        # Not kept: children that are forked later must not hold it as well.
        connection.close()
        _ended.wait(WORKER_SECONDS)
