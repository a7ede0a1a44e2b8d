"""What the site deletes by itself once it is old, how much that would be, and deleting it.

What audits found, histories, judgements, the log of who did what: these are kept for ever. They are what the site is
for. The rest has a setting in days; 0 keeps it for ever, too.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db import models
from django.db.models import QuerySet

from audits import ingesting
from audits.models import Delivery, TestReport, TestRun
from ids import purging

BATCH: Final = 500  # a report may have 30 MB
# A preview counts no further than this, so that it answers at once however much there is.
COUNTED: Final = 100_000


@dataclass(frozen=True, slots=True)
class Kind:
    """Rows that are deleted when they are older than a setting says. ``older`` gives those from before a time, oldest
    first, and only those that nothing needs any more; ``delete`` deletes those with these keys, or what hangs on them,
    and says of how many."""

    name: str
    setting: str
    note: str
    older: Callable[[datetime], QuerySet[Any]]
    delete: Callable[[list[int]], int]

    @property
    def days(self) -> int:
        """How long they are kept; 0: for ever."""
        return int(getattr(settings, self.setting))


@dataclass(frozen=True, slots=True)
class Due:
    """What is kept for ``days`` (None: for ever) and how many rows are older; ``is_more``: there are more than that.

    It is set in ``setting``, or in the ID type with the value ``id_type``.
    """

    name: str
    days: int | None
    rows: int | None
    is_more: bool
    setting: str = ""
    note: str = ""
    id_type: str = ""


def _delete(rows: models.Manager[Any]) -> Callable[[list[int]], int]:
    return lambda keys: rows.filter(pk__in=keys).delete()[0]


KINDS: Final = (
    Kind(
        "Results of test runs",
        "SSOT_KEEP_RESULT_DAYS",
        "Counted are the runs: they stay, with what was counted of them. Those that verdicts of issues rest on, that "
        "are at the commits where repositories stand, or that are the newest of their branch, keep their results.",
        ingesting.outdated,
        ingesting.empty,
    ),
    Kind(
        "Test reports as they were received",
        "SSOT_KEEP_REPORT_DAYS",
        "Their results stay. Without it a report can't be downloaded or read again.",
        lambda before: TestReport.objects.filter(
            run__state__in=[TestRun.State.READ, TestRun.State.EMPTIED], run__received_at__lt=before
        ).order_by("pk"),
        _delete(TestReport.objects),
    ),
    Kind(
        "Deliveries of notices",
        "SSOT_KEEP_DELIVERY_DAYS",
        "Delivered or given up; what is on its way stays.",
        lambda before: (
            Delivery.objects.filter(made_at__lt=before)
            .exclude(state=Delivery.State.PENDING)
            .order_by("made_at")
        ),
        _delete(Delivery.objects),
    ),
)


def preview(now: datetime, days: int | None = None) -> list[Due]:
    """What would be deleted now, counted to 100,000 of each kind; with ``days``, if that were the setting of each.

    The records of IDs come last, by type: their retention belongs to the type.
    """
    found = []
    for kind in KINDS:
        wanted = kind.days if days is None else days
        rows, is_more = _count(kind.older(now - timedelta(days=wanted))) if wanted else (None, False)
        found.append(Due(kind.name, wanted or None, rows, is_more, kind.setting, kind.note))
    return found + list(_of_types(now))


def _of_types(now: datetime) -> Iterator[Due]:
    for due in purging.preview(now):
        days = (now - due.before).days
        yield Due(f"Records of {due.type} IDs", days, due.records, due.is_more, id_type=due.type)


def _count(rows: QuerySet[Any]) -> tuple[int, bool]:
    number = rows.order_by()[: COUNTED + 1].count()
    return min(number, COUNTED), number > COUNTED


def purge(now: datetime) -> dict[str, int]:
    """Delete what is older than its setting says, in short statements: {setting: rows}."""
    return {kind.setting: _purge(kind, now - timedelta(days=kind.days)) for kind in KINDS if kind.days}


def _purge(kind: Kind, before: datetime) -> int:
    total = 0
    while True:
        keys = list(kind.older(before).values_list("pk", flat=True)[:BATCH])
        total += kind.delete(keys)
        if len(keys) < BATCH:
            return total
