"""Counts of open violations, always per zone, as pages show them."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Min, Q, QuerySet, Sum

from audits import scoring
from audits.engine.findings import ProblemKind, Zone
from audits.models import Audit, AuditProblem, Issue, Repository, Violation
from audits.models.waiver import today

# Not looked at either, but no finding can hide there.
HARMLESS = [kind for kind in ProblemKind if not kind.hides_findings]


@dataclass(frozen=True, slots=True)
class Tally:
    """Open violations of something: a number per zone in the order of ``Zone``, and the worst severity ("" if none)."""

    counts: tuple[int, ...] = (0,) * len(Zone)
    worst: str = ""

    @property
    def total(self) -> int:
        return sum(self.counts)

    @property
    def zones(self) -> tuple[tuple[str, int], ...]:
        return tuple(zip((str(zone) for zone in Zone), self.counts, strict=True))


@dataclass(frozen=True, slots=True)
class RuleTally:
    rule: str
    tally: Tally


def tally_of(counts: Mapping[str, int], worst: str = "") -> Tally:
    """A tally from numbers by zone; zones that this version doesn't know are left out."""
    return Tally(tuple(counts.get(zone, 0) for zone in Zone), worst)


def merged(tallies: Iterable[Tally]) -> Tally:
    listed = list(tallies)
    counts = tuple(sum(tally.counts[i] for tally in listed) for i in range(len(Zone)))
    return Tally(counts, min((tally.worst for tally in listed if tally.worst), default=""))


def _tallies(violations: QuerySet[Violation], field: str) -> dict[Any, Tally]:
    """The violations by the values of a field. One query."""
    counts: dict[Any, dict[str, int]] = {}
    worst: dict[Any, str] = {}
    rows = violations.order_by().values_list(field, "zone").annotate(count=Count("*"), worst=Min("severity"))
    for value, zone, count, severity in rows:
        counts.setdefault(value, {})[zone] = count
        worst[value] = min(severity, worst.get(value, severity))
    return {value: tally_of(by_zone, worst[value]) for value, by_zone in counts.items()}


@dataclass(frozen=True, slots=True)
class OpenTally:
    """What stands in the code of a repository: what counts, and how many violations don't count today."""

    tally: Tally = Tally()
    waived: int = 0


def open_by_repository(repositories: Iterable[Repository]) -> dict[int, OpenTally]:
    """Repository id to what stands in its code, as it is kept with the score. One query where some have none yet."""
    audited = [repository for repository in repositories if repository.current_audit_id is not None]
    unkept = [repository.pk for repository in audited if "open" not in repository.score]
    counted = scoring.open_in(unkept) if unkept else {}
    return {
        repository.pk: _open_tally(repository.score.get("open", counted.get(repository.pk, [])))
        for repository in audited
    }


def _open_tally(rows: Iterable[scoring.OpenCount]) -> OpenTally:
    counts: Counter[str] = Counter()
    worst, waived, now = "", 0, today().isoformat()
    for zone, severity, until, count in rows:
        if until is not None and until >= now:
            waived += count
            continue
        counts[zone] += count
        worst = min(severity, worst or severity)
    return OpenTally(tally_of(counts, worst), waived)


def waived_in(repository: Repository) -> Tally:
    """The violations of a repository that stand in the code and don't count today. One query."""
    rows = repository.violations.waived().order_by().values_list("zone").annotate(count=Count("*"))
    return tally_of(dict(rows))


@dataclass(frozen=True, slots=True)
class IssueTally:
    """The issues of a repository, those among them that evidence speaks against, and how often it does in all."""

    issues: int = 0
    contradicted: int = 0
    contradictions: int = 0


def issues_by_repository(issues: QuerySet[Issue]) -> dict[int, IssueTally]:
    """Repository id to the tally of its issues; repositories without any are absent. One query."""
    rows = issues.order_by().values_list("repository_id")
    counted = rows.annotate(
        issues=Count("pk"),
        contradicted=Count("pk", filter=Q(contradictions__gt=0)),
        all_contradictions=Sum("contradictions"),
    )
    return {repository: IssueTally(*numbers) for repository, *numbers in counted}


def open_by_rule(repository: Repository) -> list[RuleTally]:
    """Open violations of a repository per rule, the worst first. One query."""
    tallies = [
        RuleTally(rule, tally) for rule, tally in _tallies(repository.violations.counting(), "rule").items()
    ]
    return sorted(tallies, key=lambda row: (row.tally.worst, -row.tally.total, row.rule))


def found_by_rule(counts: Mapping[str, Mapping[str, int]]) -> list[RuleTally]:
    """What an audit counted (its ``counts``: rule to zone to number), most first."""
    tallies = [RuleTally(rule, tally_of(by_zone)) for rule, by_zone in counts.items()]
    return sorted(tallies, key=lambda row: (-row.tally.total, row.rule))


@dataclass(frozen=True, slots=True)
class AuditRow:
    """An audit and how many things it could not look at although findings may be there."""

    audit: Audit
    unseen: int


def audit_rows(audits: Iterable[Audit]) -> list[AuditRow]:
    """The audits in their order, each with what it could not see. One query."""
    listed = list(audits)
    unseen = dict(
        AuditProblem.objects.filter(audit__in={audit.result.pk for audit in listed})
        .exclude(kind__in=HARMLESS)
        .order_by()
        .values_list("audit_id")
        .annotate(count=Count("pk"))
    )
    return [AuditRow(audit, unseen.get(audit.result.pk, 0)) for audit in listed]


def unseen_in(audit: Audit | None) -> int:
    """How many things an audit could not look at although findings may be there. One query, none without an audit."""
    return audit_rows([audit])[0].unseen if audit else 0
