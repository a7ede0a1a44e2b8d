"""What git's own check refuses in a tree is told from what honest trees hold."""

import pytest

from audits.engine.safety import is_safe, unsafe_submodules


@pytest.mark.parametrize(
    "path",
    [
        *("", ".", "..", "/a.py", "a//b.py", "a/../b.py", "a/./b.py", "a/"),
        *(
            ".git",
            ".GIT",
            "a/.git/hooks/x.py",
            "git~1",
            "GIT~1/x",
            ".git ",
            ".git.. ",
            ".git::$INDEX_ALLOCATION",
        ),
        *(".git\\hooks", ".g\u200cit", "\ufeff.git/x.py"),
    ],
)
def test_names_that_some_system_takes_for_others_are_unsafe(path: str) -> None:
    assert not is_safe(path)


@pytest.mark.parametrize(
    "path",
    [
        *(
            "a.py",
            ".gitignore",
            ".github/x.py",
            "a/...",
            "....",
            "x.git",
            "git.py",
            "git~2",
            "..a/b",
            "a..b.py",
        ),
        *("git~10/x.py", "é/ü.py", ".gitmodules", "digit~1", "a b/c.py"),
    ],
)
def test_names_of_honest_trees_are_safe(path: str) -> None:
    assert is_safe(path)


HONEST = """
[submodule "libs/a..b"]
    path = libs/a
    url = https://example.org/a.git
    update = rebase
[submodule "say \\"hello\\""]
    path = "b"
    url = ../b.git
"""


def test_honest_submodules_are_safe() -> None:
    assert list(unsafe_submodules(HONEST)) == []


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('[submodule "../../evil"]', "name"),
        ('[submodule "a/../../evil"]', "name"),
        ('[submodule "..\\\\evil"]', "name"),
        ('[submodule ""]', "name"),
        ("url = --upload-pack=touch", "url"),
        ('  URL="-u"', "url"),
        ("path = -x", "path"),
        ("update = !touch /tmp/x", "update"),
    ],
)
def test_submodules_that_give_orders_are_named_with_their_line(line: str, words: str) -> None:
    ((number, said),) = unsafe_submodules(f"# one\n{line}\n")
    assert number == 2
    assert words in said
