"""What a test report holds: results, and entries that gave none."""

import math
import re
from dataclasses import dataclass
from enum import StrEnum

MAX_MESSAGE = 2_000
MAX_NAME = 1_000


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


DEFAULT_LIMITS = Limits()


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


_EXCEPTION = re.compile(
    r"^(?:E\s+)?((?:[A-Za-z_][\w]*\.)*[A-Za-z_]\w*(?:Error|Exception|Warning|Exit|Interrupt|Failed|Timeout|DoesNotExist))\b"
)
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]+\b")


def seconds_in(text: str | None) -> float | None:
    """Seconds of a report, thousands separated by commas or not; None for what is no duration."""
    try:
        value = float((text or "").replace(",", ""))
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def reason_in(message: str, kind: str, text: str) -> str:
    """The kind of exception that the words name; else what the report calls the type."""
    for words in (message, *reversed([line for line in text.splitlines() if line.startswith("E ")])):
        found = _EXCEPTION.match(words.strip())
        if found:
            return found[1].rpartition(".")[2]
    if message.startswith("assert "):
        return "AssertionError"
    return kind.rpartition(".")[2][:100]


def lasting_words(message: str) -> str:
    """The message's first lines without what differs from run to run."""
    return _ADDRESS.sub("0x…", message.strip())[:MAX_MESSAGE].replace("\0", "\N{REPLACEMENT CHARACTER}")
