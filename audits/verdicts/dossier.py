"""All that is known about an issue: what verdicts are made from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from audits.testruns import Comparison, Result
from audits.trackers import STEPS, Tracker

DISCOVER, PLAN_TESTS, WRITE_TESTS, PLAN, REMEDIATE, PROVE, CLOSE = range(len(STEPS))


@dataclass(frozen=True, slots=True)
class Moment:
    """A commit: its id, its time (aware, with the offset of where it was made), the first line of its message."""

    sha: str
    time: datetime
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a violation of the issue's subjects stands. ``line`` is the one where it was seen last."""

    path: str
    line: int


@dataclass(frozen=True, slots=True)
class FileFact:
    """What a file that a tracker names is at a commit. None means that it could not be looked at.

    ``lines`` and ``tests`` (its test functions and methods) are None, too, when there is no such file.
    """

    exists: bool | None
    lines: int | None = None
    tests: int | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """What a tracker says at a commit. ``open_places`` are those of the issue's subjects there (None: not known);
    ``files`` the files that it names."""

    key: int
    moment: Moment
    tracker: Tracker
    open_places: tuple[Place, ...] | None = None
    files: Mapping[str, FileFact] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Said:
    """A person's claim, on the page, that a step is completed."""

    key: int
    step: int
    at: datetime
    who: str


@dataclass(frozen=True, slots=True)
class Run:
    """A test run at or before the parent of the fix (``before``) or at or after the fix, with the results of the tests
    in the files that the tracker names for step 2."""

    key: int
    moment: Moment
    is_before: bool
    results: Mapping[str, Result]


@dataclass(frozen=True, slots=True)
class Compared:
    """The last run before the fix beside the last one from it on, and how many tests passed in both."""

    before: int
    after: int
    comparison: Comparison
    passed_in_both: int


@dataclass(frozen=True, slots=True)
class Cousins:
    """Violations of the same definition that the issue doesn't cover: now, and when its own subjects were gone."""

    definition: str
    places: int
    files: int
    at_fix: int | None = None


@dataclass(frozen=True, slots=True)
class Dossier:
    """All that is known about an issue.

    ``numbers`` are those of its references to issues, ``pulls`` to pull requests. ``is_known`` says that every commit
    was audited; without it ``introduced`` and ``fixed`` are only as exact as the audits, and ``is_audited`` False says
    that there is none. ``fixed`` is the commit with which the last violation of the subjects went, ``back`` one that
    brought some after that; ``numbers_of_fix`` the issues that the fix's message names. ``accepted`` are places that
    stand in the code and that a waiver covers today: neither open nor gone.
    """

    numbers: frozenset[int] = frozenset()
    pulls: frozenset[int] = frozenset()
    has_links: bool = False
    is_audited: bool = False
    is_known: bool = False
    introduced: Moment | None = None
    fixed: Moment | None = None
    back: Moment | None = None
    numbers_of_fix: frozenset[int] = frozenset()
    ever: int = 0
    open_now: tuple[Place, ...] = ()
    accepted: tuple[Place, ...] = ()
    cousins: Cousins | None = None
    versions: tuple[Version, ...] = ()
    said: tuple[Said, ...] = ()
    runs: tuple[Run, ...] = ()
    compared: Compared | None = None
