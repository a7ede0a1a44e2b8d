"""Where ID types are used in code. The registry can't know, so whoever does registers an answer: the direction of
imports stays one way.

An answer keeps "used nowhere" apart from "could not look": what was not looked at is named.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Place:
    """A line of code that names a type's member. ``line`` counts from 1; ``scope`` is empty at a module's top."""

    path: str
    line: int
    scope: str
    zone: str


@dataclass(frozen=True, slots=True)
class CodeUse:
    """How one repository's enum has and uses a type's member, at one audited commit.

    ``definition`` is None where the enum lacks the member. ``places`` are the first of ``count``; ``zones`` are (zone,
    number of places) pairs. ``violations`` counts open ones of this member, which are at ``violations_url``.
    """

    repository: str
    url: str
    enum: str
    commit: str
    seen_at: datetime | None
    definition: Place | None
    count: int
    zones: tuple[tuple[str, int], ...]
    places: tuple[Place, ...]
    violations: int
    violations_url: str


@dataclass(frozen=True, slots=True)
class Unseen:
    """A repository that could not be looked at, and why."""

    repository: str
    url: str
    reason: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Where a type is used."""

    uses: tuple[CodeUse, ...] = ()
    unseen: tuple[Unseen, ...] = ()

    @property
    def count(self) -> int:
        return sum(use.count for use in self.uses)

    @property
    def using(self) -> tuple[CodeUse, ...]:
        """Those that define or name the member."""
        return tuple(use for use in self.uses if use.count or use.definition or use.violations)


# A type's value, and the user who asks: what somebody may not know of isn't told.
Source = Callable[[str, Any], Usage]

_sources: list[Source] = []


def register(source: Source) -> None:
    """Has ``source`` answer from now on, too. Registering it again changes nothing."""
    if source not in _sources:
        _sources.append(source)


def usage_of(value: str, user: Any) -> Usage | None:
    """Where the type of this value is used, as far as ``user`` may know; None when nobody can tell."""
    if not _sources:
        return None
    answers = [source(value, user) for source in _sources]
    return Usage(
        uses=tuple(use for answer in answers for use in answer.uses),
        unseen=tuple(unseen for answer in answers for unseen in answer.unseen),
    )
