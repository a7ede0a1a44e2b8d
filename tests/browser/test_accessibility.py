"""Every page, in both themes and both layouts: axe finds nothing, nothing overflows, everything has a name."""

import hashlib

import pytest
from django.contrib.auth.models import User

from audits import auditing, working
from audits.models import Audit, Commit, Covers, Repository, State
from tests.audits.story import Story
from tests.browser.checks import AXE, check_pages, complaints
from tests.browser.conftest import LOOKS, Look, OpenPage

AXE_SHA256 = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"
PARTS = 2


def test_axe_is_the_file_that_was_published() -> None:
    assert hashlib.sha256(AXE.read_bytes()).hexdigest() == AXE_SHA256


def _history(story: Story) -> list[str]:
    """The pages of a history that is known."""
    audit, _ = auditing.request(story.repository, covers=Covers.HISTORY)
    working.run(audit.pk)
    last = Commit.objects.filter(repository=story.repository).latest("position")
    return [f"{story.url}history/", f"{story.url}history/?over=time&commits=all", last.get_absolute_url()]


def paths(story: Story) -> list[str]:
    """Every page of the audit side in every one of its states, and those around it."""
    failed = Audit.objects.create(
        repository=Repository.objects.create(
            name="A" * 100, slug="long", location="https://example.org/" + "b" * 400
        ),
        state=State.FAILED,
        error_message="Could not fetch " + "c" * 500,
    )
    waiting = Repository.objects.create(name="Waiting", slug="waiting", location="/srv/w.git", is_sample=True)
    audit = Audit.objects.create(
        repository=waiting, state=State.RUNNING, files_done=5, files_total=9, attempts=2
    )
    violations = [story.violation(path="app/late.py"), story.violation(rule="unresolved-import")]
    return [
        "/",
        story.url,
        f"{story.url}violations/",
        f"{story.url}violations/?state=all&open=missing-member:app.ids.IDType.RUN",
        f"{story.url}violations/?state=all&view=places",
        f"{story.url}violations/?q=nothing",
        f"{story.url}history/",
        f"{story.url}hot-spots/",
        f"{story.url}duplicates/",
        f"{story.url}moves/",
        f"{story.url}policy/",
        f"{story.url}connections/",
        f"{story.url}test-runs/command/",
        f"/issues/?repository={story.repository.slug}",
        f"/audits/?repository={story.repository.slug}",
        *_history(story),
        f"{story.url}edit/",
        f"{story.url}delete/",
        *(violation.get_absolute_url() for violation in violations),
        "/repositories/long/",
        "/repositories/waiting/",
        "/add-repository/",
        "/audits/",
        f"/audits/{story.audits[-1].pk}/",
        f"/audits/{failed.pk}/",
        f"/audits/{audit.pk}/",
        "/ids/",
        "/ids/legacy/add/",
        "/rules/",
        "/rules/missing-member/",
        "/api/",
        f"{story.url}members/",
        "/account/",
        "/password/",
        "/tokens/",
        "/people/",
        "/activity/",
        "/operations/",
    ]


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.name)
def test_every_page_is_accessible_and_fits(
    open_page: OpenPage, administrator: User, story: Story, look: Look, part: int
) -> None:
    check_pages(open_page(look, administrator), paths(story)[part::PARTS])


def test_sign_in_is_accessible_and_fits_and_what_would_be_wrong_is_said(open_page: OpenPage) -> None:
    page = open_page()
    check_pages(page, ["/login/"])
    page.evaluate(
        """() => {
            document.title = "Sign in";
            const main = document.querySelector("main");
            main.insertAdjacentHTML("beforeend", "<h1>Wide</h1><button></button><p>Pale</p>");
            main.querySelector("h1:last-of-type").style.width = "3000px";
            const pale = main.querySelector("p:last-of-type").style;
            pale.color = "#eee";
            pale.background = "#fff";
        }"""
    )
    said = "\n".join(complaints(page))
    for words in (
        "2 headings",
        "the title 'Sign in'",
        "without a name: <button>",
        "px wide",
        "color contrast",
    ):
        assert words in said, said
