"""Reading repositories: every shape they come in, and every way in which they can be broken."""

import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pygit2
import pytest
from pygit2.enums import FileMode, ObjectType

from audits.engine.findings import ProblemKind
from audits.engine.git import MAX_BLOB_BYTES, MAX_OBJECT_BYTES, GitError, GitRepository
from audits.engine.policy import parse_policy
from audits.engine.run import audit
from tests.samples import commit_tree, init_repository

TIME = datetime(2025, 3, 4, 5, 6, 7, tzinfo=UTC)
FILES = {"a.py": "x = 1\n", "pkg/b.py": "y = 2\n"}


class NoStore:
    def get_many(self, blob_shas: object) -> dict[str, bytes]:
        return {}

    def put_many(self, facts: object) -> None:
        pass


def problems(path: Path) -> list[tuple[str, str]]:
    repository = GitRepository(path)
    report = audit(repository, repository.resolve(), parse_policy(""), NoStore(), workers=1)
    return [(problem.path, problem.kind) for problem in report.problems]


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    path = init_repository(tmp_path / "bare.git", bare=True)
    commit_tree(path, FILES, "First line\n\nmore", TIME, [])
    return path


# --- shapes --------------------------------------------------------------------------------------------------


def make_bare(folder: Path) -> Path:
    commit_tree(init_repository(folder / "r.git", bare=True), FILES, "m", TIME, [])
    return folder / "r.git"


def make_work_tree(folder: Path) -> Path:
    commit_tree(init_repository(folder / "work"), FILES, "m", TIME, [])
    return folder / "work"


def make_git_directory(folder: Path) -> Path:
    return make_work_tree(folder) / ".git"


def make_linked_work_tree(folder: Path) -> Path:
    main = make_work_tree(folder)
    repository = pygit2.Repository(str(main))
    repository.add_worktree("linked", str(folder / "linked"))
    return folder / "linked"


def make_borrowing(folder: Path) -> Path:
    """One that has its objects from another by way of ``alternates``."""
    lender = make_bare(folder)
    path = init_repository(folder / "borrower.git", bare=True)
    (path / "objects/info").mkdir(exist_ok=True)
    (path / "objects/info/alternates").write_text(f"{lender}/objects\n")
    shutil.copytree(lender / "refs", path / "refs", dirs_exist_ok=True)
    return path


@pytest.mark.parametrize(
    "make", [make_bare, make_work_tree, make_git_directory, make_linked_work_tree, make_borrowing]
)
def test_every_shape_of_repository_is_read(make: Callable[[Path], Path], tmp_path: Path) -> None:
    repository = GitRepository(make(tmp_path))
    commit = repository.resolve("HEAD")
    entries = {entry.path: entry for entry in repository.tree(commit.sha)}
    assert set(entries) == set(FILES)
    assert repository.blob(entries["pkg/b.py"].sha) == b"y = 2\n"
    assert repository.read(commit.sha, "pkg/b.py") == b"y = 2\n"


@pytest.mark.parametrize("name", ["work/pkg", "nowhere", "file"])
def test_what_is_no_repository_is_refused_and_none_is_looked_for_around_it(name: str, tmp_path: Path) -> None:
    make_work_tree(tmp_path)
    (tmp_path / "work/pkg").mkdir()
    (tmp_path / "file").write_text("x")
    with pytest.raises(GitError) as caught:
        GitRepository(tmp_path / name)
    assert caught.value.code == "not-a-repository"


def test_a_repository_of_somebody_else_is_read(bare: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root may give files away")
    for folder, _, names in os.walk(bare):
        for path in (folder, *(f"{folder}/{name}" for name in names)):
            os.chown(path, 12_345, 12_345)
    assert GitRepository(bare).resolve().subject == "First line"


# --- revisions ---------------------------------------------------------------------------------------------------


def test_a_commit_tells_what_it_is(bare: Path) -> None:
    first = GitRepository(bare).resolve()
    second = commit_tree(bare, {}, "Second", TIME + timedelta(hours=1), [first.sha])
    commit = GitRepository(bare).resolve()
    assert (commit.sha, commit.subject, commit.parents) == (second, "Second", (first.sha,))
    assert (commit.time, commit.author) == (TIME + timedelta(hours=1), "Ada Sample")


@pytest.mark.parametrize(
    "rev", ["", "HEAD", "main", "refs/heads/main", "v1", "annotated", "main~0", "HEAD^{commit}"]
)
def test_revisions_that_git_knows_are_resolved(rev: str, bare: Path) -> None:
    raw = pygit2.Repository(str(bare))
    tip = raw.head.target
    raw.references.create("refs/tags/v1", tip)
    raw.create_tag("annotated", tip, ObjectType.COMMIT, pygit2.Signature("A", "a@b.example", 0, 0), "text")
    repository = GitRepository(bare)
    assert repository.resolve(rev).sha == str(tip)
    assert repository.resolve(str(tip)[:10]).sha == str(tip)


@pytest.mark.parametrize(
    "rev",
    ["nowhere", "0" * 40, "main~9", "-x", "--upload-pack=x", "a\0b", "x" * 300, "main:a.py", "main^{tree}", "\ud800"],
)  # fmt: skip
def test_revisions_that_name_no_commit_are_refused(rev: str, bare: Path) -> None:
    with pytest.raises(GitError) as caught:
        GitRepository(bare).resolve(rev)
    assert caught.value.code == "unknown-revision"


def test_an_empty_repository_says_so(tmp_path: Path) -> None:
    with pytest.raises(GitError) as caught:
        GitRepository(init_repository(tmp_path / "r")).resolve()
    assert caught.value.code == "empty-repository"


def test_a_default_branch_that_is_gone_is_another_error_than_an_empty_repository(bare: Path) -> None:
    (bare / "HEAD").write_text("ref: refs/heads/gone\n")
    with pytest.raises(GitError, match="default branch") as caught:
        GitRepository(bare).resolve()
    assert caught.value.code == "unknown-revision"
    assert GitRepository(bare).resolve("main").subject == "First line"


def test_ancestry(bare: Path) -> None:
    first = GitRepository(bare).resolve().sha
    second = commit_tree(bare, {}, "m", TIME, [first])
    side = commit_tree(bare, {"c.py": ""}, "m", TIME, [first], branch="side")
    repository = GitRepository(bare)
    assert repository.is_ancestor(first, second)
    assert repository.is_ancestor(first, first)
    assert not repository.is_ancestor(second, first)
    assert not repository.is_ancestor(side, second)
    assert not repository.is_ancestor("0" * 40, second)
    assert not repository.is_ancestor(first, "0" * 40)


def raw_commit(path: Path, header: bytes, message: bytes) -> str:
    """A commit object written byte by byte, as other tools and attackers do."""
    repository = pygit2.Repository(str(path))
    tree = str(repository.head.peel(pygit2.Tree).id).encode()
    return str(repository.write(ObjectType.COMMIT, b"tree " + tree + b"\n" + header + b"\n" + message))


@pytest.mark.parametrize(
    "header",
    [
        b"author A <a@b> 99999999999999 +0000\ncommitter A <a@b> 99999999999999 +0000\n",
        b"author A <a@b> -99999999999 +0000\ncommitter A <a@b> -99999999999 +0000\n",
        b"author A <a@b> 1 +9999\ncommitter A <a@b> 1 +9999\n",
        b"author A <a@b> 1 -9999\ncommitter A <a@b> 1 -9999\n",
        b"author \xff\xfe <a@b> 1 +0000\ncommitter \xff <a@b> 1 +0000\n",
        b"author  <> 1 +0000\ncommitter  <> 1 +0000\n",
        b"author A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\nencoding no-such\n",
        b"author A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\nencoding latin-1\n",
    ],
)
def test_commits_that_no_honest_git_writes_are_read_all_the_same(header: bytes, bare: Path) -> None:
    sha = raw_commit(bare, header, b"caf\xe9 \x00 and more\n")
    repository = GitRepository(bare)
    commit = repository.resolve(sha)
    assert commit.sha == sha
    assert commit.time.utcoffset() is not None
    assert 1 <= commit.time.astimezone(UTC).year <= 9999
    assert "\0" not in commit.subject + commit.author
    (commit.subject + commit.author).encode()
    assert {entry.path for entry in repository.tree(sha)} == set(FILES)


def test_a_commit_keeps_its_time_zone(bare: Path) -> None:
    sha = raw_commit(bare, b"author A <a@b> 1000000000 -0730\ncommitter A <a@b> 1000000000 -0730\n", b"m")
    time = GitRepository(bare).resolve(sha).time
    assert time.utcoffset() == timedelta(hours=-7, minutes=-30)
    assert time == datetime.fromtimestamp(1_000_000_000, UTC)


# --- trees -----------------------------------------------------------------------------------------------------------


def raw_tree(path: Path, *entries: tuple[str, bytes, str]) -> str:
    """A commit of one tree object written byte by byte: (mode, name, object id) of each entry."""
    repository = pygit2.Repository(str(path))
    data = b"".join(f"{mode} ".encode() + name + b"\0" + bytes.fromhex(sha) for mode, name, sha in entries)
    tree = str(repository.write(ObjectType.TREE, data))
    who = b"A <a@b> 1 +0000\n"
    commit = b"tree " + tree.encode() + b"\nauthor " + who + b"committer " + who + b"\nm"
    sha = repository.write(ObjectType.COMMIT, commit)
    repository.references.create("refs/heads/main", sha, force=True)
    return str(sha)


def blob(path: Path, data: bytes = b"x = 1\n") -> str:
    return str(pygit2.Repository(str(path)).create_blob(data))


def test_links_and_submodules_are_told_from_files(bare: Path) -> None:
    sha = raw_tree(
        bare,
        ("100644", b"file.py", blob(bare)),
        ("120000", b"link.py", blob(bare, b"/etc/passwd")),
        ("160000", b"module", "1" * 40),
        ("100755", b"run.py", blob(bare)),
        ("100664", b"old.py", blob(bare)),
    )
    repository = GitRepository(bare)
    assert {e.path: e.kind for e in repository.tree(sha)} == {
        "file.py": "file",
        "link.py": "link",
        "module": "submodule",
        "run.py": "file",
        "old.py": "file",
    }
    assert repository.read(sha, "link.py") is None
    assert repository.read(sha, "module") is None
    assert problems(bare) == [("link.py", ProblemKind.LINK)]


@pytest.mark.parametrize(
    "name",
    [b"..", b".", b".git", b".GIT", b"/etc.py", b"../escape.py", b".git/hooks/x.py", b".git.", b"git~1"],
)
def test_names_that_no_honest_tree_holds_are_listed_and_not_looked_at(name: bytes, bare: Path) -> None:
    sha = raw_tree(bare, ("100644", b"a.py", blob(bare)), ("100644", name, blob(bare, b"x = (")))
    assert problems(bare) == [(name.decode(), ProblemKind.UNSAFE_PATH)]
    report = audit(
        GitRepository(bare), GitRepository(bare).resolve(sha), parse_policy(""), NoStore(), workers=1
    )
    assert report.findings == ()


def test_a_gitmodules_that_git_refuses_is_listed(bare: Path) -> None:
    text = b'[submodule "../../evil"]\n\tpath = x\n\turl = https://example.org/x\n'
    raw_tree(bare, ("100644", b".gitmodules", blob(bare, text)))
    assert problems(bare) == [(".gitmodules", ProblemKind.UNSAFE_PATH)]
    raw_tree(bare, ("120000", b".gitmodules", blob(bare, b"/etc/passwd")))
    assert problems(bare) == [(".gitmodules", ProblemKind.UNSAFE_PATH)]


def test_a_name_that_stands_twice_in_a_tree_is_listed(bare: Path) -> None:
    raw_tree(bare, ("100644", b"a.py", blob(bare)), ("100644", b"a.py", blob(bare, b"(")))
    assert problems(bare) == [("a.py", ProblemKind.UNSAFE_PATH)]


def test_a_link_leads_nowhere(bare: Path) -> None:
    sha = raw_tree(
        bare,
        ("100644", b"a.py", blob(bare, b"from passwd import root\n")),
        ("120000", b"passwd.py", blob(bare, b"/etc/passwd")),
        ("120000", b"up", blob(bare, b"..")),
    )
    repository = GitRepository(bare)
    assert [repository.read(sha, path) for path in ("passwd.py", "up/a.py", "up")] == [None] * 3
    report = audit(repository, repository.resolve(), parse_policy(""), NoStore(), workers=1)
    assert "root:x" not in repr(report)
    assert {problem.path for problem in report.problems} >= {"passwd.py"}


def test_names_that_are_no_text_are_read_and_shown(bare: Path) -> None:
    sha = raw_tree(
        bare, ("100644", b"caf\xe9.py", blob(bare, b"(")), ("100644", "é ü.py".encode(), blob(bare))
    )
    paths = {e.path for e in GitRepository(bare).tree(sha)}
    assert paths == {"caf\\xe9.py", "é ü.py"}
    for path in paths:
        path.encode()


def test_a_tree_whose_directory_is_absent_is_corrupt(bare: Path) -> None:
    sha = raw_tree(bare, ("100644", b"a.py", blob(bare)), ("40000", b"gone", "2" * 40))
    with pytest.raises(GitError, match="gone") as caught:
        list(GitRepository(bare).tree(sha))
    assert caught.value.code == "corrupt"


def test_a_commit_whose_tree_is_absent_is_corrupt(bare: Path) -> None:
    repository = pygit2.Repository(str(bare))
    who = b"A <a@b> 1 +0000\n"
    sha = repository.write(
        ObjectType.COMMIT, b"tree " + b"3" * 40 + b"\nauthor " + who + b"committer " + who + b"\nm"
    )
    with pytest.raises(GitError) as caught:
        list(GitRepository(bare).tree(str(sha)))
    assert caught.value.code == "corrupt"


def test_too_many_paths_are_refused(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audits.engine.git.MAX_PATHS", 3)
    commit = commit_tree(bare, {f"f{n}.py": "" for n in range(4)}, "m", TIME, [])
    with pytest.raises(GitError) as caught:
        list(GitRepository(bare).tree(commit))
    assert caught.value.code == "too-many-paths"


def packed(path: Path) -> None:
    """Puts all objects of a repository into one pack."""
    repository = pygit2.Repository(str(path))
    ids = list(repository.odb)
    repository.pack(str(path / "objects/pack"))
    for oid in map(str, ids):
        remove_object(path, oid)


@pytest.mark.parametrize("is_packed", [False, True])
def test_a_commit_that_is_too_large_is_not_read_however_one_comes_to_it(bare: Path, is_packed: bool) -> None:
    first = commit_tree(bare, FILES, "before the large one", TIME, [])
    large = commit_tree(bare, FILES, "#" * (MAX_OBJECT_BYTES + 1), TIME, [first])
    last = commit_tree(bare, {"c.py": "c"}, "after the large one", TIME, [large])
    beside = commit_tree(bare, {"d.py": "d"}, "beside the large one", TIME, [first])
    if is_packed:
        packed(bare)
    repository = GitRepository(bare)
    for ask in (
        lambda: repository.resolve(large),
        lambda: repository.log(last),
        lambda: repository.log(beside, [last]),
        lambda: repository.is_ancestor(first, last),
        lambda: repository.merge_base(beside, last),
        lambda: repository.tree_id(large),
        lambda: list(repository.tree(large)),
        lambda: repository.changes(large, last),
    ):
        with pytest.raises(GitError, match=rf"{large} has [\d,]+ bytes; the limit is 16,777,216$") as caught:
            ask()
        assert caught.value.code == "too-large"
    assert (repository.message(large), repository.read(large, "a.py"), repository.entry(large, "a.py")) == (
        "",
        None,
        None,
    )
    assert repository.is_ancestor(first, beside) and repository.read(last, "c.py") == b"c"


def test_a_directory_that_is_too_large_is_not_read(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = commit_tree(bare, {f"d/f{n:03}.py": "" for n in range(200)} | {"a.py": "a"}, "m", TIME, [])
    monkeypatch.setattr("audits.engine.git.MAX_OBJECT_BYTES", 2_000)
    repository = GitRepository(bare)
    with pytest.raises(GitError, match=r"the limit is 2,000$") as caught:
        list(repository.tree(commit))
    assert caught.value.code == "too-large"
    assert repository.read(commit, "d/f001.py") is None and repository.read(commit, "a.py") == b"a"


def test_a_tag_that_is_too_large_is_not_read(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = pygit2.Repository(str(bare))
    who = pygit2.Signature("A", "a@b")
    inner = repository.create_tag("inner", repository.head.target, ObjectType.COMMIT, who, "#" * 3_000)
    repository.create_tag("outer", inner, ObjectType.TAG, who, "short")
    assert GitRepository(bare).resolve("outer").sha == str(repository.head.target)
    monkeypatch.setattr("audits.engine.git.MAX_OBJECT_BYTES", 2_000)
    for name in ("inner", "outer"):
        with pytest.raises(GitError, match=r"the limit is 2,000$"):
            GitRepository(bare).resolve(name)


def test_a_deep_tree_is_walked(bare: Path) -> None:
    path = "d/" * 3_000 + "x.py"
    commit = commit_tree(bare, {path: ""}, "m", TIME, [])
    assert [e.path for e in GitRepository(bare).tree(commit)] == [path]


def test_a_larger_blob_than_is_wanted_is_not_read(bare: Path) -> None:
    commit = commit_tree(bare, {"big.py": "#" * (MAX_BLOB_BYTES + 1), "small.py": "x"}, "m", TIME, [])
    repository = GitRepository(bare)
    assert repository.read(commit, "big.py") is None
    entries = {e.path: e.sha for e in repository.tree(commit)}
    assert repository.blob(entries["big.py"]) is None
    assert repository.blob(entries["small.py"], 0) is None
    assert repository.blob(entries["small.py"], 1) == b"x"
    assert problems(bare) == [("big.py", ProblemKind.TOO_LARGE)]


# --- blobs ------------------------------------------------------------------------------------------------------------


def remove_object(path: Path, sha: str) -> None:
    file = path / "objects" / sha[:2] / sha[2:]
    file.chmod(0o600)
    file.unlink()


def test_an_absent_blob_is_a_problem_of_its_file_and_of_no_other(bare: Path) -> None:
    commit = commit_tree(bare, {"a.py": "gone = 1", "b.py": "(", "c.txt": "gone too"}, "m", TIME, [])
    entries = {e.path: e.sha for e in GitRepository(bare).tree(commit)}
    remove_object(bare, entries["a.py"])
    remove_object(bare, entries["c.txt"])
    repository = GitRepository(bare)
    assert repository.blob(entries["a.py"]) is None
    assert repository.size(entries["a.py"]) is None
    assert not repository.has(entries["a.py"])
    assert repository.has(entries["b.py"])
    assert repository.read(commit, "a.py") is None
    assert problems(bare) == [("a.py", ProblemKind.MISSING_BLOB), ("c.txt", ProblemKind.MISSING_OTHER_BLOB)]


def test_a_damaged_blob_is_a_problem_of_its_file(bare: Path) -> None:
    commit = commit_tree(bare, {"a.py": "x = 1" * 100, "b.py": ""}, "m", TIME, [])
    sha = next(e.sha for e in GitRepository(bare).tree(commit) if e.path == "a.py")
    file = bare / "objects" / sha[:2] / sha[2:]
    file.chmod(0o600)
    file.write_bytes(file.read_bytes()[:20])
    assert GitRepository(bare).blob(sha) is None
    assert problems(bare) == [("a.py", ProblemKind.MISSING_BLOB)]


def test_what_is_no_blob_has_no_bytes(bare: Path) -> None:
    repository = GitRepository(bare)
    commit = repository.resolve()
    assert repository.blob(commit.sha) is None
    assert repository.blob("zz") is None
    assert repository.read(commit.sha, "pkg") is None
    assert repository.read(commit.sha, "nowhere/a.py") is None
    assert repository.read(commit.sha, "") is None
    assert repository.read("0" * 40, "a.py") is None


def test_a_file_may_be_a_directory_elsewhere(bare: Path) -> None:
    index = pygit2.Index()
    repository = pygit2.Repository(str(bare))
    index.add(pygit2.IndexEntry("x.py/__init__.py", repository.create_blob(b"y = 1"), FileMode.BLOB))
    tree = str(index.write_tree(repository))
    sha = raw_tree(bare, ("40000", b"pkg.py", tree))
    assert [e.path for e in GitRepository(bare).tree(sha)] == ["pkg.py/x.py/__init__.py"]
    assert problems(bare) == []
