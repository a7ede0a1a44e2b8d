"""What happened around an issue, in one order: what was said beside what was done and found. Read from rows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

from django.db.models import Q

from audits import burndown
from audits.models import (
    Claim,
    Commit,
    Issue,
    IssueNote,
    IssueReference,
    Judgement,
    TestRun,
    TrackerVersion,
)
from audits.verdicts import Verdict

# Commits on one timeline; of more, those that changed most.
MAX_COMMITS = 300
MAX_RUNS = 100
# What a person edits of an issue, by field.
_EDITED = {
    "title": "title",
    "kind": "kind",
    "priority": "priority",
    "owner_id": "owner",
    "due_on": "due date",
}


@dataclass(slots=True)
class Happening:
    """One entry of a timeline, at a commit or at a time.

    What was said: ``version`` with its ``claims`` and the ``judgements`` of them, or a person's ``note``. What was
    done: the ``commit`` introduced and removed violations (``left`` were open after it) or names the issue; or a test
    ``run`` came, or somebody edited the issue (``edits``).
    """

    anchor: str
    at: datetime
    commit: Commit | None = None
    version: TrackerVersion | None = None
    claims: list[Claim] = field(default_factory=list)
    judgements: list[Judgement] = field(default_factory=list)
    introduced: int = 0
    gone: int = 0
    left: int | None = None
    names_issue: bool = False
    run: TestRun | None = None
    note: IssueNote | None = None
    edits: list[str] = field(default_factory=list)
    who: str = ""

    @property
    def contradicted(self) -> list[Judgement]:
        return [judgement for judgement in self.judgements if judgement.verdict == Verdict.CONTRADICTED]

    @property
    def other_judgements(self) -> list[Judgement]:
        return [judgement for judgement in self.judgements if judgement.verdict != Verdict.CONTRADICTED]

    @property
    def other_words(self) -> str:
        """``3 statements verified, 1 waits for evidence``."""
        verified = sum(judgement.verdict == Verdict.VERIFIED for judgement in self.judgements)
        waiting = len(self.other_judgements) - verified
        parts = [f"{verified} statement{'' if verified == 1 else 's'} verified"] if verified else []
        parts += [f"{waiting} wait{'s' if waiting == 1 else ''} for evidence"] if waiting else []
        return ", ".join(parts)

    @property
    def is_contradicted(self) -> bool:
        return bool(self.contradicted)

    @property
    def kinds(self) -> set[str]:
        """Which filters show it."""
        found = set()
        if self.is_contradicted:
            found.add("contradictions")
        if self.version is not None or (self.note is not None and self.note.kind == IssueNote.Kind.CLAIM):
            found.add("claims")
        if self.introduced or self.gone or self.names_issue:
            found.add("commits")
        if self.run is not None or any(j.topic in _ABOUT_TESTS for j in self.judgements):
            found.add("tests")
        if self.note is not None or self.edits:
            found.add("people")
        return found

    @property
    def steps(self) -> list[Claim]:
        """The claims about steps, one a step, in their order."""
        return sorted((c for c in self.claims if c.kind == "step"), key=lambda claim: claim.step or 0)

    @property
    def statements(self) -> list[Claim]:
        """What else it says anew."""
        return [claim for claim in self.claims if claim.kind != "step"]


_ABOUT_TESTS = {"counted tests", "failing first", "tests pass", "no regression", "new tests"}
FILTERS = ("contradictions", "claims", "commits", "tests", "people")


def timeline(issue: Issue, judgements: Sequence[Judgement]) -> list[Happening]:
    """All that happened around an issue, the earliest first."""
    found: dict[str, Happening] = {}
    _add_versions(issue, judgements, found)
    _add_commits(issue, found)
    _add_runs(issue, judgements, found)
    _add_people(issue, found)
    return sorted(found.values(), key=lambda happening: (happening.at, happening.anchor))


def _add_versions(issue: Issue, judgements: Iterable[Judgement], found: dict[str, Happening]) -> None:
    versions = (
        TrackerVersion.objects.filter(tracker__issue=issue)
        .select_related("tracker")
        .defer("text", "original")
    )
    by_version: dict[int, list[Judgement]] = {}
    for judgement in judgements:
        if judgement.version_id is not None:
            by_version.setdefault(judgement.version_id, []).append(judgement)
    claims: dict[int, list[Claim]] = {}
    for claim in Claim.objects.filter(version__in=versions).order_by("line", "pk"):
        claims.setdefault(claim.version_id, []).append(claim)
    for version in versions:
        found[f"v{version.pk}"] = Happening(
            f"v{version.pk}",
            version.time,
            version=version,
            claims=claims.get(version.pk, []),
            judgements=by_version.get(version.pk, []),
            who=version.author,
        )


def _add_commits(issue: Issue, found: dict[str, Happening]) -> None:
    """Commits that introduced or removed violations of the subjects, or that name the issue."""
    changes = {change.commit: change for change in burndown.changes(issue)}
    kept = sorted(changes, key=lambda pk: -changes[pk].size)[:MAX_COMMITS]
    naming = _naming(issue)
    by_sha = {
        h.version.commit_sha: h for h in found.values() if h.version is not None and h.version.commit_sha
    }
    for row in Commit.objects.filter(Q(pk__in=kept) | Q(pk__in=naming)).order_by("position"):
        happening = by_sha.get(row.sha)
        if happening is None:
            happening = found.setdefault(
                f"c{row.sha[:12]}", Happening(f"c{row.sha[:12]}", row.time, who=row.author)
            )
        happening.commit = row
        if change := changes.get(row.pk):
            happening.introduced, happening.gone, happening.left = change.introduced, change.gone, change.left
        happening.names_issue = row.pk in naming


def _naming(issue: Issue) -> set[int]:
    """Commits whose message's first line names one of the issue's numbers."""
    known = issue.references.filter(kind=IssueReference.Kind.ISSUE).values_list("number", flat=True)
    numbers = {number for number in known if number is not None}
    claimed = Claim.objects.filter(version__tracker__issue=issue, kind="issue", number__isnull=False)
    numbers |= {number for number in claimed.values_list("number", flat=True) if number is not None}
    if not numbers:
        return set()
    pattern = rf"(^|[^\w/])#({'|'.join(str(number) for number in sorted(numbers))})([^\d]|$)"
    rows = Commit.objects.filter(repository=issue.repository_id, subject__regex=pattern)
    return set(rows.order_by("-position").values_list("pk", flat=True)[:MAX_COMMITS])


def _add_runs(issue: Issue, judgements: Iterable[Judgement], found: dict[str, Happening]) -> None:
    """Test runs that a verdict rests on, and those that came while the issue was worked on."""
    wanted = {run for judgement in judgements for run in judgement.runs}
    for run in TestRun.objects.filter(pk__in=wanted, repository=issue.repository_id)[:MAX_RUNS]:
        at = run.commit_time or run.received_at
        found[f"r{run.pk}"] = Happening(f"r{run.pk}", at, run=run)


def _add_people(issue: Issue, found: dict[str, Happening]) -> None:
    for note in issue.notes.select_related("author"):
        who = note.author.get_username() if note.author is not None else "somebody"
        found[f"n{note.pk}"] = Happening(f"n{note.pk}", note.at, note=note, who=who)
    records = list(issue.changes.select_related("history_user").order_by("history_date", "history_id"))
    for before, after in pairwise(records):
        edits = [
            f"{words}: {getattr(before, name)} → {getattr(after, name)}" if name != "owner_id" else words
            for name, words in _EDITED.items()
            if getattr(before, name) != getattr(after, name)
        ]
        if edits:
            key = f"e{after.history_id}"
            found[key] = Happening(
                key, after.history_date, edits=edits, who=str(after.history_user or "somebody")
            )
    if records:
        first = records[0]
        key = f"e{first.history_id}"
        found[key] = Happening(
            key, first.history_date, edits=["issue made here"], who=str(first.history_user or "the site")
        )
