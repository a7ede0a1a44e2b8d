"""The way of a policy: a draft with an error, what it would change, saving it, and other violations after that."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from audits.models import PolicyVersion
from ssot_dash.embedded.supervisor import Program
from tests.audits.story import Story
from tests.browser.conftest import PHONE, OpenPage

DRAFT = 'version = 1\nexclude = ["app/runner.py"]\n[limits]\nfile_bytes = 4000\n'


@pytest.fixture
def worker(live_site: LiveServer, start_worker: Callable[..., Program]) -> Program:
    """A real Celery worker on this test's database and broker."""
    return start_worker()


@pytest.mark.celery
def test_a_draft_is_mended_previewed_saved_and_changes_the_violations(
    page: Page, worker: Program, story: Story
) -> None:
    page.goto(f"{story.url}violations/")
    expect(page.get_by_text("IDType.THREADS").first).to_be_visible()
    page.get_by_role("link", name="Policy", exact=True).click()

    text, said = page.get_by_label("Policy, as TOML"), page.locator("#policy-said")
    text.fill(DRAFT.replace("exclude", "exlude"))
    expect(said).to_contain_text("Line 2")
    expect(page.locator(".editor-lines .is-wrong")).to_have_text("2")
    page.get_by_role("button", name="Go there").click()
    assert page.evaluate("getSelection().toString()") == 'exlude = ["app/runner.py"]'
    text.fill(DRAFT)
    expect(page.locator(".editor-lines .is-wrong")).to_have_count(0)

    page.get_by_role("button", name="What would it change?").click()
    preview = page.locator("#policy-preview")
    expect(preview).to_contain_text("app/runner.py")
    expect(preview.get_by_role("row", name="missing-member Production")).to_be_visible()
    page.reload()
    expect(text).to_have_value(DRAFT)
    assert PolicyVersion.objects.count() == 1, "nothing is saved yet"

    page.get_by_label("Why this change").fill("The runner is another team's")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Version 2 is saved.")).to_be_visible()
    expect(page.locator("#versions")).to_contain_text("The runner is another team's")
    page.get_by_role("link", name="Summary").click()
    expect(page.locator("#cancel-audit")).to_have_count(0)
    page.goto(f"{story.url}violations/")
    expect(page.get_by_role("heading", name="Story")).to_be_visible()
    expect(page.get_by_text("IDType.THREADS")).to_have_count(0)

    page.goto(f"{story.url}policy/versions/1/?against=2")
    page.get_by_role("button", name="Restore this version").click()
    expect(page.get_by_text("Version 3 is saved.")).to_be_visible()


def test_a_phone_shows_the_whole_editor(open_page: OpenPage, administrator: object, story: Story) -> None:
    phone = open_page(PHONE, administrator)
    phone.goto(f"{story.url}policy/")
    expect(phone.get_by_label("Policy, as TOML")).to_be_visible()
    assert phone.evaluate("document.documentElement.scrollWidth") <= PHONE.width
    phone.get_by_label("From .ssot.toml of each audited commit").check()
    expect(phone.get_by_label("Policy, as TOML")).to_be_hidden()
    expect(phone.get_by_text("fails its audit and names the line")).to_be_visible()
