"""One repository: its page, adding and editing it."""

import re
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from audits.models import Audit, Repository, State
from tests.audits.story import BEGAN, Story
from tests.audits.views.conftest import SignIn, fragment
from tests.samples import commit_tree, init_repository

pytestmark = pytest.mark.django_db


# --- The page -----------------------------------------------------------------------------------------------


def test_page_shows_open_violations_per_rule_and_zone_and_what_could_not_be_seen(
    viewer: Client, story: Story
) -> None:
    page = viewer.get(story.url).content.decode()
    assert f"{story.url}violations/?rule=missing-member&amp;zone=prod" in page
    assert "THREADS" in page
    assert "1 thing could not be looked at" in page
    assert f"/audits/{story.audits[-1].pk}/#problems" in page


def test_page_without_any_audit_says_what_to_do(sign_in: SignIn, viewer: Client) -> None:
    Repository.objects.create(name="New", slug="new", location="/srv/new.git")
    page = sign_in("add_audit").get("/repositories/new/").content.decode()
    assert "Not audited yet" in page
    assert "Audit now" in page
    page = viewer.get("/repositories/new/").content.decode()
    assert "Not audited yet" in page
    assert "Audit now" not in page


def test_failed_audit_is_told_apart_from_the_figures_of_an_earlier_one(viewer: Client, story: Story) -> None:
    Audit.objects.create(
        repository=story.repository,
        state=State.FAILED,
        finished_at=timezone.now(),
        error_message="Disk is full.",
    )
    page = viewer.get(story.url).content.decode()
    assert "The last audit failed" in page
    assert "Disk is full." in page
    assert f"audit {story.audits[-1].pk}</a>" in page


def test_figures_say_their_commit_when_the_last_audit_was_of_another_one(
    viewer: Client, story: Story
) -> None:
    assert "What follows is as of" not in viewer.get(story.url).content.decode()
    Audit.objects.create(repository=story.repository, state=State.CANCELLED, finished_at=timezone.now())
    page = viewer.get(story.url).content.decode()
    assert f"What follows is as of <code>{story.audits[-1].commit_sha[:9]}</code>" in page


def test_names_are_escaped(viewer: Client) -> None:
    name = "<script>alert(1)</script>"
    Repository.objects.create(name=name, slug="x", location='/srv/"><img src=x>')
    for path in ("/", "/repositories/x/", "/repositories/x/violations/", "/audits/?repository=x"):
        page = viewer.get(path).content.decode()
        assert "<script>alert" not in page
        assert "<img src=x" not in page


def test_buttons_are_only_shown_to_who_may_use_them(viewer: Client, sign_in: SignIn, story: Story) -> None:
    page = viewer.get(story.url).content.decode()
    assert "Audit now" not in page
    assert story.url + "edit/" not in page
    assert story.url + "delete/" not in page
    client = sign_in("add_audit", "change_repository", "delete_repository")
    page = client.get(story.url).content.decode()
    assert "Audit now" in page
    assert story.url + "edit/" in page
    assert story.url + "delete/" in page


def test_running_audit_is_polled_and_shows_how_far_it_is(viewer: Client, story: Story) -> None:
    Audit.objects.create(
        repository=story.repository,
        state=State.RUNNING,
        phase="Parsing",
        files_done=1234,
        files_total=9517,
        findings_so_far=88,
    )
    response = viewer.get(story.url, headers=fragment("audit-panel"))
    part = response.content.decode()
    assert '<progress max="9517" value="1234"' in part
    assert "<strong>1,234</strong> of 9,517 files" in part
    assert "<strong>88</strong> findings so far" in part
    assert f'hx-get="{story.url}" hx-trigger="every 2s"' in part
    assert "<html" not in part
    assert "HX-Refresh" not in response.headers


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "a few seconds"), (9, "a few seconds"), (75, "about 1 min 15 s")]
)
def test_running_audit_estimates_what_is_left_no_finer_than_it_knows(
    viewer: Client, story: Story, seconds: int, words: str
) -> None:
    Audit.objects.create(
        repository=story.repository, state=State.RUNNING, phase="Parsing", seconds_left=seconds
    )
    assert f"<span>{words} left of this phase</span>" in viewer.get(story.url).content.decode()


def test_waiting_audit_says_that_it_waits_and_where_the_reason_stands(viewer: Client, story: Story) -> None:
    Audit.objects.create(repository=story.repository)
    page = viewer.get(story.url).content.decode()
    assert "Waiting for a worker" in page
    assert "ask an administrator" in page and 'href="/operations/"' not in page
    administrator = Client()
    administrator.force_login(User.objects.create_superuser("administrator"))
    hint = administrator.get(story.url).content.decode().split("as soon as a worker is free")[1][:120]
    assert '<a href="/operations/">Operations</a> says' in hint


def test_poll_after_the_end_reloads_the_page(viewer: Client, story: Story) -> None:
    response = viewer.get(story.url, headers=fragment("audit-panel"))
    assert response.headers["HX-Refresh"] == "true"
    assert "HX-Refresh" not in viewer.get(story.url).headers


def test_a_page_and_its_fragment_are_not_mixed_up_by_caches(viewer: Client, story: Story) -> None:
    assert "HX-Request" in viewer.get(story.url).headers["Vary"]


def test_page_needs_few_queries(
    boss: Client, story: Story, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    # session, user, repository, audits, what they missed, by rule, waived, issues, waivers, worst subjects and files
    with django_assert_num_queries(11):
        boss.get(story.url)


def test_page_of_an_unknown_repository_is_not_found(viewer: Client) -> None:
    assert viewer.get("/repositories/nobody/").status_code == 404


# --- Adding and editing -------------------------------------------------------------------------------------


@pytest.fixture
def git_path(tmp_path: Path) -> Path:
    path = init_repository(tmp_path / "some repo")
    commit_tree(path, {"a.py": "x = 1\n"}, "First", BEGAN, [])
    return path


def form(path: Path | str, **changes: str) -> dict[str, str]:
    return {
        "name": "Billing",
        "location": str(path),
        "branch": "",
        "schedule": "off",
        **changes,
    }


def test_repository_is_added_and_its_page_says_so(sign_in: SignIn, git_path: Path) -> None:
    response = sign_in("add_repository").post("/add-repository/", form(git_path, branch="main"), follow=True)
    assert response.redirect_chain == [("/repositories/billing/", 302)]
    assert "“Billing” was added" in response.content.decode()
    assert Repository.objects.get().location == str(git_path)


def test_two_names_with_the_same_letters_get_two_addresses(sign_in: SignIn, git_path: Path) -> None:
    client = sign_in("add_repository")
    client.post("/add-repository/", form(git_path, name="Billing"))
    client.post("/add-repository/", form(git_path, name="Billing!"))
    assert sorted(Repository.objects.values_list("slug", flat=True)) == ["billing", "billing-2"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": ""}, "Enter a name."),
        ({"name": "日本"}, "at least one letter"),
        ({"name": "x" * 101}, "at most 100"),
        ({"location": ""}, "Enter a path on the server or an https:// URL."),
        ({"location": "/nowhere/at/all"}, "There is no git repository at this path"),
        ({"location": "some/where"}, "Only https:// URLs are fetched"),
        ({"location": "http://example.org/a/b.git"}, "Only https:// URLs are fetched"),
        ({"location": "git@example.org:a/b.git"}, "Only https:// URLs are fetched"),
        ({"location": "https://me:secret@example.org/a/b.git"}, "Take the user name and password out"),
        ({"location": "https://example.org"}, "lacks a host or a path"),
        ({"location": "https://localhost/a/b.git"}, "internal one"),
        ({"location": "https://[::bad/a.git"}, "not a URL"),
        ({"branch": "no-such-branch"}, "There is no commit, tag or branch"),
        ({"branch": "bad..name"}, "not a name that git allows"),
        ({"schedule": "yearly"}, "not one of the available choices"),
    ],
)
def test_every_mistake_is_explained_and_nothing_is_saved(
    sign_in: SignIn, git_path: Path, changes: dict[str, str], said: str
) -> None:
    response = sign_in("add_repository").post("/add-repository/", form(git_path, **changes))
    page = response.content.decode()
    assert response.status_code == 422
    assert said in page
    assert "Nothing was saved" in page
    assert 'aria-invalid="true"' in page
    assert not Repository.objects.exists()


def test_taken_name_is_refused(sign_in: SignIn, git_path: Path, story: Story) -> None:
    response = sign_in("add_repository").post("/add-repository/", form(git_path, name="Story"))
    assert "Another repository has this name" in response.content.decode()


def test_name_that_differs_in_capitals_only_is_refused(sign_in: SignIn, git_path: Path, story: Story) -> None:
    name = story.repository.name.swapcase()
    page = sign_in("add_repository").post("/add-repository/", form(git_path, name=name)).content.decode()
    assert "Another repository has this name" in page
    assert Repository.objects.count() == 1


def test_message_about_a_password_in_the_url_does_not_repeat_it_elsewhere(sign_in: SignIn) -> None:
    page = (
        sign_in("add_repository")
        .post("/add-repository/", form("https://me:s3cret@example.org/a"))
        .content.decode()
    )
    assert page.count("s3cret") == 1  # only in the field, to be corrected


def test_edit_changes_fields_and_keeps_the_address(sign_in: SignIn, story: Story) -> None:
    client = sign_in("change_repository")
    response = client.post(
        story.url + "edit/", form(story.repository.location, name="New name", schedule="daily")
    )
    story.repository.refresh_from_db()
    assert response.headers["Location"] == story.url
    assert (story.repository.name, story.repository.schedule) == ("New name", "daily")


def test_failed_edit_still_names_the_repository_as_it_is(sign_in: SignIn, story: Story) -> None:
    response = sign_in("change_repository").post(story.url + "edit/", form("/nowhere", name="New name"))
    assert response.status_code == 422
    assert "<h1" in response.content.decode()
    assert "Edit Story" in response.content.decode()


@pytest.mark.parametrize("path", ["/add-repository/", "/repositories/story/edit/"])
def test_viewer_may_neither_add_nor_edit(viewer: Client, story: Story, path: str) -> None:
    assert viewer.get(path).status_code == 403
    assert viewer.post(path, form(story.repository.location, name="Mine")).status_code == 403
    assert list(Repository.objects.values_list("name", flat=True)) == ["Story"]


def test_cursor_is_where_something_is_to_be_corrected(sign_in: SignIn, git_path: Path) -> None:
    client = sign_in("add_repository")
    focused = re.compile(r'name="(\w+)"[^>]* autofocus')
    assert focused.findall(client.get("/add-repository/").content.decode()) == ["name"]
    page = client.post(
        "/add-repository/", form(git_path, branch="no-such-branch", schedule="yearly")
    ).content.decode()
    assert focused.findall(page) == ["branch"]
