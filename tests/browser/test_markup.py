"""What others write is text in a real browser: nothing runs, nothing is asked of another host, nothing is sent.

That its console stays silent is checked of every page of these tests: a script that the policy of content blocks, or
that ran and did not find what it calls, would be heard there.
"""

import pytest
from playwright.sync_api import Dialog, Request
from pytest_django.live_server_helper import LiveServer

from tests.browser.conftest import LIGHT, OpenPage
from tests.samples.markup import MARKDOWN, PAYLOAD
from tests.ssot_dash import world
from tests.ssot_dash.routes import PAGES
from tests.ssot_dash.test_routes import path_of
from tests.ssot_dash.world import NOBODY

PARTS = 4


@pytest.mark.parametrize("part", range(PARTS))
def test_what_others_wrote_does_nothing_in_a_browser(
    open_page: OpenPage, live_site: LiveServer, part: int
) -> None:
    rows = world.make()
    world.write_everywhere("\n\n".join((PAYLOAD, *MARKDOWN)))
    page = open_page(LIGHT, rows.people["superuser"])
    alive: list[str] = []
    seen = 0

    def opened(dialog: Dialog) -> None:
        alive.append(f"{page.url}: a dialog, {dialog.message}")
        dialog.dismiss()

    def asked(request: Request) -> None:
        if request.method != "GET" or not request.url.startswith((live_site.url, "data:", "blob:")):
            alive.append(f"{page.url}: {request.method} {request.url}")

    page.on("dialog", opened)
    page.on("request", asked)
    for name, route in list(PAGES.items())[part::PARTS]:
        if route.get == NOBODY or route.may_lack:
            continue
        path = path_of(name, route, rows.public)
        answer = page.context.request.get(path)
        if answer.ok and answer.headers["content-type"].startswith("text/html"):
            page.goto(path)
            seen += "evil" in page.content()
    assert not alive, "\n".join(alive)
    assert seen > 3
