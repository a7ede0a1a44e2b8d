"""Writes a commit's files into a directory, for tests to run in. Nothing is executed, no hook, filter or submodule."""

import os
from pathlib import Path, PurePosixPath

from audits.engine.git import Entry, GitError, GitRepository


class CheckoutError(Exception):
    """A commit whose files can't be written; the message tells a person why."""


def check_out(git: GitRepository, commit: str, folder: Path, max_bytes: int) -> int:
    """Write a commit's files into an empty directory. Answers how many bytes they have.

    Submodules and links that lead out of the directory are left out. Raises ``CheckoutError``.
    """
    links: list[Entry] = []
    size = 0
    try:
        for entry in git.tree(commit):
            _check(entry.path)
            if entry.kind == "link":
                links.append(entry)
            elif entry.kind == "file":
                size += git.size(entry.sha) or 0
                if size > max_bytes:
                    limit = f"{max_bytes:,} bytes (SSOT_TEST_RUNNER_BYTES)"
                    raise CheckoutError(f"The commit’s files have more than {limit}.")
                _write(folder / entry.path, _blob(git, entry, max_bytes), executable=entry.is_executable)
        # Last, and after all directories, so that nothing is written through one.
        for entry in links:
            (folder / entry.path).parent.mkdir(parents=True, exist_ok=True)
        for entry in links:
            _link(folder, entry.path, os.fsdecode(_blob(git, entry, max_bytes)))
    except (GitError, OSError) as error:
        raise CheckoutError(f"The commit’s files can’t be written: {error}.") from error
    return size


def _check(path: str) -> None:
    parts = path.split("/")
    if "\0" in path or any(part in {"", ".", ".."} or part.casefold() == ".git" for part in parts):
        raise CheckoutError(f"The path {path[:100]!r} would not stay inside of the checkout.")


def _blob(git: GitRepository, entry: Entry, max_bytes: int) -> bytes:
    data = git.blob(entry.sha, max_bytes)
    if data is None:
        raise CheckoutError(f"The repository’s copy lacks the content of {entry.path}.")
    return data


def _write(path: Path, data: bytes, *, executable: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with open(os.open(path, flags, 0o755 if executable else 0o644), "wb") as file:
        file.write(data)


def _link(folder: Path, path: str, target: str) -> None:
    place = os.path.normpath(PurePosixPath(path).parent / target)
    if not os.path.isabs(target) and place.split("/")[0] != ".." and not os.path.lexists(folder / path):
        (folder / path).symlink_to(target)
