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


def test_files_that_are_alike_are_not_compared_where_it_makes_no_difference(tmp_path: Path) -> None:
    path = init_repository(tmp_path / "repository")
    one = commit_tree(path, {"a.py": LINES, "same.py": "x = 1\n"}, "One", WHEN, [])
    two = commit_tree(path, {"b.py": f"{LINES}more\n", "moved.py": "x = 1\n"}, "Two", WHEN, [one])
    repository = GitRepository(path)
    asked: list[tuple[list[str], list[str]]] = []
    found = renamed(
        repository,
        repository.changes(one, two),
        {"a.py", "same.py"},
        lambda lost, new: bool(asked.append((list(lost), list(new)))),
    )
    assert found == {"moved.py": "same.py"}
    assert asked == [(["a.py"], ["b.py"])]
