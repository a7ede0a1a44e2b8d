"""A report as SARIF 2.1.0 (OASIS standard), for code-scanning viewers."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from urllib.parse import quote

from audits.engine.baseline import Comparison, Past
from audits.engine.findings import Finding, Problem, ProblemKind, Report, Severity, Waived
from audits.engine.pieces import Gap
from audits.engine.rules import RULES
from audits.engine.waivers import words

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {Severity.P0: "error", Severity.P1: "error", Severity.P2: "warning", Severity.P3: "note"}


def as_sarif(report: Report, comparison: Comparison | None = None) -> bytes:
    """The report as SARIF. Fingerprints go to ``partialFingerprints``, problems to the invocation's notifications.

    With a comparison each result has a ``baselineState``; those that are gone are results in state "absent". What
    could not be looked at is left out: the standard has no state for it.

    Waived findings are suppressed (``suppressions``, with the reason as justification); a waiver that expired or has
    grown is a notification about the tool's configuration.
    """
    return b"".join(sarif_pieces(report, report.findings, comparison))


def sarif_pieces(
    report: Report, findings: Iterable[Finding], comparison: Comparison | None = None
) -> Iterator[bytes]:
    """What ``as_sarif`` says of a report with these findings, in report order, piece by piece."""
    rules = {name: index for index, name in enumerate(sorted(RULES))}
    gap = Gap()
    run = {
        "tool": {
            "driver": {
                "name": "SSOT Dash",
                "version": report.engine,
                "rules": [_rule(name) for name in rules],
            }
        },
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {"SRCROOT": {"description": {"text": "The root of the audited tree."}}},
        "invocations": [
            {
                "executionSuccessful": not any(p.kind is ProblemKind.RULE_FAILED for p in report.problems),
                "toolExecutionNotifications": [_notification(p) for p in report.problems],
                **_configuration(report.waivers),
            }
        ],
        "results": gap.here,
        "properties": {"commit": report.commit, "policy": report.policy},
    }
    value = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}
    return gap.filled(value, _results(report, findings, comparison, rules))


def _results(
    report: Report, findings: Iterable[Finding], comparison: Comparison | None, rules: dict[str, int]
) -> Iterator[dict[str, Any]]:
    for finding in findings:
        # -1 is the standard's own word for a rule that isn't described: one of an older version, say.
        yield _result(finding, rules.get(finding.rule, -1), comparison) | _suppressions(finding, report)
    if comparison is not None:
        yield from map(_absent, comparison.gone)


def _rule(name: str) -> dict[str, Any]:
    rule = RULES[name]
    return {
        "id": name,
        "shortDescription": {"text": rule.summary},
        "fullDescription": {"text": rule.summary},
        "help": {"text": rule.description or rule.summary},
        "defaultConfiguration": {"level": "error"},
    }


def _result(finding: Finding, rule_index: int, comparison: Comparison | None) -> dict[str, Any]:
    location: dict[str, Any] = {
        "physicalLocation": {
            "artifactLocation": _artifact(finding.path),
            "region": {"startLine": finding.line, "startColumn": finding.column + 1},
        }
    }
    if finding.scope:
        location["logicalLocations"] = [{"fullyQualifiedName": finding.scope}]
    text = f"{finding.message}. {finding.hint}".rstrip() if finding.hint else f"{finding.message}."
    state = {"baselineState": "new" if comparison.is_new(finding) else "unchanged"} if comparison else {}
    return state | {
        "ruleId": finding.rule,
        "ruleIndex": rule_index,
        "level": _LEVELS[finding.severity],
        "message": {"text": text},
        "locations": [location],
        "partialFingerprints": {"ssotDash/v1": finding.fingerprint},
        "properties": {
            "subject": finding.subject,
            "zone": finding.zone,
            "severity": finding.severity,
            "annotations": list(finding.annotations),
        },
    }


def _suppressions(finding: Finding, report: Report) -> dict[str, Any]:
    """With waivers every result says whether it is suppressed, as the standard wants it."""
    if not report.waivers:
        return {}
    waived = report.waived_by.get(finding.fingerprint)
    if waived is None:
        return {"suppressions": []}
    properties = {"owner": waived.owner, "expires": waived.expires, "policyLine": waived.line}
    suppression = {
        "kind": "external",
        "status": "accepted",
        "justification": waived.reason,
        "properties": properties,
    }
    return {"suppressions": [suppression]}


def _configuration(waivers: Sequence[Waived]) -> dict[str, Any]:
    notifications = [
        {"level": "error", "descriptor": {"id": "waiver"}, "message": {"text": sentence}}
        for waived in waivers
        for sentence in words(waived)
    ]
    return {"toolConfigurationNotifications": notifications} if notifications else {}


def _absent(past: Past) -> dict[str, Any]:
    region = {"startLine": past.line, "startColumn": past.column}
    return {
        "baselineState": "absent",
        "ruleId": past.rule,
        "level": "none",
        "message": {"text": f"{past.message}."},
        "locations": [
            {"physicalLocation": {"artifactLocation": _artifact(past.path), "region": region}},
        ],
        "partialFingerprints": {"ssotDash/v1": past.fingerprint},
        "properties": {"subject": past.subject, "zone": past.zone, "severity": past.severity},
    }


def _notification(problem: Problem) -> dict[str, Any]:
    value: dict[str, Any] = {
        "level": "error" if problem.kind is ProblemKind.RULE_FAILED else "warning",
        "descriptor": {"id": problem.kind},
        "message": {"text": problem.message},
    }
    if problem.rule:
        value["associatedRule"] = {"id": problem.rule}
    if problem.path:
        value["locations"] = [{"physicalLocation": {"artifactLocation": _artifact(problem.path)}}]
    return value


def _artifact(path: str) -> dict[str, str]:
    return {"uri": quote(path), "uriBaseId": "SRCROOT"}
