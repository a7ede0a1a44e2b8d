"""``python -m audits.engine audit``: the ratchet, changed files and staged contents, as CI jobs and hooks use them."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pygit2
import pytest
from pygit2.enums import CheckoutStrategy
from sarif_pydantic import Sarif

from audits.engine import command
from tests.samples import commit_tree, init_repository

ROOT = Path(command.__file__).parent.parent.parent
KINDS = "from enum import Enum\n\n\nclass Kind(Enum):\n    USER = 'user'\n"
LATE = "from shop.kinds import Kind\n\n\ndef f():\n    return Kind.RUN\n"
OLD = {"shop/__init__.py": "", "shop/kinds.py": KINDS, "shop/late.py": LATE}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    path = init_repository(tmp_path / "a repository")
    commit_tree(path, OLD, "one", 1_700_000_000, [])
    checkout(path, "main")
    return path


def clean_environment(tmp_path: Path) -> dict[str, str]:
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "DJANGO_"))}
    names = {
        f"GIT_{who}_{what}": "a@b.example" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    return plain | names | {"SSOT_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(ROOT)}


def stage(path: Path, *names: str) -> None:
    """Take files (none: all) into the index as they lie about, also those that are gone."""
    index = pygit2.Repository(str(path)).index
    index.add_all(list(names) or ["."])
    for entry in list(index):
        if not names and not (path / entry.path).exists():
            index.remove(entry.path)
    index.write()


def commit(path: Path, message: str) -> None:
    """Commit what is staged."""
    repository = pygit2.Repository(str(path))
    who = pygit2.Signature("a", "a@b.example", 1_700_000_500, 0)
    parents = [repository.head.target]
    repository.create_commit("HEAD", who, who, message, repository.index.write_tree(), parents)


def checkout(path: Path, branch: str) -> None:
    """Go to a branch, which begins here when it is new."""
    repository = pygit2.Repository(str(path))
    if branch not in repository.branches:
        repository.branches.create(branch, repository[repository.head.target].peel(pygit2.Commit))
    repository.checkout(f"refs/heads/{branch}", strategy=CheckoutStrategy.FORCE)


def merge(path: Path, branch: str) -> None:
    """Merge a branch into the index and the work tree; what conflicts stays so."""
    repository = pygit2.Repository(str(path))
    repository.merge(repository.branches[branch].target)
    repository.index.write()


def git(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["git", "-c", "core.hooksPath=", "-C", path, *arguments],
        env=clean_environment(path.parent),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def run(path: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "audits.engine", "audit", str(path), *arguments],
        env=clean_environment(path.parent) | environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def report(path: Path, *arguments: str) -> dict[str, Any]:
    done = run(path, "--format", "json", *arguments)
    assert done.returncode in {0, 1}, done.stderr
    value: dict[str, Any] = json.loads(done.stdout)
    return value


def write(path: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)


def test_the_engine_alone_audits_without_django(repository: Path) -> None:
    done = run(repository)
    assert done.returncode == 1, done.stderr
    assert "shop.kinds.Kind.RUN  [missing-member]  1 place in 1 file" in done.stdout


# --- the ratchet ------------------------------------------------------------------------------------------------------


def test_only_what_is_new_beside_a_report_fails(repository: Path, tmp_path: Path) -> None:
    baseline = tmp_path / "old.json"
    assert run(repository, "--format", "json", "--output", str(baseline)).returncode == 1
    assert run(repository, "--baseline", str(baseline)).returncode == 0
    write(repository, {"shop/new.py": LATE, "shop/late.py": "x = 1\n"})
    stage(repository)
    commit(repository, "two")
    done = run(repository, "--baseline", str(baseline))
    assert done.returncode == 1
    assert "shop/new.py:5" in done.stdout
    assert "Beside the baseline: 1 new, 0 unchanged, 1 gone." in done.stdout
    assert run(repository, "--baseline", str(baseline), "--fail-on", "P0").returncode == 0


def test_a_revision_is_a_baseline(repository: Path) -> None:
    write(repository, {"shop/new.py": LATE})
    stage(repository)
    commit(repository, "two")
    value = report(repository, "--baseline", "HEAD~1")
    assert {f["path"]: f["baseline"] for f in value["findings"]} == {
        "shop/late.py": "unchanged",
        "shop/new.py": "new",
    }
    assert value["gone"] == value["unseen"] == []


def test_sarif_says_new_unchanged_and_absent(repository: Path) -> None:
    write(repository, {"shop/new.py": LATE, "shop/late.py": "x = 1\n", "shop/kept.py": LATE})
    stage(repository, "shop/kept.py")
    commit(repository, "two")
    stage(repository)
    commit(repository, "three")
    done = run(repository, "--baseline", "HEAD~1", "--format", "sarif")
    Sarif.model_validate_json(done.stdout)
    results = json.loads(done.stdout)["runs"][0]["results"]
    places = {
        r["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]: r["baselineState"] for r in results
    }
    assert places == {"shop/kept.py": "unchanged", "shop/new.py": "new", "shop/late.py": "absent"}
    assert all(r["partialFingerprints"]["ssotDash/v1"] for r in results)


def test_what_cannot_be_looked_at_any_more_is_not_gone(repository: Path) -> None:
    write(repository, {"shop/late.py": "def (:\n"})
    stage(repository)
    commit(repository, "two")
    value = report(repository, "--baseline", "HEAD~1")
    assert [len(value["gone"]), len(value["unseen"])] == [0, 1]
    assert "1 could not be looked at" in run(repository, "--baseline", "HEAD~1").stdout


def test_what_was_not_asked_for_is_not_gone(repository: Path) -> None:
    assert report(repository, "--baseline", "HEAD", "--rule", "unparseable")["gone"] == []
    assert report(repository, "--baseline", "HEAD", "--zone", "test")["gone"] == []
    assert report(repository, "--baseline", "HEAD", "--changed-since", "HEAD")["gone"] == []


@pytest.mark.parametrize("text", ["no json", '{"schema": 2, "findings": []}', "[]", '{"schema": 1}'])
def test_a_baseline_that_is_no_report_exits_2(repository: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "old.json").write_text(text)
    done = run(repository, "--baseline", str(tmp_path / "old.json"))
    assert done.returncode == 2
    assert "the baseline" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_baseline_that_is_nothing_exits_2(repository: Path) -> None:
    done = run(repository, "--baseline", "nope")
    assert done.returncode == 2
    assert "'nope' is neither a file nor a commit, tag or branch" in done.stderr


# --- changed files ----------------------------------------------------------------------------------------------------


def test_changed_files_are_those_since_the_lines_parted(repository: Path) -> None:
    checkout(repository, "side")
    write(repository, {"shop/side.py": LATE})
    stage(repository)
    commit(repository, "side")
    checkout(repository, "main")
    write(repository, {"shop/main.py": LATE})
    stage(repository)
    commit(repository, "main goes on")
    value = report(repository, "--rev", "side", "--changed-since", "main")
    assert [f["path"] for f in value["findings"]] == ["shop/side.py"]


def test_lines_that_have_no_commit_in_common_changed_everything(repository: Path) -> None:
    commit_tree(repository, OLD, "another beginning", 1_600_000_000, [], branch="other")
    assert len(report(repository, "--changed-since", "other")["findings"]) == 1


# --- staged -----------------------------------------------------------------------------------------------------------


def test_staged_is_what_is_staged_and_not_what_lies_about(repository: Path) -> None:
    write(repository, {"shop/new.py": LATE})
    assert run(repository, "--staged", "--baseline", "HEAD").returncode == 0
    stage(repository)
    write(repository, {"shop/new.py": "x = 1\n"})
    done = run(repository, "--staged", "--baseline", "HEAD")
    assert done.returncode == 1
    assert "shop/new.py:5" in done.stdout
    assert "staged changes: 4 files read" in done.stdout
    value = report(repository, "--staged", "--changed-since", "HEAD")
    assert [f["path"] for f in value["findings"]] == ["shop/new.py"]


def test_a_removed_member_counts_where_it_is_used(repository: Path) -> None:
    write(
        repository,
        {"shop/kinds.py": KINDS.replace("USER", "GUEST"), "shop/user.py": LATE.replace("RUN", "USER")},
    )
    stage(repository, "shop/user.py")
    commit(repository, "two")
    stage(repository)
    done = run(repository, "--staged", "--baseline", "HEAD")
    assert done.returncode == 1
    assert "shop/user.py:5" in done.stdout


def test_all_that_the_first_commit_brings_is_new(tmp_path: Path) -> None:
    path = init_repository(tmp_path / "fresh")
    write(path, OLD)
    stage(path)
    done = run(path, "--staged", "--baseline", "HEAD")
    assert done.returncode == 1, done.stderr
    assert "1 new, 0 unchanged" in done.stdout


def test_unmerged_paths_are_named(repository: Path) -> None:
    checkout(repository, "side")
    write(repository, {"shop/late.py": "a = 1\n"})
    stage(repository)
    commit(repository, "side")
    checkout(repository, "main")
    write(repository, {"shop/late.py": "b = 1\n"})
    stage(repository)
    commit(repository, "main")
    merge(repository, "side")
    done = run(repository, "--staged")
    assert done.returncode == 2
    assert "there are unmerged paths (shop/late.py)" in done.stderr


def test_the_staged_tree_is_the_one_that_git_writes(repository: Path) -> None:
    write(repository, {"shop.py": "", "shop-a/x.py": "", "shop/deep/er/é.py": "", "run.sh": "#!/bin/sh\n"})
    (repository / "run.sh").chmod(0o755)
    (repository / "link.py").symlink_to("shop.py")
    stage(repository)
    staged = command.GitRepository(repository).staged()
    assert staged.tree == str(pygit2.Repository(str(repository)).index.write_tree())


@pytest.mark.skipif(shutil.which("git") is None, reason="hooks are run by git")
def test_a_hook_sees_the_index_that_git_made_for_it(repository: Path) -> None:
    """As ``git commit --all`` does, which stages into an index of its own."""
    hook = repository / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\nexec '{sys.executable}' -m audits.engine audit . --staged --baseline HEAD\n")
    hook.chmod(0o755)
    write(repository, {"shop/kinds.py": KINDS + "\n\nKind.NEW\n"})
    done = subprocess.run(
        ["git", "-C", repository, "commit", "-qam", "two"],
        env=clean_environment(repository.parent),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode != 0
    assert "Kind has no member NEW" in done.stdout + done.stderr
    assert git(repository, "log", "--oneline").stdout.count("\n") == 1
