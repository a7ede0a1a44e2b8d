"""The service in Python: batches, registering, releasing, lookups, three answers, explanations, lists."""

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from ids import client, explorer, formats, leasing, lookups, minting, validation
from ids.minting import Registration, generate, generate_many, register, register_many, release, release_many
from ids.models import IDCounter, IDType, IssuedID, LegacyFormat, LegacyHits

pytestmark = pytest.mark.usefixtures("registry")


def active_total(value: str = "run") -> int:
    return lookups.count_active(value)


def refused(error: type[minting.MintingError], call: Callable[..., Any], *given: Any, **named: Any) -> Any:
    """The error of a refusal that changed nothing."""
    before = list(IssuedID.objects.order_by("id").values_list("id", "state", "released_at"))
    with pytest.raises(error) as caught:
        call(*given, **named)
    assert list(IssuedID.objects.order_by("id").values_list("id", "state", "released_at")) == before
    return caught.value


# --- batches ---


def test_a_batch_is_recorded_whole_with_counters_in_a_row() -> None:
    texts = generate_many("run", 1_000, "eu", {"a\t\\n": "\n\r\\"}, owner="user-7", issuer="token:CI")
    assert [formats.parse(text).counter for text in texts] == list(range(1, 1_001))  # type: ignore[union-attr]
    assert set(IssuedID.objects.values_list("id", flat=True)) == set(texts)
    row = IssuedID.objects.get(pk=texts[-1])
    assert (row.prefix, row.context, row.owner, row.issuer, row.state, row.counter) == (
        *("eu", {"a\t\\n": "\n\r\\"}, "user-7", "token:CI", "issued", 1_000),
    )
    assert datetime.now(UTC) - row.issued_at < timedelta(minutes=5)
    assert active_total() == 1_000


def test_a_batch_and_single_ids_never_share_a_counter() -> None:
    texts = [generate("run"), *generate_many("run", 20), generate("run"), *generate_many("run", 1)]
    assert len({formats.parse(text).counter for text in texts}) == 23  # type: ignore[union-attr]


def test_a_batch_of_a_rolled_back_caller_is_gone_and_its_counters_stay_unused() -> None:
    with transaction.atomic():
        generate_many("run", 10)
        transaction.set_rollback(True)
    assert not IssuedID.objects.exists() and active_total() == 0
    assert formats.parse(generate("run")).counter == 11  # type: ignore[union-attr]


def test_a_batch_costs_a_bounded_number_of_queries(django_assert_max_num_queries: Any) -> None:
    generate("run")
    with django_assert_max_num_queries(4):  # BEGIN and COMMIT among them
        generate_many("run", 5_000)


@pytest.mark.parametrize("count", [0, -1, 10_001, 10**9, True, 1.5, "7", None])
def test_a_batch_has_a_size(count: Any) -> None:
    error = refused(minting.InvalidCount, generate_many, "run", count)
    assert error.limit == 10_000 and "1 to 10000" in error.message
    assert not IDCounter.objects.exists()


@pytest.mark.parametrize("name", ["typeid", "ulid", "uuid7", "uuid4"])
def test_formats_without_a_counter_are_issued_one_by_one_and_in_batches(name: str) -> None:
    IDType.objects.filter(value="run").update(format=name)
    texts = [generate("run"), *generate_many("run", 50)]
    assert {formats.parse(text).format for text in texts} == {name}
    assert set(IssuedID.objects.values_list("id", "counter")) == {(text, None) for text in texts}
    assert active_total() == 51
    refused(minting.InvalidPrefix, generate, "run", "eu")


def test_ids_of_a_type_that_is_not_tracked_are_counted_and_not_recorded() -> None:
    IDType.objects.filter(value="run").update(is_tracked=False)
    texts = [generate("run"), *generate_many("run", 50)]
    assert len(set(texts)) == 51 and not IssuedID.objects.exists()
    assert active_total() == 51


def test_an_edit_of_the_type_counts_for_the_next_id() -> None:
    generate("run")
    generate_many("run", 2)
    IDType.objects.filter(value="run").update(status="retired")
    refused(minting.RetiredType, generate, "run")
    refused(minting.RetiredType, generate_many, "run", 2)
    IDType.objects.filter(value="run").update(status="active", format="ulid")
    assert len(generate("run")) == len(generate_many("run", 1)[0]) == 26


@pytest.mark.parametrize("owner", ["x" * 101, "a\x00", "a\nb", "\ud800", 7])
def test_an_owner_is_text_that_can_be_kept(owner: Any) -> None:
    refused(minting.InvalidOwner, generate, "run", owner=owner)
    refused(minting.InvalidOwner, generate_many, "run", 3, owner=owner)


# --- inside of one another ---


def test_a_run_is_inside_of_its_thread_by_a_relation() -> None:
    thread = generate("thread")
    run = generate("run", parent=thread)
    assert run.startswith("run_") and thread not in run
    assert lookups.look_up(run).parent_id == thread
    assert [row.pk for row in lookups.active(parent=thread).rows] == [run]
    assert explorer.explain(thread).reading.children == (run,)
    error = refused(minting.UnknownParent, generate, "run", parent="thread_99_00c0ffee")
    assert "thread_99_00c0ffee" in error.message
    refused(minting.UnknownParent, generate_many, "run", 3, parent="thread_99_00c0ffee")


def test_a_related_set_is_made_in_one_call() -> None:
    found = minting.generate_related({"user": "ada"}, owner="user-7")
    assert [text.partition("_")[0] for text in found] == ["thread", "run", "request"]
    assert lookups.parents(found.request) == [found.run, found.thread]
    assert {row.pk for row in lookups.active(owner="user-7").rows} == set(found)
    again = minting.generate_related(thread=found.thread)
    assert again.thread == found.thread and again.run != found.run


def test_a_related_set_is_all_or_nothing() -> None:
    IDType.objects.filter(value="request").update(status="retired")
    refused(minting.RetiredType, minting.generate_related)


# --- register ---


def test_an_id_from_elsewhere_is_registered_once() -> None:
    assert register("user_run_17_9f86d081", context={"a": 1}, owner="bo", issuer="token:x") == "run"
    row = lookups.look_up("user_run_17_9f86d081")
    assert (row.type.value, row.prefix, row.counter, row.state) == ("run", "user", None, "registered")
    assert active_total() == 1
    error = refused(minting.AlreadyIssued, register, "user_run_17_9f86d081")
    assert "known already" in error.message and "Row" not in error.message and error.row is None
    release("user_run_17_9f86d081")
    assert "never used again" in refused(minting.AlreadyIssued, register, "user_run_17_9f86d081").message


def test_two_ids_with_one_counter_can_be_registered_and_stop_no_new_ones() -> None:
    register_many([Registration("run_5_00000001"), Registration("run_5_00000002")])
    assert [formats.parse(generate("run")).counter for _ in range(6)][-1] == 6  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("text", "type_value", "error"),
    [
        ("not-an-id", None, minting.InvalidID),
        ("drop-table-users", None, minting.InvalidID),
        ("", None, minting.InvalidID),
        ("x" * 300, None, minting.InvalidID),
        ("run_1_00c0ffee\n", None, minting.InvalidID),
        ("run_1_00c0ffe\x00", None, minting.InvalidID),
        ("run_1_00c0ffe\ud800", None, minting.InvalidID),
        ("<script>", None, minting.InvalidID),
        (7, None, minting.InvalidID),
        ("run_1_00c0ffee", "user", minting.InvalidID),
        ("nothing_1_00c0ffee", None, minting.UnknownType),
        ("6f1c2b8e-4a53-4c0e-9d5f-0b7a3f0f4a11", None, minting.InvalidID),
        ("6f1c2b8e-4a53-4c0e-9d5f-0b7a3f0f4a11", "nothing", minting.UnknownType),
    ],
)
def test_what_is_no_id_of_a_type_is_not_registered(
    text: Any, type_value: str | None, error: type[minting.MintingError]
) -> None:
    assert len(refused(error, register, text, type_value).message) < 250


def test_a_bare_id_is_registered_with_its_type() -> None:
    text = str(uuid.uuid4())
    assert register(text, "trace") == "trace"
    assert validation.validate(text).is_type.holds


def test_a_batch_with_one_bad_row_registers_nothing_and_names_the_row() -> None:
    register("run_77_00c0ffee")
    good = [Registration(f"run_{number}_00c0ffee") for number in range(1_000, 11_000)]
    for bad, error in (
        (Registration("nope"), minting.InvalidID),
        (Registration("run_77_00c0ffee"), minting.AlreadyIssued),
        (Registration(good[3].id), minting.AlreadyIssued),
        (Registration("run_5_00c0ffee", parent="thread_1_00c0ffee"), minting.UnknownParent),
        (Registration("run_5_00c0ffee", context={"a": float("nan")}), minting.InvalidContext),
    ):
        caught = refused(error, register_many, [*good[:9_000], bad, *good[9_001:]])
        assert caught.row == 9_000 and caught.message.startswith("Row 9000: ")
    assert len(register_many(good)) == 10_000
    assert refused(minting.InvalidCount, register_many, [*good, good[0]]).limit == 10_000


def test_a_batch_may_register_a_parent_with_its_children() -> None:
    register_many(
        [Registration("run_1_00c0ffee", parent="thread_1_00c0ffee"), Registration("thread_1_00c0ffee")]
    )
    assert lookups.parents("run_1_00c0ffee") == ["thread_1_00c0ffee"]


# --- release ---


def test_a_released_id_is_a_tombstone() -> None:
    text = generate("run")
    release(text)
    row = lookups.look_up(text)
    assert row.state == "released" and row.released_at is not None
    assert active_total() == 0
    refused(minting.AlreadyReleased, release, text)
    refused(minting.NotIssued, release, "run_9_00c0ffee")
    assert not validation.check_issued(text).holds and validation.check_format(text).holds


def test_an_owner_is_compared_whole() -> None:
    short, long = generate("run", owner="user-123"), generate("run", owner="user-1234")
    nobody = generate("run")
    for wrong in ("user-123", "user-12345", "user-", "USER-1234"):
        refused(minting.NotOwner, release, long, owner=wrong)
    refused(minting.NotOwner, release, nobody, owner="user-123")
    assert minting.release_owner("user-123") == 1
    assert {row.pk for row in lookups.active(type_value="run").rows} == {long, nobody}
    assert lookups.look_up(short).state == "released"
    refused(minting.InvalidOwner, minting.release_owner, "")
    release(long, owner="user-1234")


def test_releasing_a_batch_is_all_or_nothing() -> None:
    texts = generate_many("run", 100, owner="ada")
    for bad, error in (
        ("run_999_00c0ffee", minting.NotIssued),
        (texts[0], minting.AlreadyReleased),
        (generate("run", owner="bo"), minting.NotOwner),
    ):
        assert refused(error, release_many, [*texts, bad], owner="ada").row == 100
    release_many(texts, owner="ada")
    assert lookups.count_active(owner="ada") == 0 and active_total() == 1


# --- three answers ---


def test_the_three_questions_have_three_answers() -> None:
    issued, foreign = generate("run", "user"), "user_run_900_00c0ffee"
    known = validation.validate(issued)
    assert (known.is_format.holds, known.is_type.holds, known.is_issued.holds) == (True, True, True)
    assert known.type == "run" and known.state == "issued"
    other = validation.validate(foreign)
    assert (other.is_format.holds, other.is_type.holds, other.is_issued.holds) == (True, True, False)
    wrong = validation.validate(issued, "user")
    assert (wrong.is_format.holds, wrong.is_type.holds, wrong.is_issued.holds) == (True, False, True)
    assert '"run", not of "user"' in wrong.is_type.says
    assert not validation.check_issued(issued, "user").holds and validation.check_issued(issued, "run").holds
    assert validation.check_type(foreign, "run").holds
    with pytest.raises(minting.UnknownType):
        validation.validate(issued, "runn")


@pytest.mark.parametrize("text", ["not-an-id", "drop-table-users", "", "x" * 500, "\x00", "\ud800", None, 7])
def test_what_is_no_id_gets_three_times_no(text: Any) -> None:
    found = validation.validate(text)
    assert not (found.is_format.holds or found.is_type.holds or found.is_issued.holds)
    assert explorer.explain(text).says


def test_many_are_validated_in_a_bounded_number_of_queries(django_assert_max_num_queries: Any) -> None:
    texts = generate_many("run", 500)
    with django_assert_max_num_queries(3):
        found = validation.validate_many([*texts, "nope"])
    assert [row.is_issued.holds for row in found] == [True] * 500 + [False]


def test_legacy_ids_are_accepted_until_their_sunset_and_counted() -> None:
    today = datetime.now(UTC).date()
    run = IDType.objects.get(value="run")
    old = LegacyFormat.objects.create(
        name="old runs",
        type=run,
        pattern="run-(?P<random>[0-9a-f]{12})",
        example="run-0123456789ab",
        sunset=today,
    )
    text = "run-0123456789ab"
    assert validation.validate(text).is_type.holds and register(text) == "run"
    assert "random" in [part.name for part in explorer.explain(text).reading.parts]
    assert LegacyHits.objects.get().accepted >= 2
    LegacyFormat.objects.filter(pk=old.pk).update(sunset=date(2020, 1, 1))
    late = validation.validate("run-ba9876543210")
    assert not late.is_format.holds and "2020-01-01" in late.is_format.says
    refused(minting.InvalidID, register, "run-ba9876543210")
    assert sum(LegacyHits.objects.values_list("refused", flat=True)) == 1


def test_an_explanation_names_every_part() -> None:
    text = generate("run", "eu-west", {"a": 1}, owner="ada", issuer="token:x")
    found = explorer.explain(text)
    assert [part.name for part in found.reading.parts] == ["prefix", "type", "counter", "random"]
    record = found.reading.issued
    assert record is not None and (record.owner, record.issuer) == ("ada", "token:x")
    assert "active" in found.says
    assert explorer.explain("RUN_1_00C0FFEE").closest == "run_1_00c0ffee"
    assert "run" in str(explorer.explain("runn_1_00c0ffee").closest)
    time = explorer.explain("01935f2e-dc16-7bf0-b592-e5d9fa050e6c").reading.parts[1]
    assert time.name == "time" and "2024" in time.text


# --- lists and figures ---


def test_active_ids_come_in_pages_that_lose_and_repeat_nothing() -> None:
    texts = generate_many("run", 25) + [generate("run") for _ in range(5)]
    for how in ({"type_value": "run"}, {"owner": "ada"}):
        if "owner" in how:
            IssuedID.objects.update(owner="ada")
        seen: list[str] = []
        cursor = None
        while True:
            page = lookups.active(cursor=cursor, limit=7, **how)  # type: ignore[arg-type]
            seen += [row.pk for row in page.rows]
            if (cursor := page.next) is None:
                break
        assert len(seen) == 30 and set(seen) == set(texts)
    for cursor in ("x", "2024-01-01/run_1_00c0ffee", "2024-01-01T00:00:00+00:00"):
        with pytest.raises(minting.InvalidID):
            lookups.active(type_value="run", cursor=cursor)
    with pytest.raises(minting.InvalidID):
        lookups.active()


def test_figures_add_up() -> None:
    texts = generate_many("run", 10, owner="ada")
    generate("user")
    release(texts[0])
    register("run_900_00c0ffee", owner="ada")
    figures = {row.type: (row.issued, row.active, row.released) for row in lookups.stats()}
    assert figures["run"] == (11, 10, 1) and figures["user"] == (1, 1, 0)
    assert lookups.count_active() == 11 and lookups.count_active("run", "ada") == 10


# --- spellings ---


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (" run_1_00c0ffee\n", "run_1_00c0ffee"),
        ("RUN_1_00C0FFEE", "run_1_00c0ffee"),
        ("{6F1C2B8E-4A53-4C0E-9D5F-0B7A3F0F4A11}", "6f1c2b8e-4a53-4c0e-9d5f-0b7a3f0f4a11"),
        ("urn:uuid:6f1c2b8e-4a53-4c0e-9d5f-0b7a3f0f4a11", "6f1c2b8e-4a53-4c0e-9d5f-0b7a3f0f4a11"),
        ("6f1c2b8e4a534c0e9d5f0b7a3f0f4a11", "6f1c2b8e-4a53-4c0e-9d5f-0b7a3f0f4a11"),
        ("01jdz2xqopfqgrb4v5v7x0a3kc", "01JDZ2XQ0PFQGRB4V5V7X0A3KC"),
    ],
)
def test_an_id_has_one_spelling(given: str, wanted: str) -> None:
    assert lookups.normalise(given) == wanted == lookups.normalise(wanted)


@pytest.mark.parametrize("text", ["", "not-an-id", "run_01_00c0ffee", "x" * 300, "\x00", 7, None])
def test_what_no_spelling_makes_an_id_is_refused(text: Any) -> None:
    with pytest.raises(minting.InvalidID):
        lookups.normalise(text)


# --- leases ---


def test_a_lease_is_a_block_that_nobody_else_gets() -> None:
    block = leasing.lease("run", 100, "token:x")
    assert (block.start, block.size, len(block.seed)) == (1, 100, 16)
    assert formats.parse(generate("run")).counter == 101  # type: ignore[union-attr]
    text = f"run_7_{block.randoms()[48:56]}"
    found = validation.validate(text)
    assert found.state == "leased" and found.is_issued.holds
    forged = validation.validate("run_7_" + ("0" * 8 if not text.endswith("0" * 8) else "1" * 8))
    assert forged.state == "unknown" and not forged.is_issued.holds


def test_reported_use_is_recorded_once() -> None:
    block = leasing.lease("run", 10, "token:x")
    thread = generate("thread")
    randoms = block.randoms()
    texts = [f"run_{counter}_{randoms[8 * counter - 8 : 8 * counter]}" for counter in range(1, 11)]
    detail = client.Detail(2, "eu", {"a": 1}, "ada", thread)
    report = client.Report(block.lease, 3, [detail])
    assert minting.record_use([report], "token:x") == 3
    assert minting.record_use([report], "token:x") == 0
    assert set(IssuedID.objects.filter(type__value="run").values_list("id", flat=True)) == {
        texts[0],
        f"eu_{texts[1]}",
        texts[2],
    }
    row = lookups.look_up(f"eu_{texts[1]}")
    assert (row.prefix, row.context, row.owner, row.issuer, row.parent_id) == (
        "eu",
        {"a": 1},
        "ada",
        "token:x",
        thread,
    )
    assert minting.record_use([client.Report(block.lease, 10)], "token:x") == 7
    assert active_total() == 10
    assert minting.health().problems == ()


@pytest.mark.parametrize(
    ("used", "details", "error"),
    [
        (11, [], minting.InvalidReport),
        (-1, [], minting.InvalidReport),
        (2, [client.Detail(13)], minting.InvalidReport),
        (2, [client.Detail(10)], minting.InvalidReport),
        (2, [client.Detail(11, prefix="a_b")], minting.InvalidPrefix),
        (2, [client.Detail(11, owner="x" * 101)], minting.InvalidOwner),
        (2, [client.Detail(11, context={"a": "\x00"})], minting.InvalidContext),
        (2, [client.Detail(11, parent="thread_9_00c0ffee")], minting.UnknownParent),
    ],
)
def test_a_report_that_does_not_fit_changes_nothing(
    used: int, details: list[client.Detail], error: type[minting.MintingError]
) -> None:
    good = leasing.lease("run", 10, "token:x")
    block = leasing.lease("run", 10, "token:x")
    reports = [client.Report(good.lease, 5), client.Report(block.lease, used, details)]
    assert refused(error, minting.record_use, reports, "token:x").row == 1
    assert minting.record_use(reports[:1], "token:x") == 5
    refused(minting.UnknownLease, minting.record_use, [client.Report(block.lease, 1)], "token:y")
    refused(minting.UnknownLease, minting.record_use, [client.Report("x", 1)], "token:x")


# --- health and repair ---


def test_a_counter_behind_is_said_and_repaired() -> None:
    generate_many("run", 50)
    generate("user")
    IDCounter.objects.filter(type__value="run").update(next_counter=20)
    minting.forget_leases()
    (problem,) = minting.health().problems
    assert '"run"' in problem and "20 next" in problem and "50 was issued" in problem
    refused(minting.CounterBehind, generate, "run")
    refused(minting.CounterBehind, generate_many, "run", 5)
    (done,) = minting.repair(1_000)
    assert (done.type, done.before, done.after) == ("run", 20, 1_051)
    assert minting.health().problems == () and minting.repair(1_000) == []
    assert formats.parse(generate("run")).counter == 1_051  # type: ignore[union-attr]


def test_a_repair_starts_above_what_clients_leased() -> None:
    block = leasing.lease("run", 1_000)
    IDCounter.objects.update(next_counter=1)
    assert minting.health().behind[0].highest == block.start + block.size - 1
    assert minting.repair(0)[0].after == 1_001
    assert {row.type: row.after for row in minting.repair(10, everything=True)}["run"] == 1_011


def test_a_type_that_began_after_the_backup_does_not_begin_again() -> None:
    moved = {row.type: (row.before, row.after) for row in minting.repair(1_000, everything=True)}
    assert moved["run"] == (1, 1_001)
    assert formats.parse(generate("run")).counter == 1_001  # type: ignore[union-attr]


def test_issued_ids_whose_counter_is_lost_are_said_and_repaired() -> None:
    generate_many("run", 50)
    IDCounter.objects.all().delete()
    minting.forget_leases()
    refused(minting.CounterBehind, generate, "run")
    assert "1 next, and 50 was issued" in minting.health().problems[0]
    (done,) = minting.repair(0)
    assert (done.type, done.before, done.after) == ("run", 1, 51)
    assert formats.parse(generate("run")).counter == 51  # type: ignore[union-attr]


def test_batches_share_leases_and_no_counter_comes_twice() -> None:
    generate_many("run", 10)
    before = IDCounter.objects.get(type__value="run").next_counter
    assert before == 11  # the first batch leases what it needs
    generate_many("run", 10)
    assert IDCounter.objects.get(type__value="run").next_counter == 91
    with ThreadPoolExecutor(4) as threads:
        batches = list(threads.map(_counters_of_a_batch, [3, 50, 7, 20, 90, 1, 30, 5]))
    for counters in batches:
        assert counters == list(range(counters[0], counters[0] + len(counters)))
    everything = [counter for counters in batches for counter in counters]
    assert len(set(everything)) == len(everything) and min(everything) > 20


def _counters_of_a_batch(size: int) -> list[int]:
    try:
        return [formats.parse(text).counter for text in generate_many("run", size)]  # type: ignore[union-attr]
    finally:
        connection.close()
