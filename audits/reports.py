"""What an audit saw, read from rows as the engine's own report: for programs, as JSON and SARIF."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Collate

from audits.engine.baseline import UNPARSEABLE, Comparison, Past, blindness, past_of
from audits.engine.findings import Annotation, Finding, Place, Problem, ProblemKind, Report, Severity, Zone
from audits.models import Audit, Covers, Repository, Sighting, State, Violation
from audits.models.waiver import today

# As PostgreSQL's "C" has it, text is in the order of Python's: that of the engine's reports.
_REPORT_ORDER = (
    Collate("violation__path", "C"),
    F("line"),
    F("column"),
    Collate("violation__rule", "C"),
    Collate("violation__subject", "C"),
)
_AT_ONCE = 2_000


class NoReportError(ValueError):
    """An audit that has no findings to show (yet); the message says why."""


def report_of(audit: Audit) -> Report:
    """The report of an audit that has succeeded, without its findings. Raises ``NoReportError``. One query."""
    if audit.covers != Covers.COMMIT:
        raise NoReportError("This audit is about a whole history: ask for an audit of a commit.")
    if audit.state != State.SUCCEEDED:
        raise NoReportError(f"This audit has no result: it is {audit.get_state_display().lower()}.")
    result = audit.result
    return Report(
        commit=audit.commit_sha,
        engine=audit.engine_version,
        policy=audit.policy_digest,
        read=result.files_read,
        parsed=result.files_parsed,
        findings=(),
        problems=tuple(
            Problem(p.path, ProblemKind(p.kind), p.message, p.rule) for p in result.problems.all()
        ),
    )


def findings_of(audit: Audit) -> Iterator[Finding]:
    """The findings of an audit that has succeeded, in report order; some at a time, so that memory stays small."""
    return (finding for _, finding in _read(Sighting.objects.filter(audit=audit.result)))


_COLUMNS = (
    *("violation", "line", "column"),
    *(
        f"violation__{name}"
        for name in (
            *("rule", "subject", "path", "scope", "zone", "severity", "message", "hint", "annotations"),
            *("member", "definition_path", "definition_line", "ordinal"),
        )
    ),
)


def _read(sightings: QuerySet[Sighting], limit: int | None = None) -> Iterator[tuple[int, Finding]]:
    """By violation what was seen, in report order. Lines and columns are those of then; messages, zones and annotations
    those of a violation's newest sighting."""
    for row in sightings.order_by(*_REPORT_ORDER).values_list(*_COLUMNS)[:limit].iterator(_AT_ONCE):
        key, line, column, rule, subject, path, scope, zone, severity, message, hint, annotations = row[:12]
        member, definition_path, definition_line, ordinal = row[12:]
        has_place = definition_path and definition_line is not None
        yield (
            key,
            Finding(
                rule=rule,
                subject=subject,
                path=path,
                line=line,
                column=column,
                scope=scope,
                zone=Zone(zone),
                severity=Severity(severity),
                message=message,
                hint=hint,
                annotations=tuple(map(Annotation, annotations)),
                member=member or None,
                definition=Place(definition_path, definition_line) if has_place else None,
                ordinal=ordinal,
            ),
        )


# --- One audit beside another -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Verdict:
    """An audit beside ``base``: how many new findings may fail a build (``new``), how many don't count today
    (``waived``), how many of the base are ``gone``, and how many ``problems`` the audit had."""

    audit: Audit
    base: Audit
    new: int
    waived: int
    gone: int
    problems: int

    def first_new(self, limit: int) -> list[tuple[int, Finding]]:
        """Of what may fail a build the first ones in report order, with the numbers of their violations. One query."""
        rows = _seen_by_one(self.audit, self.base).exclude(_waived())
        return list(_read(rows, limit)) if self.new else []


def verdict(audit: Audit, base: Audit) -> Verdict:
    """An audit's findings beside those of another audit of its repository. Raises ``NoReportError``. Five queries, for
    any number of findings."""
    report = report_of(audit)
    report_of(base)
    counts = _seen_by_one(audit, base).aggregate(all=Count("pk"), waived=Count("pk", filter=_waived()))
    return Verdict(
        audit,
        base,
        new=counts["all"] - counts["waived"],
        waived=counts["waived"],
        gone=_seen_by_one(base, audit).exclude(_unseen(audit, report)).count(),
        problems=len(report.problems),
    )


def comparison(audit: Audit, base: Audit) -> Comparison:
    """The engine's comparison of an audit with another one of its repository. Raises ``NoReportError``."""
    report = report_of(audit)
    report_of(base)
    missing = _seen_by_one(base, audit)
    unseen = _unseen(audit, report)
    return Comparison(
        new=frozenset(finding.fingerprint for _, finding in _read(_seen_by_one(audit, base))),
        gone=_past(missing.exclude(unseen)),
        unseen=_past(missing.filter(unseen)),
    )


def _seen_by_one(audit: Audit, other: Audit) -> QuerySet[Sighting]:
    """What an audit saw and another one did not."""
    there = Sighting.objects.filter(audit=other.result, violation=OuterRef("violation"))
    return Sighting.objects.filter(~Exists(there), audit=audit.result)


def _waived() -> Q:
    """A new violation need not be open: it may stand on a side branch alone."""
    return Q(violation__waived_until__gte=today())


def _unseen(audit: Audit, report: Report) -> Q:
    """Violations of which an audit can't tell whether they are gone. One query."""
    unparseable = Violation.objects.filter(
        repository=audit.repository_id, rule=UNPARSEABLE, sightings__audit=audit.result
    )
    paths, rules = blindness(report.problems, unparseable.values_list("path", flat=True))
    return Q(violation__path__in=paths) | Q(violation__rule__in=rules)


def _past(sightings: QuerySet[Sighting]) -> tuple[Past, ...]:
    return tuple(past_of(finding) for _, finding in _read(sightings))


def base_of(audit: Audit, against: str) -> Audit:
    """The audit to compare with: the newest of a commit (a full id), or, for an empty text, that of the branch; for the
    branch's own audit that of its nearest audited ancestor. Raises ``NoReportError``."""
    repository = audit.repository
    if against:
        found = _newest(repository, against)
        if found is None:
            raise NoReportError(f"No audit of {against[:9]} has succeeded here: start one.")
        return found
    current = repository.current_audit
    if current is not None and current.commit_sha != audit.commit_sha:
        return current
    parents = (_newest(repository, sha) for sha in audit.result.audited_parents)
    found = next((parent for parent in parents if parent is not None), None)
    if found is None:
        raise NoReportError("There is no earlier audit to compare with.")
    return found


def _newest(repository: Repository, sha: str) -> Audit | None:
    rows = Audit.objects.filter(
        repository=repository, commit_sha=sha, state=State.SUCCEEDED, covers=Covers.COMMIT
    )
    return rows.select_related("same_as").order_by("-pk").first()
