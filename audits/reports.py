"""What an audit saw, read from rows as the engine's own report: for programs, as JSON and SARIF."""

from dataclasses import dataclass

from audits.engine.baseline import Comparison, baseline_of, compared
from audits.engine.findings import Annotation, Finding, Place, Problem, ProblemKind, Report, Severity, Zone
from audits.models import Audit, Covers, Repository, Sighting, State, Violation
from audits.models.waiver import today


class NoReportError(ValueError):
    """An audit that has no findings to show (yet); the message says why."""


def report_of(audit: Audit) -> Report:
    """The report of an audit that has succeeded. Raises ``NoReportError``."""
    if audit.covers != Covers.COMMIT:
        raise NoReportError("This audit is about a whole history: ask for an audit of a commit.")
    if audit.state != State.SUCCEEDED:
        raise NoReportError(f"This audit has no result: it is {audit.get_state_display().lower()}.")
    result = audit.result
    sightings = Sighting.objects.filter(audit=result).select_related("violation")
    return Report(
        commit=audit.commit_sha,
        engine=audit.engine_version,
        policy=audit.policy_digest,
        read=result.files_read,
        parsed=result.files_parsed,
        findings=tuple(sorted((_finding(s) for s in sightings.iterator()), key=lambda f: f.order)),
        problems=tuple(
            Problem(p.path, ProblemKind(p.kind), p.message, p.rule) for p in result.problems.all()
        ),
    )


def _finding(sighting: Sighting) -> Finding:
    """As it was seen then; its message, zone and annotations are those of the violation's newest sighting."""
    row = sighting.violation
    has_place = row.definition_path and row.definition_line is not None
    return Finding(
        rule=row.rule,
        subject=row.subject,
        path=row.path,
        line=sighting.line,
        column=sighting.column,
        scope=row.scope,
        zone=Zone(row.zone),
        severity=Severity(row.severity),
        message=row.message,
        hint=row.hint,
        annotations=tuple(Annotation(value) for value in row.annotations),
        member=row.member or None,
        definition=Place(row.definition_path, row.definition_line) if has_place else None,  # type: ignore[arg-type]
        ordinal=row.ordinal,
    )


@dataclass(frozen=True, slots=True)
class Verdict:
    """An audit beside another one. ``waived`` are fingerprints that don't count today."""

    report: Report
    base: Audit
    comparison: Comparison
    waived: frozenset[str]

    @property
    def new(self) -> list[Finding]:
        """What may fail a build."""
        return [
            finding
            for finding in self.report.findings
            if self.comparison.is_new(finding) and finding.fingerprint not in self.waived
        ]


def verdict(audit: Audit, base: Audit) -> Verdict:
    """An audit's findings beside those of another audit of its repository. Raises ``NoReportError``."""
    report = report_of(audit)
    comparison = compared(report, baseline_of(report_of(base)))
    known = Violation.objects.filter(repository=audit.repository, waived_until__gte=today())
    waived = known.filter(fingerprint__in=comparison.new).values_list("fingerprint", flat=True)
    return Verdict(report, base, comparison, frozenset(waived))


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
