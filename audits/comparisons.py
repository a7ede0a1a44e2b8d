"""What happened to tests between two runs, and to one test over all of them: read from rows."""

from dataclasses import dataclass

from django.db import connection
from django.db.backends.utils import CursorWrapper

from audits import fetching
from audits.engine.git import GitError, GitRepository
from audits.models import TestRun
from audits.testruns import SLOWER_SECONDS, SLOWER_TIMES, Comparison, Outcome, Result, compare


@dataclass(frozen=True, slots=True)
class Compared:
    """A comparison, the ids of its tests by name, and how many tests ended well in both runs."""

    comparison: Comparison
    tests: dict[str, int]
    passed_in_both: int


# One row a test and run: of several results the last, as reruns count.
_LATEST = (
    "SELECT DISTINCT ON (test_id) test_id, outcome, phase, reason, message, seconds FROM audits_testresult"
    " WHERE run_id = %s ORDER BY test_id, ordinal DESC"
)
_GOOD = f"({', '.join(repr(str(outcome)) for outcome in Outcome if outcome.is_good)})"
_BAD = f"({', '.join(repr(str(outcome)) for outcome in Outcome if outcome.is_bad)})"
_PAIRS = f"""
WITH before AS ({_LATEST}), after AS ({_LATEST})
SELECT test_id, before.outcome, before.phase, before.reason, before.message, before.seconds,
    after.outcome, after.phase, after.reason, after.message, after.seconds
FROM before FULL JOIN after USING (test_id)
"""  # noqa: S608 (constants of this module)
_IS_QUIET = f"""
before.outcome IN {_GOOD} AND after.outcome IN {_GOOD}
    AND NOT (coalesce(after.seconds - before.seconds, 0) >= {SLOWER_SECONDS}
        AND after.seconds >= before.seconds * {SLOWER_TIMES})
"""


_BOTH_WAYS = f"""
SELECT result.test_id FROM audits_testresult AS result JOIN audits_testrun AS run ON run.id = result.run_id
WHERE run.repository_id = %s AND run.commit_sha = %s
GROUP BY result.test_id
HAVING bool_or(result.outcome IN {_GOOD}) AND bool_or(result.outcome IN {_BAD})
"""  # noqa: S608 (constants of this module)


def compare_runs(before: TestRun, after: TestRun) -> Compared:
    """Compare two runs. Tests that ended well in both, took no longer and aren't flaky are only counted, never loaded.

    A test file that was renamed between the two commits keeps its tests' identity. Flaky is what ended both ways at one
    of the commits, in whichever runs of the repository.
    """
    pairs = [before.pk, after.pk]
    quiet = f"({_IS_QUIET}) IS TRUE"
    with connection.cursor() as cursor:
        flaky = [_ended_both_ways(cursor, run) for run in (before, after)]
        unsteady = list(flaky[0] | flaky[1])
        cursor.execute(
            f"SELECT count(*) FROM ({_PAIRS} WHERE {quiet} AND NOT test_id = ANY(%s)) AS quiet",  # noqa: S608
            [*pairs, unsteady],
        )
        (passed_in_both,) = cursor.fetchone() or (0,)
        cursor.execute(
            f"SELECT pair.*, test.name FROM ({_PAIRS} WHERE NOT ({quiet}) OR test_id = ANY(%s)) AS pair"  # noqa: S608
            " JOIN audits_test AS test ON test.id = pair.test_id",
            [*pairs, unsteady],
        )
        rows = cursor.fetchall()
    earlier, later, tests = {}, {}, {}
    names: tuple[set[str], set[str]] = (set(), set())
    for test_id, *values, name in rows:
        tests[name] = test_id
        for side, ids in zip(names, flaky, strict=True):
            if test_id in ids:
                side.add(name)
        if values[0] is not None:
            earlier[name] = _result(name, values[:5])
        if values[5] is not None:
            later[name] = _result(name, values[5:])
    moved = _moved_modules(before, after) if earlier.keys() != later.keys() else {}
    found = compare(earlier, later, moved, flaky_before=names[0], flaky_after=names[1])
    return Compared(found, tests, passed_in_both)


def _ended_both_ways(cursor: CursorWrapper, run: TestRun) -> set[int]:
    """The tests that passed and failed at a run's commit."""
    cursor.execute(_BOTH_WAYS, [run.repository_id, run.commit_sha])
    return {test for (test,) in cursor.fetchall()}


def _result(name: str, values: list) -> Result:  # type: ignore[type-arg]
    outcome, phase, reason, message, seconds = values
    return Result(name, Outcome(outcome), phase, reason, message, seconds)


def _moved_modules(before: TestRun, after: TestRun) -> dict[str, str]:
    """Modules whose files were renamed between two commits, old -> new; none when git can't say."""
    if before.commit_sha == after.commit_sha:
        return {}
    try:
        git = GitRepository(fetching.path_of(before.repository))
        changes = git.changes(before.commit_sha, after.commit_sha)
    except GitError:
        return {}
    new: dict[str, str] = {}
    for path, (was, now) in sorted(changes.items()):
        if was is None and now is not None:
            new.setdefault(now.sha, path)
    return {
        _module(path): _module(new[was.sha])
        for path, (was, now) in sorted(changes.items())
        if was is not None and now is None and was.sha in new and path.endswith(".py")
    }


def _module(path: str) -> str:
    return path.removesuffix(".py").replace("/", ".")
