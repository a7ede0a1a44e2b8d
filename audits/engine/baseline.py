"""What is new in a report beside an older one: the ratchet that keeps old violations from stopping anybody."""

from collections.abc import Collection
from dataclasses import dataclass

import msgspec

from audits.engine.findings import Finding, Problem, ProblemKind, Report, Severity, Zone

JSON_SCHEMA = 1
_UNPARSEABLE = "unparseable"


class BaselineError(ValueError):
    """A file that is no report."""


class Past(msgspec.Struct, frozen=True):
    """A finding of the older report. Line and column count from 1, as in the JSON report."""

    fingerprint: str
    rule: str
    subject: str
    path: str
    line: int
    column: int
    zone: Zone
    severity: Severity
    message: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """A report beside an older one. ``new`` are fingerprints.

    ``gone`` are findings that are no more; ``unseen`` are those that the newer audit could not look at.
    """

    new: frozenset[str]
    gone: tuple[Past, ...]
    unseen: tuple[Past, ...]

    def is_new(self, finding: Finding) -> bool:
        return finding.fingerprint in self.new


class _File(msgspec.Struct):
    schema: int
    findings: tuple[Past, ...]


def read_baseline(data: bytes) -> tuple[Past, ...]:
    """The findings of a JSON report, schema 1. Raises ``BaselineError``."""
    try:
        found = msgspec.json.decode(data, type=_File)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BaselineError(f"the baseline is no JSON report of an audit: {error}") from error
    if found.schema != JSON_SCHEMA:
        raise BaselineError(f"the baseline has schema {found.schema}, expected {JSON_SCHEMA}")
    return found.findings


def baseline_of(report: Report) -> tuple[Past, ...]:
    """The findings of a report, as a baseline for another one."""
    return tuple(
        Past(f.fingerprint, f.rule, f.subject, f.path, f.line, f.column + 1, f.zone, f.severity, f.message)
        for f in report.findings
    )


def compared(
    report: Report,
    baseline: Collection[Past],
    *,
    rules: Collection[str] | None = None,
    zones: Collection[Zone] | None = None,
    paths: Collection[str] | None = None,
) -> Comparison:
    """What is new in a report, and what is gone from the baseline.

    ``rules``, ``zones`` and ``paths`` are those that the report was narrowed to: the rest of the baseline doesn't
    count. What stands in a file that the audit could not look at, or belongs to a rule that failed, is not gone.
    """
    counting = [
        past
        for past in baseline
        if (rules is None or past.rule in rules)
        and (zones is None or past.zone in zones)
        and (paths is None or past.path in paths)
    ]
    here = {f.fingerprint for f in report.findings}
    blind_paths, blind_rules = _blind(report)
    missing = sorted(
        (past for past in counting if past.fingerprint not in here),
        key=lambda past: (past.path, past.line, past.column, past.rule, past.subject, past.fingerprint),
    )
    unseen = {p.fingerprint for p in missing if p.path in blind_paths or p.rule in blind_rules}
    return Comparison(
        new=frozenset(here - {past.fingerprint for past in counting}),
        gone=tuple(past for past in missing if past.fingerprint not in unseen),
        unseen=tuple(past for past in missing if past.fingerprint in unseen),
    )


def _blind(report: Report) -> tuple[set[str], set[str]]:
    """The paths and the rules of which a report can't tell that something is gone."""

    def hides(problem: Problem) -> bool:
        return problem.kind.hides_findings and bool(problem.path)

    paths = {p.path for p in report.problems if hides(p)}
    paths |= {f.path for f in report.findings if f.rule == _UNPARSEABLE}
    return paths, {p.rule for p in report.problems if p.kind is ProblemKind.RULE_FAILED}
