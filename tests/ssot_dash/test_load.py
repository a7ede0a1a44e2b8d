"""``manage.py load``: a filled site, in small, on which every page answers; and what it refuses to fill."""

from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from audits import scoring, tasks, working
from audits.models import (
    Audit,
    Commit,
    Lifespan,
    Repository,
    Sighting,
    State,
    TestResult,
    TestRun,
    Violation,
)
from ids.models import IDType, IssuedID
from ssot_dash.load import measuring, pages
from tests.samples import commit_tree, init_repository
from tests.ssot_dash.routes import EMPTY, FOR_STRANGERS, OPEN, PAGES, PERSONAL
from tests.ssot_dash.world import NOBODY

SMALL = {
    "repositories": 2,
    "violations": 400,
    "commits": 60,
    "audits": 30,
    "test_runs": 6,
    "test_results": 60,
    "issues": 8,
    "types": 2,
    "ids": 60,
    "activities": 30,
}


def fill(**more: Any) -> None:
    call_command("load", "fill", **{**SMALL, **more})


@pytest.mark.long
def test_every_page_of_a_filled_site_answers(live_server: Any, capsys: pytest.CaptureFixture[str]) -> None:
    fill()
    assert (Violation.objects.count(), TestResult.objects.count(), IssuedID.objects.count()) == (400, 60, 60)
    call_command("load", "pages", url=live_server.url, times=1, sql=60)
    said = capsys.readouterr().out
    rows = [line.split(" | ")[0].removeprefix("| ") for line in said.splitlines() if line.startswith("| ")]
    assert not [row for row in rows if row.endswith(")")], rows
    assert {"audits:violation-list", "ids:explore", "activity", "GET /repositories/{slug}/violations"} <= set(
        rows
    )


def test_what_was_measured_before_an_interruption_is_told(
    live_server: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measured: list[str] = []
    measure = measuring.Visitor.measure

    def interrupted(visitor: measuring.Visitor, page: pages.Page, times: int) -> measuring.Figures:
        if len(measured) == 2:
            raise KeyboardInterrupt
        measured.append(page.name)
        return measure(visitor, page, times)

    monkeypatch.setattr(measuring.Visitor, "measure", interrupted)
    with pytest.raises(CommandError, match="Interrupted before /"):
        call_command("load", "pages", url=live_server.url, times=1, only="audits:")
    said = capsys.readouterr().out
    assert all(f"| {name} | " in said for name in measured) and "2 addresses" in said


def test_what_is_filled_in_agrees_with_itself(transactional_db: None) -> None:
    fill()
    repository = Repository.objects.get(slug="load-001")
    audit = repository.current_audit
    assert audit is not None and audit.commit_sha == repository.commits.latest("position").sha
    is_open = repository.violations.filter(is_open=True)
    assert Sighting.objects.filter(audit=audit, violation__in=is_open).count() == is_open.count() > 0
    assert Lifespan.objects.filter(gone_in=None, violation__in=is_open).count() == is_open.count()
    assert Commit.objects.filter(introduced__gt=0).exists()
    assert scoring.over_history(repository) and repository.score["subjects"] > 0
    assert all(sum(run.counts.values()) == run.tests for run in TestRun.objects.all())
    # The next row of each table has a number that is free.
    Repository.objects.create(name="Next", slug="next", location="/nowhere")
    assert IDType.objects.with_figures().get(value="load-001").active_total == 16


def test_a_site_that_holds_more_than_the_sample_is_not_filled_unless_told_so(transactional_db: None) -> None:
    Repository.objects.create(name="Ours", slug="ours", location="/nowhere")
    with pytest.raises(CommandError, match="repositories besides the sample"):
        fill()
    assert not Violation.objects.exists()
    fill(anyway=True)
    assert Violation.objects.exists()
    with pytest.raises(CommandError, match="filled before"):
        fill(anyway=True)


def test_a_size_that_can_not_be_had_is_refused(transactional_db: None) -> None:
    with pytest.raises(CommandError, match="20 commits"):
        fill(commits=1)
    assert not Repository.objects.exists()


def test_every_address_that_answers_get_is_measured() -> None:
    found = {name for name, *_ in pages.named_routes()}
    answers_get = {name for name, route in PAGES.items() if route.get != NOBODY}
    assert answers_get <= found
    assert found <= PAGES.keys() | OPEN | FOR_STRANGERS | EMPTY | PERSONAL


def test_a_crowd_is_served_and_what_it_got_is_told(
    live_server: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    repository = Repository.objects.create(name="Ours", slug="ours", location="/nowhere")
    audit = Audit.objects.create(repository=repository, state=State.SUCCEEDED)
    Violation.objects.create(
        repository=repository,
        fingerprint="f",
        rule="missing-member",
        subject="s",
        path="p.py",
        zone="prod",
        severity="P1",
        line=1,
        message="m",
        latest_audit=audit,
    )
    IDType.objects.create(value="ours", description="Ours.")
    call_command(
        "load", "crowd", url=live_server.url, seconds=2, uploaders=1, browsers=7, pause=60, audited="ours"
    )
    said = capsys.readouterr().out
    assert "| upload | 1 |" in said and "| poll / |" in said and "0 errors" in said
    assert repository.test_runs.count() == 1


def test_a_push_is_followed_until_the_page_shows_it(
    live_server: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = init_repository(tmp_path / "source")
    commit_tree(source, {"shop.py": "x = 1\n"}, "First", 1_700_000_000, [])
    monkeypatch.setattr(tasks, "_send", working.run)  # here and now: whether workers run is asked elsewhere
    call_command("load", "push", str(source), url=live_server.url, times=1, rev="main", seconds=120)
    said = capsys.readouterr().out
    assert "first audit, of everything" in said and "| the page shows it |" in said and "1 pushes" in said
    assert not Repository.objects.exists(), "it leaves nothing behind"


def test_a_repository_that_is_not_there_is_no_push(transactional_db: None, tmp_path: Path) -> None:
    with pytest.raises(CommandError):
        call_command("load", "push", str(tmp_path), url="http://127.0.0.1:9")
    assert not Repository.objects.exists()
