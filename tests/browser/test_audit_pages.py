"""The way of an audit as people go it: add a repository, audit it, look at what was found."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from audits.models import Audit, Repository, State
from ssot_dash.embedded.supervisor import Program
from tests.audits.story import BEGAN, Story, tree
from tests.browser.conftest import session_cookie
from tests.samples import commit_tree, init_repository


@pytest.fixture
def worker(live_site: LiveServer, start_worker: Callable[..., Program]) -> Program:
    """A real Celery worker on this test's database and broker."""
    return start_worker()


@pytest.mark.celery
def test_repository_is_added_and_audited_and_its_figures_appear(
    page: Page, worker: Program, tmp_path: Path, console_errors: list[str]
) -> None:
    path = init_repository(tmp_path / "repo")
    commit_tree(path, tree(), "First", BEGAN, [])
    page.goto("/")
    page.get_by_role("link", name="Add the first repository").click()
    page.get_by_label("Name").fill("Billing")
    page.get_by_label("Location").fill(str(tmp_path))
    page.get_by_role("button", name="Add repository").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was saved")
    expect(page.get_by_text("There is no git repository at this path")).to_be_visible()
    console_errors.clear()  # the browser notes the status 422
    page.get_by_label("Location").fill(str(path))
    page.get_by_role("button", name="Add repository").click()
    page.wait_for_url("**/repositories/billing/")
    expect(page.get_by_role("status").filter(has_text="was added")).to_be_visible()

    page.get_by_role("button", name="Audit now").click()
    # The page follows the audit by itself, and shows its figures when it has ended.
    expect(page.get_by_role("heading", name="Open violations by rule")).to_be_visible()
    expect(page.get_by_role("row", name="missing-member").first).to_contain_text("5")
    expect(page.get_by_role("button", name="Audit now")).to_be_enabled()
    assert Audit.objects.get().state == State.SUCCEEDED

    page.get_by_role("link", name="IDType.RUN").click()
    page.get_by_role("link", name="IDType.RUN").first.click()
    expect(page.locator("tr.marked").first).to_contain_text("IDType.RUN")
    expect(page.get_by_role("heading", name="The canonical definition")).to_be_visible()


@pytest.mark.celery
def test_audit_of_an_unknown_revision_fails_with_words_and_can_be_tried_again(
    page: Page, worker: Program, story: Story
) -> None:
    page.goto(story.url)
    page.get_by_label("Commit, tag or branch").fill("no-such-branch")
    page.get_by_role("button", name="Audit now").click()
    expect(page.get_by_text("The last audit failed")).to_be_visible()
    page.locator("#audit-panel").get_by_role("link", name="Audit ").click()
    expect(page.get_by_role("alert")).to_contain_text("no-such-branch")
    page.get_by_role("button", name="Audit again").click()
    page.wait_for_url(f"**/audits/{story.audits[-1].pk + 2}/")
    expect(page.get_by_text("This audit failed")).to_be_visible()


def test_progress_moves_and_cancel_keeps_the_focus_between_polls(page: Page, story: Story) -> None:
    audit = Audit.objects.create(
        repository=story.repository, state=State.RUNNING, phase="Parsing", files_done=100, files_total=9517
    )
    page.goto(story.url)
    expect(page.get_by_role("progressbar")).to_have_attribute("value", "100")
    page.get_by_role("button", name="Cancel").focus()
    Audit.objects.filter(pk=audit.pk).update(files_done=4000, findings_so_far=88)
    expect(page.get_by_role("progressbar")).to_have_attribute("value", "4000")
    expect(page.locator("#audit-panel")).to_contain_text("88 findings so far")
    expect(page.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#audit-panel")).to_contain_text("Cancelling")
    expect(page.locator("#audit-panel")).to_be_focused()  # the button is gone, the place is not
    audit.refresh_from_db()
    assert audit.cancel_requested
    Audit.objects.filter(pk=audit.pk).update(state=State.CANCELLED)
    expect(page.get_by_role("button", name="Audit now")).to_be_visible()


def test_refused_revision_is_explained_in_place(page: Page, story: Story, console_errors: list[str]) -> None:
    page.goto(story.url)
    page.get_by_label("Commit, tag or branch").fill("not a revision")
    page.keyboard.press("Enter")
    expect(page.locator("#audit-panel").get_by_role("alert")).to_contain_text("not a commit, tag or branch")
    expect(page.get_by_label("Commit, tag or branch")).to_have_value("not a revision")
    expect(page.get_by_label("Commit, tag or branch")).to_be_focused()
    console_errors.clear()  # the browser notes the status 422


# --- Violations --------------------------------------------------------------------------------------------


def test_filters_live_in_the_address_and_survive_reload_and_back(page: Page, story: Story) -> None:
    list_url = f"{story.url}violations/"
    page.goto(list_url)
    page.get_by_role("link", name="All 7").click()
    page.wait_for_url(f"**{list_url}?state=all")
    page.get_by_role("link", name="Guarded").click()
    page.wait_for_url(f"**{list_url}?state=all&annotation=guarded")
    expect(page.locator("#violation-heading")).to_have_text("1 place of 1 subject")
    page.reload()
    expect(page.locator("#violation-heading")).to_have_text("1 place of 1 subject")
    expect(page.get_by_role("link", name="Guarded")).to_have_attribute("aria-current", "true")
    page.go_back()
    page.wait_for_url(f"**{list_url}?state=all")
    expect(page.locator("#violation-heading")).to_have_text("7 places of 3 subjects")
    page.go_back()
    page.wait_for_url(f"**{list_url}")
    expect(page.locator("#violation-heading")).to_have_text("2 open places of 2 subjects")


def test_search_answers_while_typing_and_keeps_the_other_choices(page: Page, story: Story) -> None:
    page.goto(f"{story.url}violations/?state=all&zone=prod")
    page.get_by_role("searchbox").press_sequentially("late", delay=30)
    expect(page.locator("#violation-heading")).to_have_text("1 place of 1 subject")
    page.wait_for_url(f"**{story.url}violations/?q=late&state=all&zone=prod")
    expect(page.get_by_role("searchbox")).to_be_focused()
    expect(page.get_by_role("searchbox")).to_have_value("late")
    page.get_by_role("link", name="Clear filters").click()
    page.wait_for_url(f"**{story.url}violations/?state=all")


def test_sorting_and_opening_by_keyboard_keep_the_focus(page: Page, story: Story) -> None:
    page.goto(f"{story.url}violations/?state=all")
    page.locator("#sort-places").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("columnheader", name="Places")).to_have_attribute("aria-sort", "descending")
    expect(page.locator("#sort-places")).to_be_focused()
    toggle = page.locator("#subject-1")
    toggle.focus()
    page.keyboard.press("Enter")
    expect(toggle).to_have_attribute("aria-expanded", "true")
    expect(toggle).to_be_focused()
    expect(page.get_by_role("link", name="app/late.py:5")).to_be_visible()
    page.keyboard.press("Enter")
    expect(toggle).to_have_attribute("aria-expanded", "false")


def test_everything_works_without_scripts(
    chromium: Browser, live_site: LiveServer, administrator: User, story: Story
) -> None:
    context = chromium.new_context(base_url=live_site.url, java_script_enabled=False)
    cookie = session_cookie(administrator)
    context.add_cookies([{"name": cookie["name"], "value": cookie["value"], "url": live_site.url}])
    page = context.new_page()
    page.goto(f"{story.url}violations/")
    page.get_by_role("link", name="All 7").click()
    page.get_by_role("searchbox").fill("late")
    page.get_by_role("button", name="Search").click()
    page.wait_for_url(f"**{story.url}violations/?q=late&state=all")
    page.locator("#subject-1").click()
    page.get_by_role("link", name="app/late.py:5").click()
    expect(page.locator("tr.marked").first).to_contain_text("IDType.RUN")
    page.goto(story.url)
    page.get_by_role("button", name="Audit now").click()
    expect(page.get_by_role("link", name="Reload to see how far it is")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("This audit was cancelled")).to_be_visible()
    context.close()


# --- The sample, and deleting ------------------------------------------------------------------------------


def test_sample_is_removed_by_a_click_and_a_confirmation(page: Page, story: Story) -> None:
    Repository.objects.create(name="Parcels", slug="parcels", location="/srv/p.git", is_sample=True)
    page.goto("/")
    page.get_by_role("button", name="Remove sample").click()
    dialog = page.get_by_role("dialog", name="Remove the sample?")
    expect(dialog).to_be_visible()
    dialog.get_by_role("button", name="Keep it").click()
    expect(dialog).to_be_hidden()
    page.get_by_role("button", name="Remove sample").click()
    dialog.get_by_role("button", name="Remove sample").click()
    expect(page.get_by_role("status").filter(has_text="was deleted")).to_be_visible()
    assert list(Repository.objects.values_list("slug", flat=True)) == ["story"]


def test_repository_is_deleted_after_asking(page: Page, story: Story) -> None:
    page.goto(story.url)
    page.get_by_role("link", name="Delete").click()
    page.get_by_role("link", name="Keep it").click()
    page.get_by_role("link", name="Delete").click()
    page.get_by_role("button", name="Delete Story").click()
    expect(page.get_by_role("heading", name="No repository yet")).to_be_visible()
