"""A file that goes and one that comes are the same where half of their lines are."""

from pathlib import Path

import pytest

from audits.engine.git import GitRepository
from audits.engine.renames import renamed
from tests.samples import commit_tree, init_repository

WHEN = 1_700_000_000
LINES = "".join(f"line {number}\n" for number in range(20))


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        (LINES, LINES, True),
        (LINES, LINES + "and one more\n", True),
        (LINES, LINES + LINES.replace("line", "more"), True),
        (LINES, LINES + LINES.replace("line", "others"), False),
        (LINES, LINES.replace("line", "others"), False),
        (LINES, LINES.replace("\n", "\r\n"), True),
        ("a", "a\nb\n", True),
        ("a\n", "a" + "\n" * 20, False),
        ("\n" * 20, "\r\n" * 20, True),
        ("", "\n\n", False),
    ],
)
def test_which_files_are_the_same(tmp_path: Path, before: str, after: str, *, same: bool) -> None:
    path = init_repository(tmp_path / "repository")
    one = commit_tree(path, {"old.py": before}, "One", WHEN, [])
    two = commit_tree(path, {"new.py": after}, "Two", WHEN, [one])
    repository = GitRepository(path)
    found = renamed(repository, repository.changes(one, two), {"old.py"})
    assert found == ({"new.py": "old.py"} if same else {})
