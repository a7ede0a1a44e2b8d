"""A real browser on a real server. A test fails when its page says anything on the error console."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from pytest_django.live_server_helper import LiveServer

from ssot_dash.embedded import browser as browser_on_machine
from tests.audits.story import Chapter, Story, chapters_at, tell

# Playwright's synchronous interface runs an event loop in the test's thread; Django would refuse the database there.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"

# Milliseconds until what does not come is called missing, which only ends a test that hangs: on a busy machine a page
# may take many seconds, and the work of a Celery worker a minute.
PATIENCE = 300_000
expect.set_options(timeout=PATIENCE)

FLAGS = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-sync",
    "--no-first-run",
    "--no-sandbox",  # needs user namespaces or a setuid helper; the pages are our own
]
REPORT_VIOLATIONS = """
addEventListener("securitypolicyviolation", event => console.error(
    "Content security policy: " + event.violatedDirective + " " + (event.blockedURI || event.sourceFile)))
"""


@dataclass(frozen=True)
class Look:
    """How a reader sees the site."""

    name: str
    scheme: str
    width: int
    height: int


LIGHT = Look("light", "light", 1280, 900)
DARK = Look("dark", "dark", 1280, 900)
PHONE = Look("phone", "light", 390, 844)
# Both themes and both layouts. All four pairs of them would find the same again: no width depends on a colour.
LOOKS = (DARK, PHONE)

OpenPage = Callable[..., Page]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(os.path.dirname(__file__)):
            item.add_marker("browser")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """One browser for the run; each page has a profile of its own."""
    if reason := browser_on_machine.missing():
        if os.environ.get("CI", "").lower() in {"1", "true"}:
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=browser_on_machine.find_executable(), args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def live_site(live_server: LiveServer) -> LiveServer:
    """The site on this test's database, with the rows that migrations made. ``live_site.url`` is its address."""
    return live_server


@pytest.fixture(scope="session")
def chapters(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Chapter]]:
    path = tmp_path_factory.mktemp("story") / "repo"
    return path, chapters_at(path)


@pytest.fixture
def story(live_site: LiveServer, chapters: tuple[Path, list[Chapter]]) -> Story:
    """A repository with three audited commits, whose ``RUN`` is gone at the last one."""
    return tell(*chapters)


@pytest.fixture
def administrator(live_site: LiveServer) -> User:
    """Who is signed in on the pages."""
    return User.objects.create_superuser("ada", password="correct horse battery")


@pytest.fixture
def console_errors() -> list[str]:
    """What the pages of this test have said on the error console. Clear what a test provokes on purpose."""
    return []


@pytest.fixture
def open_page(
    chromium: Browser, live_site: LiveServer, console_errors: list[str], request: pytest.FixtureRequest
) -> Iterator[OpenPage]:
    """Opens pages, signed in as ``user`` if given: ``open_page(look=LIGHT, user=None)``. Paths are the site's."""
    contexts: list[BrowserContext] = []

    def open_one(look: Look = LIGHT, user: User | None = None) -> Page:
        context = chromium.new_context(
            base_url=live_site.url,
            color_scheme="dark" if look.scheme == "dark" else "light",
            viewport={"width": look.width, "height": look.height},
            has_touch=look.width < 600,
        )
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        context.add_init_script(REPORT_VIOLATIONS)
        if user is not None:
            context.add_cookies([{**session_cookie(user), "url": live_site.url}])
        page = context.new_page()
        page.on(
            "console", lambda said: said.type == "error" and console_errors.append(f"{page.url}: {said.text}")
        )
        page.on("pageerror", lambda error: console_errors.append(f"{page.url}: {error}"))
        return page

    yield open_one
    for context in contexts:
        context.close()
    if console_errors:
        pytest.fail("The browser's console has errors:\n" + "\n".join(console_errors), pytrace=False)


@pytest.fixture
def page(open_page: OpenPage, administrator: User) -> Page:
    """A page on a desktop, light, signed in as the administrator."""
    return open_page(LIGHT, administrator)


@pytest.fixture
def dark_page(open_page: OpenPage, administrator: User) -> Page:
    return open_page(DARK, administrator)


@pytest.fixture
def phone_page(open_page: OpenPage, administrator: User) -> Page:
    return open_page(PHONE, administrator)


def session_cookie(user: User) -> dict[str, str]:
    client = Client()
    client.force_login(user)
    return {"name": settings.SESSION_COOKIE_NAME, "value": client.cookies[settings.SESSION_COOKIE_NAME].value}
