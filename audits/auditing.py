"""Runs audits and keeps their ledger: the only writer of audits and, through ``recording``, of violations.

The row is the truth and a message only says that there may be something to do. So every function here can be called
twice, by anybody, at any time: states move by conditional UPDATE, and who is too late changes nothing.
"""

import logging
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import DatabaseError, IntegrityError, InterfaceError, connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Now
from django.utils import timezone

from audits import (
    discoveries,
    fetching,
    histories,
    member_uses,
    policies,
    recording,
    scoring,
    sharing,
    turns,
    waiving,
)
from audits.engine import run as engine
from audits.engine.cache import MemoryFactsStore
from audits.engine.duplicates import duplicates as find_duplicates
from audits.engine.findings import Progress, Report
from audits.engine.git import Commit, GitError, GitRepository
from audits.engine.history import history as follow_commits
from audits.engine.parsing import Share
from audits.engine.policy import Policy, PolicyError
from audits.engine.registry import Registry
from audits.facts_store import PostgresFactsStore, forget_results
from audits.leases import Claim, LeaseLostError, Pulse, claim_queued, give_back
from audits.models import (
    IN_FLIGHT,
    Audit,
    Covers,
    Event,
    History,
    Lifespan,
    Repository,
    SampleRemoval,
    Schedule,
    Sighting,
    State,
    Trigger,
)
from audits.models.history import Commit as CommitRow

logger = logging.getLogger(__name__)

# Told the id of an audit, and how many helpers to call.
CallHelpers = Callable[[int, int], None]


class AuditError(Exception):
    """An audit that can't succeed, in words for a person; another attempt would end the same way."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


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


def remove(repository: Repository) -> None:
    """Delete a repository with all that audits found in it, and its clone. An audit in flight ends without a trace.

    The sample is built by the site itself, so its git repository goes, too; and it doesn't come back.
    """
    with transaction.atomic():
        locked = Repository.objects.select_for_update().filter(pk=repository.pk)
        if not locked.exists():
            return
        # In this order each is one statement; leaving it to the cascade would load every row first.
        Lifespan.objects.filter(violation__repository=repository).delete()
        Sighting.objects.filter(audit__repository=repository).delete()
        Event.objects.filter(commit__repository=repository).delete()
        CommitRow.objects.filter(repository=repository).delete()
        History.objects.filter(repository=repository).delete()
        locked.update(current_audit=None, policy=None)
        repository.violations.all().delete()
        repository.audits.all().delete()
        locked.delete()
        forget_results()  # nothing says of which repositories they are
        if repository.is_sample:
            SampleRemoval.objects.create()
    fetching.remove_clone(repository.pk)
    if repository.is_sample:
        shutil.rmtree(fetching.sample_path(), ignore_errors=True)


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


# --- The work -----------------------------------------------------------------------------------------------


def run(audit_id: int) -> None:
    """Work on an audit if it is queued. However that ends, it is written into the audit's row; nothing is raised.

    Runs in a thread with its own database connection, so the audit's row must be committed.
    """
    claim = claim_queued(audit_id)
    if claim is not None:
        _work(claim)


def run_next(call_helpers: CallHelpers | None = None) -> int | None:
    """Work on the queued audit whose turn it is, as ``run`` does. Answers which one that was, None for none.

    ``call_helpers`` has other workers told that an audit offers them files to parse; without it, none does.
    """
    while (audit_id := turns.next_audit()) is not None:
        claim = claim_queued(audit_id)
        if claim is not None:  # else another worker was faster, and it is another one's turn
            turns.begun.send(sender=None, audit_id=audit_id)
            _work(claim, call_helpers)
            return audit_id
    return None


def _work(claim: Claim, call_helpers: CallHelpers | None = None) -> None:
    try:
        with Pulse(claim) as pulse:
            _end(claim, pulse, call_helpers)
    except LeaseLostError:
        logger.warning("Audit %s was taken away from this worker", claim.audit_id)


def _end(claim: Claim, pulse: Pulse, call_helpers: CallHelpers | None) -> None:
    """Do the work and write down any end but success, which the work has written itself."""
    try:
        _perform(claim, pulse, call_helpers)
    except engine.Cancelled:
        claim.finish(State.CANCELLED)
    except GitError as error:
        if error.code == "corrupt":
            fetching.distrust_clone(
                Audit.objects.select_related("repository").get(pk=claim.audit_id).repository
            )
        _fail(claim, error.code, str(error))
    except PolicyError as error:
        _fail(claim, "policy", f"the policy can't be used: {error}")
    except (AuditError, fetching.FetchError) as error:
        _fail(claim, error.code, str(error))
    except SoftTimeLimitExceeded:
        words = f"the audit took longer than {settings.SSOT_AUDIT_SECONDS:,} s (SSOT_AUDIT_SECONDS)"
        if Audit.objects.filter(pk=claim.audit_id, covers=Covers.HISTORY).exists():
            words += (
                ". The versions of files that were read are kept: start it again, and it goes on from there"
            )
        _fail(claim, "timeout", words)
    except LeaseLostError:
        raise
    except (DatabaseError, InterfaceError) as error:
        logger.exception("Audit %s: the database failed", claim.audit_id)
        connection.close()
        _try_to_give_back(claim, f"the database failed ({type(error).__name__})")
    except MemoryError:
        _try_to_give_back(claim, "the memory was used up")
    except Exception as error:  # whatever it is: it belongs into the row, and may not harm the worker
        logger.exception("Audit %s failed", claim.audit_id)
        words = f"{type(error).__name__}: {error}".splitlines()[0]
        _try_to_give_back(claim, recording.clean(words, 300))


def _fail(claim: Claim, code: str, words: str) -> None:
    words = recording.clean(f"{words[:1].upper()}{words[1:].rstrip('.')}.")
    claim.finish(State.FAILED, error_code=code, error_message=words)


def _try_to_give_back(claim: Claim, reason: str) -> None:
    try:
        give_back(claim, reason)
    except (DatabaseError, InterfaceError):
        logger.warning("Audit %s stays with this worker until its lease ends: no database", claim.audit_id)
        connection.close()


def _perform(claim: Claim, pulse: Pulse, call_helpers: CallHelpers | None) -> None:
    audit = Audit.objects.select_related("repository__policy").get(pk=claim.audit_id)
    repository = audit.repository
    claim.update(policy_version=repository.policy)
    timings: dict[str, float] = {}
    with _timed(timings, "fetch"):
        git = _open(repository, pulse)
    tip = _tip(git, repository.branch)
    commit = git.resolve(audit.rev) if audit.rev else tip or git.resolve(repository.branch)
    _identify(claim, audit, commit)
    policy = policies.policy_of(repository.policy, git, commit)
    registry = policies.registry_for(policy)
    digest = policy.digest + (registry.digest if registry else "")
    _judge_by(claim, audit, digest)
    if audit.covers == Covers.DUPLICATES:
        with _timed(timings, "compare"):
            duplicates = find_duplicates(git, commit, policy, MemoryFactsStore(), progress=pulse.show)
        pulse.show(Progress("Recording", duplicates.files, duplicates.files))
        with _success(claim, audit, timings, {"files_read": duplicates.files}):
            discoveries.record(audit, duplicates)
        return
    if audit.covers == Covers.HISTORY:
        with _sharing(claim, git, policy, call_helpers) as share:
            _follow(claim, audit, git, commit, policy, registry, pulse, timings, share)
        return
    earlier = repository.audits.filter(
        covers=Covers.COMMIT,
        state=State.SUCCEEDED,
        same_as=None,
        commit_sha=commit.sha,
        policy_digest=digest,
        engine_version=engine.ENGINE_VERSION,
    ).first()
    if earlier is not None and member_uses.are_known(earlier, policy):
        with _success(claim, audit, timings, _shared_figures(earlier)):
            recording.record_repeat(audit, git.is_ancestor, tip.sha if tip else None)
            _take_over_policy(audit, repository, policy)
        return
    with _timed(timings, "audit"), _sharing(claim, git, policy, call_helpers) as share:
        store = PostgresFactsStore()
        report = engine.audit(
            git,
            commit,
            policy,
            store,
            workers=sharing.processes(),
            registry=registry,
            results=store,
            share=share,
            progress=pulse.show,
        )
    timings.update(report.timings)
    if earlier is not None:
        with _success(claim, audit, timings, _shared_figures(earlier)):
            recording.record_repeat(audit, git.is_ancestor, tip.sha if tip else None)
            _take_over_policy(audit, repository, policy)
            member_uses.record(earlier, policy, report.uses)
        return
    if len(report.findings) > settings.SSOT_MAX_FINDINGS:
        words = f"{len(report.findings):,} findings; the limit is {settings.SSOT_MAX_FINDINGS:,} (SSOT_MAX_FINDINGS)"
        raise AuditError("too-many-findings", words)
    pulse.show(Progress("Recording", report.read, report.read, len(report.findings)))
    with _success(claim, audit, timings, _figures(report)):
        recording.record_result(
            audit, report.findings, report.problems, git.is_ancestor, tip.sha if tip else None
        )
        _take_over_policy(audit, repository, policy)
        member_uses.record(audit, policy, report.uses)


@contextmanager
def _sharing(
    claim: Claim, git: GitRepository, policy: Policy, call_helpers: CallHelpers | None
) -> Iterator[Share | None]:
    """A way to have others parse some of this attempt's files; None where nobody can be called."""
    if call_helpers is None:
        yield None
        return
    with sharing.Sharing(
        claim.audit_id, git.path, policy.limits, lambda helpers: call_helpers(claim.audit_id, helpers)
    ) as share:
        yield share


def _take_over_policy(audit: Audit, begun_with: Repository, policy: Policy) -> None:
    """The waivers and canonical subjects of a repository are those of the policy that its current commit was audited
    with, unless somebody saved another one meanwhile."""
    current = Repository.objects.filter(pk=audit.repository_id, current_audit__commit_sha=audit.commit_sha)
    if audit.repository.policy == begun_with.policy and current.exists():
        waiving.take_over(audit.repository_id, policy)
        scoring.take_over(audit.repository_id, policy)
    else:
        waiving.settle(audit.repository_id)
        scoring.renew(audit.repository_id)


def _follow(
    claim: Claim,
    audit: Audit,
    git: GitRepository,
    commit: Commit,
    policy: Policy,
    registry: Registry | None,
    pulse: Pulse,
    timings: dict[str, float],
    share: Share | None,
) -> None:
    """Audit all commits up to one; where earlier ones are known, only those after them."""
    _check_direction(audit, git, commit)
    known = histories.known(audit.repository, audit.policy_digest, audit.engine_version)
    extends = known is not None and git.is_ancestor(known.head_sha, commit.sha)
    store = PostgresFactsStore()
    with _timed(timings, "audit"):
        changes = list(
            follow_commits(
                git,
                commit,
                policy,
                store,
                since=[known.head_sha] if known is not None and extends else [],
                workers=sharing.processes(),
                registry=registry,
                results=store,
                share=share,
                progress=pulse.show,
            )
        )
    violations = sum(len(change.introduced) for change in changes)
    if violations > settings.SSOT_MAX_FINDINGS:
        words = f"{violations:,} violations; the limit is {settings.SSOT_MAX_FINDINGS:,} (SSOT_MAX_FINDINGS)"
        raise AuditError("too-many-findings", words)
    pulse.show(Progress("Recording", len(changes), len(changes), violations))
    figures: dict[str, object] = {"files_read": len(changes)}
    if changes:
        counts = histories.counts_of(changes[-1].open)
        figures |= {"counts": counts, "findings_count": sum(changes[-1].open.values())}
    with _success(claim, audit, timings, figures):
        renamed = histories.record(audit, changes, extends=extends)
        waiving.follow(audit.repository_id, renamed)
        waiving.settle(audit.repository_id)
        scoring.renew(audit.repository_id)


def _check_direction(audit: Audit, git: GitRepository, commit: Commit) -> None:
    """Whatever its policy was: a history that is known gives way to another only when somebody asks for that.

    Raises ``AuditError`` for a follow-up on a branch that was rewritten or set back, for a revision that the known
    history has passed, and the first time for a click on such a branch.
    """
    known = History.objects.filter(repository=audit.repository).first()
    if known is None or known.stale_since is not None or git.is_ancestor(known.head_sha, commit.sha):
        return
    is_behind = git.is_ancestor(commit.sha, known.head_sha)
    if audit.rev and is_behind:
        words = (
            f"the history is known up to commit {known.head_sha[:9]}, which comes after {commit.sha[:9]}: a shorter"
            " one would take its place. Ask without a revision for what is new"
        )
        raise AuditError("shorter", words)
    if audit.trigger == Trigger.FOLLOW_UP or is_behind:
        histories.mark_stale(known)
        words = (
            f"the branch was rewritten: commit {known.head_sha[:9]}, up to which its history is known, is no longer"
            " on it. What was known stays; audit the whole history again to bring it up to date"
        )
        raise AuditError("rewritten", words)


@contextmanager
def _timed(timings: dict[str, float], phase: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    timings[phase] = round(time.perf_counter() - start, 3)


def _open(repository: Repository, pulse: Pulse) -> GitRepository:
    pulse.show(Progress("Opening", 0, 0))
    if fetching.is_url(repository.location):
        fetching.fetch(
            repository.location,
            fetching.clone_path(repository.pk),
            progress=lambda done, total: pulse.show(Progress("Fetching", done, total)),
        )
    return GitRepository(fetching.path_of(repository))


def _tip(git: GitRepository, branch: str) -> Commit | None:
    """The commit at the end of the branch (of the default one when it is empty), None when there is none."""
    for name in (f"refs/heads/{branch}", f"refs/remotes/origin/{branch}", branch) if branch else ("",):
        try:
            return git.resolve(name)
        except GitError as error:
            if error.code != "unknown-revision":
                raise
    return None


def _identify(claim: Claim, audit: Audit, commit: Commit) -> None:
    """Say early which commit is looked at."""
    identity = {
        "commit_sha": commit.sha,
        "commit_time": commit.time,
        "commit_author": recording.clean(commit.author, 200),
        "commit_subject": recording.clean(commit.subject, 300),
    }
    claim.update(**identity)
    for name, value in identity.items():
        setattr(audit, name, value)


def _judge_by(claim: Claim, audit: Audit, policy_digest: str) -> None:
    """Say by which policy and engine the commit is judged."""
    audit.policy_digest, audit.engine_version = policy_digest, engine.ENGINE_VERSION
    claim.update(policy_digest=policy_digest, engine_version=engine.ENGINE_VERSION)


def _figures(report: Report) -> dict[str, object]:
    counts: dict[str, dict[str, int]] = {}
    for finding in report.findings:
        zones = counts.setdefault(finding.rule, {})
        zones[finding.zone.value] = zones.get(finding.zone.value, 0) + 1
    return {
        "files_read": report.read,
        "files_parsed": report.parsed,
        "findings_count": len(report.findings),
        "problems_count": len(report.problems),
        "counts": counts,
        "moves": [
            [m.old, m.new, m.zone, recording.clean(m.folder), m.old_uses, m.new_uses] for m in report.moves
        ],
    }


def _shared_figures(earlier: Audit) -> dict[str, object]:
    names = ("files_read", "files_parsed", "findings_count", "problems_count", "counts")
    return {"same_as": earlier, **{name: getattr(earlier, name) for name in names}}


@contextmanager
def _success(
    claim: Claim, audit: Audit, timings: dict[str, float], figures: dict[str, object]
) -> Iterator[None]:
    """The one transaction in which an audit becomes a result: all of it is there at once, or nothing."""
    start = time.perf_counter()
    with transaction.atomic():
        # Recordings of a repository come one after another; new requests for it don't wait for this lock.
        locked = Repository.objects.select_for_update(no_key=True).filter(pk=audit.repository_id).first()
        if locked is None:
            raise LeaseLostError
        audit.repository = locked
        claim.finish(State.SUCCEEDED, error_message="", phase="", **figures)
        yield
        timings["record"] = round(time.perf_counter() - start, 3)
        Audit.objects.filter(pk=audit.pk).update(timings=timings, finished_at=Now())
