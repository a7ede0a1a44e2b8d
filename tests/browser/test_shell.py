"""What every page has: themes, keyboard, a menu on a phone, local times, words for failed requests."""

import re

from django.contrib.auth.models import User
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from audits.models import Repository
from ssot_dash.models import UserSession
from tests.audits.story import Story
from tests.browser.conftest import LIGHT, OpenPage, session_cookie

# --- Theme -------------------------------------------------------------------------------------------------


def test_theme_is_chosen_remembered_and_shared_with_the_admin(page: Page) -> None:
    root = page.locator("html")
    page.goto("/")
    expect(root).to_have_attribute("data-bs-theme", "light")
    page.get_by_role("button", name="Dark theme").click()
    expect(root).to_have_attribute("data-bs-theme", "dark")
    expect(page.get_by_role("button", name="Dark theme")).to_have_attribute("aria-pressed", "true")
    page.goto("/audits/")
    expect(root).to_have_attribute("data-bs-theme", "dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(19, 21, 26)"
    page.goto("/admin/")
    expect(root).to_have_attribute("data-theme", "dark")
    page.goto("/")
    page.get_by_role("button", name="Theme as the system").click()
    expect(root).to_have_attribute("data-bs-theme", "light")


def test_theme_follows_the_system_until_one_is_chosen(dark_page: Page) -> None:
    dark_page.goto("/")
    expect(dark_page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    dark_page.emulate_media(color_scheme="light")
    expect(dark_page.locator("html")).to_have_attribute("data-bs-theme", "light")


# --- Keyboard ----------------------------------------------------------------------------------------------


def test_first_tab_stop_skips_to_the_content(page: Page) -> None:
    page.goto("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def test_account_menu_opens_and_closes_by_keyboard_and_signs_out(page: Page) -> None:
    page.goto("/")
    summary = page.get_by_role("navigation", name="Main").locator("summary")
    summary.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Sign out")).to_be_hidden()
    expect(summary).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Sign out").press("Enter")
    page.wait_for_url("**/login/")


def test_every_control_shows_where_the_focus_is(page: Page, story: Story) -> None:
    page.goto(f"{story.url}violations/")
    for _ in range(25):
        page.keyboard.press("Tab")
        seen = page.evaluate(
            """() => { const style = getComputedStyle(document.activeElement);
                return document.activeElement === document.body
                    || (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2); }"""
        )
        assert seen, page.evaluate("document.activeElement.outerHTML")


def test_slash_goes_to_the_search_but_not_while_writing(page: Page, story: Story) -> None:
    page.goto(f"{story.url}violations/")
    page.keyboard.press("/")
    search = page.get_by_role("searchbox")
    expect(search).to_be_focused()
    page.keyboard.type("app/late")
    expect(search).to_have_value("app/late")
    page.goto("/")
    page.keyboard.press("/")  # nothing to search here: nothing happens


# --- Phone -------------------------------------------------------------------------------------------------


def test_menu_of_a_phone_opens_over_the_page_and_closes_again(phone_page: Page) -> None:
    phone_page.goto("/")
    menu = phone_page.get_by_role("navigation", name="Main")
    expect(menu).to_be_hidden()
    phone_page.get_by_role("button", name="Menu").click()
    expect(menu).to_be_visible()
    phone_page.keyboard.press("Escape")
    expect(menu).to_be_hidden()
    phone_page.get_by_role("button", name="Menu").click()
    menu.get_by_role("link", name="Audits").click()
    phone_page.wait_for_url("**/audits/")
    expect(menu).to_be_hidden()


# --- Times and failed requests -----------------------------------------------------------------------------


def test_times_are_in_the_readers_zone_with_utc_beside_them(
    chromium: Browser, live_site: LiveServer, administrator: User, story: Story
) -> None:
    context = chromium.new_context(base_url=live_site.url, timezone_id="Asia/Kolkata")
    cookie = session_cookie(administrator)
    context.add_cookies([{"name": cookie["name"], "value": cookie["value"], "url": live_site.url}])
    page = context.new_page()
    page.goto(story.violation(path="app/late.py").get_absolute_url())
    time = page.locator(".life time").first
    expect(time).to_have_text("2 Mar 2026, 14:40")  # 09:10 in UTC
    expect(time).to_have_attribute("title", re.compile(r"ago · 2026-03-02 09:10:00 UTC$"))
    page.goto(f"/audits/{story.audits[0].pk}/")
    context.close()


def test_request_that_cannot_be_sent_is_said(page: Page, story: Story, console_errors: list[str]) -> None:
    page.goto(f"{story.url}violations/")
    page.context.set_offline(True)
    page.get_by_role("link", name="Gone").click()
    expect(page.get_by_role("status").filter(has_text="can't be reached")).to_be_visible()
    page.get_by_role("button", name="Close this message").click()
    expect(page.locator(".toast-item")).to_have_count(0)
    console_errors.clear()


def test_request_that_is_refused_is_said(page: Page, story: Story, console_errors: list[str]) -> None:
    page.goto(f"{story.url}violations/")
    Repository.objects.update(slug="renamed-meanwhile")
    page.get_by_role("link", name="Gone").click()
    expect(page.locator("#toasts")).to_contain_text("no longer there")
    console_errors.clear()


def test_ended_session_leads_to_sign_in_and_back_to_the_page(
    page: Page, story: Story, administrator: User, console_errors: list[str]
) -> None:
    page.goto(f"{story.url}violations/?zone=prod")
    UserSession.objects.all().delete()
    page.get_by_role("link", name="Gone").click()
    page.wait_for_url("**/login/?next=**")
    page.get_by_label("User name").fill("ada")
    page.get_by_label("Password").fill("correct horse battery")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"**{story.url}violations/?zone=prod")
    expect(page.locator(".toast-item")).to_have_count(0)
    console_errors.clear()


def test_wrong_password_is_said_and_unknown_page_has_the_look(
    open_page: OpenPage, administrator: User
) -> None:
    page = open_page(LIGHT)
    page.goto("/login/")
    page.get_by_label("User name").fill("ada")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("correct username and password")
    expect(page.get_by_label("User name")).to_have_value("ada")
