"""Celery tasks of the registry: thin, they call the services."""

from celery import shared_task
from celery.signals import worker_process_shutdown
from django.utils import timezone

from ids import metrics, purging

# of one run, so that a worker is soon free for other tasks; what is left has its turn at the next
MOST_PURGED = 500_000


@shared_task  # type: ignore[untyped-decorator]
def purge_metrics() -> None:
    """Delete the sums of use whose time is over."""
    metrics.purge(timezone.now())


@shared_task  # type: ignore[untyped-decorator]
def purge_ids() -> None:
    """Delete records of IDs whose type's retention is over; scheduled where ``SSOT_PURGE_HOURS`` says how often."""
    purging.purge(timezone.now(), most=MOST_PURGED)


@shared_task  # type: ignore[untyped-decorator]
def purge_keys() -> None:
    """Delete the idempotency keys of more than a day ago, with their answers."""
    purging.purge_keys(timezone.now(), most=MOST_PURGED)


@worker_process_shutdown.connect  # type: ignore[untyped-decorator]
def _write_the_last_counts(**_: object) -> None:
    """Celery's children end without Python's own way of ending, where the last counts would be written."""
    metrics.flush_at_exit()
