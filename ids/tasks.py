"""Celery tasks of the registry: thin, they call the services."""

from celery import shared_task
from celery.signals import worker_process_shutdown
from django.utils import timezone

from ids import metrics


@shared_task  # type: ignore[untyped-decorator]
def purge_metrics() -> None:
    """Delete the sums of use whose time is over."""
    metrics.purge(timezone.now())


@worker_process_shutdown.connect  # type: ignore[untyped-decorator]
def _write_the_last_counts(**_: object) -> None:
    """Celery's children end without Python's own way of ending, where the last counts would be written."""
    metrics.flush_at_exit()
