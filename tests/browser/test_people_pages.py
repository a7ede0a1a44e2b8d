"""A private repository as seen by somebody who may not know of it, then as a member; and an invitation."""

from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from audits.models import Role
from ssot_dash import roles
from tests.audits.story import Story
from tests.browser.conftest import PHONE, OpenPage


def test_private_repository_appears_to_whom_it_is_shared_with(
    page: Page, open_page: OpenPage, story: Story, console_errors: list[str]
) -> None:
    vera = User.objects.create_user("vera")
    roles.give(vera, Role.VIEWER)
    hers = open_page(user=vera)
    hers.goto("/")
    expect(hers.get_by_role("link", name="Story")).to_be_visible()

    page.goto(f"{story.url}edit/")
    page.get_by_label("Private").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Private", exact=True).first).to_be_visible()

    hers.goto("/")
    expect(hers.get_by_role("link", name="Story")).to_have_count(0)
    answer = hers.goto(story.url)
    assert answer is not None and answer.status == 404
    console_errors.clear()  # the browser says that there was a 404

    page.goto(f"{story.url}members/")
    page.get_by_label("User name").fill("vera")
    page.get_by_label("Viewer").check()
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_text("vera is viewer of Story now.")).to_be_visible()

    answer = hers.goto(story.url)
    assert answer is not None and answer.status == 200
    expect(hers.get_by_role("link", name="Edit")).to_have_count(0)


def test_somebody_is_invited_and_comes_in_by_the_link(page: Page, open_page: OpenPage) -> None:
    page.goto("/people/")
    page.get_by_label("User name").fill("bo")
    page.get_by_label("Editor").check()
    page.get_by_role("button", name="Make a link").click()
    link = page.locator("#invitation-link").inner_text()
    guest = open_page(PHONE)
    guest.goto(link)
    for field in ("Password", "Password again"):
        guest.get_by_label(field, exact=True).fill("battery horse staple")
    guest.get_by_role("button", name="Save it and sign in").click()
    expect(guest.get_by_role("heading", level=1)).to_be_visible()
    page.goto("/activity/")
    expect(page.get_by_role("row", name="invited somebody").first).to_be_visible()
