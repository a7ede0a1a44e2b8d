"""The page of a repository's policy: what it shows, who may change it, what is refused."""

import re

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks

from audits import inquiries, policies, tasks
from audits.models import Audit, PolicyInquiry, PolicySource, State, Trigger
from ssot_dash import __version__
from tests.audits.story import POLICY, Story
from tests.audits.views.conftest import SignIn, fragment

pytestmark = pytest.mark.django_db

WIDER = POLICY + '[zones]\nscript = ["app/**"]\n'


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The ids of the audits for which a message was sent to the broker."""
    ids: list[int] = []
    monkeypatch.setattr(tasks.run_audit, "apply_async", lambda args, **options: ids.append(args[0]))
    return ids


@pytest.fixture
def editor(sign_in: SignIn) -> Client:
    return sign_in("change_repository")


def edit(text: str = WIDER, **changes: str) -> dict[str, str]:
    return {"source": "site", "text": text, "reason": "Scripts", "based_on": "1", **changes}


def test_whoever_only_looks_sees_the_policy_and_its_history_and_no_editor(
    viewer: Client, story: Story
) -> None:
    page = viewer.get(story.url + "policy/").content.decode()
    assert POLICY.splitlines()[2] in page
    assert "Version 1" in page
    assert "<textarea" not in page


def test_the_editor_shows_the_text_as_it_is(editor: Client, story: Story) -> None:
    policies.save(story.repository, "\n\n# <b>\nversion = 1\n")
    page = editor.get(story.url + "policy/").content.decode()
    assert ">\n\n\n# &lt;b&gt;\nversion = 1\n</textarea>" in page


def test_saving_makes_a_version_and_has_the_last_commit_judged_by_it(
    editor: Client, story: Story, sent: list[int]
) -> None:
    answer = editor.post(story.url + "policy/", edit(WIDER.replace("\n", "\r\n")), follow=True)
    assert answer.redirect_chain == [(story.url + "policy/", 302)]
    story.repository.refresh_from_db()
    version = story.repository.policy
    assert version is not None
    assert (version.number, version.text, version.reason) == (2, WIDER, "Scripts")
    assert str(version.author) == "user0"
    audit = Audit.objects.latest("pk")
    assert (audit.state, audit.trigger, audit.rev) == (
        State.QUEUED,
        Trigger.POLICY,
        story.audits[-1].commit_sha,
    )
    page = answer.content.decode()
    assert "Version 2 is saved. Commit" in page
    assert "is being judged by the new policy" in page


def test_the_policy_may_come_from_the_tree(editor: Client, story: Story) -> None:
    answer = editor.post(story.url + "policy/", edit("= not looked at", source="tree"), follow=True)
    story.repository.refresh_from_db()
    assert story.repository.policy is not None
    assert (story.repository.policy.source, story.repository.policy.text) == (PolicySource.TREE, "")
    assert "is not there: add it" in answer.content.decode()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"text": "version = 1\n[zonse]\n"}, "Line 2: "),
        ({"text": "= nonsense"}, "not valid TOML"),
        ({"text": "a\0b"}, "Line 1: not valid TOML"),
        ({"text": "#" * 400_001}, "at most 200,000 characters"),
        ({"reason": " "}, "Say why"),
        ({"source": "elsewhere"}, "Nothing was saved"),
        ({"based_on": "x"}, "Nothing was saved"),
    ],
)
def test_every_mistake_is_explained_and_nothing_is_saved(
    editor: Client, story: Story, changes: dict[str, str], said: str
) -> None:
    answer = editor.post(story.url + "policy/", edit(**changes))
    assert answer.status_code == 422
    assert said in answer.content.decode()
    assert story.repository.policy_versions.count() == 1


def test_the_line_of_an_error_is_marked_without_script(editor: Client, story: Story) -> None:
    page = editor.post(story.url + "policy/", edit("version = 1\n[zonse]\n")).content.decode()
    assert '<span class="is-wrong">2</span>' in page


def test_a_policy_that_somebody_else_saved_meanwhile_is_not_lost(editor: Client, story: Story) -> None:
    policies.save(story.repository, "version = 1\n")
    answer = editor.post(story.url + "policy/", edit())
    page = answer.content.decode()
    assert answer.status_code == 409
    assert "Somebody saved version 2 meanwhile" in page
    assert 'name="based_on" value="2"' in page
    assert "[zones]" in page  # what was typed is still there


def test_what_is_typed_is_checked_and_the_line_is_named(editor: Client, story: Story) -> None:
    def said(text: str) -> str:
        answer = editor.post(story.url + "policy/check/", {"text": text}, headers=fragment("policy-said"))
        assert answer.status_code == 200
        return answer.content.decode()

    assert 'data-line="3"' in said("version = 1\n\n[zonse]\n")
    assert 'data-line="1"' in said("\0")
    assert "Declares 1 forbidden symbol" in said('version = 1\n[[forbidden]]\nsymbol = "os.environ"\n')
    assert "Empty: the default policy" in said(" ")


def test_a_version_shows_its_text_and_what_it_changed(viewer: Client, story: Story) -> None:
    policies.save(story.repository, WIDER, reason="Scripts")
    page = viewer.get(story.url + "policy/versions/2/").content.decode()
    assert '<span class="diff-add">+[zones]' in page
    assert "Restore" not in page
    assert f">SSOT Dash {__version__}</footer>" in page
    first = viewer.get(story.url + "policy/versions/1/?against=2").content.decode()
    assert '<span class="diff-del">-[zones]' in first
    assert viewer.get(story.url + "policy/versions/9/").status_code == 404
    assert viewer.get(story.url + "policy/versions/1/?against=99999999999").status_code == 200


def test_an_earlier_version_is_restored_as_a_new_one(editor: Client, story: Story) -> None:
    policies.save(story.repository, WIDER)
    editor.post(story.url + "policy/versions/1/restore/")
    story.repository.refresh_from_db()
    assert story.repository.policy is not None
    assert (story.repository.policy.number, story.repository.policy.text) == (3, POLICY)
    assert story.repository.policy.reason == "Restores version 1"


@pytest.mark.parametrize("path", ["policy/", "policy/check/", "policy/versions/1/restore/"])
def test_who_may_not_change_the_repository_changes_no_policy(
    sign_in: SignIn, story: Story, path: str
) -> None:
    policies.save(story.repository, WIDER)
    client = sign_in("add_repository", "add_audit", "delete_repository")
    assert client.post(story.url + path, edit()).status_code == 403
    story.repository.refresh_from_db()
    assert story.repository.policy is not None and story.repository.policy.number == 2


def test_an_audit_names_its_version(viewer: Client, story: Story) -> None:
    page = viewer.get(f"/audits/{story.audits[0].pk}/").content.decode()
    assert f'{story.url}policy/versions/1/">version 1</a>' in page


def test_page_needs_as_many_queries_for_many_versions_as_for_one(
    editor: Client, story: Story, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(20):
        policies.save(story.repository, f"version = 1\n# {number}\n")
    # session, user, repository, versions counted, versions, audit in flight, permissions of the user and of groups
    with django_assert_num_queries(8):
        editor.get(story.url + "policy/")


# --- Previews -------------------------------------------------------------------------------------------------


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The ids of the inquiries for which a message was sent to the broker."""
    ids: list[int] = []
    monkeypatch.setattr(tasks.answer_inquiry, "apply_async", lambda args, **options: ids.append(args[0]))
    return ids


def test_a_preview_is_asked_for_by_a_click_and_answered_by_a_worker(
    editor: Client,
    story: Story,
    asked: list[int],
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    headers = fragment("policy-preview")
    with django_capture_on_commit_callbacks(execute=True):
        answer = editor.post(story.url + "policy/preview/", edit(reason=""), headers=headers)
    inquiry = PolicyInquiry.objects.get()
    assert asked == [inquiry.pk]
    assert answer.headers["HX-Replace-Url"] == f"{story.url}policy/?inquiry={inquiry.pk}"
    address = f"{story.url}policy/inquiries/{inquiry.pk}/"
    assert f'hx-get="{address}" hx-trigger="every 1s"' in answer.content.decode()
    inquiries.answer(inquiry.pk)
    page = editor.get(address, headers=headers).content.decode()
    assert "every 1s" not in page
    assert "Production to Scripts" in page
    assert editor.get(address).headers["Location"].startswith(f"{story.url}policy/?inquiry=")
    whole = editor.get(f"{story.url}policy/?inquiry={inquiry.pk}").content.decode()
    assert "script = [&quot;app/**&quot;]" in whole  # the draft is still in the editor
    assert story.repository.policy_versions.count() == 1


def test_a_preview_works_without_htmx(editor: Client, story: Story) -> None:
    answer = editor.post(story.url + "policy/preview/", edit())
    assert answer.headers["Location"].endswith(
        f"policy/?inquiry={PolicyInquiry.objects.get().pk}#policy-preview"
    )
    bad = editor.post(story.url + "policy/preview/", edit("= nonsense"))
    assert bad.status_code == 422
    assert "not valid TOML" in bad.content.decode()


def test_a_text_with_an_error_is_not_previewed(editor: Client, story: Story) -> None:
    headers = fragment("policy-preview")
    answer = editor.post(story.url + "policy/preview/", edit("= nonsense"), headers=headers)
    assert answer.status_code == 422
    assert "Mend what is marked" in answer.content.decode()
    assert not PolicyInquiry.objects.exists()


@pytest.mark.parametrize("path", ["policy/preview/", "policy/suggest/"])
def test_who_may_not_change_the_repository_asks_nothing(
    viewer: Client, editor: Client, story: Story, path: str
) -> None:
    assert viewer.post(story.url + path, edit()).status_code == 403
    editor.post(story.url + "policy/preview/", edit())
    inquiry = PolicyInquiry.objects.get()
    assert viewer.get(f"{story.url}policy/inquiries/{inquiry.pk}/").status_code == 403
    assert "&quot;app/**&quot;" not in viewer.get(f"{story.url}policy/?inquiry={inquiry.pk}").content.decode()


@pytest.mark.parametrize("number", ["x", "999", "9" * 40])
def test_a_strange_inquiry_shows_the_page_without_one(editor: Client, story: Story, number: str) -> None:
    assert editor.get(f"{story.url}policy/?inquiry={number}").status_code == 200


def test_a_suggested_policy_is_put_into_the_editor_by_a_link(
    editor: Client, story: Story, asked: list[int]
) -> None:
    policies.save(story.repository, "")
    page = editor.get(story.url + "policy/").content.decode()
    assert "Suggest a policy" in page
    editor.post(story.url + "policy/suggest/")
    inquiry = PolicyInquiry.objects.get()
    inquiries.answer(inquiry.pk)
    page = editor.get(f"{story.url}policy/?inquiry={inquiry.pk}").content.decode()
    assert "doubtful and commented out" in page
    text = re.search(r"<textarea.*?>\n(.*?)</textarea>", page, re.DOTALL)
    assert text is not None and text[1] == ""
    page = editor.get(f"{story.url}policy/?inquiry={inquiry.pk}&use=1").content.decode()
    text = re.search(r"<textarea.*?>\n(.*?)</textarea>", page, re.DOTALL)
    assert text is not None and text[1].startswith("# A policy to begin with")
