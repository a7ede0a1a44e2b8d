"""Tiny git repositories built in code, with fixed authors and times, so that object ids are the same on every run."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import pygit2
from pygit2.enums import FileMode

AUTHOR = ("Ada Sample", "ada@example.org")


def init_repository(path: Path, *, bare: bool = False, branch: str = "main") -> Path:
    """An empty repository at ``path`` (made with its parents), whose HEAD names ``branch``. Answers ``path``."""
    pygit2.init_repository(str(path), bare=bare, initial_head=branch)
    return path


def commit_tree(
    repo_path: Path,
    files: Mapping[str, str | bytes],
    message: str,
    time: datetime | int,
    parents: Sequence[str],
    *,
    branch: str = "main",
    links: Mapping[str, str] | None = None,
) -> str:
    """Commit a tree that holds exactly ``files`` (path: content) and ``links`` (path: target), and move ``branch`` to
    it. Answers the commit's id.

    ``time`` is an aware datetime or seconds since 1970. Nothing is written to a work tree.
    """
    repository = pygit2.Repository(str(repo_path))
    index = pygit2.Index()
    for path, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        index.add(pygit2.IndexEntry(path, repository.create_blob(data), FileMode.BLOB))
    for path, target in (links or {}).items():
        index.add(pygit2.IndexEntry(path, repository.create_blob(target.encode()), FileMode.LINK))
    seconds = time if isinstance(time, int) else int(time.timestamp())
    signature = pygit2.Signature(*AUTHOR, seconds, 0)
    oid = repository.create_commit(
        None, signature, signature, message, index.write_tree(repository), [str(parent) for parent in parents]
    )
    repository.references.create(f"refs/heads/{branch}", oid, force=True)
    return str(oid)
