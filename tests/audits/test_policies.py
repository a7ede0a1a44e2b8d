"""Versions of a repository's policy, and the policy that a commit is judged by."""

from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from audits import auditing, histories, policies, removing, working
from audits.engine.policy import PolicyError
from audits.engine.tree_policy import TREE_FILE
from audits.models import Audit, Covers, History, PolicySource, PolicyVersion, Repository, State, Trigger
from tests.audits.conftest import AddRepository, Drifting
from tests.samples import commit_tree, init_repository

pytestmark = pytest.mark.django_db(transaction=True)

WITHOUT_RUNS = 'version = 1\nexclude = ["app/runs.py"]\n'


@pytest.fixture
def repository(add_repository: AddRepository, drifting: Drifting) -> Repository:
    return add_repository(drifting.path)


def audited(repository: Repository, rev: str = "", covers: Covers = Covers.COMMIT) -> Audit:
    audit, created = auditing.request(repository, rev, covers=covers)
    assert created
    return worked_on(audit)


def worked_on(audit: Audit) -> Audit:
    working.run(audit.pk)
    audit.refresh_from_db()
    return audit


# --- Versions -----------------------------------------------------------------------------------------------


def test_each_policy_is_a_version_with_who_when_and_why(repository: Repository) -> None:
    ada = User.objects.create_user("ada")
    first, is_new = policies.save(repository, "version = 1\r\n", user=ada, reason="A beginning")
    assert is_new and first is not None
    assert (first.number, first.text, first.author, first.reason) == (1, "version = 1\n", ada, "A beginning")
    second, _ = policies.save(repository, WITHOUT_RUNS, user=ada, reason="Runs are foreign")
    assert second is not None and second.number == 2
    assert second.digest != first.digest
    repository.refresh_from_db()
    assert repository.policy == second
    assert [version.number for version in repository.policy_versions.all()] == [2, 1]


def test_the_policy_that_is_there_makes_no_version(repository: Repository) -> None:
    assert policies.save(repository, "") == (None, False)
    version, _ = policies.save(repository, WITHOUT_RUNS)
    assert policies.save(repository, WITHOUT_RUNS.replace("\n", "\r\n")) == (version, False)
    assert PolicyVersion.objects.count() == 1


def test_an_edit_of_a_version_that_is_no_longer_the_newest_is_refused(repository: Repository) -> None:
    policies.save(repository, "version = 1\n", based_on=0)
    with pytest.raises(policies.StaleEditError):
        policies.save(repository, WITHOUT_RUNS, based_on=0)
    policies.save(repository, WITHOUT_RUNS, based_on=1)


def test_a_text_that_is_no_policy_is_not_saved(repository: Repository) -> None:
    with pytest.raises(PolicyError, match="line 2"):
        policies.save(repository, "version = 1\n[zonse]\n")
    assert not PolicyVersion.objects.exists()


def test_deleting_a_repository_deletes_its_versions(repository: Repository) -> None:
    policies.save(repository, WITHOUT_RUNS)
    audited(repository)
    removing.remove(repository)
    removing.go_on(repository.pk)
    assert not PolicyVersion.objects.exists()


# --- Judged anew ----------------------------------------------------------------------------------------------


def test_a_saved_policy_judges_the_last_audited_commit_from_known_facts(
    repository: Repository, drifting: Drifting, monkeypatch: pytest.MonkeyPatch
) -> None:
    audited(repository, drifting.second)
    assert repository.violations.filter(is_open=True).count() == 3
    version, _ = policies.save(repository, WITHOUT_RUNS)
    repository.refresh_from_db()
    monkeypatch.setattr("audits.engine.run.ParsePool", None)  # nothing may be parsed
    asked = auditing.judge_anew(repository)
    assert asked is not None and asked[1]
    audit = worked_on(asked[0])
    assert (audit.state, audit.trigger, audit.commit_sha) == (
        State.SUCCEEDED,
        Trigger.POLICY,
        drifting.second,
    )
    assert audit.policy_version == version
    assert not repository.violations.filter(is_open=True).exists()


def test_nothing_is_judged_anew_where_nothing_was_audited(repository: Repository) -> None:
    policies.save(repository, WITHOUT_RUNS)
    assert auditing.judge_anew(repository) is None
    assert auditing.due() == []


def test_a_policy_that_was_saved_while_an_audit_ran_is_asked_for_after_it(
    repository: Repository, drifting: Drifting
) -> None:
    audited(repository, drifting.second)
    running, _ = auditing.request(repository, drifting.third)
    policies.save(repository, WITHOUT_RUNS)
    repository.refresh_from_db()
    Audit.objects.filter(pk=running.pk).update(state=State.RUNNING)
    assert auditing.judge_anew(repository) == (running, False)
    Audit.objects.filter(pk=running.pk).update(state=State.FAILED)
    asked = auditing.follow_up(running.pk)
    assert asked is not None
    assert (asked.trigger, asked.rev) == (Trigger.POLICY, drifting.second)
    worked_on(asked)
    assert auditing.follow_up(asked.pk) is None


def test_the_dispatcher_asks_once_for_a_policy_that_nobody_audited_by(
    repository: Repository, drifting: Drifting
) -> None:
    audited(repository, drifting.second)
    policies.save(repository, WITHOUT_RUNS)
    (asked,) = auditing.due()
    assert asked.trigger == Trigger.POLICY
    auditing.cancel(asked)
    assert auditing.due() == []


# --- From the tree --------------------------------------------------------------------------------------------


def from_tree(add_repository: AddRepository, path: Path, *texts: str | None) -> Repository:
    """A repository whose commits bring these policies, one after the other."""
    init_repository(path)
    parents: list[str] = []
    for number, text in enumerate(texts):
        files = {"app/__init__.py": "", "app/use.py": "from app import gone\n"}
        if text is not None:
            files[TREE_FILE] = text
        parents = [commit_tree(path, files, f"Commit {number}", 1_700_000_000 + 100 * number, parents)]
    repository = add_repository(path)
    policies.save(repository, source=PolicySource.TREE)
    return repository


def test_each_commit_is_judged_by_the_policy_in_its_own_tree(
    add_repository: AddRepository, tmp_path: Path
) -> None:
    repository = from_tree(
        add_repository, tmp_path / "r", "version = 1\n", 'version = 1\nexclude = ["app/use.py"]\n'
    )
    older, newer = audited(repository, "HEAD~1"), audited(repository)
    assert (older.findings_count, newer.findings_count) == (1, 0)
    assert older.policy_digest != newer.policy_digest
    assert older.policy_version == newer.policy_version == repository.policy


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, ".ssot.toml of commit {} is not there: add it, or keep the policy"),
        ("version = 1\n[zonse]\n", ".ssot.toml of commit {}: line 2: "),
        ("version = 1\nexclude = [", ".ssot.toml of commit {}: line 2: not valid TOML"),
        ("#" * 200_001, "a policy has at most 200,000 characters"),
        ("#" * 800_001, "has 800,001 bytes"),
    ],
)
def test_a_commit_without_a_usable_policy_fails_and_never_takes_the_default(
    add_repository: AddRepository, tmp_path: Path, text: str | None, words: str
) -> None:
    repository = from_tree(add_repository, tmp_path / "r", text)
    audit = audited(repository)
    assert (audit.state, audit.error_code) == (State.FAILED, "policy")
    assert words.format(audit.commit_sha[:9]) in audit.error_message
    assert audit.policy_version == repository.policy
    assert not repository.violations.exists()


def test_a_history_is_judged_by_the_policy_of_its_newest_commit(
    add_repository: AddRepository, tmp_path: Path
) -> None:
    repository = from_tree(
        add_repository, tmp_path / "r", None, "version = 1\n[zonse]\n", 'version = 1\nexclude = ["x/**"]\n'
    )
    audit = audited(repository, covers=Covers.HISTORY)
    assert audit.state == State.SUCCEEDED
    assert [commit.counts for commit in repository.commits.all()] == [{"unresolved-import": {"prod": 1}}] * 3


def test_a_history_follows_another_policy_at_the_same_commit(
    repository: Repository, drifting: Drifting
) -> None:
    last = audited(repository)
    audited(repository, covers=Covers.HISTORY)
    assert auditing.follow_up(last.pk) is None
    policies.save(repository, WITHOUT_RUNS)
    repository.refresh_from_db()
    asked = auditing.judge_anew(repository)
    assert asked is not None
    judged = worked_on(asked[0])
    following = auditing.follow_up(judged.pk)
    assert following is not None and following.covers == Covers.HISTORY
    worked_on(following)
    assert histories.known(repository, judged.policy_digest, judged.engine_version) == History.objects.get()
    assert not any(commit.introduced for commit in repository.commits.all())


def test_a_saved_policy_stops_a_history_that_follows_the_former_one(
    repository: Repository, drifting: Drifting
) -> None:
    audited(repository)
    following, _ = auditing.request(repository, trigger=Trigger.FOLLOW_UP, covers=Covers.HISTORY)
    policies.save(repository, WITHOUT_RUNS)
    repository.refresh_from_db()
    asked = auditing.judge_anew(repository)
    following.refresh_from_db()
    assert following.state == State.CANCELLED
    assert asked is not None and asked[1]


# --- The migration --------------------------------------------------------------------------------------------


@pytest.mark.long
def test_policies_from_before_versions_become_first_versions_and_back() -> None:
    executor = MigrationExecutor(connection)
    leaves = executor.loader.graph.leaf_nodes()
    try:
        executor.migrate([("audits", "0010_duplicate_report")])
        old = executor.loader.project_state([("audits", "0010_duplicate_report")]).apps
        rows = old.get_model("audits", "Repository").objects
        rows.create(name="Own", slug="own", location="/own", policy=WITHOUT_RUNS)
        rows.create(name="Broken", slug="broken", location="/broken", policy="version = 2")
        rows.create(name="None", slug="none", location="/none")
        executor = MigrationExecutor(connection)
        executor.migrate(leaves)
        policies_now = {r.slug: r.policy and r.policy.text for r in Repository.objects.all()}
        assert policies_now == {"own": WITHOUT_RUNS, "broken": "version = 2", "none": None}
        policies.save(Repository.objects.get(slug="none"), "version = 1\n")
        executor = MigrationExecutor(connection)
        executor.migrate([("audits", "0010_duplicate_report")])
        assert dict(rows.values_list("slug", "policy")) == {
            "own": WITHOUT_RUNS,
            "broken": "version = 2",
            "none": "version = 1\n",
        }
    finally:
        MigrationExecutor(connection).migrate(leaves)
