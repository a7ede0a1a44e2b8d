"""What machines ask the site about itself: probes, metrics, and who learns how much."""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from celery import current_app
from django.conf import settings
from django.contrib.auth.models import Permission, User
from django.db import OperationalError
from django.test import Client
from django.utils import timezone
from kombu import Connection
from prometheus_client.parser import text_string_to_metric_families

from audits.models import Audit, Repository, Violation
from audits.tasks import dispatch_due, send_notices
from ids import metrics as id_metrics
from ids.models import Grain, IDCounter, IDType, IssuedID, Kind, TypeUse
from ids.tasks import purge_metrics
from ssot_dash import health, heartbeats, tasks, tokens
from ssot_dash.embedded import processes
from ssot_dash.embedded.supervisor import Program
from ssot_dash.models import Heartbeat

PARTS = ["database", "broker", "beat", "workers", "queues", "audits", "counters"]


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    health.forget()
    yield
    health.forget()


@pytest.fixture
def well(db: None) -> None:
    """All parts are there."""
    heartbeats.scheduler_ticked()
    heartbeats.worker_lives("celery@here", list(current_app.amqp.queues), 2)


@pytest.fixture
def repository(db: None) -> Repository:
    return Repository.objects.create(name="Shop", slug="shop", location="/srv/shop")


def queue_of(name: str) -> str:
    """A queue's name here, where tests that run side by side share a broker."""
    return f"{settings.SSOT_QUEUE_PREFIX}{name}"


def parts(answer: Any) -> dict[str, str]:
    found: dict[str, str] = answer.json()["parts"]
    return found


def not_ok(client: Client) -> list[str]:
    """Which parts are not well."""
    health.forget()
    answer = client.get("/readyz")
    wrong = [name for name, word in parts(answer).items() if word != "ok"]
    assert answer.status_code == (503 if wrong else 200)
    assert answer.json()["status"] == ("not ok" if wrong else "ok")
    return wrong


def bearer(user: User, *scopes: str, **more: Any) -> dict[str, str]:
    _, secret = tokens.create(user, "a program", scopes, **more)
    return {"Authorization": f"Bearer {secret}"}


# --- is it alive ------------------------------------------------------------------------------------------------------


def test_a_process_says_that_it_lives_without_a_database(client: Client, settings: Any) -> None:
    """No ``django_db`` here: a query would fail the test."""
    settings.ALLOWED_HOSTS = ["dash.example"]
    settings.SECURE_SSL_REDIRECT = True
    client.cookies["sessionid"] = "x" * 32
    answer = client.get("/healthz", headers={"host": "10.0.0.7"})
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert client.post("/healthz").status_code == 405


# --- is it ready ------------------------------------------------------------------------------------------------------


def test_a_site_that_can_work_is_ready_and_strangers_learn_nothing_more(client: Client, well: None) -> None:
    answer = client.get("/readyz", headers={"host": "10.0.0.7"})
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "parts": dict.fromkeys(PARTS, "ok")}
    assert "no-store" in answer["Cache-Control"]


def test_whoever_may_read_metrics_learns_why_it_is_not_ready(client: Client, well: None) -> None:
    Heartbeat.objects.filter(kind="worker").delete()
    boss = User.objects.create_superuser("boss")
    told = client.get("/readyz", headers=bearer(boss, "metrics:read"))
    assert told.status_code == 503
    assert told.json()["parts"]["workers"] == {
        "status": "not ok",
        "message": "No worker runs, so nothing is audited: there never was one.",
    }
    for headers in ({}, bearer(boss, "ids:read"), {"Authorization": "Bearer ssot_wrong"}):
        answer = client.get("/readyz", headers=headers)
        assert answer.status_code == 503 and parts(answer)["workers"] == "not ok"


def test_without_a_scheduler_it_is_not_ready(client: Client, well: None) -> None:
    assert not_ok(client) == []
    Heartbeat.objects.filter(name="beat").update(at=timezone.now() - timedelta(seconds=90))
    assert not_ok(client) == ["beat"]
    Heartbeat.objects.filter(name="beat").delete()
    assert not_ok(client) == ["beat"]


def test_a_worker_that_went_silent_does_not_count(client: Client, well: None) -> None:
    Heartbeat.objects.filter(kind="worker").update(at=timezone.now() - timedelta(minutes=2))
    assert not_ok(client) == ["workers", "queues"]
    assert (
        "the last sign of life is 2 min old"
        in {check.name: check.words for check in health.checks()}["workers"]
    )


def test_an_audit_that_nobody_works_on_is_stuck(client: Client, well: None, repository: Repository) -> None:
    now = timezone.now()
    audit = Audit.objects.create(
        repository=repository, state="running", lease_until=now - timedelta(seconds=30)
    )
    assert not_ok(client) == []  # the scheduler takes it back soon
    Audit.objects.update(lease_until=now - timedelta(minutes=5))
    assert not_ok(client) == ["audits"]
    assert f"audit {audit.pk}" in {check.name: check.words for check in health.checks()}["audits"]


def test_a_queue_that_moves_is_not_stuck(client: Client, well: None, repository: Repository) -> None:
    Audit.objects.create(repository=repository)
    Audit.objects.update(queued_at=timezone.now() - timedelta(hours=2))
    assert not_ok(client) == ["audits"]
    other = Repository.objects.create(name="Other", slug="other", location="/srv/other")
    Audit.objects.create(repository=other, state="running", lease_until=timezone.now() + timedelta(minutes=1))
    assert not_ok(client) == []


def test_a_counter_behind_its_ids_is_not_ready(client: Client, well: None) -> None:
    kind = IDType.objects.create(value="parcel", description="x")
    counter = IDCounter.objects.create(type=kind, next_counter=8)
    IssuedID.objects.create(id="parcel_7_00000000", type=kind, counter=7)
    assert not_ok(client) == []
    IssuedID.objects.create(id="parcel_8_00000000", type=kind, counter=8)
    assert not_ok(client) == ["counters"]
    assert "parcel" in {check.name: check.words for check in health.checks()}["counters"]
    IDCounter.objects.filter(pk=counter.pk).update(next_counter=9)
    assert not_ok(client) == []


def test_without_a_broker_it_is_not_ready(
    client: Client, well: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(current_app, "connection_for_write", lambda: Connection("redis://127.0.0.1:1/0"))
    assert not_ok(client) == ["broker"]


def test_without_a_database_it_says_so_and_answers(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> Any:
        raise OperationalError('connection failed: "secret address"\nDETAIL: more')

    monkeypatch.setattr(health, "_database", away)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert parts(answer) == {**dict.fromkeys(PARTS, "not ok"), "broker": "ok"}
    assert "secret" not in answer.text


def test_many_callers_cost_one_look(client: Client, well: None, django_assert_num_queries: Any) -> None:
    # Once for all: database, beat, workers, queues, two for audits, two for counters.
    with django_assert_num_queries(8):
        for _ in range(5):
            client.get("/readyz")


# --- signs of life ----------------------------------------------------------------------------------------------------


@pytest.mark.celery
def test_a_worker_gives_signs_of_life_until_it_ends(start_worker: Callable[..., Program]) -> None:
    worker = start_worker()
    workers = Heartbeat.objects.filter(kind="worker")
    assert processes.wait_until(lambda: workers.count() == 1, 300)
    assert workers.get().name.startswith("worker worker-1@")
    assert (workers.get().queues, workers.get().processes) == (sorted(current_app.amqp.queues), 1)
    assert health.live_workers() == 1
    processes.stop(worker.process, [(15, 20.0)])
    assert processes.wait_until(lambda: not workers.exists(), 300), worker.log.read_text()


@pytest.mark.celery
def test_a_tick_that_was_sent_is_written_down_and_keeps_when_it_began(transactional_db: None) -> None:
    assert dispatch_due.name == tasks.TICK
    assert health.age_of_beat() is None
    dispatch_due.delay()
    first = Heartbeat.objects.get(name="beat")
    time.sleep(0.01)
    dispatch_due.delay()
    second = Heartbeat.objects.get(name="beat")
    assert second.at > first.at and second.started_at == first.started_at
    current_app.control.purge()


def test_the_scheduler_forgets_workers_that_never_came_back(well: None) -> None:
    Heartbeat.objects.filter(kind="worker").update(at=timezone.now() - timedelta(days=2))
    heartbeats.scheduler_ticked()
    assert list(Heartbeat.objects.values_list("name", flat=True)) == ["beat"]


# --- metrics ----------------------------------------------------------------------------------------------------------


def samples(text: str) -> dict[tuple[str, ...], float]:
    """(name, label values in the order of the labels' names) to value."""
    return {
        (sample.name, *(value for _name, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def boss(client: Client, db: None) -> User:
    user = User.objects.create_superuser("boss")
    client.force_login(user)
    return user


def test_metrics_are_those_of_all_processes(
    client: Client, boss: User, well: None, repository: Repository
) -> None:
    kind = IDType.objects.create(value="parcel", description="x")
    IDCounter.objects.create(type=kind, next_counter=8, issued=7, released=2)
    for _process in range(2):
        id_metrics.forget()
        id_metrics.count(Kind.GENERATED, kind.pk, seconds=0.0003)
        id_metrics.count(Kind.GENERATED, kind.pk, seconds=9)
        id_metrics.count(Kind.REJECTED, kind.pk, reason="retired-type")
        id_metrics.count(Kind.REJECTED, None, reason="unknown-type")
        id_metrics.flush()
    Audit.objects.create(repository=repository, state="failed")
    audit = Audit.objects.create(repository=repository, state="succeeded")
    Violation.objects.create(
        repository=repository,
        fingerprint="f",
        rule="missing-member",
        subject="a.B.C",
        path="a.py",
        zone="prod",
        severity="P0",
        line=1,
        message="x",
        latest_audit=audit,
    )
    answer = client.get("/metrics")
    assert answer["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    found = samples(answer.text)
    assert found["ssot_ids_generated_total", "parcel"] == 4
    assert found["ssot_ids_rejected_total", "retired-type", "parcel"] == 2
    assert found["ssot_ids_rejected_total", "unknown-type", ""] == 2
    assert found["ssot_ids_generate_seconds_bucket", "0.00025", "parcel"] == 0
    assert found["ssot_ids_generate_seconds_bucket", "0.0005", "parcel"] == 2
    assert found["ssot_ids_generate_seconds_bucket", "1.0", "parcel"] == 2
    assert found["ssot_ids_generate_seconds_bucket", "+Inf", "parcel"] == 4
    assert found["ssot_ids_generate_seconds_count", "parcel"] == 4
    assert found["ssot_ids_generate_seconds_sum", "parcel"] == pytest.approx(18.0006)
    assert (found["ssot_ids_issued", "parcel"], found["ssot_ids_active", "parcel"]) == (7, 5)
    assert found["ssot_audits", "failed"] == found["ssot_audits", "succeeded"] == 1
    assert found["ssot_audits", "running"] == 0
    assert found["ssot_violations_open", "shop", "missing-member", "prod"] == 1
    assert {part: found["ssot_ready", part] for part in PARTS} == dict.fromkeys(PARTS, 1)
    assert found["ssot_queue_length", str(current_app.conf.task_default_queue)] >= 0
    assert found["ssot_workers",] == 1 and found["ssot_beat_age_seconds",] < 60


def test_counters_never_fall_when_old_sums_are_purged(client: Client, boss: User) -> None:
    kind = IDType.objects.create(value="parcel", description="x")
    id_metrics.count(Kind.RELEASED, kind.pk, 5)
    id_metrics.flush()
    TypeUse.objects.exclude(grain=Grain.EVER).update(starts_at=timezone.now() - timedelta(days=5_000))
    id_metrics.purge(timezone.now())
    assert TypeUse.objects.count() == 1
    assert samples(client.get("/metrics").text)["ssot_ids_released_total", "parcel"] == 5


def test_messages_that_wait_are_counted(client: Client, boss: User) -> None:
    current_app.control.purge()
    purge_metrics.delay()
    purge_metrics.delay()
    send_notices.delay("none")
    empty = dict.fromkeys(current_app.amqp.queues, 0)
    waiting = {current_app.conf.task_default_queue: 2, queue_of("notices"): 1}
    assert health.queue_lengths() == {**empty, **waiting}
    assert samples(client.get("/metrics").text)["ssot_queue_length", queue_of("notices")] == 1
    told = client.get("/readyz", headers=bearer(boss, "metrics:read"))
    assert f"{queue_of('notices')} 1" in told.json()["parts"]["queues"]["message"]
    current_app.control.purge()
    assert health.queue_lengths() == empty


def test_a_queue_without_a_listener_is_noticed_before_a_message_waits(client: Client, well: None) -> None:
    assert not_ok(client) == []
    others = [name for name in current_app.amqp.queues if name != queue_of("notices")]
    heartbeats.worker_lives("celery@here", others, 2)
    assert not_ok(client) == ["queues"]
    words = {check.name: check.words for check in health.checks()}["queues"]
    assert words.startswith(
        f"No worker listens to the queue {queue_of('notices')}, so what waits there stays."
    )
    heartbeats.worker_lives("attendant@here", [queue_of("notices")], 1)
    assert not_ok(client) == []


def test_work_of_each_kind_waits_in_a_queue_of_its_own(client: Client) -> None:
    """So that a long audit is in nobody's way but other audits'."""
    router = current_app.amqp.router
    of = {name: router.route({}, name)["queue"].name for name in current_app.tasks}
    assert of["audits.tasks.run_audit"] == queue_of("audits")
    assert of["audits.tasks.execute_tests"] == of["audits.tasks.read_test_run"] == queue_of("tests")
    assert of["audits.tasks.send_notices"] == queue_of("notices")
    assert of["audits.tasks.dispatch_due"] == of[purge_metrics.name] == queue_of("default")


def test_metrics_without_a_broker_leave_the_queue_out(
    client: Client, boss: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("connection_for_write", "connection_for_read"):
        monkeypatch.setattr(current_app, name, lambda: Connection("redis://127.0.0.1:1/0"))
    found = samples(client.get("/metrics").text)
    assert found["ssot_ready", "broker"] == 0
    assert not any(name[0] == "ssot_queue_length" for name in found)


def test_metrics_take_as_many_queries_however_much_there_is(
    client: Client, boss: User, well: None, django_assert_num_queries: Any
) -> None:
    def ask() -> None:
        health.forget()
        client.get("/metrics")

    with django_assert_num_queries(19):
        ask()
    kinds = IDType.objects.bulk_create(IDType(value=f"kind{n}", description="x") for n in range(50))
    for kind in kinds:
        id_metrics.count(Kind.GENERATED, kind.pk)
    id_metrics.flush()
    with django_assert_num_queries(19):
        ask()


# --- who may read metrics ---------------------------------------------------------------------------------------------


def test_a_token_of_the_scope_reads_metrics_and_another_does_not(
    client: Client, repository: Repository
) -> None:
    boss = User.objects.create_superuser("boss")
    assert client.get("/metrics", headers=bearer(boss, "metrics:read")).status_code == 200
    assert client.post("/metrics", headers=bearer(boss, "metrics:read")).status_code == 405
    revoked, secret = tokens.create(boss, "old", ["metrics:read"])
    tokens.revoke(revoked)
    plain = User.objects.create_user("plain")
    for headers in (
        bearer(boss, "audits:read", "ids:read"),
        bearer(boss, "metrics:read", repository=repository),
        bearer(plain, "metrics:read"),
        {"Authorization": f"Bearer {secret}"},
        {"Authorization": "Bearer nothing"},
        {"Authorization": "Basic Ym9zczpib3Nz"},
        {"Authorization": ""},
    ):
        answer = client.get("/metrics", headers=headers)
        assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Bearer"), headers
        assert "ssot_ids" not in answer.text


def test_whoever_may_see_operations_reads_metrics_signed_in(client: Client, db: None) -> None:
    reader = User.objects.create_user("reader")
    client.force_login(reader)
    assert client.get("/metrics").status_code == 403
    reader.user_permissions.add(Permission.objects.get(codename="view_operations"))
    assert client.get("/metrics").status_code == 200


@pytest.mark.django_db
def test_a_probe_that_is_told_of_an_ill_part_is_no_error_in_the_log(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    assert client.get("/readyz").status_code == 503
    assert [record.getMessage() for record in caplog.records if record.name == "django.request"] == []
