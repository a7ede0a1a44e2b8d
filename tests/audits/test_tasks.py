"""Messages are only a doorbell: nothing is lost without a broker, nor with a real worker that is killed."""

import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import psutil
import pytest
import redis
from django.db import connection, transaction
from django.utils import timezone

from audits import auditing, tasks, working
from audits.models import (
    IN_FLIGHT,
    Audit,
    BlobFacts,
    Commit,
    Covers,
    Event,
    History,
    Lifespan,
    RememberedResult,
    Repository,
    Schedule,
    State,
    Violation,
)
from ssot_dash import health
from ssot_dash.celery import app
from ssot_dash.embedded import binaries
from ssot_dash.embedded.supervisor import Program
from ssot_dash.embedded.valkey import Valkey
from tests.audits.conftest import AddRepository, Drifting
from tests.samples import commit_tree, init_repository

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).parents[2]
# Of the large repository, and of all versions in the long history: so many that an audit can be caught in its middle.
FILES = 300


@pytest.fixture(autouse=True)
def empty_queue() -> Iterator[None]:
    app.control.purge()
    yield
    app.control.purge()


def waiting_messages() -> int:
    lengths = health.queue_lengths()
    assert lengths is not None
    return sum(lengths.values())


def until(condition: Callable[[], Any], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


# --- The doorbell ----------------------------------------------------------------------------------------------------


def test_a_message_is_sent_once_the_row_is_committed(add_repository: AddRepository) -> None:
    with transaction.atomic():
        audit, _ = auditing.request(add_repository("/x"))
        tasks.dispatch_after_commit(audit)
        assert waiting_messages() == 0
    assert waiting_messages() == 1
    audit.refresh_from_db()
    assert audit.dispatched_at is not None


def test_a_request_that_is_rolled_back_rings_no_bell(add_repository: AddRepository) -> None:
    with transaction.atomic():
        audit, _ = auditing.request(add_repository("/x"))
        tasks.dispatch_after_commit(audit)
        transaction.set_rollback(True)
    assert waiting_messages() == 0


def test_the_beat_rings_for_what_is_due_or_was_lost_and_only_once(add_repository: AddRepository) -> None:
    add_repository("/due", schedule=Schedule.DAILY, next_audit_at=timezone.now() - timedelta(hours=1))
    Audit.objects.create(
        repository=add_repository("/lost"),
        state=State.RUNNING,
        attempts=1,
        lease_until=timezone.now() - timedelta(seconds=1),
    )
    Audit.objects.create(
        repository=add_repository("/forgotten"), dispatched_at=timezone.now() - timedelta(seconds=61)
    )
    Audit.objects.create(repository=add_repository("/waiting"), dispatched_at=timezone.now())
    tasks.dispatch_due()
    assert waiting_messages() == 3
    tasks.dispatch_due()
    assert waiting_messages() == 3


@pytest.fixture
def full_broker(tmp_path: Path) -> Iterator[str]:
    """The address of a Valkey that has no room for another message."""
    server = Valkey(tmp_path, binaries.find())
    server.launch()
    server.wait_ready()
    with redis.Redis(unix_socket_path=unquote(server.url.partition("://")[2])) as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "1")
    yield server.url
    server.stop()


@pytest.mark.parametrize("trouble", ["no broker", "a full broker"])
def test_a_click_is_answered_without_a_broker_and_the_beat_rings_later(
    add_repository: AddRepository, child_environment: dict[str, str], full_broker: str, trouble: str
) -> None:
    repository = add_repository("/x")
    click = f"""
        import django
        django.setup()
        from kombu.utils import functional
        pauses = []
        functional.sleep = pauses.append
        from audits import auditing, tasks
        from audits.models import Repository
        audit, created = auditing.request(Repository.objects.get(pk={repository.pk}))
        tasks.dispatch_after_commit(audit)
        print("answered", created, "soon" if sum(pauses) < 1 else pauses)
        tasks.dispatch_due()
    """
    broker = full_broker if trouble == "a full broker" else "redis://127.0.0.1:1/0"
    answer = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(click)],
        env=child_environment | {"BROKER_URL": broker},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    )
    assert answer.stdout == "answered True soon\n"
    audit = Audit.objects.get()
    assert (audit.state, audit.dispatched_at) == (State.QUEUED, None)
    tasks.dispatch_due()
    assert waiting_messages() == 1


def test_a_step_of_the_beat_that_fails_does_not_stop_the_others(
    add_repository: AddRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reap() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT nothing FROM nowhere")

    monkeypatch.setattr(auditing, "reap", reap)
    add_repository("/due", schedule=Schedule.DAILY)
    tasks.dispatch_due()
    assert waiting_messages() == 1


@pytest.mark.parametrize("error", [MemoryError(), RecursionError()])
def test_what_celery_would_stop_its_worker_for_never_leaves_the_task(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def run(*_: object) -> None:
        raise error

    monkeypatch.setattr(working, "run_next", run)
    tasks.run_audit(1)


# --- A real worker ---------------------------------------------------------------------------------------------------


StartWorker = Callable[[], psutil.Process]


@pytest.fixture
def run_worker(start_worker: Callable[..., Program]) -> StartWorker:
    """Starts workers, and answers their main process."""

    def start() -> psutil.Process:
        worker = start_worker(concurrency=2)
        assert worker.process is not None
        return psutil.Process(worker.process.pid)

    return start


def parsers(worker: psutil.Process) -> list[psutil.Process]:
    return [child for child in worker.children(recursive=True) if "parse_child" in command_line(child)]


def command_line(process: psutil.Process) -> str:
    """Empty for one that has ended meanwhile: workers fork and lose children all the time."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:  # a zombie too
        return ""


def pool(worker: psutil.Process) -> list[psutil.Process]:
    return worker.children()


def kill(*processes: psutil.Process) -> None:
    """As the kernel or an operator in a hurry does it. Returns when they are gone."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    until(lambda: all(is_gone(process) for process in processes))


def is_gone(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository whose audit takes a while: many files, of which each tenth names a missing member."""
    path = init_repository(tmp_path_factory.mktemp("large") / "large")
    enum = "from enum import Enum\n\n\nclass IDType(Enum):\n    USER = 'user'\n"
    files = {"app/__init__.py": "", "app/ids.py": enum}
    for number in range(FILES):
        body = "".join(
            f"def f{n}(a, b={number}):\n    return [a + b * {n}, {{a: b}}]\n\n\n" for n in range(900)
        )
        use = "from app.ids import IDType\n\nRUN = IDType.RUN\n" if number % 10 == 0 else ""
        files[f"app/m{number}.py"] = use + body
    commit_tree(path, files, "Much code", 1_700_000_000, [])
    return path


@contextmanager
def beat(seconds: float = 0.3) -> Iterator[None]:
    """Calls the dispatcher as Celery's beat does, only more often."""
    ended = threading.Event()

    def tick() -> None:
        try:
            while not ended.wait(seconds):
                tasks.dispatch_due()
        finally:
            connection.close()

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def result(repository: Repository) -> tuple[object, ...]:
    """All that an audit leaves behind, without ids and times."""
    repository.refresh_from_db()
    audit = repository.current_audit
    assert audit is not None
    return (
        (
            audit.commit_sha,
            audit.counts,
            audit.findings_count,
            audit.problems_count,
            audit.files_read,
            audit.files_parsed,
        ),
        set(audit.sightings.values_list("violation__fingerprint", "line", "column")),
        set(
            repository.violations.values_list(
                "fingerprint", "subject", "path", "line", "message", "is_open", "zone"
            )
        ),
        sorted(
            Lifespan.objects.filter(violation__repository=repository).values_list(
                "violation__fingerprint", "introduced_in__commit_sha", "gone_in__commit_sha"
            )
        ),
    )


@pytest.fixture(scope="session")
def undisturbed_results() -> dict[Path, tuple[object, ...]]:
    """By repository, as it is asked for: an audit of so many files is not repeated for each test."""
    return {}


@pytest.fixture
def undisturbed(
    large: Path, add_repository: AddRepository, undisturbed_results: dict[Path, tuple[object, ...]]
) -> tuple[object, ...]:
    """What an audit of the large repository leaves behind when nobody is killed."""
    if large not in undisturbed_results:
        repository = add_repository(large)
        working.run(auditing.request(repository)[0].pk)
        undisturbed_results[large] = result(repository)
        forget_facts()
    return undisturbed_results[large]


def start(repository: Repository, covers: str = Covers.COMMIT) -> Audit:
    audit, created = auditing.request(repository, covers=covers)
    assert created
    tasks.dispatch_after_commit(audit)
    return audit


def lease_runs_out(audit: Audit) -> None:
    """As it does by waiting, once nobody extends it any more."""
    Audit.objects.filter(pk=audit.pk).update(lease_until=timezone.now() - timedelta(seconds=1))


def ended(audit: Audit) -> bool:
    audit.refresh_from_db()
    return not audit.in_flight


def freeze(*workers: psutil.Process) -> psutil.Process | None:
    """Wait until a worker has parsed some files, and hold its parsers there. Answers the worker; None when so much was
    done by then that nothing may be left to parse."""
    until(BlobFacts.objects.exists)
    found = {worker: parsers(worker) for worker in workers}
    for parser in chain(*found.values()):
        with suppress(psutil.NoSuchProcess):
            parser.suspend()
    busy = next((worker for worker in workers if found[worker]), None)
    if busy is not None and BlobFacts.objects.count() <= FILES / 2:
        assert Audit.objects.filter(state=State.RUNNING).exists()
        return busy
    for parser in chain(*found.values()):
        with suppress(psutil.NoSuchProcess):
            parser.resume()
    return None


def begin(
    repository: Callable[[], Repository], *workers: psutil.Process, covers: str = Covers.COMMIT
) -> tuple[Audit, psutil.Process]:
    """An audit of a new repository in its middle, and the worker whose parsers are held. On a busy machine this process
    may come too late for that: another one is begun then."""
    while True:
        audit = start(repository(), covers)
        if (busy := freeze(*workers)) is not None:
            return audit, busy
        until(lambda: ended(audit))  # noqa: B023 (asked at once)
        forget_facts()


def forget_facts() -> None:
    BlobFacts.objects.all().delete()
    RememberedResult.objects.all().delete()


@pytest.mark.celery
@pytest.mark.parametrize("victim", ["worker", "its pool", "its parsers"])
def test_an_audit_whose_worker_is_killed_ends_with_the_same_result(
    run_worker: StartWorker,
    large: Path,
    undisturbed: tuple[object, ...],
    add_repository: AddRepository,
    victim: str,
) -> None:
    worker = run_worker()
    audit, _ = begin(lambda: add_repository(large), worker)
    begun = parsers(worker)
    if victim == "worker":
        kill(worker, *pool(worker))
        run_worker()
    elif victim == "its pool":
        kill(*pool(worker))
    kill(*begun)
    if victim != "its parsers":
        lease_runs_out(audit)
    with beat():
        until(lambda: ended(audit))
    assert (audit.state, audit.error_message) == (State.SUCCEEDED, "")
    assert audit.attempts == (1 if victim == "its parsers" else 2)
    assert result(audit.repository) == undisturbed


@pytest.fixture(scope="session")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository whose history takes a while: four commits with other versions of many files each, and a merge."""
    path = init_repository(tmp_path_factory.mktemp("long") / "long")
    enum = "from enum import Enum\n\n\nclass IDType(Enum):\n    USER = 'user'\n"
    files = {"app/__init__.py": "", "app/ids.py": enum}

    def written(names: range, salt: int) -> dict[str, str]:
        body = "".join(
            f"def f{n}(a, b={salt}):\n    return [a + b * {n}, {{a: b}}]\n\n\n" for n in range(700)
        )
        use = "from app.ids import IDType\n\nRUN = IDType.RUN\n"
        return {f"app/m{n}.py": f"N = {n}\n" + (use if n % 10 == salt else "") + body for n in names}

    part = FILES // 4
    one = commit_tree(path, files := files | written(range(part), 1), "one", 1_700_000_000, [])
    two = commit_tree(
        path, files := files | written(range(part // 2, part * 3 // 2), 2), "two", 1_700_000_100, [one]
    )
    side = commit_tree(path, files | written(range(part), 3), "side", 1_700_000_200, [one], branch="side")
    three = commit_tree(path, files := files | written(range(part), 4), "three", 1_700_000_300, [two])
    files["app/ids.py"] = enum + "    RUN = 'run'\n"
    commit_tree(path, files, "merge", 1_700_000_400, [three, side])
    return path


def history_of(repository: Repository) -> tuple[object, ...]:
    """All that the audit of a history leaves behind, without ids and times."""
    events = Event.objects.filter(commit__repository=repository).values_list(
        "violation__fingerprint", "commit__sha", "kind"
    )
    commits = Commit.objects.filter(repository=repository).order_by("position")
    names = ("sha", "position", "on_main", "introduced", "gone", "counts", "unseen", "parents")
    return (
        sorted(events),
        list(commits.values_list(*names)),
        History.objects.get(repository=repository).head_sha,
    )


@pytest.mark.celery
def test_a_history_whose_worker_is_killed_goes_on_where_it_stopped(
    run_worker: StartWorker, long: Path, add_repository: AddRepository
) -> None:
    calm = add_repository(long)
    working.run(auditing.request(calm, covers=Covers.HISTORY)[0].pk)
    expected = history_of(calm)
    forget_facts()
    worker = run_worker()
    audit, _ = begin(lambda: add_repository(long), worker, covers=Covers.HISTORY)
    repository = audit.repository
    kept = set(BlobFacts.objects.values_list("blob_sha", flat=True))
    kill(*parsers(worker), worker, *pool(worker))
    with connection.cursor() as cursor:
        cursor.execute("SELECT blob_sha, xmin::text FROM audits_blobfacts")
        written_by = dict(cursor.fetchall())
    lease_runs_out(audit)
    assert not History.objects.filter(repository=repository).exists(), "all of it at once, or nothing"
    run_worker()
    with beat():
        until(lambda: ended(audit))
        until(lambda: not Audit.objects.filter(repository=repository, state__in=IN_FLIGHT).exists())
    assert (audit.state, audit.error_message, audit.attempts) == (State.SUCCEEDED, "", 2)
    assert history_of(repository) == expected
    with connection.cursor() as cursor:
        cursor.execute("SELECT blob_sha, xmin::text FROM audits_blobfacts")
        now = dict(cursor.fetchall())
    assert kept and {sha: now[sha] for sha in kept} == {sha: written_by[sha] for sha in kept}, "read once"


@pytest.mark.celery
def test_another_worker_takes_over_from_one_that_is_gone(
    run_worker: StartWorker, large: Path, undisturbed: tuple[object, ...], add_repository: AddRepository
) -> None:
    two = run_worker(), run_worker()
    audit, busy = begin(lambda: add_repository(large), *two)
    children = pool(busy)
    kill(*parsers(busy), busy)
    until(lambda: all(is_gone(child) for child in children))
    lease_runs_out(audit)
    with beat():
        until(lambda: ended(audit))
    assert (audit.state, audit.attempts) == (State.SUCCEEDED, 2)
    assert result(audit.repository) == undisturbed


@pytest.mark.celery
def test_the_third_worker_that_dies_is_the_last(
    run_worker: StartWorker, large: Path, add_repository: AddRepository
) -> None:
    worker = run_worker()
    with beat():
        audit = None
        while audit is None:  # on a busy machine, one attempt may be over before it can be held
            audit = killed_three_times(add_repository(large), worker)
    assert (audit.state, audit.error_code, audit.attempts) == (State.FAILED, "gave-up", 3)
    assert audit.error_message.startswith("Gave up after 3 attempts: the worker was lost in the phase")
    assert not audit.repository.violations.exists()


def killed_three_times(repository: Repository, worker: psutil.Process) -> Audit | None:
    """An audit each of whose attempts is killed in its middle; None when one succeeded."""
    audit = start(repository)
    for attempt in (1, 2, 3):
        if freeze(worker) is None:
            until(lambda: ended(audit))
            forget_facts()
            return None
        audit.refresh_from_db()
        assert audit.attempts == attempt
        begun = parsers(worker)
        kill(*pool(worker), *begun)
        lease_runs_out(audit)
        BlobFacts.objects.all().delete()
    until(lambda: ended(audit))
    return audit


@pytest.mark.celery
def test_a_worker_that_is_killed_leaves_no_parsers_behind(
    run_worker: StartWorker, large: Path, add_repository: AddRepository
) -> None:
    worker = run_worker()
    begin(lambda: add_repository(large), worker)
    begun = parsers(worker)
    kill(worker, *pool(worker))
    for parser in begun:
        parser.resume()
    until(lambda: all(is_gone(parser) for parser in begun))


@pytest.mark.celery
def test_messages_that_got_lost_are_sent_again(
    run_worker: StartWorker, drifting: Drifting, add_repository: AddRepository
) -> None:
    run_worker()
    audits = []
    for _ in range(6):
        audit, _ = auditing.request(add_repository(drifting.path, branch="main"))
        audits.append(audit)
        # As if the broker had lost what was sent a while ago.
        Audit.objects.filter(pk=audit.pk).update(dispatched_at=timezone.now() - timedelta(minutes=2))
    with beat():
        until(lambda: all(ended(audit) for audit in audits))
    assert {audit.state for audit in audits} == {State.SUCCEEDED}


@pytest.mark.celery
def test_a_message_that_arrives_twice_is_worked_on_once(
    run_worker: StartWorker, drifting: Drifting, add_repository: AddRepository
) -> None:
    run_worker()
    audit, _ = auditing.request(add_repository(drifting.path), drifting.second)
    for _ in range(10):
        tasks.run_audit.delay(audit.pk)
    until(lambda: ended(audit))
    until(lambda: waiting_messages() == 0)
    audit.refresh_from_db()
    assert (audit.state, audit.attempts) == (State.SUCCEEDED, 1)
    assert Violation.objects.count() == 3


@pytest.mark.celery
def test_a_running_audit_is_cancelled_from_another_process(
    run_worker: StartWorker, large: Path, add_repository: AddRepository
) -> None:
    worker = run_worker()
    audit, _ = begin(lambda: add_repository(large), worker)
    assert auditing.cancel(audit)
    for parser in parsers(worker):
        parser.resume()
    until(lambda: ended(audit))
    assert audit.state == State.CANCELLED
    assert not audit.repository.violations.exists()
    until(lambda: not parsers(worker))


@pytest.mark.celery
def test_a_file_that_breaks_parsers_does_not_break_the_worker(
    run_worker: StartWorker, tmp_path: Path, add_repository: AddRepository
) -> None:
    path = init_repository(tmp_path / "evil")
    files = {
        "evil.py": "x = " + "-" * 10_000 + "1\n",
        "deep.py": "(" * 5_000 + ")" * 5_000,
        "good.py": "x = 1\n",
    }
    commit_tree(path, files, "Evil", 1_700_000_000, [])
    worker = run_worker()
    before = {p.pid for p in pool(worker)}
    audit = start(add_repository(path))
    until(lambda: ended(audit))
    assert audit.state == State.SUCCEEDED
    assert (audit.files_read, audit.problems_count + audit.findings_count > 0) == (3, True)
    assert {p.pid for p in pool(worker)} == before
