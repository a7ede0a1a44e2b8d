"""The pages of ID types in a browser: figures that move by themselves, charts, phones, keyboards."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from ids import metrics, minting
from ids.models import IDType


@pytest.fixture(autouse=True)
def a_type(live_site: LiveServer) -> Iterator[None]:
    IDType.objects.get_or_create(value="run", defaults={"description": "One pass of an agent."})
    minting.forget_leases()
    metrics.forget()
    yield
    minting.forget_leases()
    metrics.forget()


def issue(count: int) -> None:
    """As another process would: the counts are written down, the page is not told."""
    for _ in range(count):
        minting.generate("run")
    metrics.flush()


def test_generated_ids_move_the_figures_without_a_reload(page: Page) -> None:
    page.goto("/ids/")
    row = page.get_by_role("row").filter(has=page.locator("#type-run"))
    expect(row.get_by_role("cell").nth(3)).to_have_text("0")
    page.evaluate("window.notReloaded = true")
    issue(3)
    expect(row.get_by_role("cell").nth(3)).to_have_text("3")
    expect(row.get_by_role("img")).to_have_accessible_name(re.compile("Issued in the last hour: 3"))
    assert page.evaluate("window.notReloaded") is True
    assert page.url.endswith("/ids/")

    page.locator("#type-run").click()
    expect(page.locator("#figure-issued")).to_have_text("3")
    expect(page.locator("#figure-next")).to_have_text("9")
    page.evaluate("window.notReloaded = true")
    issue(4)
    expect(page.locator("#figure-issued")).to_have_text("7")
    expect(page.locator("#figure-today")).to_have_text("7")
    expect(page.locator("#type-live .legend")).to_contain_text("Generated 7")
    issue(2)
    expect(page.locator("#figure-next")).to_have_text("25")  # 8 counters were leased first, then 16
    assert page.evaluate("window.notReloaded") is True


def test_a_poll_leaves_the_keyboard_and_the_chosen_step_where_they_are(page: Page) -> None:
    issue(2)
    page.goto("/ids/run/")
    page.get_by_role("link", name="Hours").click()
    expect(page).to_have_url(re.compile(r"\?per=hour$"))
    page.locator("#per-day").focus()
    with page.expect_response(lambda answer: "per=hour" in answer.url):
        pass
    expect(page.locator("#per-day")).to_be_focused()
    expect(page.get_by_role("heading", name="Use per hour")).to_be_visible()
    page.get_by_text("The chart's numbers as a table").click()
    expect(page.locator("details.numbers tbody tr")).to_have_count(1)


def test_a_narrow_window_begins_with_what_is_new(page: Page) -> None:
    issue(2)
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto("/ids/run/")
    chart, drawing = page.locator("#use-chart").bounding_box(), page.locator("#use-chart svg").bounding_box()
    assert chart is not None and drawing is not None and drawing["width"] > chart["width"]
    assert abs(drawing["x"] + drawing["width"] - chart["x"] - chart["width"]) < 2
