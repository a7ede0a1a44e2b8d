"""Has other workers, on any host, parse some of the files of a large audit.

The audit's own worker goes through the files from the front and parses them. From the back it offers parts to others, a
few at a time: rows that carry the sources, so that a helper needs neither the repository nor a way to it. Whoever
helps takes a row, parses it in limited children, stores the facts and deletes the row. In the end the audit's own
worker takes back what nobody has begun, and parses what somebody has begun and not finished; it waits for nobody.
Facts are a pure function of a file's bytes, so it does no harm when two parse the same, and the result is that of one
worker.
"""

import logging
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection

from audits import workforce
from audits.engine.facts import FACTS_VERSION
from audits.engine.parsing import (
    CARRIED_CHILD,
    SOURCE_CHILD,
    ChildLostError,
    ParsePool,
    ParserUnavailableError,
)
from audits.engine.policy import Limits
from audits.facts_store import PostgresFactsStore
from audits.models import Audit, PartOffer, State

logger = logging.getLogger(__name__)

PART: Final = 300  # files
PART_BYTES: Final = 4 * 1024**2  # of compressed sources
AHEAD: Final = (2, 8)  # parts offered that nobody has begun, at first and at most
POLL_SECONDS: Final = 0.2
IDLE_SECONDS: Final = 3.0  # for which a helper waits for another part

_TAKE = """
UPDATE audits_partoffer SET taken_at = now()
 WHERE id = (SELECT offer.id FROM audits_partoffer AS offer JOIN audits_audit AS audit ON audit.id = offer.audit_id
              WHERE offer.audit_id = %s AND offer.facts_version = %s AND audit.state = 'running'
                AND (offer.taken_at IS NULL OR offer.taken_at < now() - %s * interval '1 second')
              ORDER BY offer.id LIMIT 1 FOR UPDATE OF offer SKIP LOCKED)
RETURNING id, sources, file_bytes, file_seconds
"""
_TAKE_BACK = """
DELETE FROM audits_partoffer
 WHERE id = (SELECT id FROM audits_partoffer WHERE audit_id = %s AND taken_at IS NULL
              ORDER BY id DESC LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id
"""


def processes() -> int:
    """How many parsing processes one audit, or one helper, has."""
    return settings.SSOT_PARSE_PROCESSES or os.cpu_count() or 1


def host() -> str:
    return socket.gethostname()


# --- The audit's own worker ---------------------------------------------------------------------------------


class Sharing:
    """The engine's ``Share`` for one attempt of an audit. Use as a context manager; leaving it takes all offers back.

    ``call`` is told how many helpers to call.
    """

    def __init__(self, audit_id: int, repository: Path, limits: Limits, call: Callable[[int], None]) -> None:
        self._audit_id = audit_id
        self._repository = repository
        self._limits = limits
        self._call = call
        self._lock = threading.Lock()
        self._left: deque[list[str]] = deque()
        self._offered: dict[int, list[str]] = {}  # row -> its files
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._elsewhere = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop_offering()
        if self._thread is not None:
            PartOffer.objects.filter(audit=self._audit_id).delete()
            logger.info("Audit %s: other workers parsed %s files", self._audit_id, self._elsewhere)

    @property
    def elsewhere(self) -> int:
        return self._elsewhere

    def parts(self, shas: Sequence[str]) -> Iterator[Sequence[str]]:
        helpers = workforce.known().helping()
        if len(shas) < max(settings.SSOT_SHARE_FILES, 1) or not helpers:
            yield shas
            return
        PartOffer.objects.filter(audit=self._audit_id).delete()  # of an attempt that was cut off
        self._left.extend(list(shas[start : start + PART]) for start in range(0, len(shas), PART))
        self._thread = threading.Thread(target=self._offer, args=(helpers,), name="offers", daemon=True)
        self._thread.start()
        while (part := self._next()) is not None:
            yield part
        self._stop_offering()
        self._look()
        while (part := self._taken_back()) is not None:
            yield part
        store = PostgresFactsStore()
        for number in sorted(self._offered):
            self._look()
            if number in self._offered:
                offered = self._offered[number]
                known = store.known(offered)
                yield [sha for sha in offered if sha not in known]

    def _next(self) -> list[str] | None:
        with self._lock:
            return self._left.popleft() if self._left else None

    def _taken_back(self) -> list[str] | None:
        with connection.cursor() as cursor:
            cursor.execute(_TAKE_BACK, [self._audit_id])
            row = cursor.fetchone()
        return self._offered.pop(row[0], None) if row else None

    def _stop_offering(self) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def _look(self) -> list[bool]:
        """Count what others have finished. Answers of the others whether somebody has begun them."""
        rows = dict(PartOffer.objects.filter(audit=self._audit_id).values_list("pk", "taken_at"))
        for number in [number for number in self._offered if number not in rows]:
            self._elsewhere += len(self._offered.pop(number))
        return [taken is not None for taken in rows.values()]

    def _offer(self, helpers: int) -> None:
        """Keep some parts on offer. What goes wrong here only means that fewer are parsed elsewhere."""
        ahead, most = AHEAD
        try:
            with ParsePool(
                self._repository,
                file_bytes=self._limits.file_bytes,
                file_seconds=self._limits.file_seconds,
                workers=1,
                command=SOURCE_CHILD,
            ) as reader:
                called = False
                while not self._ended.wait(POLL_SECONDS if called else 0):
                    begun = self._look()
                    free = begun.count(False)
                    if called and not free:
                        ahead = min(2 * ahead, most)
                    for _ in range(ahead - free):
                        if (part := self._last()) is not None:
                            self._put_on_offer(part, reader)
                    if not called:
                        self._call(helpers)
                        called = True
        except (DatabaseError, InterfaceError, ChildLostError, ParserUnavailableError):
            return
        finally:
            connection.close()

    def _last(self) -> list[str] | None:
        """The last part, while there is enough left for this worker meanwhile."""
        with self._lock:
            return self._left.pop() if len(self._left) > 1 and not self._ended.is_set() else None

    def _put_on_offer(self, part: list[str], reader: ParsePool) -> None:
        sources: dict[str, bytes] = {}
        size = 0
        for outcomes in reader.parse(part):
            for outcome in outcomes:
                # What can't be read, and what is too much, is left to the one that has the repository.
                if not outcome.problem and size + len(outcome.facts) <= PART_BYTES:
                    size += len(outcome.facts)
                    sources[outcome.sha] = outcome.facts
        kept = [sha for sha in part if sha not in sources]
        offer = PartOffer.objects.create(
            audit_id=self._audit_id,
            facts_version=FACTS_VERSION,
            file_bytes=self._limits.file_bytes,
            file_seconds=self._limits.file_seconds,
            sources=msgspec.msgpack.encode(sources),
        )
        with self._lock:
            self._offered[offer.pk] = [sha for sha in part if sha in sources]
            if kept:
                self._left.appendleft(kept)


# --- Helpers ------------------------------------------------------------------------------------------------


def help_with(audit_id: int) -> int:
    """Parse what an audit's worker offers, until there is nothing more, or audits wait that this worker can do instead.

    Answers how many files that were.
    """
    done = 0
    pool: ParsePool | None = None
    store = PostgresFactsStore()
    deadline = time.monotonic() + IDLE_SECONDS
    try:
        while time.monotonic() < deadline and not Audit.objects.filter(state=State.QUEUED).exists():
            row = _take(audit_id)
            if row is None:
                if not Audit.objects.filter(pk=audit_id, state=State.RUNNING).exists():
                    break
                time.sleep(POLL_SECONDS)
                continue
            number, carried, file_bytes, file_seconds = row
            sources = msgspec.msgpack.decode(carried, type=dict[str, bytes])
            if pool is None:
                pool = ParsePool(
                    Path("/"),
                    file_bytes=file_bytes,
                    file_seconds=file_seconds,
                    workers=processes(),
                    command=CARRIED_CHILD,
                )
            for outcomes in pool.parse(list(sources), sources):
                # Whatever can't be parsed is looked at again, and judged, by the audit's own worker.
                store.put_many({o.sha: o.facts for o in outcomes if not o.problem})
            PartOffer.objects.filter(pk=number).delete()
            done += len(sources)
            logger.info("Parsed %s files for audit %s of another worker", len(sources), audit_id)
            deadline = time.monotonic() + IDLE_SECONDS
    finally:
        if pool is not None:
            pool.__exit__(None, None, None)
    return done


def _take(audit_id: int) -> tuple[int, bytes, int, int] | None:
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, [audit_id, FACTS_VERSION, settings.SSOT_LEASE_SECONDS])
        row = cursor.fetchone()
    return None if row is None else (row[0], bytes(row[1]), row[2], row[3])


def tidy() -> None:
    """Forget what was offered by attempts that have ended without taking it back."""
    PartOffer.objects.exclude(audit__state=State.RUNNING).delete()
