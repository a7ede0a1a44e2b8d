"""What comes of it: verdicts, with the evidence in words."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from audits.trackers import STEPS


class Verdict(StrEnum):
    UNCLAIMED = "unclaimed"
    CLAIMED = "claimed"
    VERIFIED = "verified"
    CONTRADICTED = "contradicted"


class State(StrEnum):
    """What the evidence says about an issue's subjects; nobody types it."""

    UNKNOWN = "unknown"
    OPEN = "open"
    FIXED = "fixed"
    BACK = "back"
    ACCEPTED = "accepted"
    VERIFIED = "verified"


@dataclass(frozen=True, slots=True)
class Judged:
    """One claim beside its evidence. ``links`` lead to rows: (words, kind, key), the kind being commit, violations,
    run or comparison."""

    topic: str
    verdict: Verdict
    evidence: str
    claim: str = ""
    step: int | None = None
    at: datetime | None = None
    version: int | None = None
    line: int | None = None
    links: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict of each step, what led to it, and what a reader should know first."""

    steps: tuple[Verdict, ...]
    items: tuple[Judged, ...]
    state: State
    summary: tuple[str, ...]

    @property
    def contradictions(self) -> int:
        return sum(item.verdict is Verdict.CONTRADICTED for item in self.items)

    @property
    def stands_at(self) -> int:
        """The first step that isn't verified, 7 when all are."""
        return next(
            (n for n, verdict in enumerate(self.steps) if verdict is not Verdict.VERIFIED), len(STEPS)
        )
