"""The pages of issues, trackers and test runs, and who may do what on them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from audits import auditing, ingesting, remediation, trackers, working
from audits.models import Covers, Issue, IssueNote, Repository, TestRun, Tracker, TrackerScan
from audits.remediation import Subject
from tests import as_migrated
from tests.audits.conftest import AddRepository
from tests.audits.remedy import AFTER, BEFORE, SUBJECT, Remedy, tell
from tests.audits.story import Story
from tests.audits.views.conftest import SignIn, fragment

RUN = Subject("missing-member", SUBJECT)


@pytest.fixture(scope="session")
def remedy(tmp_path_factory: pytest.TempPathFactory) -> Remedy:
    return tell(tmp_path_factory.mktemp("remedy") / "repository")


@pytest.fixture
def repository(transactional_db: None, remedy: Remedy, add_repository: AddRepository) -> Repository:
    """Audited whole, with trackers and two test runs."""

    def make() -> None:
        repository = add_repository(remedy.path, name="remedy", slug="remedy")
        for covers in (Covers.HISTORY, Covers.COMMIT):
            audit, _ = auditing.request(repository, covers=covers)
            working.run(audit.pk)
        for data, commit in ((BEFORE, remedy.tested), (AFTER, remedy.closed)):
            run, _ = ingesting.receive(repository, data, name="report.xml", commit=commit, branch="main")
            ingesting.read(run.pk)
        remediation.keep_up(repository.pk)

    as_migrated.made_once("remedy_of_issues", ["audits"], make)
    return Repository.objects.get()


@pytest.fixture
def issue(repository: Repository) -> Issue:
    made = remediation.create(
        repository,
        title="SSOT-custom-<b>run</b>",
        kind="custom",
        priority=1,
        subjects=[RUN],
        issue_number=7,
        tracker=Tracker.objects.get(),
    )
    remediation.keep_up(repository.pk)
    made.refresh_from_db()
    return made


def page(client: Client, url: str, status: int = 200) -> str:
    response = client.get(url)
    assert response.status_code == status, response.content[:500]
    return response.content.decode()


def test_the_issue_s_page_shows_claim_beside_evidence(boss: Client, issue: Issue, remedy: Remedy) -> None:
    text = page(boss, f"/issues/{issue.pk}/")
    assert "7 contradictions" in text and "3 new tests" in text
    assert f'/commits/{remedy.fixed}/"><code>{remedy.fixed[:9]}</code></a>' in text
    assert "that commit names #5, not #7" in text
    assert "<b>run" not in text and "{commit:" not in text and "{time:" not in text
    for number in range(7):
        assert f'id="step-{number}"' in text


@pytest.mark.parametrize("show", ["contradictions", "claims", "commits", "tests", "people", "nonsense"])
def test_the_timeline_is_filtered_by_the_address(boss: Client, issue: Issue, show: str) -> None:
    text = page(boss, f"/issues/{issue.pk}/?show={show}")
    assert 'class="moment' in text


def test_the_page_is_bounded_in_queries(
    boss: Client, issue: Issue, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_max_num_queries(32):
        page(boss, f"/issues/{issue.pk}/")


def test_the_board_and_the_list_are_bounded_in_queries(
    boss: Client, issue: Issue, repository: Repository, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(30):
        remediation.create(repository, title=f"n{number}", kind="custom", priority=2, subjects=[])
    for url in ("/issues/", "/issues/?view=list", f"/issues/?repository={repository.slug}"):
        with django_assert_max_num_queries(9):
            page(boss, url)


def test_issues_are_found_by_number_subject_and_contradiction(boss: Client, issue: Issue) -> None:
    remediation.create(issue.repository, title="another one", kind="custom", priority=3, subjects=[])
    for query in (
        "q=%237",
        "q=IDType.RUN",
        "contradicted=1",
        "state=fixed",
        "priority=1",
        "owner=none&priority=1",
    ):
        text = page(boss, f"/issues/?view=list&{query}")
        assert f'href="/issues/{issue.pk}/"' in text and "another one" not in text, query
    assert "No such issue" in page(boss, "/issues/?q=nothing-like-it")
    page(boss, "/issues/?repository=nothing", 404)
    for query in ("priority=9", "state=x", "page=99", "sort=x", "q=%00", "q=%239999999999999"):
        page(boss, f"/issues/?{query}")


def test_an_issue_is_made_from_a_subject_in_one_click(boss: Client, repository: Repository) -> None:
    url = f"/repositories/{repository.slug}/issues/new/?rule=missing-member&subject=app.ids.IDType.THREAD"
    text = page(boss, url)
    assert "SSOT-incomplete-migration-idtype-thread" in text or "SSOT-recent-change-idtype-thread" in text
    key = "missing-member app.ids.IDType.THREAD"
    response = boss.post(
        url,
        {
            "rule": "missing-member",
            "subject": "app.ids.IDType.THREAD",
            "covers": key,
            "title": "t",
            "kind": "custom",
            "priority": "2",
            "reference": "https://example.org/o/n/issues/12",
        },
    )
    made = Issue.objects.get()
    assert response["Location"] == f"/issues/{made.pk}/"
    assert [s.subject for s in made.subjects.all()] == ["app.ids.IDType.THREAD"]
    assert made.references.get().number == 12
    assert "Already covered" in page(boss, url)


def test_a_resolved_subject_is_said_to_be_so_first(boss: Client, repository: Repository) -> None:
    url = f"/repositories/{repository.slug}/issues/new/?rule=missing-member&subject={SUBJECT}"
    assert "Nothing of it is open any more" in page(boss, url)


@pytest.mark.parametrize(
    "values",
    [
        {"title": ""},
        {"title": "x" * 201},
        {"priority": "9"},
        {"kind": "other"},
        {"reference": "javascript:alert(1)"},
        {"due_on": "soon"},
        {"owner": "999999"},
    ],
)
def test_bad_input_saves_nothing_and_says_what_to_do(
    boss: Client, repository: Repository, values: dict[str, str]
) -> None:
    good = {"title": "t", "kind": "custom", "priority": "2", "reference": ""}
    response = boss.post(f"/repositories/{repository.slug}/issues/new/", good | values)
    assert response.status_code == 422 and b"Nothing was saved" in response.content
    assert not Issue.objects.exists()


def test_editing_keeps_a_record_of_who_changed_what(boss: Client, issue: Issue) -> None:
    values = {
        "title": "New title",
        "kind": "custom",
        "priority": "0",
        "reference": "#7",
        "due_on": "2026-06-01",
    }
    assert boss.post(f"/issues/{issue.pk}/edit/", values).status_code == 302
    text = page(boss, f"/issues/{issue.pk}/?show=people")
    assert "boss" in text and "title: SSOT-custom-" in text and "New title" in text


def test_a_comment_is_shown_as_text(viewer: Client, issue: Issue) -> None:
    url = f"/issues/{issue.pk}/notes/"
    viewer.post(url, {"kind": "comment", "text": "<script>alert(1)</script>", "step": "2"})
    text = page(viewer, f"/issues/{issue.pk}/")
    assert "&lt;script&gt;alert(1)" in text and "<script>alert" not in text


@pytest.mark.parametrize(
    "values",
    [
        {"kind": "comment", "text": ""},
        {"kind": "evidence", "url": "javascript:alert(1)"},
        {"kind": "claim", "text": "done", "step": "2"},
        {"kind": "comment", "text": "x", "step": "9"},
        {"kind": "comment", "text": "x" * 10_001},
    ],
)
def test_notes_that_are_not_accepted_are_not_kept(
    viewer: Client, issue: Issue, values: dict[str, str]
) -> None:
    assert viewer.post(f"/issues/{issue.pk}/notes/", values).status_code == 302
    assert not IssueNote.objects.exists()


def test_subjects_are_added_by_the_end_of_their_name_and_taken_away(boss: Client, issue: Issue) -> None:
    boss.post(f"/issues/{issue.pk}/subjects/", {"subject": "IDType.THREAD"})
    assert issue.subjects.count() == 2
    boss.post(f"/issues/{issue.pk}/subjects/", {"remove": str(issue.subjects.order_by("pk").last().pk)})  # type: ignore[union-attr]
    assert issue.subjects.count() == 1
    response = boss.post(f"/issues/{issue.pk}/subjects/", {"subject": "Nothing.LIKE_IT"}, follow=True)
    assert b"No violation of this repository" in response.content
    assert b"before the whole history is audited" not in response.content, "it is"


def test_an_issue_that_covers_nothing_says_so_and_counts_nothing(boss: Client, story: Story) -> None:
    issue = Issue.objects.create(repository=story.repository, title="Of nothing")
    text = page(boss, f"/issues/{issue.pk}/")
    assert "It covers nothing yet" in text and 'href="#covers"' in text
    assert "Not counted: it covers nothing." in text and "tag-green" not in text
    response = boss.post(f"/issues/{issue.pk}/subjects/", {"subject": "Nothing.LIKE_IT"}, follow=True)
    assert "before the whole history is audited" in response.text


def test_an_issue_is_exported(boss: Client, issue: Issue) -> None:
    value = json.loads(page(boss, f"/issues/{issue.pk}/issue.json"))
    assert value["contradictions"] == 7 and len(value["steps"]) == 7
    assert "| 4 remediate |" in page(boss, f"/issues/{issue.pk}/report.md")
    steps = trackers.read(page(boss, f"/issues/{issue.pk}/tracker.md")).steps
    assert len(steps) == 7 and all(mention.state.name == "COMPLETED" for mention in steps.values())


def test_while_trackers_are_looked_for_the_page_says_so_and_asks_again(boss: Client, story: Story) -> None:
    url = f"{story.url}trackers/"
    assert "Looking for trackers" in page(boss, url) and 'hx-trigger="every 5s"' in page(boss, url)
    Repository.objects.update(current_audit=None)
    assert "Looking for trackers" not in page(boss, url), "nothing was audited, so nobody looks"
    Repository.objects.update(current_audit=story.audits[-1])
    part = boss.get(url, headers=fragment("tracker-results")).text
    assert part.lstrip().startswith("<section") and "<html" not in part
    scan = TrackerScan.objects.create(repository=story.repository, error="No such folder.")
    assert "hx-trigger" not in boss.get(url, headers=fragment("tracker-results")).text
    TrackerScan.objects.filter(pk=scan.pk).update(error="", head_sha="a" * 40)
    text = page(boss, url)
    assert "was ever in this repository" in text and "Looking for trackers" not in text


def test_a_tracker_s_page_marks_what_each_line_claims(boss: Client, issue: Issue, remedy: Remedy) -> None:
    tracker = issue.trackers.get()
    assert "RUN is missing" in page(boss, f"/repositories/{issue.repository.slug}/trackers/")
    version = tracker.versions.get(commit_sha=remedy.tested)
    text = page(boss, f"/trackers/{tracker.pk}/?version={version.pk}")
    assert "step 2 completed" in text and 'id="L3"' in text
    for wrong in ("x", "0", "9" * 30):
        page(boss, f"/trackers/{tracker.pk}/?version={wrong}")


def test_a_tracker_is_pasted_or_uploaded_and_its_markup_is_shown_as_text(
    boss: Client, repository: Repository
) -> None:
    url = f"/repositories/{repository.slug}/trackers/paste/"
    text = "# <img src=x onerror=alert(1)>\n\n## Step 0: Discover ✅\n"
    response = boss.post(url, {"text": text, "name": "mine"}, follow=True)
    assert "&lt;img src=x" in response.content.decode() and "<img src=x" not in response.content.decode()
    upload = SimpleUploadedFile("t.md", text.encode().decode("latin-1").encode())
    assert boss.post(url, {"file": upload}).status_code == 302
    assert Tracker.objects.filter(is_pasted=True).count() == 2
    for values in ({}, {"text": "  "}, {"file": SimpleUploadedFile("t.md", b"a\0b")}):
        assert boss.post(url, values).status_code == 422


def test_a_tracker_is_given_to_an_issue_of_its_repository_alone(
    boss: Client, issue: Issue, add_repository: AddRepository
) -> None:
    foreign = Tracker.objects.create(repository=add_repository("/nowhere"), path="x.md")
    boss.post(f"/trackers/{foreign.pk}/issue/", {"issue": str(issue.pk)})
    foreign.refresh_from_db()
    assert foreign.issue is None


def test_an_upload_is_stored_before_the_answer(boss: Client, repository: Repository, remedy: Remedy) -> None:
    url = f"/repositories/{repository.slug}/test-runs/upload/"
    data = {"report": SimpleUploadedFile("new.xml", AFTER), "commit": remedy.fixed[:12], "branch": "main"}
    response = boss.post(url, data)
    run = TestRun.objects.get(commit_sha=remedy.fixed)
    assert response["Location"] == f"/test-runs/{run.pk}/" and run.state == "received"
    assert "stored and will be read" in page(boss, f"/test-runs/{run.pk}/")
    ingesting.read(run.pk)
    assert "AssertionError" in page(boss, f"/test-runs/{run.pk}/")


@pytest.mark.parametrize(
    "values",
    [
        {"commit": "main"},
        {"report": b"", "commit": "main"},
        {"report": b"<x/>", "commit": ""},
        {"report": b"<x/>", "commit": "nowhere"},
    ],
)
def test_an_upload_that_is_not_accepted_says_why(
    boss: Client, repository: Repository, values: dict[str, str | bytes]
) -> None:
    data = {
        name: SimpleUploadedFile("r.xml", value) if isinstance(value, bytes) else value
        for name, value in values.items()
    }
    response = boss.post(f"/repositories/{repository.slug}/test-runs/upload/", data)
    assert response.status_code == 422 and b"invalid-feedback" in response.content
    assert TestRun.objects.count() == 2


def test_runs_are_listed_filtered_compared_and_downloaded(boss: Client, repository: Repository) -> None:
    slug = repository.slug
    newer, older = TestRun.objects.order_by("-pk")
    assert "report.xml" in page(boss, f"/repositories/{slug}/test-runs/?branch=main")
    assert "No test run of this branch" in page(boss, f"/repositories/{slug}/test-runs/?branch=other")
    text = page(boss, f"/test-runs/{older.pk}/?outcome=error&q=value")
    assert "error in setup" in text and "test_starts" not in text
    text = page(boss, f"/repositories/{slug}/test-runs/compare/?before={older.pk}&after={newer.pk}")
    assert "No regression" in text and "Still failing, for another reason" in text
    text = page(boss, f"/repositories/{slug}/test-runs/compare/?before={newer.pk}&after={older.pk}")
    assert "Regressions" in text and "Broken" in text
    for query in ("", "?before=x&after=9", f"?before={older.pk}"):
        assert "Choose two runs" in page(boss, f"/repositories/{slug}/test-runs/compare/{query}")
    response = boss.get(f"/test-runs/{older.pk}/report/")
    assert response.content == BEFORE and "attachment" in response["Content-Disposition"]


def test_a_test_s_page_tells_how_it_ended_and_whether_it_is_flaky(
    boss: Client, repository: Repository, remedy: Remedy
) -> None:
    test = repository.tests.get(name__endswith="test_value")
    text = page(boss, f"/tests/{test.pk}/")
    assert "TypeError" in text and "AssertionError" in text and "Flaky" not in text
    again = AFTER.replace(b"<failure message='AssertionError: assert 0'/>", b"")
    run, _ = ingesting.receive(repository, again, name="again.xml", commit=remedy.closed)
    ingesting.read(run.pk)
    assert "Flaky" in page(boss, f"/tests/{test.pk}/")


def test_run_pages_are_bounded_in_queries(
    boss: Client, repository: Repository, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    run = TestRun.objects.first()
    assert run is not None
    for url in (f"/test-runs/{run.pk}/", f"/repositories/{repository.slug}/test-runs/"):
        with django_assert_max_num_queries(11):
            page(boss, url)


WAYS_IN: list[tuple[str, Callable[[Issue], str]]] = [
    ("add_issue", lambda issue: f"/repositories/{issue.repository.slug}/issues/new/"),
    ("change_issue", lambda issue: f"/issues/{issue.pk}/edit/"),
    ("change_issue", lambda issue: f"/issues/{issue.pk}/subjects/"),
    ("change_issue", lambda issue: f"/issues/{issue.pk}/judge/"),
    ("change_issue", lambda issue: f"/trackers/{issue.trackers.get().pk}/issue/"),
    ("add_tracker", lambda issue: f"/repositories/{issue.repository.slug}/trackers/paste/"),
    ("add_testrun", lambda issue: f"/repositories/{issue.repository.slug}/test-runs/upload/"),
]


def test_who_lacks_the_permission_can_do_nothing(viewer: Client, sign_in: SignIn, issue: Issue) -> None:
    for permission, url_of in WAYS_IN:
        url = url_of(issue)
        assert viewer.post(url, {}).status_code == 403, url
        assert Client().post(url, {}).status_code in {302, 403}, url
        assert sign_in(permission).post(url, {}).status_code in {302, 422}, url
    assert "Edit" not in page(viewer, f"/issues/{issue.pk}/")


def test_strangers_cannot_comment(issue: Issue) -> None:
    response = Client().post(f"/issues/{issue.pk}/notes/", {"kind": "comment", "text": "x"})
    assert response.status_code == 302 and "/login/" in response["Location"]
    assert not IssueNote.objects.exists()


def test_htmx_gets_the_verdicts_alone(boss: Client, issue: Issue) -> None:
    response = boss.get(f"/issues/{issue.pk}/", headers=fragment("issue-verdicts"))
    text = response.content.decode()
    assert text.lstrip().startswith('<div id="issue-verdicts"') and "</html>" not in text


def test_empty_places_say_what_to_do(
    boss: Client, db: None, add_repository: AddRepository, tmp_path: Path
) -> None:
    repository = add_repository(tmp_path)
    assert "No issue yet" in page(boss, f"/issues/?repository={repository.slug}")
    assert "after its first audit" in page(boss, f"/repositories/{repository.slug}/trackers/")
    assert "Upload a report here" in page(boss, f"/repositories/{repository.slug}/test-runs/")


def test_the_board_counts_all_issues_of_a_step_and_shows_the_first_of_them(
    viewer: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    owner = Repository.objects.create(name="Many", slug="many", location="/nowhere")
    Issue.objects.bulk_create(
        Issue(repository=owner, title=f"Number {n:02}", stands_at=2 if n else 5, priority=n % 4)
        for n in range(26)
    )
    with django_assert_max_num_queries(12):
        board = page(viewer, "/issues/")
    column = board.split('id="column-2"')[1].split('id="column-3"')[0]
    assert ">25</span>" in column and column.count("<article") == 20 and "All 25 of them" in column
    assert column.index("Number 04") < column.index("Number 01"), "by priority"
    assert board.split('id="column-5"')[1].count("<article") == 1
    listed = page(viewer, "/issues/?view=list&step=2")
    assert listed.count('class="stack-head"') == 25 and "Number 00" not in listed
    found = page(viewer, "/issues/?q=Number 0")
    assert found.split('id="column-2"')[1].split('id="column-3"')[0].count("<article") == 9
