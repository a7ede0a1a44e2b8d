"""Waivers of a policy beside what an audit found: what each covers, which have expired, which have grown.

A waiver hides nothing: its findings stay in the report and are marked. On which day that is judged is given, never
read from a clock, so that the same input gives the same bytes.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import date

from audits.engine.findings import Finding, Severity, Waived
from audits.engine.policy import Policy, Waiver, matches


def covers(waiver: Waiver, finding: Finding) -> bool:
    """Whether a waiver is about a finding, whatever the day."""
    if waiver.fingerprint:
        return finding.fingerprint == waiver.fingerprint
    return finding.rule == waiver.rule and matches((waiver.path,), finding.path)


def weigh(
    policy: Policy,
    findings: Iterable[Finding],
    day: date,
    *,
    rules: Collection[str] | None = None,
    is_partial: bool = False,
) -> tuple[Waived, ...]:
    """Each waiver of a policy with what it covers, in the policy's order; several may cover one finding.

    ``rules`` are those that were looked at (None: all), ``is_partial`` says that only some files were. Of a waiver
    that may cover more than was looked at, the report can't tell whether it has grown.
    """
    if not policy.waiver:
        return ()
    listed = list(findings)
    return tuple(
        _weighed(
            waiver, line, [f for f in listed if covers(waiver, f)], day, _is_blind(waiver, rules, is_partial)
        )
        for waiver, line in zip(policy.waiver, policy.waiver_lines, strict=True)
    )


def _is_blind(waiver: Waiver, rules: Collection[str] | None, is_partial: bool) -> bool:
    return is_partial or (rules is not None and waiver.rule not in rules)


def _weighed(waiver: Waiver, line: int, covered: Sequence[Finding], day: date, is_blind: bool) -> Waived:
    return Waived(
        line=line,
        fingerprint=waiver.fingerprint,
        rule=waiver.rule,
        path=waiver.path,
        reason=waiver.reason,
        owner=waiver.owner,
        expires=waiver.expires,
        granted=waiver.count,
        covered=tuple(f.fingerprint for f in covered),
        is_expired=waiver.expires < day,
        is_partial=is_blind,
        severity=min((f.severity for f in covered), default=Severity.P3),
    )


def words(waived: Waived) -> Iterator[str]:
    """What is wrong with a waiver itself, in sentences; nothing for one that is in order."""
    if waived.is_expired:
        count = len(waived.covered)
        yield (
            f"The waiver on line {waived.line} of the policy expired on {waived.expires.isoformat()}"
            f" ({waived.owner}); it was about {count:,} finding{'' if count == 1 else 's'}."
        )
    elif waived.has_grown:
        yield (
            f"The waiver on line {waived.line} of the policy has grown: {waived.granted:,} when it was granted,"
            f" {len(waived.covered):,} now ({waived.owner})."
        )
