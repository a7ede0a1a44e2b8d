"""Test reports: received, read, told about."""

import zlib
from pathlib import Path

import pytest
from django.utils import timezone

from audits import comparisons, ingesting
from audits.models import Repository, Test, TestResult, TestRun
from tests.audits.conftest import AddRepository
from tests.audits.remedy import AFTER, BEFORE, TESTS, Remedy, junit, tell
from tests.samples import commit_tree

pytestmark = pytest.mark.django_db


@pytest.fixture
def remedy(tmp_path: Path) -> Remedy:
    return tell(tmp_path / "remedy")


@pytest.fixture
def repository(remedy: Remedy, add_repository: AddRepository) -> Repository:
    return add_repository(remedy.path)


def take(repository: Repository, data: bytes, commit: str = "main", name: str = "report.xml") -> TestRun:
    run, _ = ingesting.receive(repository, data, name=name, commit=commit)
    ingesting.read(run.pk)
    run.refresh_from_db()
    return run


def test_a_report_becomes_results(repository: Repository, remedy: Remedy) -> None:
    run = take(repository, BEFORE, remedy.tested[:10])
    assert (run.state, run.commit_sha, run.tests) == ("read", remedy.tested, 3)
    assert run.counts == {"passed": 1, "failed": 1, "error": 1} and run.commit_time is not None
    error = run.results.get(outcome="error")
    assert (error.phase, error.reason, error.test.name) == (
        "setup",
        "TypeError",
        "tests.test_runs::test_value",
    )


def test_the_original_is_kept(repository: Repository) -> None:
    assert zlib.decompress(bytes(take(repository, AFTER).report.data)) == AFTER


def test_the_same_file_twice_is_one_run_and_another_commit_is_another(
    repository: Repository, remedy: Remedy
) -> None:
    first, second = take(repository, AFTER), take(repository, AFTER, name="copy.xml")
    assert first == second and TestResult.objects.count() == 3
    assert take(repository, AFTER, remedy.fixed) != first
    assert Test.objects.count() == 3


def test_reading_twice_changes_nothing(repository: Repository) -> None:
    run = take(repository, AFTER)
    assert ingesting.read(run.pk) is None
    assert TestResult.objects.count() == 3


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"<testsuites><testcase", "not well-formed"),
        (b"<!DOCTYPE x [<!ENTITY a 'b'>]><testsuites/>", "document type"),
        (b"<html/>", "no JUnit report"),
        (b"plain words", "not well-formed"),
        (b'{"tests": 3}', "No pytest-json-report"),
        (b'{"tests": [', "Not valid JSON"),
    ],
)
def test_what_cannot_be_read_says_why_and_leaves_nothing_behind(
    repository: Repository, data: bytes, words: str
) -> None:
    run = take(repository, data)
    assert run.state == "failed" and words in run.error
    assert not TestResult.objects.exists() and not Test.objects.exists()


def test_a_report_that_breaks_off_late_leaves_nothing_behind(repository: Repository) -> None:
    run = take(repository, junit(test_run="").replace(b"</testsuite>", b"</wrong>"))
    assert run.state == "failed" and not TestResult.objects.exists()


def test_entries_without_a_result_are_told_with_their_line(repository: Repository) -> None:
    data = (
        b"<testsuite>\n<testcase classname='a'/>\n<testcase classname='a' name='t' time='soon'/></testsuite>"
    )
    run = take(repository, data)
    assert run.left_out_count == 2
    assert [(why, line) for _, why, line in run.left_out] == [
        ("a test case without a name", 2),
        ("its time 'soon' is no number of seconds", 3),
    ]
    assert run.tests == 1


def test_limits_are_named(repository: Repository, settings: object) -> None:
    settings.SSOT_TEST_REPORT_BYTES = 100  # type: ignore[attr-defined]
    with pytest.raises(ingesting.ReceiveError, match=r"the limit is 100 \(SSOT_TEST_REPORT_BYTES\)"):
        ingesting.receive(repository, b"x" * 101, name="r", commit="main")
    settings.SSOT_TEST_REPORT_BYTES = 10_000  # type: ignore[attr-defined]
    settings.SSOT_TEST_REPORT_CASES = 2  # type: ignore[attr-defined]
    assert "more than 2 test cases" in take(repository, AFTER).error


@pytest.mark.parametrize("commit", ["", "nothing-like-it", "--help", "a" * 300, "abc\0"])
def test_a_commit_that_nobody_knows_is_refused(repository: Repository, commit: str) -> None:
    with pytest.raises(ingesting.ReceiveError):
        ingesting.receive(repository, AFTER, name="r", commit=commit)
    assert not TestRun.objects.exists()


def test_a_full_id_that_the_copy_lacks_is_accepted(repository: Repository) -> None:
    run = take(repository, AFTER, "a" * 40)
    assert run.state == "read" and run.commit_time is None


def test_nasty_names_and_messages_are_kept_readable(repository: Repository) -> None:
    name = "x" * 5_000
    run = take(
        repository, f"<testsuite><testcase classname='&lt;script&gt;' name='{name}'/></testsuite>".encode()
    )
    assert run.results.get().test.name.startswith("<script>::xxx")


def test_a_run_whose_reader_dies_again_and_again_ends_as_failed(repository: Repository) -> None:
    run, _ = ingesting.receive(repository, AFTER, name="r", commit="main")
    TestRun.objects.update(attempts=3)
    ingesting.read(run.pk)
    run.refresh_from_db()
    assert run.state == "failed" and "too often" in run.error


def test_what_waits_is_handed_out_once_a_while(repository: Repository) -> None:
    run, _ = ingesting.receive(repository, AFTER, name="r", commit="main")
    assert ingesting.to_read() == [run.pk]
    assert ingesting.to_read() == []
    TestRun.objects.update(dispatched_at=timezone.now() - timezone.timedelta(hours=1))
    assert ingesting.to_read() == [run.pk]


def test_the_watched_folder_is_taken_in_once(repository: Repository, remedy: Remedy, tmp_path: Path) -> None:
    folder = tmp_path / "reports"
    (folder / remedy.fixed).mkdir(parents=True)
    (folder / remedy.fixed / "a.xml").write_bytes(AFTER)
    (folder / remedy.fixed / "notes.txt").write_text("no report")
    (folder / "unknown").mkdir()
    (folder / "unknown" / "b.xml").write_bytes(BEFORE)
    repository.test_run_folder = str(folder)
    (run,) = ingesting.collect(repository)
    assert (run.commit_sha, run.name, run.source) == (remedy.fixed, "a.xml", "folder")
    assert ingesting.collect(repository) == []


def test_two_runs_compare_by_name_and_quiet_tests_are_only_counted(
    repository: Repository, remedy: Remedy
) -> None:
    compared = comparisons.compare_runs(take(repository, BEFORE, remedy.tested), take(repository, AFTER))
    found = compared.comparison
    assert [c.test for c in found.fixed] == ["tests.test_runs::test_run"]
    assert [c.test for c in found.other_reason] == ["tests.test_runs::test_value"]
    assert compared.passed_in_both == 1 and not found.has_regressions


def test_what_ended_both_ways_at_a_commit_is_flaky_whichever_runs_are_compared(
    repository: Repository, remedy: Remedy
) -> None:
    passes = b'<testsuite><testcase classname="tests.test_x" name="test_x"></testcase></testsuite>'
    fails = passes.replace(b"></testcase>", b'><failure message="no"/></testcase>')
    take(repository, fails, remedy.tested)
    before = take(repository, passes, remedy.tested)
    compared = comparisons.compare_runs(before, take(repository, fails, remedy.fixed))
    assert [c.test for c in compared.comparison.flaky] == ["tests.test_x::test_x"]
    assert not compared.comparison.broken and not compared.comparison.has_regressions
    quiet = comparisons.compare_runs(before, take(repository, passes, remedy.fixed))
    assert [c.test for c in quiet.comparison.flaky] == ["tests.test_x::test_x"]
    assert quiet.passed_in_both == 0


def test_a_renamed_file_keeps_its_tests(repository: Repository, remedy: Remedy) -> None:

    moved = commit_tree(remedy.path, {"tests/test_moved.py": TESTS}, "move", 1_900_000_000, [remedy.archived])
    later = AFTER.replace(b"tests.test_runs", b"tests.test_moved")
    compared = comparisons.compare_runs(
        take(repository, AFTER, remedy.archived), take(repository, later, moved)
    )
    found = compared.comparison
    assert not found.new and not found.vanished
    assert [c.test for c in found.same_reason] == ["tests.test_moved::test_value"]
