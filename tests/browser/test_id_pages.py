"""An administrator's way: a type is added in a form, is exported and issued at once; the explorer explains its ID; an
edit says what it breaks."""

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from ids import minting
from ids.models import IDType, LegacyFormat, LegacyHits
from tests.browser.checks import check_pages
from tests.browser.conftest import LOOKS, Look, OpenPage


def test_a_type_is_added_exported_issued_and_explained(page: Page, live_site: LiveServer) -> None:
    page.goto("/ids/")
    page.locator(".page-actions").get_by_role("link", name="Add a type").click()
    page.get_by_label("Value").fill("web-hook")
    page.get_by_label("Description").fill("A call to another service.")
    page.get_by_label("Format", exact=True).select_option("typeid")
    page.get_by_label("Reason for this change").fill("We call others now.")
    page.get_by_role("button", name="Add the type").click()
    expect(page.get_by_text("IDs of it can be issued")).to_be_visible()
    expect(page.get_by_text("We call others now.")).to_be_visible()

    exported = page.request.get("/ids/registry.py")
    assert 'WEB_HOOK = "web-hook"' in exported.text()

    identifier = minting.generate("web-hook", context={"to": "billing"})
    page.goto("/ids/explore/")
    page.get_by_label("An ID").fill(identifier)
    page.keyboard.press("Enter")
    expect(page.get_by_text("Issued and active")).to_be_visible()
    expect(page.get_by_role("heading", name=identifier)).to_be_visible()
    expect(page.get_by_text("billing")).to_be_visible()
    page.get_by_label("An ID").fill(identifier.upper().replace("WEB_HOOK_", "web-hook_"))
    page.get_by_role("button", name="Explore", exact=True).click()
    expect(page.get_by_text("Not an ID")).to_be_visible()
    page.get_by_role("link", name=identifier).click()
    expect(page.get_by_text("Issued and active")).to_be_visible()

    page.goto("/ids/web-hook/edit/")
    page.get_by_label("Format", exact=True).select_option("uuid7")
    page.get_by_label("Reason for this change").fill("The column holds UUIDs.")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Nothing was saved yet: this edit breaks something")).to_be_visible()
    expect(page.get_by_text("no longer says that it is a web-hook")).to_be_visible()
    page.get_by_label("I know what this breaks").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("was saved")).to_be_visible()
    assert IDType.objects.get(value="web-hook").format == "uuid7"


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.name)
def test_the_pages_are_accessible_and_fit(
    live_site: LiveServer, open_page: OpenPage, administrator: User, look: Look
) -> None:
    run, _ = IDType.objects.get_or_create(value="run", defaults={"description": "One pass."})
    today = datetime.now(UTC).date()
    legacy = LegacyFormat.objects.create(
        name="Runs of 2024",
        type=run,
        pattern="run-[0-9]+",
        example="run-17",
        sunset=today + timedelta(days=9),
    )
    LegacyHits.objects.create(format=legacy, day=today, accepted=12, refused=3)
    check_pages(
        open_page(look, administrator),
        [
            "/ids/",
            "/ids/add/",
            "/ids/run/",
            "/ids/run/edit/",
            "/ids/explore/",
            "/ids/explore/?id=run_17_9f86d081",
            "/ids/explore/?id=RUN-17-9F86D081",
            "/ids/legacy/",
            f"/ids/legacy/{legacy.pk}/",
        ],
    )
