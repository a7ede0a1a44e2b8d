"""What commits change: with the git executable where there is one, and without it, the very same."""

import os
import stat
from collections.abc import Callable, Mapping
from contextlib import closing
from io import BytesIO
from pathlib import Path

import msgspec
import pygit2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audits.engine import git_executable
from audits.engine.git import Changes, GitError, GitRepository
from tests.samples import AUTHOR, init_repository

# Where there is no git, there is one way less to list changes.
PROGRAMS = [None, *filter(None, [git_executable.executable()])]
FILE, EXECUTABLE, LINK, SUBMODULE, FOLDER = b"100644", b"100755", b"120000", b"160000", b"40000"

# A tree as it is written: mode and contents (of a folder: such a tree) by name.
Tree = Mapping[bytes, tuple[bytes, "bytes | Tree"]]


class Trees:
    """A repository whose trees are written byte by byte."""

    def __init__(self, path: Path) -> None:
        self.path = init_repository(path, bare=True)
        self._repository = pygit2.Repository(str(self.path))

    def write(self, tree: Tree) -> str:
        entries = []
        for name, (mode, content) in tree.items():
            is_folder = not isinstance(content, bytes)
            if is_folder:
                oid = self.write(content)  # type: ignore[arg-type]
            elif mode == SUBMODULE:
                oid = content[:1].hex() * 20  # type: ignore[index]
            else:
                oid = str(self._repository.create_blob(content))
            entries.append((name + b"/" * is_folder, mode + b" " + name + b"\0" + bytes.fromhex(oid)))
        return str(
            self._repository.odb.write(pygit2.enums.ObjectType.TREE, b"".join(e for _, e in sorted(entries)))
        )

    def commit(self, tree: Tree, *parents: str) -> str:
        author = pygit2.Signature(*AUTHOR, 1_700_000_000, 0)
        oid = self._repository.create_commit(None, author, author, "m", self.write(tree), list(parents))
        return str(oid)


@pytest.fixture
def trees(tmp_path: Path) -> Trees:
    return Trees(tmp_path / "trees.git")


@pytest.fixture(params=PROGRAMS, ids=lambda program: "git" if program else "no git")
def program(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str | None:
    found: str | None = request.param
    monkeypatch.setattr(git_executable, "executable", lambda: found)
    return found


def listed(path: Path, *pairs: tuple[str, str]) -> list[Changes]:
    return list(GitRepository(path).all_changes(pairs))


BEFORE: Tree = {
    b"same": (FILE, b"1"),
    b"edited": (FILE, b"1"),
    b"gone": (FILE, b"1"),
    b"mode": (FILE, b"1"),
    b"becomes link": (FILE, b"1"),
    b"becomes folder": (FILE, b"1"),
    b"becomes file": (FOLDER, {b"in": (FILE, b"1"), b"deep": (FOLDER, {b"er": (LINK, b"x")})}),
    b"module": (SUBMODULE, b"1"),
    b"old mode": (b"100664", b"1"),
    b"old folder": (b"040000", {b"a": (FILE, b"1")}),
    b"renamed": (FILE, b"2"),
}
AFTER: Tree = {
    b"same": (FILE, b"1"),
    b"edited": (FILE, b"2"),
    b"new": (FILE, b"1"),
    b"mode": (EXECUTABLE, b"1"),
    b"becomes link": (LINK, b"1"),
    b"becomes folder": (FOLDER, {b"line\nbreak": (FILE, b"1")}),
    b"becomes file": (FILE, b"1"),
    b"module": (SUBMODULE, b"2"),
    b"old mode": (FILE, b"1"),
    b"old folder": (FOLDER, {b"a": (FILE, b"2")}),
    b"\xff\xc3": (FILE, b"1"),
    b"other name": (FILE, b"2"),
}


def kinds(changes: Changes) -> dict[str, tuple[str, str]]:
    return {path: (was.kind if was else "", now.kind if now else "") for path, (was, now) in changes.items()}


def test_all_that_differs_is_listed(trees: Trees, program: str | None) -> None:
    one = trees.commit(BEFORE)
    two = trees.commit(AFTER, one)
    nothing, there, back, begun = listed(trees.path, (one, one), (one, two), (two, one), ("", two))
    assert nothing == {}
    assert kinds(there) == {
        "edited": ("file", "file"),
        "gone": ("file", ""),
        "new": ("", "file"),
        "mode": ("file", "file"),
        "becomes link": ("file", "link"),
        "becomes folder": ("file", ""),
        "becomes folder/line\nbreak": ("", "file"),
        "becomes file": ("", "file"),
        "becomes file/in": ("file", ""),
        "becomes file/deep/er": ("link", ""),
        "module": ("submodule", "submodule"),
        "old folder/a": ("file", "file"),
        "\\xff\\xc3": ("", "file"),
        "renamed": ("file", ""),
        "other name": ("", "file"),
    }
    assert back == {path: (now, was) for path, (was, now) in there.items()}
    tree = GitRepository(trees.path).tree(two)
    assert begun == {e.path: (None, msgspec.structs.replace(e, is_executable=False)) for e in tree}


def test_settings_of_the_repository_change_nothing(trees: Trees, program: str | None) -> None:
    one, two = trees.commit(BEFORE), trees.commit(AFTER)
    wanted = listed(trees.path, (one, two), (two, one))
    with (trees.path / "config").open("a") as config:
        config.write(
            "[diff]\n\tignoreSubmodules = all\n\trenames = copies\n\texternal = false\n\tnoprefix = true\n"
            '[core]\n\tquotePath = false\n\tabbrev = 7\n\tpager = false\n[submodule "module"]\n\tignore = all\n'
        )
    assert listed(trees.path, (one, two), (two, one)) == wanted


@pytest.mark.parametrize("last", [False, True])
def test_a_folder_that_cannot_be_read_is_an_error_and_no_empty_one(
    trees: Trees, program: str | None, last: bool
) -> None:
    one = trees.commit({b"a": (FILE, b"1")})
    lost = {b"folder": (FOLDER, {b"lost": (FILE, b"1")})}
    two = trees.commit(lost, one)
    oid = trees.write(lost[b"folder"][1])  # type: ignore[arg-type]
    (trees.path / "objects" / oid[:2] / oid[2:]).unlink()
    pairs = [("", one), (one, two)] if last else [("", one), (one, two), ("", one)]
    found = GitRepository(trees.path).all_changes(pairs)
    assert kinds(next(found)) == {"a": ("", "file")}
    with pytest.raises(GitError) as caught:
        next(found)
    assert caught.value.code == "corrupt"


def test_a_directory_that_is_too_large_is_refused_with_the_limit(
    trees: Trees, program: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = trees.commit({b"a": (FILE, b"1")})
    many: Tree = {b"large": (FOLDER, {b"f%03d" % n: (FILE, b"1") for n in range(200)})}
    two = trees.commit(many, one)
    monkeypatch.setattr("audits.engine.git.MAX_OBJECT_BYTES", 2_000)
    monkeypatch.setattr("audits.engine.git._MAX_CHANGES", 100)
    with pytest.raises(GitError, match=r"has 6,400 bytes; the limit is 2,000$") as caught:
        listed(trees.path, (one, two), (two, one))
    assert caught.value.code == "too-large"


def test_more_changes_than_two_trees_may_have_are_refused(
    trees: Trees, program: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = trees.commit({b"a": (FILE, b"1")})
    two = trees.commit({b"f%03d" % n: (FILE, b"1") for n in range(102)}, one)
    monkeypatch.setattr("audits.engine.git._MAX_CHANGES", 103)
    assert [len(changes) for changes in listed(trees.path, (one, two), (two, one))] == [103, 103]
    monkeypatch.setattr("audits.engine.git._MAX_CHANGES", 102)
    with pytest.raises(GitError, match="changes more than 102 paths") as caught:
        listed(trees.path, (one, two), (two, one))
    assert caught.value.code == "too-many-paths"


def test_a_name_without_an_end_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git_executable, "_LONGEST_NAME", 1_000)
    with pytest.raises(git_executable.ExecutableError, match="too long"):
        list(git_executable._tokens(BytesIO(b"n" * 2_000)))


def test_a_commit_that_is_not_here_is_an_error(trees: Trees, program: str | None) -> None:
    one = trees.commit({b"a": (FILE, b"1")})
    with pytest.raises(GitError):
        listed(trees.path, (one, "1" * 40), ("", one))


def _writes(text: str) -> Callable[[Path], str]:
    def write(folder: Path) -> str:
        path = folder / "git"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return str(path)

    return write


@pytest.mark.parametrize(
    "broken",
    [
        _writes("exit 1"),
        _writes("cat"),
        _writes("echo what; exit 0"),
        _writes("printf ':1 2 3\\0x\\0'"),
        _writes("head -n 1; kill -9 $$"),
        lambda folder: str(folder / "absent"),
    ],
)
def test_an_executable_that_fails_is_done_without(
    trees: Trees, broken: Callable[[Path], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = trees.commit(BEFORE)
    two = trees.commit(AFTER, one)
    repository = GitRepository(trees.path)
    wanted = [repository.changes("", one), repository.changes(one, two)]
    program = broken(tmp_path)
    monkeypatch.setattr(git_executable, "executable", lambda: program)
    found = listed(trees.path, ("", one), (one, two))
    assert found == wanted


def test_it_is_killed_when_nobody_listens_any_more(
    trees: Trees, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = GitRepository(trees.path).tree_id(trees.commit(BEFORE))
    empty = git_executable.empty_tree(tree)
    line = f"{empty} {tree}\\n"
    sleepy = _writes(f"echo $$ > {tmp_path}/pid; printf '{3 * line}:1 2 3 4 M\\0'; exec sleep 1000")(tmp_path)
    monkeypatch.setattr(git_executable, "_CHUNK", 1)
    with closing(git_executable.differences(sleepy, str(trees.path), [(empty, tree)] * 3, 9)) as answers:
        assert next(answers) == []
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


NAMES = st.sampled_from([b"a", b"b", b"a.py", b"a b", b"\xc3\xa9", b"\xff", b"\n"])
LEAVES = st.tuples(
    st.sampled_from([FILE, EXECUTABLE, LINK, SUBMODULE, b"100664"]), st.sampled_from([b"1", b"2"])
)
ANY_TREE = st.recursive(
    st.dictionaries(NAMES, LEAVES, min_size=1, max_size=4),
    lambda inner: st.dictionaries(
        NAMES,
        st.one_of(LEAVES, st.tuples(st.sampled_from([FOLDER, b"040000"]), inner)),
        min_size=1,
        max_size=4,
    ),
    max_leaves=8,
)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(found=st.lists(ANY_TREE, min_size=2, max_size=4))
def test_both_ways_say_the_same(tmp_path_factory: pytest.TempPathFactory, found: list[Tree]) -> None:
    trees = Trees(tmp_path_factory.mktemp("trees") / "r.git")
    commits = [trees.commit(tree) for tree in found]
    pairs = [(one, two) for one in ("", *commits) for two in commits]
    repository = GitRepository(trees.path)
    assert list(repository.all_changes(pairs)) == [repository.changes(*pair) for pair in pairs]
