"""The only module of the engine that reads git objects. It never checks anything out and never touches the network."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pygit2
from pygit2.enums import FileMode, ObjectType, RepositoryOpenFlag

# Repositories belong to whoever cloned them, not to the user that the site runs as. Nothing of a repository is ever
# run: no hooks, no filters, no checkout. So libgit2's "who owns this directory" check protects nothing here.
pygit2.settings.owner_validation = False

MAX_PATHS = 200_000
MAX_REVISION_LENGTH = 255


class GitError(Exception):
    """A repository, revision or object that can't be read.

    ``code`` is one of not-a-repository, empty-repository, unknown-revision, corrupt, too-many-paths.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit: full object id, committer time (aware), author's name, first line of the message, ids of its
    parents."""

    sha: str
    time: datetime
    author: str
    subject: str
    parents: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One path of a tree. ``kind`` is file, link or submodule."""

    path: str
    sha: str
    kind: str


_KINDS = {
    FileMode.BLOB: "file",
    FileMode.BLOB_EXECUTABLE: "file",
    FileMode.LINK: "link",
    FileMode.COMMIT: "submodule",
}


class GitRepository:
    """A work tree, a ``.git`` directory or a bare repository. Not to be shared between threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._repo = pygit2.Repository(str(path), RepositoryOpenFlag.NO_SEARCH)
        except (pygit2.GitError, ValueError) as error:
            raise GitError("not-a-repository", f"{path} is not a git repository") from error

    def resolve(self, rev: str = "") -> Commit:
        """The commit that a revision names; the default branch's tip when it is empty. Raises ``GitError``."""
        if len(rev) > MAX_REVISION_LENGTH or "\0" in rev or rev.startswith("-"):
            raise GitError("unknown-revision", f"{rev[:40]!r} is not a revision")
        if self._repo.head_is_unborn and not any(True for _ in self._repo.references):
            raise GitError("empty-repository", "the repository has no commits yet")
        try:
            found = self._repo.revparse_single(rev or "HEAD").peel(pygit2.Commit)
        except (KeyError, ValueError, pygit2.GitError) as error:
            if not rev:
                raise GitError(
                    "unknown-revision", "the default branch does not exist in this repository; name a branch"
                ) from error
            raise GitError("unknown-revision", f"there is no commit, tag or branch {rev!r} here") from error
        return _commit(found)

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether ``older`` is ``newer`` or one of its ancestors; False when either commit is absent."""
        if older == newer:
            return True
        try:
            return bool(self._repo.descendant_of(newer, older))
        except (KeyError, ValueError, pygit2.GitError):
            return False

    def tree(self, commit: str) -> Iterator[Entry]:
        """Every path below a commit's tree, in git's order of each directory. Raises ``GitError``."""
        try:
            root = self._repo[commit].peel(pygit2.Tree)
        except (KeyError, ValueError, pygit2.GitError) as error:
            raise GitError("corrupt", f"the tree of commit {commit} can't be read") from error
        count = 0
        pending: list[tuple[str, pygit2.Tree]] = [("", root)]
        while pending:
            prefix, tree = pending.pop()
            for item in tree:
                raw_name = item.raw_name
                path = prefix + (raw_name.decode("utf-8", "backslashreplace") if raw_name else "")
                count += 1
                if count > MAX_PATHS:
                    raise GitError("too-many-paths", f"the tree has more than {MAX_PATHS:,} paths")
                if item.type == ObjectType.TREE:
                    pending.append((path + "/", self._subtree(item, path)))
                else:
                    yield Entry(path, str(item.id), _KINDS.get(FileMode(item.filemode), "file"))

    def _subtree(self, item: pygit2.Object, path: str) -> pygit2.Tree:
        try:
            found = self._repo[item.id]
        except (KeyError, pygit2.GitError) as error:
            raise GitError(
                "corrupt", f"the directory {path} can't be read: its tree object is absent"
            ) from error
        assert isinstance(found, pygit2.Tree)
        return found

    def has(self, sha: str) -> bool:
        """Whether the object is here; public copies of large repositories lack some blobs."""
        return pygit2.Oid(hex=sha) in self._repo

    def blob(self, sha: str) -> bytes | None:
        """A blob's bytes, None when it is absent or broken."""
        try:
            found = self._repo.odb.read(sha)
        except (KeyError, ValueError, pygit2.GitError):
            return None
        return found[1] if found[0] == ObjectType.BLOB else None

    def size(self, sha: str) -> int | None:
        """A blob's size in bytes without reading it, None when it is absent."""
        try:
            return int(self._repo.odb.read_header(sha)[1])
        except (AttributeError, KeyError, ValueError, pygit2.GitError):
            return None

    def read(self, commit: str, path: str) -> bytes | None:
        """The bytes of a file at a commit; None when there is no such file (links and directories are none)."""
        try:
            item = self._repo[commit].peel(pygit2.Tree)[path]
        except (KeyError, ValueError, pygit2.GitError):
            return None
        if item.type != ObjectType.BLOB or item.filemode == FileMode.LINK:
            return None
        return self.blob(str(item.id))


def _commit(commit: pygit2.Commit) -> Commit:
    zone = timezone(timedelta(minutes=commit.commit_time_offset))
    return Commit(
        sha=str(commit.id),
        time=datetime.fromtimestamp(commit.commit_time, zone),
        author=commit.author.name.replace("\0", ""),
        subject=commit.message.strip().partition("\n")[0].replace("\0", "")[:300],
        parents=tuple(str(p) for p in commit.parent_ids),
    )
