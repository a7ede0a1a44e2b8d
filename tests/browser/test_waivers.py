"""Accept a violation: it leaves what is open, expires, and returns by itself."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from audits import scoring, waiving
from audits.engine.policy import parse_policy
from audits.models import Violation, Waiver
from audits.models.waiver import today
from tests.audits.story import Story
from tests.browser.checks import check_pages
from tests.browser.conftest import LOOKS, Look, OpenPage

POLICY = (
    'version = 1\n[[unique]]\nsymbol = "app.core.some_long_package_name.managers.UserExecutionEngineManager"\n'
    '[[forbidden]]\nsymbol = "os.environ"\n'
)


def the_day_passes() -> None:
    """The stored days move into the past, as they do by waiting."""
    yesterday = today() - timedelta(days=1)
    Waiver.objects.update(expires_on=yesterday)
    Violation.objects.exclude(waived_until=None).update(waived_until=yesterday)


def test_an_accepted_violation_is_gone_from_the_open_ones_and_returns_when_its_day_has_passed(
    page: Page, story: Story, console_errors: list[str]
) -> None:
    violation = story.violation(subject="app.ids.IDType.THREADS")
    page.goto(violation.get_absolute_url())
    page.get_by_role("link", name="Accept", exact=True).click()
    page.get_by_role("button", name="Accept").click()
    expect(page.get_by_text("Nothing was accepted")).to_be_visible()
    console_errors.clear()  # the answer's status says that something is to be corrected

    page.get_by_label("Risk: it is wrong").check()
    page.get_by_label("Reason").fill("until the port is done")
    page.get_by_role("button", name="Accept").click()
    expect(page.get_by_text("Accepted risk until")).to_be_visible()
    expect(page.get_by_text("until the port is done")).to_be_visible()

    page.goto(f"{story.url}violations/")
    expect(page.get_by_role("link", name="THREADS")).to_have_count(0)
    page.locator("#chip-state-waived").click()
    expect(page).to_have_url(re.compile(r"state=waived"))
    expect(page.get_by_text("THREADS")).to_be_visible()
    page.get_by_role("link", name="Waivers").click()
    expect(page.get_by_role("heading", name="1 waiver")).to_be_visible()

    the_day_passes()
    page.goto(f"{story.url}violations/")
    expect(page.get_by_text("THREADS")).to_be_visible()
    page.goto(story.url)
    page.get_by_role("link", name="See them").click()
    expect(page.get_by_text("expired", exact=True)).to_be_visible()
    page.get_by_role("button", name="Take back").click()
    expect(page.get_by_text("Nothing is waived")).to_be_visible()


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.name)
def test_axe_finds_nothing_and_nothing_overflows(
    open_page: OpenPage, administrator: User, story: Story, look: Look
) -> None:
    violation = story.violation(subject="app.ids.IDType.THREADS")
    day = today() + timedelta(days=20)
    reason = "the members are set by a metaclass that nobody can read, " * 3
    waiving.accept(
        violation, kind="risk", reason=reason, expires_on=day, user=administrator, whole_subject=True
    )
    text = (
        'version = 1\n[[waiver]]\nrule = "unresolved-import"\npath = "app/**"\nreason = "old"\nowner = "app team"\n'
        f"expires = {today() - timedelta(days=1)}\ncount = 7\n"
    )
    waiving.take_over(story.repository.pk, parse_policy(text))
    scoring.take_over(story.repository.pk, parse_policy(POLICY))
    check_pages(
        open_page(look, administrator),
        [
            violation.get_absolute_url(),
            f"/violations/{violation.pk}/accept/",
            f"{story.url}waivers/",
            f"{story.url}violations/?state=waived&view=places",
            f"{story.url}canonical-subjects/",
            story.url,
            "/",
        ],
    )
