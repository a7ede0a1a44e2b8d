"""pytest-json-report -> results. Read as one document."""

import re
from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from audits.testruns.results import (
    DEFAULT_LIMITS,
    MAX_NAME,
    Limits,
    Outcome,
    ReportError,
    Result,
    Skipped,
    lasting_words,
    reason_in,
    seconds_in,
)


class _Crash(msgspec.Struct):
    message: str = ""


class _Stage(msgspec.Struct):
    outcome: str = ""
    duration: float | None = None
    crash: _Crash | None = None
    longrepr: str = ""


class _Test(msgspec.Struct):
    nodeid: str
    outcome: str
    setup: _Stage | None = None
    call: _Stage | None = None
    teardown: _Stage | None = None


class _Collector(msgspec.Struct):
    nodeid: str
    outcome: str = ""
    longrepr: str = ""


class _JsonReport(msgspec.Struct):
    tests: list[_Test] = []
    collectors: list[_Collector] = []


def read_json_report(stream: BinaryIO, limits: Limits = DEFAULT_LIMITS) -> Iterator[Result | Skipped]:
    """The results of a pytest-json-report. Raises ``ReportError``."""
    data = stream.read(limits.size + 1)
    if len(data) > limits.size:
        raise ReportError(f"the report has more than {limits.size:,} bytes")
    try:
        report = msgspec.json.decode(data, type=_JsonReport)
    except msgspec.ValidationError as error:
        raise ReportError(f"no pytest-json-report: {error}") from error
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise ReportError(f"not valid JSON: {error}") from error
    if not report.tests and not report.collectors:
        raise ReportError("no pytest-json-report: it has neither tests nor collectors")
    if len(report.tests) > limits.cases:
        raise ReportError(f"the report has more than {limits.cases:,} test cases")
    seen: dict[str, int] = {}
    for collector in report.collectors:
        if collector.outcome == "failed":
            name = re.sub(r"[/\\]+", ".", collector.nodeid).removesuffix(".py")[:MAX_NAME]
            last = collector.longrepr.strip().splitlines()[-1:] or [""]
            yield Result(
                name,
                Outcome.ERROR,
                "collection",
                reason_in(last[0], "", collector.longrepr),
                lasting_words(last[0]),
            )
    for number, test in enumerate(report.tests, 1):
        if not test.nodeid or test.outcome not in {*Outcome}:
            yield Skipped(
                test.nodeid[:100], f"the outcome {test.outcome[:40]!r} of test {number:,} is unknown", 0
            )
            continue
        name = name_of_node(test.nodeid)
        ordinal = seen[name] = seen.get(name, -1) + 1
        yield _result(name, test, ordinal)


def name_of_node(nodeid: str) -> str:
    """``tests/test_a.py::TestB::test_c[x]`` as ``tests.test_a.TestB::test_c[x]``, the name that JUnit XML gives."""
    path, *names = nodeid.split("::")
    module = re.sub(r"[/\\]+", ".", path.removesuffix(".py"))
    if "[" in nodeid:  # a parameter may hold colons itself
        head, bracket, parameter = nodeid.partition("[")
        path, *names = head.split("::")
        names = [*names[:-1], names[-1] + bracket + parameter] if names else names
    return (".".join([module, *names[:-1]]) + (f"::{names[-1]}" if names else ""))[:MAX_NAME]


def _result(name: str, test: _Test, ordinal: int) -> Result:
    outcome = Outcome(test.outcome)
    stages = {"setup": test.setup, "call": test.call, "teardown": test.teardown}
    durations = [
        stage.duration for stage in stages.values() if stage is not None and stage.duration is not None
    ]
    seconds = seconds_in(str(sum(durations))) if durations else None
    phase, message, text = "call", "", ""
    for stage_name, stage in stages.items():
        if stage is not None and stage.outcome in {"failed", "error"}:
            phase, text = stage_name, stage.longrepr
            message = stage.crash.message if stage.crash is not None else text
            break
    return Result(
        name, outcome, phase, reason_in(message, "", text), lasting_words(message), seconds, ordinal
    )
