"""Removes repositories: at once from every page, and then from the database, in parts, by workers.

A removed repository keeps its row, marked, until nothing hangs on it any more; ``Repository.objects`` leaves it out. So
a worker that is killed in the middle loses nothing, and whoever comes next goes on.
"""

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.db import DEFAULT_DB_ALIAS, connection, transaction
from django.db.models import Model, Q, QuerySet, Value
from django.db.models.functions import Now
from django.dispatch import Signal
from psycopg.sql import SQL, Composed, Identifier

from audits import fetching
from audits.facts_store import forget_results
from audits.models import (
    IN_FLIGHT,
    Audit,
    AuditProblem,
    Channel,
    Event,
    Lifespan,
    Membership,
    MemberUse,
    Notice,
    PolicyInquiry,
    RegistryReading,
    Repository,
    SampleRemoval,
    Sighting,
    State,
    Test,
    TestCommand,
    TestExecution,
    TestReport,
    TestResult,
    TestRun,
    Violation,
)
from audits.models.history import Commit

# Sent with ``repository_id`` when a repository is removed, in that transaction: for what others keep of one.
removed = Signal()

# Rows in one transaction; reports may have megabytes each.
PART: Final = 5_000
REPORTS: Final = 50
# Then others have their turn.
TURN_SECONDS: Final = 10.0
# After which a worker that gave no sign of life counts as lost.
_LEASE: Final = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class _Many:
    """Of what a repository can have hundreds of thousands of rows; ``parent`` is what they belong to by ``field``, if
    not to the repository itself."""

    rows: type[Model]
    field: str = "repository"
    parent: type[Model] | None = None
    size: int = PART
    key: str = "id"

    def of(self, repository_id: int) -> QuerySet[Any]:
        owner = self.field if self.parent is None else f"{self.field}__repository"
        return self.rows._default_manager.filter(**{owner: repository_id})


# Who refers to others first.
_MANY: Final[Sequence[_Many]] = (
    _Many(TestResult, "run", TestRun),
    _Many(Test),
    _Many(TestReport, "run", TestRun, REPORTS, "run_id"),
    _Many(MemberUse, "reading", RegistryReading),
    _Many(AuditProblem, "audit", Audit),
    _Many(Lifespan, "introduced_in", Audit),
    _Many(Sighting, "audit", Audit),
    _Many(Event, "commit", Commit),
    _Many(Commit),
    _Many(Violation),
)


def remove(repository: Repository) -> None:
    """From now on nobody finds the repository and nothing is begun for it; its name is free. Audits in flight end
    without a trace. The caller sends the message for ``go_on`` after the commit.

    The sample is built by the site itself, so its git repository goes, too; and it doesn't come back.
    """
    with transaction.atomic():
        if not Repository.objects.filter(pk=repository.pk).update(removed_at=Now()):
            return
        _stop(repository.pk)
        Membership.objects.filter(repository=repository).delete()
        Channel.objects.filter(repository=repository).delete()
        Notice.objects.filter(repository=repository).delete()
        TestCommand.objects.filter(repository=repository).delete()
        removed.send(sender=None, repository_id=repository.pk)
        if repository.is_sample:
            SampleRemoval.objects.create()
    if repository.is_sample:
        shutil.rmtree(fetching.sample_path(), ignore_errors=True)


def pending() -> QuerySet[Repository]:
    """The repositories that are removed and of which something is left, the first one first."""
    return Repository.with_removed.exclude(removed_at=None).order_by("removed_at")


def due() -> list[int]:
    """Those of them that nobody works on."""
    return list(_free(pending()).values_list("pk", flat=True))


def go_on(repository_id: int, seconds: float | None = None) -> bool:
    """Delete what is left of a removed repository, for some ``seconds`` (None: all of it), unless another worker does.

    Each part is a transaction of its own, of at most 5,000 rows. Answers whether there is more to do.
    """
    mine = pending().filter(pk=repository_id).order_by()
    if not _free(mine).update(removing_until=Now() + Value(_LEASE)):
        return False
    end = time.monotonic() + seconds if seconds is not None else None
    try:
        _stop(repository_id)  # what somebody asked for in the very moment of the removal
        for many in _MANY:
            while _delete_part(many, repository_id) == many.size:
                if end is not None and time.monotonic() >= end:
                    return True
                mine.update(removing_until=Now() + Value(_LEASE))
        _delete_rest(repository_id)
    finally:
        mine.update(removing_until=None)
    fetching.remove_clone(repository_id)
    return False


def _free(rows: QuerySet[Repository]) -> QuerySet[Repository]:
    return rows.filter(Q(removing_until=None) | Q(removing_until__lt=Now()))


def _stop(repository_id: int) -> None:
    """End what is in flight: who works on it has lost the right to, and writes nothing more."""
    audits = Audit.objects.filter(repository=repository_id, state__in=IN_FLIGHT)
    audits.update(state=State.CANCELLED, finished_at=Now(), lease_token=None, lease_until=None)
    for model in (TestExecution, PolicyInquiry):
        model._default_manager.filter(repository=repository_id, state__in=IN_FLIGHT).update(
            state=State.CANCELLED
        )


def _delete_part(many: _Many, repository_id: int) -> int:
    """Delete as many of these rows as one transaction takes, and say how many."""
    with connection.cursor() as cursor:
        cursor.execute(_part_of(many), {"repository": repository_id, "size": many.size})
        return int(cursor.rowcount)


def _part_of(many: _Many) -> Composed:
    table, key = Identifier(many.rows._meta.db_table), Identifier(many.key)
    owner = Identifier(f"{many.field}_id")
    if many.parent is None:
        return _PART_OF_ITS_OWN.format(table=table, key=key, owner=owner)
    parent = Identifier(many.parent._meta.db_table)
    return _PART_BY_PARENT.format(table=table, key=key, owner=owner, parent=parent)


# The rows are chosen into an array: a join could choose anew for each row that it deletes, and take more than it may.
_PART_OF_ITS_OWN: Final = SQL("""
DELETE FROM {table} WHERE {key} = ANY (ARRAY(
    SELECT {key} FROM {table} WHERE {owner} = %(repository)s LIMIT %(size)s))
""")
# By the parents, one after the other: a join might read the whole table for each part.
_PART_BY_PARENT: Final = SQL("""
DELETE FROM {table} WHERE {key} = ANY (ARRAY(
    SELECT part.{key} FROM {parent} AS parent
     CROSS JOIN LATERAL (SELECT {key} FROM {table} WHERE {owner} = parent.id LIMIT %(size)s) AS part
     WHERE parent.repository_id = %(repository)s LIMIT %(size)s))
""")


def _delete_rest(repository_id: int) -> None:
    with transaction.atomic():
        row = Repository.with_removed.filter(pk=repository_id)
        if not row.select_for_update().exists():
            return
        for many in _MANY:  # what was written meanwhile; a cascade would read the rows first
            many.of(repository_id)._raw_delete(using=DEFAULT_DB_ALIAS)
        row.update(current_audit=None, policy=None)
        row.delete()
        forget_results()  # nothing says of which repositories they are
