"""The list of audits, and one of them with its result, its problems or its error."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from audits.engine.git import GitRepository
from audits.engine.policy import parse_policy
from audits.engine.run import audit as engine_audit
from audits.models import Audit, AuditProblem, State
from tests.audits.story import BEGAN, POLICY, Chapter, NoStore, Story, record, tree
from tests.audits.views.conftest import SignIn, fragment
from tests.samples import commit_tree

pytestmark = pytest.mark.django_db


# --- The list -----------------------------------------------------------------------------------------------


def test_list_shows_audits_of_all_repositories_the_newest_first(viewer: Client, story: Story) -> None:
    page = viewer.get("/audits/").content.decode()
    places = [page.index(f'href="/audits/{audit.pk}/"') for audit in story.audits]
    assert places == sorted(places, reverse=True)
    assert "Name each run" in page


def test_list_is_narrowed_by_state_and_repository(viewer: Client, story: Story) -> None:
    failed = Audit.objects.create(repository=story.repository, state=State.FAILED, error_message="Full.")
    page = viewer.get("/audits/?state=failed&repository=story").content.decode()
    assert f'href="/audits/{failed.pk}/"' in page
    assert f'href="/audits/{story.audits[0].pk}/"' not in page
    assert "Audits of Story" in page
    assert "No audit like that" in viewer.get("/audits/?state=cancelled").content.decode()


def test_empty_list_says_where_audits_come_from(viewer: Client) -> None:
    assert "Audits appear here" in viewer.get("/audits/").content.decode()


@pytest.mark.parametrize(
    "query",
    [
        "page=0",
        "page=-1",
        "page=9e9",
        "page=99999999999999999999",
        "page=%00",
        "state=%00",
        "state=x",
        "x=%ff",
    ],
)
def test_list_takes_any_query_string(viewer: Client, story: Story, query: str) -> None:
    assert viewer.get(f"/audits/?{query}").status_code == 200


@pytest.mark.parametrize("slug", ["nobody", "%00", "a" * 300])
def test_list_of_an_unknown_repository_is_not_found(viewer: Client, story: Story, slug: str) -> None:
    assert viewer.get(f"/audits/?repository={slug}").status_code in {200, 404}


def test_list_is_paged(viewer: Client, story: Story) -> None:
    Audit.objects.bulk_create(
        Audit(repository=story.repository, state=State.FAILED, queued_at=timezone.now()) for _ in range(40)
    )
    page = viewer.get("/audits/?repository=story").content.decode()
    assert "1–30 of 43" in page
    assert "?repository=story&amp;page=2" in page
    assert "31–43 of 43" in viewer.get("/audits/?repository=story&page=2").content.decode()


def test_list_polls_its_own_page_while_something_is_in_flight(viewer: Client, story: Story) -> None:
    Audit.objects.create(repository=story.repository, state=State.RUNNING)
    part = viewer.get("/audits/?state=running", headers=fragment("audit-results")).content.decode()
    assert 'hx-get="?state=running" hx-trigger="every 3s"' in part
    assert "<html" not in part


def test_list_needs_few_queries(
    boss: Client, story: Story, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(
        5
    ):  # session, user, count, audits with their repositories, what they missed
        boss.get("/audits/")


# --- One audit ----------------------------------------------------------------------------------------------


def test_audit_shows_figures_changes_phases_and_problems(viewer: Client, story: Story) -> None:
    page = viewer.get(f"/audits/{story.audits[-1].pk}/").content.decode()
    assert "−5 gone" in page
    assert "IDType.<wbr>RUN" in page
    assert "Where the time went" in page
    assert "1 thing could not be looked at" in page
    assert "app/<wbr>huge.<wbr>py" in page
    assert "limits.file_bytes" in page  # says which limit, so that it can be raised


def test_first_audit_has_nothing_to_compare_with(viewer: Client, story: Story) -> None:
    page = viewer.get(f"/audits/{story.audits[0].pk}/").content.decode()
    assert "nothing earlier to compare with" in page
    assert "What this commit changed" not in page


def test_audit_that_added_something_says_what(viewer: Client, story: Story) -> None:
    page = viewer.get(f"/audits/{story.audits[1].pk}/").content.decode()
    assert "+1 new" in page
    assert "gone" not in page.split("What this commit changed")[1].split("</table>")[0]


def test_audit_beside_another_says_why_a_build_fails(viewer: Client, story: Story) -> None:
    first, second, third = story.audits
    page = viewer.get(f"/audits/{second.pk}/?against={first.commit_sha}").content.decode()
    assert "A build of this commit fails: it brings 1 violation." in page
    assert "app/<wbr>late.<wbr>py:5" in page.split('id="beside"')[1].split("</section>")[0]
    assert story.violation(path="app/late.py").get_absolute_url() in page
    page = viewer.get(f"/audits/{third.pk}/?against={second.commit_sha}").content.decode()
    assert "A build of this commit passes" in page and "5 of the older one are gone" in page
    page = viewer.get(f"/audits/{first.pk}/?against=branch").content.decode()
    assert "it brings 4 violations" in page  # beside the newest commit of the branch


def test_audit_of_a_branch_of_its_own_is_put_beside_where_it_began(viewer: Client, story: Story) -> None:
    path = Path(story.repository.location)
    second = story.audits[1].commit_sha
    git = GitRepository(path)

    def record_commit(files: dict[str, str], parent: str) -> Audit:
        time = BEGAN + timedelta(minutes=20)
        sha = commit_tree(path, files, "Aside", time, [parent], branch="aside")
        commit = git.resolve(sha)
        report = engine_audit(git, commit, parse_policy(POLICY), NoStore(), workers=1)
        return record(story.repository, Chapter(commit, report))

    more = tree(late=True) | {"app/aside.py": "from app.ids import IDType\n\nASIDE = IDType.RUN\n"}
    page = viewer.get(f"/audits/{record_commit(more, second).pk}/").content.decode()
    assert "it brings 1 violation" in page and "app/<wbr>aside.<wbr>py:3" in page
    assert "+1 new" in page and "no change" not in page and second[:9] in page
    same = tree(late=True) | {"README.md": "Nothing else"}
    page = viewer.get(f"/audits/{record_commit(same, second).pk}/").content.decode()
    assert "no change" in page and "it brings no violation" in page


@pytest.mark.parametrize(
    ("against", "words"),
    [("main", "by its full id"), ("a" * 40, "No audit of aaaaaaaaa"), ("%00", "full id")],
)
def test_audit_beside_what_there_is_not_says_so(
    viewer: Client, story: Story, against: str, words: str
) -> None:
    page = viewer.get(f"/audits/{story.audits[0].pk}/?against={against}").content.decode()
    assert words in page and "A build of this commit" not in page


def test_problems_are_listed_by_kind_escaped_and_paged(viewer: Client, story: Story) -> None:
    audit = story.audits[-1]
    AuditProblem.objects.bulk_create(
        AuditProblem(audit=audit, path=f"<b>{i:03}.py", kind="missing-blob", message="<i>absent</i>")
        for i in range(60)
    )
    AuditProblem.objects.create(audit=audit, path="", kind="a-kind-of-tomorrow", message="?")
    Audit.objects.filter(pk=audit.pk).update(problems_count=62)
    page = viewer.get(f"/audits/{audit.pk}/").content.decode()
    assert "62 things could not be looked at" in page
    assert "Content is absent" in page
    assert "a-kind-of-tomorrow" in page
    assert "(whole tree)" in page
    assert "<i>absent" not in page
    assert "<b>0" not in page
    assert "1–50 of 62" in page
    assert "51–62 of 62" in viewer.get(f"/audits/{audit.pk}/?page=2").content.decode()


def test_audit_without_problems_says_that_it_saw_everything(viewer: Client, story: Story) -> None:
    audit = story.audits[-1]
    audit.problems.all().delete()
    Audit.objects.filter(pk=audit.pk).update(problems_count=0, counts={}, findings_count=0)
    page = viewer.get(f"/audits/{audit.pk}/").content.decode()
    assert "every Python file of the commit was looked at" in page
    assert "No finding" in page


def test_what_no_rule_reads_is_listed_without_alarm(viewer: Client, story: Story) -> None:
    audit = story.audits[-1]
    for recorded in story.audits:
        recorded.problems.update(kind="link")
    page = viewer.get(f"/audits/{audit.pk}/").content.decode()
    assert "could not be looked at" not in page
    assert "nothing that a rule reads" in page
    assert "app/<wbr>huge.<wbr>py" in page
    for path in ("/", "/audits/", story.url):
        assert "not looked at" not in viewer.get(path).content.decode()


def test_repeated_audit_shows_the_result_that_it_shares(viewer: Client, story: Story) -> None:
    first = story.audits[-1]
    again = Audit.objects.create(
        repository=story.repository, state=State.SUCCEEDED, same_as=first, commit_sha=first.commit_sha,
        audited_parents=first.audited_parents, started_at=timezone.now(), finished_at=timezone.now(),
    )  # fmt: skip
    page = viewer.get(f"/audits/{again.pk}/").content.decode()
    assert f'<a href="/audits/{first.pk}/">audit {first.pk}</a>' in page
    assert "app/<wbr>huge.<wbr>py" in page


def test_failed_audit_shows_the_error_and_offers_another_try_to_who_may(
    viewer: Client, sign_in: SignIn, story: Story
) -> None:
    audit = Audit.objects.create(
        repository=story.repository,
        state=State.FAILED,
        attempts=3,
        error_code="gave-up",
        error_message="<b>No</b>",
    )
    page = viewer.get(f"/audits/{audit.pk}/").content.decode()
    assert "This audit failed after 3 attempts" in page
    assert "&lt;b&gt;No&lt;/b&gt;" in page
    assert "gave-up" in page
    assert "Audit again" not in page
    assert "Audit again" in sign_in("add_audit").get(f"/audits/{audit.pk}/").content.decode()


def test_cancelled_audit_says_how_far_it_came(viewer: Client, story: Story) -> None:
    audit = Audit.objects.create(
        repository=story.repository, state=State.CANCELLED, files_done=1200, files_total=9000
    )
    assert "after 1,200 of 9,000 files" in viewer.get(f"/audits/{audit.pk}/").content.decode()


def test_audit_in_flight_is_polled_until_it_ends(viewer: Client, story: Story) -> None:
    audit = Audit.objects.create(repository=story.repository, state=State.RUNNING)
    response = viewer.get(f"/audits/{audit.pk}/", headers=fragment("audit-panel"))
    assert f'hx-get="/audits/{audit.pk}/" hx-trigger="every 2s"' in response.content.decode()
    assert "HX-Refresh" not in response.headers
    Audit.objects.filter(pk=audit.pk).update(state=State.FAILED)
    response = viewer.get(f"/audits/{audit.pk}/", headers=fragment("audit-panel"))
    assert response.headers["HX-Refresh"] == "true"


@pytest.mark.parametrize("pk", ["999", "99999999999999999999"])
def test_unknown_audit_is_not_found(viewer: Client, pk: str) -> None:
    assert viewer.get(f"/audits/{pk}/").status_code == 404


def test_audit_needs_few_queries(
    boss: Client, story: Story, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    # The session, the user, the audit, what was introduced, what has gone; of problems number, rows and kinds.
    with django_assert_num_queries(8):
        boss.get(f"/audits/{story.audits[-1].pk}/")
