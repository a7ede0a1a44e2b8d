"""Trackers through history: versions, renames, merges, rewritten branches."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.contrib.auth.models import User

from audits import tracking
from audits.engine.git import GitRepository
from audits.models import Claim, Issue, Repository, Tracker
from audits.trackers import TrackerError
from tests.audits.conftest import AddRepository
from tests.audits.remedy import TRACKER, tell
from tests.samples import commit_tree, init_repository

STEP = "# T\n\n## Step 0: Discover {}\n\nsome more words\nthat stay\n"


def scan(repository: Repository, head: str = "") -> int:
    git = GitRepository(Path(repository.location))
    return tracking.scan(repository, git, head or git.resolve().sha)


def test_every_version_is_found_with_what_it_says_anew(
    db: None, add_repository: AddRepository, tmp_path: Path
) -> None:
    remedy = tell(tmp_path / "r")
    repository = add_repository(remedy.path)
    assert scan(repository) == 5
    tracker = Tracker.objects.get()
    versions = list(tracker.versions.all())
    assert [v.commit_sha for v in versions] == [
        remedy.discovered, remedy.planned, remedy.tested, remedy.closed, remedy.archived
    ]  # fmt: skip
    assert (
        tracker.path == f"docs/closed/{TRACKER}" and not tracker.is_gone and tracker.title == "RUN is missing"
    )
    steps = Claim.objects.filter(version=versions[1], kind="step", words="completed")
    assert list(steps.values_list("step", flat=True)) == [1]
    assert not versions[4].claims.exists()


def test_new_commits_are_added_and_nothing_is_read_twice(
    db: None, add_repository: AddRepository, tmp_path: Path
) -> None:
    remedy = tell(tmp_path / "r")
    repository = add_repository(remedy.path)
    assert scan(repository, remedy.tested) == 3
    assert scan(repository, remedy.tested) == 0
    assert scan(repository) == 2
    assert Tracker.objects.get().versions.count() == 5


def test_all_at_once_or_bit_by_bit_gives_the_same(
    db: None, add_repository: AddRepository, tmp_path: Path
) -> None:
    remedy = tell(tmp_path / "r")
    once, bit_by_bit = add_repository(remedy.path), add_repository(remedy.path)
    scan(once)
    for commit in (remedy.start, remedy.discovered, remedy.tested, remedy.fixed, remedy.archived):
        scan(bit_by_bit, commit)

    def rows(repository: Repository) -> list[tuple[object, ...]]:
        claims = Claim.objects.filter(version__tracker__repository=repository)
        return list(
            claims.values_list("version__commit_sha", "version__position", "kind", "step", "words", "line")
        )

    assert rows(once) == rows(bit_by_bit) and rows(once)


def test_a_file_that_is_renamed_out_of_the_pattern_is_still_followed(
    db: None, add_repository: AddRepository, tmp_path: Path
) -> None:
    path = init_repository(tmp_path / "r")
    first = commit_tree(path, {"SSOT-x.md": STEP.format("")}, "one", 1_700_000_000, [])
    second = commit_tree(path, {"old/x.md": STEP.format("✅")}, "two", 1_700_000_100, [first])
    commit_tree(path, {"a.py": ""}, "three", 1_700_000_200, [second])
    repository = add_repository(path)
    assert scan(repository) == 2
    tracker = Tracker.objects.get()
    assert tracker.path == "old/x.md" and tracker.is_gone


def test_what_a_merge_brings_unchanged_is_no_new_version(
    db: None, add_repository: AddRepository, tmp_path: Path
) -> None:
    path = init_repository(tmp_path / "r")
    first = commit_tree(path, {"a.py": ""}, "one", 1_700_000_000, [])
    side = commit_tree(path, {"a.py": "", "SSOT-x.md": STEP.format("")}, "side", 1_700_000_100, [first])
    main = commit_tree(path, {"a.py": "b = 1\n"}, "main", 1_700_000_200, [first])
    commit_tree(path, {"a.py": "b = 1\n", "SSOT-x.md": STEP.format("")}, "merge", 1_700_000_300, [main, side])
    assert scan(add_repository(path)) == 1


def test_a_rewritten_branch_is_searched_anew_and_trackers_keep_their_issues(
    db: None, add_repository: AddRepository, tmp_path: Path
) -> None:
    path = init_repository(tmp_path / "r")
    commit_tree(path, {"SSOT-x.md": STEP.format("")}, "one", 1_700_000_000, [])
    repository = add_repository(path)
    scan(repository)
    issue = Issue.objects.create(repository=repository, title="x")
    Tracker.objects.update(issue=issue)
    other = commit_tree(path, {"SSOT-x.md": STEP.format("✅")}, "other", 1_700_000_500, [])
    scan(repository)
    tracker = Tracker.objects.get()
    assert [v.commit_sha for v in tracker.versions.all()] == [other] and tracker.issue == issue


def test_another_pattern_finds_other_files(db: None, add_repository: AddRepository, tmp_path: Path) -> None:
    path = init_repository(tmp_path / "r")
    commit_tree(path, {"SSOT-x.md": "# x\n", "plans/y.md": "# y\n"}, "one", 1_700_000_000, [])
    repository = add_repository(path)
    scan(repository)
    repository.tracker_pattern = "plans/*.md"
    repository.save()
    scan(repository)
    assert [tracker.path for tracker in Tracker.objects.all()] == ["plans/y.md"]
    repository.tracker_pattern = ""
    scan(repository)
    assert not Tracker.objects.exists()


def test_a_version_that_is_no_text_is_kept_with_the_reason(
    db: None, add_repository: AddRepository, tmp_path: Path
) -> None:
    path = init_repository(tmp_path / "r")
    first = commit_tree(path, {"SSOT-x.md": b"\0\1"}, "one", 1_700_000_000, [])
    commit_tree(path, {"SSOT-x.md": STEP.format("✅")}, "two", 1_700_000_100, [first])
    assert scan(add_repository(path)) == 2
    broken, good = Tracker.objects.get().versions.all()
    assert "NUL" in broken.error and not broken.claims.exists()
    assert "NUL" not in good.error


def test_a_pasted_document_is_a_version_of_now_and_its_bytes_are_kept(
    db: None, add_repository: AddRepository
) -> None:
    user = User.objects.create_user("ada")
    damaged = "# Tür\n\n## Step 0: Discover ✅\n".encode().decode("cp1252", "replace")
    began = datetime.now(UTC).replace(microsecond=0)
    tracker = tracking.paste(add_repository("/nowhere"), damaged.encode(), "notes.md", user)
    version = tracker.versions.get()
    assert version.original is not None and bytes(version.original) == damaged.encode()
    assert began <= version.time <= datetime.now(UTC)
    assert tracker.is_pasted and version.author == "ada"


def test_bytes_that_are_no_text_are_refused(db: None, add_repository: AddRepository) -> None:
    with pytest.raises(TrackerError, match="NUL"):
        tracking.paste(add_repository("/nowhere"), b"a\0b", "x", User.objects.create_user("ada"))
    assert not Tracker.objects.exists()
