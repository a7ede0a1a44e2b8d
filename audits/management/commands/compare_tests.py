"""Compares two test reports from a terminal: what was fixed, broken, silenced, and what fails for another reason."""

from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandError

from audits import testruns
from audits.testruns import Change, Comparison, ReportError, Result, Skipped

JSON_SCHEMA = 1
_TITLES = {
    "broken": "broken: passed before, fails now",
    "silenced": "silenced: skipped now",
    "vanished": "vanished: not in the later report",
    "other_reason": "still failing, for another reason",
    "same_reason": "still failing, for the same reason",
    "fixed": "fixed",
    "flaky": "flaky: passed and failed within a report",
    "new": "new",
    "slower": "slower",
}


class Command(BaseCommand):
    help = (
        "Compare two test reports (JUnit XML or pytest-json-report). "
        "Exit status: 0 no regression, 1 regressions, 2 a report can't be read."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("before", type=Path)
        parser.add_argument("after", type=Path)
        parser.add_argument("--format", choices=["text", "json"], default="text")

    def handle(self, *_: Any, **options: Any) -> None:
        rows = [self._read(options[name]) for name in ("before", "after")]
        before, after = (testruns.latest(results) for results in rows)
        flaky = [testruns.ended_both_ways(results) for results in rows]
        found = testruns.compare(before, after, flaky_before=flaky[0], flaky_after=flaky[1])
        if options["format"] == "json":
            self.stdout.write(_as_json(found))
        else:
            self.stdout.write("\n".join(_as_text(found, len(before), len(after))))
        if found.has_regressions:
            raise SystemExit(1)

    def _read(self, path: Path) -> list[Result]:
        try:
            with path.open("rb") as stream:
                is_xml = path.suffix.lower() != ".json"
                rows = list((testruns.read_junit if is_xml else testruns.read_json_report)(stream))
        except (OSError, ReportError) as error:
            raise CommandError(f"{path}: {error}", returncode=2) from error
        for row in rows:
            if isinstance(row, Skipped):
                self.stderr.write(f"{path}: line {row.line}: {row.entry}: {row.why}")
        return [row for row in rows if isinstance(row, Result)]


def _as_text(found: Comparison, before: int, after: int) -> Iterator[str]:
    yield f"{before:,} tests before, {after:,} after"
    for kind, title in _TITLES.items():
        changes: tuple[Change, ...] = getattr(found, kind)
        if changes:
            yield f"\n{len(changes):,} {title}"
            yield from (f"  {change.test}{_why(change)}" for change in changes)
    yield (
        "\nRegressions."
        if found.has_regressions
        else "\nNo regression: every test that passed before passes now."
    )


def _why(change: Change) -> str:
    if change.after is None or not change.after.outcome.is_bad:
        return ""
    where = "" if change.after.phase == "call" else f" in {change.after.phase}"
    first = change.after.message.partition("\n")[0][:150]
    return f"\n      {change.after.outcome}{where}: {first or change.after.reason}"


def _as_json(found: Comparison) -> str:
    value = {
        "schema": JSON_SCHEMA,
        "regressions": found.has_regressions,
        **{k: getattr(found, k) for k in _TITLES},
    }
    return msgspec.json.format(msgspec.json.encode(value), indent=1).decode()
