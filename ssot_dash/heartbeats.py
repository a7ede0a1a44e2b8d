"""Signs of life of scheduler and workers, as rows: no process is asked, so none that hangs holds others up."""

from collections.abc import Sequence
from datetime import timedelta

from django.db.models import Sum
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from ssot_dash.models import Heartbeat

BEAT = "beat"
FORGET_AFTER = timedelta(days=1)
# A worker without a sign of life for so long counts as gone.
LIVE = timedelta(seconds=45)


def scheduler_ticked() -> None:
    """The scheduler has just sent the message that has everything done that is due."""
    _write(BEAT, Heartbeat.Kind.BEAT)
    Heartbeat.objects.filter(at__lt=timezone.now() - FORGET_AFTER).delete()


def worker_lives(name: str, queues: Sequence[str], processes: int) -> None:
    """A worker's main process is there and reaches the database. ``name`` is Celery's, such as ``celery@host``;
    ``queues`` are those that it listens to, ``processes`` how many tasks it does at a time.
    """
    _write(f"worker {name}"[:200], Heartbeat.Kind.WORKER, queues, processes)


def worker_ends(name: str) -> None:
    """A worker ends in peace, so nobody has to miss it."""
    Heartbeat.objects.filter(name=f"worker {name}"[:200]).delete()


def processes_for(queue: str) -> int:
    """How many processes work on what comes from a queue, over all workers that gave a sign of life lately."""
    live = Heartbeat.objects.filter(
        kind=Heartbeat.Kind.WORKER, at__gte=Now() - LIVE, queues__contains=[queue]
    )
    return live.aggregate(number=Coalesce(Sum("processes"), 0))["number"]  # type: ignore[no-any-return]


def processes_elsewhere(queue: str, host: str) -> int:
    """How many live processes of other hosts work on what comes from a queue."""
    live = Heartbeat.objects.filter(
        kind=Heartbeat.Kind.WORKER, at__gte=Now() - LIVE, queues__contains=[queue]
    ).exclude(name__endswith=f"@{host}")
    return live.aggregate(number=Coalesce(Sum("processes"), 0))["number"]  # type: ignore[no-any-return]


def _write(name: str, kind: Heartbeat.Kind, queues: Sequence[str] = (), processes: int = 0) -> None:
    """By the database's clock, which all hosts share. ``started_at`` stays that of the first sign."""
    said = {"queues": sorted(queues), "processes": processes}
    Heartbeat.objects.bulk_create(
        [Heartbeat(name=name, kind=kind, at=Now(), started_at=Now(), **said)],
        update_conflicts=True,
        unique_fields=["name"],
        update_fields=["at", *said],
    )
