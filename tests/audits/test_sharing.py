"""Parsing that several workers share: the result is that of one, whoever helps, dies or lies."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zstandard
from django.db import connection

from audits import auditing, sharing, workforce, working
from audits.models import Audit, BlobFacts, PartOffer, RememberedResult, Repository, State
from audits.workforce import Workforce
from tests.audits.conftest import AddRepository
from tests.audits.test_tasks import result
from tests.samples import commit_tree, init_repository

pytestmark = pytest.mark.django_db(transaction=True)

FILES = 60


@pytest.fixture
def many(tmp_path: Path) -> Path:
    path = init_repository(tmp_path / "many")
    enum = "from enum import Enum\n\n\nclass IDType(Enum):\n    USER = 'user'\n"
    files: dict[str, Any] = {"app/__init__.py": "", "app/ids.py": enum}
    for number in range(FILES):
        use = "from app.ids import IDType\n\nRUN = IDType.RUN\n" if number % 10 == 0 else ""
        files[f"app/m{number}.py"] = f"{use}x = {number}\n"
    files["app/broken.py"] = "def (:\n"
    commit_tree(path, files, "Many files", 1_700_000_000, [])
    return path


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[None]:
    monkeypatch.setattr(sharing, "PART", 5)
    monkeypatch.setattr(sharing, "IDLE_SECONDS", 1.0)
    settings.SSOT_SHARE_FILES = 10
    settings.SSOT_PARSE_PROCESSES = 1
    workforce.register(Workforce(helping=lambda: 1))
    yield
    workforce.register(Workforce())


def forget() -> None:
    BlobFacts.objects.all().delete()
    RememberedResult.objects.all().delete()


def audited(repository: Repository, call: Callable[[int, int], None] | None) -> tuple[object, ...]:
    forget()
    audit, _ = auditing.request(repository)
    assert working.run_next(call) == audit.pk
    audit.refresh_from_db()
    assert audit.state == State.SUCCEEDED, audit.error_message
    assert not PartOffer.objects.exists()
    return result(repository)


def alone(add_repository: AddRepository, path: Path) -> tuple[object, ...]:
    return audited(add_repository(path, branch="main"), None)


def helper(of: dict[str, int]) -> Callable[[int, int], None]:
    """Calls a helper, as another worker: a thread with its own connection."""

    def call(audit_id: int, helpers: int) -> None:
        def work() -> None:
            try:
                of["files"] = sharing.help_with(audit_id)
            finally:
                connection.close()

        thread = threading.Thread(target=work)
        thread.start()
        threads.append(thread)

    threads: list[threading.Thread] = []
    return call


def test_a_helper_parses_some_and_the_result_is_that_of_one_worker(
    add_repository: AddRepository, many: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = alone(add_repository, many)
    counts: dict[str, int] = {}
    taken = threading.Event()
    put = sharing.PostgresFactsStore.put_many

    def told(store: Any, facts: Any) -> None:
        put(store, facts)
        if threading.current_thread() is not threading.main_thread():
            taken.set()
        else:
            taken.wait(300)  # the audit's own worker is slow, so that there is something to help with

    monkeypatch.setattr(sharing.PostgresFactsStore, "put_many", told)
    assert audited(add_repository(many, branch="main"), helper(counts)) == expected
    assert taken.is_set()


def test_nobody_comes_and_the_audit_is_done_alone(add_repository: AddRepository, many: Path) -> None:
    expected = alone(add_repository, many)
    called: list[int] = []
    ours = audited(add_repository(many, branch="main"), lambda _, helpers: called.append(helpers))
    assert ours == expected
    assert called == [1]


def test_a_helper_that_dies_with_a_part_is_not_waited_for(add_repository: AddRepository, many: Path) -> None:
    expected = alone(add_repository, many)
    died: list[object] = []

    def takes_and_dies(audit_id: int, helpers: int) -> None:
        died.append(sharing._take(audit_id))

    assert audited(add_repository(many, branch="main"), takes_and_dies) == expected
    assert died[0] is not None


def test_sources_of_another_file_give_no_facts(add_repository: AddRepository, many: Path) -> None:
    """Facts are kept under a file's id for all repositories, so what is carried has to be that file."""
    repository = add_repository(many)
    audit, _ = auditing.request(repository)
    Audit.objects.filter(pk=audit.pk).update(state=State.RUNNING)
    limits = {"file_bytes": 1000, "file_seconds": 10, "facts_version": sharing.FACTS_VERSION}
    forged = msgspec.msgpack.encode({"0" * 40: sharing_source(b"x = 1\n")})
    PartOffer.objects.create(audit=audit, sources=forged, **limits)
    assert sharing.help_with(audit.pk) == 1
    assert not BlobFacts.objects.exists() and not PartOffer.objects.exists()


def sharing_source(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


def test_few_files_are_not_offered(add_repository: AddRepository, many: Path, settings: Any) -> None:
    settings.SSOT_SHARE_FILES = 1_000
    called: list[int] = []
    audited(add_repository(many, branch="main"), lambda _, helpers: called.append(helpers))
    assert called == []


def test_a_history_is_shared_as_well(add_repository: AddRepository, many: Path) -> None:
    repository = add_repository(many, branch="main")
    called: list[int] = []
    audit, _ = auditing.request(repository, covers="history")
    working.run_next(lambda _, helpers: called.append(helpers))
    audit.refresh_from_db()
    assert (audit.state, called) == (State.SUCCEEDED, [1])
    assert not PartOffer.objects.exists()


def test_what_a_killed_worker_offered_is_forgotten(add_repository: AddRepository, many: Path) -> None:
    audit, _ = auditing.request(add_repository(many))
    PartOffer.objects.create(audit=audit, facts_version=1, file_bytes=1, file_seconds=1, sources=b"")
    assert sharing.help_with(audit.pk) == 0
    sharing.tidy()
    assert not PartOffer.objects.exists()
