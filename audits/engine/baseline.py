"""What is new in a report beside an older one: the ratchet that keeps old violations from stopping anybody."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import msgspec

from audits.engine.findings import Finding, Problem, ProblemKind, Report, Severity, Zone

JSON_SCHEMA = 1
# A file that this rule names, other rules can't look into.
UNPARSEABLE = "unparseable"


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
    return tuple(map(past_of, report.findings))


def past_of(finding: Finding) -> Past:
    """A finding as one of an older report."""
    return Past(
        finding.fingerprint,
        finding.rule,
        finding.subject,
        finding.path,
        finding.line,
        finding.column + 1,
        finding.zone,
        finding.severity,
        finding.message,
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
    unparseable = (f.path for f in report.findings if f.rule == UNPARSEABLE)
    blind_paths, blind_rules = blindness(report.problems, unparseable)
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


def blindness(problems: Collection[Problem], unparseable: Iterable[str]) -> tuple[set[str], set[str]]:
    """The paths and the rules of which an audit with these problems can't tell that something is gone; ``unparseable``
    are the paths that a finding of that rule names."""
    paths = {p.path for p in problems if p.kind.hides_findings and p.path}
    return paths | set(unparseable), {p.rule for p in problems if p.kind is ProblemKind.RULE_FAILED}
