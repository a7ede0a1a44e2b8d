"""What is true of every page: axe-core finds nothing, it fits its window, everything in it has a name.

``axe/axe.min.js`` is that of the npm package axe-core 4.14.1 (MPL-2.0, see ``axe/LICENSE``).
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from playwright.sync_api import Page

AXE = Path(__file__).with_name("axe") / "axe.min.js"
_CONTROLS = "button, a[href], input:not([type=hidden]), select, textarea"
_WITHOUT_NAME = """elements => elements.filter(element => !(
    element.innerText?.trim() || element.getAttribute("aria-label") || element.title
    || element.textContent.trim() || element.labels?.length)).map(element => element.outerHTML)"""
_OPEN_DETAILS = "document.querySelectorAll('main details:not(.menu)').forEach(details => details.open = true)"


def check_pages(page: Page, paths: Iterable[str]) -> None:
    """Go to each of the site's ``paths`` and look at it, also with its details open. One load serves all checks."""
    found = []
    for path in paths:
        page.goto(path)
        found += [f"{path}: {words}" for words in complaints(page)]
    assert not found, "\n".join(found)


def complaints(page: Page) -> list[str]:
    """What is wrong with the page that is shown."""
    found = [*_of_its_frame(page), *_of_its_width(page)]
    page.evaluate(_OPEN_DETAILS)
    return [*found, *_of_its_width(page), *_of_axe(page)]


def _of_its_frame(page: Page) -> Iterator[str]:
    if (headings := page.locator("h1").count()) != 1:
        yield f"{headings} headings of the first level"
    if not re.fullmatch(r".+ · SSOT Dash", page.title()):
        yield f"the title {page.title()!r}"
    for control in page.locator(_CONTROLS).evaluate_all(_WITHOUT_NAME):
        yield f"without a name: {control[:200]}"


def _of_its_width(page: Page) -> Iterator[str]:
    """Sideways scrolling."""
    wide, inside, window = page.evaluate(
        """[document.documentElement.scrollWidth, document.documentElement.clientWidth, innerWidth]"""
    )
    if wide > min(inside, window):
        yield f"{wide} px wide in a window of {inside} px"


def _of_axe(page: Page) -> Iterator[str]:
    """Names, roles, contrast, landmarks."""
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    for violation in found["violations"]:
        for node in violation["nodes"]:
            yield f"{violation['help']}: {node['html'][:200]}"
