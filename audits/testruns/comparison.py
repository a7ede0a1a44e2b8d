"""Two runs beside each other: what was fixed, broken, silenced, and what is gone."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from audits.testruns.results import Outcome, Result

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
