"""Test reports -> results, and the comparison of two runs. Pure: a stream of bytes in, frozen values out.

JUnit XML is read as a stream, so that memory doesn't grow with the report; pytest-json-report as one document. Both
name a test in the same way, ``package.module.Class::test[parameter]``, so that runs of either kind compare.
"""

import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import BinaryIO
from xml.parsers import expat

import msgspec

_CHUNK = 64 * 1024
MAX_MESSAGE = 2_000
MAX_NAME = 1_000
MAX_DEPTH = 50


class ReportError(ValueError):
    """A test report that can't be read as a whole. The message says why, and where (``line``, 0 when unknown)."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(f"line {line:,}: {message}" if line else message)
        self.line = line


@dataclass(frozen=True, slots=True)
class Limits:
    """What a report may hold: bytes, and test cases."""

    size: int = 30 * 1024 * 1024
    cases: int = 250_000


class Outcome(StrEnum):
    """How a test ended. An error in setup, teardown or collection is no failure: the test's own words were not
    reached, or had passed."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"
    XFAILED = "xfailed"
    XPASSED = "xpassed"

    @property
    def is_good(self) -> bool:
        return self in {Outcome.PASSED, Outcome.XPASSED, Outcome.XFAILED}

    @property
    def is_bad(self) -> bool:
        return self in {Outcome.FAILED, Outcome.ERROR}


@dataclass(frozen=True, slots=True)
class Result:
    """One execution of a test.

    ``phase`` is call, setup, teardown or collection. ``reason`` is the kind of exception (``AttributeError``), empty
    when the report names none; ``message`` the first words of it. ``ordinal`` counts equal names in one report.
    ``seconds`` is None when the report's figure can't be used.
    """

    test: str
    outcome: Outcome
    phase: str = "call"
    reason: str = ""
    message: str = ""
    seconds: float | None = None
    ordinal: int = 0


@dataclass(frozen=True, slots=True)
class Skipped:
    """An entry of the report that gave no result, or not all of it: which one, where, and why."""

    entry: str
    why: str
    line: int


# --- JUnit XML -----------------------------------------------------------------------------------------------

_PHASE = re.compile(r"failed on (setup|teardown) with [\"']?(.*)", re.DOTALL)
_EXCEPTION = re.compile(
    r"^(?:E\s+)?((?:[A-Za-z_][\w]*\.)*[A-Za-z_]\w*(?:Error|Exception|Warning|Exit|Interrupt|Failed|Timeout|DoesNotExist))\b"
)
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]+\b")
_PARAMETER = re.compile(r"(?<=\[).*(?=\]$)", re.DOTALL)


class _Case:
    """A ``testcase`` element that is being read."""

    __slots__ = ("attributes", "kind", "line", "message", "outcome", "text")

    def __init__(self, attributes: Mapping[str, str], line: int) -> None:
        self.attributes = attributes
        self.line = line
        self.outcome: Outcome | None = None
        self.kind = ""
        self.message = ""
        self.text = ""


_ELEMENTS = {"failure": Outcome.FAILED, "error": Outcome.ERROR, "skipped": Outcome.SKIPPED}


class _JUnit:
    """Expat's callbacks. Finished entries gather in ``ready``."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.ready: list[Result | Skipped] = []
        self.case: _Case | None = None
        self.inside = ""
        self.depth = 0
        self.cases = 0
        self.seen: dict[
            int, int
        ] = {}  # hash of a name -> how often it came; names themselves would cost memory
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.EntityDeclHandler = self._entity
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text

    @property
    def line(self) -> int:
        return self.parser.CurrentLineNumber

    def _doctype(self, *_: object) -> None:
        raise ReportError("a document type (DTD) is not allowed in a test report", self.line)

    def _entity(self, *_: object) -> None:
        raise ReportError("entities can't be declared in a test report", self.line)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ReportError(f"elements are nested deeper than {MAX_DEPTH}", self.line)
        if self.depth == 1 and name not in {"testsuites", "testsuite"}:
            raise ReportError(
                f"expected <testsuites> or <testsuite>, found <{name[:40]}>: no JUnit report", self.line
            )
        if name == "testcase":
            self.cases += 1
            if self.cases > self.limits.cases:
                raise ReportError(f"the report has more than {self.limits.cases:,} test cases", self.line)
            self.case = _Case(attributes, self.line)
        elif self.case is not None and name in _ELEMENTS:
            self.inside = name
            if self.case.outcome is None or _ELEMENTS[name] is Outcome.FAILED:
                self.case.outcome = _ELEMENTS[name]
                self.case.kind = attributes.get("type", "")
                self.case.message = attributes.get("message", "")[:MAX_MESSAGE]
                self.case.text = ""

    def _text(self, data: str) -> None:
        if self.case is not None and self.inside and len(self.case.text) < MAX_MESSAGE:
            self.case.text += data[:MAX_MESSAGE]

    def _end(self, name: str) -> None:
        self.depth -= 1
        if name in _ELEMENTS:
            self.inside = ""
        elif name == "testcase" and self.case is not None:
            self.ready.extend(self._results(self.case))
            self.case = None

    def _results(self, case: _Case) -> Iterator[Result | Skipped]:
        test = _junit_name(case.attributes)
        if test is None:
            yield Skipped(case.attributes.get("classname", "")[:100], "a test case without a name", case.line)
            return
        seconds = _seconds(case.attributes.get("time"))
        if seconds is None and case.attributes.get("time"):
            yield Skipped(
                test, f"its time {case.attributes['time'][:40]!r} is no number of seconds", case.line
            )
        ordinal = self.seen.get(hash(test), 0)
        self.seen[hash(test)] = ordinal + 1
        yield _judged(test, case, seconds, ordinal)


def _junit_name(attributes: Mapping[str, str]) -> str | None:
    """``package.module.Class::test``; a collection error has its module in the name alone."""
    name = attributes.get("name", "").strip()
    if not name:
        return None
    owner = attributes.get("classname", "").strip() or attributes.get("file", "").removesuffix(".py")
    # Windows wrote some of them: folders become packages, whichever way the slashes lean.
    owner = re.sub(r"[/\\]+", ".", owner).strip(".")
    return (f"{owner}::{name}" if owner else re.sub(r"[/\\]+", ".", name).removesuffix(".py"))[:MAX_NAME]


def _seconds(text: str | None) -> float | None:
    """Seconds of a report, thousands separated by commas or not; None for what is no duration."""
    try:
        value = float((text or "").replace(",", ""))
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _judged(test: str, case: _Case, seconds: float | None, ordinal: int) -> Result:
    if case.outcome is None:
        return Result(test, Outcome.PASSED, seconds=seconds, ordinal=ordinal)
    outcome, phase, message = case.outcome, "call", case.message
    if outcome is Outcome.SKIPPED and "xfail" in f"{case.kind} {case.message}".lower():
        outcome = Outcome.XFAILED
    elif outcome is Outcome.ERROR:
        phase = "setup"
        if found := _PHASE.match(message):
            phase, message = found[1], found[2].rstrip("\"'")
        elif "collection" in message or "::" not in test:
            phase, message = "collection", case.text.strip() or message
    elif outcome is Outcome.FAILED and "[XPASS(strict)]" in message:
        outcome = Outcome.XPASSED
    return Result(
        test,
        outcome,
        phase,
        _reason(message, case.kind, case.text),
        _words(message or case.text),
        seconds,
        ordinal,
    )


def _reason(message: str, kind: str, text: str) -> str:
    """The kind of exception that the words name; else what the report calls the type."""
    for words in (message, *reversed([line for line in text.splitlines() if line.startswith("E ")])):
        found = _EXCEPTION.match(words.strip())
        if found:
            return found[1].rpartition(".")[2]
    if message.startswith("assert "):
        return "AssertionError"
    return kind.rpartition(".")[2][:100]


def _words(message: str) -> str:
    """The message's first lines without what differs from run to run."""
    return _ADDRESS.sub("0x…", message.strip())[:MAX_MESSAGE].replace("\0", "\N{REPLACEMENT CHARACTER}")


def read_junit(stream: BinaryIO, limits: Limits = Limits()) -> Iterator[Result | Skipped]:
    """The results of a JUnit XML report (pytest's xunit1 and xunit2, and others), one by one.

    Raises ``ReportError``, also after some results: whoever stores them does so all or nothing.
    """
    reader = _JUnit(limits)
    size = 0
    try:
        while chunk := stream.read(_CHUNK):
            size += len(chunk)
            if size > limits.size:
                raise ReportError(f"the report has more than {limits.size:,} bytes")
            reader.parser.Parse(chunk, False)
            yield from reader.ready
            reader.ready.clear()
        if not size:
            raise ReportError("the report is empty")
        reader.parser.Parse(b"", True)
    except expat.ExpatError as error:
        words = expat.ErrorString(error.code)
        raise ReportError(f"not well-formed XML: {words}", error.lineno) from error
    except (LookupError, ValueError) as error:
        if isinstance(error, ReportError):
            raise
        raise ReportError(f"the report's encoding can't be read: {error}") from error
    yield from reader.ready


# --- pytest-json-report ----------------------------------------------------------------------------------------


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


def read_json_report(stream: BinaryIO, limits: Limits = Limits()) -> Iterator[Result | Skipped]:
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
                name, Outcome.ERROR, "collection", _reason(last[0], "", collector.longrepr), _words(last[0])
            )
    for number, test in enumerate(report.tests, 1):
        if not test.nodeid or test.outcome not in {*Outcome}:
            yield Skipped(
                test.nodeid[:100], f"the outcome {test.outcome[:40]!r} of test {number:,} is unknown", 0
            )
            continue
        name = name_of_node(test.nodeid)
        ordinal = seen[name] = seen.get(name, -1) + 1
        yield _json_result(name, test, ordinal)


def name_of_node(nodeid: str) -> str:
    """``tests/test_a.py::TestB::test_c[x]`` as ``tests.test_a.TestB::test_c[x]``, the name that JUnit XML gives."""
    path, *names = nodeid.split("::")
    module = re.sub(r"[/\\]+", ".", path.removesuffix(".py"))
    if "[" in nodeid:  # a parameter may hold colons itself
        head, bracket, parameter = nodeid.partition("[")
        path, *names = head.split("::")
        names = [*names[:-1], names[-1] + bracket + parameter] if names else names
    return (".".join([module, *names[:-1]]) + (f"::{names[-1]}" if names else ""))[:MAX_NAME]


def _json_result(name: str, test: _Test, ordinal: int) -> Result:
    outcome = Outcome(test.outcome)
    stages = {"setup": test.setup, "call": test.call, "teardown": test.teardown}
    durations = [
        stage.duration for stage in stages.values() if stage is not None and stage.duration is not None
    ]
    seconds = _seconds(str(sum(durations))) if durations else None
    phase, message, text = "call", "", ""
    for stage_name, stage in stages.items():
        if stage is not None and stage.outcome in {"failed", "error"}:
            phase, text = stage_name, stage.longrepr
            message = stage.crash.message if stage.crash is not None else text
            break
    return Result(name, outcome, phase, _reason(message, "", text), _words(message), seconds, ordinal)


# --- Comparing two runs ----------------------------------------------------------------------------------------

# A test is slower when it takes both this much longer and this many times as long.
SLOWER_SECONDS = 1.0
SLOWER_TIMES = 2.0


@dataclass(frozen=True, slots=True)
class Change:
    """A test in two runs; None where one of them doesn't have it."""

    test: str
    before: Result | None
    after: Result | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """What happened to tests between two runs, each list in the order of names.

    ``same_reason`` and ``other_reason`` failed before and still fail; ``new`` tests are in the later run only,
    ``vanished`` in the earlier only. ``flaky`` tests passed and failed at one of the two commits: one that always
    passed at the earlier commit is ``broken`` all the same, one that always passes at the later one ``fixed``. Else a
    test is in one list, and perhaps in ``slower`` as well.
    """

    fixed: tuple[Change, ...] = ()
    broken: tuple[Change, ...] = ()
    same_reason: tuple[Change, ...] = ()
    other_reason: tuple[Change, ...] = ()
    new: tuple[Change, ...] = ()
    vanished: tuple[Change, ...] = ()
    silenced: tuple[Change, ...] = field(default=())
    flaky: tuple[Change, ...] = ()
    slower: tuple[Change, ...] = ()

    @property
    def has_regressions(self) -> bool:
        """Whether something that had passed fails now, isn't run any more, or is gone."""
        lost = any(
            c.before is not None and c.before.outcome.is_good for c in (*self.vanished, *self.silenced)
        )
        return bool(self.broken) or lost


def latest(results: Iterable[Result]) -> dict[str, Result]:
    """One result for each test: of several in one run the last, as reruns count."""
    return {result.test: result for result in results}


def ended_both_ways(results: Iterable[Result]) -> set[str]:
    """The tests that both passed and failed."""
    good, bad = set(), set()
    for result in results:
        if result.outcome.is_good:
            good.add(result.test)
        elif result.outcome.is_bad:
            bad.add(result.test)
    return good & bad


def compare(
    before: Mapping[str, Result],
    after: Mapping[str, Result],
    moved: Mapping[str, str] | None = None,
    *,
    flaky_before: Collection[str] = (),
    flaky_after: Collection[str] = (),
) -> Comparison:
    """What changed from one run to another. ``moved`` maps old module names to new ones: files that were renamed.

    ``flaky_before`` and ``flaky_after`` name the tests that have both passed and failed at the commit of either run.
    """
    earlier = {_moved(name, moved or {}): result for name, result in before.items()}
    flaky = {_moved(name, moved or {}) for name in flaky_before}, set(flaky_after)
    lists: dict[str, list[Change]] = {name: [] for name in Comparison.__dataclass_fields__}
    for name in sorted({*earlier, *after}):
        change = Change(name, earlier.get(name), after.get(name))
        kinds = {_kind(change)} - {None}
        if name in flaky[0] or name in flaky[1]:
            kinds -= {"broken" if name in flaky[0] else "", "fixed" if name in flaky[1] else ""}
            kinds.add("flaky")
        if _is_slower(change):
            kinds.add("slower")
        for kind in kinds:
            lists[str(kind)].append(change)
    return Comparison(**{name: tuple(changes) for name, changes in lists.items()})


def _moved(name: str, moved: Mapping[str, str]) -> str:
    owner, separator, test = name.partition("::")
    module = owner
    while module:
        if module in moved:
            return moved[module] + owner[len(module) :] + separator + test
        module = module.rpartition(".")[0]
    return name


def _kind(change: Change) -> str | None:
    before, after = change.before, change.after
    if before is None:
        return "new"
    if after is None:
        return "vanished"
    if before.outcome.is_bad and after.outcome.is_bad:
        same = (before.phase, before.reason, before.message) == (after.phase, after.reason, after.message)
        return "same_reason" if same else "other_reason"
    if after.outcome.is_bad:
        return "broken"
    if before.outcome.is_bad and after.outcome.is_good:
        return "fixed"
    if after.outcome is Outcome.SKIPPED and before.outcome is not Outcome.SKIPPED:
        return "silenced"
    return None


def _is_slower(change: Change) -> bool:
    if change.before is None or change.after is None:
        return False
    was, now = change.before.seconds, change.after.seconds
    return was is not None and now is not None and now - was >= SLOWER_SECONDS and now >= was * SLOWER_TIMES
