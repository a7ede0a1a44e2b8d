"""The history of a repository as rows: made once, extended by new commits, kept when a branch is rewritten."""

from pathlib import Path

import pygit2
import pytest
from celery.exceptions import SoftTimeLimitExceeded

from audits import auditing, removing, working
from audits.models import Audit, Commit, Covers, Event, History, Repository, State, Trigger, Violation
from tests.audits.conftest import AddRepository, Drifting
from tests.samples import commit_tree, init_repository

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def repository(drifting: Drifting, add_repository: AddRepository) -> Repository:
    return add_repository(drifting.path)


def whole_history(repository: Repository, trigger: Trigger = Trigger.CLICK) -> Audit:
    audit, _ = auditing.request(repository, trigger=trigger, covers=Covers.HISTORY)
    working.run(audit.pk)
    audit.refresh_from_db()
    return audit


def one_commit(repository: Repository) -> Audit:
    audit, _ = auditing.request(repository)
    working.run(audit.pk)
    audit.refresh_from_db()
    return audit


def told(repository: Repository) -> list[tuple[str, str, int]]:
    """(subject of the commit, kind, number of violations) of all events."""
    events = Event.objects.filter(commit__repository=repository).order_by("commit__position", "kind")
    found: dict[tuple[str, str], int] = {}
    for event in events.select_related("commit"):
        key = (event.commit.subject, event.kind)
        found[key] = found.get(key, 0) + 1
    return [(subject, kind, count) for (subject, kind), count in found.items()]


def test_every_commit_and_what_it_did_is_recorded(repository: Repository, drifting: Drifting) -> None:
    audit = whole_history(repository)
    assert (audit.state, audit.error_message) == (State.SUCCEEDED, "")
    assert (audit.files_read, audit.findings_count, audit.counts) == (3, 0, {})
    assert told(repository) == [
        ("Name runs", "introduced", 1),
        ("End runs, too", "introduced", 2),
        ("Runs are an ID type", "gone", 3),
    ]
    commits = list(Commit.objects.filter(repository=repository))
    assert [c.sha for c in commits] == [drifting.first, drifting.second, drifting.third]
    assert [(c.introduced, c.gone, c.counts, c.on_main) for c in commits] == [
        (1, 0, {"missing-member": {"prod": 1}}, True),
        (2, 0, {"missing-member": {"prod": 3}}, True),
        (0, 3, {}, True),
    ]
    assert History.objects.get(repository=repository).head_sha == drifting.third
    assert repository.violations.filter(is_open=True).count() == 0


def test_doing_it_again_gives_the_same_rows(repository: Repository) -> None:
    whole_history(repository)
    before = told(repository), Violation.objects.count()
    History.objects.update(policy_digest="another")
    whole_history(repository)
    assert (told(repository), Violation.objects.count()) == before


def test_history_and_audits_share_their_violations(repository: Repository, drifting: Drifting) -> None:
    audit, _ = auditing.request(repository, drifting.second)
    working.run(audit.pk)
    whole_history(repository)
    assert Violation.objects.count() == 3
    assert {v.events.count() for v in Violation.objects.all()} == {2}
    assert all(v.latest_audit_id == audit.pk for v in Violation.objects.all())


def test_new_commits_are_added_after_an_audit_of_the_branch(
    repository: Repository, drifting: Drifting
) -> None:
    whole_history(repository)
    old = list(Commit.objects.values_list("pk", flat=True))
    use = {
        "app/ids.py": "from enum import Enum\nclass IDType(Enum):\n    USER = 'user'\n",
        "app/__init__.py": "",
    }
    new = commit_tree(
        drifting.path,
        use | {"app/new.py": "from app.ids import IDType\nIDType.LATE\n"},
        "Later",
        1_700_000_300,
        [drifting.third],
    )
    follow_up = auditing.follow_up(one_commit(repository).pk)
    assert follow_up is not None
    assert (follow_up.covers, follow_up.trigger) == (Covers.HISTORY, Trigger.FOLLOW_UP)
    working.run(follow_up.pk)
    assert list(Commit.objects.values_list("pk", flat=True))[:3] == old
    assert Commit.objects.get(sha=new).position == 3
    assert told(repository)[-1] == ("Later", "introduced", 1)
    assert auditing.follow_up(one_commit(repository).pk) is None, "nothing is new"


def test_without_a_history_nothing_follows(repository: Repository) -> None:
    assert auditing.follow_up(one_commit(repository).pk) is None


def test_a_rewritten_branch_keeps_what_was_known_and_says_so(
    repository: Repository, drifting: Drifting
) -> None:
    whole_history(repository)
    before = told(repository)
    commit_tree(drifting.path, {"app.py": "x = 1\n"}, "Another beginning", 1_700_000_400, [])
    follow_up = auditing.follow_up(one_commit(repository).pk)
    assert follow_up is not None
    working.run(follow_up.pk)
    follow_up.refresh_from_db()
    assert (follow_up.state, follow_up.error_code) == (State.FAILED, "rewritten")
    assert (
        "rewritten" in follow_up.error_message and "audit the whole history again" in follow_up.error_message
    )
    history = History.objects.get(repository=repository)
    assert history.stale_since is not None and told(repository) == before
    assert auditing.follow_up(one_commit(repository).pk) is None, "it is said once"
    assert whole_history(repository).state == State.SUCCEEDED
    history.refresh_from_db()
    assert history.stale_since is None and told(repository) == []


def test_a_renamed_file_takes_its_violations_along_when_it_comes_later(
    tmp_path: Path, add_repository: AddRepository
) -> None:
    path = init_repository(tmp_path / "moving")
    enum = "from enum import Enum\nclass Kind(Enum):\n    RED = 1\n"
    use = "from kinds import Kind\ndef f():\n    return Kind.BLUE\n"
    one = commit_tree(path, {"kinds.py": enum, "use.py": use}, "One", 1_700_000_000, [])
    repository = add_repository(path)
    whole_history(repository)
    two = commit_tree(path, {"kinds.py": enum, "moved.py": use}, "Two", 1_700_000_100, [one])
    commit_tree(path, {"kinds.py": enum}, "Three", 1_700_000_200, [two])
    whole_history(repository)
    (moved,) = Violation.objects.filter(path="moved.py")
    assert [(e.commit.subject, e.kind) for e in moved.events.all()] == [
        ("One", "introduced"),
        ("Three", "gone"),
    ]


def test_a_merge_that_leads_onto_another_line_moves_the_branch_there(
    tmp_path: Path, add_repository: AddRepository
) -> None:
    path = init_repository(tmp_path / "lines")
    a = commit_tree(path, {"a.py": ""}, "a", 1_700_000_000, [])
    b = commit_tree(path, {"a.py": "", "b.py": ""}, "b", 1_700_000_100, [a])
    repository = add_repository(path)
    whole_history(repository)
    c = commit_tree(path, {"a.py": "", "c.py": ""}, "c", 1_700_000_200, [a])
    commit_tree(path, {"a.py": "", "b.py": "", "c.py": ""}, "m", 1_700_000_300, [c, b])
    whole_history(repository)
    on_main = Commit.objects.filter(repository=repository, on_main=True)
    assert set(on_main.values_list("subject", flat=True)) == {"a", "c", "m"}


def test_a_history_alone_is_followed_by_an_audit_that_says_what_is_open(
    repository: Repository, drifting: Drifting
) -> None:
    audit, _ = auditing.request(repository, drifting.second, covers=Covers.HISTORY)
    working.run(audit.pk)
    follow_up = auditing.follow_up(audit.pk)
    assert follow_up is not None
    assert (follow_up.covers, follow_up.rev) == (Covers.COMMIT, drifting.second)
    working.run(follow_up.pk)
    assert repository.violations.filter(is_open=True).count() == 3
    assert auditing.follow_up(audit.pk) is None


def test_a_cancelled_history_leaves_what_was_known(repository: Repository) -> None:
    whole_history(repository)
    before = told(repository)
    audit, _ = auditing.request(repository, covers=Covers.HISTORY)
    assert auditing.cancel(audit)
    working.run(audit.pk)
    audit.refresh_from_db()
    assert audit.state == State.CANCELLED and told(repository) == before


def test_a_history_that_takes_too_long_says_that_it_can_go_on(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(*_: object, **__: object) -> None:
        raise SoftTimeLimitExceeded

    monkeypatch.setattr(working, "follow_commits", slow)
    audit = whole_history(repository)
    assert (audit.state, audit.error_code) == (State.FAILED, "timeout")
    assert "it goes on from there" in audit.error_message


def test_removing_a_repository_removes_its_history(repository: Repository) -> None:
    whole_history(repository)
    removing.remove(repository)
    removing.go_on(repository.pk)
    assert not Commit.objects.exists() and not Event.objects.exists() and not History.objects.exists()


ENUM = "from enum import Enum\nclass Kind(Enum):\n    RED = 1\n"
USE = "from kinds import Kind\ndef f():\n    return Kind.BLUE\n"


def story_of(violation: Violation) -> list[tuple[str, str]]:
    return [
        (event.commit.subject, event.kind) for event in violation.events.order_by("commit__position", "pk")
    ]


def moving(path: Path, *stages: tuple[str, dict[str, str]]) -> Path:
    """Commits one after another, each by its name and its files besides the enum."""
    init_repository(path)
    parents: list[str] = []
    for number, (name, files) in enumerate(stages):
        parents = [
            commit_tree(path, {"kinds.py": ENUM, **files}, name, 1_700_000_000 + 100 * number, parents)
        ]
    return path


@pytest.mark.parametrize("at_once", [True, False])
def test_what_went_and_comes_back_by_a_rename_is_one_violation(
    tmp_path: Path, add_repository: AddRepository, at_once: bool
) -> None:
    stages = (
        ("here", {"a.py": USE}),
        ("gone", {}),
        ("elsewhere", {"b.py": USE}),
        ("renamed", {"a.py": USE}),
    )
    path = moving(tmp_path / "moving", *stages[: None if at_once else 3])
    repository = add_repository(path)
    assert whole_history(repository).state == State.SUCCEEDED
    if not at_once:
        moving(tmp_path / "again", *stages)
        repository.location = str(tmp_path / "again")
        repository.save()
        assert whole_history(repository).state == State.SUCCEEDED
    one_commit(repository)
    standing = repository.violations.get(is_open=True)
    assert standing.path == "a.py"
    assert story_of(standing) == [("here", "introduced"), ("gone", "gone"), ("elsewhere", "introduced")]
    assert all(not story_of(other) for other in repository.violations.exclude(pk=standing.pk))


@pytest.mark.parametrize("at_once", [True, False])
def test_two_that_stood_together_make_one_life_when_a_rename_joins_them(
    tmp_path: Path, add_repository: AddRepository, at_once: bool
) -> None:
    stages = (
        ("both", {"a.py": USE, "b.py": USE}),
        ("one left", {"b.py": USE}),
        ("renamed", {"a.py": USE}),
        ("mended", {"a.py": ""}),
    )
    path = moving(tmp_path / "moving", *stages[: None if at_once else 2])
    repository = add_repository(path)
    assert whole_history(repository).state == State.SUCCEEDED
    if not at_once:
        moving(tmp_path / "again", *stages)
        repository.location = str(tmp_path / "again")
        repository.save()
        assert whole_history(repository).state == State.SUCCEEDED
    assert story_of(repository.violations.get(path="a.py")) == [("both", "introduced"), ("mended", "gone")]


def test_a_history_that_another_audit_got_in_front_of_follows_afterwards(
    repository: Repository, drifting: Drifting
) -> None:
    whole_history(repository)
    new = commit_tree(drifting.path, {"app.py": "x = 1\n"}, "Later", 1_700_000_300, [drifting.third])
    newest = one_commit(repository)
    in_front, _ = auditing.request(repository, drifting.first)
    assert auditing.follow_up(newest.pk) is None, "one audit at a time"
    working.run(in_front.pk)
    follow_up = auditing.follow_up(in_front.pk)
    assert follow_up is not None and follow_up.covers == Covers.HISTORY
    working.run(follow_up.pk)
    assert History.objects.get().head_sha == new
    again, _ = auditing.request(repository, drifting.second)
    working.run(again.pk)
    assert auditing.follow_up(again.pk) is None, "nothing is new"


def test_a_history_that_failed_is_not_asked_for_again_by_every_audit(
    repository: Repository, drifting: Drifting
) -> None:
    whole_history(repository)
    commit_tree(drifting.path, {"app.py": "x = 1\n"}, "Later", 1_700_000_300, [drifting.third])
    follow_up = auditing.follow_up(one_commit(repository).pk)
    assert follow_up is not None and auditing.cancel(follow_up)
    assert auditing.follow_up(follow_up.pk) is None
    older, _ = auditing.request(repository, drifting.first)
    working.run(older.pk)
    assert auditing.follow_up(older.pk) is None


def test_a_branch_that_was_rewritten_with_another_policy_keeps_what_was_known(
    repository: Repository, drifting: Drifting
) -> None:
    whole_history(repository)
    before = told(repository)
    History.objects.update(policy_digest="another")
    commit_tree(drifting.path, {"app.py": "x = 1\n"}, "Another beginning", 1_700_000_400, [])
    follow_up = auditing.follow_up(one_commit(repository).pk)
    assert follow_up is not None
    working.run(follow_up.pk)
    follow_up.refresh_from_db()
    assert (follow_up.state, follow_up.error_code) == (State.FAILED, "rewritten")
    assert History.objects.get().stale_since is not None and told(repository) == before


@pytest.mark.parametrize("digest", ["", "another"])
def test_a_history_up_to_an_older_commit_does_not_take_the_place_of_a_longer_one(
    repository: Repository, drifting: Drifting, digest: str
) -> None:
    whole_history(repository)
    before = told(repository)
    if digest:
        History.objects.update(policy_digest=digest)
    audit, _ = auditing.request(repository, drifting.second, covers=Covers.HISTORY)
    working.run(audit.pk)
    audit.refresh_from_db()
    assert (audit.state, audit.error_code) == (State.FAILED, "shorter")
    assert drifting.third[:9] in audit.error_message
    history = History.objects.get()
    assert history.head_sha == drifting.third and history.stale_since is None and told(repository) == before


def test_a_branch_that_was_set_back_is_said_first_and_followed_when_asked_again(
    repository: Repository, drifting: Drifting
) -> None:
    whole_history(repository)
    pygit2.Repository(str(drifting.path)).references.create(
        "refs/heads/main", pygit2.Oid(hex=drifting.second), force=True
    )
    assert whole_history(repository).error_code == "rewritten"
    assert History.objects.get().stale_since is not None
    assert whole_history(repository).state == State.SUCCEEDED
    assert History.objects.get().head_sha == drifting.second
