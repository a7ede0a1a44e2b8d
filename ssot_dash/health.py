"""Whether the site can do its work: each part it needs, and in words what is wrong with it."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain
from typing import Any, Final

from celery import current_app
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from kombu.exceptions import ChannelError

from audits.models import Audit, State
from ids import leasing
from ssot_dash.heartbeats import LIVE
from ssot_dash.models import Heartbeat

BEAT_SECONDS = 60
WORKER_SECONDS = int(LIVE.total_seconds())
# An audit that nobody works on is taken back with the scheduler's next tick, ten seconds later.
STUCK_SECONDS = 120
BROKER_SECONDS = 3
# Answers are kept for so long, so that whoever asks often costs little.
CACHE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Queue:
    """One queue: how many messages wait in it (None when the broker does not say), how many live workers listen."""

    name: str
    length: int | None
    workers: int


@dataclass(frozen=True, slots=True)
class Check:
    """One part: its name, whether it is well, and that in words."""

    name: str
    is_ok: bool
    words: str

    @property
    def remedy(self) -> str:
        """What to do about it, and what becomes of the work meanwhile."""
        return "" if self.is_ok else _REMEDIES[self.name]


def checks() -> tuple[Check, ...]:
    """Every part, in the order in which one should look at them. Never raises; at most one caller looks at a time."""
    return _cache.get()


def forget() -> None:
    """The next answer is a fresh one."""
    _cache.forget()


class _Cache:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.forget()

    def forget(self) -> None:
        self._until = 0.0
        self._checks: tuple[Check, ...] = ()

    def get(self) -> tuple[Check, ...]:
        with self._lock:
            if time.monotonic() >= self._until:
                self._checks = _look()
                self._until = time.monotonic() + CACHE_SECONDS
            return self._checks


_cache = _Cache()


def _look() -> tuple[Check, ...]:
    database = _guarded("database", _database)
    broker = _guarded("broker", _broker)
    if not database.is_ok:
        unknown = "Unknown, because the database does not answer."
        return (database, broker, *(Check(name, False, unknown) for name in _BY_ROWS))
    looks = {**_BY_ROWS, "queues": lambda: _told_of_queues(queues(ask_broker=broker.is_ok))}
    return (database, broker, *(_guarded(name, look) for name, look in looks.items()))


def _told_of_queues(found: Sequence[Queue]) -> tuple[bool, str]:
    waiting = ", ".join(f"{queue.name} {queue.length:,}" for queue in found if queue.length is not None)
    words = f"Messages that wait: {waiting}." if waiting else "Nobody can say what waits."
    if unheard := [queue.name for queue in found if not queue.workers]:
        listed = f"queue{'s' if len(unheard) > 1 else ''} {', '.join(unheard)}"
        return False, f"No worker listens to the {listed}, so what waits there stays. {words}"
    return True, f"Every queue has a worker that listens. {words}"


def _guarded(name: str, look: Callable[[], tuple[bool, str]]) -> Check:
    try:
        return Check(name, *look())
    except (DatabaseError, InterfaceError) as error:
        connection.close()
        return Check(name, False, f"The database does not answer: {_first_line(error)}")


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200] or type(error).__name__


def _database() -> tuple[bool, str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return True, "PostgreSQL answers."


def _broker() -> tuple[bool, str]:
    try:
        with current_app.connection_for_write() as broker:
            broker.ensure_connection(max_retries=1, interval_start=0, timeout=BROKER_SECONDS)
    except Exception as error:  # noqa: BLE001 (each broker has errors of its own)
        return False, f"The broker does not answer, so nothing starts before it does: {_first_line(error)}"
    return True, "The broker takes messages."


def _beat() -> tuple[bool, str]:
    age = age_of_beat()
    if age is None:
        return False, "The scheduler has never sent a tick: is beat running?"
    words = f"The scheduler sent its last tick {_ago(age)} ago."
    if age > BEAT_SECONDS:
        return False, f"{words} It should every 10 seconds: is beat running, and exactly once?"
    return True, words


def age_of_beat() -> float | None:
    """Seconds since the scheduler's last tick; None when there never was one."""
    return _age(Heartbeat.objects.filter(kind=Heartbeat.Kind.BEAT))


def live_workers() -> int:
    """How many workers gave a sign of life lately."""
    since = Now() - timedelta(seconds=WORKER_SECONDS)
    return Heartbeat.objects.filter(kind=Heartbeat.Kind.WORKER, at__gte=since).count()


def _age(beats: QuerySet[Heartbeat]) -> float | None:
    """Seconds since the last of them, by the clock that wrote them."""
    row = beats.order_by("-at").annotate(now=Now()).values_list("now", "at").first()
    return None if row is None else max(0.0, (row[0] - row[1]).total_seconds())


def _workers() -> tuple[bool, str]:
    count = live_workers()
    if count:
        return (
            True,
            f"{count} worker{'s' if count > 1 else ''} gave a sign of life in the last {WORKER_SECONDS} s.",
        )
    age = _age(Heartbeat.objects.filter(kind=Heartbeat.Kind.WORKER))
    last = "there never was one" if age is None else f"the last sign of life is {_ago(age)} old"
    return False, f"No worker runs, so nothing is audited: {last}."


def stuck_audits() -> Any:
    """Audits that nobody works on although they should: their lease ended long ago, or their time to start has passed
    while no other audit runs.
    """
    lost = Q(state=State.RUNNING, lease_until__lt=Now() - timedelta(seconds=STUCK_SECONDS))
    waiting = Q(state=State.QUEUED, queued_at__lt=Now() - timedelta(seconds=settings.SSOT_AUDIT_SECONDS))
    if Audit.objects.filter(state=State.RUNNING, lease_until__gte=Now()).exists():
        return Audit.objects.filter(lost)
    return Audit.objects.filter(lost | waiting)


def _audits() -> tuple[bool, str]:
    stuck = sorted(stuck_audits().values_list("pk", flat=True)[:20])
    if not stuck:
        return True, "No audit is stuck."
    listed = ", ".join(map(str, stuck))
    return False, f"Stuck, nobody works on them: audit{'s' if len(stuck) > 1 else ''} {listed}."


def _counters() -> tuple[bool, str]:
    found = leasing.health()
    if not found.problems:
        return True, "Every counter is above its issued IDs."
    return False, " ".join(found.problems)


def _ago(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


def queues(*, ask_broker: bool = True) -> list[Queue]:
    """Every queue of the site, in the order of the settings. Who knows that the broker is away need not ask it."""
    since = Now() - timedelta(seconds=WORKER_SECONDS)
    live = Heartbeat.objects.filter(kind=Heartbeat.Kind.WORKER, at__gte=since)
    heard = Counter(chain.from_iterable(live.values_list("queues", flat=True)))
    lengths = (queue_lengths() if ask_broker else None) or {}
    return [Queue(name, lengths.get(name), heard[name]) for name in current_app.amqp.queues]


def queue_lengths() -> dict[str, int] | None:
    """Queue to how many messages wait in it; None when the broker does not answer."""
    lengths = {}
    try:
        with current_app.connection_for_read() as broker:
            broker.ensure_connection(max_retries=1, interval_start=0, timeout=BROKER_SECONDS)
            for queue in current_app.amqp.queues:
                with broker.channel() as channel:
                    try:
                        lengths[queue] = channel.queue_declare(queue, passive=True).message_count
                    except ChannelError:  # it comes with its first message
                        lengths[queue] = 0
    except Exception:  # noqa: BLE001 (each broker has errors of its own; the check of the broker says them)
        return None
    return lengths


_REMEDIES: Final = {
    "database": (
        "Start PostgreSQL (DATABASE_URL says where it is expected) or free its disk. What was asked for is "
        "kept."
    ),
    "broker": (
        "Start the broker (BROKER_URL says where it is expected). What was asked for is kept and begins after "
        "that."
    ),
    "beat": (
        "Start it, and no second one: systemctl start ssot-dash-beat, or restart manage.py up. Schedules "
        "catch up once."
    ),
    "workers": "Start one: systemctl start ssot-dash-worker, or restart manage.py up. What waits begins at once.",
    "queues": (
        "Start a worker for them (ssot-dash-worker and ssot-dash-attendant together listen to all). What "
        "waits begins at once."
    ),
    "audits": (
        "With a scheduler and a worker they are taken up again within two minutes. One that stays: stop it on "
        "its page, and audit again."
    ),
    "counters": (
        "manage.py repair_counters --check says more, manage.py repair_counters mends it. Until then none "
        "is issued, so none twice."
    ),
}

_BY_ROWS: dict[str, Callable[[], tuple[bool, str]]] = {
    "beat": _beat,
    "workers": _workers,
    "queues": lambda: _told_of_queues(queues()),
    "audits": _audits,
    "counters": _counters,
}
