"""What people can do to audits and repositories: that it works, who may, who may not, and what stays as it was."""

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import DjangoCaptureOnCommitCallbacks

from audits import tasks
from audits.models import Audit, Repository, State, Violation
from ssot_dash.models import Activity
from tests.audits.story import Story
from tests.audits.views.conftest import SignIn, fragment

pytestmark = pytest.mark.django_db


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The ids of the audits for which a message was sent to the broker."""
    ids: list[int] = []
    monkeypatch.setattr(tasks.run_audit, "apply_async", lambda args, **options: ids.append(args[0]))
    return ids


# --- Audit now ----------------------------------------------------------------------------------------------


def test_audit_now_queues_one_audit_and_sends_one_message(
    sign_in: SignIn,
    story: Story,
    sent: list[int],
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        response = sign_in("add_audit").post(story.url + "audit/", {"rev": " main~1 "})
    audit = story.repository.audits.first()
    assert audit is not None
    assert response.headers["Location"] == story.url
    assert (audit.state, audit.rev, audit.trigger) == (State.QUEUED, "main~1", "click")
    assert str(audit.requested_by) == "user0"
    assert sent == [audit.pk]


def test_audit_now_by_htmx_answers_with_the_progress(sign_in: SignIn, story: Story) -> None:
    part = sign_in("add_audit").post(story.url + "audit/", headers=fragment("audit-panel")).content.decode()
    assert part.lstrip().startswith('<section id="audit-panel"')
    assert "Waiting for a worker" in part
    assert 'hx-trigger="every 2s"' in part


def test_second_click_shows_the_audit_that_is_already_in_flight(
    sign_in: SignIn,
    story: Story,
    sent: list[int],
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    client = sign_in("add_audit")
    with django_capture_on_commit_callbacks(execute=True):
        client.post(story.url + "audit/")
        response = client.post(story.url + "audit/", follow=True)
    assert story.repository.audits.filter(state=State.QUEUED).count() == 1
    assert len(sent) == 1
    assert "Another audit" not in response.content.decode()


def test_other_revision_while_one_is_in_flight_is_explained(sign_in: SignIn, story: Story) -> None:
    client = sign_in("add_audit")
    client.post(story.url + "audit/")
    page = client.post(story.url + "audit/", {"rev": "v1"}, follow=True).content.decode()
    assert "Another audit of this repository is in flight" in page


@pytest.mark.parametrize("rev", ["-x", "a b", "x" * 400, "a..b", "@{u}", "<script>:x"])
def test_text_that_is_no_revision_is_refused_with_words(sign_in: SignIn, story: Story, rev: str) -> None:
    client = sign_in("add_audit")
    response = client.post(story.url + "audit/", {"rev": rev}, headers=fragment("audit-panel"))
    assert response.status_code == 422
    assert 'role="alert"' in response.content.decode()
    assert "<script>" not in response.content.decode()
    page = client.post(story.url + "audit/", {"rev": rev}, follow=True).content.decode()
    assert "alert-danger" in page
    assert not story.repository.audits.filter(state=State.QUEUED).exists()


def test_nul_in_a_revision_is_taken_out(sign_in: SignIn, story: Story) -> None:
    sign_in("add_audit").post(story.url + "audit/", {"rev": "ma\0in"})
    assert story.repository.audits.filter(rev="main").exists()


def test_viewer_may_not_start_an_audit(viewer: Client, story: Story) -> None:
    assert viewer.post(story.url + "audit/").status_code == 403
    assert viewer.post(f"/audits/{story.audits[0].pk}/retry/").status_code == 403
    assert story.repository.audits.count() == 3


@pytest.mark.parametrize("action", ["audit/", "/audits/1/cancel/", "/audits/1/retry/"])
def test_actions_are_post_only(boss: Client, story: Story, action: str) -> None:
    assert boss.get(action if action.startswith("/") else story.url + action).status_code == 405


def test_actions_need_the_token_of_the_form(story: Story) -> None:
    client = Client(enforce_csrf_checks=True)
    response = client.post(story.url + "audit/")
    assert response.status_code == 403
    assert "The form was out of date" in response.content.decode()


# --- Retry and cancel ---------------------------------------------------------------------------------------


def test_retry_asks_for_the_same_revision_again(sign_in: SignIn, story: Story) -> None:
    failed = Audit.objects.create(repository=story.repository, rev="v2", state=State.FAILED)
    response = sign_in("add_audit").post(f"/audits/{failed.pk}/retry/")
    new = story.repository.audits.latest("pk")
    assert response.headers["Location"] == f"/audits/{new.pk}/"
    assert (new.rev, new.state) == ("v2", State.QUEUED)
    failed.refresh_from_db()
    assert failed.state == State.FAILED


def test_queued_audit_is_cancelled_at_once(sign_in: SignIn, story: Story) -> None:
    audit = Audit.objects.create(repository=story.repository)
    response = sign_in("change_audit").post(f"/audits/{audit.pk}/cancel/", headers=fragment("audit-panel"))
    audit.refresh_from_db()
    assert audit.state == State.CANCELLED
    assert response.headers["HX-Refresh"] == "true"


def test_running_audit_is_asked_to_stop(sign_in: SignIn, story: Story) -> None:
    audit = Audit.objects.create(repository=story.repository, state=State.RUNNING)
    client = sign_in("change_audit")
    headers = {**fragment("audit-panel"), "HX-Current-URL": f"http://testserver{story.url}"}
    part = client.post(f"/audits/{audit.pk}/cancel/", headers=headers).content.decode()
    audit.refresh_from_db()
    assert audit.cancel_requested
    assert "Cancelling" in part
    assert f'hx-get="{story.url}"' in part
    assert f"/audits/{audit.pk}/cancel/" not in part
    assert client.post(f"/audits/{audit.pk}/cancel/").headers["Location"] == f"/audits/{audit.pk}/"


def test_ended_audit_stays_as_it_is_when_cancelled(sign_in: SignIn, story: Story) -> None:
    audit = story.audits[-1]
    sign_in("change_audit").post(f"/audits/{audit.pk}/cancel/")
    audit.refresh_from_db()
    assert (audit.state, audit.cancel_requested) == (State.SUCCEEDED, False)


def test_viewer_may_not_cancel(viewer: Client, sign_in: SignIn, story: Story) -> None:
    audit = Audit.objects.create(repository=story.repository)
    for client in (viewer, sign_in("add_audit")):
        assert client.post(f"/audits/{audit.pk}/cancel/").status_code == 403
        assert f"/audits/{audit.pk}/cancel/" not in client.get(story.url).content.decode()
    audit.refresh_from_db()
    assert audit.state == State.QUEUED


# --- Delete -------------------------------------------------------------------------------------------------


def test_delete_asks_first_and_says_what_goes(sign_in: SignIn, story: Story) -> None:
    page = sign_in("delete_repository").get(story.url + "delete/").content.decode()
    assert "<strong>3</strong> audits" in page
    assert f"<strong>{Violation.objects.count()}</strong> violations" in page
    assert Repository.objects.exists()


def test_deleted_is_gone_at_once_and_its_rows_are_left_to_a_worker(
    sign_in: SignIn,
    story: Story,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    removed: list[int] = []
    monkeypatch.setattr(tasks.finish_removal, "apply_async", lambda args, **_: removed.append(args[0]))
    other = Repository.objects.create(name="Other", slug="other", location="/srv/other.git")
    violations = Violation.objects.count()
    client = sign_in("delete_repository")
    with django_capture_on_commit_callbacks(execute=True):
        response = client.post(story.url + "delete/", follow=True)
    assert "was deleted" in response.content.decode()
    assert list(Repository.objects.all()) == [other]
    assert removed == [story.repository.pk]
    assert Violation.objects.count() == violations
    line = Activity.objects.get(verb="audits:repository-delete")
    assert line.repository == story.repository.name
    assert line.user == User.objects.get(pk=client.session["_auth_user_id"]).username


def test_viewer_may_not_delete(viewer: Client, sign_in: SignIn, story: Story) -> None:
    for client in (viewer, sign_in("change_repository")):
        assert client.get(story.url + "delete/").status_code == 403
        assert client.post(story.url + "delete/").status_code == 403
    assert Repository.objects.exists()
