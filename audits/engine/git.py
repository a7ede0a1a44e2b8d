"""The only module of the engine that reads git objects. It never checks anything out and never touches the network."""

import codecs
import hashlib
import re
import stat
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import msgspec
import pygit2
from pygit2.enums import FileMode, ObjectType, RepositoryOpenFlag, SortMode

from audits.engine import git_executable
from audits.engine.loose_objects import LooseObjects, TooLarge, objects_folder

# Repositories belong to whoever cloned them, not to the user that the site runs as. Nothing of a repository is ever
# run: no hooks, no filters, no checkout. So libgit2's "who owns this directory" check protects nothing here.
pygit2.settings.owner_validation = False

MAX_PATHS = 200_000
# More than any policy lets a file have that is parsed. A pack of two megabytes can hold a file of two gigabytes.
MAX_BLOB_BYTES = 16 * 1024**2
# Of a commit, tag or directory. git itself has no limit, and libgit2 holds each that it reads.
MAX_OBJECT_BYTES = 16 * 1024**2
MAX_REVISION_LENGTH = 255
MAX_SUBJECT_LENGTH = 300
# The first and the last second that every database and calendar here can hold.
_FIRST_SECOND = int(datetime(1970, 1, 1, tzinfo=UTC).timestamp())
_LAST_SECOND = int(datetime(9999, 12, 30, tzinfo=UTC).timestamp())
_OBJECT_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class GitError(Exception):
    """A repository, revision or object that can't be read.

    ``code`` is one of not-a-repository, empty-repository, unknown-revision, corrupt, too-large, too-many-paths,
    unmerged.
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


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One path of a tree. ``kind`` is file, link or submodule. Only ``GitRepository.tree`` tells executable files."""

    path: str
    sha: str
    kind: str
    is_executable: bool = False


# What differs between two trees: before and after, by path.
Changes = dict[str, tuple[Entry | None, Entry | None]]


@dataclass(frozen=True, slots=True)
class Staged:
    """What the next commit would hold: every path of the index, and the id that its tree would get."""

    entries: tuple[Entry, ...]
    tree: str


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
        self._executable = git_executable.executable()
        self._listings: dict[str, dict[bytes, tuple[bytes, bytes]]] = {}
        self._listed_names = 0
        self._loose = LooseObjects(objects_folder(Path(self._repo.path)))

    def resolve(self, rev: str = "") -> Commit:
        """The commit that a revision names; the default branch's tip when it is empty. Raises ``GitError``."""
        if len(rev) > MAX_REVISION_LENGTH or "\0" in rev or rev.startswith("-"):
            raise GitError("unknown-revision", f"{rev[:40]!r} is not a revision")
        if self._repo.head_is_unborn and not any(True for _ in self._repo.references):
            raise GitError("empty-repository", "the repository has no commits yet")
        try:
            self._check_tip(rev or "HEAD")
            named = self._repo.revparse_single(rev or "HEAD")
            while isinstance(named, pygit2.Tag):
                self._check(str(named.target))
                named = self._repo[named.target]
            found = named.peel(pygit2.Commit)
        except (KeyError, ValueError, pygit2.GitError) as error:
            if not rev:
                raise GitError(
                    "unknown-revision", "the default branch does not exist in this repository; name a branch"
                ) from error
            raise GitError("unknown-revision", f"there is no commit, tag or branch {rev!r} here") from error
        return _commit(found)

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether ``older`` is ``newer`` or one of its ancestors; False when either commit is absent.

        Raises ``GitError`` where one of the commits between is too large to be read.
        """
        if older == newer:
            return True
        try:
            self._check_ancestry(older, newer)
            return bool(self._repo.descendant_of(newer, older))
        except (KeyError, ValueError, pygit2.GitError):
            return False

    def log(self, head: str, known: Iterable[str] = ()) -> list[Commit]:
        """The commit and all its ancestors, parents before children, without ``known`` ones and their ancestors.

        Commits of one line of development stand together as far as ancestry allows. Raises ``GitError``.
        """
        try:
            hidden = [*known]
            self._check_ancestry(head, *hidden)
            walk = self._repo.walk(pygit2.Oid(hex=head), SortMode.TOPOLOGICAL | SortMode.REVERSE)
            for sha in hidden:
                walk.hide(pygit2.Oid(hex=sha))
            return [_commit(commit) for commit in walk]
        except (KeyError, ValueError, pygit2.GitError) as error:
            raise GitError("corrupt", f"the ancestors of commit {head} can't be read: {error}") from error

    def changes(self, old: str, new: str) -> Changes:
        """What differs between the trees of two commits (``old`` may be "": nothing): before and after, by path.

        Raises ``GitError``.
        """
        found: Changes = {}
        pending: list[tuple[str, str | None, str | None]] = [
            ("", self.tree_id(old) if old else None, self.tree_id(new))
        ]
        while pending:
            prefix, before_id, after_id = pending.pop()
            before, after = self._listing(before_id, prefix), self._listing(after_id, prefix)
            for name in before.keys() | after.keys():
                was, now = before.get(name), after.get(name)
                if was == now:
                    continue
                path = prefix + name.decode("utf-8", "backslashreplace")
                folders = (_folder(was), _folder(now))
                if folders != (None, None):
                    pending.append((path + "/", *folders))
                sides = (_entry(path, was), _entry(path, now))
                if sides != (None, None):
                    found[path] = sides
                    if len(found) > _MAX_CHANGES:
                        raise GitError(
                            "too-many-paths", f"commit {new} changes more than {_MAX_CHANGES:,} paths"
                        )
        return found

    def all_changes(self, pairs: Sequence[tuple[str, str]]) -> Generator[Changes, None, None]:
        """What differs between each two commits, as ``changes`` says it, one after the other as they are asked for.

        The ``git`` executable is asked for them where there is one; what it can't say is read here. To be closed when
        not all are wanted. Raises ``GitError``.
        """
        answered = 0
        if self._executable is not None and len(pairs) > 1:
            with closing(self._listed(self._executable, pairs)) as listed:
                try:
                    for changes in listed:
                        answered += 1
                        yield changes
                except git_executable.ExecutableError:
                    pass  # here it is read again, which says what is wrong
        for old, new in pairs[answered:]:
            yield self.changes(old, new)

    def _listed(self, program: str, pairs: Sequence[tuple[str, str]]) -> Generator[Changes, None, None]:
        trees = {sha: self.tree_id(sha) for pair in pairs for sha in pair if sha}
        nothing = git_executable.empty_tree(pairs[0][1])
        asked = [(trees[old] if old else nothing, trees[new]) for old, new in pairs]
        found = git_executable.differences(program, self._repo.path, asked, _MAX_CHANGES)
        with closing(found):
            for pair, (before, after), differences in zip(pairs, asked, found, strict=False):
                changes: Changes = {}
                for raw, was, now in differences:
                    path = raw.decode("utf-8", "backslashreplace")
                    changes[path] = (_listed_entry(path, was), _listed_entry(path, now))
                # Hardly ever do trees differ in nothing: an executable that doesn't understand isn't believed.
                yield changes if changes or before == after else self.changes(*pair)

    def merge_base(self, one: str, other: str) -> str | None:
        """The commit where two lines of development parted, None when they have none in common."""
        try:
            self._check_ancestry(one, other)
            found = self._repo.merge_base(pygit2.Oid(hex=one), pygit2.Oid(hex=other))
        except (KeyError, ValueError, pygit2.GitError) as error:
            raise GitError("corrupt", f"the ancestors of {one} and {other} can't be read") from error
        return None if found is None else str(found)

    def staged(self, index_file: Path | None = None) -> Staged:
        """What is staged, from the repository's index or from another one. Raises ``GitError``.

        Nothing is written. ``git add --intent-to-add`` counts as an empty file.
        """
        try:
            index = pygit2.Index(str(index_file)) if index_file is not None else self._repo.index
            index.read()
            conflicts = sorted({side.path for three in index.conflicts or () for side in three if side})
            if len(index) > MAX_PATHS:
                raise GitError("too-many-paths", f"the index has more than {MAX_PATHS:,} paths")
            found = [(e.path, str(e.id), FileMode(e.mode)) for e in index]
        except (KeyError, ValueError, OSError, pygit2.GitError) as error:
            raise GitError("corrupt", f"the index can't be read: {error}") from error
        if conflicts:
            words = ", ".join(conflicts[:3]) + (", ..." if len(conflicts) > 3 else "")
            raise GitError("unmerged", f"there are unmerged paths ({words}): resolve them and git add them")
        entries = tuple(Entry(_shown(path), sha, _KINDS.get(mode, "file")) for path, sha, mode in found)
        return Staged(entries, _tree_of(found))

    def tree_id(self, commit: str) -> str:
        """The id of a commit's tree: equal ids, equal trees. Raises ``GitError``."""
        try:
            self._check(commit)
            return str(self._repo[commit].peel(pygit2.Commit).tree_id)
        except (KeyError, ValueError, pygit2.GitError) as error:
            raise GitError("corrupt", f"commit {commit} can't be read") from error

    def _listing(self, tree: str | None, prefix: str) -> dict[bytes, tuple[bytes, bytes]]:
        """What a tree object holds: mode and object id by name. Those read last are remembered."""
        if tree is None:
            return {}
        found = self._listings.get(tree)
        if found is None:
            try:
                self._check(tree)
                kind, data = self._repo.odb.read(tree)
                found = dict(_parsed(data, len(tree) // 2)) if kind == ObjectType.TREE else None
            except (KeyError, ValueError, pygit2.GitError) as error:
                raise GitError("corrupt", f"the directory {prefix or '/'} can't be read") from error
            if found is None:
                raise GitError("corrupt", f"the directory {prefix or '/'} is no directory")
            self._listed_names += len(found)
            if len(self._listings) >= _MAX_LISTINGS or self._listed_names > _MAX_LISTED_NAMES:
                self._listings.clear()
                self._listed_names = len(found)
            self._listings[tree] = found
        return found

    def tree(self, commit: str) -> Iterator[Entry]:
        """Every path below a commit's tree, in git's order of each directory. Raises ``GitError``."""
        try:
            self._check(commit)
            found = self._repo[commit].peel(pygit2.Commit)
            self._check(str(found.tree_id))
            root = found.tree
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
                    mode = FileMode(item.filemode)
                    is_executable = mode == FileMode.BLOB_EXECUTABLE
                    yield Entry(path, str(item.id), _KINDS.get(mode, "file"), is_executable)

    def _subtree(self, item: pygit2.Object, path: str) -> pygit2.Tree:
        try:
            self._check(str(item.id))
            found = self._repo[item.id]
        except (KeyError, ValueError, pygit2.GitError) as error:
            raise GitError(
                "corrupt", f"the directory {path} can't be read: its tree object is absent or damaged"
            ) from error
        assert isinstance(found, pygit2.Tree)
        return found

    def has(self, sha: str) -> bool:
        """Whether the object is here; public copies of large repositories lack some blobs."""
        return pygit2.Oid(hex=sha) in self._repo.odb

    def blob(self, sha: str, max_bytes: int = MAX_BLOB_BYTES) -> bytes | None:
        """A blob's bytes, None when it is absent, broken or larger than ``max_bytes``: then it is not read at all."""
        if (self.size(sha) or 0) > max_bytes:
            return None
        try:
            loose = self._loose.read(sha, max_bytes)
            if loose is not None:
                return loose[1] if loose[0] == b"blob" else None
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
        """The bytes of a file at a commit; None when there is no such file (links and directories are none), or when
        ``blob`` does not read it."""
        try:
            item = self._item(commit, path)
        except (KeyError, ValueError, pygit2.GitError, GitError):
            return None
        if item.type != ObjectType.BLOB or item.filemode == FileMode.LINK:
            return None
        return self.blob(str(item.id))

    def entry(self, commit: str, path: str) -> Entry | None:
        """The file or link at a path of a commit; None when there is none, or the commit can't be read."""
        try:
            item = self._item(commit, path)
        except (KeyError, ValueError, pygit2.GitError, GitError):
            return None
        if item.type == ObjectType.TREE:
            return None
        return Entry(path, str(item.id), _KINDS.get(FileMode(item.filemode), "file"))

    def _item(self, commit: str, path: str) -> pygit2.Object:
        """What stands at a path of a commit. Raises ``KeyError`` and whatever says that it can't be read."""
        self._check(commit)
        item: pygit2.Object | None = None
        folder = self._repo[commit].peel(pygit2.Commit).tree_id
        for name in path.split("/"):
            if item is not None and item.type != ObjectType.TREE:
                raise KeyError(path)
            self._check(str(folder))
            item = self._repo[folder].peel(pygit2.Tree)[name]
            folder = item.id
        assert item is not None
        return item

    def message(self, commit: str) -> str:
        """The whole message of a commit, empty when it can't be read."""
        try:
            self._check(commit)
            found = self._repo[commit].peel(pygit2.Commit)
        except (KeyError, ValueError, pygit2.GitError, GitError):
            return ""
        return _text(found.raw_message, found.message_encoding).replace("\0", "")

    def _check_tip(self, rev: str) -> None:
        """Raises ``ValueError`` when the object that a revision names is damaged."""
        if _OBJECT_ID.fullmatch(rev):
            self._check(rev)
            return
        try:
            reference = self._repo.lookup_reference_dwim(rev).resolve()
        except (KeyError, ValueError, pygit2.GitError):
            return  # no name of a reference, but HEAD~3 or a short id
        self._check(str(reference.target))

    def _check(self, sha: str) -> None:
        """Raises ``GitError`` for a commit, tag or directory that is too large to be read, ``KeyError`` for one that is
        absent, ``ValueError`` for one that is damaged in a way that libgit2 would hang on."""
        try:
            if self._loose.read(sha, MAX_OBJECT_BYTES) is not None:
                return
            size = self._repo.odb.read_header(sha)[1]
        except TooLarge as error:
            size = error.size
        if size > MAX_OBJECT_BYTES:
            raise GitError(
                "too-large",
                f"the commit, tag or directory {sha} has {size:,} bytes; the limit is {MAX_OBJECT_BYTES:,}",
            )

    def _check_ancestry(self, *heads: str) -> None:
        """As ``_check``, for commits and all their ancestors: what walks over them reads each as a whole.

        What one walk has seen no other one looks at again, in this process.
        """
        seen: set[str] = set()
        pending = [*heads]
        while pending:
            sha = pending.pop()
            if sha in seen or sha in _CHECKED:
                continue
            seen.add(sha)
            try:
                self._check(sha)
                pending += [str(parent) for parent in self._repo[sha].peel(pygit2.Commit).parent_ids]
            except KeyError:
                if sha in heads:
                    raise
                # a shallow clone ends here, or the walk says what is wrong
        if len(_CHECKED) > _MAX_CHECKED:
            _CHECKED.clear()
        _CHECKED.update(seen)


_TREE = b"40000"
_LINK = b"120000"
_SUBMODULE = b"160000"
_MODES = {_LINK: "link", _SUBMODULE: "submodule"}
_KINDS_BY_MODE = {mode.decode(): kind for mode, kind in _MODES.items()}
_MAX_LISTINGS = 5_000
_MAX_LISTED_NAMES = 1_000_000
_MAX_CHANGES = 2 * MAX_PATHS  # each path gone, and as many come
# Commits that are no larger than they may be, nor is any of their ancestors: their ids say so for every repository.
_CHECKED: set[str] = set()
_MAX_CHECKED = 250_000


def _parsed(data: bytes, width: int) -> Iterator[tuple[bytes, tuple[bytes, bytes]]]:
    """The entries of a tree object: name, mode, object id as it stands. ``width`` is the length of an id in bytes."""
    position = 0
    modes: dict[bytes, bytes] = {}  # the same few, over and over
    while position < len(data):
        blank = data.index(b" ", position)
        end = data.index(b"\0", blank)
        mode = data[position:blank]
        canonical = modes.get(mode) or modes.setdefault(mode, _canonical(mode))
        yield data[blank + 1 : end], (canonical, data[end + 1 : end + 1 + width])
        position = end + 1 + width


def _canonical(mode: bytes) -> bytes:
    """A mode as git takes it: old programs wrote ``040000`` and ``100664``. Raises ``ValueError``."""
    number = int(mode, 8)
    if stat.S_ISDIR(number):
        return _TREE
    if stat.S_ISREG(number):
        return b"100755" if number & stat.S_IXUSR else b"100644"
    return _LINK if stat.S_ISLNK(number) else _SUBMODULE


def _shown(path: str) -> str:
    """A path of the index as trees' paths are shown."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _tree_of(entries: Iterable[tuple[str, str, FileMode]]) -> str:
    """The id of the tree with these paths, as git would write it."""
    root: dict[bytes, Any] = {}
    width = 40
    for path, sha, mode in entries:
        width = len(sha)
        *folders, name = path.encode("utf-8", "surrogateescape").split(b"/")
        folder = root
        for part in folders:
            folder = folder.setdefault(part + b"/", {})
        folder[name] = (b"%o" % mode, bytes.fromhex(sha))
    return _written(root, "sha1" if width == 40 else "sha256").hex()


def _written(folder: dict[bytes, Any], algorithm: str) -> bytes:
    # A folder is sorted as if its name ended in a slash, which the keys here do.
    parts = []
    for name, value in sorted(folder.items()):
        if isinstance(value, dict):
            parts.append(b"40000 " + name[:-1] + b"\0" + _written(value, algorithm))
        else:
            parts.append(value[0] + b" " + name + b"\0" + value[1])
    data = b"".join(parts)
    return hashlib.new(algorithm, b"tree %d\0" % len(data) + data, usedforsecurity=False).digest()


def _folder(side: tuple[bytes, bytes] | None) -> str | None:
    return side[1].hex() if side is not None and side[0] == _TREE else None


def _listed_entry(path: str, side: git_executable.Side) -> Entry | None:
    return Entry(path, side[1], _KINDS_BY_MODE.get(side[0], "file")) if side is not None else None


def _entry(path: str, side: tuple[bytes, bytes] | None) -> Entry | None:
    if side is None or side[0] == _TREE:
        return None
    return Entry(path, side[1].hex(), _MODES.get(side[0], "file"))


def _commit(commit: pygit2.Commit) -> Commit:
    minutes = max(min(commit.commit_time_offset, 24 * 60 - 1), 1 - 24 * 60)
    seconds = max(min(commit.commit_time, _LAST_SECOND), _FIRST_SECOND)
    subject = _text(commit.raw_message, commit.message_encoding).strip().partition("\n")[0]
    return Commit(
        sha=str(commit.id),
        time=datetime.fromtimestamp(seconds, timezone(timedelta(minutes=minutes))),
        author=_text(commit.author.raw_name, commit.message_encoding).replace("\0", ""),
        subject=subject.replace("\0", "")[:MAX_SUBJECT_LENGTH],
        parents=tuple(str(p) for p in commit.parent_ids),
    )


def _text(data: bytes, encoding: str | None) -> str:
    try:
        codecs.lookup(encoding or "utf-8")
        return data.decode(encoding or "utf-8", "replace")
    except (LookupError, ValueError):
        return data.decode("utf-8", "replace")
