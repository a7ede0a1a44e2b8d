"""Counts what happens to IDs, cheaply, and keeps the sums small. The only writer of ``TypeUse``.

``count`` adds to a buffer of this process, which costs well below a microsecond and never touches the database. A
thread writes the buffer down every ``SSOT_METRICS_FLUSH_SECONDS``, and the process does so when it ends. Several
processes, on several hosts, add to the same rows, so what the rows say is the sum over all of them.

What can be lost: a process that is killed loses the counts of its last second, a power cut of the database those of
the last two. Counts say what was handed out, also where the caller's transaction was rolled back later. So these
numbers are for charts and alarms. How many IDs were issued is exact, and in other rows: see ``IDCounter``.

Safe over threads and forks: a child starts with an empty buffer, and its parent writes what the parent counted.
"""

import atexit
import json
import logging
import os
import threading
import time
from bisect import bisect_left
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple, Self

from django.conf import settings
from django.db import DatabaseError, InterfaceError, close_old_connections, connection, transaction

from ids.models import LATENCY_BOUNDS, NO_TYPE, Grain, Kind

logger = logging.getLogger(__name__)

# While the database is away the buffer grows by a key for each minute and kind; this many are kept.
MOST_KEYS: Final = 20_000
REASON_MAX_LENGTH: Final = 40
PURGE_BATCH: Final = 10_000


class Key(NamedTuple):
    """What is counted apart: the minute as minutes since 1970."""

    minute: int
    type_id: int
    kind: str
    reason: str


@dataclass(slots=True)
class Sum:
    """A number of events, and where they were timed, how long they took."""

    count: int = 0
    seconds: float = 0.0
    buckets: list[int] | None = None

    def add(self, other: "Sum") -> None:
        self.count += other.count
        self.seconds += other.seconds
        if other.buckets is not None:
            mine = self.buckets or [0] * len(other.buckets)
            self.buckets = [a + b for a, b in zip(mine, other.buckets, strict=True)]


def count(
    kind: Kind, type_id: int | None, number: int = 1, *, reason: str = "", seconds: float | None = None
) -> None:
    """Count ``number`` events of one type; ``None`` where the registry has no such type.

    ``reason`` is for rejections: the stable code of the error. ``seconds`` is how long the one call took that did all
    of them; it is counted once.
    """
    _buffer.add(Key(int(time.time()) // 60, type_id or NO_TYPE, kind, reason), number, seconds)


class measured:  # noqa: N801 (a context manager that is used as a function)
    """Times a call and counts it: as ``kind`` when it ends, as rejected, with the error's ``code``, when it raises.

    Without a ``kind`` only the rejection counts: what is leased counts when it is used.

    ``with measured(Kind.GENERATED) as call:`` sets ``call.type_id`` as soon as it knows the type, and ``call.number``
    where it is for several IDs at once.
    """

    __slots__ = ("_kind", "_started", "number", "type_id")

    def __init__(self, kind: Kind | None) -> None:
        self._kind = kind
        self.type_id: int | None = None
        self.number = 1

    def __enter__(self) -> Self:
        self._started = time.perf_counter()
        return self

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        if error is None:
            if self._kind is not None:
                count(self._kind, self.type_id, self.number, seconds=time.perf_counter() - self._started)
        elif isinstance(error, Exception):
            count(Kind.REJECTED, self.type_id, reason=str(getattr(error, "code", "failed")))


def flush() -> int:
    """Write down what this process has counted, and return how many rows that changed.

    Raises what the database raises; the counts are kept then and written with the next flush.
    """
    with _buffer.writing:  # two flushes of one process must not put back in each other's way
        taken = _buffer.take()
        if not taken:
            return 0
        rows = _by_grain(taken)
        own = not connection.in_atomic_block
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                if own:
                    cursor.execute("SET LOCAL synchronous_commit = off")
                cursor.execute(_UPSERT, [json.dumps([_as_json(*row) for row in rows.items()])])
        except BaseException:
            _buffer.put_back(taken)
            raise
    return len(rows)


def forget() -> None:
    """Drop what was counted and not written, as a child does after a fork."""
    _buffer.start_anew()


def purge(now: datetime) -> int:
    """Delete the sums whose time is over, in short transactions, and return how many rows those were."""
    gone = 0
    for grain, days in kept_days().items():
        while True:
            with connection.cursor() as cursor:
                cursor.execute(_PURGE, [grain, now - timedelta(days=days), PURGE_BATCH])
                deleted = cursor.rowcount
            gone += deleted
            if deleted < PURGE_BATCH:
                break
    return gone


def kept_days() -> dict[Grain, int]:
    """How many days the sums of each grain are kept; those since ever always are."""
    return {
        Grain.MINUTE: settings.SSOT_METRICS_MINUTE_DAYS,
        Grain.HOUR: settings.SSOT_METRICS_HOUR_DAYS,
        Grain.DAY: settings.SSOT_METRICS_DAY_DAYS,
    }


# --- the buffer -------------------------------------------------------------------------------------------------------


class _Buffer:
    def __init__(self) -> None:
        self.start_anew()

    def start_anew(self) -> None:
        """Also after a fork, which may copy a lock that another thread holds, and copies no thread."""
        self._lock = threading.Lock()
        self.writing = threading.Lock()
        self._sums: dict[Key, Sum] = {}
        self._writer: threading.Thread | None = None

    def add(self, key: Key, number: int, seconds: float | None) -> None:
        with self._lock:
            total = self._sums.get(key)
            if total is None:
                total = self._sums[key] = Sum()
                if self._writer is None:
                    self._start_writer()
            total.count += number
            if seconds is not None:
                if total.buckets is None:
                    total.buckets = [0] * (len(LATENCY_BOUNDS) + 1)
                total.buckets[bisect_left(LATENCY_BOUNDS, seconds)] += 1
                total.seconds += seconds

    def take(self) -> dict[Key, Sum]:
        with self._lock:
            taken, self._sums = self._sums, {}
        return taken

    def put_back(self, taken: dict[Key, Sum]) -> None:
        with self._lock:
            for key, total in self._sums.items():
                taken.setdefault(key, Sum()).add(total)
            if excess := max(0, len(taken) - MOST_KEYS):
                logger.error("The database is away for so long that %s sums of use were dropped", excess)
            self._sums = dict(sorted(taken.items())[excess:])

    def _start_writer(self) -> None:
        if settings.SSOT_METRICS_FLUSH_SECONDS > 0:
            self._writer = threading.Thread(
                target=self._keep_writing, args=[self.writing], name="writer of metrics", daemon=True
            )
            self._writer.start()

    def _keep_writing(self, generation: threading.Lock) -> None:
        while True:
            time.sleep(settings.SSOT_METRICS_FLUSH_SECONDS)
            if self.writing is not generation:
                return  # the buffer started anew, and so did its writer
            _flush_quietly()


def _flush_quietly() -> None:
    """On a connection of this thread, which ages as those of requests do."""
    close_old_connections()
    try:
        flush()
    except (DatabaseError, InterfaceError) as error:
        logger.warning("Counts of use wait for the next second: %s", error)
    close_old_connections()


def flush_at_exit() -> None:
    """The last counts of a process that ends in peace. Celery's children say so by a signal of their own."""
    if settings.SSOT_METRICS_FLUSH_SECONDS > 0:
        _flush_quietly()


_buffer = _Buffer()
os.register_at_fork(after_in_child=forget)
atexit.register(flush_at_exit)


# --- the rows ---------------------------------------------------------------------------------------------------------

# Ordered, so that processes which add to the same rows wait for one another and never in a circle. Nothing here is
# worth a wait for the disk; the setting is left alone where a caller's transaction would keep it.
_UPSERT = """
INSERT INTO ids_typeuse AS held (type_id, grain, starts_at, kind, reason, count, seconds, buckets)
SELECT type_id, grain, to_timestamp(starts), kind, reason, count, seconds, buckets
  FROM jsonb_to_recordset(%s::jsonb) AS new(
       type_id bigint, grain integer, starts bigint, kind text, reason text,
       count bigint, seconds double precision, buckets bigint[])
 ORDER BY type_id, grain, starts, kind, reason
ON CONFLICT (type_id, grain, starts_at, kind, reason) DO UPDATE
   SET count = held.count + excluded.count,
       seconds = held.seconds + excluded.seconds,
       buckets = CASE
           WHEN held.buckets IS NULL THEN excluded.buckets
           WHEN excluded.buckets IS NULL THEN held.buckets
           ELSE ARRAY(SELECT coalesce(a, 0) + coalesce(b, 0)
                        FROM unnest(held.buckets, excluded.buckets) WITH ORDINALITY AS pair(a, b, place)
                       ORDER BY place)
       END
"""

# Chosen into an array: a join could choose anew for each row that it deletes.
_PURGE = """
DELETE FROM ids_typeuse WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM ids_typeuse WHERE grain = %s AND starts_at < %s LIMIT %s FOR UPDATE SKIP LOCKED
))
"""


def _by_grain(sums: dict[Key, Sum]) -> dict[tuple[int, int, int, str, str], Sum]:
    """(type, grain, start in seconds since 1970, kind, reason) to the sum that its row grows by."""
    rows: dict[tuple[int, int, int, str, str], Sum] = {}
    for key, total in sums.items():
        for grain in Grain:
            start = key.minute * 60 // grain * grain if grain else 0
            rows.setdefault((key.type_id, grain.value, start, key.kind, key.reason), Sum()).add(total)
    return rows


def _as_json(key: tuple[int, int, int, str, str], total: Sum) -> dict[str, Any]:
    type_id, grain, start, kind, reason = key
    return {
        "type_id": type_id,
        "grain": grain,
        "starts": start,
        "kind": kind,
        "reason": reason[:REASON_MAX_LENGTH],
        "count": total.count,
        "seconds": total.seconds,
        "buckets": total.buckets,
    }


def start_of(grain: Grain, moment: datetime) -> datetime:
    """When the minute, hour or day began that a moment lies in."""
    seconds = int(moment.timestamp())
    return datetime.fromtimestamp(seconds // grain * grain if grain else 0, UTC)
