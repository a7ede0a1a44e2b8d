"""Works on an audit: from its claim to the one transaction that makes it a result, or to words for why it is none.

The only writer of results and, through ``recording``, of violations. Whatever happens ends in the audit's row.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.db.models.functions import Now

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
from audits.facts_store import PostgresFactsStore
from audits.leases import Claim, LeaseLostError, Pulse, claim_queued, give_back
from audits.models import (
    Audit,
    Covers,
    History,
    Repository,
    State,
    Trigger,
)

logger = logging.getLogger(__name__)

# Told the id of an audit, and how many helpers to call.
CallHelpers = Callable[[int, int], None]


class AuditError(Exception):
    """An audit that can't succeed, in words for a person; another attempt would end the same way."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


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
        scoring.renew_all(audit.repository_id)


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
        scoring.renew_all(audit.repository_id)


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
