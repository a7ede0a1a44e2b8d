"""The story that the sample repository tells, commit by commit: Tidepool, a made-up service that takes guests to
tide pools.

Its enum of ID types lacks ``RUN``. The member is used before it exists, in more and more places; a tracker promises
the repair, tests are written that fail in their setup, the enum is mended by a commit that names another issue, and
the tracker closes with claims that are not all so. Everything here is invented for this purpose.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from textwrap import dedent


@dataclass(frozen=True, slots=True)
class Step:
    """One commit: its name in the story, who made it when, which files it writes (None: removes), and its parents.

    ``at`` is minutes after the first commit. Without ``parents`` it follows the step before it. ``audited`` says
    that the sample shows an audit of it.
    """

    name: str
    author: str
    at: int
    message: str
    files: Mapping[str, str | None]
    parents: tuple[str, ...] = ()
    audited: bool = field(default=False, kw_only=True)


def _text(source: str) -> str:
    return dedent(source).lstrip("\n")


# What is canonical in Tidepool. {expires} is a day to come: see ``audits.sample``.
POLICY = """\
version = 1

# The enum of ID types and the registry of this site say the same, and the registry shows where code uses each type.
[[registry]]
enum = "tidepool.core.ids.IDType"

[[waiver]]
rule = "registry-drift"
path = "tidepool/core/ids.py"
count = 4
reason = "Guests, bookings, tours and connections are not in the registry yet."
owner = "Ada Reef"
expires = {expires}
"""

TRACKER = "SSOT-incomplete-migration-id-type-run.md"

_IDS = _text(
    '''
    """The IDs of Tidepool: every ID in the service is of one of these types."""

    import itertools
    import secrets
    from enum import Enum


    class IDType(Enum):
        """The single source of truth for kinds of ID."""

        GUEST = "guest"
        BOOKING = "booking"
        TOUR = "tour"
        AGENT = "agent"
        CONNECTION = "connection"

        # What every service of the company has.
        EXECUTION = "execution"
        METRIC = "metric"
        REQUEST = "request"
        SESSION = "session"
        THREAD = "thread"
        TOOL = "tool"
        TRACE = "trace"
        TRANSACTION = "transaction"
        USER = "user"
        WEBSOCKET = "websocket"


    _counter = itertools.count(1)


    def new_id(kind: IDType, prefix: str = "") -> str:
        body = f"{kind.value}_{next(_counter)}_{secrets.token_hex(4)}"
        return f"{prefix}_{body}" if prefix else body
    '''
)
_IDS_MENDED = _IDS.replace('    AGENT = "agent"\n', '    AGENT = "agent"\n    RUN = "run"\n')

_START: dict[str, str | None] = {
    "README.md": "# Tidepool\n\nTakes guests to tide pools, at low tide and on time. A sample: nothing here is real.\n",
    "tidepool/__init__.py": '"""Tours to tide pools."""\n',
    "tidepool/core/__init__.py": "",
    "tidepool/core/ids.py": _IDS,
    "tidepool/core/config.py": _text(
        '''
        """The one reader of configuration."""

        import os
        from dataclasses import dataclass


        @dataclass(frozen=True)
        class Config:
            harbour: str
            boats: int


        def load() -> Config:
            return Config(harbour=os.environ.get("HARBOUR", "North"), boats=int(os.environ.get("BOATS", "2")))
        '''
    ),
    "tidepool/clock.py": _text(
        '''
        """Time, in one place, so that tests can stop it."""

        from datetime import UTC, datetime


        def now() -> datetime:
            return datetime.now(UTC)
        '''
    ),
    "tidepool/bookings/__init__.py": 'from tidepool.bookings.states import Status\n\n__all__ = ["Status"]\n',
    "tidepool/bookings/states.py": _text(
        '''
        """The states of a booking."""

        from enum import StrEnum


        class Status(StrEnum):
            ASKED = "asked"
            CONFIRMED = "confirmed"
            CANCELLED = "cancelled"

            @property
            def is_final(self) -> bool:
                return self is Status.CANCELLED
        '''
    ),
    "tidepool/bookings/service.py": _text(
        '''
        """Takes and confirms bookings."""

        from tidepool.bookings import Status
        from tidepool.clock import now
        from tidepool.core.ids import IDType, new_id


        def take(guest: str, tour: str) -> dict[str, str]:
            return {
                "id": new_id(IDType.BOOKING),
                "guest": guest,
                "tour": tour,
                "status": Status.ASKED.value,
                "at": now().isoformat(),
            }


        def confirm(booking: dict[str, str]) -> dict[str, str]:
            return {**booking, "status": Status.CONFIRMED}
        '''
    ),
    "tidepool/tours/__init__.py": "",
    "tidepool/tours/tides.py": _text(
        '''
        """Low tides: when the pools can be reached."""

        from datetime import datetime, timedelta

        LUNAR_DAY = timedelta(hours=24, minutes=50)


        def next_low(after: datetime, reference: datetime) -> datetime:
            half = LUNAR_DAY / 2
            steps = -(-(after - reference) // half)
            return reference + steps * half
        '''
    ),
    "tidepool/tours/plan.py": _text(
        '''
        """Plans tours around the tide."""

        from datetime import datetime

        from tidepool.core import config
        from tidepool.core.ids import IDType, new_id
        from tidepool.tours.tides import next_low


        def plan(after: datetime, reference: datetime) -> dict[str, str]:
            return {
                "id": new_id(IDType.TOUR),
                "harbour": config.load().harbour,
                "start": next_low(after, reference).isoformat(),
            }
        '''
    ),
    "tidepool/storage/__init__.py": "",
    "tidepool/storage/log.py": _text(
        '''
        """Appends what happened to a file."""

        from pathlib import Path

        from tidepool.clock import now


        def append(path: Path, line: str) -> None:
            with path.open("a") as out:
                out.write(f"{now().isoformat()} {line}\\n")
        '''
    ),
    "tests/__init__.py": "",
    "tests/test_bookings.py": _text(
        """
        from tidepool.bookings import Status
        from tidepool.bookings.service import confirm, take


        def test_a_booking_is_asked_for_and_then_confirmed():
            booking = take("guest_1", "tour_1")
            assert booking["status"] == Status.ASKED
            assert confirm(booking)["status"] == Status.CONFIRMED
        """
    ),
    "tests/test_ids.py": _text(
        """
        from tidepool.core.ids import IDType, new_id


        def test_an_id_names_its_type():
            assert new_id(IDType.GUEST).startswith("guest_")


        def test_a_prefix_comes_first():
            assert new_id(IDType.TOUR, prefix="north").startswith("north_tour_")
        """
    ),
    "scripts/low_tides.py": _text(
        '''
        """Prints the low tides of a week."""

        from datetime import UTC, datetime, timedelta

        from tidepool.tours.tides import LUNAR_DAY, next_low

        if __name__ == "__main__":
            tide = next_low(datetime.now(UTC), datetime(2025, 3, 1, 6, 12, tzinfo=UTC))
            for day in range(7):
                print(tide + day * LUNAR_DAY, timedelta(days=day))
        '''
    ),
}

_AGENTS: dict[str, str | None] = {
    "tidepool/agents/__init__.py": "",
    "tidepool/agents/guide.py": _text(
        '''
        """The agent that answers guests."""

        from tidepool.core.ids import IDType, new_id


        class Guide:
            def __init__(self) -> None:
                self.id = new_id(IDType.AGENT)

            def answer(self, question: str) -> str:
                return f"{self.id}: the tide decides. You asked: {question}"
        '''
    ),
    "tidepool/api/__init__.py": "",
    "tidepool/api/connections.py": _text(
        '''
        """Open connections of guests."""

        from tidepool.core import ids


        class Connections:
            def __init__(self) -> None:
                self.open: set[str] = set()

            def accept(self) -> str:
                connection = ids.new_id(ids.IDType.CONNECTION)
                self.open.add(connection)
                return connection
        '''
    ),
    "tests/test_guide.py": _text(
        """
        from tidepool.agents.guide import Guide


        def test_a_guide_repeats_the_question():
            assert "When?" in Guide().answer("When?")
        """
    ),
}

_METRICS: dict[str, str | None] = {
    "tidepool/metrics/__init__.py": "",
    "tidepool/metrics/health.py": _text(
        '''
        """How the service feels. This Status is not the one of bookings."""

        from enum import Enum


        class Status(Enum):
            HEALTHY = "healthy"
            DEGRADED = "degraded"
            DOWN = "down"


        def worst(states: list[Status]) -> Status:
            order = [Status.HEALTHY, Status.DEGRADED, Status.DOWN]
            return max(states, key=order.index, default=Status.HEALTHY)
        '''
    ),
    "tidepool/metrics/counters.py": _text(
        '''
        """Counts by name."""

        from collections import Counter

        counters: Counter[str] = Counter()


        def count(name: str, by: int = 1) -> None:
            counters[name] += by
        '''
    ),
    "tests/test_health.py": _text(
        """
        from tidepool.metrics.health import Status, worst


        def test_the_worst_state_wins():
            assert worst([Status.HEALTHY, Status.DOWN]) is Status.DOWN
        """
    ),
}

_SHIFT = _text(
    '''
    """What a guide does in one shift: every question is answered in a run of its own."""

    from tidepool.agents.guide import Guide
    from tidepool.core.ids import IDType, new_id
    from tidepool.metrics.counters import count


    def work(guide: Guide, questions: list[str]) -> dict[str, str]:
        answers = {}
        for question in questions:
            run = new_id(IDType.RUN, prefix=guide.id.partition("_")[0])
            answers[run] = guide.answer(question)
            count("runs")
        return answers


    def resume(run: str) -> bool:
        return run.split("_")[-3] == IDType.RUN.value
    '''
)

_RUNS: dict[str, str | None] = {
    "tidepool/agents/runs.py": _text(
        '''
        """The register of runs."""

        from tidepool.core.ids import IDType, new_id

        DEFAULT_KIND = IDType.RUN


        def start(kind: IDType = DEFAULT_KIND) -> str:
            return new_id(kind)
        '''
    ),
    "tidepool/api/questions.py": _text(
        '''
        """Takes questions over the wire."""

        from tidepool.core.ids import IDType, new_id


        def receive(text: str) -> dict[str, str]:
            try:
                run = new_id(IDType.RUN)
            except AttributeError:
                run = new_id(IDType.AGENT)
            return {"run": run, "text": text}
        '''
    ),
}

_EXPORT = _text(
    '''
    """Exports bookings for the harbour office."""

    from __future__ import annotations

    from typing import TYPE_CHECKING

    from tidepool.bookings.states import Status

    if TYPE_CHECKING:
        from tidepool.bookings.model import Booking


    def export(bookings: list[Booking]) -> list[str]:
        if not bookings:
            return [Status.HEALTHY.value]
        return [f"{booking.id};{booking.status}" for booking in bookings]
    '''
)

_LEFTOVERS: dict[str, str | None] = {
    "tidepool/clock.py": None,
    "tidepool/bookings/service.py": str(_START["tidepool/bookings/service.py"])
    .replace("from tidepool.clock import now\n", "")
    .replace(
        "from tidepool.bookings import Status\n",
        "from datetime import UTC, datetime\n\nfrom tidepool.bookings import Status\n",
    )
    .replace("now().isoformat()", "datetime.now(UTC).isoformat()"),
    "tidepool/metrics/clock_skew.py": _text(
        '''
        """How far the host's clock is off."""

        try:
            from tidepool.clock import now
        except ImportError:
            now = None


        def is_known() -> bool:
            return now is not None
        '''
    ),
}

_TESTS = _text(
    """
    import pytest

    from tidepool.agents.guide import Guide
    from tidepool.agents.shift import resume, work
    from tidepool.core.ids import IDType, new_id


    @pytest.fixture
    def guide():
        return Guide(harbour="North")


    def test_run_is_a_type():
        assert IDType.RUN.value == "run"


    def test_a_run_id_names_its_type():
        assert new_id(IDType.RUN).startswith("run_")


    def test_each_question_gets_a_run(guide):
        assert len(work(guide, ["When?", "Where?"])) == 2


    def test_a_run_can_be_resumed(guide):
        (run,) = work(guide, ["When?"])
        assert resume(run)


    def test_the_prefix_is_the_agent(guide):
        (run,) = work(guide, ["When?"])
        assert run.startswith("agent_")
    """
)


def _junit(results: Mapping[str, str]) -> str:
    """A JUnit report of ``tests/test_run_ids.py``: test -> "" (passed), "error: ..." or "failure: ..."."""
    rows = []
    for name, outcome in results.items():
        kind, _, words = outcome.partition(": ")
        head = f'    <testcase classname="tests.test_run_ids" name="{name}" time="0.010"'
        rows.append(
            f'{head}><{kind} message="{words}">{words}</{kind}></testcase>' if outcome else f"{head} />"
        )
    errors = sum(o.startswith("error") for o in results.values())
    failures = sum(o.startswith("failure") for o in results.values())
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<testsuites>\n'
        f'  <testsuite name="pytest" tests="{len(results)}" errors="{errors}" failures="{failures}" skipped="0">\n'
        + "\n".join(rows)
        + "\n  </testsuite>\n</testsuites>\n"
    )


_ATTRIBUTE = "failure: AttributeError: type object 'IDType' has no attribute 'RUN'"
_SETUP = (
    "error: failed on setup with TypeError: Guide.__init__() got an unexpected keyword argument 'harbour'"
)
_BEFORE = {
    "test_run_is_a_type": _ATTRIBUTE,
    "test_a_run_id_names_its_type": _ATTRIBUTE,
    "test_each_question_gets_a_run": _SETUP,
    "test_a_run_can_be_resumed": _SETUP,
    "test_the_prefix_is_the_agent": _SETUP,
}
_AFTER = {
    "test_run_is_a_type": "",
    "test_a_run_id_names_its_type": "",
    "test_each_question_gets_a_run": "",
    "test_a_run_can_be_resumed": "",
    "test_the_prefix_is_the_agent": "failure: AssertionError: assert 'guide_run_4_1f2e3d4c'.startswith('agent_')",
}

_TRACKER_STEPS = (
    ("Discover", "`IDType.RUN` is used in three modules and does not exist."),
    ("Plan tests", "Six tests, in `tests/test_run_ids.py`."),
    (
        "Write tests",
        "6 new tests in `tests/test_run_ids.py`. All of them fail with the expected AttributeError.",
    ),
    ("Plan remediation", "Add `RUN` to `tidepool/core/ids.py`. Nothing else needs to change."),
    ("Remediate", "Done in the commit about #12."),
    ("Prove stability", "All 6 tests pass. Zero regressions."),
    ("PR and closure", "Definitively resolved. Pull request #15."),
)


def _tracker(done: int) -> str:
    lines = [
        "# SSOT incomplete migration: IDType.RUN is missing",
        "",
        "**Issue:** [#12](https://tidepool.example/issues/12)  ",
        "**Priority:** P0  ",
        "**Status:** DISCOVERING  ",
        "**Created:** 2025-01-20",
        "",
    ]
    for number, (title, words) in enumerate(_TRACKER_STEPS):
        is_done = number < done
        lines += [f"## Step {number}: {title} {'✅' if is_done else ''}".rstrip(), ""]
        lines += [f"- [{'x' if is_done else ' '}] {words if is_done else 'open'}", ""]
    if done == len(_TRACKER_STEPS):
        lines += ["🎉 Mission accomplished: 6/6 tests operational.", ""]
    return "\n".join(lines)


FIRST_COMMIT = "2025-03-03T08:30:00+00:00"
_DAY = 24 * 60
_ADA, _BO, _CY = "Ada Reef", "Bo Kelp", "Cy Limpet"
_LATE = 16 * _DAY

STORY: tuple[Step, ...] = (
    Step("start", _ADA, 0, "Tidepool takes bookings and plans tours", _START),
    Step("agents", _BO, 2 * _DAY, "Guides answer guests", _AGENTS),
    Step("metrics", _ADA, 4 * _DAY + 95, "Health and counters", _METRICS, audited=True),
    Step("shift", _BO, 6 * _DAY + 20, "Guides work in shifts", {"tidepool/agents/shift.py": _SHIFT}),
    Step("runs", _BO, 8 * _DAY + 310, "A register of runs", _RUNS, audited=True),
    Step("clock", _ADA, 10 * _DAY, "Drop our own clock, datetime does it", _LEFTOVERS),
    Step(
        "export",
        _CY,
        11 * _DAY + 45,
        "Export for the harbour office",
        {
            "tidepool/api/export.py": _EXPORT,
            "tidepool/api/reconnect.py": _text(
                '''
                """Finds a guest's connection again."""

                from tidepool.api.connections import Connections
                from tidepool.core import ids


                def reconnect(connections: Connections, known: str) -> str:
                    kind = ids.IDType.CONECTION
                    return known if known.startswith(kind.value) else connections.accept()
                '''
            ),
        },
        parents=("runs",),
        audited=True,
    ),
    Step(
        "merge",
        _ADA,
        12 * _DAY + 15,
        "Merge branch 'harbour-office'",
        {},
        parents=("clock", "export"),
        audited=True,
    ),
    Step("discover", _CY, _LATE, "docs: tracker for #12, step 0", {TRACKER: _tracker(1)}),
    Step("plan", _CY, _LATE + 5, "docs: plan of tests for #12", {TRACKER: _tracker(2)}),
    Step(
        "tests",
        _CY,
        _LATE + 19,
        "test: run IDs (#12)",
        {
            TRACKER: _tracker(3),
            "tests/test_run_ids.py": _TESTS,
            "reports/junit-before.xml": _junit(_BEFORE),
        },
        audited=True,
    ),
    Step("design", _CY, _LATE + 22, "docs: plan of the remediation for #12", {TRACKER: _tracker(4)}),
    Step(
        "fix",
        _BO,
        _LATE + 24,
        "fix: faster export (#9)",
        {
            "tidepool/core/ids.py": _IDS_MENDED,
            "tidepool/api/export.py": _EXPORT.replace(
                'return [f"{booking.id};{booking.status}" for booking in bookings]',
                'return [";".join((booking.id, booking.status)) for booking in bookings]',
            ),
        },
        audited=True,
    ),
    Step("remediated", _CY, _LATE + 26, "docs: step 4 of #12 completed", {TRACKER: _tracker(5)}),
    Step(
        "proved",
        _CY,
        _LATE + 35,
        "docs: stability of #12 proved",
        {
            TRACKER: _tracker(6),
            "tests/test_run_ids.py": _TESTS.replace('Guide(harbour="North")', "Guide()"),
            "reports/junit-after.xml": _junit(_AFTER),
        },
    ),
    Step("closed", _CY, _LATE + 39, "docs: close #12", {TRACKER: _tracker(7)}),
    Step(
        "archive",
        _ADA,
        _LATE + _DAY,
        "Keep the old tour planner for reference; rotate logs",
        {
            TRACKER: None,
            f"docs/closed/{TRACKER}": _tracker(7),
            "archive/plan_2024.py": "from tidepool.tours.moon import phase\n\nprint(phase())\n",
            "scripts/rotate_logs.py": _text(
                '''
                """Rotates the logs."""

                from pathlib import Path

                <<<<<<< HEAD
                KEEP = 7
                =======
                KEEP = 14
                >>>>>>> rotate

                for old in sorted(Path("logs").glob("*.log"))[:-KEEP]:
                    old.unlink()
                '''
            ),
        },
        audited=True,
    ),
)
