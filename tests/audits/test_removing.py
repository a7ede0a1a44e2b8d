"""Repositories are removed: at once for everybody, then row by row, whoever is killed meanwhile."""

import threading
import zlib
from dataclasses import replace
from datetime import timedelta
from importlib import import_module

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, models
from django.db.models import Model
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audits import (
    auditing,
    executing,
    fetching,
    ingesting,
    members,
    notifying,
    pushing,
    remediation,
    removing,
    tasks,
    working,
)
from audits.models import (
    Audit,
    Channel,
    Covers,
    Membership,
    Notice,
    Push,
    RememberedResult,
    Repository,
    Role,
    SampleRemoval,
    Schedule,
    Sighting,
    State,
    Test,
    TestReport,
    TestResult,
    TestRun,
    Violation,
)
from tests.audits.conftest import AddRepository, Drifting

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def repository(add_repository: AddRepository, drifting: Drifting) -> Repository:
    """Audited three times and once over all commits, with a report of tests."""
    repository = add_repository(drifting.path)
    for rev in drifting[1:]:
        audited(repository, rev)
    audited(repository, covers=Covers.HISTORY)
    run = TestRun.objects.create(
        repository=repository, commit_sha=drifting.third, name="r.xml", digest="d", state=TestRun.State.READ
    )
    TestReport.objects.create(run=run, data=zlib.compress(b"<testsuite/>"))
    for number in range(7):
        test = Test.objects.create(repository=repository, name=f"tests::test_{number}")
        TestResult.objects.create(run=run, test=test, outcome="passed")
    return repository


def audited(repository: Repository, rev: str = "", covers: Covers = Covers.COMMIT) -> Audit:
    audit, _ = auditing.request(repository, rev, covers=covers)
    working.run(audit.pk)
    audit.refresh_from_db()
    assert audit.state == State.SUCCEEDED
    return audit


def owned() -> dict[str, int]:
    """How many rows there are of everything that belongs to repositories, however far it is from them."""
    seen: set[type[Model]] = {Repository}
    while (
        more := {
            model
            for model in apps.get_models()
            for field in model._meta.concrete_fields
            if isinstance(field, models.ForeignKey) and field.remote_field.model in seen and not field.null
        }
        - seen
    ):
        seen |= more
    counted = {
        model.__name__: model._base_manager.count() for model in seen if "History" not in model.__name__
    }
    return {name: count for name, count in counted.items() if count}


def killed() -> None:
    """What a worker leaves that died: its lease."""
    Repository.with_removed.exclude(removed_at=None).update(
        removing_until=timezone.now() + timedelta(seconds=60)
    )


def some_time_passes() -> None:
    Repository.with_removed.exclude(removing_until=None).update(
        removing_until=timezone.now() - timedelta(seconds=1)
    )


def in_parts_of(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(removing, "_MANY", tuple(replace(many, size=size) for many in removing._MANY))


def test_nothing_is_left_but_other_repositories(
    repository: Repository, drifting: Drifting, add_repository: AddRepository
) -> None:
    kept = add_repository(drifting.path)
    audited(kept, drifting.first)
    clone = fetching.clone_path(repository.pk)
    (clone / "objects").mkdir(parents=True)
    clone.with_name(f"{clone.name}.left-over").mkdir()
    removing.remove(repository)
    assert not removing.go_on(repository.pk)
    assert list(Repository.with_removed.all()) == [kept]
    assert owned() == {
        "Repository": 1,
        "Audit": 1,
        "Violation": 1,
        "Sighting": 1,
        "Lifespan": 1,
        "SubjectTrend": 1,
    }
    assert not list(clone.parent.glob(f"{clone.name}*"))
    assert not RememberedResult.objects.exists(), "they may be of the removed one"
    assert drifting.path.exists() and not SampleRemoval.objects.exists()


def test_many_rows_go_unread(repository: Repository) -> None:
    removing.remove(repository)
    with CaptureQueriesContext(connection) as queries:
        removing.go_on(repository.pk)
    for many in removing._MANY:
        table = f'"{many.rows._meta.db_table}"'
        first = next(query["sql"] for query in queries if table in query["sql"])
        assert first.strip().startswith("DELETE"), first


def test_rows_go_in_parts_and_whoever_comes_after_a_kill_goes_on(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_parts_of(monkeypatch, 3)
    removing.remove(repository)
    assert removing.due() == [repository.pk]
    assert removing.go_on(repository.pk, seconds=0), "its turn is over after one part"
    assert TestResult.objects.count() == 4
    killed()
    assert removing.due() == [] and not removing.go_on(repository.pk)
    assert TestResult.objects.count() == 4, "another worker may be at it"
    some_time_passes()
    assert removing.due() == [repository.pk]
    turns = 1
    while removing.go_on(repository.pk, seconds=0):
        turns += 1
    assert turns > 5 and owned() == {} and removing.due() == []


def test_a_worker_that_fails_in_the_middle_keeps_what_it_did(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_parts_of(monkeypatch, 3)
    delete = removing._delete_part

    def fails(many: removing._Many, repository_id: int) -> int:
        if many.rows is Sighting:
            raise MemoryError
        return delete(many, repository_id)

    monkeypatch.setattr(removing, "_delete_part", fails)
    removing.remove(repository)
    with pytest.raises(MemoryError):
        removing.go_on(repository.pk)
    assert not TestResult.objects.exists() and Sighting.objects.exists()
    monkeypatch.setattr(removing, "_delete_part", delete)
    assert removing.due() == [repository.pk], "nobody has to wait for the lease"
    tasks.finish_removal(repository.pk)
    assert owned() == {}


def test_two_workers_are_not_in_each_others_way(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_parts_of(monkeypatch, 1)
    removing.remove(repository)
    barrier, failed = threading.Barrier(2), []

    def work() -> None:
        try:
            barrier.wait()
            while removing.due():
                removing.go_on(repository.pk, seconds=0)
        except Exception as error:  # noqa: BLE001 - to be shown
            failed.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    while removing.go_on(repository.pk):
        pass
    assert not failed and owned() == {}


def test_what_is_written_meanwhile_goes_as_well(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    rest = removing._delete_rest

    def late(repository_id: int) -> None:
        audit = Audit.objects.get(repository=repository_id, commit_sha="late")
        violation = Violation.objects.create(
            repository_id=repository_id, fingerprint="f", rule="r", zone="prod", line=1, latest_audit=audit
        )
        Sighting.objects.create(audit=audit, violation=violation, line=1)
        rest(repository_id)

    Audit.objects.create(repository=repository, commit_sha="late", state=State.SUCCEEDED)
    monkeypatch.setattr(removing, "_delete_rest", late)
    removing.remove(repository)
    removing.go_on(repository.pk)
    assert owned() == {}


# --- At once ------------------------------------------------------------------------------------------------


def test_nothing_is_begun_for_a_removed_one(repository: Repository) -> None:
    Repository.objects.filter(pk=repository.pk).update(schedule=Schedule.HOURLY, next_audit_at=timezone.now())
    Push.objects.create(repository=repository, provider="github", ref="refs/heads/main", digest="x")
    TestRun.objects.create(repository=repository, commit_sha="c", name="r.xml", digest="e")
    audit, _ = auditing.request(repository)
    execution = executing.TestExecution.objects.create(repository=repository)
    removing.remove(repository)
    audit.refresh_from_db()
    execution.refresh_from_db()
    assert (audit.state, execution.state) == (State.CANCELLED, State.CANCELLED)
    assert auditing.due() == [] and auditing.to_dispatch() == []
    pushing.due()
    assert not Audit.objects.filter(state=State.QUEUED).exists()
    assert ingesting.to_read() == [] and executing.to_dispatch() == []
    assert repository.pk not in remediation.behind()
    assert not remediation.keep_up(repository.pk)


def test_an_audit_that_was_asked_for_in_the_same_moment_ends(repository: Repository) -> None:
    removing.remove(repository)
    audit, is_new = auditing.request(repository)
    assert is_new
    assert removing.go_on(repository.pk) is False
    assert not Audit.objects.filter(pk=audit.pk).exists()


def test_nobody_is_told_of_a_removed_one(repository: Repository, drifting: Drifting) -> None:
    user = User.objects.create_user("ada")
    members.put(repository, user, Role.ADMIN)
    Channel.objects.create(
        repository=repository, kind=Channel.Kind.WEBHOOK, target="https://example.org/", events=[]
    )
    everywhere = Channel.objects.create(
        kind=Channel.Kind.WEBHOOK, target="https://example.org/", events=["failing"]
    )
    for _ in range(3):
        Audit.objects.create(repository=repository, state=State.FAILED, finished_at=timezone.now())
    notifying.announce_audits()
    assert Notice.objects.exists()
    removing.remove(repository)
    Audit.objects.update(announced_at=None)
    notifying.announce_audits()
    notifying.gather()
    assert not Notice.objects.exists() and not Membership.objects.exists()
    assert list(Channel.objects.all()) == [everywhere] and not everywhere.deliveries.exists()


def test_its_name_is_free_at_once(repository: Repository, add_repository: AddRepository) -> None:
    with pytest.raises(IntegrityError):
        Repository.objects.create(name=repository.name, slug="another", location="/srv/x.git")
    removing.remove(repository)
    new = Repository.objects.create(name=repository.name, slug=repository.slug, location=repository.location)
    first = audited(new, "main~1")
    removing.go_on(repository.pk)
    assert list(Repository.with_removed.all()) == [new]
    assert first.sightings.exists() and new.violations.exists()


def test_removing_twice_is_removing_once(repository: Repository) -> None:
    removing.remove(repository)
    (at,) = removing.pending().values_list("removed_at", flat=True)
    removing.remove(repository)
    assert list(removing.pending().values_list("removed_at", flat=True)) == [at]
    removing.go_on(repository.pk)
    assert not removing.go_on(repository.pk)
    removing.remove(repository)
    assert not removing.pending().exists()


def test_an_older_version_lets_no_two_have_one_name(repository: Repository) -> None:
    """Migrations can be taken back while something is left of a removed one whose name another has."""
    removing.remove(repository)
    Repository.objects.create(name=repository.name, slug=repository.slug, location="/srv/x.git")
    import_module("audits.migrations.0024_removed_repositories").give_names_of_their_own(apps, None)
    names = set(Repository.with_removed.values_list("name", "slug"))
    assert names == {(repository.name, repository.slug), (f"removed-{repository.pk}",) * 2}
