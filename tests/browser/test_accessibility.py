"""axe-core looks at every page: names, roles, contrast, landmarks.

In both themes and both layouts, though not in all four pairs of them: that would find the same again.

``axe/axe.min.js`` is that of the npm package axe-core 4.14.1 (MPL-2.0, see ``axe/LICENSE``).
"""

import hashlib
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page

from tests.audits.story import Story
from tests.browser.conftest import DARK, PHONE, Look, OpenPage
from tests.browser.test_shell import paths

AXE = Path(__file__).with_name("axe") / "axe.min.js"
AXE_SHA256 = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"


def complaints(page: Page) -> list[str]:
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{page.url}: {violation['help']}: {node['html'][:200]}"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]


def test_axe_is_the_file_that_was_published() -> None:
    assert hashlib.sha256(AXE.read_bytes()).hexdigest() == AXE_SHA256


@pytest.mark.parametrize("part", [0, 1])
@pytest.mark.parametrize("look", [DARK, PHONE], ids=lambda look: look.name)
def test_axe_finds_nothing_on_any_page(
    open_page: OpenPage, administrator: User, story: Story, look: Look, part: int
) -> None:
    page = open_page(look, administrator)
    found = []
    for path in paths(story)[part::2]:
        page.goto(path)
        found += complaints(page)
    assert not found, "\n".join(found)


def test_axe_finds_nothing_on_sign_in(open_page: OpenPage) -> None:
    page = open_page()
    page.goto("/login/")
    assert complaints(page) == []
