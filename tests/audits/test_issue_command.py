"""Issues and test reports from a terminal."""

import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from audits import auditing, remediation, working
from audits.models import Covers, Issue, Repository, TestRun
from audits.remediation import Subject
from tests.audits.conftest import AddRepository
from tests.audits.remedy import AFTER, SUBJECT, Remedy, tell

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def remedy(tmp_path: Path) -> Remedy:
    return tell(tmp_path / "remedy")


@pytest.fixture
def repository(remedy: Remedy, add_repository: AddRepository) -> Repository:
    return add_repository(remedy.path)


def run(*arguments: str, status: int = 0) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    try:
        call_command(*arguments, stdout=out, stderr=err)
        code = 0
    except SystemExit as ended:
        code = int(ended.code or 0)
    except CommandError as error:
        code = error.returncode
        err.write(str(error))
    assert code == status, (code, out.getvalue(), err.getvalue())
    return out.getvalue(), err.getvalue()


def test_reports_are_taken_in_and_bad_ones_do_not_stop_the_others(
    repository: Repository, remedy: Remedy, tmp_path: Path
) -> None:
    good, bad, absent = tmp_path / "a.xml", tmp_path / "b.xml", tmp_path / "c.xml"
    good.write_bytes(AFTER)
    bad.write_bytes(b"<html/>")
    files = [str(path) for path in (bad, absent, good)]
    out, err = run("import_tests", repository.slug, *files, "--commit", remedy.fixed[:9], status=2)
    assert "1 failed, 2 passed" in out and "no JUnit report" in err and "c.xml" in err and "2 of 3" in err
    assert TestRun.objects.get(state="read").commit_sha == remedy.fixed
    out, _ = run("import_tests", repository.slug, str(good), "--commit", remedy.fixed)
    assert "it was known already" in out


def test_an_unknown_repository_is_named_with_those_that_there_are(repository: Repository) -> None:
    _, err = run("import_tests", "nothing", "x.xml", "--commit", "main", status=2)
    assert repository.slug in err


def test_an_issue_is_shown_with_its_verdicts_and_contradictions_fail(
    repository: Repository, remedy: Remedy
) -> None:
    audit, _ = auditing.request(repository, covers=Covers.HISTORY)
    working.run(audit.pk)
    remediation.keep_up(repository.pk)
    tracker = repository.trackers.get()
    issue = remediation.create(
        repository,
        title="RUN",
        kind="custom",
        priority=1,
        subjects=[Subject("missing-member", SUBJECT)],
        tracker=tracker,
    )
    out, _ = run("issue", str(issue.pk), status=1)
    assert (
        "4 remediate: verified" in out and f"Fixed by {remedy.fixed[:9]}" in out and "[contradicted]" in out
    )
    out, _ = run("issue", str(issue.pk), "--format", "json", status=1)
    assert json.loads(out)["state"] == "fixed"
    assert "## Steps" in run("issue", str(issue.pk), "--format", "report", status=1)[0]
    assert "### Step 6" in run("issue", str(issue.pk), "--format", "tracker", status=1)[0]
    run("issue", "999", status=2)


def test_an_issue_without_contradictions_ends_well(repository: Repository) -> None:
    issue = Issue.objects.create(repository=repository, title="x", stale_since="2026-01-01T00:00Z")
    out, _ = run("issue", str(issue.pk))
    assert "not audited yet" in out
