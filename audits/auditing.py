"""Keeps the ledger of audits: who asks for one, which are due, what was lost. ``working`` works on them.

The row is the truth and a message only says that there may be something to do. So every function here can be called
twice, by anybody, at any time: states move by conditional UPDATE, and who is too late changes nothing.
"""

import logging
from datetime import timedelta

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import DatabaseError, IntegrityError, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Now
from django.utils import timezone

from audits import (
    fetching,
)
from audits.leases import Claim, give_back
from audits.models import (
    IN_FLIGHT,
    Audit,
    Covers,
    Repository,
    Schedule,
    State,
    Trigger,
)

logger = logging.getLogger(__name__)

# --- Asking for an audit, and for its end -------------------------------------------------------------------


def request(
    repository: Repository,
    rev: str = "",
    trigger: Trigger = Trigger.CLICK,
    user: AbstractBaseUser | AnonymousUser | None = None,
    covers: Covers = Covers.COMMIT,
) -> tuple[Audit, bool]:
    """Queue an audit of a revision (empty: the tip of the repository's branch). Answers it, and whether it is new.

    ``covers`` says whether it is about that commit, about all commits up to it, or about possible duplicates in
    that commit.

    A repository has at most one audit in flight: while there is one, that one is the answer. The caller dispatches a
    new one after the commit; until then and if that fails, ``to_dispatch`` will name it. Raises ``LocationError`` for
    text that is no revision.
    """
    rev = fetching.check_revision(rev)
    requested_by = user.pk if user is not None and user.is_authenticated else None
    while True:
        try:
            with transaction.atomic():
                audit = Audit.objects.create(
                    repository=repository,
                    rev=rev,
                    trigger=trigger,
                    requested_by_id=requested_by,
                    covers=covers,
                )
            return audit, True
        except IntegrityError:
            in_flight = Audit.objects.filter(repository=repository, state__in=IN_FLIGHT).first()
            if in_flight is not None:
                return in_flight, False
            # Either the one in the way has ended since, or the repository itself is gone.
            if not Repository.objects.filter(pk=repository.pk).exists():
                raise


def judge_anew(
    repository: Repository, user: AbstractBaseUser | AnonymousUser | None = None
) -> tuple[Audit, bool] | None:
    """Request that the commit whose violations are shown is judged by the repository's present policy; None when no
    commit was audited yet. Answers like ``request``.

    A history that follows up by the former policy is stopped: it would be made anew. Any other audit in flight ends
    first, and ``follow_up`` asks again.
    """
    if repository.current_audit_id is None:
        return None
    current = Audit.objects.get(pk=repository.current_audit_id)
    following = Audit.objects.filter(
        repository=repository, state__in=IN_FLIGHT, covers=Covers.HISTORY, trigger=Trigger.FOLLOW_UP
    )
    for audit in following:
        cancel(audit)
    return request(repository, current.commit_sha, trigger=Trigger.POLICY, user=user)


def _awaiting_policy() -> QuerySet[Repository]:
    """The repositories that have a policy by which no audit has begun, though there is one by another."""
    begun = Audit.objects.filter(Q(covers=Covers.COMMIT), repository=OuterRef("pk")).filter(
        Q(policy_version=OuterRef("policy"))
        | Q(trigger=Trigger.POLICY, queued_at__gte=OuterRef("policy__created_at"))
    )
    return Repository.objects.filter(
        ~Exists(begun), policy__isnull=False, current_audit__isnull=False
    ).order_by("pk")


def follow_up(audit_id: int) -> Audit | None:
    """Request what comes after an audit has ended; None for nothing.

    That is an audit by the policy that was saved meanwhile, or that the repository's history takes in the commits
    that were just reached, or is judged by the policy that they were judged by.
    """
    audit = Audit.objects.select_related("repository__history", "repository__current_audit").get(pk=audit_id)
    if not audit.in_flight and _awaiting_policy().filter(pk=audit.repository_id).exists():
        asked = judge_anew(audit.repository)
        return asked[0] if asked is not None and asked[1] else None
    history = getattr(audit.repository, "history", None)
    if (audit.state, audit.covers) == (State.SUCCEEDED, Covers.HISTORY):
        if audit.repository.current_audit_id is not None:
            return None
        # Only an audit of a commit says what is open.
        requested, is_new = request(audit.repository, audit.rev, trigger=Trigger.FOLLOW_UP)
        return requested if is_new else None
    current = audit.repository.current_audit
    if (
        history is None
        or history.stale_since is not None
        or audit.in_flight
        or audit.covers != Covers.COMMIT
        or current is None
        or (history.head_sha, history.policy_digest) == (current.commit_sha, current.policy_digest)
    ):
        return None
    if current.pk != audit.pk and _history_was_asked_since(current):
        return None
    requested, is_new = request(audit.repository, trigger=Trigger.FOLLOW_UP, covers=Covers.HISTORY)
    return requested if is_new else None


def _history_was_asked_since(audit: Audit) -> bool:
    """Whether the history had its chance since an audit ended. Else another audit stood in its way."""
    since = Audit.objects.filter(repository=audit.repository_id, covers=Covers.HISTORY)
    return since.filter(queued_at__gte=audit.finished_at or audit.queued_at).exists()


def cancel(audit: Audit) -> bool:
    """Stop an audit: at once when it is queued, within seconds when it runs. False when it had ended before."""
    queued = Audit.objects.filter(pk=audit.pk, state=State.QUEUED)
    if queued.update(state=State.CANCELLED, finished_at=Now(), cancel_requested=True):
        return True
    return bool(Audit.objects.filter(pk=audit.pk, state=State.RUNNING).update(cancel_requested=True))


# --- The beat: what is due, what was lost -------------------------------------------------------------------


def due() -> list[Audit]:
    """Request the audits whose time has come, each slot once however many ask, and those that a saved policy still
    waits for; missed slots become one. Answers the new.
    """
    _plan()
    requested = []
    scheduled = Repository.objects.exclude(schedule=Schedule.OFF)
    for repository in scheduled.filter(next_audit_at__lte=Now()).order_by("next_audit_at"):
        try:
            audit = _take_slot(repository)
        except DatabaseError:
            logger.exception("Repository %s: its audit could not be requested", repository.pk)
        else:
            requested += [audit] if audit else []
    for repository in _awaiting_policy().exclude(audits__state__in=IN_FLIGHT):
        asked = judge_anew(repository)
        requested += [asked[0]] if asked is not None and asked[1] else []
    return requested


def _plan() -> None:
    """Bring ``next_audit_at`` in line with the schedules, which people and the admin change at any time."""
    off = Repository.objects.filter(schedule=Schedule.OFF, next_audit_at__isnull=False)
    off.update(next_audit_at=None)
    for schedule in Schedule:
        if period := schedule.period:
            planned = Repository.objects.filter(schedule=schedule)
            planned.filter(next_audit_at__isnull=True).update(next_audit_at=Now())
            # Left over from a schedule with a longer period.
            planned.filter(next_audit_at__gt=Now() + Value(period)).update(
                next_audit_at=Now() + Value(period)
            )


def _take_slot(repository: Repository) -> Audit | None:
    """The slot's audit; None when another beat took the slot or an audit is in flight, which then stands for it."""
    slot, period = repository.next_audit_at, Schedule(repository.schedule).period
    assert slot is not None and period is not None
    missed = (timezone.now() - slot) // period
    with transaction.atomic():
        untaken = Repository.objects.filter(
            pk=repository.pk, next_audit_at=slot, schedule=repository.schedule
        )
        if not untaken.update(next_audit_at=slot + (max(missed, 0) + 1) * period):
            return None
        audit, created = request(repository, trigger=Trigger.SCHEDULE)
    return audit if created else None


def reap() -> None:
    """Take audits back from workers that gave no sign of life until their lease ended."""
    with transaction.atomic():
        lost = Audit.objects.select_for_update(skip_locked=True, no_key=True).filter(
            state=State.RUNNING, lease_until__lt=Now()
        )
        for audit in lost:
            done = f", {audit.files_done:,} of {audit.files_total:,} files done" if audit.files_total else ""
            reason = f"the worker was lost in the phase “{audit.phase or 'Starting'}”{done}"
            logger.warning("Audit %s, attempt %s: %s", audit.pk, audit.attempts, reason)
            give_back(Claim(audit.pk, audit.lease_token), reason)


def to_dispatch() -> list[int]:
    """The queued audits for which a message shall be sent now, so that each is sent once a while however many ask.

    New ones, and the oldest of those whose message is overdue: it may have been lost.
    """
    queued = Audit.objects.filter(state=State.QUEUED).order_by("queued_at", "pk")
    overdue = queued.filter(
        dispatched_at__lt=Now() - Value(timedelta(seconds=settings.SSOT_REDISPATCH_SECONDS))
    )
    wanted = [
        *queued.filter(dispatched_at__isnull=True).values_list("pk", flat=True),
        *overdue.values_list("pk", flat=True)[: settings.SSOT_REDISPATCH_BATCH],
    ]
    return [pk for pk in wanted if mark_dispatched(pk)]


def mark_dispatched(audit_id: int) -> bool:
    """Take it upon oneself to send the message for a queued audit; False when somebody else just did."""
    recently = Now() - Value(timedelta(seconds=settings.SSOT_REDISPATCH_SECONDS))
    waiting = Audit.objects.filter(Q(dispatched_at__isnull=True) | Q(dispatched_at__lt=recently))
    return bool(waiting.filter(pk=audit_id, state=State.QUEUED).update(dispatched_at=Now()))


def not_dispatched(audit_id: int) -> None:
    """The message could not be sent: the next beat tries again."""
    Audit.objects.filter(pk=audit_id, state=State.QUEUED).update(dispatched_at=None)
