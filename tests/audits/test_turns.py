"""Which of the queued audits begins: none starves, whatever others ask for."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone

from audits import auditing, tasks, turns, workforce
from audits.models import Audit, Covers, Repository, State
from audits.workforce import Workforce
from tests.audits.conftest import AddRepository, Drifting

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def any_number_of_processes() -> Iterator[None]:
    workforce.register(Workforce())
    yield
    workforce.register(Workforce())


def ago(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


def queue(repository: Repository, seconds_ago: float = 0, covers: Covers = Covers.COMMIT) -> int:
    audit, _ = auditing.request(repository, covers=covers)
    Audit.objects.filter(pk=audit.pk).update(
        queued_at=timezone.now() - ago(seconds_ago), dispatched_at=timezone.now()
    )
    return audit.pk


def busy(repository: Repository, seconds: float, until: float = 0, covers: Covers = Covers.COMMIT) -> None:
    """An audit of it has kept a worker busy for so long, and ended so many seconds ago."""
    end = timezone.now() - ago(until)
    Audit.objects.create(
        repository=repository,
        covers=covers,
        state=State.FAILED,
        started_at=end - ago(seconds),
        finished_at=end,
    )


def running(repository: Repository, covers: Covers) -> None:
    Audit.objects.create(repository=repository, covers=covers, state=State.RUNNING, started_at=timezone.now())


def order() -> list[int]:
    """The audits in the order in which they would begin, if each took no time."""
    found = []
    while (pk := turns.next_audit()) is not None:
        found.append(pk)
        Audit.objects.filter(pk=pk).update(state=State.CANCELLED)
    return found


def test_who_asked_first_is_served_first(add_repository: AddRepository) -> None:
    asked = [queue(add_repository(f"/{n}"), seconds_ago=10 - n) for n in range(3)]
    assert order() == asked
    assert turns.next_audit() is None


def test_the_first_audit_of_a_repository_comes_before_those_of_one_that_was_served(
    add_repository: AddRepository,
) -> None:
    greedy, new = add_repository("/greedy"), add_repository("/new")
    for _ in range(10):
        busy(greedy, seconds=30)
    late = queue(greedy, seconds_ago=60)
    first = queue(new)
    assert order() == [first, late]


def test_whoever_has_waited_for_as_long_as_it_was_served_has_its_turn(add_repository: AddRepository) -> None:
    greedy, new = add_repository("/greedy"), add_repository("/new")
    busy(greedy, seconds=100, until=200)
    late = queue(greedy, seconds_ago=110)
    first = queue(new)
    assert order() == [late, first]


def test_what_was_used_more_than_an_hour_ago_is_forgotten(add_repository: AddRepository) -> None:
    greedy, new = add_repository("/greedy"), add_repository("/new")
    busy(greedy, seconds=800, until=3700)
    busy(greedy, seconds=3000, until=3590)  # ten seconds of it count
    late = queue(greedy, seconds_ago=12)
    first = queue(new)
    assert order() == [late, first]


@pytest.mark.parametrize(("processes", "may_begin"), [(0, True), (1, False), (2, False), (3, True)])
def test_long_audits_leave_a_process_to_the_others(
    add_repository: AddRepository, processes: int, may_begin: bool
) -> None:
    workforce.register(Workforce(auditing=lambda: processes))
    running(add_repository("/history"), Covers.HISTORY)
    history = queue(add_repository("/waits"), seconds_ago=60, covers=Covers.HISTORY)
    assert turns.next_audit() == (history if may_begin else None)
    first = queue(add_repository("/new"))
    assert turns.next_audit() == (history if may_begin else first)


def test_one_process_takes_long_audits_as_well(add_repository: AddRepository) -> None:
    workforce.register(Workforce(auditing=lambda: 1))
    history = queue(add_repository("/history"), covers=Covers.HISTORY)
    assert turns.next_audit() == history


# A pulse, which comes after a second, sees committed rows only.
@pytest.mark.django_db(transaction=True)
def test_a_message_rings_for_whoever_s_turn_it_is_and_none_is_left_out(
    add_repository: AddRepository, drifting: Drifting
) -> None:
    greedy, new = add_repository(drifting.path, branch="main"), add_repository(drifting.path, branch="main")
    busy(greedy, seconds=300)
    late, first = queue(greedy, seconds_ago=5), queue(new)
    tasks.run_audit(late)
    assert Audit.objects.get(pk=first).state == State.SUCCEEDED
    assert Audit.objects.get(pk=late).state == State.QUEUED
    tasks.run_audit(first)
    assert Audit.objects.get(pk=late).state == State.SUCCEEDED
    tasks.run_audit(late)
    assert Audit.objects.filter(state=State.SUCCEEDED).count() == 2


@pytest.mark.django_db(transaction=True)
def test_the_end_of_an_audit_rings_for_a_long_one_that_was_held_back(
    add_repository: AddRepository, drifting: Drifting, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung: list[int] = []
    monkeypatch.setattr(tasks, "_send", rung.append)
    first = queue(add_repository(drifting.path, branch="main"))
    tasks.run_audit(first)
    assert rung == []
    queue(add_repository(drifting.path), covers=Covers.HISTORY)
    second = queue(add_repository(drifting.path, branch="main"), seconds_ago=10)
    tasks.run_audit(second)
    assert rung == [second]
