"""How many canonical subjects have no open violation: the only writer of ``Repository.canonical`` and ``score``.

No grade is invented: the score is "canonical subjects with zero open violations / all canonical subjects" for each
zone. What is canonical is what the policy of the newest commit declares, and every definition that members were ever
missing from; all of history is measured by that.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Count, Min

from audits.engine.canonical import Canon, canon_of
from audits.engine.findings import Zone
from audits.engine.policy import Policy
from audits.mainline import reached
from audits.models import Commit, Event, Repository, Violation
from audits.models.violation import counting, waived


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
    """Have a repository's canonical subjects be those of a policy, and score it anew."""
    canon = canon_of(policy)
    value = {"tables": canon.tables, "forbidden": canon.forbidden}
    Repository.objects.filter(pk=repository_id).update(canonical=value)
    renew(repository_id)


def renew(repository_id: int) -> None:
    """Score a repository anew: its violations, or what is waived of them, have changed."""
    for repository in Repository.objects.filter(pk=repository_id):
        found = standings(repository)
        clean = {str(zone): sum(not each.open[zone] for each in found) for zone in Zone}
        score = {"subjects": len(found), "clean": clean}
        Repository.objects.filter(pk=repository_id).update(score=score)


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
    changed, and the newest one. Waivers don't count here: it is about what stood in the code. Three queries.
    """
    commits = list(
        Commit.objects.filter(repository=repository)
        .order_by("position")
        .values_list("sha", "parents", "on_main", "pk", "time", "subject")
    )
    line = reached((sha, parents, on_main) for sha, parents, on_main, *_ in commits)
    position = {sha: number for number, (sha, *_) in enumerate(commits)}
    arrives = {pk: position[line[sha]] for sha, _, _, pk, *_ in commits if sha in line}
    levels: list[Level] = []
    at: int | None = None
    dirty: tuple[int, ...] = (0,) * len(Zone)
    for number, dirty_now in _dirty(repository, arrives):
        if at is not None and number != at:
            levels.append(_level(commits[at], dirty))
        at, dirty = number, dirty_now
    last = max(arrives.values(), default=None)
    if at is not None:
        levels.append(_level(commits[at], dirty))
    if last is not None and last != at:
        levels.append(_level(commits[last], dirty))
    return levels


def _level(commit: tuple[str, list[str], bool, int, datetime, str], dirty: tuple[int, ...]) -> Level:
    sha, _, _, _, time, subject = commit
    return Level(time, dirty, sha, subject)


def _dirty(repository: Repository, arrives: dict[int, int]) -> Iterator[tuple[int, tuple[int, ...]]]:
    """In order of the branch: the place of the commit by which an event came to it, and what then had violations."""
    canon = _canon(repository)
    zones = [str(zone) for zone in Zone]
    about: dict[int, tuple[str, str]] = {}
    is_open: dict[int, bool] = {}
    rows = Violation.objects.filter(repository=repository).order_by()
    for pk, rule, subject, zone, stands in rows.values_list("pk", "rule", "subject", "zone", "is_open"):
        if name := canon.owner(rule, subject):
            about[pk], is_open[pk] = (name, zone), stands
    events = [
        (arrives[commit], position, pk, violation, kind)
        for pk, commit, position, violation, kind in Event.objects.filter(commit__repository=repository)
        .order_by()
        .values_list("pk", "commit", "commit__position", "violation", "kind")
        if commit in arrives and violation in about
    ]
    events.sort()
    last = {violation: index for index, (*_, violation, _) in enumerate(events)}
    standing: set[int] = set()
    places: Counter[tuple[str, str]] = Counter()
    dirty: Counter[str] = Counter()
    for index, (number, _, _, violation, kind) in enumerate(events):
        name, zone = about[violation]
        # What is gone although no later commit says so, a merge brought to its end.
        ends = kind == Event.Kind.GONE or (index == last[violation] and not is_open[violation])
        if ends == (violation in standing):
            standing.symmetric_difference_update({violation})
            before = places[name, zone]
            places[name, zone] += -1 if ends else 1
            dirty[zone] += (places[name, zone] > 0) - (before > 0)
        yield number, tuple(dirty[each] for each in zones)
