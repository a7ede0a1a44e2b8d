"""Issuing IDs: what is recorded, what is refused, and that no counter ever comes twice."""

import math
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ids import contexts, formats, known, leasing, minting
from ids.minting import generate
from ids.models import IDCounter, IDTally, IDType, IssuedID

pytestmark = pytest.mark.usefixtures("registry")


def counters(identifiers: list[str]) -> list[int]:
    return [formats.parse(identifier).counter for identifier in identifiers]


def recorded() -> set[str]:
    return set(IssuedID.objects.values_list("id", flat=True))


# --- what an ID is and what is recorded -------------------------------------------------------------------------------


def test_an_id_has_the_parts_that_were_asked_for_and_is_recorded_with_them() -> None:
    identifier = generate(
        "run", prefix="user", context={"thread": "thread_1_00c0ffee", "tries": [1, 2.5, None]}
    )
    parts = formats.parse(identifier)
    assert (parts.prefix, parts.type, parts.counter) == ("user", "run", 1)
    row = IssuedID.objects.get(pk=identifier)
    assert (row.type.value, row.counter, row.prefix, row.state) == ("run", 1, "user", "issued")
    assert row.context == {"thread": "thread_1_00c0ffee", "tries": [1, 2.5, None]}
    assert row.issued_at is not None


def test_prefix_and_context_are_optional() -> None:
    row = IssuedID.objects.get(pk=generate("run"))
    assert (row.prefix, row.context) == ("", {})


def test_each_canonical_type_counts_for_itself() -> None:
    values = list(IDType.objects.values_list("value", flat=True))
    assert len(values) == 12
    identifiers = [generate(value) for value in values]
    assert [formats.parse(identifier).type for identifier in identifiers] == values
    assert set(counters(identifiers)) == {1}


def test_a_type_made_a_moment_ago_works_at_once() -> None:
    IDType.objects.create(value="web-hook", description="A call to another service.")
    assert generate("web-hook").startswith("web-hook_1_")


def test_blocks_grow_with_use_and_no_counter_is_skipped_in_one_process() -> None:
    total = leasing.FIRST_BLOCK * 7
    assert counters([generate("run") for _ in range(total)]) == list(range(1, total + 1))
    # 8 + 16 + 32: the third block is used up exactly
    assert IDCounter.objects.get(type__value="run").next_counter == total + 1


def test_an_id_costs_one_query_of_the_caller_when_no_lease_is_due(django_assert_num_queries: Any) -> None:
    generate("run")
    with django_assert_num_queries(1):
        generate("run")


# --- never twice ------------------------------------------------------------------------------------------------------


def test_a_rollback_undoes_the_record_and_not_the_counter() -> None:
    with transaction.atomic():
        lost = [generate("run") for _ in range(3)]
        transaction.set_rollback(True)
    assert recorded() == set()
    minting.forget_leases()
    kept = [generate("run") for _ in range(3)]
    assert recorded() == set(kept)
    assert not set(counters(lost)) & set(counters(kept))


def test_a_rolled_back_savepoint_undoes_only_its_own_records() -> None:
    with transaction.atomic():
        first = generate("run")
        with transaction.atomic():
            generate("run")
            transaction.set_rollback(True)
        last = generate("run")
    assert recorded() == {first, last}


def test_an_exception_of_the_caller_undoes_the_record() -> None:
    @transaction.atomic
    def caller() -> None:
        generate("run")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        caller()
    assert recorded() == set()


transactions = st.lists(
    st.tuples(
        st.booleans(),
        st.lists(st.tuples(st.sampled_from(["run", "user"]), st.none() | st.just("run")), max_size=4),
    ),
    max_size=6,
)


@given(transactions)
@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
def test_the_recorded_ids_are_exactly_those_of_committed_callers(
    attempts: list[tuple[bool, list[tuple[str, str | None]]]],
) -> None:
    before, kept, lost = recorded(), set(), set()
    for commits, wanted in attempts:
        with transaction.atomic():
            identifiers = {generate(type_value, prefix) for type_value, prefix in wanted}
            assert len(identifiers) == len(wanted)
            transaction.set_rollback(not commits)
        (kept if commits else lost).update(identifiers)
    assert recorded() - before == kept
    assert not lost & recorded()
    assert sum(IDType.objects.with_figures().values_list("issued_total", flat=True)) == len(recorded())


def test_threads_never_get_the_same_counter() -> None:
    barrier = threading.Barrier(8)

    def work(_: int) -> list[str]:
        try:
            barrier.wait()
            return [generate("run") for _ in range(30)]
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        identifiers = [identifier for batch in pool.map(work, range(8)) for identifier in batch]
    assert sorted(counters(identifiers)) == list(range(1, 241))
    assert recorded() == set(identifiers)


def test_a_child_of_a_fork_never_uses_what_its_parent_leased(child_environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "tests.ids.forking_process", "run"]
    done = subprocess.run(
        command, check=False, env=child_environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    identifiers = done.stdout.split()
    assert len(identifiers) == len(set(counters(identifiers))) == 100
    assert recorded() == set(identifiers)


@pytest.mark.long
@pytest.mark.timeout(300)
def test_eight_processes_with_kills_never_issue_a_duplicate(
    child_environment: dict[str, str], tmp_path: Path
) -> None:
    """The oracle is what the processes wrote down themselves, each in its own file, the moment they had an ID."""
    stop = tmp_path / "stop"
    processes: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        log = tmp_path / f"log-{len(processes)}"
        command = [sys.executable, "-m", "tests.ids.issuing_process", str(log), str(stop), "run", "user"]
        processes.append(subprocess.Popen(command, env=child_environment))

    def logged() -> list[tuple[str, str]]:
        lines = [line.split() for log in tmp_path.glob("log-*") for line in log.read_text().splitlines()]
        return [(word, identifier) for word, identifier in lines]

    def wait_for(count: int) -> None:
        # by their sizes: to read them would take ever longer, and they grow meanwhile. A line has at most 40 bytes.
        while sum(log.stat().st_size for log in tmp_path.glob("log-*")) < 40 * count:
            assert all(process.poll() in (None, -9) for process in processes)
            time.sleep(0.02)

    kills = 5
    try:
        for _ in range(8):
            start()
        for turn in range(1, kills + 1):
            wait_for(turn * 400)
            running = [process for process in processes if process.poll() is None]
            victim = random.choice(running)
            victim.kill()
            victim.wait()
            start()
        wait_for((kills + 1) * 400)
        stop.touch()
        codes = Counter(process.wait(timeout=600) for process in processes)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert codes == {0: 8, -9: kills}

    seen = logged()
    parts = [formats.parse(identifier) for _, identifier in seen]
    assert len(seen) >= (kills + 1) * 400
    assert len({(part.type, part.counter) for part in parts}) == len(seen)
    kept = {identifier for word, identifier in seen if word == "kept"}
    assert kept <= recorded()
    # killed between the commit and the log line: at most one each
    assert len(recorded() - kept) <= kills
    totals = IDType.objects.with_figures().values_list("issued_total", flat=True)
    assert sum(totals) == len(recorded())


# --- what is refused --------------------------------------------------------------------------------------------------


def refused(error: type[minting.MintingError], *arguments: Any, **keywords: Any) -> minting.MintingError:
    """The error of a refusal that left nothing behind."""
    with pytest.raises(error) as caught:
        generate(*arguments, **keywords)
    assert caught.value.message == str(caught.value)
    assert not IssuedID.objects.exists() and not IDTally.objects.exists()
    return caught.value


@pytest.mark.parametrize(
    ("value", "nearest"),
    [
        ("RUN", "run"),
        ("runs", "run"),
        ("user_", "user"),
        ("web_socket", "websocket"),
        ("exeuction", "execution"),
    ],
)
def test_an_unknown_type_is_refused_with_the_nearest_name(value: str, nearest: str) -> None:
    error = refused(minting.UnknownType, value)
    assert error.code == "unknown-type"
    assert f'Did you mean "{nearest}"?' in error.message


@pytest.mark.parametrize(
    "value", ["", "zzz", "run\n", "run\x00", "\ud800", "<script>", "x" * 1_000_000, None, 7, b"run", ["run"]]
)
def test_a_value_that_no_type_can_have_is_refused_without_being_repeated_whole(value: Any) -> None:
    error = refused(minting.UnknownType, value)
    assert len(error.message) < 200 and error.message.isprintable()


def test_a_deprecated_type_warns_at_the_caller_and_works() -> None:
    IDType.objects.filter(value="run").update(status=IDType.Status.DEPRECATED)
    with pytest.warns(minting.DeprecatedTypeWarning, match='"run" is deprecated') as caught:
        identifier = generate("run")
    assert caught[0].filename == __file__
    assert recorded() == {identifier}


@pytest.mark.filterwarnings("error::ids.minting.DeprecatedTypeWarning")
def test_where_the_warning_is_an_error_nothing_is_issued() -> None:
    IDType.objects.filter(value="run").update(status=IDType.Status.DEPRECATED)
    with pytest.raises(minting.DeprecatedTypeWarning):
        generate("run")
    assert not recorded() and not IDCounter.objects.exists()


def test_a_retired_type_is_refused_and_its_issued_ids_stay() -> None:
    identifier = generate("run")
    IDType.objects.filter(value="run").update(status=IDType.Status.RETIRED)
    with pytest.raises(minting.RetiredType, match='"run" is retired') as caught:
        generate("run")
    assert caught.value.code == "retired-type"
    assert recorded() == {identifier}


@pytest.mark.parametrize(
    "prefix",
    ["", "a_b", "A", "a\n", "<script>", "p" * 65, "p" * 300, "a\x00", "\ud800", " a", "-a", 5, ["a"]],
)
def test_a_prefix_outside_the_grammar_is_refused(prefix: Any) -> None:
    error = refused(minting.InvalidPrefix, "run", prefix=prefix)
    assert error.code == "invalid-prefix"
    assert "prefix" in error.message


def nested(levels: int) -> dict[str, Any]:
    inner: Any = 1
    for _ in range(levels):
        inner = [inner]
    return {"inner": inner}


def endless() -> dict[str, Any]:
    context: dict[str, Any] = {}
    context["again"] = context
    return context


def wide_and_deep() -> dict[str, Any]:
    """A small object that would be astronomically large as JSON."""
    value: Any = "x"
    for _ in range(30):
        value = [value] * 10
    return {"value": value}


@pytest.mark.parametrize(
    ("context", "problem"),
    [
        ([1], "JSON object, not list"),
        ("text", "JSON object, not str"),
        (1, "JSON object, not int"),
        ({"a": object()}, "type object"),
        ({"a": b"bytes"}, "type bytes"),
        ({"a": {1, 2}}, "type set"),
        ({"a": [{"b": 1 + 2j}]}, "type complex"),
        ({1: "a"}, "key of the context is int"),
        ({"a": {None: 1}}, "key of the context is NoneType"),
        ({"a": math.nan}, "nan"),
        ({"a": [math.inf]}, "inf"),
        ({"a": -math.inf}, "inf"),
        ({"a": "x\x00y"}, "NUL"),
        ({"a\x00": 1}, "NUL"),
        ({"a": ["\ud800"]}, "surrogate"),
        ({"\udfff": 1}, "surrogate"),
        ({"a": 10**5000}, "digits"),
        ({"a": "x" * contexts.CONTEXT_MAX_BYTES}, "16384 are allowed"),
        ({"a": "\N{EURO SIGN}" * 6000}, "16384 are allowed"),
        ({"a": "x" * 1_000_000}, "16384 are allowed"),
        ({"a": [0] * 1_000_000}, "more than 16384 bytes"),
        ({str(number): 0 for number in range(20_000)}, "more than 16384 bytes"),
        (nested(32), "more than 32 levels"),
        (nested(10_000), "more than 32 levels"),
        (endless(), "more than 32 levels"),
        (wide_and_deep(), "more than"),
    ],
    ids=range(26),
)
def test_a_context_that_cannot_be_kept_is_refused(context: Any, problem: str) -> None:
    error = refused(minting.InvalidContext, "run", context=context)
    assert error.code == "invalid-context"
    assert problem in error.message
    assert len(error.message) < 300


def test_a_context_at_its_limits_is_kept() -> None:
    frame = len('{"a":""}')
    largest = {"a": "x" * (contexts.CONTEXT_MAX_BYTES - frame)}
    assert IssuedID.objects.get(pk=generate("run", context=largest)).context == largest
    deepest = nested(contexts.CONTEXT_MAX_DEPTH - 1)
    assert IssuedID.objects.get(pk=generate("run", context=deepest)).context == deepest


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**80), 2**80)
    # PostgreSQL keeps numbers as decimals: a larger float comes back as the integer that it prints as
    | st.floats(-1e15, 1e15)
    | st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("ab\u20ac\U0001f600'\"\\", max_size=4), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.text("abc", max_size=3), json_values, max_size=4))
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
def test_a_kept_context_comes_back_as_it_went_in(context: dict[str, Any]) -> None:
    assert IssuedID.objects.get(pk=generate("run", context=context)).context == context


def test_nothing_is_issued_while_synchronous_commit_is_off() -> None:
    name = connection.ops.quote_name(connection.settings_dict["NAME"])
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    try:
        assert refused(minting.UnsafeDatabase, "run").code == "unsafe-database"
        assert not IDCounter.objects.exists()
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER DATABASE {name} RESET synchronous_commit")
    assert generate("run").startswith("run_1_")


def test_a_counter_behind_the_issued_ids_is_refused_until_it_is_set_right() -> None:
    identifiers = [generate("run") for _ in range(3)]
    IDCounter.objects.filter(type__value="run").update(next_counter=2)
    minting.forget_leases()
    with pytest.raises(minting.CounterBehind, match="issue 2 next, and 3 was issued") as caught:
        generate("run")
    assert caught.value.code == "counter-behind"
    assert recorded() == set(identifiers)
    IDCounter.objects.filter(type__value="run").update(next_counter=4)
    assert formats.parse(generate("run")).counter == 4


def test_a_counter_that_was_issued_by_somebody_else_is_refused_by_the_database() -> None:
    first = generate("run")
    taken = IssuedID.objects.create(id="run_2_00c0ffee", type=IDType.objects.get(value="run"), counter=2)
    with pytest.raises(minting.CounterBehind, match="2 was issued already"):
        generate("run")
    assert recorded() == {first, taken.pk}
    # the rest of that block is not trusted, and the next lease starts above the intruder
    assert formats.parse(generate("run")).counter == 1 + leasing.FIRST_BLOCK


def test_a_type_without_counters_left_is_refused() -> None:
    generate("run")
    IDCounter.objects.update(next_counter=formats.COUNTER_MAX - 1)
    minting.forget_leases()
    with pytest.raises(minting.CountersExhausted, match=str(formats.COUNTER_MAX)) as caught:
        generate("run")
    assert caught.value.limit == formats.COUNTER_MAX


def test_a_caller_that_locks_the_type_gets_an_error_and_does_not_hang(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(leasing, "LOCK_TIMEOUT_MS", 50)

    @transaction.atomic
    def caller() -> None:
        IDType.objects.select_for_update().get(value="run")
        generate("run")

    with pytest.raises(minting.LeaseUnavailable, match="lock timeout") as caught:
        caller()
    assert caught.value.code == "lease-unavailable"
    assert generate("run").startswith("run_1_")


def test_a_lease_leaves_nothing_in_its_session_which_a_pooler_may_hand_to_others() -> None:
    generate("run")
    assert leasing._own.execute("SHOW lock_timeout", {}) == [(f"{leasing.LOCK_TIMEOUT_MS // 1_000}s",)]
    assert leasing._own._wrapper is not None
    with leasing._own._wrapper.cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone() == ("0",)


def test_a_type_that_is_not_committed_yet_is_refused() -> None:
    @transaction.atomic
    def caller() -> None:
        IDType.objects.create(value="draft", description="Not committed.")
        generate("draft")

    with pytest.raises(minting.UnknownType, match="not committed"):
        caller()


def test_a_type_that_was_renamed_meanwhile_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    stale = known.named("run")
    IDType.objects.filter(value="run").update(value="pass")
    monkeypatch.setattr(known, "named", lambda value: stale)
    refused(minting.UnknownType, "run")
    assert not IDCounter.objects.exists()


def test_an_edit_of_the_type_and_a_lease_do_not_wait_for_each_other() -> None:
    with transaction.atomic():
        IDType.objects.filter(value="run").update(description="Being edited.", status="deprecated")
        with pytest.warns(minting.DeprecatedTypeWarning):
            generate("run")
        minting.forget_leases()
        with pytest.warns(minting.DeprecatedTypeWarning):
            generate("run")
    assert IDType.objects.get(value="run").description == "Being edited."


# --- figures ----------------------------------------------------------------------------------------------------------


def test_leases_fold_the_tallies_and_the_figures_stay_exact() -> None:
    total = leasing.FIRST_BLOCK * 3 + 2  # two blocks whole, and two IDs of a third
    identifiers = [generate("run") for _ in range(total)]
    assert IDTally.objects.count() == 2
    assert IDCounter.objects.get(type__value="run").issued == total - 2
    row = IDType.objects.with_figures().get(value="run")
    newest = IssuedID.objects.get(pk=identifiers[-1])
    assert (row.issued_total, row.active_total, row.last_issued_at) == (total, total, newest.issued_at)


def test_a_fold_does_not_lose_the_tally_of_a_transaction_that_is_still_open() -> None:
    opened, lease = threading.Event(), threading.Event()

    def slow_caller() -> None:
        try:
            with transaction.atomic():
                generate("run")
                opened.set()
                lease.wait(300)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        caller = pool.submit(slow_caller)
        assert opened.wait(300)
        minting.forget_leases()
        generate("run")
        minting.forget_leases()
        generate("run")
        lease.set()
        caller.result(30)
    assert IDType.objects.with_figures().get(value="run").issued_total == 3
    minting.forget_leases()
    generate("run")
    assert IDType.objects.with_figures().get(value="run").issued_total == 4 == IssuedID.objects.count()


def test_a_second_process_starts_with_a_block_of_its_own(child_environment: dict[str, str]) -> None:
    generate("run")
    script = "import django; django.setup(); from ids.minting import generate; print(generate('run'))"
    other = subprocess.run(
        [sys.executable, "-c", script],
        env=child_environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    )
    assert formats.parse(other.stdout.strip()).counter == 1 + leasing.FIRST_BLOCK
    assert formats.parse(generate("run")).counter == 2
