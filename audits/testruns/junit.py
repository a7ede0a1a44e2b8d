"""JUnit XML -> results. Read as a stream, so that memory doesn't grow with the report."""

import re
from collections.abc import Iterator, Mapping
from typing import BinaryIO
from xml.parsers import expat

from audits.testruns.results import (
    DEFAULT_LIMITS,
    MAX_MESSAGE,
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

_CHUNK = 64 * 1024
MAX_DEPTH = 50
_PHASE = re.compile(r"failed on (setup|teardown) with [\"']?(.*)", re.DOTALL)


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
        # Hash of a name -> how often it came; names themselves would cost memory.
        self.seen: dict[int, int] = {}
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
        test = _name(case.attributes)
        if test is None:
            yield Skipped(case.attributes.get("classname", "")[:100], "a test case without a name", case.line)
            return
        seconds = seconds_in(case.attributes.get("time"))
        if seconds is None and case.attributes.get("time"):
            yield Skipped(
                test, f"its time {case.attributes['time'][:40]!r} is no number of seconds", case.line
            )
        ordinal = self.seen.get(hash(test), 0)
        self.seen[hash(test)] = ordinal + 1
        yield _judged(test, case, seconds, ordinal)


def _name(attributes: Mapping[str, str]) -> str | None:
    """``package.module.Class::test``; a collection error has its module in the name alone."""
    name = attributes.get("name", "").strip()
    if not name:
        return None
    owner = attributes.get("classname", "").strip() or attributes.get("file", "").removesuffix(".py")
    # Windows wrote some of them: folders become packages, whichever way the slashes lean.
    owner = re.sub(r"[/\\]+", ".", owner).strip(".")
    return (f"{owner}::{name}" if owner else re.sub(r"[/\\]+", ".", name).removesuffix(".py"))[:MAX_NAME]


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
        reason_in(message, case.kind, case.text),
        lasting_words(message or case.text),
        seconds,
        ordinal,
    )


def read_junit(stream: BinaryIO, limits: Limits = DEFAULT_LIMITS) -> Iterator[Result | Skipped]:
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
