"""Questions about drafts of a policy: what a draft would change, from known facts, and how a question can end."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from audits import auditing, inquiries, policies, working
from audits.engine import run as engine
from audits.models import Audit, PolicyInquiry, PolicySource, Repository, State
from tests.audits.conftest import AddRepository, Drifting

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def ada() -> User:
    return User.objects.create_user("ada")


@pytest.fixture
def repository(add_repository: AddRepository, drifting: Drifting) -> Repository:
    """Its second commit is audited, with three violations in app/runs.py."""
    repository = add_repository(drifting.path)
    audit, _ = auditing.request(repository, drifting.second)
    working.run(audit.pk)
    repository.refresh_from_db()
    return repository


def answered(repository: Repository, ada: User, text: str, **options: PolicySource) -> PolicyInquiry:
    inquiry = inquiries.ask(repository, ada, text=text, **options)
    inquiries.answer(inquiry.pk)
    inquiry.refresh_from_db()
    return inquiry


def test_a_draft_says_what_it_would_remove_and_saves_nothing(
    repository: Repository, ada: User, drifting: Drifting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audits.engine.run.ParsePool", None)  # nothing may be parsed
    inquiry = answered(repository, ada, 'version = 1\nexclude = ["app/runs.py"]\n')
    assert (inquiry.state, inquiry.error) == (State.SUCCEEDED, "")
    answer = inquiry.answer
    assert (answer["commit"], answer["before"], answer["after"]) == (drifting.second, 3, 0)
    assert (answer["added"], answer["removed"], answer["moved"]) == (0, 3, 0)
    assert answer["rows"] == [
        {"rule": "missing-member", "zone": "prod", "before": 3, "after": 0, "added": 0, "removed": 3}
    ]
    (group,) = answer["places"]["removed"]
    assert (group["rule"], group["count"], len(group["places"])) == ("missing-member", 3, 3)
    assert group["places"][0]["path"] == "app/runs.py"
    assert repository.violations.filter(is_open=True).count() == 3
    assert not repository.policy_versions.exists()
    assert Audit.objects.count() == 1


def test_a_draft_that_is_saved_is_not_judged_twice(
    repository: Repository, ada: User, drifting: Drifting, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = 'version = 1\n[[forbidden]]\nsymbol = "app.ids.IDType"\n'
    inquiry = answered(repository, ada, text)
    monkeypatch.setattr("audits.facts_store.PostgresFactsStore.get_many", None)  # no facts may be read
    policies.save(repository, text, user=ada)
    audit, _ = auditing.request(repository, drifting.second)
    working.run(audit.pk)
    audit.refresh_from_db()
    assert (audit.state, audit.error_message) == (State.SUCCEEDED, "")
    assert audit.findings_count == inquiry.answer["after"] > 3


def test_a_draft_says_what_it_would_add(repository: Repository, ada: User) -> None:
    inquiry = answered(repository, ada, 'version = 1\n[[forbidden]]\nsymbol = "app.ids.IDType"\n')
    (row,) = inquiry.answer["rows"]
    assert (row["rule"], row["zone"], row["added"], row["removed"]) == ("forbidden-reference", "prod", 3, 0)
    assert inquiry.answer["after"] == 6


def test_a_move_to_another_zone_is_told_as_such(repository: Repository, ada: User) -> None:
    inquiry = answered(repository, ada, 'version = 1\n[zones]\nscript = ["app/**"]\n')
    answer = inquiry.answer
    assert (answer["added"], answer["removed"], answer["moved"]) == (0, 0, 3)
    assert [(r["zone"], r["before"], r["after"]) for r in answer["rows"]] == [
        ("prod", 3, 0),
        ("script", 0, 3),
    ]
    old, new = answer["places"]["moved"][0]
    assert (old["zone"], new["zone"]) == ("prod", "script")


def test_waivers_of_a_draft_are_counted(repository: Repository, ada: User) -> None:
    day = (timezone.now() + timedelta(days=9)).date().isoformat()
    waiver = f'rule = "missing-member"\npath = "app/**"\nreason = "x"\nowner = "y"\nexpires = {day}\n'
    inquiry = answered(repository, ada, f"version = 1\n[[waiver]]\n{waiver}")
    assert (inquiry.answer["rows"], inquiry.answer["waived"]) == ([], 3)


def test_what_another_engine_saw_is_not_taken_for_the_draft_s_doing(
    repository: Repository, ada: User
) -> None:
    Audit.objects.update(engine_version="0")
    repository.current_audit.sightings.all().delete()  # type: ignore[union-attr]
    inquiry = answered(repository, ada, "version = 1\n")
    assert (inquiry.answer["before"], inquiry.answer["rows"]) == (3, [])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"current_audit": None}, "No commit of this repository was audited yet"),
        ({"location": "/nowhere"}, "/nowhere is not a git repository."),
    ],
)
def test_what_cannot_be_answered_fails_in_clear_words(
    repository: Repository, ada: User, change: dict[str, str | None], words: str
) -> None:
    Repository.objects.update(**change)
    inquiry = answered(repository, ada, "")
    assert inquiry.state == State.FAILED
    assert words in inquiry.error


def test_a_draft_that_comes_from_the_tree_needs_a_file_there(repository: Repository, ada: User) -> None:
    inquiry = answered(repository, ada, "", source=PolicySource.TREE)
    assert inquiry.state == State.FAILED
    assert "is not there: add it" in inquiry.error


def test_another_question_of_the_same_person_takes_its_place(repository: Repository, ada: User) -> None:
    first = inquiries.ask(repository, ada, text="")
    other = inquiries.ask(repository, User.objects.create_user("bob"), text="")
    second = inquiries.ask(repository, ada, text="")
    inquiries.answer(first.pk)
    states = dict(PolicyInquiry.objects.values_list("pk", "state"))
    assert states == {first.pk: State.CANCELLED, other.pk: State.QUEUED, second.pk: State.QUEUED}


def test_a_question_that_is_taken_back_stops_its_work(
    repository: Repository, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    inquiry = inquiries.ask(repository, ada, text="")

    def audit(*arguments: object, progress: inquiries._Beat, **options: object) -> None:
        PolicyInquiry.objects.update(state=State.CANCELLED)
        progress(engine.Progress("Listing files", 0, 0))

    monkeypatch.setattr(engine, "audit", audit)
    inquiries.answer(inquiry.pk)
    inquiry.refresh_from_db()
    assert (inquiry.state, inquiry.answer) == (State.CANCELLED, {})


def test_a_question_whose_worker_was_lost_ends_and_old_ones_are_forgotten(
    repository: Repository, ada: User
) -> None:
    lost = inquiries.ask(repository, ada, text="")
    long_ago = timezone.now() - timedelta(minutes=10)
    PolicyInquiry.objects.update(state=State.RUNNING, beat_at=long_ago)
    inquiries.tidy()
    lost.refresh_from_db()
    assert (lost.state, lost.error) == (State.FAILED, "The worker was lost. Ask once more.")
    PolicyInquiry.objects.update(asked_at=timezone.now() - timedelta(days=2))
    inquiries.tidy()
    assert not PolicyInquiry.objects.exists()


def test_a_lost_message_is_sent_again_once_a_while(repository: Repository, ada: User) -> None:
    inquiry = inquiries.ask(repository, ada, text="")
    assert inquiries.to_answer() == []
    PolicyInquiry.objects.update(asked_at=timezone.now() - timedelta(minutes=1))
    assert inquiries.to_answer() == [inquiry.pk]
    assert inquiries.to_answer() == []


def test_an_error_of_the_work_is_written_down(
    repository: Repository, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policies, "policy_of", None)
    inquiry = answered(repository, ada, "")
    assert inquiry.state == State.FAILED
    assert inquiry.error.startswith("TypeError")


def test_a_policy_to_begin_with_is_suggested_from_known_facts(
    repository: Repository, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audits.engine.run.ParsePool", None)  # nothing may be parsed
    inquiry = inquiries.ask(repository, ada, kind=PolicyInquiry.Kind.SUGGESTION)
    inquiries.answer(inquiry.pk)
    inquiry.refresh_from_db()
    assert inquiry.state == State.SUCCEEDED, inquiry.error
    assert (inquiry.answer["ready"], inquiry.answer["doubtful"]) == (0, 1)
    assert '#: enum = "app.ids.IDType"' in inquiry.answer["text"]
