"""The way through a history: audit it from the page, read the trend, follow a dot to what its commit did."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from audits.models import Audit, Covers, State
from ssot_dash.embedded.supervisor import Program
from tests.audits.story import Story


@pytest.fixture
def worker(live_site: LiveServer, start_worker: Callable[..., Program]) -> Program:
    """A real Celery worker on this test's database and broker."""
    return start_worker()


@pytest.mark.celery
def test_history_is_audited_from_its_page_and_leads_to_commits_and_violations(
    page: Page, worker: Program, story: Story, console_errors: list[str]
) -> None:
    page.goto(story.url)
    page.get_by_role("link", name="History", exact=True).click()
    expect(page.get_by_role("heading", name="The history is not audited yet")).to_be_visible()
    page.get_by_role("button", name="Audit the whole history").click()
    # The page of the audit follows it by itself, and ends at the history.
    expect(page.get_by_role("heading", name="Open violations, commit by commit")).to_be_visible()
    assert Audit.objects.filter(covers=Covers.HISTORY, state=State.SUCCEEDED).count() == 1

    page.locator("svg.trend a").last.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Introduced")).to_be_visible()
    expect(page.get_by_role("heading", name="What changed in the files concerned")).to_be_visible()
    page.locator(".rows a").first.click()
    expect(page.get_by_role("heading", name="Life of this violation")).to_be_visible()
    page.locator(".life a").first.click()
    page.go_back()
    assert console_errors == []


def test_period_and_axis_are_kept_in_the_address(page: Page, story: Story) -> None:
    page.goto(f"{story.url}history/?rule=missing-member&over=time&days=7")
    expect(page.get_by_role("heading", name="The history is not audited yet")).to_be_visible()
    page.goto(f"{story.url}hot-spots/")
    expect(page.get_by_role("heading", name="Where violations gather")).to_be_visible()
    page.locator("table a").first.click()
    assert "?in=" in page.url
