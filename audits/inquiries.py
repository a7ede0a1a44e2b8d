"""Answers questions about drafts of a policy, in the background: the only writer of inquiries.

Nothing is parsed that an audit has parsed before, and nothing of a draft is kept but the answer.
"""

import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from celery.exceptions import SoftTimeLimitExceeded
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Q, Value
from django.db.models.functions import Now

from audits import fetching, policies, recording
from audits.engine import run as engine
from audits.engine.findings import Progress, Report
from audits.engine.git import Commit, GitError, GitRepository
from audits.engine.policy import PolicyError, parse_policy
from audits.engine.suggestions import suggest
from audits.facts_store import PostgresFactsStore
from audits.models import IN_FLIGHT, Audit, PolicyInquiry, PolicySource, PolicyVersion, Repository, State
from audits.models.waiver import today

logger = logging.getLogger(__name__)

# Without a sign of life for so long, whoever worked on it is gone.
SILENCE = timedelta(seconds=120)
KEPT = timedelta(days=1)
# How many places an answer names, of one rule and direction and in all.
PLACES_PER_RULE = 12
PLACES = 120
_BEAT_SECONDS = 0.5
_OVERDUE = timedelta(seconds=30)


class InquiryError(Exception):
    """A question that can't be answered, in words for a person."""


def ask(
    repository: Repository,
    user: User,
    *,
    kind: PolicyInquiry.Kind = PolicyInquiry.Kind.PREVIEW,
    source: PolicySource = PolicySource.SITE,
    text: str = "",
) -> PolicyInquiry:
    """Queue a question. What the same person asked before of the repository needs no answer any more.

    The caller sends the message after the commit.
    """
    mine = PolicyInquiry.objects.filter(repository=repository, asked_by=user.pk, state__in=IN_FLIGHT)
    mine.update(state=State.CANCELLED)
    return PolicyInquiry.objects.create(
        repository=repository, asked_by_id=user.pk, kind=kind, source=source, text=policies.as_lines(text)
    )


def cancel(inquiry: PolicyInquiry) -> None:
    PolicyInquiry.objects.filter(pk=inquiry.pk, state__in=IN_FLIGHT).update(state=State.CANCELLED)


def to_answer() -> list[int]:
    """The inquiries that still wait and whose message may have been lost, each claimed for the caller."""
    waiting = PolicyInquiry.objects.filter(state=State.QUEUED, asked_at__lt=Now() - Value(_OVERDUE)).filter(
        Q(beat_at=None) | Q(beat_at__lt=Now() - Value(_OVERDUE))
    )
    return [pk for pk in waiting.values_list("pk", flat=True) if waiting.filter(pk=pk).update(beat_at=Now())]


def tidy() -> None:
    """End what nobody works on any more, and forget old answers."""
    lost = PolicyInquiry.objects.filter(state=State.RUNNING, beat_at__lt=Now() - Value(SILENCE))
    lost.update(state=State.FAILED, error="The worker was lost. Ask once more.")
    PolicyInquiry.objects.filter(asked_at__lt=Now() - Value(KEPT)).delete()


def answer(inquiry_id: int) -> None:
    """Work on an inquiry if it is queued. However that ends, it is written into its row."""
    taken = PolicyInquiry.objects.filter(pk=inquiry_id, state=State.QUEUED)
    if not taken.update(state=State.RUNNING, beat_at=Now(), phase="Starting"):
        return
    inquiry = PolicyInquiry.objects.select_related("repository__policy", "repository__current_audit").get(
        pk=inquiry_id
    )
    try:
        _end(inquiry_id, State.SUCCEEDED, answer=_answer(inquiry))
    except engine.Cancelled:
        return
    except (InquiryError, PolicyError, GitError) as error:
        _fail(inquiry_id, str(error))
    except SoftTimeLimitExceeded:
        _fail(inquiry_id, "it took too long (SSOT_AUDIT_SECONDS)")
    except MemoryError:
        _fail(inquiry_id, "the memory was used up")
    except Exception as error:  # whatever it is: it belongs into the row, and may not harm the worker
        logger.exception("Policy inquiry %s failed", inquiry_id)
        connection.close()
        _fail(inquiry_id, f"{type(error).__name__}: {error}".splitlines()[0])


def _end(inquiry_id: int, state: State, **fields: object) -> None:
    PolicyInquiry.objects.filter(pk=inquiry_id, state=State.RUNNING).update(state=state, **fields)


def _fail(inquiry_id: int, words: str) -> None:
    words = recording.clean(words, 500).rstrip(".")
    _end(inquiry_id, State.FAILED, error=f"{words[:1].upper()}{words[1:]}.")


def _answer(inquiry: PolicyInquiry) -> dict[str, Any]:
    audit = inquiry.repository.current_audit
    if audit is None:
        raise InquiryError("no commit of this repository was audited yet: start an audit first")
    git = GitRepository(fetching.path_of(inquiry.repository))
    commit = git.resolve(audit.commit_sha)
    beat = _Beat(inquiry.pk)
    if inquiry.kind == PolicyInquiry.Kind.SUGGESTION:
        return _suggestion(git, commit, beat)
    return _preview(inquiry, audit, git, commit, beat)


def _suggestion(git: GitRepository, commit: Commit, beat: "_Beat") -> dict[str, Any]:
    codebase = engine.codebase_of(git, commit, parse_policy(""), PostgresFactsStore(), progress=beat)
    found = suggest(codebase, beat)
    return {"commit": commit.sha, "text": found.text, "ready": found.ready, "doubtful": found.doubtful}


class _Beat:
    """Shows progress and is a sign of life, now and then; learns by that whether the answer is still wanted."""

    def __init__(self, inquiry_id: int) -> None:
        self._inquiry = PolicyInquiry.objects.filter(pk=inquiry_id, state=State.RUNNING)
        self._next = 0.0

    def __call__(self, progress: Progress) -> None:
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _BEAT_SECONDS
        if not self._inquiry.update(
            beat_at=Now(), phase=progress.phase[:40], done=progress.done, total=progress.total
        ):
            raise engine.Cancelled


# --- What a draft would change ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Place:
    """A violation as answers name it."""

    rule: str
    zone: str
    severity: str
    subject: str
    path: str
    line: int
    message: str


Places = Mapping[str, _Place]  # by fingerprint


@dataclass(slots=True)
class _Row:
    """What changes in a zone for a rule."""

    before: int = 0
    after: int = 0
    added: int = 0
    removed: int = 0


@dataclass(slots=True)
class _Change:
    """What comes, what goes and what moves to another zone."""

    added: list[_Place] = field(default_factory=list)
    removed: list[_Place] = field(default_factory=list)
    moved: list[tuple[_Place, _Place]] = field(default_factory=list)


def _preview(
    inquiry: PolicyInquiry, audit: Audit, git: GitRepository, commit: Commit, beat: _Beat
) -> dict[str, Any]:
    started = time.monotonic()
    draft = PolicyVersion(source=inquiry.source, text=inquiry.text)
    now = _audit(draft, git, commit, beat)
    before = _recorded(audit)
    if audit.engine_version != engine.ENGINE_VERSION:
        # What another engine saw differs for other reasons as well.
        before = _places(_audit(inquiry.repository.policy, git, commit, beat))
    after = _places(now)
    change = _compared(before, after)
    return {
        "commit": commit.sha,
        "before": len(before),
        "after": len(after),
        "added": len(change.added),
        "removed": len(change.removed),
        "moved": len(change.moved),
        "rows": _rows(before, after),
        "places": {
            "added": _named(change.added),
            "removed": _named(change.removed),
            "moved": [[_entry(old), _entry(new)] for old, new in change.moved[:PLACES_PER_RULE]],
        },
        "waived": len(now.waived_by),
        "problems": sum(1 for problem in now.problems if problem.kind.hides_findings),
        "seconds": round(time.monotonic() - started, 1),
    }


def _audit(version: PolicyVersion | None, git: GitRepository, commit: Commit, beat: _Beat) -> Report:
    policy = policies.policy_of(version, git, commit)
    store = PostgresFactsStore()
    return engine.audit(
        git,
        commit,
        policy,
        store,
        registry=policies.registry_for(policy),
        results=store,
        today=today(),
        progress=beat,
    )


def _recorded(audit: Audit) -> Places:
    """What an audit saw, from its rows."""
    names = ("fingerprint", "rule", "zone", "severity", "subject", "path", "message")
    rows = audit.result.sightings.values_list("line", *(f"violation__{name}" for name in names))
    return {
        fingerprint: _Place(rule, zone, severity, subject, path, line, message)
        for line, fingerprint, rule, zone, severity, subject, path, message in rows.iterator()
    }


def _places(report: Report) -> Places:
    return {
        finding.fingerprint: _Place(
            finding.rule,
            finding.zone.value,
            finding.severity.value,
            recording.clean(finding.subject, recording.MAX_SUBJECT),
            recording.clean(finding.path),
            finding.line,
            recording.clean(finding.message),
        )
        for finding in report.findings
    }


def _compared(before: Places, after: Places) -> _Change:
    change = _Change()
    for fingerprint, place in after.items():
        old = before.get(fingerprint)
        if old is None:
            change.added.append(place)
        elif old.zone != place.zone:
            change.moved.append((old, place))
    change.removed = [place for fingerprint, place in before.items() if fingerprint not in after]
    return change


def _rows(before: Places, after: Places) -> list[dict[str, Any]]:
    """Counts by rule and zone, for those in which something changes; a move leaves one zone and reaches the other."""
    rows: dict[tuple[str, str], _Row] = {}
    for place in before.values():
        rows.setdefault((place.rule, place.zone), _Row()).before += 1
    for place in after.values():
        rows.setdefault((place.rule, place.zone), _Row()).after += 1
    here = {(fingerprint, place.zone): place.rule for fingerprint, place in before.items()}
    there = {(fingerprint, place.zone): place.rule for fingerprint, place in after.items()}
    for (fingerprint, zone), rule in there.items():
        rows[rule, zone].added += (fingerprint, zone) not in here
    for (fingerprint, zone), rule in here.items():
        rows[rule, zone].removed += (fingerprint, zone) not in there
    return [
        {
            "rule": rule,
            "zone": zone,
            "before": row.before,
            "after": row.after,
            "added": row.added,
            "removed": row.removed,
        }
        for (rule, zone), row in sorted(rows.items())
        if row.added or row.removed
    ]


def _named(places: Iterable[_Place]) -> list[dict[str, Any]]:
    """The first places of each rule, the worst first."""
    by_rule: dict[str, list[_Place]] = {}
    for place in sorted(places, key=lambda p: (p.severity, p.path, p.line, p.subject)):
        by_rule.setdefault(place.rule, []).append(place)
    room = PLACES
    named = []
    for rule, found in sorted(by_rule.items()):
        shown = found[: min(PLACES_PER_RULE, room)]
        room -= len(shown)
        named.append({"rule": rule, "count": len(found), "places": [_entry(place) for place in shown]})
    return named


def _entry(place: _Place) -> dict[str, Any]:
    return {
        "zone": place.zone,
        "severity": place.severity,
        "subject": place.subject,
        "path": place.path,
        "line": place.line,
        "message": place.message[:300],
    }
