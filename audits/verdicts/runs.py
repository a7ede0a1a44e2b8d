"""What test runs say of the new tests."""

from collections.abc import Sequence

from audits.testruns import Outcome, Result
from audits.verdicts.dossier import Dossier, Run
from audits.verdicts.words import many


def fits(result: Result, reason: str) -> bool:
    return not reason or result.reason == reason


def no_run(dossier: Dossier, *, before: bool) -> str:
    side = "before" if before else "at or after"
    at = f" {side} the fix {{commit:{dossier.fixed.sha}}}" if dossier.fixed else f" {side} the fix"
    if any(run.is_before is before for run in dossier.runs):
        return f"The test runs{at} don’t hold the new tests."
    return f"No test run{at} yet: upload one."


def outcomes(results: Sequence[Result], reason: str) -> str:
    """``22 of 28 with an error in setup (TypeError), 6 failed with AttributeError``."""
    groups: dict[str, int] = {}
    for result in results:
        if result.outcome is Outcome.ERROR:
            kind = f"with an error in {result.phase}" + (f" ({result.reason})" if result.reason else "")
        elif result.outcome is Outcome.FAILED:
            kind = f"failed with {result.reason}" if result.reason else "failed"
            if reason and not fits(result, reason):
                kind += f", not {reason}"
        else:
            kind = str(result.outcome)
        groups[kind] = groups.get(kind, 0) + 1
    ordered = sorted(groups.items(), key=lambda item: (-item[1], item[0]))
    if len(ordered) == 1:
        return f"all {ordered[0][1]:,} {ordered[0][0]}" if ordered[0][1] > 1 else f"the one {ordered[0][0]}"
    parts = [f"{count:,} {kind}" for kind, count in ordered]
    return f"of {many(len(results), 'test')}, " + ", ".join(parts)


def run_link(run: Run) -> tuple[str, str, str]:
    return "the test run", "run", str(run.key)
