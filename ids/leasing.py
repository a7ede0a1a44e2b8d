"""Counters, and nobody else's: the only writer of ``IDCounter`` and ``IDLease``.

Uniqueness comes from PostgreSQL. A process leases a block of counters of a type by one committed statement on the
type's counter row, on a connection of its own, and hands the block out from memory. So a rollback of the caller, a
crash or a kill loses counters, which leaves a gap, and never brings one back, which would be a duplicate.

Safe over threads (one lock per type), forks (a child forgets what its parent leased), processes, hosts and crashes.
"""

import contextlib
import os
import secrets
import threading
import uuid
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import psycopg
from django.db import (
    DEFAULT_DB_ALIAS,
    DataError,
    Error,
    InterfaceError,
    OperationalError,
    connections,
)
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.functions import Now

from ids import client, formats, known, metrics
from ids.known import KnownType
from ids.models import LARGEST_LEASE, IDLease, IDType
from ids.refusals import (
    CounterBehind,
    CountersExhausted,
    InvalidCount,
    LeaseUnavailable,
    NotCounted,
    UnknownLease,
    UnknownType,
    UnsafeDatabase,
)

# A process starts with a small block, so that a short-lived one leaves a small gap, and doubles it with every lease, so
# that a busy one seldom waits for a lease.
FIRST_BLOCK: Final = 8
LARGEST_BLOCK: Final = 1024

# Records of IDs without a counter that a process makes until it folds their tallies; threads may miss some.
FOLDED_EVERY: Final = 256

# The first batch of a type leases what it needs; each later lease is for so many batches of its size, because a lease
# is a commit, and that is a good part of what a batch of a thousand costs.
BATCHES_AHEAD: Final = 8
LARGEST_AHEAD: Final = 80_000

LOCK_TIMEOUT_MS: Final = 5_000
SEED_BYTES: Final = 16


def forget() -> None:
    """Drops the blocks that this process leased, so that the next ID of each type starts with a new lease.

    Needed after a fork, where it runs by itself, and after the database behind the process was restored or replaced.
    """
    _leases.forget()
    _held.clear()
    _own.close()
    known.forget()


def next_counter(kind: KnownType) -> int:
    """A counter of the type that nobody else has or will have."""
    return _leases.next_counter(kind)


def counters(kind: KnownType, count: int) -> range:
    """So many counters in a row, that nobody else has or will have."""
    return _leases.counters(kind, count)


def hold(kind: KnownType) -> None:
    """What a lease does besides, for IDs that need no counter: it keeps the type from being deleted or renamed before
    its first ID, and folds the tallies now and then, so that they stay few.
    """
    if _held.get(kind.pk, 0) <= 0:
        _lease(kind, 0)
        _held[kind.pk] = FOLDED_EVERY
    _held[kind.pk] -= 1


def lease(type_value: str, size: int, issuer: str = "") -> client.Block:
    """A block for a client that hands out by itself, of a type as the registry has it now. What is refused is counted.

    Raises UnknownType, RetiredType, NotCounted, InvalidCount and what a lease raises; warns of a deprecated type.
    """
    with metrics.measured(None) as call:
        kind = known.refreshed(type_value)
        call.type_id = kind.pk
        return _leased(known.usable(kind), size, issuer)


def _leased(kind: KnownType, size: int, issuer: str) -> client.Block:
    if not kind.is_counted:
        label = formats.FORMATS[kind.format].label
        raise NotCounted(
            f'There is nothing to lease: the IDs of the type "{kind.value}" are in the format {label}.'
        )
    check_count(size, LARGEST_LEASE, "size")
    identifier, seed = uuid.uuid4(), secrets.token_bytes(SEED_BYTES)
    start = _lease(kind, size, {"lease": identifier, "seed": seed, "issuer": issuer})
    return client.Block(
        lease=str(identifier),
        type=kind.value,
        start=start,
        size=size,
        seed=seed,
        deprecated=kind.status == IDType.Status.DEPRECATED,
    )


class LeasedCounter(NamedTuple):
    """A counter that lies in a client's lease, and what of that lease tells whether an ID of it is genuine."""

    type_id: int
    counter: int
    start: int
    used: int
    seed: bytes


def leases_of(counters: Collection[tuple[int, int]]) -> list[LeasedCounter]:
    """Those of the counters, as (primary key of the type, counter), that lie in clients' leases; in one query."""
    if not counters:
        return []
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute(_LEASES_OF, [[type_id for type_id, _ in counters], [number for _, number in counters]])
        return [
            LeasedCounter(type_id, counter, start, used, bytes(seed))
            for type_id, counter, start, used, seed in cursor.fetchall()
        ]


_LEASES_OF = """
SELECT wanted.type_id, wanted.counter, held.start, held.used, held.seed
  FROM unnest(%s::bigint[], %s::bigint[]) AS wanted (type_id, counter)
 CROSS JOIN LATERAL (
       SELECT start, size, used, seed FROM ids_idlease
        WHERE type_id = wanted.type_id AND start <= wanted.counter ORDER BY start DESC LIMIT 1) AS held
 WHERE wanted.counter < held.start + held.size
"""


def locked(identifier: str, issuer: str = "") -> IDLease:
    """A lease, held until the caller's transaction ends. With ``issuer``, one of that caller's. Raises UnknownLease."""
    try:
        rows = IDLease.objects.select_for_update(of=["self"]).select_related("type")
        rows = rows.filter(issuer=issuer) if issuer else rows
        return rows.get(pk=uuid.UUID(identifier))
    except (ValueError, AttributeError, TypeError, IDLease.DoesNotExist) as error:
        raise UnknownLease(f"There is no lease {formats.shown(identifier)} of this caller's.") from error


def used(lease: IDLease, number: int) -> None:
    """Notes that the first ``number`` counters of a lease were used."""
    IDLease.objects.filter(pk=lease.pk).update(used=number, reported_at=Now())


def check_count(count: int, limit: int, what: str = "count") -> None:
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= limit:
        received = count if isinstance(count, int) and abs(count) < 2**63 else None
        raise InvalidCount(f"The {what} is a whole number from 1 to {limit}.", limit, received=received)


# --- health and repair ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BehindCounter:
    """A type whose counter is not above its highest issued ID."""

    type: str
    next_counter: int
    highest: int


@dataclass(frozen=True, slots=True)
class Health:
    """Whether IDs can be issued: ``problems`` says in words why not."""

    synchronous_commit: str
    behind: tuple[BehindCounter, ...]

    @property
    def problems(self) -> tuple[str, ...]:
        found = [
            f'The counter of the ID type "{row.type}" is behind its issued IDs: it would issue {row.next_counter} '
            f"next, and {row.highest} was issued already. No IDs of it are issued until it is set right: "
            "manage.py repair_counters."
            for row in self.behind
        ]
        if self.synchronous_commit == "off":
            found.append(_UNSAFE)
        return tuple(found)


def health() -> Health:
    """One statement; of each type it reads the end of an index."""
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute("SELECT current_setting('synchronous_commit')")
        (synchronous_commit,) = cursor.fetchone()
        cursor.execute(_BEHIND)
        return Health(synchronous_commit, tuple(BehindCounter(*row) for row in cursor.fetchall()))


@dataclass(frozen=True, slots=True)
class Repair:
    """A counter that was moved on."""

    type: str
    before: int
    after: int


def repair(ahead: int, *, everything: bool = False) -> list[Repair]:
    """Sets each counter that is behind ``ahead`` above the highest that is known, issued or leased to a client.

    ``everything`` moves all counters on, those as well that have not begun: after a restore, IDs that the backup never
    knew may be in use. Processes that hold blocks from before a restore have to be started anew.
    """
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute(_REPAIR, {"ahead": ahead, "everything": everything})
        return [Repair(*row) for row in cursor.fetchall()]


_HIGHEST = """
SELECT kind.id, kind.value, kind.format, held.type_id IS NOT NULL AS is_held,
       coalesce(held.next_counter, 1) AS next_counter, greatest(
           (SELECT max(counter) FROM ids_issuedid WHERE type_id = kind.id),
           (SELECT start + size - 1 FROM ids_idlease WHERE type_id = kind.id ORDER BY start DESC LIMIT 1)
       ) AS highest
  FROM ids_idtype AS kind LEFT JOIN ids_idcounter AS held ON held.type_id = kind.id
"""

_BEHIND = f"""
SELECT value, next_counter, highest FROM ({_HIGHEST}) AS known WHERE highest >= next_counter ORDER BY value
"""  # noqa: S608 - texts of this file

# A type without a counter may have issued its first IDs after the backup: it gets one.
_REPAIR = f"""
WITH known AS ({_HIGHEST}), moved AS (
    INSERT INTO ids_idcounter AS held (type_id, next_counter, issued, released, leased_at)
    SELECT id, greatest(coalesce(highest, 0) + 1, next_counter) + %(ahead)s, 0, 0, statement_timestamp()
      FROM known
     WHERE highest >= next_counter OR (%(everything)s AND (is_held OR format = '{formats.STRUCTURED}'))
    ON CONFLICT (type_id) DO UPDATE SET next_counter = greatest(excluded.next_counter, held.next_counter)
    RETURNING type_id, next_counter
)
SELECT known.value, known.next_counter, moved.next_counter
  FROM moved JOIN known ON known.id = moved.type_id ORDER BY known.value
"""  # noqa: S608 - texts of this file


# --- blocks of this process -------------------------------------------------------------------------------------------


class _Block:
    """What this process may still hand out of one type's counters."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.size = 0
        # One iterator, replaced as a whole: a signal between two statements can lose counters, but never repeat one.
        self.counters: Iterator[int] = iter(())
        # Of batches: None before the first. Replaced as a whole, too, and before a part of it is handed out.
        self.rest: range | None = None


class _Leases:
    """The blocks of this process, by the type's primary key."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self._lock = threading.Lock()  # a new one, because a fork may copy a lock that another thread holds
        self._blocks: dict[int, _Block] = {}

    def next_counter(self, kind: KnownType) -> int:
        block = self._block(kind)
        counter = next(block.counters, None)  # atomic by itself
        while counter is None:
            with block.lock:
                counter = next(block.counters, None)  # another thread was faster
                if counter is None:
                    size = min(max(2 * block.size, FIRST_BLOCK), LARGEST_BLOCK)
                    start = _lease(kind, size)
                    fresh = iter(range(start, start + size))
                    counter = next(fresh)
                    block.counters, block.size = fresh, size
        return counter

    def counters(self, kind: KnownType, count: int) -> range:
        block = self._block(kind)
        with block.lock:
            rest = block.rest
            if rest is None or len(rest) < count:  # what is left of it becomes a gap
                ahead = count if rest is None else max(count, min(BATCHES_AHEAD * count, LARGEST_AHEAD))
                start = _lease(kind, ahead)
                rest = range(start, start + ahead)
            block.rest = rest[count:]
        return rest[:count]

    def _block(self, kind: KnownType) -> _Block:
        block = self._blocks.get(kind.pk)
        if block is None:
            with self._lock:
                block = self._blocks.setdefault(kind.pk, _Block())
        return block


_leases = _Leases()
_held: dict[int, int] = {}  # by the type's primary key: records until its tallies are folded again


# --- the connection that leases ---------------------------------------------------------------------------------------


class _OwnConnection:
    """One connection of this process, for leases alone: whatever a caller's transaction does, a lease is committed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wrapper: BaseDatabaseWrapper | None = None
        self._inherited: list[BaseDatabaseWrapper] = []

    def execute(self, statement: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Runs one statement in a transaction of its own; once more, when the server had hung up since the last."""
        with self._lock:
            fresh = self._wrapper is None
            try:
                return self._execute(statement, values)
            except (OperationalError, InterfaceError) as error:
                # What may have been committed although the answer was lost is a gap.
                if fresh or not _is_hung_up(error):
                    raise
                self._drop()
            return self._execute(statement, values)

    def close(self) -> None:
        with self._lock:
            self._drop()

    def after_fork(self) -> None:
        """The socket is the parent's: it is kept open, and not used."""
        self._lock = threading.Lock()
        if self._wrapper is not None:
            self._inherited.append(self._wrapper)
            self._wrapper = None

    def _execute(self, statement: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        if self._wrapper is None:
            wrapper = connections[DEFAULT_DB_ALIAS].copy()
            wrapper.inc_thread_sharing()  # guarded by the lock
            self._wrapper = wrapper
        try:
            with self._wrapper.cursor() as cursor:
                # Both in one message, which is one transaction. A pooler may hand the session to others afterwards.
                cursor.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}; {statement}", values)
                cursor.nextset()
                return list(cursor.fetchall())
        except (OperationalError, InterfaceError) as error:
            if _is_hung_up(error):
                self._drop()
            raise

    def _drop(self) -> None:
        wrapper, self._wrapper = self._wrapper, None
        if wrapper is not None:
            with contextlib.suppress(Error):
                wrapper.close()


def _is_hung_up(error: Exception) -> bool:
    """Whether the connection is gone, rather than the statement refused. A refusal has a code of the server's."""
    cause = error.__cause__
    code = cause.sqlstate if isinstance(cause, psycopg.Error) else None
    # class 57P: the server shuts down, was crashed, or ends an idle session
    return code is None or code.startswith(("57P", "08"))


_own = _OwnConnection()


def _after_fork() -> None:
    _leases.forget()
    _own.after_fork()


os.register_at_fork(after_in_child=_after_fork)

# --- the statement ----------------------------------------------------------------------------------------------------

# One statement, so one round trip and one commit. The type is looked at again, and held against deletion and a new
# value until the lease is committed: an ID must not carry a value that its type no longer has. KEY SHARE lets all other
# edits of the row pass. The tallies of the type are folded into the counter row on the way; those that another lease
# is folding just now are left to it.
_LEASE = """
WITH kind AS (
    SELECT id FROM ids_idtype WHERE id = %(type)s AND value = %(value)s FOR KEY SHARE
), gone AS (
    DELETE FROM ids_idtally
     WHERE id IN (SELECT id FROM ids_idtally WHERE type_id = %(type)s FOR UPDATE SKIP LOCKED)
       AND EXISTS (SELECT FROM kind) AND current_setting('synchronous_commit') <> 'off'
       AND {not_behind}
    RETURNING issued, released, last_issued_at
), total AS (
    SELECT coalesce(sum(issued), 0) AS issued, coalesce(sum(released), 0) AS released,
           max(last_issued_at) AS last_issued_at
      FROM gone
), advanced AS (
    INSERT INTO ids_idcounter AS held (type_id, next_counter, issued, released, last_issued_at, leased_at)
    SELECT kind.id, 1 + %(size)s, total.issued, total.released, total.last_issued_at, statement_timestamp()
      FROM kind, total
     WHERE current_setting('synchronous_commit') <> 'off' AND {not_behind}
    ON CONFLICT (type_id) DO UPDATE
       SET next_counter = held.next_counter + %(size)s,
           issued = held.issued + excluded.issued,
           released = held.released + excluded.released,
           last_issued_at = greatest(held.last_issued_at, excluded.last_issued_at),
           leased_at = excluded.leased_at
    RETURNING next_counter - %(size)s AS start
)
"""

# The counter row as this statement found it. It only ever grows, so a lease that comes between can't make it behind.
_NOT_BEHIND = """coalesce((SELECT max(counter) FROM ids_issuedid WHERE type_id = %(type)s), 0)
           < coalesce((SELECT next_counter FROM ids_idcounter WHERE type_id = %(type)s), 1)"""

_LEASE_HERE = _LEASE.format(not_behind=_NOT_BEHIND) + "SELECT start FROM advanced"  # noqa: S608 - texts of this file
_LEASE_OUT = (
    _LEASE.format(not_behind=_NOT_BEHIND)
    + """
INSERT INTO ids_idlease (id, type_id, start, size, seed, issuer, used)
SELECT %(lease)s, %(type)s, start, %(size)s, %(seed)s, %(issuer)s, 0 FROM advanced
RETURNING start
"""
)

_WHY_NOT = """
SELECT current_setting('synchronous_commit'),
       EXISTS (SELECT FROM ids_idtype WHERE id = %(type)s AND value = %(value)s),
       (SELECT next_counter FROM ids_idcounter WHERE type_id = %(type)s),
       (SELECT max(counter) FROM ids_issuedid WHERE type_id = %(type)s)
"""

_UNSAFE: Final = (
    "No IDs are issued while PostgreSQL's synchronous_commit is off: "
    "after a crash the same counters would be issued again."
)


def _lease(kind: KnownType, size: int, out: Mapping[str, Any] | None = None) -> int:
    """Advances the type's counter by ``size`` for good and returns the first counter of the block."""
    values: dict[str, Any] = {"type": kind.pk, "value": kind.value, "size": size, **(out or {})}
    try:
        rows = _own.execute(_LEASE_HERE if out is None else _LEASE_OUT, values)
        if not rows:
            raise _why_not(kind, _own.execute(_WHY_NOT, values)[0])
    except DataError as error:
        raise CountersExhausted(
            f'The ID type "{kind.value}" has no {size} counters left below {formats.COUNTER_MAX}.',
            formats.COUNTER_MAX,
        ) from error
    except (OperationalError, InterfaceError) as error:
        raise LeaseUnavailable(
            f'No counters of the ID type "{kind.value}" could be leased now, so no ID was issued: {error}'
        ) from error
    return int(rows[0][0])


def _why_not(kind: KnownType, found: tuple[Any, ...]) -> Exception:
    synchronous_commit, is_there, next_counter, highest = found
    if synchronous_commit == "off":
        _own.close()  # the next lease looks at the setting anew, which a session may have from when it began
        return UnsafeDatabase(_UNSAFE)
    if not is_there:
        known.forget(kind.value)
        return UnknownType(f'The ID type "{kind.value}" was removed, renamed or is not committed yet.')
    return behind(kind, f"it would issue {next_counter or 1} next, and {highest} was issued already")


def behind(kind: KnownType, detail: str) -> CounterBehind:
    return CounterBehind(
        f'The counter of the ID type "{kind.value}" is behind its issued IDs: {detail}. '
        "Was the database restored in part? Set the counter above the highest issued ID: manage.py repair_counters."
    )
