"""The ledger: requests, claims, leases, ends; what is due and what was lost. With real repositories and the real
engine.
"""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.contrib.auth.models import AnonymousUser, User
from django.db import IntegrityError, OperationalError, connection
from django.utils import timezone

from audits import auditing, fetching, policies, recording, removing, working
from audits.engine import run as engine
from audits.engine.codebase import Codebase
from audits.engine.findings import Finding, Progress, Report
from audits.models import (
    Audit,
    AuditProblem,
    Lifespan,
    Repository,
    Schedule,
    Sighting,
    State,
    Trigger,
    Violation,
)
from tests.audits.conftest import AddRepository, Drifting
from tests.samples import commit_tree, init_repository

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def repository(add_repository: AddRepository, drifting: Drifting) -> Repository:
    return add_repository(drifting.path)


def audited(repository: Repository, rev: str = "") -> Audit:
    audit, created = auditing.request(repository, rev)
    assert created
    working.run(audit.pk)
    audit.refresh_from_db()
    return audit


def at_once(count: int, work: Callable[[], Any]) -> list[Any]:
    """What ``count`` threads answer that begin at the same moment, each with its own connection."""
    barrier = threading.Barrier(count)

    def begin() -> object:
        try:
            connection.ensure_connection()
            barrier.wait()
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        futures = [pool.submit(begin) for _ in range(count)]
    return [future.result() for future in futures]


def rows() -> tuple[int, ...]:
    return tuple(model.objects.count() for model in (Violation, Sighting, Lifespan, AuditProblem))


# --- Asking for an audit ------------------------------------------------------------------------------------


def test_a_request_queues_an_audit(repository: Repository) -> None:
    user = User.objects.create_user("ada")
    audit, created = auditing.request(repository, " v1.0 ", user=user)
    assert created
    assert (audit.state, audit.rev, audit.trigger, audit.requested_by) == (
        State.QUEUED,
        "v1.0",
        Trigger.CLICK,
        user,
    )


def test_nobody_in_particular_may_ask(repository: Repository) -> None:
    audit, _ = auditing.request(repository, trigger=Trigger.SCHEDULE, user=AnonymousUser())
    assert audit.requested_by is None


@pytest.mark.parametrize("state", [State.QUEUED, State.RUNNING])
def test_an_audit_in_flight_answers_every_further_request(repository: Repository, state: State) -> None:
    audit, _ = auditing.request(repository)
    Audit.objects.update(state=state)
    assert auditing.request(repository, "main") == (audit, False)
    assert Audit.objects.count() == 1


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.FAILED, State.CANCELLED])
def test_an_ended_audit_stands_in_no_ones_way(repository: Repository, state: State) -> None:
    auditing.request(repository)
    Audit.objects.update(state=state)
    assert auditing.request(repository)[1]


def test_fifty_clicks_at_once_make_one_audit(repository: Repository) -> None:
    answers = at_once(50, lambda: auditing.request(repository))
    assert sum(created for _, created in answers) == 1
    assert {audit.pk for audit, _ in answers} == {Audit.objects.get().pk}


def test_other_repositories_have_their_own_audits(
    repository: Repository, add_repository: AddRepository
) -> None:
    auditing.request(repository)
    assert auditing.request(add_repository("/elsewhere"))[1]


def test_text_that_is_no_revision_queues_nothing(repository: Repository) -> None:
    with pytest.raises(fetching.LocationError):
        auditing.request(repository, "--output=/tmp/x")
    assert not Audit.objects.exists()


def test_a_removed_repository_has_no_audits(repository: Repository) -> None:
    Repository.objects.all().delete()
    with pytest.raises(IntegrityError):
        auditing.request(repository)


# --- Running one --------------------------------------------------------------------------------------------


def test_a_tree_that_was_audited_is_not_read_again(
    repository: Repository,
    drifting: Drifting,
    add_repository: AddRepository,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = audited(repository, drifting.second)
    monkeypatch.setattr("audits.facts_store.PostgresFactsStore.get_many", None)
    monkeypatch.setattr("audits.engine.run.ParsePool", None)
    same = audited(add_repository(drifting.path), drifting.second)
    assert (same.state, same.same_as) == (State.SUCCEEDED, None)
    assert (same.counts, same.files_read, same.files_parsed) == (first.counts, 3, 3)
    places = [
        sorted(Sighting.objects.filter(audit=audit).values_list("violation__fingerprint", "line"))
        for audit in (first, same)
    ]
    assert places[0] == places[1]
    assert len(places[0]) == 3


def test_a_run_ends_in_a_result(repository: Repository, drifting: Drifting) -> None:
    audit = audited(repository, drifting.second)
    assert audit.state == State.SUCCEEDED
    assert (audit.commit_sha, audit.commit_subject, audit.commit_author) == (
        drifting.second,
        "End runs, too",
        "Ada Sample",
    )
    assert audit.commit_time is not None
    assert audit.commit_time.timestamp() == 1_700_000_100
    assert (audit.files_read, audit.files_parsed, audit.problems_count) == (3, 3, 0)
    assert (audit.findings_count, audit.counts) == (3, {"missing-member": {"prod": 3}})
    assert audit.engine_version == engine.ENGINE_VERSION
    assert {"fetch", "audit", "record"} <= audit.timings.keys()
    assert (audit.attempts, audit.lease_token, audit.error_message, audit.phase) == (1, None, "", "")
    assert audit.queued_at < audit.started_at < audit.finished_at  # type: ignore[operator]
    repository.refresh_from_db()
    assert repository.current_audit == audit
    assert set(repository.violations.values_list("subject", "scope", "is_open")) == {
        ("app.ids.IDType.RUN", "begin", True),
        ("app.ids.IDType.RUN", "end", True),
        ("app.ids.IDType.THREAD", "end", True),
    }


def test_an_empty_revision_is_the_branch(repository: Repository, drifting: Drifting) -> None:
    commit_tree(drifting.path, {"a.py": ""}, "Elsewhere", 1_700_000_300, [drifting.first], branch="side")
    assert audited(repository).commit_sha == drifting.third
    repository.branch = "side"
    repository.save()
    assert audited(repository).commit_subject == "Elsewhere"


def test_re_audits_of_earlier_and_later_commits_agree(
    add_repository: AddRepository, drifting: Drifting
) -> None:
    def story(*revs: str) -> set[tuple[str, str, bool, str, str]]:
        repository = add_repository(drifting.path)
        for rev in revs:
            assert audited(repository, rev).state == State.SUCCEEDED
        return {
            (v.subject, v.scope, v.is_open, span.introduced_in.commit_sha, span.gone_in.commit_sha)  # type: ignore[union-attr]
            for v in repository.violations.all()
            for span in v.lifespans.all()
        }

    first, second, third = drifting.first, drifting.second, drifting.third
    expected = {
        ("app.ids.IDType.RUN", "begin", False, first, third),
        ("app.ids.IDType.RUN", "end", False, second, third),
        ("app.ids.IDType.THREAD", "end", False, second, third),
    }
    assert story(first, second, third) == expected
    assert story(third, first, second) == expected
    assert story(second, third, first) == expected


def test_the_same_commit_policy_and_engine_again_share_the_result(
    repository: Repository, drifting: Drifting
) -> None:
    first = audited(repository, drifting.second)
    before = rows()
    again = audited(repository, drifting.second)
    assert rows() == before
    assert (again.state, again.same_as, again.result) == (State.SUCCEEDED, first, first)
    assert (again.findings_count, again.counts, again.files_read) == (3, first.counts, 3)
    repository.refresh_from_db()
    assert repository.current_audit == first


def test_another_policy_gives_another_result(repository: Repository, drifting: Drifting) -> None:
    first = audited(repository, drifting.second)
    version, _ = policies.save(repository, 'version = 1\nexclude = ["app/runs.py"]\n')
    second = audited(repository, drifting.second)
    assert (second.same_as, second.findings_count) == (None, 0)
    assert second.policy_digest != first.policy_digest
    assert (first.policy_version, second.policy_version) == (None, version)
    assert not repository.violations.filter(is_open=True).exists()


def test_another_engine_gives_another_result(
    repository: Repository, drifting: Drifting, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = audited(repository, drifting.second)
    monkeypatch.setattr(engine, "ENGINE_VERSION", "next")
    second = audited(repository, drifting.second)
    assert (second.same_as, second.engine_version) == (None, "next")
    repository.refresh_from_db()
    assert repository.current_audit == second != first
    assert set(Lifespan.objects.values_list("introduced_in", flat=True)) == {second.pk}


def test_what_is_not_queued_is_left_alone(repository: Repository) -> None:
    audit = audited(repository)
    for state in (State.RUNNING, State.SUCCEEDED, State.FAILED, State.CANCELLED):
        Audit.objects.update(state=state)
        working.run(audit.pk)
        audit.refresh_from_db()
        assert (audit.state, audit.attempts) == (state, 1)
    working.run(audit.pk + 1)


def test_problems_are_recorded(repository: Repository, drifting: Drifting) -> None:
    commit_tree(drifting.path, {"big.py": "x = 1\n" * 100_000}, "Grow", 1_700_000_300, [drifting.third])
    audit = audited(repository)
    assert audit.problems_count == 1
    assert [(p.path, p.kind) for p in audit.problems.all()] == [("big.py", "too-large")]


def test_what_a_broken_rule_would_have_found_stays_open(
    repository: Repository, drifting: Drifting, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(codebase: Codebase) -> Iterator[Finding]:
        raise KeyError("x")

    audited(repository, drifting.second)
    broken = replace(engine.RULES["missing-member"], checker=breaks)
    monkeypatch.setitem(engine.RULES, "missing-member", broken)
    audit = audited(repository, drifting.third)
    assert (audit.findings_count, [problem.kind for problem in audit.problems.all()]) == (0, ["rule-failed"])
    assert repository.violations.filter(is_open=True).count() == 3


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"location": "/nowhere/at/all"}, "not-a-repository", "/nowhere/at/all is not a git repository."),
        ({"branch": "gone"}, "unknown-revision", "There is no commit, tag or branch 'gone' here."),
        ({"location": "https://127.0.0.1/x.git"}, "location", "internal"),
    ],
)
def test_what_cannot_succeed_fails_at_once_in_clear_words(
    repository: Repository, change: dict[str, str], code: str, words: str
) -> None:
    Repository.objects.update(**change)
    audit = audited(repository)
    assert (audit.state, audit.error_code, audit.attempts) == (State.FAILED, code, 1)
    assert words in audit.error_message
    assert audit.finished_at is not None


def test_an_empty_repository_says_so(add_repository: AddRepository, tmp_path: Path) -> None:
    audit = audited(add_repository(init_repository(tmp_path / "empty")))
    assert (audit.state, audit.error_code) == (State.FAILED, "empty-repository")


def test_a_missing_revision_says_so(repository: Repository) -> None:
    audit = audited(repository, "v9")
    assert (audit.state, audit.error_code) == (State.FAILED, "unknown-revision")
    assert "'v9'" in audit.error_message


def test_too_many_findings_are_refused_with_the_limit(
    repository: Repository, drifting: Drifting, settings: Any
) -> None:
    settings.SSOT_MAX_FINDINGS = 2
    audit = audited(repository, drifting.second)
    assert (audit.state, audit.error_code) == (State.FAILED, "too-many-findings")
    assert "SSOT_MAX_FINDINGS" in audit.error_message
    assert rows() == (0, 0, 0, 0)


def test_a_failed_audit_leaves_the_last_result_in_place(repository: Repository, drifting: Drifting) -> None:
    good = audited(repository, drifting.second)
    before = rows()
    assert audited(repository, "v9").state == State.FAILED
    repository.refresh_from_db()
    assert (repository.current_audit, rows()) == (good, before)


# --- What goes wrong in the middle --------------------------------------------------------------------------

Audited = Callable[..., Report]


@pytest.fixture
def in_the_middle(
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[Callable[[Callable[[Progress], None]], None]], None]:
    """Has something done while the engine works; it gets the callback by which the engine tells its progress."""
    audit = engine.audit

    def set_up(happens: Callable[[Callable[[Progress], None]], None]) -> None:
        def audit_with(*arguments: Any, progress: Callable[[Progress], None], **options: Any) -> Report:
            happens(progress)
            return audit(*arguments, progress=progress, **options)

        monkeypatch.setattr(engine, "audit", audit_with)

    return set_up


def keep_telling(progress: Callable[[Progress], None]) -> None:
    """As a long parse does; ends when the callback raises."""
    for done in range(30_000):
        progress(Progress("Reading and parsing", done, 30_000, 7))
        time.sleep(0.01)
    pytest.fail("nobody stopped it")


def raising(error: BaseException) -> Callable[[Callable[[Progress], None]], None]:
    def happens(progress: Callable[[Progress], None]) -> None:
        raise error

    return happens


def test_a_running_audit_can_be_cancelled(repository: Repository, in_the_middle: Any) -> None:
    def happens(progress: Callable[[Progress], None]) -> None:
        assert auditing.cancel(Audit.objects.get())
        keep_telling(progress)

    in_the_middle(happens)
    audit = audited(repository)
    assert audit.state == State.CANCELLED
    assert audit.finished_at is not None
    assert rows() == (0, 0, 0, 0)
    assert auditing.request(repository)[1]


def test_a_queued_audit_is_cancelled_at_once(repository: Repository) -> None:
    audit, _ = auditing.request(repository)
    assert auditing.cancel(audit)
    working.run(audit.pk)
    audit.refresh_from_db()
    assert (audit.state, audit.attempts) == (State.CANCELLED, 0)


def test_an_ended_audit_cannot_be_cancelled(repository: Repository) -> None:
    audit = audited(repository)
    assert not auditing.cancel(audit)
    audit.refresh_from_db()
    assert audit.state == State.SUCCEEDED


def test_progress_is_shown_while_it_runs(repository: Repository, in_the_middle: Any) -> None:
    shown = []

    def happens(progress: Callable[[Progress], None]) -> None:
        progress(Progress("Reading and parsing", 5, 9, 7))
        while not (row := Audit.objects.get()).files_done:
            time.sleep(0.02)
        shown.append((row.state, row.phase, row.files_done, row.files_total, row.findings_so_far))

    in_the_middle(happens)
    audited(repository)
    assert shown == [(State.RUNNING, "Reading and parsing", 5, 9, 7)]


def test_who_lost_the_lease_writes_nothing_more(
    repository: Repository, drifting: Drifting, in_the_middle: Any
) -> None:
    """The first worker was thought dead; the second one finishes before the first one comes back."""
    workers = []

    def happens(progress: Callable[[Progress], None]) -> None:
        workers.append(Audit.objects.get().lease_token)
        if len(workers) == 1:
            while Audit.objects.get().state == State.RUNNING:  # its pulse may come in between
                Audit.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
                auditing.reap()
            other = threading.Thread(target=lambda: (working.run(Audit.objects.get().pk), connection.close()))
            other.start()
            other.join()

    in_the_middle(happens)
    audit = audited(repository, drifting.second)
    assert len(set(workers)) == 2
    assert (audit.state, audit.attempts) == (State.SUCCEEDED, 2)
    assert rows() == (3, 3, 3, 0)


def test_a_pulse_extends_the_lease(repository: Repository, in_the_middle: Any) -> None:
    def happens(progress: Callable[[Progress], None]) -> None:
        begun = Audit.objects.get().lease_until
        while Audit.objects.get().lease_until == begun:
            time.sleep(0.02)
        auditing.reap()

    in_the_middle(happens)
    assert audited(repository).attempts == 1


def test_a_cancelled_audit_whose_worker_died_ends_cancelled(repository: Repository) -> None:
    audit, _ = auditing.request(repository)
    Audit.objects.update(
        state=State.RUNNING,
        attempts=1,
        cancel_requested=True,
        lease_until=timezone.now() - timedelta(seconds=1),
    )
    auditing.reap()
    audit.refresh_from_db()
    assert audit.state == State.CANCELLED


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (RuntimeError("out of luck"), "RuntimeError: out of luck"),
        (MemoryError(), "the memory was used up"),
        (RecursionError("too deep"), "RecursionError: too deep"),
        (OperationalError("gone away"), "the database failed (OperationalError)"),
    ],
)
def test_an_attempt_that_breaks_is_repeated_and_the_third_is_final(
    repository: Repository, in_the_middle: Any, error: Exception, words: str
) -> None:
    in_the_middle(raising(error))
    audit, _ = auditing.request(repository)
    for attempt in (1, 2):
        working.run(audit.pk)
        audit.refresh_from_db()
        assert (audit.state, audit.attempts, audit.dispatched_at) == (State.QUEUED, attempt, None)
        assert audit.error_message == f"Attempt {attempt} ended early: {words}."
    working.run(audit.pk)
    audit.refresh_from_db()
    assert (audit.state, audit.error_code) == (State.FAILED, "gave-up")
    assert audit.error_message == f"Gave up after 3 attempts: {words}."
    assert auditing.to_dispatch() == []


def end_connections(*, of_pulses: bool) -> None:
    """As a database does that restarts: its clients' connections are gone. (``of_pulses``: only those that beat.)"""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE %s",
            ["%cancel_requested%" if of_pulses else "%"],
        )


def test_a_database_that_restarts_costs_one_attempt(
    repository: Repository, drifting: Drifting, in_the_middle: Any
) -> None:
    attempts = []

    def happens(progress: Callable[[Progress], None]) -> None:
        attempts.append(Audit.objects.get().attempts)
        if len(attempts) == 1:
            at_once(1, lambda: end_connections(of_pulses=False))

    in_the_middle(happens)
    audit, _ = auditing.request(repository, drifting.second)
    working.run(audit.pk)
    audit.refresh_from_db()
    assert (audit.state, audit.error_message) == (
        State.QUEUED,
        "Attempt 1 ended early: the database failed (OperationalError).",
    )
    working.run(audit.pk)
    audit.refresh_from_db()
    assert (audit.state, audit.attempts, rows()) == (State.SUCCEEDED, 2, (3, 3, 3, 0))


def test_a_pulse_that_loses_its_connection_gets_another_one(
    repository: Repository, in_the_middle: Any
) -> None:
    def happens(progress: Callable[[Progress], None]) -> None:
        for done in (1, 2):
            progress(Progress("Reading and parsing", done, 9))
            while Audit.objects.get().files_done != done:
                time.sleep(0.02)
            end_connections(of_pulses=True)

    in_the_middle(happens)
    audit = audited(repository)
    assert (audit.state, audit.attempts) == (State.SUCCEEDED, 1)


def test_an_attempt_that_succeeds_forgets_the_earlier_ones_words(repository: Repository) -> None:
    audit, _ = auditing.request(repository)
    Audit.objects.update(attempts=1, error_message="Attempt 1 ended early: bad luck.")
    working.run(audit.pk)
    audit.refresh_from_db()
    assert (audit.state, audit.attempts, audit.error_message) == (State.SUCCEEDED, 2, "")


def test_time_used_up_is_final(repository: Repository, in_the_middle: Any) -> None:
    in_the_middle(raising(SoftTimeLimitExceeded()))
    audit = audited(repository)
    assert (audit.state, audit.error_code, audit.attempts) == (State.FAILED, "timeout", 1)
    assert "SSOT_AUDIT_SECONDS" in audit.error_message


def test_a_recording_is_seen_as_a_whole_or_not_at_all(
    repository: Repository, drifting: Drifting, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen_by_others = []
    update_details = recording._update_details

    def breaks(*arguments: Any) -> None:
        update_details(*arguments)
        seen_by_others.extend(at_once(1, rows))
        if len(seen_by_others) == 1:
            raise OperationalError("the server closed the connection")

    monkeypatch.setattr(recording, "_update_details", breaks)
    audit, _ = auditing.request(repository, drifting.second)
    working.run(audit.pk)
    assert rows() == (0, 0, 0, 0)
    working.run(audit.pk)
    audit.refresh_from_db()
    assert (audit.state, audit.attempts, rows()) == (State.SUCCEEDED, 2, (3, 3, 3, 0))
    assert seen_by_others == [(0, 0, 0, 0), (0, 0, 0, 0)]


def test_a_repository_removed_while_it_is_audited_leaves_nothing(
    repository: Repository, in_the_middle: Any
) -> None:
    in_the_middle(lambda progress: removing.remove(repository))
    audit, _ = auditing.request(repository)
    working.run(audit.pk)
    audit.refresh_from_db()
    assert (audit.state, audit.lease_token, rows()) == (State.CANCELLED, None, (0, 0, 0, 0))
    removing.go_on(repository.pk)
    assert not Audit.objects.exists()


# --- The beat -----------------------------------------------------------------------------------------------


def lost(repository: Repository, attempts: int, seconds_ago: int = 1) -> Audit:
    return Audit.objects.create(
        repository=repository,
        state=State.RUNNING,
        attempts=attempts,
        lease_until=timezone.now() - timedelta(seconds=seconds_ago),
        phase="Reading and parsing",
        files_done=1200,
        files_total=4000,
    )


def test_an_audit_whose_worker_was_lost_is_queued_again(repository: Repository, drifting: Drifting) -> None:
    audit = lost(repository, attempts=1)
    auditing.reap()
    audit.refresh_from_db()
    assert (audit.state, audit.lease_token, audit.dispatched_at) == (State.QUEUED, None, None)
    words = "the worker was lost in the phase “Reading and parsing”, 1,200 of 4,000 files done"
    assert audit.error_message == f"Attempt 1 ended early: {words}."
    assert auditing.to_dispatch() == [audit.pk]


def test_an_audit_whose_worker_was_lost_a_third_time_has_failed(repository: Repository) -> None:
    audit = lost(repository, attempts=3)
    auditing.reap()
    audit.refresh_from_db()
    assert (audit.state, audit.error_code) == (State.FAILED, "gave-up")
    assert audit.error_message.startswith("Gave up after 3 attempts: the worker was lost in the phase")


def test_a_lease_that_has_not_ended_is_respected(repository: Repository) -> None:
    audit = lost(repository, attempts=1, seconds_ago=-3_000)
    auditing.reap()
    audit.refresh_from_db()
    assert audit.state == State.RUNNING


def test_two_reapers_take_an_audit_back_once(repository: Repository) -> None:
    audit = lost(repository, attempts=2)
    at_once(8, auditing.reap)
    audit.refresh_from_db()
    assert (audit.state, audit.attempts) == (State.QUEUED, 2)


def test_each_waiting_audit_is_dispatched_once_a_while(repository: Repository) -> None:
    audit, _ = auditing.request(repository)
    assert sorted(at_once(8, auditing.to_dispatch)) == [[], [], [], [], [], [], [], [audit.pk]]
    assert auditing.to_dispatch() == []
    Audit.objects.update(dispatched_at=timezone.now() - timedelta(seconds=61))
    assert auditing.to_dispatch() == [audit.pk]
    auditing.not_dispatched(audit.pk)
    assert auditing.to_dispatch() == [audit.pk]


def test_what_runs_is_not_dispatched_again(repository: Repository) -> None:
    lost(repository, attempts=1, seconds_ago=-3_000)
    assert auditing.to_dispatch() == []


def test_a_long_queue_is_not_dispatched_again_as_a_whole(
    add_repository: AddRepository, settings: Any
) -> None:
    settings.SSOT_REDISPATCH_BATCH = 2
    audits = [auditing.request(add_repository("/x"))[0].pk for _ in range(5)]
    assert auditing.to_dispatch() == audits
    Audit.objects.update(dispatched_at=timezone.now() - timedelta(seconds=61))
    assert auditing.to_dispatch() == audits[:2]


def scheduled(add_repository: AddRepository, schedule: Schedule, **ago: float) -> Repository:
    return add_repository("/x", schedule=schedule, next_audit_at=timezone.now() - timedelta(**ago))


def test_what_is_due_is_requested_and_the_slot_moves_on(add_repository: AddRepository) -> None:
    repository = scheduled(add_repository, Schedule.HOURLY, minutes=5)
    slot = repository.next_audit_at
    assert slot is not None
    (audit,) = auditing.due()
    assert (audit.repository, audit.trigger, audit.rev) == (repository, Trigger.SCHEDULE, "")
    repository.refresh_from_db()
    assert repository.next_audit_at == slot + timedelta(hours=1)
    assert auditing.due() == []


def test_missed_slots_become_one(add_repository: AddRepository) -> None:
    repository = scheduled(add_repository, Schedule.HOURLY, hours=10, minutes=5)
    slot = repository.next_audit_at
    assert slot is not None
    assert len(auditing.due()) == 1
    repository.refresh_from_db()
    assert repository.next_audit_at == slot + timedelta(hours=11)


def test_two_beats_take_each_slot_once(add_repository: AddRepository) -> None:
    repositories = [scheduled(add_repository, Schedule.DAILY, minutes=1) for _ in range(5)]
    requested = [audit.repository_id for answer in at_once(8, auditing.due) for audit in answer]
    assert sorted(requested) == [repository.pk for repository in repositories]
    Audit.objects.update(state=State.SUCCEEDED)
    assert at_once(8, auditing.due) == [[]] * 8


def test_an_audit_in_flight_stands_for_the_slot(add_repository: AddRepository) -> None:
    repository = scheduled(add_repository, Schedule.HOURLY, minutes=5)
    auditing.request(repository)
    assert auditing.due() == []
    repository.refresh_from_db()
    assert repository.next_audit_at is not None
    assert repository.next_audit_at > timezone.now()


def test_a_schedule_that_was_just_set_begins_now(add_repository: AddRepository) -> None:
    add_repository("/x", schedule=Schedule.WEEKLY)
    assert len(auditing.due()) == 1


def test_a_schedule_that_became_shorter_counts_at_once(add_repository: AddRepository) -> None:
    repository = add_repository(
        "/x", schedule=Schedule.HOURLY, next_audit_at=timezone.now() + timedelta(days=6)
    )
    assert auditing.due() == []
    repository.refresh_from_db()
    assert repository.next_audit_at is not None
    assert repository.next_audit_at <= timezone.now() + timedelta(hours=1)


def test_a_schedule_that_was_switched_off_requests_nothing(add_repository: AddRepository) -> None:
    repository = scheduled(add_repository, Schedule.OFF, days=1)
    assert auditing.due() == []
    repository.refresh_from_db()
    assert repository.next_audit_at is None


def test_one_repository_that_fails_holds_up_no_other(
    add_repository: AddRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = (scheduled(add_repository, Schedule.DAILY, minutes=minutes) for minutes in (2, 1))
    request = auditing.request

    def fails_for_one(repository: Repository, **options: Any) -> tuple[Audit, bool]:
        if repository == bad:
            raise OperationalError("deadlock detected")
        return request(repository, **options)

    monkeypatch.setattr(auditing, "request", fails_for_one)
    assert [audit.repository for audit in auditing.due()] == [good]
    bad.refresh_from_db()
    assert bad.next_audit_at is not None
    assert bad.next_audit_at < timezone.now()
