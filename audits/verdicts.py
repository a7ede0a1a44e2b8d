"""Claims beside evidence -> verdicts. Pure: a dossier in, judgements out.

Nothing here depends on the order in which evidence arrived, and nothing is taken on trust: a step that is said to be
completed is *verified* only when the evidence for it is there and agrees, *contradicted* when any of it disagrees, and
else it is *claimed*, with words for what is missing.

Texts mark commits as ``{commit:<id>}`` and times as ``{time:<ISO 8601>}``, for pages to make links and local times of.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from audits.pace import spoken
from audits.testruns import Comparison, Outcome, Result
from audits.trackers import STEPS, Assertion, StepState, Tracker


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


DISCOVER, PLAN_TESTS, WRITE_TESTS, PLAN, REMEDIATE, PROVE, CLOSE = range(len(STEPS))
# Of a long list of names in a text.
_SHOWN = 5


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
    open_files: int = 0
    cousins: Cousins | None = None
    versions: tuple[Version, ...] = ()
    said: tuple[Said, ...] = ()
    runs: tuple[Run, ...] = ()
    compared: Compared | None = None


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


def judge(dossier: Dossier) -> Judgement:
    """Lay every claim of a dossier beside its evidence."""
    rules = (_discovered, _planned_tests, _wrote_tests, _planned, _remediated, _proved, _closed)
    items = [*_header(dossier)]
    steps = []
    for number, rule in enumerate(rules):
        found = list(rule(dossier))
        items += found
        steps.append(_verdict(number, dossier, found))
    state = _state(dossier, steps)
    return Judgement(tuple(steps), tuple(items), state, tuple(_summary(dossier, steps, items)))


def _verdict(step: int, dossier: Dossier, items: Sequence[Judged]) -> Verdict:
    verdicts = {item.verdict for item in items}
    if Verdict.CONTRADICTED in verdicts:
        return Verdict.CONTRADICTED
    if verdicts == {Verdict.VERIFIED}:
        return Verdict.VERIFIED
    return Verdict.CLAIMED if _claim(dossier, step) is not None else Verdict.UNCLAIMED


# --- Claims -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Claim:
    """Who first said that a step is completed: a tracker's version, or a person."""

    words: str
    at: datetime
    version: Version | None = None
    line: int | None = None

    def judged(self, topic: str, verdict: Verdict, evidence: str, **more: object) -> Judged:
        values: dict[str, object] = {
            "claim": self.words,
            "at": self.at,
            "version": self.version.key if self.version else None,
            "line": self.line,
            **more,
        }
        return Judged(topic, verdict, evidence, **values)  # type: ignore[arg-type]


def _claim(dossier: Dossier, step: int) -> _Claim | None:
    claims = []
    for version in dossier.versions:
        mention = version.tracker.steps.get(step)
        if mention is not None and mention.state is StepState.COMPLETED:
            claims.append(_Claim(_short(mention.words), version.moment.time, version, mention.line))
            break
    claims += [
        _Claim(f"{said.who} says that this step is completed", said.at)
        for said in dossier.said
        if said.step == step
    ]
    return min(claims, key=lambda claim: claim.at, default=None)


def _short(words: str) -> str:
    return words if len(words) <= 160 else words[:159] + "…"


def _said(dossier: Dossier, step: int, topic: str, verdict: Verdict, evidence: str, **more: object) -> Judged:
    """A judgement of the claim that a step is completed; one without a claim when nobody said so."""
    claim = _claim(dossier, step)
    if claim is not None:
        return claim.judged(topic, verdict, evidence, step=step, **more)
    verdict = Verdict.UNCLAIMED if verdict is Verdict.CLAIMED else verdict
    return Judged(topic, verdict, evidence, step=step, **more)  # type: ignore[arg-type]


# --- The header: what the document says about itself ---------------------------------------------------------

_DAY = timedelta(days=1)
_BEGINNING = re.compile(
    r"\b(?:discover(?:ed|ing|y)|identified|new|open|reported|not started|todo|pending|planned|draft)\b",
    re.IGNORECASE,
)
_ENDED = re.compile(r"\b(?:completed?|resolved|closed|done|fixed|accomplished)\b|✅", re.IGNORECASE)


def _header(dossier: Dossier) -> Iterator[Judged]:
    if not dossier.versions:
        return
    first, last = dossier.versions[0], dossier.versions[-1]
    if first.tracker.created is not None and first.moment.sha:
        day, line = first.tracker.created
        there = first.moment.time.date()
        right = abs(there - day) <= _DAY
        words = f"The first version was committed on {there.isoformat()}: {{commit:{first.moment.sha}}}."
        yield Judged(
            "created",
            Verdict.VERIFIED if right else Verdict.CONTRADICTED,
            words,
            f"created {day.isoformat()}",
            at=first.moment.time,
            version=first.key,
            line=line,
        )
    yield from _status(last)
    yield from _resolved(dossier)


def _status(version: Version) -> Iterator[Judged]:
    """The status in the header beside the document's own steps."""
    status, steps = version.tracker.status, version.tracker.steps
    if status is None or not steps:
        return
    done = sum(mention.state is StepState.COMPLETED for mention in steps.values())
    ended = _ENDED.search(status.words) is not None
    began = not ended and _BEGINNING.search(status.words) is not None
    if not ended and not began:
        return
    words = f"The same document has {done} of its {len(steps)} steps as completed."
    right = done == len(steps) if ended else done < len(steps)
    yield Judged(
        "status",
        Verdict.VERIFIED if right else Verdict.CONTRADICTED,
        words,
        f"status: {_short(status.words)}",
        at=version.moment.time,
        version=version.key,
        line=status.line,
    )


def _resolved(dossier: Dossier) -> Iterator[Judged]:
    """That it is resolved for good, beside what is left of the same definition."""
    found = _first_assertion(dossier, "resolved")
    if found is None or not dossier.is_audited:
        return
    version, assertion = found
    cousins, now = dossier.cousins, len(dossier.open_now)
    links: list[tuple[str, str, str]] = []
    if now:
        verdict, words = Verdict.CONTRADICTED, f"{_places(now)} of its subjects {_are(now)} open."
    elif cousins is not None and cousins.places:
        verdict = Verdict.CONTRADICTED
        words = (
            f"{_places(cousins.places)} of {_last(cousins.definition)} in {_many(cousins.files, 'file')}"
            f" {_are(cousins.places)} still wrong in the same way"
        )
        if cousins.at_fix is not None:
            words += f" ({cousins.at_fix:,} when this one was fixed)"
        words += "."
        links.append(("the places that are left", "definition", cousins.definition))
    elif dossier.accepted:
        verdict, words = Verdict.CLAIMED, _accepted(dossier)
    else:
        verdict, words = Verdict.VERIFIED, "Nothing of it is left."
    yield Judged(
        "resolved",
        verdict,
        words,
        f"“{assertion.words}”",
        at=version.moment.time,
        version=version.key,
        line=assertion.line,
        links=tuple(links),
    )


def _first_assertion(dossier: Dossier, kind: str) -> tuple[Version, Assertion] | None:
    for version in dossier.versions:
        for assertion in version.tracker.assertions:
            if assertion.kind == kind:
                return version, assertion
    return None


# --- 0 discover ---------------------------------------------------------------------------------------------


def _discovered(dossier: Dossier) -> Iterator[Judged]:
    if not dossier.is_audited:
        words = "The repository was not audited yet: audit it to see whether the rule fires."
        yield _said(dossier, DISCOVER, "rule fires", Verdict.CLAIMED, words)
        return
    claim = _claim(dossier, DISCOVER)
    version = claim.version if claim else None
    if version is None or version.open_places is None:
        yield _discovered_ever(dossier)
        return
    count = len(version.open_places)
    at = f"at {{commit:{version.moment.sha}}}"
    if count:
        files = len({place.path for place in version.open_places})
        words = f"{_places(count)} in {_many(files, 'file')} had it {at}."
        if dossier.introduced is not None:
            words += f" The first came with {_at(dossier.introduced)}."
        yield _said(dossier, DISCOVER, "rule fires", Verdict.VERIFIED, words)
    else:
        words = f"No place had it {at}."
        yield _said(dossier, DISCOVER, "rule fires", Verdict.CONTRADICTED, words)


def _discovered_ever(dossier: Dossier) -> Judged:
    if dossier.ever:
        words = f"{_places(dossier.ever)} had it at some time"
        if dossier.introduced is not None:
            words += f"; the first came with {{commit:{dossier.introduced.sha}}}"
        return _said(dossier, DISCOVER, "rule fires", Verdict.VERIFIED, words + ".")
    if dossier.is_known:
        words = "No commit of the history has it."
        verdict = Verdict.CONTRADICTED if _claim(dossier, DISCOVER) else Verdict.UNCLAIMED
        return _said(dossier, DISCOVER, "rule fires", verdict, words)
    words = "No audited commit has it. Audit the whole history to be sure."
    return _said(dossier, DISCOVER, "rule fires", Verdict.CLAIMED, words)


# --- 1 plan tests -------------------------------------------------------------------------------------------


def _planned_tests(dossier: Dossier) -> Iterator[Judged]:
    claim = _claim(dossier, PLAN_TESTS)
    version = claim.version if claim else None
    if claim is None or version is None:
        yield _said(dossier, PLAN_TESTS, "named tests", Verdict.CLAIMED, _nothing_named(dossier, PLAN_TESTS))
        return
    named = [f.path for f in version.tracker.files if f.step == PLAN_TESTS and _is_test(f.path)]
    if named:
        yield _existing(dossier, claim, version, named, PLAN_TESTS, "named tests")
    else:
        yield _said(
            dossier,
            PLAN_TESTS,
            "named tests",
            Verdict.CLAIMED,
            "It names no file of tests: nothing to check.",
        )
    yield from _counted_places(version)


def _nothing_named(dossier: Dossier, step: int) -> str:
    if not dossier.versions:
        return "No tracker names files for this step."
    return f"No version of the tracker has step {step} as completed."


def _existing(
    dossier: Dossier, claim: _Claim, version: Version, named: Iterable[str], step: int, topic: str
) -> Judged:
    """Whether files exist at the version that names them, or at a later one."""
    last = dossier.versions[-1]
    paths = list(dict.fromkeys(named))
    facts = {path: version.files.get(path, FileFact(None)) for path in paths}
    at = f"at {{commit:{version.moment.sha}}}"
    if any(fact.exists is None for fact in facts.values()):
        return claim.judged(topic, Verdict.CLAIMED, f"The files could not be looked at {at}.", step=step)
    absent = [path for path, fact in facts.items() if not fact.exists]
    if not absent:
        count = len(paths)
        words = (
            f"All {count:,} named files are there {at}." if count > 1 else f"The named file is there {at}."
        )
        return claim.judged(topic, Verdict.VERIFIED, words, step=step)
    later = [path for path in absent if (fact := last.files.get(path)) is not None and fact.exists]
    never = [path for path in absent if path not in later]
    if never:
        count = len(never)
        words = (
            f"{_many(count, 'named file')} of {len(paths):,} {_are(count)} not there {at}: {_list(never)}."
        )
        return claim.judged(topic, Verdict.CONTRADICTED, words, step=step)
    words = f"Not there {at} yet, but at {{commit:{last.moment.sha}}}: {_list(later)}."
    return claim.judged(topic, Verdict.VERIFIED, words, step=step)


def _counted_places(version: Version) -> Iterator[Judged]:
    """Places that the tracker counts in files, beside those that the audit found there, and those that it lacks."""
    counted = [c for c in version.tracker.counts if c.unit == "places" and c.path and c.step in {0, 1, 3}]
    if not counted or version.open_places is None:
        return
    found = _by_file(version.open_places)
    at = f"at {{commit:{version.moment.sha}}}"
    for count in counted:
        there = found.get(count.path, 0)
        yield Judged(
            "counted places",
            Verdict.VERIFIED if there == count.number else Verdict.CONTRADICTED,
            f"{_many(there, 'place')} {at}.",
            f"{count.words} in {count.path}",
            PLAN_TESTS,
            version.moment.time,
            version.key,
            count.line,
        )
    named = {file.path for file in version.tracker.files}
    missed = [place for place in version.open_places if place.path not in named]
    total = len(version.open_places)
    if missed:
        listed = _list(sorted(_place(place) for place in missed))
        left = len(missed)
        words = (
            f"{left:,} of the {_places(total)} {at} {_stand(left)} in files that it doesn’t name: {listed}."
        )
        verdict = Verdict.CONTRADICTED
    else:
        words, verdict = f"All {_places(total)} {at} stand in files that it names.", Verdict.VERIFIED
    yield Judged(
        "overlooked places",
        verdict,
        words,
        "the files that it lists",
        PLAN_TESTS,
        version.moment.time,
        version.key,
        counted[0].line,
    )


# --- 2 write tests ------------------------------------------------------------------------------------------


def _wrote_tests(dossier: Dossier) -> Iterator[Judged]:
    claim = _claim(dossier, WRITE_TESTS)
    version = claim.version if claim else None
    if claim is None or version is None:
        yield _said(dossier, WRITE_TESTS, "new tests", Verdict.CLAIMED, _nothing_named(dossier, WRITE_TESTS))
        return
    named = new_test_files(version.tracker)
    if not named:
        words = "It names no file of tests: nothing to check."
        yield claim.judged("new tests", Verdict.CLAIMED, words, step=WRITE_TESTS)
    else:
        yield _existing(dossier, claim, version, named, WRITE_TESTS, "new tests")
        yield from _counted_tests(dossier, version, named)
    yield _failing_first(dossier, claim, version)


def new_test_files(tracker: Tracker) -> list[str]:
    """The files of tests that a tracker names for step 2, once each."""
    return list(dict.fromkeys(f.path for f in tracker.files if f.step == WRITE_TESTS and _is_test(f.path)))


def _is_test(path: str) -> bool:
    name = path.rpartition("/")[2]
    return name.endswith(".py") and (name.startswith("test_") or name.removesuffix(".py").endswith("_test"))


def _counted_tests(dossier: Dossier, version: Version, named: Sequence[str]) -> Iterator[Judged]:
    """How many tests there are said to be, in all and in each file, beside those that the files hold."""
    facts = _facts_of_tests(dossier, version, named)
    at = f"at {{commit:{version.moment.sha}}}"
    counts = [c for c in version.tracker.counts if c.unit == "tests" and c.step == WRITE_TESTS]
    total = sum(fact.tests or 0 for fact in facts.values())
    is_known = all(fact.tests is not None for fact in facts.values())
    whole = next((c for c in counts if not c.path), None)
    if whole is not None:
        each = ", ".join(f"{fact.tests} in {path.rpartition('/')[2]}" for path, fact in facts.items())
        words = (
            f"The files hold {_many(total, 'test')} {at}: {each}."
            if is_known
            else f"The files could not all be read {at}."
        )
        yield _counted(version, whole.words, whole.line, _compare(whole.number, total, known=is_known), words)
    for count in counts:
        fact = facts.get(count.path)
        if count.path and fact is not None and fact.tests is not None:
            words = f"{_many(fact.tests, 'test')} {at}."
            verdict = _compare(count.number, fact.tests, known=True)
            yield _counted(version, f"{count.words} in {count.path}", count.line, verdict, words)


def _facts_of_tests(dossier: Dossier, version: Version, named: Sequence[str]) -> dict[str, FileFact]:
    """What the files are at a version, or at the last one where they weren't there yet."""
    last = dossier.versions[-1].files
    found = {}
    for path in named:
        fact = version.files.get(path, FileFact(None))
        found[path] = fact if fact.exists else last.get(path, fact)
    return found


def _compare(claimed: int, found: int, *, known: bool) -> Verdict:
    if not known:
        return Verdict.CLAIMED
    return Verdict.VERIFIED if claimed == found else Verdict.CONTRADICTED


def _counted(version: Version, words: str, line: int, verdict: Verdict, evidence: str) -> Judged:
    return Judged(
        "counted tests", verdict, evidence, words, WRITE_TESTS, version.moment.time, version.key, line
    )


def _failing_first(dossier: Dossier, claim: _Claim, version: Version) -> Judged:
    """The new tests must fail before the fix, in their own words, for the reason that is stated."""
    stated = next((a for a in version.tracker.assertions if a.kind == "reason"), None)
    words = f"they fail with {stated.words}" if stated else "they fail before the fix"
    more: dict[str, object] = {"step": WRITE_TESTS, "claim": words}
    if stated:
        more["line"] = stated.line
    run = _new_tests_before(dossier)
    if run is None:
        return claim.judged("failing first", Verdict.CLAIMED, _no_run(dossier, before=True), **more)
    results = list(run.results.values())
    failing = [r for r in results if r.outcome is Outcome.FAILED and _fits(r, stated.words if stated else "")]
    words = _outcomes(results, stated.words if stated else "")
    verdict = Verdict.VERIFIED if len(failing) == len(results) else Verdict.CONTRADICTED
    evidence = f"In the run at {{commit:{run.moment.sha}}}, before the fix: {words}."
    return claim.judged("failing first", verdict, evidence, links=(_run_link(run),), **more)


def _fits(result: Result, reason: str) -> bool:
    return not reason or result.reason == reason


def _new_tests_before(dossier: Dossier) -> Run | None:
    return next((run for run in reversed(dossier.runs) if run.is_before and run.results), None)


def _new_tests_after(dossier: Dossier) -> Run | None:
    """The last run: whoever claims that all pass claims it of what there is."""
    return next((run for run in reversed(dossier.runs) if not run.is_before and run.results), None)


def _no_run(dossier: Dossier, *, before: bool) -> str:
    side = "before" if before else "at or after"
    at = f" {side} the fix {{commit:{dossier.fixed.sha}}}" if dossier.fixed else f" {side} the fix"
    if any(run.is_before is before for run in dossier.runs):
        return f"The test runs{at} don’t hold the new tests."
    return f"No test run{at} yet: upload one."


def _outcomes(results: Sequence[Result], reason: str) -> str:
    """``22 of 28 with an error in setup (TypeError), 6 failed with AttributeError``."""
    groups: dict[str, int] = {}
    for result in results:
        if result.outcome is Outcome.ERROR:
            kind = f"with an error in {result.phase}" + (f" ({result.reason})" if result.reason else "")
        elif result.outcome is Outcome.FAILED:
            kind = f"failed with {result.reason}" if result.reason else "failed"
            if reason and not _fits(result, reason):
                kind += f", not {reason}"
        else:
            kind = str(result.outcome)
        groups[kind] = groups.get(kind, 0) + 1
    ordered = sorted(groups.items(), key=lambda item: (-item[1], item[0]))
    if len(ordered) == 1:
        return f"all {ordered[0][1]:,} {ordered[0][0]}" if ordered[0][1] > 1 else f"the one {ordered[0][0]}"
    parts = [f"{count:,} {kind}" for kind, count in ordered]
    return f"of {_many(len(results), 'test')}, " + ", ".join(parts)


def _run_link(run: Run) -> tuple[str, str, str]:
    return "the test run", "run", str(run.key)


# --- 3 plan remediation -------------------------------------------------------------------------------------


def _planned(dossier: Dossier) -> Iterator[Judged]:
    claim = _claim(dossier, PLAN)
    version = claim.version if claim else None
    if claim is None or version is None:
        yield _said(dossier, PLAN, "named places", Verdict.CLAIMED, _nothing_named(dossier, PLAN))
        return
    named = [file for file in version.tracker.files if file.step == PLAN]
    if not named:
        words = "It names no file: nothing to check."
        yield claim.judged("named places", Verdict.CLAIMED, words, step=PLAN)
        return
    yield _existing(dossier, claim, version, (file.path for file in named), PLAN, "named places")
    for file in named:
        fact = version.files.get(file.path)
        if (
            file.lines is not None
            and fact is not None
            and fact.lines is not None
            and file.lines[1] > fact.lines
        ):
            words = f"The file has {_many(fact.lines, 'line')} at {{commit:{version.moment.sha}}}."
            claimed = f"{file.path}, line {file.lines[1]:,}"
            yield claim.judged(
                "named places", Verdict.CONTRADICTED, words, step=PLAN, claim=claimed, line=file.line
            )


# --- 4 remediate --------------------------------------------------------------------------------------------


def _remediated(dossier: Dossier) -> Iterator[Judged]:
    if not dossier.is_audited:
        words = "The repository was not audited yet."
        yield _said(dossier, REMEDIATE, "violations gone", Verdict.CLAIMED, words)
        return
    claim = _claim(dossier, REMEDIATE)
    at = claim.version if claim else None
    left = [place for place in (at.open_places if at else None) or () if place not in dossier.accepted]
    if at is not None and left:
        count = len(left)
        where = f"at {{commit:{at.moment.sha}}}: {_listed(left)}"
        words = f"{_places(count)} {_were(count)} still there {where}."
        if dossier.fixed is not None and not dossier.open_now:
            words += f" {_fixed_by(dossier)}"
        yield _said(dossier, REMEDIATE, "violations gone", Verdict.CONTRADICTED, words)
    elif dossier.fixed is not None and (not dossier.open_now or dossier.back is not None):
        words = _fixed_by(dossier, claim.at if claim else None)
        links = ((f"{{commit:{dossier.fixed.sha}}}", "commit", dossier.fixed.sha),)
        yield _said(dossier, REMEDIATE, "violations gone", Verdict.VERIFIED, words, links=links)
    elif dossier.open_now:
        count = len(dossier.open_now)
        words = f"{_places(count)} {_are(count)} open: {_listed(dossier.open_now)}."
        verdict = Verdict.CONTRADICTED if claim else Verdict.UNCLAIMED
        yield _said(dossier, REMEDIATE, "violations gone", verdict, words)
    elif dossier.accepted:
        yield _said(dossier, REMEDIATE, "violations gone", Verdict.CLAIMED, _accepted(dossier))
    elif dossier.ever:
        words = "None is open at the audited commit. Audit the whole history to know which commit did it."
        yield _said(dossier, REMEDIATE, "violations gone", Verdict.VERIFIED, words)
    else:
        words = "No violation of its subjects was ever seen: nothing that could be gone."
        yield _said(dossier, REMEDIATE, "violations gone", Verdict.CLAIMED, words)


def _fixed_by(dossier: Dossier, claimed: datetime | None = None) -> str:
    fix = dossier.fixed
    assert fix is not None
    words = f"Fixed by {{commit:{fix.sha}}} at {{time:{fix.time.isoformat()}}}"
    if claimed is not None:
        words += f", {_apart(fix.time, claimed)}"
    others = dossier.numbers_of_fix - dossier.numbers - dossier.pulls
    if others and not dossier.numbers_of_fix & dossier.numbers:
        words += f"; that commit names {_numbers(others)}"
        if dossier.numbers:
            words += f", not {_numbers(dossier.numbers)}"
    return words + "."


def _apart(fix: datetime, claim: datetime) -> str:
    if claim >= fix:
        return f"{spoken(claim - fix)} before it was said"
    return f"{spoken(fix - claim)} after it was said"


# --- 5 prove stability --------------------------------------------------------------------------------------


def _proved(dossier: Dossier) -> Iterator[Judged]:
    yield _passing(dossier)
    yield _without_regressions(dossier)


def _passing(dossier: Dossier) -> Judged:
    topic = "tests pass"
    count = _claimed_count(dossier)
    more: dict[str, object] = {"claim": f"{count} pass"} if count else {}
    run = _new_tests_after(dossier)
    if run is None:
        return _said(dossier, PROVE, topic, Verdict.CLAIMED, _no_run(dossier, before=False))
    results = list(run.results.values())
    bad = [result for result in results if not result.outcome.is_good]
    words = f"In the run at {{commit:{run.moment.sha}}}: {_outcomes(results, '')}."
    if _claim(dossier, PROVE) is None:
        more = {}
    if bad:
        words += f" Not passed: {_tests(result.test for result in bad)}."
        verdict = Verdict.CONTRADICTED if _claim(dossier, PROVE) else Verdict.UNCLAIMED
        return _said(dossier, PROVE, topic, verdict, words, links=(_run_link(run),), **more)
    return _said(dossier, PROVE, topic, Verdict.VERIFIED, words, links=(_run_link(run),), **more)


def _claimed_count(dossier: Dossier) -> str:
    claim = _claim(dossier, PROVE)
    if claim is None or claim.version is None:
        return ""
    return next(
        (
            c.words
            for c in claim.version.tracker.counts
            if c.unit == "tests" and c.step == PROVE and not c.path
        ),
        "",
    )


def _without_regressions(dossier: Dossier) -> Judged:
    topic = "no regression"
    claim = _claim(dossier, PROVE)
    more: dict[str, object] = {}
    if claim is not None and claim.version is not None:
        stated = next(
            (a for a in claim.version.tracker.assertions if a.kind == "stable" and a.step == PROVE), None
        )
        if stated is not None:
            more = {"claim": f"“{stated.words}”", "line": stated.line}
    if dossier.compared is None:
        if dossier.fixed is None:
            words = "There is no fix yet to compare test runs around."
        else:
            words = f"Upload a test run before {{commit:{dossier.fixed.sha}}} and one from it on, to compare them."
        return _said(dossier, PROVE, topic, Verdict.CLAIMED, words, **more)
    found = dossier.compared.comparison
    links = (("the comparison", "comparison", f"{dossier.compared.before}:{dossier.compared.after}"),)
    worse = [*found.broken, *(c for c in found.silenced if c.before is not None and c.before.outcome.is_good)]
    vanished = [c for c in found.vanished if c.before is not None and c.before.outcome.is_good]
    if worse:
        listed = _tests(change.test for change in worse)
        words = f"{_many(len(worse), 'test')} passed before the fix and not after it: {listed}."
        verdict = Verdict.CONTRADICTED if claim else Verdict.UNCLAIMED
    elif vanished:
        # A later run of fewer tests proves nothing about the others.
        count = len(vanished)
        words = f"{_many(count, 'test')} that passed before the fix {_are(count)} not in the run after it."
        verdict = Verdict.CLAIMED
    elif not dossier.compared.passed_in_both:
        words = "No test passed in the run before the fix, so none could break: upload a run of more tests."
        verdict = Verdict.CLAIMED
    else:
        count = dossier.compared.passed_in_both
        words = f"{_many(count, 'test')} passed before the fix and after it, none broke; {len(found.fixed):,} fixed."
        verdict = Verdict.VERIFIED
    return _said(dossier, PROVE, topic, verdict, words, links=links, **more)


# --- 6 PR and closure ---------------------------------------------------------------------------------------


def _closed(dossier: Dossier) -> Iterator[Judged]:
    last = dossier.versions[-1].tracker if dossier.versions else None
    pulls = sorted(dossier.pulls | ({pull.number for pull in last.pulls} if last else set()))
    if pulls or dossier.has_links:
        words = f"Pull request {_numbers(pulls)} is named" if pulls else "A pull request is linked"
        yield _said(
            dossier, CLOSE, "reference", Verdict.VERIFIED, f"{words}; whether it was merged isn’t known here."
        )
    else:
        yield _said(dossier, CLOSE, "reference", Verdict.CLAIMED, "No pull request is named.")
    claim = _claim(dossier, CLOSE)
    if not dossier.is_audited:
        yield _said(dossier, CLOSE, "stays gone", Verdict.CLAIMED, "The repository was not audited yet.")
    elif dossier.open_now:
        count = len(dossier.open_now)
        words = f"{_places(count)} {_are(count)} open: {_listed(dossier.open_now)}."
        if dossier.back is not None:
            words = (
                f"It came back with {{commit:{dossier.back.sha}}}, {{time:{dossier.back.time.isoformat()}}}: "
                + words
            )
        verdict = Verdict.CONTRADICTED if claim else Verdict.UNCLAIMED
        yield _said(dossier, CLOSE, "stays gone", verdict, words)
    elif dossier.accepted:
        yield _said(dossier, CLOSE, "stays gone", Verdict.CLAIMED, _accepted(dossier))
    elif dossier.ever:
        yield _said(
            dossier,
            CLOSE,
            "stays gone",
            Verdict.VERIFIED,
            "None of its violations is open at the newest audited commit.",
        )
    else:
        yield _said(
            dossier, CLOSE, "stays gone", Verdict.CLAIMED, "No violation of its subjects was ever seen."
        )


# --- The whole ----------------------------------------------------------------------------------------------


def _state(dossier: Dossier, steps: Sequence[Verdict]) -> State:
    if not dossier.is_audited:
        return State.UNKNOWN
    if dossier.open_now:
        return State.BACK if dossier.back is not None else State.OPEN
    if dossier.accepted:
        return State.ACCEPTED
    if not dossier.ever:
        return State.UNKNOWN
    return State.VERIFIED if all(verdict is Verdict.VERIFIED for verdict in steps) else State.FIXED


def _summary(dossier: Dossier, steps: Sequence[Verdict], items: Sequence[Judged]) -> Iterator[str]:
    if not dossier.is_audited:
        yield "The repository was not audited yet, so nothing can be said about its subjects."
    elif dossier.open_now:
        count = len(dossier.open_now)
        files = len({place.path for place in dossier.open_now})
        words = f"{_places(count)} in {_many(files, 'file')} {_are(count)} open"
        if dossier.back is not None:
            words += f": it came back with {{commit:{dossier.back.sha}}} after it had been fixed"
        yield words + "."
        if dossier.accepted:
            yield _accepted(dossier)
    elif dossier.accepted:
        yield _accepted(dossier)
    elif dossier.fixed is not None:
        claim = _claim(dossier, REMEDIATE)
        yield _fixed_by(dossier, claim.at if claim else None)
    elif dossier.ever:
        yield "None of its violations is open at the audited commit."
    if dossier.cousins is not None and dossier.cousins.places:
        count = dossier.cousins.places
        yield f"{_places(count)} of {_last(dossier.cousins.definition)} {_are(count)} still wrong in the same way."
    wrong = sum(item.verdict is Verdict.CONTRADICTED for item in items)
    claimed = sum(_claim(dossier, step) is not None for step in range(len(STEPS)))
    verified = sum(verdict is Verdict.VERIFIED for verdict in steps)
    if claimed:
        yield f"{claimed} of {len(STEPS)} steps are said to be completed, {verified} {_are(verified)} verified."
    else:
        yield f"Nobody has claimed a step yet; {verified} of {len(STEPS)} {_are(verified)} verified."
    if wrong:
        yield f"{_many(wrong, 'statement')} {'is' if wrong == 1 else 'are'} contradicted by evidence."


# --- Words --------------------------------------------------------------------------------------------------


def _at(moment: Moment) -> str:
    return f"{{commit:{moment.sha}}}, {{time:{moment.time.isoformat()}}}"


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _accepted(dossier: Dossier) -> str:
    count = len(dossier.accepted)
    return f"{_places(count)} {_are(count)} accepted for a while, not gone: {_listed(dossier.accepted)}."


def _places(count: int) -> str:
    return _many(count, "place")


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _were(count: int) -> str:
    return "was" if count == 1 else "were"


def _stand(count: int) -> str:
    return "stands" if count == 1 else "stand"


def _list(names: Iterable[str]) -> str:
    found = list(names)
    more = f" and {len(found) - _SHOWN:,} more" if len(found) > _SHOWN else ""
    return ", ".join(found[:_SHOWN]) + more


def _last(dotted: str) -> str:
    return dotted.rpartition(".")[2]


def _tests(names: Iterable[str]) -> str:
    """Names of tests without the modules that they stand in."""
    return _list(name.rpartition("::")[2] for name in names)


def _numbers(numbers: Iterable[int]) -> str:
    return ", ".join(f"#{number}" for number in sorted(numbers))


def _place(place: Place) -> str:
    return f"{place.path}:{place.line}"


def _listed(places: Sequence[Place]) -> str:
    return _list(sorted(_place(place) for place in places))


def _by_file(places: Iterable[Place]) -> dict[str, int]:
    found: dict[str, int] = {}
    for place in places:
        found[place.path] = found.get(place.path, 0) + 1
    return found
