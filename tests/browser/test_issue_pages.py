"""The way of a team lead: a tracker, a run before, a run after; verdicts change; a contradiction leads to its rows."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from audits import auditing, ingesting, remediation, working
from audits.models import Covers, Issue, Repository, Tracker
from audits.remediation import Subject
from ssot_dash.embedded.supervisor import Program
from tests.audits.remedy import AFTER, BEFORE, SUBJECT, Remedy, tell, tracker
from tests.browser.checks import check_pages
from tests.browser.conftest import LOOKS, Look, OpenPage


@pytest.fixture
def remedy(tmp_path: Path) -> Remedy:
    return tell(tmp_path / "remedy")


@pytest.fixture
def repository(live_site: LiveServer, remedy: Remedy) -> Repository:
    made = Repository.objects.create(name="Remedy", slug="remedy", location=str(remedy.path))
    for covers in (Covers.HISTORY, Covers.COMMIT):
        audit, _ = auditing.request(made, covers=covers)
        working.run(audit.pk)
    return made


@pytest.mark.celery
def test_runs_and_a_tracker_change_the_verdicts_and_a_contradiction_leads_to_its_rows(
    page: Page,
    start_worker: Callable[..., Program],
    repository: Repository,
    remedy: Remedy,
    tmp_path: Path,
) -> None:
    Repository.objects.update(tracker_pattern="")  # the tracker comes by hand here
    start_worker()
    page.goto(f"/violations/{repository.violations.filter(subject=SUBJECT)[0].pk}/")
    page.get_by_role("link", name="Make an issue").click()
    expect(page.get_by_text("Nothing of it is open any more")).to_be_visible()
    page.get_by_role("button", name="Make the issue").click()
    expect(page.get_by_text("Nobody has claimed a step yet")).to_be_visible()
    expect(page.get_by_role("heading", name="Claim beside evidence")).to_be_visible()

    (tmp_path / "before.xml").write_bytes(BEFORE)
    (tmp_path / "after.xml").write_bytes(AFTER)
    for name, commit in (("before.xml", remedy.tested), ("after.xml", remedy.closed)):
        page.goto("/repositories/remedy/test-runs/")
        page.locator("#id_report").set_input_files(str(tmp_path / name))
        page.locator("#id_commit").fill(commit)
        page.get_by_role("button", name="Upload").click()
        expect(page.get_by_role("heading", name=name)).to_be_visible()
        expect(
            page.get_by_text("AssertionError" if name == "after.xml" else "TypeError").first
        ).to_be_visible()

    page.goto("/repositories/remedy/trackers/")
    page.locator("#id_text").fill(tracker(7))
    page.get_by_role("button", name="Take it in").click()
    expect(page.get_by_text("step 2 completed")).to_be_visible()
    page.get_by_role("button", name="Set").click()
    expect(page.locator(".issue-summary .verdict-contradicted")).to_be_visible()

    page.locator("#step-2 > summary").click()
    failing = page.locator("#step-2 .pair", has_text="they fail with AttributeError")
    expect(failing).to_contain_text("1 with an error in setup (TypeError)")
    page.get_by_role("link", name="Only contradictions").click()
    assert "show=contradictions" in page.url
    page.locator("#timeline").get_by_role("link", name="The test run", exact=True).first.click()
    expect(page.get_by_text("error in setup").first).to_be_visible()


@pytest.fixture
def issue(repository: Repository, remedy: Remedy) -> Issue:
    for data, commit in ((BEFORE, remedy.tested), (AFTER, remedy.closed)):
        run, _ = ingesting.receive(repository, data, name="report.xml", commit=commit)
        ingesting.read(run.pk)
    remediation.keep_up(repository.pk)
    made = remediation.create(
        repository,
        title="SSOT-incomplete-migration-run",
        kind="custom",
        priority=0,
        subjects=[Subject("missing-member", SUBJECT)],
        issue_number=7,
        tracker=Tracker.objects.get(),
    )
    remediation.keep_up(repository.pk)
    return made


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.name)
def test_axe_finds_nothing_and_nothing_overflows(
    open_page: OpenPage, administrator: User, issue: Issue, look: Look
) -> None:
    before, after = issue.repository.test_runs.order_by("pk")
    test = issue.repository.tests.first()
    assert test is not None
    check_pages(
        open_page(look, administrator),
        [
            f"/issues/{issue.pk}/",
            f"/issues/{issue.pk}/edit/",
            "/issues/",
            "/issues/?view=list",
            "/repositories/remedy/issues/new/?rule=missing-member&subject=app.ids.IDType.THREAD",
            "/repositories/remedy/trackers/",
            f"/trackers/{issue.trackers.get().pk}/",
            "/repositories/remedy/test-runs/",
            f"/test-runs/{before.pk}/",
            f"/repositories/remedy/test-runs/compare/?before={before.pk}&after={after.pk}",
            f"/tests/{test.pk}/",
        ],
    )


def test_the_timeline_works_without_javascript(
    open_page: OpenPage, administrator: User, issue: Issue, remedy: Remedy
) -> None:
    first = open_page(user=administrator)
    assert first.context.browser is not None
    context = first.context.browser.new_context(
        base_url=first.context.request.get("/").url, java_script_enabled=False
    )
    context.add_cookies(first.context.cookies())
    page = context.new_page()
    page.goto(f"/issues/{issue.pk}/?show=contradictions")
    expect(page.locator(".moment.is-contradicted").first).to_be_visible()
    page.locator("#step-4 > summary").click()
    expect(page.locator("#step-4").get_by_role("link", name=remedy.fixed[:9]).first).to_be_visible()
    context.close()
