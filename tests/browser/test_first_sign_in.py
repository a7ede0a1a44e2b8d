"""From the link that ``up`` prints to the first page, as a newcomer does it."""

from urllib.parse import urljoin

from playwright.sync_api import expect
from pytest_django.live_server_helper import LiveServer

from ssot_dash.views import first_sign_in_path
from tests.browser.conftest import OpenPage


def test_newcomer_becomes_administrator_by_the_link(open_page: OpenPage, live_site: LiveServer) -> None:
    page = open_page()
    page.goto(first_sign_in_path() or "")
    page.get_by_label("User name").fill("grace")
    page.get_by_label("Password", exact=True).fill("a long enough one")
    page.get_by_label("Password again").fill("a long enough one")
    page.get_by_role("button", name="Create the account and sign in").click()
    page.wait_for_url(urljoin(live_site.url, "/"))
    expect(page.get_by_role("navigation", name="Main").locator("summary")).to_contain_text("grace")


def test_signing_out_leads_to_sign_in_and_back(open_page: OpenPage, administrator: object) -> None:
    page = open_page()
    page.goto("/ids/")
    page.get_by_label("User name").fill("ada")
    page.get_by_label("Password").fill("correct horse battery")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/ids/")
    page.get_by_role("navigation", name="Main").locator("summary").click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/login/")
