"""The right to work on an audit: who has it, how it is kept alive, how it is given back.

States move by conditional UPDATE: whoever changed no row has lost, and stops.
"""

import threading
import time
import uuid
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Self

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.db.models import F, Value
from django.db.models.functions import Coalesce, Now

from audits.engine.findings import Progress
from audits.engine.run import Cancelled
from audits.models import Audit, State


class LeaseLostError(Exception):
    """Another worker has the audit now, or it is gone: whoever gets this writes nothing more."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to work on a running audit, for as long as its token stands in the row."""

    audit_id: int
    token: uuid.UUID | None

    def update(self, **fields: object) -> None:
        """Write to the audit's row. Raises ``LeaseLostError``."""
        if not Audit.objects.filter(pk=self.audit_id, state=State.RUNNING, lease_token=self.token).update(
            **fields
        ):
            raise LeaseLostError

    def finish(self, state: State, **fields: object) -> None:
        self.update(state=state, finished_at=Now(), lease_token=None, lease_until=None, **fields)


def _lease_end() -> object:
    return Now() + Value(timedelta(seconds=settings.SSOT_LEASE_SECONDS))


def claim_queued(audit_id: int) -> Claim | None:
    """Start the next attempt; None when the audit isn't queued (any more). The attempt counts before any work is
    done.
    """
    token = uuid.uuid4()
    claimed = Audit.objects.filter(pk=audit_id, state=State.QUEUED).update(
        state=State.RUNNING,
        attempts=F("attempts") + 1,
        lease_token=token,
        lease_until=_lease_end(),
        started_at=Coalesce("started_at", Now()),
        phase="Starting",
        files_done=0,
        files_total=0,
        findings_so_far=0,
        seconds_left=None,
    )
    return Claim(audit_id, token) if claimed else None


def give_back(claim: Claim, reason: str) -> None:
    """An attempt ended without a result: queue the next one, or fail for good. Raises ``LeaseLostError``."""
    audit = Audit.objects.only("attempts", "cancel_requested").get(pk=claim.audit_id)
    if audit.cancel_requested:
        claim.finish(State.CANCELLED)
    elif audit.attempts >= settings.SSOT_MAX_ATTEMPTS:
        words = f"Gave up after {audit.attempts} attempts: {reason}."
        claim.finish(State.FAILED, error_code="gave-up", error_message=words)
    else:
        words = f"Attempt {audit.attempts} ended early: {reason}."
        claim.update(
            state=State.QUEUED, lease_token=None, lease_until=None, dispatched_at=None, error_message=words
        )


class _Pace:
    """Estimates how long a phase still takes, from how fast it went in this attempt; nothing before it has gone for a
    while."""

    ENOUGH_SECONDS = 5.0

    def __init__(self) -> None:
        self._phase = ""
        self._began = 0.0
        self._done = 0

    def seconds_left(self, progress: Progress) -> int | None:
        now = time.monotonic()
        if progress.phase != self._phase:
            self._phase, self._began, self._done = progress.phase, now, progress.done
        seconds, done = now - self._began, progress.done - self._done
        if seconds < self.ENOUGH_SECONDS or done <= 0:
            return None
        return round((progress.total - progress.done) * seconds / done)


class Pulse:
    """Keeps a claim alive from a thread of its own, writes progress down, and learns whether to stop.

    The work only calls ``check`` and ``show``, which cost nothing; the thread writes once per ``SSOT_PULSE_SECONDS``.
    """

    def __init__(self, claim: Claim) -> None:
        self._claim = claim
        self._progress = Progress("Starting", 0, 0)
        self._pace = _Pace()
        self._verdict: type[Exception] | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(
            target=self._beat, name=f"pulse of audit {claim.audit_id}", daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        # A database that hangs must not hold the worker; what the thread still writes is fenced by the token.
        self._thread.join(timeout=10)

    def check(self) -> None:
        """Raises ``Cancelled`` when somebody cancelled the audit, ``LeaseLostError`` when somebody else has it."""
        if self._verdict is not None:
            raise self._verdict

    def show(self, progress: Progress) -> None:
        """Tell people how far the audit is. Raises like ``check``."""
        self._progress = progress
        self.check()

    def _beat(self) -> None:
        alive_until = time.monotonic() + settings.SSOT_LEASE_SECONDS
        try:
            while not self._ended.wait(settings.SSOT_PULSE_SECONDS):
                try:
                    self._write()
                    alive_until = time.monotonic() + settings.SSOT_LEASE_SECONDS
                except LeaseLostError:
                    self._verdict = LeaseLostError
                    return
                except (DatabaseError, InterfaceError):
                    # The database may come back; until the lease ends nobody else takes the audit.
                    connection.close()
                    if time.monotonic() > alive_until:
                        self._verdict = LeaseLostError
                        return
        finally:
            connection.close()

    def _write(self) -> None:
        progress = self._progress
        self._claim.update(
            lease_until=_lease_end(),
            phase=progress.phase[:40],
            files_done=progress.done,
            files_total=progress.total,
            findings_so_far=progress.findings,
            seconds_left=self._pace.seconds_left(progress),
        )
        if Audit.objects.filter(pk=self._claim.audit_id, cancel_requested=True).exists():
            self._verdict = Cancelled
