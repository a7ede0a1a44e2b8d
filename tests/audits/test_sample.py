"""The sample repository: its story, and what audits make of it."""

import os
import subprocess
import sys
from pathlib import Path

import pygit2
import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.core.management import call_command

from audits import member_uses, sample
from audits.models import Audit, Covers, Repository, State, Violation
from audits.sample_story import STORY, TRACKER
from tests import as_migrated


@pytest.fixture
def data_dir(settings: object, tmp_path: Path) -> Path:
    settings.DATA_DIR = tmp_path  # type: ignore[attr-defined]
    return tmp_path


@pytest.fixture(scope="session")
def data_dir_of_sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sample")


@pytest.fixture
def loaded(transactional_db: None, settings: object, data_dir_of_sample: Path) -> Repository:
    """The sample as one test of this process has loaded it: the files are shared, and nobody may change them."""
    settings.DATA_DIR = data_dir_of_sample  # type: ignore[attr-defined]
    as_migrated.made_once("sample", ["audits", "ids"], sample.load)
    return Repository.objects.get()


@pytest.fixture
def loaded_here(transactional_db: None, data_dir: Path) -> Repository:
    """The sample with files of its own."""
    repository = sample.load()
    assert repository is not None
    return repository


def test_it_is_the_same_wherever_it_is_built(tmp_path: Path) -> None:
    assert sample.build(tmp_path / "one") == sample.build(tmp_path / "another")


def test_the_merge_keeps_what_both_sides_did(tmp_path: Path) -> None:
    commits = sample.build(tmp_path / "repo")
    tree = pygit2.Repository(str(tmp_path / "repo"))[commits["merge"]].peel(pygit2.Tree)
    assert "tidepool/api/export.py" in tree
    assert "tidepool/clock.py" not in tree
    assert b"tidepool.clock" not in tree["tidepool/bookings/service.py"].data


def test_the_history_has_a_tracker_and_test_results(tmp_path: Path) -> None:
    commits = sample.build(tmp_path / "repo")
    repository = pygit2.Repository(str(tmp_path / "repo"))
    closed = repository[commits["closed"]].peel(pygit2.Tree)
    assert "Mission accomplished: 6/6" in closed[TRACKER].data.decode()
    assert closed["reports/junit-after.xml"].data.count(b"<failure") == 1
    assert TRACKER not in repository[commits["archive"]].peel(pygit2.Tree)


def test_audits_tell_the_story(loaded: Repository) -> None:
    *audits, history = loaded.audits.order_by("id")
    assert [audit.state for audit in (*audits, history)] == [State.SUCCEEDED] * (len(audits) + 1)
    assert history.covers == Covers.HISTORY and loaded.commits.count() == history.files_read > len(audits)
    assert [audit.findings_count for audit in audits] == [5, 9, 12, 14, 16, 9, 11]
    run = Violation.objects.filter(repository=loaded, subject="tidepool.core.ids.IDType.RUN")
    assert run.count() == 6
    assert not run.filter(is_open=True).exists()
    typo = Violation.objects.get(repository=loaded, member="CONECTION")
    assert (typo.is_open, typo.hint) == (True, "Did you mean CONNECTION?")
    wrong = Violation.objects.get(repository=loaded, member="HEALTHY")
    assert wrong.hint == "tidepool.metrics.health.Status has HEALTHY: wrong import?"


def test_the_registry_and_the_enum_are_beside_each_other(loaded: Repository) -> None:
    drift = Violation.objects.filter(repository=loaded, rule="registry-drift")
    assert not drift.get(member="run").is_open
    rest = drift.exclude(member="run")
    assert sorted(rest.values_list("member", flat=True)) == ["BOOKING", "CONNECTION", "GUEST", "TOUR"]
    assert all(violation.is_open and violation.waived_until for violation in rest)
    assert (loaded.waivers.get().covered, loaded.waivers.wanting().count()) == (4, 0)
    (use,) = member_uses.usage_of("run", User(is_superuser=True)).using
    assert use.count > 1


def test_every_kind_of_mark_is_to_be_seen(loaded: Repository) -> None:
    marks = {mark for marks in Violation.objects.values_list("annotations", flat=True) for mark in marks}
    assert marks >= {"guarded", "import_time", "type_checking_only"}
    assert set(Violation.objects.values_list("rule", flat=True)) == {
        "missing-member",
        "registry-drift",
        "unresolved-import",
        "unparseable",
    }


def test_loading_again_changes_nothing(loaded: Repository) -> None:
    before = set(Audit.objects.values_list("pk", flat=True))
    call_command("load_sample")
    assert set(Audit.objects.values_list("pk", flat=True)) == before
    assert Repository.objects.get().is_sample


def test_loading_goes_on_where_it_was_interrupted(loaded: Repository) -> None:
    Audit.objects.filter(pk=loaded.audits.latest("id").pk).update(state=State.FAILED)
    sample.load()
    assert loaded.audits.filter(state=State.SUCCEEDED).count() == sum(step.audited for step in STORY)


def test_once_removed_it_comes_back_only_when_asked_for(loaded_here: Repository, data_dir: Path) -> None:
    call_command("remove_sample")
    call_command("remove_sample")
    assert not (data_dir / "sample").exists()
    call_command("load_sample", unless_removed=True)
    assert not Repository.objects.exists()
    call_command("load_sample")
    assert Repository.objects.get().is_sample


@pytest.mark.parametrize("command", ["load_sample", "remove_sample"])
def test_without_a_database_it_says_how_to_get_one(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "django", command],
        cwd=django_settings.BASE_DIR,
        env={**os.environ, "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 1
    assert "Start the site first (python3 manage.py up)" in done.stderr
    assert "Traceback" not in done.stderr
