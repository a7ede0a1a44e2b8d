"""Commands: counters repaired after a restore, records purged; UUIDs that come back; keys that end."""

import uuid
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from ids import conversion, lookups, minting, purging, tasks
from ids.models import IDCounter, IdempotencyKey, IDType, IssuedID, UUIDAlias

pytestmark = pytest.mark.usefixtures("registry")


def run(*arguments: str, **options: Any) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out, **options)
    return out.getvalue()


def test_counters_are_checked_and_repaired() -> None:
    minting.generate_many("run", 50)
    assert "No counter is behind" in run("repair_counters", "--check")
    IDCounter.objects.update(next_counter=7)
    with pytest.raises(CommandError, match="7 next, and 50 was issued"):
        run("repair_counters", "--check")
    assert "run: next counter 7 -> 151" in run("repair_counters", ahead=100)
    assert minting.generate_many("run", 1)[0].startswith("run_151_")
    assert "nothing was changed" in run("repair_counters")
    assert "run: next counter 159 -> 259" in run("repair_counters", "--all", ahead=100)


def test_records_past_their_retention_go_and_their_counters_stay() -> None:
    old, new = minting.generate_many("run", 10), minting.generate_many("run", 5)
    conversion.to_uuid(old[0])
    minting.release(old[1])
    kept = minting.generate("user")
    IDType.objects.filter(value="run").update(retention_days=30)
    IssuedID.objects.exclude(pk__in=new).update(issued_at=timezone.now() - timedelta(days=31))
    assert "run: 10 records" in run("purge_ids", "--preview") and IssuedID.objects.count() == 16
    tasks.purge_ids()
    assert set(IssuedID.objects.values_list("id", flat=True)) == {*new, kept}
    assert not UUIDAlias.objects.exists()
    figures = {row.type: (row.issued, row.active, row.released) for row in lookups.stats()}
    assert figures["run"] == (15, 5, 10)
    assert minting.generate_many("run", 1)[0].startswith("run_16_")
    assert "run: 0 records" in run("purge_ids")


@pytest.mark.parametrize("without", ["", "hashjoin mergejoin material hashagg sort indexscan"])
def test_a_purge_is_done_in_parts_however_the_database_plans_them(
    monkeypatch: pytest.MonkeyPatch, without: str
) -> None:
    monkeypatch.setattr(purging, "BATCH", 3)
    for _ in range(10):
        minting.generate("run")
    IDType.objects.filter(value="run").update(retention_days=1)
    later = timezone.now() + timedelta(days=2)
    with transaction.atomic(), connection.cursor() as cursor:
        for way in without.split():
            cursor.execute(f"SET LOCAL enable_{way} = off")
        assert [row.records for row in purging.purge(later, most=4)] == [4]
        assert [row.records for row in purging.purge(later)] == [6]


def test_keys_go_a_day_after_they_came() -> None:
    for key, hours in (("old", 25), ("new", 23)):
        made_at = timezone.now() - timedelta(hours=hours)
        IdempotencyKey.objects.create(caller="x", key=key, digest=b"", made_at=made_at)
    tasks.purge_keys()
    assert [row.key for row in IdempotencyKey.objects.all()] == ["new"]
    assert tasks.purge_keys.name in {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}


def test_keys_go_in_parts_too_and_those_that_a_request_holds_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purging, "BATCH", 3)
    IdempotencyKey.objects.bulk_create(
        IdempotencyKey(caller="x", key=str(number), digest=b"", made_at=timezone.now())
        for number in range(10)
    )
    later = timezone.now() + timedelta(hours=purging.KEY_HOURS + 1)
    with CaptureQueriesContext(connection) as queries:
        assert purging.purge_keys(later, most=7) == 7
    assert sum("DELETE" in query["sql"] for query in queries) == 3 and IdempotencyKey.objects.count() == 3
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SELECT FROM ids_idempotencykey WHERE key = '9' FOR UPDATE")
            purging.purge_keys(later)
            assert [row.key for row in IdempotencyKey.objects.all()] == ["9"]
            cursor.execute("ROLLBACK")
    finally:
        other.close()
    purging.purge_keys(later)
    assert not IdempotencyKey.objects.exists()


def test_many_ids_have_uuids_in_a_bounded_number_of_queries() -> None:
    IDType.objects.filter(value="trace").update(format="uuid7")
    runs, trace = minting.generate_many("run", 300), minting.generate("trace")
    first = conversion.to_uuid(runs[7])
    texts = [*runs, trace, runs[0]]
    with CaptureQueriesContext(connection) as queries:
        numbers = conversion.to_uuids(texts)
    assert len(queries) <= 4
    assert numbers[7] == first and numbers[0] == numbers[-1] and str(numbers[300]) == trace
    assert len(set(numbers)) == 301 and conversion.to_uuids(texts) == numbers
    assert conversion.from_uuids(numbers[:300], "run") == runs


def test_of_many_ids_the_first_that_the_registry_lacks_is_named_and_nothing_kept() -> None:
    runs = minting.generate_many("run", 3)
    for wrong in ("run_900_00c0ffee", "nope", "a\0b", "x" * 1000):
        with pytest.raises(minting.NotIssued) as refused:
            conversion.to_uuids([*runs, wrong, "run_901_00c0ffee"])
        assert refused.value.row == 3 and refused.value.message.startswith("Row 3: The registry")
    with pytest.raises(minting.InvalidCount):
        conversion.to_uuids(["run_1_00c0ffee"] * 10_001)
    assert not UUIDAlias.objects.exists()


def test_a_uuid_and_its_id_are_a_pair() -> None:
    number = uuid.uuid4()
    text = conversion.from_uuid(number, "run", owner="ada")
    assert conversion.to_uuid(text) == number and conversion.from_uuid(str(number).upper(), "run") == text
    assert lookups.look_up(text).owner == "ada"
    other = minting.generate("run")
    made = conversion.to_uuid(other)
    assert conversion.to_uuid(other) == made and conversion.from_uuid(made, "run") == other
    with pytest.raises(minting.InvalidID, match='type "run"'):
        conversion.from_uuid(number, "user")
    for wrong in ("nope", "", "x" * 100, 7):
        with pytest.raises(minting.InvalidID):
            conversion.from_uuid(wrong, "run")  # type: ignore[arg-type]
    with pytest.raises(minting.NotIssued):
        conversion.to_uuid("run_900_00c0ffee")
    IDType.objects.filter(value="trace").update(format="uuid7")
    assert str(conversion.to_uuid(trace := minting.generate("trace"))) == trace
