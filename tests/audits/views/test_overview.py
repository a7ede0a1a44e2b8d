"""The overview: every repository, its open violations per zone, its last audit."""

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from audits import scoring
from audits.models import Audit, Issue, Repository, State, Violation
from tests.audits.story import Story
from tests.audits.views.conftest import SignIn, fragment

pytestmark = pytest.mark.django_db


def test_empty_overview_says_how_to_begin(boss: Client) -> None:
    page = boss.get("/").content.decode()
    assert "Add the first repository" in page
    assert 'href="/add-repository/"' in page
    assert "load_sample" in page


def test_empty_overview_sends_a_viewer_to_an_administrator(viewer: Client) -> None:
    page = viewer.get("/").content.decode()
    assert "/add-repository/" not in page
    assert "Ask an administrator" in page


def test_repository_is_shown_with_a_link_for_each_zone_that_has_violations(
    viewer: Client, story: Story
) -> None:
    page = viewer.get("/").content.decode()
    assert f'<a href="{story.url}violations/?zone=prod">2</a>' in page
    assert "zone=script" not in page  # none is open there, so there is nothing to follow
    assert "P0" in page
    assert f'abbr="{story.repository.name}"' in page
    assert "not looked at" in page


def test_repository_that_was_never_audited_has_no_zeros(viewer: Client) -> None:
    Repository.objects.create(name="New", slug="new", location="/srv/new.git")
    page = viewer.get("/").content.decode()
    assert "Never audited" in page
    assert page.count('title="Not audited yet"') == 4


def test_failed_audit_shows_why(viewer: Client) -> None:
    repository = Repository.objects.create(name="New", slug="new", location="/srv/new.git")
    Audit.objects.create(repository=repository, state=State.FAILED, error_message="No such <branch>.")
    page = viewer.get("/").content.decode()
    assert "No such &lt;branch&gt;." in page


@pytest.mark.parametrize("page", ["overview", "repository"])
def test_issues_that_evidence_speaks_against_are_said_first(viewer: Client, story: Story, page: str) -> None:
    url = "/" if page == "overview" else story.url
    Issue.objects.create(repository=story.repository, title="One")
    assert "contradicted" not in viewer.get(url).content.decode()
    for title, contradictions in (("Two", 2), ("Three", 4)):
        Issue.objects.create(repository=story.repository, title=title, contradictions=contradictions)
    shown = viewer.get(url).content.decode()
    assert "2 of 3 issues contradicted by evidence" in shown
    link = f"/issues/?repository={story.repository.slug}&amp;contradicted=1"
    assert f'href="{link}"' in shown
    listed = viewer.get(link.replace("&amp;", "&")).content.decode()
    assert "Two" in listed and "Three" in listed and "One" not in listed
    assert page == "overview" or "6 statements about their repair are not so" in shown


def test_sample_is_labelled_and_removable_only_by_who_may(viewer: Client, sign_in: SignIn) -> None:
    Repository.objects.create(name="Parcels", slug="parcels", location="/srv/p.git", is_sample=True)
    page = viewer.get("/").content.decode()
    assert "is a sample" in page
    assert "Remove sample" not in page
    page = sign_in("delete_repository").get("/").content.decode()
    assert "Remove sample" in page
    assert 'action="/repositories/parcels/delete/"' in page


def test_list_polls_only_while_an_audit_is_in_flight(viewer: Client, story: Story) -> None:
    assert "every 3s" not in viewer.get("/").content.decode()
    Audit.objects.create(repository=story.repository, state=State.RUNNING, files_done=3, files_total=9)
    page = viewer.get("/").content.decode()
    assert "every 3s" in page
    assert "3 of 9" in page


def test_fragment_is_the_list_alone_and_a_strange_target_gets_the_page(viewer: Client, story: Story) -> None:
    part = viewer.get("/", headers=fragment("repository-list")).content.decode()
    assert part.lstrip().startswith('<div id="repository-list"')
    page = viewer.get("/", headers=fragment("../secret")).content.decode()
    assert page.startswith("<!doctype html>")


def test_counts_that_an_older_version_did_not_keep_are_counted(
    viewer: Client, story: Story, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    kept = viewer.get("/").content.decode()
    Repository.objects.update(score={})
    page = viewer.get("/").content.decode()
    shown = f'<a href="{story.url}violations/?zone=prod">2</a>'
    assert shown in kept and shown in page


def test_a_waiver_stops_to_count_with_its_day(viewer: Client, story: Story) -> None:
    day = datetime.now(UTC).date()
    counted = f'<a href="{story.url}violations/?zone=prod">2</a>'
    for until, is_counted in ((day, False), (day - timedelta(days=1), True), (None, True)):
        Violation.objects.update(waived_until=until)
        scoring.renew(story.repository.pk)
        page = viewer.get("/").content.decode()
        assert (counted in page) is is_counted, until
        assert (" waived</a>, not counted here" in page) is not is_counted


def test_overview_needs_the_same_queries_for_many_repositories(
    boss: Client, story: Story, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(5):
        repository = Repository.objects.create(name=f"R{number}", slug=f"r{number}", location="/srv/r.git")
        Audit.objects.create(repository=repository, state=State.SUCCEEDED, commit_sha=f"{number}" * 40)
    with django_assert_num_queries(
        7
    ):  # session, user, repositories, latest audits, what they missed, issues, waivers to act on
        boss.get("/")


def test_nothing_is_shown_without_signing_in(client: Client, story: Story) -> None:
    for path in ("/", story.url, story.url + "violations/", "/audits/", "/add-repository/"):
        response = client.get(path)
        assert response.status_code == 302
        assert response.headers["Location"].startswith("/login/")
