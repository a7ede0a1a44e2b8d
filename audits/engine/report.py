"""A report as text for people and as JSON for programs. Lines and columns count from 1, as editors do."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from typing import Any

import msgspec

from audits.engine.baseline import JSON_SCHEMA, Comparison
from audits.engine.findings import STAGED, Finding, Problem, Report, Severity


def as_json(report: Report, comparison: Comparison | None = None) -> bytes:
    """The report as indented JSON, schema 1; the same bytes for the same report.

    With a comparison each finding says whether it is new beside the baseline, and ``gone`` and ``unseen`` hold the
    fingerprints of those that the baseline has alone.
    """
    value: dict[str, Any] = {
        "schema": JSON_SCHEMA,
        "commit": report.commit,
        "engine": report.engine,
        "policy": report.policy,
        "files": {"read": report.read, "parsed": report.parsed, "problems": len(report.problems)},
        "findings": [_finding(f, comparison) for f in report.findings],
        "problems": [_problem(p) for p in report.problems],
    }
    if comparison is not None:
        value["gone"] = [past.fingerprint for past in comparison.gone]
        value["unseen"] = [past.fingerprint for past in comparison.unseen]
    return msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n"


def _problem(problem: Problem) -> dict[str, Any]:
    value: dict[str, Any] = {"path": problem.path, "kind": problem.kind, "message": problem.message}
    return value | {"rule": problem.rule} if problem.rule else value


def _finding(finding: Finding, comparison: Comparison | None) -> dict[str, Any]:
    value: dict[str, Any] = {"rule": finding.rule, "subject": finding.subject}
    if finding.member is not None:
        value["member"] = finding.member
    if comparison is not None:
        value["baseline"] = "new" if comparison.is_new(finding) else "unchanged"
    return value | {
        "path": finding.path,
        "line": finding.line,
        "column": finding.column + 1,
        "scope": finding.scope,
        "zone": finding.zone,
        "severity": finding.severity,
        "message": finding.message,
        "hint": finding.hint,
        "annotations": list(finding.annotations),
        "fingerprint": finding.fingerprint,
    }


def as_text(report: Report, comparison: Comparison | None = None) -> str:
    """The report for a terminal: findings by subject, the worst first, then what could not be looked at, then sums.

    With a comparison only findings that are new beside the baseline are shown; the last line counts the others.
    """
    if comparison is None:
        return "\n".join([*_subjects(report), *_problems(report), *_sums(report)]) + "\n"
    fresh = replace(report, findings=tuple(f for f in report.findings if comparison.is_new(f)))
    lines = [*_subjects(fresh), *_problems(report), *_sums(fresh), _beside(report, comparison)]
    return "\n".join(lines) + "\n"


def _beside(report: Report, comparison: Comparison) -> str:
    unchanged = len(report.findings) - len(comparison.new)
    words = f"Beside the baseline: {len(comparison.new):,} new, {unchanged:,} unchanged, {len(comparison.gone):,} gone"
    if comparison.unseen:
        words += f", {len(comparison.unseen):,} could not be looked at"
    return words + "."


def _subjects(report: Report) -> Iterator[str]:
    def key(finding: Finding) -> tuple[str, str]:
        return (finding.rule, finding.subject)

    groups = [list(group) for _, group in groupby(sorted(report.findings, key=key), key=key)]
    for group in sorted(groups, key=lambda g: (min(f.severity for f in g), -len(g), key(g[0]))):
        first = group[0]
        files = len({f.path for f in group})
        yield f"{first.subject}  [{first.rule}]  {_count(len(group), 'place')} in {_count(files, 'file')}"
        for hint in dict.fromkeys(f.hint for f in group if f.hint):
            yield f"    hint: {hint}"
        for finding in group:
            marks = f" ({', '.join(finding.annotations)})" if finding.annotations else ""
            place = f"{finding.path}:{finding.line}:{finding.column + 1}"
            yield f"  {finding.severity} {finding.zone:<7} {place}: {finding.message}{marks}"
        yield ""


def _problems(report: Report) -> Iterator[str]:
    if report.problems:
        yield f"Could not look at {_count(len(report.problems), 'thing')}:"
        for problem in report.problems:
            yield f"  {problem.path or problem.rule or '(rule)'}: {problem.kind}: {problem.message}"
        yield ""


def _sums(report: Report) -> Iterator[str]:
    what = "staged changes" if report.commit == STAGED else f"commit {report.commit}"
    yield f"{what}: {_count(report.read, 'file')} read, {report.parsed:,} parsed"
    if not report.findings:
        yield "No findings." + (
            " But see what could not be looked at."
            if any(p.kind.hides_findings for p in report.problems)
            else ""
        )
        return
    severities = Counter(f.severity for f in report.findings)
    zones = Counter(f.zone for f in report.findings)
    rules = Counter(f.rule for f in report.findings)
    by_severity = ", ".join(f"{s} {severities[s]:,}" for s in Severity if severities[s])
    by_zone = ", ".join(f"{z} {n:,}" for z, n in sorted(zones.items()))
    by_rule = ", ".join(f"{r} {n:,}" for r, n in sorted(rules.items()))
    yield f"{_count(len(report.findings), 'finding')}: {by_severity}; {by_zone}; {by_rule}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
