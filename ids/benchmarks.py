"""Measures the service of IDs beside something known, in the same run: ratios mean more than rates.

Each pair is measured in turns, several times, and the best of each counts: on a busy machine both sides are slowed, and
the best is what either can do.
"""

import itertools
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import psycopg
from django.db import connection

from ids import client, leasing, minting
from ids.models import IDType

TYPE: Final = "bench"
_TURNS: Final = 5


@dataclass(frozen=True, slots=True)
class Figure:
    """A rate beside that of a peer, in IDs (or requests) a second, and the ratio that is wanted."""

    name: str
    rate: float
    peer: str
    peer_rate: float
    wanted: float | None = None
    note: str = ""

    @property
    def ratio(self) -> float:
        return self.rate / self.peer_rate


class LeasesHere:
    """The source of a client in this process: blocks straight from the database, use not reported."""

    def lease(self, type_value: str, size: int) -> client.Block:
        try:
            return leasing.lease(type_value, size, "bench")
        except minting.LeaseUnavailable as error:
            raise client.Unavailable(error.message) from error

    def report(self, reports: object) -> None:
        """Not registered: what was used stays a leased block."""


def figures() -> Iterator[Figure]:
    """Every figure of one process, on the database of the settings; makes the type ``bench`` where it is missing."""
    IDType.objects.get_or_create(value=TYPE, defaults={"description": "What a benchmark issued."})
    local = client.Client(source=LeasesHere(), first_block=10_000)
    try:
        yield from _in_memory(local)
    finally:
        local.close()
    yield from _committed()


def _in_memory(local: client.Client) -> Iterator[Figure]:
    number = 100_000
    generate, uuid4 = local.generate, uuid.uuid4

    def leased() -> None:
        for _ in itertools.repeat(None, number):
            generate(TYPE)

    def uuids() -> None:
        for _ in itertools.repeat(None, number):
            str(uuid4())

    one, peer = _in_turns((leased, number), (uuids, number))
    yield Figure("leased, one at a time, not registered", one, "str(uuid.uuid4())", peer, 2.0)
    many, peer = _in_turns((lambda: local.generate_many(TYPE, number), number), (uuids, number))
    yield Figure("leased, many at a time, not registered", many, "str(uuid.uuid4())", peer)


def _committed() -> Iterator[Figure]:
    with _bare() as bare:
        for size, repeats, wanted in ((1_000, 10, 0.6), (10_000, 3, 0.8)):
            ours, copy = _in_turns(
                (_repeated(lambda size=size: minting.generate_many(TYPE, size), repeats), size * repeats),  # type: ignore[misc]
                (_Copies(bare, size, repeats), size * repeats),
            )
            yield Figure(
                f"registered and committed, batches of {size:,}",
                ours,
                "a bare COPY of rows made before",
                copy,
                wanted,
            )
            memory = max(_rate(_original, 50_000) for _ in range(3))
            yield Figure("  the same", ours, "lock + dict + uuid4, in memory", memory, 1.0)
        ours, insert = _in_turns(
            (_repeated(lambda: minting.generate(TYPE), 500), 500),
            (_repeated(lambda: _insert(bare), 500), 500),
        )
        yield Figure("registered and committed, one at a time", ours, "a bare committed INSERT", insert, 0.7)


def _repeated(work: Callable[[], object], times: int) -> Callable[[], None]:
    def repeated() -> None:
        for _ in range(times):
            work()

    return repeated


def _in_turns(*works: tuple[Callable[[], object], int]) -> list[float]:
    """The best rate of each, measured in turns."""
    best = [0.0] * len(works)
    for _ in range(_TURNS):
        for place, (work, number) in enumerate(works):
            best[place] = max(best[place], _rate(work, number))
    return best


def _rate(work: Callable[..., object], number: int) -> float:
    if isinstance(work, _Copies):
        work.prepare()
    started = time.perf_counter()
    if work is _original:
        work(number)
    else:
        work()
    return number / (time.perf_counter() - started)


def _original(number: int) -> None:
    """What an ID manager in memory does for each ID: a lock, a counter, a random part, a dictionary."""
    lock, registry = threading.Lock(), dict[str, dict[str, Any]]()
    counters: dict[str, int] = {}
    for _ in range(number):
        with lock:
            counter = counters[TYPE] = counters.get(TYPE, 0) + 1
            text = f"{TYPE}_{counter}_{uuid.uuid4().hex[:8]}"
            registry[text] = {"type": TYPE, "prefix": None, "context": {}, "at": time.time()}


# --- peers in the database --------------------------------------------------------------------------------------------

# The same table and columns, and nothing else: no lease, no counter that was asked for, no tally.
_COPY: Final = "COPY ids_issuedid (id, type_id, counter, prefix, context, issued_at, state) FROM STDIN"
_INSERT: Final = """
INSERT INTO ids_issuedid (id, type_id, counter, prefix, context, issued_at, state)
VALUES (%s, 0, %s, '', '{}', statement_timestamp(), 'issued')
"""
# of a type that there isn't, so that they meet none of ours
_next = itertools.count(1)


def _bare() -> psycopg.Connection[Any]:
    connection.ensure_connection()
    assert isinstance(connection.connection, psycopg.Connection)
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(counter), 0) + 1 FROM ids_issuedid WHERE type_id = 0")
        (start,) = cursor.fetchone()
    global _next  # noqa: PLW0603 - a peer of one run
    _next = itertools.count(start)
    parameters = connection.get_connection_params()
    parameters.pop("cursor_factory", None)
    parameters.pop("context", None)
    return psycopg.connect(**parameters, autocommit=True)


class _Copies:
    """COPY of rows that are made before the clock runs: each batch one statement, committed."""

    def __init__(self, bare: psycopg.Connection[Any], size: int, times: int) -> None:
        self._bare, self._size, self._times = bare, size, times
        self._batches: list[bytes] = []

    def prepare(self) -> None:
        now = datetime.now(UTC).isoformat()
        self._batches = [
            "".join(
                f"bare_{number}_9f86d081\t0\t{number}\t\t{{}}\t{now}\tissued\n"
                for number in itertools.islice(_next, self._size)
            ).encode()
            for _ in range(self._times)
        ]

    def __call__(self) -> None:
        for rows in self._batches:
            with self._bare.cursor() as cursor, cursor.copy(_COPY) as copy:
                copy.write(rows)


def _insert(bare: psycopg.Connection[Any]) -> None:
    number = next(_next)
    bare.execute(_INSERT, (f"bare_{number}_9f86d081", number))
