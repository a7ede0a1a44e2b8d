"""The open violations of an issue, commit by commit, and how fast they go. Read from rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Max

from audits.dossiers import violations_of
from audits.models import Commit, Event, Issue
from audits.pace import Level, Life, Pace, pace


@dataclass(slots=True)
class Change:
    """What a commit did to an issue's violations; ``left`` were open after it."""

    commit: int
    introduced: int = 0
    gone: int = 0
    left: int = 0

    @property
    def size(self) -> int:
        return self.introduced + self.gone


def changes(issue: Issue) -> list[Change]:
    """The commits that introduced or removed violations of an issue's subjects, in their order."""
    rows = violations_of(issue.subjects.all(), issue.repository_id)
    events = list(
        Event.objects.filter(violation__in=rows)
        .order_by("commit__position", "pk")
        .values_list("commit", "kind", "violation", "violation__is_open")
    )
    last = {violation: index for index, (_, _, violation, _) in enumerate(events)}
    found: dict[int, Change] = {}
    standing: set[int] = set()
    for index, (commit, kind, violation, is_open) in enumerate(events):
        change = found.setdefault(commit, Change(commit))
        is_gone = kind == Event.Kind.GONE
        change.gone += is_gone
        change.introduced += not is_gone
        # What is gone although no later commit says so, a merge brought to its end.
        if is_gone or (index == last[violation] and not is_open):
            standing.discard(violation)
        else:
            standing.add(violation)
        change.left = len(standing)
    return list(found.values())


@dataclass(frozen=True, slots=True)
class Left:
    """How many violations were open after a commit that changed their number."""

    commit: Commit
    left: int


def burn_down(issue: Issue) -> list[Left]:
    """The open violations over the commits that changed their number. What came back is a step up."""
    found = changes(issue)
    commits = Commit.objects.in_bulk([change.commit for change in found])
    return [Left(commits[change.commit], change.left) for change in found]


def pace_of(issue: Issue, lefts: Sequence[Left]) -> Pace | None:
    """How fast an issue's violations go, up to the newest commit of its repository; None without a history."""
    newest = Commit.objects.filter(repository=issue.repository_id).aggregate(time=Max("time"))["time"]
    if newest is None:
        return None
    levels = [Level(each.commit.time, each.left) for each in lefts]
    return pace(_lives(issue), levels, newest)


def _lives(issue: Issue) -> list[Life]:
    """Each violation from its first commit to the last one that removed it."""
    rows = violations_of(issue.subjects.all(), issue.repository_id)
    events = Event.objects.filter(violation__in=rows).order_by("commit__position", "pk")
    began: dict[int, datetime] = {}
    ended: dict[int, datetime] = {}
    still: set[int] = set()
    for violation, kind, time, is_open in events.values_list(
        "violation", "kind", "commit__time", "violation__is_open"
    ):
        if kind == Event.Kind.GONE:
            ended[violation] = time
        else:
            began.setdefault(violation, time)
        if is_open:
            still.add(violation)
    return [
        Life(since, None if violation in still else ended[violation])
        for violation, since in began.items()
        if violation in still or violation in ended
    ]
