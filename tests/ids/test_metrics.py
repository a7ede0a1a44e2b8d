"""Counting what happens to IDs: what is counted, what adds up, what may be lost, and how much room it takes."""

import json
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError, connection, connections, transaction
from django.utils import timezone

from ids import leasing, metrics, minting
from ids.models import LATENCY_BOUNDS, NO_TYPE, Grain, IDCounter, IDType, Kind, TypeUse
from ids.tasks import purge_metrics


def ever(**only: Any) -> dict[tuple[int, str, str], int]:
    """(type, kind, reason) to how often, since ever."""
    rows = TypeUse.objects.filter(grain=Grain.EVER, **only)
    return {(row.type_id, row.kind, row.reason): row.count for row in rows}


# --- the sums ---------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_an_event_counts_in_its_minute_hour_day_and_since_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
    monkeypatch.setattr("time.time", moment.timestamp)
    metrics.count(Kind.GENERATED, 7, 3)
    assert metrics.flush() == 4
    assert {row.grain: (row.starts_at, row.count) for row in TypeUse.objects.all()} == {
        60: (moment.replace(second=0), 3),
        3600: (moment.replace(minute=0, second=0), 3),
        86400: (moment.replace(hour=0, minute=0, second=0), 3),
        0: (datetime(1970, 1, 1, tzinfo=UTC), 3),
    }


@pytest.mark.django_db
def test_flushes_add_up_and_counts_are_written_once() -> None:
    metrics.count(Kind.GENERATED, 7, seconds=0.0003)
    metrics.flush()
    metrics.count(Kind.GENERATED, 7)
    metrics.flush()
    metrics.count(Kind.GENERATED, 7, 10, seconds=5)
    metrics.count(Kind.GENERATED, 7, seconds=0.0005)
    metrics.flush()
    assert metrics.flush() == 0
    row = TypeUse.objects.get(grain=Grain.EVER)
    assert row.count == 13
    assert row.seconds == pytest.approx(5.0008)
    assert row.buckets is not None and len(row.buckets) == len(LATENCY_BOUNDS) + 1
    # a bucket's upper bound belongs to it
    assert row.buckets[LATENCY_BOUNDS.index(0.0005)] == 2
    assert row.buckets[-1] == 1 and sum(row.buckets) == 3


@pytest.mark.django_db
def test_minutes_are_told_apart_when_they_are_written_later(monkeypatch: pytest.MonkeyPatch) -> None:
    for minute in (1_000, 1_001, 1_001):
        monkeypatch.setattr("time.time", lambda minute=minute: minute * 60 + 59.9)
        metrics.count(Kind.LOOKED_UP, 7)
    metrics.flush()
    minutes = TypeUse.objects.filter(grain=Grain.MINUTE).order_by("starts_at")
    assert [row.count for row in minutes] == [1, 2]
    assert TypeUse.objects.get(grain=Grain.HOUR).count == 3


@pytest.mark.django_db(transaction=True)
def test_processes_that_write_the_same_rows_add_up_and_do_not_block_one_another() -> None:
    def work(order: int) -> None:
        buffer = metrics._Buffer()
        for _ in range(20):
            for type_id in range(1, 20)[::order]:
                buffer.add(metrics.Key(1, type_id, Kind.GENERATED, ""), 1, None)
            rows = metrics._by_grain(buffer.take())
            with transaction.atomic(), connection.cursor() as cursor:
                rowset = [metrics._as_json(*row) for row in rows.items()]
                cursor.execute(metrics._UPSERT, [json.dumps(rowset)])
        connections.close_all()

    threads = [threading.Thread(target=work, args=[order]) for order in (1, -1, 1, -1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(ever().values()) == {80}
    assert len(ever()) == 19


@pytest.mark.django_db
def test_counts_wait_while_the_database_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    metrics.count(Kind.GENERATED, 7)
    with monkeypatch.context() as broken:
        broken.setattr(metrics, "_UPSERT", "SELECT length(%s) / 0")
        with pytest.raises(DatabaseError):
            metrics.flush()
    metrics.count(Kind.GENERATED, 7)
    metrics.flush()
    assert ever() == {(7, "generated", ""): 2}


@pytest.mark.django_db
def test_a_long_outage_does_not_fill_the_memory(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(metrics, "MOST_KEYS", 3)
    for minute in range(5):
        monkeypatch.setattr("time.time", lambda minute=minute: minute * 60.0)
        metrics.count(Kind.GENERATED, 7)
    with monkeypatch.context() as broken:
        broken.setattr(metrics, "_UPSERT", "SELECT length(%s) / 0")
        with pytest.raises(DatabaseError):
            metrics.flush()
    metrics.flush()
    assert ever() == {(7, "generated", ""): 3}
    assert "2 sums of use were dropped" in caplog.text


# --- what minting counts ----------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_generating_is_counted_and_timed_and_refusals_by_reason(registry: type[IDType]) -> None:
    registry.objects.filter(value="thread").update(status="deprecated")
    registry.objects.filter(value="session").update(status="retired")
    run, thread, session = (registry.objects.get(value=value) for value in ("run", "thread", "session"))
    minting.generate("run")
    minting.generate("run")
    with pytest.warns(minting.DeprecatedTypeWarning):
        minting.generate("thread")
    for arguments in (("session", None), ("run", "a_b"), ("nothing", None), ("also nothing", None)):
        with pytest.raises(minting.MintingError):
            minting.generate(*arguments)
    metrics.flush()
    assert ever() == {
        (run.pk, "generated", ""): 2,
        (run.pk, "rejected", "invalid-prefix"): 1,
        (thread.pk, "generated", ""): 1,
        (thread.pk, "deprecated", ""): 1,
        (session.pk, "rejected", "retired-type"): 1,
        (NO_TYPE, "rejected", "unknown-type"): 2,
    }
    timed = TypeUse.objects.get(grain=Grain.EVER, type=run, kind=Kind.GENERATED)
    assert sum(timed.buckets or []) == 2 and timed.seconds > 0


@pytest.mark.django_db(transaction=True)
def test_a_refused_lease_counts_as_rejected_and_a_granted_one_not_at_all(registry: type[IDType]) -> None:
    registry.objects.filter(value="session").update(status="retired")
    registry.objects.filter(value="thread").update(format="ulid")
    run, thread, session, user = (
        registry.objects.get(value=value) for value in ("run", "thread", "session", "user")
    )
    minting.generate_many("user", 50)
    IDCounter.objects.filter(type=user).update(next_counter=20)
    assert leasing.lease("run", 10).size == 10
    for type_value, size in (("run", 0), ("thread", 5), ("session", 5), ("nothing", 5), ("user", 5)):
        with pytest.raises(minting.MintingError):
            leasing.lease(type_value, size)
    metrics.flush()
    assert ever(kind=Kind.REJECTED) == {
        (run.pk, "rejected", "invalid-count"): 1,
        (thread.pk, "rejected", "not-counted"): 1,
        (session.pk, "rejected", "retired-type"): 1,
        (NO_TYPE, "rejected", "unknown-type"): 1,
        (user.pk, "rejected", "counter-behind"): 1,
    }
    assert ever(type=run) == {(run.pk, "rejected", "invalid-count"): 1}


@pytest.mark.django_db(transaction=True)
def test_what_a_rollback_takes_back_was_handed_out_all_the_same(registry: type[IDType]) -> None:
    with transaction.atomic():
        minting.generate("run")
        transaction.set_rollback(True)
    metrics.flush()
    assert set(ever(kind=Kind.GENERATED).values()) == {1}
    assert registry.objects.with_figures().get(value="run").issued_total == 0


# --- processes --------------------------------------------------------------------------------------------------------


def run_process(environment: dict[str, str], *arguments: str) -> None:
    environment = {**environment, "SSOT_METRICS_FLUSH_SECONDS": "1"}
    command = [sys.executable, "-m", "tests.ids.counting_process", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert "Traceback" not in done.stderr, done.stderr


def test_a_fork_counts_nothing_twice_and_a_process_that_ends_loses_nothing(
    registry: type[IDType], child_environment: dict[str, str]
) -> None:
    run_process(child_environment, "25")
    assert set(ever(kind=Kind.GENERATED).values()) == {50}
    assert registry.objects.with_figures().get(value="run").issued_total == 50


def test_a_process_that_is_killed_loses_counts_but_no_total(
    registry: type[IDType], child_environment: dict[str, str]
) -> None:
    run_process(child_environment, "25", "killed")
    assert registry.objects.with_figures().get(value="run").issued_total == 50
    assert sum(ever(kind=Kind.GENERATED).values()) <= 50


# --- room -------------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_purge_takes_what_is_old_of_each_grain_and_leaves_the_sums_since_ever() -> None:
    now = timezone.now()
    for grain, days in metrics.kept_days().items():
        for age in (days - 0.5, days + 0.5):
            TypeUse.objects.create(
                type_id=7, grain=grain, starts_at=now - timedelta(days=age), kind=Kind.GENERATED, count=1
            )
    TypeUse.objects.create(
        type_id=7, grain=Grain.EVER, starts_at="1970-01-01T00:00Z", kind=Kind.GENERATED, count=6
    )
    purge_metrics()
    assert sorted(TypeUse.objects.values_list("grain", flat=True)) == [0, 60, 3600, 86400]
    assert ever() == {(7, "generated", ""): 6}


@pytest.mark.django_db
def test_a_purge_goes_on_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "PURGE_BATCH", 2)
    TypeUse.objects.bulk_create(
        TypeUse(
            type_id=7, grain=60, starts_at=datetime(2020, 1, 1, 0, n, tzinfo=UTC), kind="generated", count=1
        )
        for n in range(5)
    )
    assert metrics.purge(timezone.now()) == 5
    assert not TypeUse.objects.exists()


YEAR = """
INSERT INTO ids_typeuse (type_id, grain, starts_at, kind, reason, count, seconds, buckets)
SELECT type_id, grain, starts_at, kind, '', 1000, 1.5,
       CASE WHEN kind = 'generated' THEN array_fill(100::bigint, ARRAY[15]) END
  FROM generate_series(1, 5) AS type_id,
       unnest(ARRAY['generated', 'validated', 'released']) AS kind,
       LATERAL (SELECT 60 AS grain, moment AS starts_at
                  FROM generate_series(now() - interval '26 hours', now(), interval '1 minute') AS moment
          UNION SELECT 3600, moment FROM generate_series(now() - interval '32 days', now(), interval '1 hour') AS moment
          UNION SELECT 86400, moment FROM generate_series(now() - interval '1 year', now(), interval '1 day') AS moment
          UNION SELECT 0, 'epoch') AS slot
"""
STATED_MEGABYTES = 170
"""In docs/metrics.md: a year at 100 types, each used in three ways in every minute of it."""


@pytest.mark.django_db(transaction=True)
def test_a_year_at_a_hundred_types_takes_the_room_that_is_stated() -> None:
    """Five types stand for a hundred: rows and room grow with the types and with nothing else."""
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE ids_typeuse")  # the room of rows that other tests deleted
        cursor.execute(YEAR)
        metrics.purge(timezone.now())
        rows = TypeUse.objects.count()
        cursor.execute("SELECT pg_total_relation_size('ids_typeuse')")
        (size,) = cursor.fetchone()
    assert rows <= 5 * 3 * (24 * 60 + 31 * 24 + 366 + 1 + 3)
    print(f"{rows * 20:,} rows, {size * 20 / 1e6:.0f} MB")
    assert size * 20 < STATED_MEGABYTES * 1_000_000
    stated = (Path(__file__).parents[2] / "docs/metrics.md").read_text()
    assert f"{STATED_MEGABYTES} MB" in stated
