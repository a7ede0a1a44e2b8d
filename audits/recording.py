"""Writes what an audit saw: violations, sightings, lifespans, and which audit of a repository is the current one.

All of it follows from the repository's succeeded audits and the ancestry of their commits. So it ends in the same
rows whatever the order in which the audits arrived.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Self

from django.contrib.postgres.aggregates import ArrayAgg
from django.db import connection

from audits import lifespans
from audits.engine.findings import Finding, Problem, ProblemKind
from audits.models import Audit, AuditProblem, Covers, Lifespan, Repository, Sighting, State, Violation

# With one of these the audit could not look into a file.
COULD_NOT_LOOK = [kind for kind in ProblemKind if kind.hides_findings and kind != ProblemKind.RULE_FAILED]
# Nor can other rules look into a file that this rule names.
UNPARSEABLE = "unparseable"

# A subject is part of an index, whose rows have at most 2,704 bytes.
MAX_SUBJECT = 500
MAX_TEXT = 4_000

# None stands for all violations of the repository.
Affected = set[int] | None


@dataclass(frozen=True, slots=True)
class Result:
    """Of a commit the newest succeeded audit: the row that holds its sightings, and the nearest audited ancestors."""

    audit_id: int
    commit: str
    time: datetime
    parents: frozenset[str]


@dataclass(frozen=True, slots=True)
class Standing:
    """What a repository's succeeded audits say together: a result for each audited commit, and the current commit."""

    results: dict[str, Result]
    current: str | None

    @property
    def graph(self) -> dict[str, frozenset[str]]:
        return {commit: result.parents for commit, result in self.results.items()}

    @property
    def current_id(self) -> int | None:
        return self.results[self.current].audit_id if self.current else None

    def order(self, commit: str) -> tuple[datetime, str]:
        return (self.results[commit].time, commit)

    def ids(self, commits: Iterable[str]) -> list[int]:
        return [self.results[commit].audit_id for commit in commits]


def clean(text: str, limit: int = MAX_TEXT) -> str:
    """Text as PostgreSQL takes it: no NUL, lone surrogates written out, at most ``limit`` characters."""
    text = text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= limit else text[: limit - 1] + "…"


def record_result(
    audit: Audit,
    findings: Iterable[Finding],
    problems: Iterable[Problem],
    is_ancestor: lifespans.IsAncestor,
    tip: str | None,
) -> None:
    """Record what a succeeded audit saw; its row says already that it succeeded, and at which commit.

    ``tip`` is the commit at the end of the repository's branch, None when that isn't known. To be called in a
    transaction that has locked the repository's row.
    """
    _store_problems(audit, problems)
    _store_findings(audit, findings)
    _settle(audit, is_ancestor, tip, has_details=True)


def record_repeat(audit: Audit, is_ancestor: lifespans.IsAncestor, tip: str | None) -> None:
    """Record that a succeeded audit shares the result of an earlier one, which from now on counts for its commit."""
    _settle(audit, is_ancestor, tip, has_details=False)


def _settle(audit: Audit, is_ancestor: lifespans.IsAncestor, tip: str | None, *, has_details: bool) -> None:
    before = _standing(audit.repository, without=audit)
    _place(audit, before, is_ancestor)
    after = _standing(audit.repository)
    after = replace(after, current=_current(after, before.current, is_ancestor, tip))
    if after.current_id != audit.repository.current_audit_id:
        Repository.objects.filter(pk=audit.repository_id).update(current_audit_id=after.current_id)
    _rename(before.results.get(audit.commit_sha), after.results[audit.commit_sha])
    affected = _affected(audit.repository_id, audit.commit_sha, before, after)
    moved = _settle_violations(audit.repository_id, affected, after)
    if has_details:
        mine = moved.pop(audit.pk, [])
        _update_details(audit, None if after.current_id == audit.pk else mine)
    _update_places(moved)


# --- Which audit counts for which commit, and which commit is the current one -------------------------------


def is_on_branch(audit: Audit) -> bool:
    """Whether the commit of a succeeded audit is the repository's current one or comes before it. Only of those do
    lifespans tell; one on a branch of its own begins and ends none. Two queries."""
    standing = _standing(audit.repository)
    return standing.current is not None and audit.commit_sha in lifespans.ancestry(
        standing.graph, standing.current
    )


def _standing(repository: Repository, without: Audit | None = None) -> Standing:
    audits = repository.audits.filter(state=State.SUCCEEDED, covers=Covers.COMMIT).order_by("id")
    if without is not None:
        audits = audits.exclude(pk=without.pk)
    results = {}
    for pk, same_as, commit, time, parents in audits.values_list(
        "pk", "same_as", "commit_sha", "commit_time", "audited_parents"
    ):
        assert time is not None
        results[commit] = Result(same_as or pk, commit, time, frozenset(parents))
    current = None
    if repository.current_audit_id is not None:
        current = Audit.objects.values_list("commit_sha", flat=True).get(pk=repository.current_audit_id)
    return Standing(results, current)


def _place(audit: Audit, before: Standing, is_ancestor: lifespans.IsAncestor) -> None:
    """Write down the nearest audited ancestors of the commit, and of the commits that it now stands before."""
    commit, time = audit.commit_sha, audit.commit_time
    assert time is not None
    if known := before.results.get(commit):
        changes = {commit: known.parents}
    else:
        nearby = sorted(before.results, key=lambda other: (abs(before.results[other].time - time), other))
        changes = lifespans.insert(before.graph, commit, nearby, is_ancestor)
    for changed, parents in changes.items():
        audit.repository.audits.filter(
            state=State.SUCCEEDED, covers=Covers.COMMIT, commit_sha=changed
        ).update(audited_parents=sorted(parents))


def _current(
    standing: Standing, current: str | None, is_ancestor: lifespans.IsAncestor, tip: str | None
) -> str | None:
    """The audited commit that is furthest along the branch.

    A branch that was set back to an older commit moves nothing back. While no audited commit is on the branch, or the
    branch isn't known, all audited commits count.
    """
    found = None
    if tip is not None:
        end = current if current is not None and is_ancestor(tip, current) else tip
        found = lifespans.furthest(standing.graph, lambda commit: is_ancestor(commit, end), standing.order)
    return found or lifespans.furthest(standing.graph, lambda _: True, standing.order)


# --- What the audit saw -------------------------------------------------------------------------------------


def _store_problems(audit: Audit, problems: Iterable[Problem]) -> None:
    AuditProblem.objects.bulk_create(
        (
            AuditProblem(
                audit=audit, path=clean(p.path), kind=str(p.kind), rule=p.rule, message=clean(p.message)
            )
            for p in problems
        ),
        batch_size=5_000,
    )


_INCOMING = """
CREATE TEMPORARY TABLE audits_incoming (
    fingerprint varchar(32), rule varchar(40), subject text, path text, scope text, ordinal integer, member text,
    zone varchar(10), severity varchar(2), line integer, "column" integer, message text, hint text,
    annotations varchar(20)[], definition_path text, definition_line integer
) ON COMMIT DROP
"""
_NEW_VIOLATIONS = """
INSERT INTO audits_violation (
    repository_id, latest_audit_id, is_open, fingerprint, rule, subject, path, scope, ordinal, member, zone, severity,
    line, "column", message, hint, annotations, definition_path, definition_line
)
SELECT %(repository)s, %(audit)s, false, fingerprint, rule, subject, path, scope, ordinal, member, zone, severity,
    line, "column", message, hint, annotations, definition_path, definition_line
FROM audits_incoming
ON CONFLICT (repository_id, fingerprint) DO NOTHING
"""
_SIGHTINGS = """
INSERT INTO audits_sighting (audit_id, violation_id, line, "column")
SELECT %(audit)s, violation.id, incoming.line, incoming."column"
FROM audits_incoming AS incoming
JOIN audits_violation AS violation
    ON violation.repository_id = %(repository)s AND violation.fingerprint = incoming.fingerprint
"""
_DETAILS = """
UPDATE audits_violation AS violation
SET latest_audit_id = %(audit)s, member = incoming.member, zone = incoming.zone, severity = incoming.severity,
    line = incoming.line, "column" = incoming."column", message = incoming.message, hint = incoming.hint,
    annotations = incoming.annotations, definition_path = incoming.definition_path,
    definition_line = incoming.definition_line
FROM audits_incoming AS incoming
WHERE violation.repository_id = %(repository)s AND violation.fingerprint = incoming.fingerprint
"""


_PLACES = """
UPDATE audits_violation AS violation
SET latest_audit_id = %(audit)s, line = sighting.line, "column" = sighting."column"
FROM audits_sighting AS sighting
WHERE sighting.audit_id = %(audit)s AND sighting.violation_id = violation.id
"""
# Not "= ANY(...)", which may be looked through from end to end for each row.
_ONLY = " AND violation.id IN (SELECT unnest(%(violations)s::bigint[]))"


def _store_findings(audit: Audit, findings: Iterable[Finding]) -> None:
    store_violations(audit, ((finding.fingerprint, finding) for finding in findings))
    with connection.cursor() as cursor:
        cursor.execute(_SIGHTINGS, {"repository": audit.repository_id, "audit": audit.pk})


def store_violations(audit: Audit, findings: Iterable[tuple[str, Finding]]) -> None:
    """Add rows for findings whose fingerprint (the first of each pair) is new to the repository; they are not open."""
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS pg_temp.audits_incoming")
        cursor.execute(_INCOMING)
        with cursor.copy("COPY audits_incoming FROM STDIN") as copy:
            for fingerprint, finding in findings:
                copy.write_row(_incoming_row(fingerprint, finding))
        cursor.execute("ANALYZE audits_incoming")
        cursor.execute(_NEW_VIOLATIONS, {"repository": audit.repository_id, "audit": audit.pk})


def _incoming_row(fingerprint: str, finding: Finding) -> tuple[object, ...]:
    place = finding.definition
    return (
        fingerprint,
        finding.rule,
        clean(finding.subject, MAX_SUBJECT),
        clean(finding.path),
        clean(finding.scope),
        finding.ordinal,
        clean(finding.member or ""),
        str(finding.zone),
        str(finding.severity),
        finding.line,
        finding.column,
        clean(finding.message),
        clean(finding.hint),
        [str(annotation) for annotation in finding.annotations],
        clean(place.path) if place else "",
        place.line if place else None,
    )


def _update_details(audit: Audit, violations: list[int] | None) -> None:
    """Take over what this audit says about violations (None: about all that it saw)."""
    if violations == []:
        return
    sql, ids = _DETAILS, {"repository": audit.repository_id, "audit": audit.pk}
    with connection.cursor() as cursor:
        if violations is None:
            cursor.execute(sql, ids)
        else:
            cursor.execute(sql + _ONLY, ids | {"violations": violations})


def _update_places(moved: dict[int, list[int]]) -> None:
    """Take over line and column from sightings: violation ids by the audit whose sighting is the latest now."""
    with connection.cursor() as cursor:
        for audit_id, violations in moved.items():
            cursor.execute(_PLACES + _ONLY, {"audit": audit_id, "violations": violations})


# --- What follows for violations and their lifespans --------------------------------------------------------


def _rename(old: Result | None, new: Result) -> None:
    """A commit's newer result takes the place of its older one."""
    if old is not None and old.audit_id != new.audit_id:
        Lifespan.objects.filter(introduced_in=old.audit_id).update(introduced_in=new.audit_id)
        Lifespan.objects.filter(gone_in=old.audit_id).update(gone_in=new.audit_id)


def _affected(repository_id: int, commit: str, before: Standing, after: Standing) -> Affected:
    """The violations whose lifespans can have changed.

    Where an audited commit was added to a line of them, these are the ones that it doesn't share with its neighbours,
    and the ones that some of these audits could not look for.
    """
    old, new = before.results.get(commit), after.results[commit]
    if old is not None and old.audit_id == new.audit_id:
        return set() if after.current == before.current else None
    if after.current is not None and after.current == before.current:
        on_branch = lifespans.ancestry(after.graph, after.current)
        if commit not in on_branch:
            return set()
        if old is None:
            around = new.parents | {other for other in on_branch if commit in after.graph[other]}
            return _differing(repository_id, [new.audit_id, *after.ids(around)], is_first=not new.parents)
        if commit == after.current and new.audit_id > old.audit_id:
            return _differing(repository_id, [new.audit_id, old.audit_id], is_first=False)
    elif old is None and after.current == commit and new.parents == {before.current}:
        return _differing(repository_id, [new.audit_id, *after.ids(new.parents)], is_first=False)
    return None


def _differing(repository_id: int, audits: list[int], *, is_first: bool) -> set[int]:
    """Violations that not all of these audits saw; when the first of them begins the history, all that any saw."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT violation_id FROM audits_sighting WHERE audit_id = ANY(%s)"
            " GROUP BY violation_id HAVING count(*) < %s",
            [audits, len(audits) + is_first],
        )
        differing = {violation for (violation,) in cursor.fetchall()}
        blind = _Blindness.of(audits)
        cursor.execute(
            "SELECT id FROM audits_violation"
            " WHERE repository_id = %s AND (path = ANY(%s) OR definition_path = ANY(%s) OR rule = ANY(%s))",
            [repository_id, list(blind.paths), list(blind.paths), list(blind.rules)],
        )
        return differing | {violation for (violation,) in cursor.fetchall()}


@dataclass(frozen=True, slots=True)
class _Blindness:
    """Where audits could not look: ids of audits by the file, and by the rule that failed."""

    paths: dict[str, set[int]]
    rules: dict[str, set[int]]

    @classmethod
    def of(cls, audits: list[int]) -> Self:
        blind = cls({}, {})
        problems = AuditProblem.objects.filter(audit__in=audits).order_by()
        for audit, path in problems.filter(kind__in=COULD_NOT_LOOK).values_list("audit_id", "path"):
            blind.paths.setdefault(path, set()).add(audit)
        broken = Sighting.objects.filter(audit__in=audits, violation__rule=UNPARSEABLE)
        for audit, path in broken.values_list("audit_id", "violation__path"):
            blind.paths.setdefault(path, set()).add(audit)
        failed = problems.filter(kind=ProblemKind.RULE_FAILED)
        for audit, rule in failed.values_list("audit_id", "rule"):
            blind.rules.setdefault(rule, set()).add(audit)
        return blind

    def audits(self, rule: str, path: str, definition_path: str) -> set[int]:
        """The audits that could not say whether there is such a violation."""
        nowhere: set[int] = set()
        return (
            self.rules.get(rule, nowhere)
            | self.paths.get(path, nowhere)
            | (self.paths.get(definition_path, nowhere) if definition_path else nowhere)
        )


def _settle_violations(repository_id: int, affected: Affected, standing: Standing) -> dict[int, list[int]]:
    """Bring lifespans of violations up to date, and whether they are open.

    Answers those whose latest sighting along the branch is another one now: their ids, by the audit that saw them.
    """
    if affected == set() or standing.current is None:
        return {}
    history = lifespans.History(standing.graph, standing.current, standing.order)
    audits = standing.ids(history.commits)
    commit_of = dict(zip(audits, history.commits, strict=True))
    audit_of = dict(zip(history.commits, audits, strict=True))
    seen_by = _sightings(affected, audits)
    known = _known_lifespans(repository_id, affected)
    blind = _Blindness.of(audits)
    changes = _Changes()
    violations = Violation.objects.filter(repository=repository_id)
    if affected is not None:
        violations = violations.filter(pk__in=affected)
    for violation in violations.only(
        "rule", "path", "definition_path", "is_open", "latest_audit_id"
    ).iterator():
        seen = history.mask([commit_of[audit] for audit in seen_by.get(violation.pk, ())])
        cant_say = blind.audits(violation.rule, violation.path, violation.definition_path)
        spans = history.lifespans(seen, history.mask([commit_of[audit] for audit in cant_say]))
        rows = {(audit_of[span.introduced], audit_of[span.gone] if span.gone else None) for span in spans}
        changes.lifespans(violation, known.get(violation.pk, {}), rows)
        latest = history.latest(seen)
        if latest is not None and audit_of[latest] != violation.latest_audit_id:
            changes.moved.setdefault(audit_of[latest], []).append(violation.pk)
    changes.write()
    return changes.moved


# Where a lifespan begins and ends, by the ids of audits; None: it lasts.
Span = tuple[int, int | None]


def _sightings(affected: Affected, audits: list[int]) -> dict[int, list[int]]:
    """By the id of a violation: which of these audits saw it."""
    sightings = Sighting.objects.filter(audit__in=audits)
    if affected is not None:
        sightings = sightings.filter(violation__in=affected)
    grouped = sightings.order_by().values("violation").annotate(seen_by=ArrayAgg("audit"))
    return dict(grouped.values_list("violation", "seen_by"))


def _known_lifespans(repository_id: int, affected: Affected) -> dict[int, dict[Span, int]]:
    """By the id of a violation: its rows of lifespans."""
    rows = Lifespan.objects.filter(introduced_in__repository=repository_id).order_by()
    if affected is not None:
        rows = rows.filter(violation__in=affected)
    found: dict[int, dict[Span, int]] = {}
    for pk, violation, introduced, gone in rows.values_list("pk", "violation", "introduced_in", "gone_in"):
        found.setdefault(violation, {})[introduced, gone] = pk
    return found


@dataclass(slots=True)
class _Changes:
    """What is to be written about violations, collected so that it takes a few statements."""

    new: list[Lifespan] = field(default_factory=list)
    outdated: list[int] = field(default_factory=list)
    opened: list[int] = field(default_factory=list)
    closed: list[int] = field(default_factory=list)
    moved: dict[int, list[int]] = field(default_factory=dict)

    def lifespans(self, violation: Violation, old: dict[Span, int], rows: set[Span]) -> None:
        self.outdated += [pk for row, pk in old.items() if row not in rows]
        self.new += [
            Lifespan(violation=violation, introduced_in_id=introduced, gone_in_id=gone)
            for introduced, gone in rows - old.keys()
        ]
        is_open = any(gone is None for _, gone in rows)
        if is_open != violation.is_open:
            (self.opened if is_open else self.closed).append(violation.pk)

    def write(self) -> None:
        Lifespan.objects.filter(pk__in=self.outdated).delete()
        Lifespan.objects.bulk_create(self.new, batch_size=5_000)
        Violation.objects.filter(pk__in=self.opened).update(is_open=True)
        Violation.objects.filter(pk__in=self.closed).update(is_open=False)
