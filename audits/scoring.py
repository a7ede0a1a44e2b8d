"""How many canonical subjects have no open violation: the only writer of ``Repository.canonical`` and ``score``, and of
how that went. With the score the numbers of open violations are kept, which the page of all repositories shows.

No grade is invented: the score is "canonical subjects with zero open violations / all canonical subjects" for each
zone. What is canonical is what the policy of the newest commit declares, and every definition that members were ever
missing from; all of history is measured by that.
"""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from django.db import connection
from django.db.models import Count, FloatField, Min
from django.db.models.functions import Extract

from audits.engine.canonical import Canon, canon_of
from audits.engine.findings import Zone
from audits.engine.policy import Policy
from audits.mainline import reached
from audits.models import Commit, Repository, SubjectTrend, Violation
from audits.models.violation import counting, waived

# A zone, a severity, until which day it is waived (ISO, None: it isn't), and so many violations, as they are kept.
OpenCount = tuple[str, str, str | None, int]


@dataclass(slots=True)
class Standing:
    """A canonical subject: the tables of the policy that declare it (none: it was found in the code), its open
    violations by zone, how many are waived, how many there ever were, and the rules that object."""

    name: str
    tables: tuple[str, ...] = ()
    open: Counter[str] = field(default_factory=Counter)
    waived: int = 0
    ever: int = 0
    worst: str = ""
    rules: set[str] = field(default_factory=set)

    @property
    def zones(self) -> tuple[tuple[str, int], ...]:
        return tuple((str(zone), self.open[zone]) for zone in Zone)

    @property
    def words(self) -> str:
        """What to search violations for."""
        return self.name.removeprefix("family ")

    @property
    def total(self) -> int:
        return self.open.total()


@dataclass(frozen=True, slots=True)
class Level:
    """After a commit of the branch: by zone, in their order, how many canonical subjects had open violations."""

    time: datetime
    values: tuple[int, ...]
    sha: str
    subject: str


def take_over(repository_id: int, policy: Policy) -> None:
    """Have a repository's canonical subjects be those of a policy, and score it anew: its violations have changed."""
    _declare(repository_id, policy)
    renew_all(repository_id)


def redeclare(repository_id: int, policy: Policy) -> None:
    """The same where its violations are as they were: its history is gone through only if they have other owners now,
    which takes seconds where there are hundreds of thousands. Hardly an edit of a policy does that."""
    before = [_owned(repository) for repository in Repository.objects.filter(pk=repository_id)]
    _declare(repository_id, policy)
    after = [_owned(repository) for repository in Repository.objects.filter(pk=repository_id)]
    if before == after and SubjectTrend.objects.filter(repository=repository_id).exists():
        renew(repository_id)
    else:
        renew_all(repository_id)


def _declare(repository_id: int, policy: Policy) -> None:
    canon = canon_of(policy)
    value = {"tables": canon.tables, "forbidden": canon.forbidden}
    Repository.objects.filter(pk=repository_id).update(canonical=value)


def renew_all(repository_id: int) -> None:
    """Score a repository and its history anew: its violations have changed."""
    renew(repository_id)
    for repository in Repository.objects.filter(pk=repository_id):
        SubjectTrend.objects.update_or_create(repository=repository, defaults={"levels": _levels(repository)})


def renew(repository_id: int) -> None:
    """Score a repository anew: what is waived of its violations has changed."""
    for repository in Repository.objects.filter(pk=repository_id):
        found = standings(repository)
        clean = {str(zone): sum(not each.open[zone] for each in found) for zone in Zone}
        open_counts = open_in([repository_id]).get(repository_id, [])
        score = {"subjects": len(found), "clean": clean, "open": open_counts}
        Repository.objects.filter(pk=repository_id).update(score=score)


def open_in(repositories: Collection[int]) -> dict[int, list[OpenCount]]:
    """What stands in the code of repositories, whether it is waived or not. One query, of an index alone."""
    found: dict[int, list[OpenCount]] = {}
    rows = Violation.objects.filter(repository__in=repositories, is_open=True).order_by()
    for repository, zone, severity, until, count in rows.values_list(
        "repository", "zone", "severity", "waived_until"
    ).annotate(count=Count("*")):
        found.setdefault(repository, []).append((zone, severity, until and until.isoformat(), count))
    return found


def standings(repository: Repository) -> list[Standing]:
    """The canonical subjects of a repository, those with the most open violations first. One query."""
    canon = _canon(repository)
    found = {name: Standing(name, tables) for name, tables in canon.tables.items()}
    rows = (
        Violation.objects.filter(repository=repository)
        .order_by()
        .values_list("rule", "subject", "zone")
        .annotate(
            open=Count("pk", filter=counting()),
            waived=Count("pk", filter=waived()),
            ever=Count("pk"),
            worst=Min("severity", filter=counting()),
        )
    )
    for rule, subject, zone, is_open, is_waived, ever, worst in rows:
        if not (name := canon.owner(rule, subject)):
            continue
        standing = found.setdefault(name, Standing(name))
        standing.open[zone] += is_open
        standing.waived += is_waived
        standing.ever += ever
        standing.rules.add(rule)
        if worst:
            standing.worst = min(worst, standing.worst or worst)
    return sorted(found.values(), key=lambda each: (-each.total, each.name))


def _canon(repository: Repository) -> Canon:
    value = repository.canonical
    tables = {name: tuple(tables) for name, tables in value.get("tables", {}).items()}
    return Canon(tables, value.get("forbidden", {}))


def over_history(repository: Repository) -> list[Level]:
    """How many canonical subjects had open violations, over the commits of the branch's own line at which that
    changed, and the newest one. Waivers don't count here: it is about what stood in the code. Two queries.
    """
    kept = SubjectTrend.objects.filter(repository=repository).first()
    # Before the first audit by a version that keeps them they are computed.
    levels = _levels(repository) if kept is None else kept.levels
    commits = Commit.objects.filter(repository=repository, on_main=True).order_by()
    # as a number, because times are slow to read when there are many
    seconds = Extract("time", "epoch", output_field=FloatField())
    known = {row[0]: (row[1:],) for row in commits.values_list("position", seconds, "sha", "subject")}
    return [
        Level(datetime.fromtimestamp(time, UTC), tuple(values), sha, subject)
        for (position, *values) in levels
        for time, sha, subject in known.get(position, ())
    ]


def _levels(repository: Repository) -> list[tuple[int, ...]]:
    """Those levels as they are kept. Three queries, the last of which goes through all violations and events."""
    commits = list(
        Commit.objects.filter(repository=repository)
        .order_by("position")
        .values_list("sha", "parents", "on_main", "pk", "position")
    )
    line = reached((sha, parents, on_main) for sha, parents, on_main, *_ in commits)
    positions = {sha: position for sha, *_, position in commits}
    arrives = {pk: positions[line[sha]] for sha, _, _, pk, _ in commits if sha in line}
    levels = list(_dirty(repository, arrives))
    last = max(arrives.values(), default=None)
    if last is not None and (not levels or levels[-1][0] != last):
        levels.append((last, *(levels[-1][1:] if levels else (0,) * len(Zone))))
    return levels


def _owned(repository: Repository) -> list[tuple[str, str, str]]:
    """The rules and subjects of all violations that are about a canonical subject, and which. One query."""
    canon = _canon(repository)
    known = Violation.objects.filter(repository=repository).values_list("rule", "subject")
    keys = known.order_by("rule", "subject").distinct()
    return [(rule, subject, name) for rule, subject in keys if (name := canon.owner(rule, subject))]


def _dirty(repository: Repository, arrives: dict[int, int]) -> Iterator[tuple[int, ...]]:
    """In order of the branch: the position of each commit by which events came to it, and how many canonical subjects
    then had violations in each zone. ``arrives`` are those positions by commit, in order of the commits."""
    owned = _owned(repository)
    values: dict[str, Any] = {
        "repository": repository.pk,
        "rules": [rule for rule, _, _ in owned],
        "subjects": [subject for _, subject, _ in owned],
        "names": [name for _, _, name in owned],
        "commits": list(arrives),
        "arrivals": list(arrives.values()),
    }
    dirty: Counter[str] = Counter()
    with connection.cursor() as cursor:
        cursor.execute(_CHANGES, values)
        for position, rows in groupby(cursor, key=itemgetter(0)):
            dirty.update({zone: change for _, zone, change in rows})
            yield position, *(dirty[zone] for zone in Zone)


# Events in the order in which they came to the branch. After each the violation stands there or not, whatever was said
# twice (of a side branch, too). What is gone although no later commit says so, a merge brought to its end.
_CHANGES: Final = """
WITH moves AS (
    SELECT violation.id, owner.name, violation.zone, arrival.number, arrival.place, event.id AS event,
           event.kind <> 'gone' AND (violation.is_open OR lead(event.id) OVER mine IS NOT NULL) AS stands
      FROM unnest(%(rules)s::text[], %(subjects)s::text[], %(names)s::text[]) AS owner (rule, subject, name)
      JOIN audits_violation AS violation USING (rule, subject)
      JOIN audits_event AS event ON event.violation_id = violation.id
      JOIN unnest(%(commits)s::bigint[], %(arrivals)s::integer[])
           WITH ORDINALITY AS arrival (commit, number, place) ON arrival.commit = event.commit_id
     WHERE violation.repository_id = %(repository)s
    WINDOW mine AS (PARTITION BY violation.id ORDER BY arrival.number, arrival.place, event.id)
), steps AS (
    SELECT name, zone, number, stands::integer - lag(stands::integer, 1, 0)
           OVER (PARTITION BY id ORDER BY number, place, event) AS step
      FROM moves
), places AS (
    SELECT zone, number, sum(step) AS step, sum(sum(step)) OVER (PARTITION BY name, zone ORDER BY number) AS places
      FROM steps GROUP BY name, zone, number
)
SELECT number, zone, sum((places > 0)::integer - (places - step > 0)::integer)::integer FROM places
 GROUP BY number, zone ORDER BY number
"""
