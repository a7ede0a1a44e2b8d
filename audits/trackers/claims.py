"""What a tracker claims, as frozen values; each knows its line."""

from dataclasses import dataclass
from datetime import date
from enum import IntEnum

STEPS = (
    "discover",
    "plan tests",
    "write tests",
    "plan remediation",
    "remediate",
    "prove stability",
    "PR and closure",
)


class StepState(IntEnum):
    """How far a step is said to be. The most advanced mention counts."""

    MENTIONED = 0
    PENDING = 1
    STARTED = 2
    COMPLETED = 3


@dataclass(frozen=True, slots=True)
class Text:
    """Something stated in words: the words as they stand, and their 1-based line."""

    words: str
    line: int


@dataclass(frozen=True, slots=True)
class Reference:
    """A number of an issue or a pull request, with its address where the text has one."""

    number: int
    url: str
    line: int


@dataclass(frozen=True, slots=True)
class Mention:
    """One place that names a step and, perhaps, says how far it is."""

    step: int
    state: StepState
    words: str
    line: int


@dataclass(frozen=True, slots=True)
class Count:
    """A counted noun: ``26 test methods``. ``unit`` is tests, files or places; ``step`` is the step under whose
    heading it stands, ``path`` the file that the same line names."""

    number: int
    unit: str
    words: str
    line: int
    step: int | None
    path: str = ""


@dataclass(frozen=True, slots=True)
class Assertion:
    """Something that is said to be so. ``kind`` is reason (the exception that tests are said to fail with, in
    ``words``), resolved (for good, or altogether) or stable (nothing else broke)."""

    kind: str
    words: str
    line: int
    step: int | None


@dataclass(frozen=True, slots=True)
class File:
    """A file that is named, with the lines that are named with it (first and last, None for none)."""

    path: str
    lines: tuple[int, int] | None
    line: int
    step: int | None


@dataclass(frozen=True, slots=True)
class Tracker:
    """All that a document claims. ``priority`` is 0 to 3 where the text has P0 to P3; ``created`` and ``updated`` are
    the dates that the text itself states."""

    title: Text | None = None
    issue: Reference | None = None
    priority: int | None = None
    priority_text: Text | None = None
    status: Text | None = None
    created: tuple[date, int] | None = None
    updated: tuple[date, int] | None = None
    mentions: tuple[Mention, ...] = ()
    counts: tuple[Count, ...] = ()
    files: tuple[File, ...] = ()
    pulls: tuple[Reference, ...] = ()
    assertions: tuple[Assertion, ...] = ()

    @property
    def steps(self) -> dict[int, Mention]:
        """Each step that is named, by number: its most advanced mention, of equals the first."""
        best: dict[int, Mention] = {}
        for mention in self.mentions:
            known = best.get(mention.step)
            if known is None or mention.state > known.state:
                best[mention.step] = mention
        return dict(sorted(best.items()))

    @property
    def is_unstructured(self) -> bool:
        """Whether the document names no step."""
        return not self.mentions
