"""Remediation issues: made by people, judged by evidence. The only writer of issues and judgements.

Judging is idempotent and looks at nothing but rows and git objects, so it can be done by anybody at any time, in any
order of arrivals, and ends the same. Whatever may change a verdict marks the repository's issues; ``keep_up`` judges
those that are marked.
"""

import logging
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import transaction
from django.db.models import Count, F, Min, Q, QuerySet, Value
from django.db.models.functions import Now
from django.utils import timezone

from audits import fetching, notifying, recording, tracking, verdicts
from audits.dossiers import Gathering, newest, violations_of
from audits.engine.git import GitError, GitRepository
from audits.models import (
    Claim,
    Commit,
    Issue,
    IssueNote,
    IssueReference,
    IssueSubject,
    Judgement,
    Priority,
    Repository,
    Tracker,
    TrackerScan,
    Violation,
)
from audits.models.violation import counting, waived
from audits.verdicts import Dossier

logger = logging.getLogger(__name__)

# For how long a task judges issues before others get their turn.
TURN_SECONDS: Final = 10.0
# After this, a process that began to judge issues counts as dead.
JUDGING_SECONDS: Final = 120
_SHORT = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Subject:
    """What is wrong, apart from where."""

    rule: str
    subject: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """An issue as it could be made, and what speaks against making it."""

    title: str
    kind: str
    priority: int
    subjects: tuple[Subject, ...]
    issue_number: int | None = None
    issue_url: str = ""
    open_places: int = 0
    waived_places: int = 0
    covered_by: tuple[Issue, ...] = ()


# --- Proposing and making -----------------------------------------------------------------------------------


def propose(repository: Repository, subjects: Sequence[Subject]) -> Proposal:
    """An issue about some subjects: named and ranked by what their violations are."""
    rows = _violations(repository, subjects)
    figures = rows.aggregate(
        open=Count("pk", filter=counting()),
        waived=Count("pk", filter=waived()),
        worst=Min("severity", filter=counting()),
    )
    kind = _kind(rows)
    return Proposal(
        title=f"SSOT-{kind}-{_short(subjects)}",
        kind=kind,
        priority=int((figures["worst"] or "P2")[1:]),
        subjects=tuple(subjects),
        open_places=figures["open"],
        waived_places=figures["waived"],
        covered_by=tuple(covering(repository, subjects)),
    )


def _violations(repository: Repository, subjects: Iterable[Subject]) -> QuerySet[Violation]:
    wanted = Q(pk__in=[])
    for subject in subjects:
        wanted |= Q(rule=subject.rule, subject=subject.subject)
    return Violation.objects.filter(wanted, repository=repository)


def covering(repository: Repository, subjects: Iterable[Subject]) -> list[Issue]:
    """The issues that cover one of some subjects already."""
    wanted = Q(pk__in=[])
    for subject in subjects:
        wanted |= Q(subjects__rule=subject.rule, subjects__subject=subject.subject)
    return list(Issue.objects.filter(wanted, repository=repository).distinct().order_by("pk"))


_RECENT = timedelta(days=14)


def _kind(rows: QuerySet[Violation]) -> str:
    """A regression when it had gone before; a recent change when it is younger than two weeks at the newest commit."""
    events = rows.filter(is_open=True).aggregate(
        gone=Count("events", filter=Q(events__kind="gone")), first=Min("events__commit__time")
    )
    if events["gone"]:
        return Issue.Kind.REGRESSION
    newest_commit = Commit.objects.filter(repository__violations__in=rows[:1]).order_by("-time").first()
    if events["first"] and newest_commit is not None and newest_commit.time - events["first"] < _RECENT:
        return Issue.Kind.RECENT_CHANGE
    return Issue.Kind.INCOMPLETE_MIGRATION


def _short(subjects: Sequence[Subject]) -> str:
    names = [subject.subject.rsplit(".", 2)[-2:] for subject in subjects[:2]]
    words = "-and-".join(_SHORT.sub("-", ".".join(name).lower()).strip("-") for name in names)
    return (words or "untitled")[:80]


def propose_from(tracker: Tracker) -> Proposal:
    """An issue for a tracker: what its text says of itself, and the subjects whose names stand in it."""
    version = tracker.versions.filter(error="").order_by("-position").first()
    claims = list(Claim.objects.filter(version__tracker=tracker).order_by("version__position"))
    subjects = _named_subjects(tracker.repository, version.text) if version is not None else ()
    proposal = propose(tracker.repository, subjects)
    priority = next((c.words for c in claims if c.kind == "priority"), "")
    found = re.search(r"\bP([0-3])\b", priority)
    number = next((c.number for c in reversed(claims) if c.kind == "issue"), None)
    stem = tracker.path.rpartition("/")[2].removesuffix(".md")
    return Proposal(
        title=(stem if stem.upper().startswith("SSOT") else tracker.title or stem)[:200],
        kind=_kind_of_title(stem) or proposal.kind,
        priority=int(found[1]) if found else proposal.priority,
        subjects=proposal.subjects,
        issue_number=int(number) if number is not None else None,
        open_places=proposal.open_places,
        waived_places=proposal.waived_places,
        covered_by=proposal.covered_by,
    )


def _kind_of_title(title: str) -> str:
    return next((kind for kind in Issue.Kind.values if f"-{kind}-" in title.lower()), "")


_MAX_NAMED = 20
_DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")


def _named_subjects(repository: Repository, text: str) -> tuple[Subject, ...]:
    """The subjects that a text names: by their last two parts (``IDType.RUN``) or in full; the most named first."""
    named: dict[str, int] = {}
    for match in _DOTTED.finditer(text):
        parts = match[0].split(".")
        for length in range(2, len(parts) + 1):
            for start in range(len(parts) - length + 1):
                name = ".".join(parts[start : start + length])
                named[name] = named.get(name, 0) + 1
    found: list[tuple[int, Subject]] = []
    rows = repository.violations.order_by().values_list("rule", "subject").distinct()
    for rule, subject in rows.iterator():
        tail = ".".join(subject.split(".")[-2:])
        count = named.get(subject, 0) or (named.get(tail, 0) if rule == "missing-member" else 0)
        if count:
            found.append((count, Subject(rule, subject)))
    found.sort(key=lambda pair: (-pair[0], pair[1].subject))
    return tuple(subject for _, subject in found[:_MAX_NAMED])


@transaction.atomic
def create(
    repository: Repository,
    *,
    title: str,
    kind: str,
    priority: int,
    subjects: Iterable[Subject],
    user: AbstractBaseUser | AnonymousUser | None = None,
    owner: AbstractBaseUser | None = None,
    due_on: date | None = None,
    issue_number: int | None = None,
    issue_url: str = "",
    tracker: Tracker | None = None,
) -> Issue:
    """Make an issue, marked to be judged."""
    by = user.pk if user is not None and user.is_authenticated else None
    issue = Issue.objects.create(
        repository=repository,
        title=title,
        kind=kind,
        priority=Priority(priority),
        owner_id=owner.pk if owner is not None else None,
        due_on=due_on,
        created_by_id=by,
        stale_since=Now(),
    )
    add_subjects(issue, subjects)
    if issue_number is not None or issue_url:
        IssueReference.objects.create(
            issue=issue, kind=IssueReference.Kind.ISSUE, number=issue_number, url=issue_url
        )
    if tracker is not None:
        Tracker.objects.filter(pk=tracker.pk).update(issue=issue)
    issue.refresh_from_db()
    return issue


def add_subjects(issue: Issue, subjects: Iterable[Subject]) -> None:
    """Have an issue cover more subjects; those that it covers stay."""
    IssueSubject.objects.bulk_create(
        (IssueSubject(issue=issue, rule=s.rule, subject=s.subject) for s in dict.fromkeys(subjects)),
        ignore_conflicts=True,
    )
    mark(Issue.objects.filter(pk=issue.pk))


def edit(issue: Issue, *, reference: tuple[int | None, str], **values: object) -> None:
    """Change what people decide about an issue: title, kind, priority, owner, due date, the issue elsewhere."""
    for name, value in values.items():
        setattr(issue, name, value)
    number, url = reference
    with transaction.atomic():
        issue.save()
        issue.references.filter(kind=IssueReference.Kind.ISSUE).delete()
        if number is not None or url:
            IssueReference.objects.create(issue=issue, kind=IssueReference.Kind.ISSUE, number=number, url=url)
    mark(Issue.objects.filter(pk=issue.pk))


def open_places(issue: Issue) -> QuerySet[Violation]:
    """The open violations that an issue covers and no waiver does, the worst first."""
    rows = violations_of(issue.subjects.all(), issue.repository_id)
    return rows.filter(counting()).order_by("severity", "path", "line", "pk")


def remove_subject(issue: Issue, pk: int) -> None:
    issue.subjects.filter(pk=pk).delete()
    mark(Issue.objects.filter(pk=issue.pk))


def note(
    issue: Issue,
    user: AbstractBaseUser | AnonymousUser,
    *,
    kind: str,
    text: str = "",
    url: str = "",
    step: int | None = None,
) -> IssueNote:
    """What a person says: a comment, a piece of evidence, or that a step is completed."""
    made = IssueNote.objects.create(
        issue=issue,
        kind=kind,
        text=recording.clean(text, 10_000),
        url=url,
        step=step,
        author_id=user.pk if user.is_authenticated else None,
    )
    mark(Issue.objects.filter(pk=issue.pk))
    return made


def follow(issue: Issue, tracker: Tracker) -> None:
    """Have a tracker's claims be those of an issue of its repository."""
    Tracker.objects.filter(pk=tracker.pk, repository=issue.repository_id).update(issue=issue)
    mark(Issue.objects.filter(pk=issue.pk))


# --- Keeping up ---------------------------------------------------------------------------------------------


def mark(issues: QuerySet[Issue]) -> None:
    """Say that newer evidence waits to be looked at, also of those of which that was said: they may be judged now."""
    with transaction.atomic():
        # In one order for all: else two that mark at the same time could each wait for the other.
        locked = issues.order_by("pk").select_for_update(no_key=True).values_list("pk", flat=True)
        Issue.objects.filter(pk__in=[*locked]).update(stale_since=Now())


def arrived(repository_id: int) -> None:
    """Evidence for a repository arrived: an audit, a test run, a version of a tracker."""
    mark(Issue.objects.filter(repository=repository_id))


def behind() -> list[int]:
    """The repositories with something to do: commits that weren't looked through for trackers, nor are just now, or
    marked issues."""
    waiting = set(
        Issue.objects.filter(repository__removed_at=None)
        .exclude(stale_since=None)
        .order_by()
        .values_list("repository", flat=True)
        .distinct()
    )
    behind = set()
    recently = timezone.now() - timedelta(seconds=settings.SSOT_REDISPATCH_SECONDS)
    for repository in Repository.objects.select_related("tracker_scan", "current_audit", "history"):
        head, scan = _head(repository), getattr(repository, "tracker_scan", None)
        if not head or (
            scan is not None and (scan.head_sha, scan.pattern) == (head, repository.tracker_pattern)
        ):
            continue
        gave_up = scan is not None and scan.tried_sha == head and scan.attempts >= settings.SSOT_MAX_ATTEMPTS
        is_tried = scan is not None and scan.tried_at is not None and scan.tried_at > recently
        if not gave_up and not is_tried:
            behind.add(repository.pk)
    return sorted(waiting | (behind - tracking.scanned_now(behind)))


def _head(repository: Repository) -> str:
    """The newest commit that is known of a repository: of its history, else of its audits."""
    history = getattr(repository, "history", None)
    current = repository.current_audit
    if history is None:
        return current.commit_sha if current is not None else ""
    if current is None or history.stale_since is not None:
        return str(history.head_sha)
    newer = not Commit.objects.filter(repository=repository, sha=current.commit_sha).exists()
    return current.commit_sha if newer else str(history.head_sha)


def keep_up(repository_id: int, seconds: float | None = None) -> bool:
    """Take in a repository's trackers as far as its commits are known, then judge its marked issues.

    Judging ends after some ``seconds`` (None: when all are judged). Answers whether issues are left, so that this is
    to be called again when others have had their turn.
    """
    repository = (
        Repository.objects.select_related("tracker_scan", "current_audit", "history")
        .filter(pk=repository_id)
        .first()
    )
    if repository is None:
        return False
    git = _git(repository)
    head = _head(repository)
    if head and not _scan(repository, git, head):
        return False
    return _judge_marked(repository, git, seconds)


def _judge_marked(repository: Repository, git: GitRepository | None, seconds: float | None) -> bool:
    """Judge marked issues, those first that were not judged for longest. Nothing where another process does: evidence
    that arrives by the second would have every worker judge the same ones."""
    row = Repository.objects.filter(pk=repository.pk)
    marked = Issue.objects.filter(repository=repository).exclude(stale_since=None)
    if not marked.exists():
        return False
    with transaction.atomic():
        # A recording or a removal that holds the row isn't waited for: the next tick asks again.
        free = row.select_for_update(skip_locked=True, no_key=True, of=("self",))
        if not free.filter(Q(judging_until=None) | Q(judging_until__lt=Now())).exists():
            return False
        row.update(judging_until=Now() + Value(timedelta(seconds=JUDGING_SECONDS)))
    end = time.monotonic() + seconds if seconds is not None else None
    try:
        # Each once: what this gathering has read is all that it knows.
        gathering = Gathering(repository, git)
        for issue in marked.order_by(F("judged_at").asc(nulls_first=True), "pk"):
            judge(issue, gathering)
            if end is not None and time.monotonic() > end:
                break
        return marked.exists()
    finally:
        row.update(judging_until=None)


def _git(repository: Repository) -> GitRepository | None:
    try:
        return GitRepository(fetching.path_of(repository))
    except GitError:
        return None


def _scan(repository: Repository, git: GitRepository | None, head: str) -> bool:
    """Answers False when it gave way to somebody who waits for the repository."""
    state, _ = TrackerScan.objects.get_or_create(repository=repository)
    row = TrackerScan.objects.filter(pk=state.pk)
    with transaction.atomic():
        free = tracking.free_scan(repository)
        if free is None or (free.head_sha, free.pattern) == (head, repository.tracker_pattern):
            return True
        attempts = free.attempts + 1 if free.tried_sha == head else 1
        row.update(attempts=attempts, tried_sha=head, tried_at=Now())
    try:
        if git is None:
            raise GitError("not-a-repository", "this host can’t read the repository")
        tracking.scan(repository, git, head)
    except tracking.GaveWayError:
        row.update(attempts=attempts - 1)
        return False
    except GitError as error:
        words = str(error)
        row.update(error=recording.clean(f"{words[:1].upper()}{words[1:]}."))
        logger.warning("Repository %s: its trackers can't be followed: %s", repository.pk, error)
    else:
        arrived(repository.pk)
    return True


def judge(issue: Issue, gathering: Gathering) -> None:
    """Lay an issue's claims beside its evidence anew and write down what comes out; nothing that a person wrote is
    touched. What arrives meanwhile marks the issue again."""
    began = Issue.objects.filter(pk=issue.pk).values_list("stale_since", flat=True).first()
    dossier = gathering.dossier(issue)
    found = verdicts.judge(dossier)
    with transaction.atomic():
        rows = Issue.objects.select_for_update(no_key=True, of=("self",)).select_related("repository")
        locked = rows.filter(pk=issue.pk).first()
        if locked is None:
            return
        notifying.issue_judged(locked, found.state, found.contradictions)
        Judgement.objects.filter(issue=issue).delete()
        Judgement.objects.bulk_create(
            Judgement(
                issue=issue,
                position=position,
                step=item.step,
                topic=item.topic,
                verdict=str(item.verdict),
                claim=recording.clean(item.claim, 500),
                evidence=recording.clean(item.evidence),
                at=item.at,
                version_id=item.version,
                line=item.line,
                links=[list(link) for link in item.links],
            )
            for position, item in enumerate(found.items)
        )
        Issue.objects.filter(pk=issue.pk).update(
            state=str(found.state),
            stands_at=found.stands_at,
            verdicts=[str(verdict) for verdict in found.steps],
            open_places=len(dossier.open_now),
            contradictions=found.contradictions,
            summary=[recording.clean(sentence) for sentence in found.summary],
            evidence_at=_evidence_at(dossier, gathering.repository),
            judged_at=Now(),
        )
        Issue.objects.filter(pk=issue.pk, stale_since=began).update(stale_since=None)


def _evidence_at(dossier: Dossier, repository: Repository) -> datetime | None:
    """When the newest piece of evidence was made: the audited commit, a fix, a test run."""
    current = repository.current_audit
    return newest(
        [
            current.commit_time if current is not None else None,
            *(
                moment.time
                for moment in (dossier.introduced, dossier.fixed, dossier.back)
                if moment is not None
            ),
            *(run.moment.time for run in dossier.runs),
        ]
    )
