"""A report as text for people and as JSON for programs. Lines and columns count from 1, as editors do."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby
from typing import Any

from audits.engine.baseline import JSON_SCHEMA, Comparison
from audits.engine.findings import STAGED, Finding, Problem, Report, Severity, Waived
from audits.engine.pieces import Gap
from audits.engine.waivers import words


def as_json(report: Report, comparison: Comparison | None = None) -> bytes:
    """The report as indented JSON, schema 1; the same bytes for the same report.

    With a comparison each finding says whether it is new beside the baseline, and ``gone`` and ``unseen`` hold the
    fingerprints of those that the baseline has alone. With waivers in the policy, ``waivers`` has each with its counts,
    a finding that doesn't count has the place of its waiver among them (``waiver``, from 0), ``counts`` tells those
    apart, and ``day`` is the day on which that holds. ``moves`` says how far deprecated symbols are replaced, where
    the policy names new ones.
    """
    return b"".join(json_pieces(report, report.findings, comparison))


def json_pieces(
    report: Report, findings: Iterable[Finding], comparison: Comparison | None = None
) -> Iterator[bytes]:
    """What ``as_json`` says of a report with these findings, in report order, piece by piece."""
    gap = Gap()
    value: dict[str, Any] = {
        "schema": JSON_SCHEMA,
        "commit": report.commit,
        "engine": report.engine,
        "policy": report.policy,
        "files": {"read": report.read, "parsed": report.parsed, "problems": len(report.problems)},
        "findings": gap.here,
        "problems": [_problem(p) for p in report.problems],
    }
    if comparison is not None:
        value["gone"] = [past.fingerprint for past in comparison.gone]
        value["unseen"] = [past.fingerprint for past in comparison.unseen]
    if report.waivers:
        waived = len(report.findings) - len(report.counting)
        value["counts"] = {"counting": len(report.counting), "waived": waived}
        value["day"] = report.day
        value["waivers"] = [_waiver(waived) for waived in report.waivers]
    if report.moves:
        value["moves"] = [_move(report, old) for old in dict.fromkeys(move.old for move in report.moves)]
    return gap.filled(value, (_finding(f, comparison) | _waiver_of(f, report) for f in findings))


def _move(report: Report, old: str) -> dict[str, Any]:
    """How far a deprecated symbol is replaced: uses in all, and in each folder and zone."""
    here = [move for move in report.moves if move.old == old]
    return {
        "old": old,
        "new": here[0].new,
        "old_uses": sum(move.old_uses for move in here),
        "new_uses": sum(move.new_uses for move in here),
        "folders": [
            {"folder": m.folder, "zone": m.zone, "old_uses": m.old_uses, "new_uses": m.new_uses} for m in here
        ],
    }


def _waiver_of(finding: Finding, report: Report) -> dict[str, int]:
    waived = report.waived_by.get(finding.fingerprint)
    return {} if waived is None else {"waiver": report.waivers.index(waived)}


def _waiver(waived: Waived) -> dict[str, Any]:
    target = {"fingerprint": waived.fingerprint} if waived.fingerprint else {}
    target = target or {"rule": waived.rule, "path": waived.path}
    return target | {
        "line": waived.line,
        "reason": waived.reason,
        "owner": waived.owner,
        "expires": waived.expires,
        "expired": waived.is_expired,
        "granted": waived.granted,
        "now": len(waived.covered),
        "grown": waived.has_grown,
        "partial": waived.is_partial,
    }


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

    With a comparison only findings that are new beside the baseline are shown; a line at the end counts the others.
    Waived findings stand apart, under their waivers; what is wrong with a waiver comes last.
    """
    shown = report
    if comparison is not None:
        shown = replace(report, findings=tuple(f for f in report.findings if comparison.is_new(f)))
    lines = [*_subjects(shown), *_waivers(report), *_problems(report), *_moves(report), *_sums(shown)]
    if comparison is not None:
        lines.append(_beside(report, comparison))
    lines += [sentence for waived in report.waivers for sentence in words(waived)]
    return "\n".join(lines) + "\n"


def _waivers(report: Report) -> Iterator[str]:
    """The waivers that cover something, each with its findings."""
    for waived in report.waivers:
        mine = [f for f in report.findings if report.waived_by.get(f.fingerprint) is waived]
        if not mine:
            continue
        target = waived.fingerprint or f"{waived.rule} in {waived.path}"
        granted = "" if waived.granted is None else f", granted for {waived.granted:,}"
        yield f"Waived until {waived.expires.isoformat()}: {_count(len(mine), 'finding')}{granted}  [{target}]"
        yield f"    {waived.reason} ({waived.owner}; line {waived.line} of the policy)"
        for finding in mine:
            place = f"{finding.path}:{finding.line}:{finding.column + 1}"
            yield f"  {finding.severity} {finding.zone:<7} {place}: {finding.message}"
        yield ""


def _beside(report: Report, comparison: Comparison) -> str:
    unchanged = len(report.findings) - len(comparison.new)
    words = f"Beside the baseline: {len(comparison.new):,} new, {unchanged:,} unchanged, {len(comparison.gone):,} gone"
    if comparison.unseen:
        words += f", {len(comparison.unseen):,} could not be looked at"
    return words + "."


def _subjects(report: Report) -> Iterator[str]:
    def key(finding: Finding) -> tuple[str, str]:
        return (finding.rule, finding.subject)

    groups = [list(group) for _, group in groupby(sorted(report.counting, key=key), key=key)]
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


def _moves(report: Report) -> Iterator[str]:
    for old in dict.fromkeys(move.old for move in report.moves):
        here = [move for move in report.moves if move.old == old]
        left, moved = sum(m.old_uses for m in here), sum(m.new_uses for m in here)
        yield f"move from {old} to {here[0].new}: {_count(left, 'use')} left, {moved:,} of the new one"
    if report.moves:
        yield ""


def _sums(report: Report) -> Iterator[str]:
    what = "staged changes" if report.commit == STAGED else f"commit {report.commit}"
    yield f"{what}: {_count(report.read, 'file')} read, {report.parsed:,} parsed"
    counting = report.counting
    waived = len(report.findings) - len(counting)
    apart = f" {_count(waived, 'finding')} waived." if waived else ""
    if not counting:
        yield (
            "No findings."
            + (
                " But see what could not be looked at."
                if any(p.kind.hides_findings for p in report.problems)
                else ""
            )
            + apart
        )
        return
    severities = Counter(f.severity for f in counting)
    zones = Counter(f.zone for f in counting)
    rules = Counter(f.rule for f in counting)
    by_severity = ", ".join(f"{s} {severities[s]:,}" for s in Severity if severities[s])
    by_zone = ", ".join(f"{z} {n:,}" for z, n in sorted(zones.items()))
    by_rule = ", ".join(f"{r} {n:,}" for r, n in sorted(rules.items()))
    yield f"{_count(len(counting), 'finding')}: {by_severity}; {by_zone}; {by_rule}" + (
        f".{apart}" if waived else ""
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
