"""A tiny remediation, told in commits: an enum lacks RUN, a tracker promises its repair, a commit about something else
mends it, and the tracker says more than is so."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.samples import commit_tree, init_repository

BEGAN = datetime(2026, 5, 4, 9, 0, tzinfo=UTC)
TRACKER = "SSOT-incomplete-migration-run.md"
SUBJECT = "app.ids.IDType.RUN"
ENUM = "from enum import Enum\n\n\nclass IDType(Enum):\n    USER = 'user'\n"
USE = "from app.ids import IDType\n\n\ndef begin():\n    return IDType.RUN\n"
TESTS = (
    "from app.ids import IDType\n\n\ndef test_run():\n    assert IDType.RUN\n\n\n"
    "class TestRuns:\n    def test_value(self):\n        assert IDType.RUN.value == 'run'\n"
)


def tracker(done: int) -> str:
    """The tracker's text with this many steps completed."""
    steps = (
        "Discover",
        "Plan tests\n\n`app/runs.py` has it (1 place).",
        "Write tests\n\n3 new tests in `tests/test_runs.py`, which fail with an AttributeError.",
        "Plan remediation\n\n- `app/ids.py` line 5",
        "Remediate",
        "Prove stability\n\nAll 3 tests pass, zero regressions.",
        "Close\n\nDefinitively resolved, see PR #9.",
    )
    head = "# RUN is missing\n\n**Issue:** #7\n**Priority:** P1\n**Status:** DISCOVERED\n**Created:** 2026-01-02\n"
    rows = [
        f"\n## Step {number}: {words.partition(chr(10))[0]} {'- COMPLETED' if number < done else '- PENDING'}"
        f"{chr(10) + words.partition(chr(10))[2] if number < done else ''}\n"
        for number, words in enumerate(steps)
    ]
    return head + "".join(rows)


@dataclass(frozen=True, slots=True)
class Remedy:
    """The commits, by what they did."""

    path: Path
    start: str
    used: str
    discovered: str
    planned: str
    tested: str
    fixed: str
    closed: str
    archived: str


def tell(path: Path) -> Remedy:
    """Make the repository at ``path``."""
    init_repository(path)
    files = {"app/__init__.py": "", "app/ids.py": ENUM, "tests/__init__.py": ""}
    at = iter(BEGAN + timedelta(minutes=10 * number) for number in range(20))

    def commit(message: str, parents: list[str]) -> str:
        return commit_tree(path, files, message, next(at), parents)

    start = commit("Start", [])
    files |= {"app/runs.py": USE, "app/more.py": USE.replace("RUN", "RUN, IDType.THREAD")}
    used = commit("Name runs", [start])
    files[TRACKER] = tracker(1)
    discovered = commit("docs: tracker for #7", [used])
    files[TRACKER] = tracker(2)
    planned = commit("docs: plan tests", [discovered])
    files |= {"tests/test_runs.py": TESTS, TRACKER: tracker(3)}
    tested = commit("Tests of runs", [planned])
    files["app/ids.py"] = ENUM + "    RUN = 'run'\n"
    fixed = commit("fix: faster start (#5)", [tested])
    files[TRACKER] = tracker(7)
    closed = commit("docs: close", [fixed])
    del files[TRACKER]
    files[f"docs/closed/{TRACKER}"] = tracker(7)
    archived = commit("docs: archive", [closed])
    return Remedy(path, start, used, discovered, planned, tested, fixed, closed, archived)


def junit(**results: str) -> bytes:
    """A report of ``tests/test_runs.py``: by test "" (passed), "failure: ..." or "error: ..."; with one more test that
    passes."""
    cases = {"tests.test_app::test_starts": "", **results}
    rows = []
    for name, outcome in cases.items():
        owner, _, test = name.partition("::") if "::" in name else ("tests.test_runs", "", name)
        kind, _, words = outcome.partition(": ")
        body = f"<{kind} message='{words}'/>" if outcome else ""
        rows.append(f"<testcase classname='{owner}' name='{test}' time='0.1'>{body}</testcase>")
    return f"<testsuites><testsuite>{''.join(rows)}</testsuite></testsuites>".encode()


BEFORE = junit(
    test_run="failure: AttributeError: RUN", test_value="error: failed on setup with TypeError: two arguments"
)
AFTER = junit(test_run="", test_value="failure: AssertionError: assert 0")
