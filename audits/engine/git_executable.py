"""What many pairs of trees differ in, asked of the ``git`` executable where there is one: far faster than reading tree
objects here, which is what ``git.GitRepository`` does everywhere else.

One process answers for all pairs. It reads trees and nothing else: no settings but those of the repository's format
count, no hook, filter or helper runs, nothing is fetched or written, nobody is asked, and no environment is handed on.
It is killed when nobody wants its answers any more.
"""

import fcntl
import hashlib
import os
import resource
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from functools import cache
from typing import IO

# One side of a difference: mode and object id as texts; None: nothing is there.
Side = tuple[str, str] | None
Difference = tuple[bytes, Side, Side]

_CHUNK = 1 << 20
_LONGEST_NAME = 1 << 24
_MOST_MEMORY = 2 << 30  # of the process, without the packs, which it maps
_NOTHING = "000000"
_COMMAND = (
    "diff-tree", "--stdin", "-r", "--raw", "-z", "--no-abbrev", "--no-renames", "--no-ext-diff", "--no-textconv",
    "--ignore-submodules=none",
)  # fmt: skip
_ENVIRONMENT = {
    "LANG": "C",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_NO_LAZY_FETCH": "1",
    # An executable too old for the line above fetches by no protocol either.
    "GIT_ALLOW_PROTOCOL": "",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
}


class ExecutableError(Exception):
    """The executable can't say it: it is damaged, too old, or an object can't be read."""


@cache
def executable() -> str | None:
    """The ``git`` on the path, None when there is none."""
    return shutil.which("git")


def empty_tree(like: str) -> str:
    """The id of the tree that holds nothing, in the format of another id."""
    return hashlib.new(
        "sha1" if len(like) == 40 else "sha256", b"tree 0\0", usedforsecurity=False
    ).hexdigest()


def differences(
    program: str, git_folder: str, pairs: Sequence[tuple[str, str]], most: int
) -> Generator[list[Difference], None, None]:
    """The differences between each two trees (their ids), at most ``most``, pair by pair in the order of ``pairs``.

    Raises ``ExecutableError``, perhaps after some pairs: what came before is right.
    """
    with tempfile.TemporaryFile() as questions:
        # A file and no pipe: the process takes its questions whenever it likes, and nobody has to feed it meanwhile.
        questions.write("".join(f"{old} {new}\n" for old, new in pairs).encode())
        questions.seek(0)
        try:
            process = subprocess.Popen(
                [program, "--git-dir", git_folder, *_COMMAND],
                cwd="/",
                env=_ENVIRONMENT,
                stdin=questions,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            raise ExecutableError(f"{program} can't be run") from error
    assert process.stdout is not None
    try:
        with suppress(AttributeError, OSError):  # it may be ahead by so much, on Linux
            fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, _CHUNK)
        with suppress(AttributeError, OSError):  # it has ended already, or this is no Linux
            resource.prlimit(process.pid, resource.RLIMIT_DATA, (_MOST_MEMORY, _MOST_MEMORY))
        # Who dies on the last pair has said its line already, so that answer waits for the word of success.
        last: list[Difference] | None = None
        for found in _answers(process.stdout, pairs, most):
            if last is not None:
                yield last
            last = found
        if process.wait() != 0:
            raise ExecutableError("git gave up")
        if last is not None:
            yield last
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


def _answers(
    stream: IO[bytes], pairs: Sequence[tuple[str, str]], most: int
) -> Generator[list[Difference], None, None]:
    """Each pair's differences. A line "old new" stands before them, so it is clear what is answered."""
    found: list[Difference] | None = None
    answered = 0
    meta: bytes | None = None
    modes: dict[bytes, str] = {}
    for token in _tokens(stream):
        if meta is not None:
            assert found is not None
            found.append((token, *_sides(meta, modes)))
            if len(found) > most:
                raise ExecutableError("git finds too much")
            meta = None
            continue
        *heads, meta = token.split(b"\n")
        for head in heads:
            if found is not None:
                yield found
            if answered == len(pairs) or head.decode("ascii", "replace") != " ".join(pairs[answered]):
                raise ExecutableError("git answers something else")
            found = []
            answered += 1
        if not meta:
            meta = None  # the end of the stream
        elif found is None:
            raise ExecutableError("git answers before it was asked")
    if answered != len(pairs) or meta is not None:
        raise ExecutableError("git gave up")
    if found is not None:
        yield found


def _tokens(stream: IO[bytes]) -> Iterator[bytes]:
    """What stands between zero bytes; in the end what follows the last one."""
    rest = b""
    while chunk := stream.read(_CHUNK):
        *whole, rest = (rest + chunk).split(b"\0")
        if len(rest) > _LONGEST_NAME:
            raise ExecutableError("git names something that is too long")
        yield from whole
    yield rest


def _sides(meta: bytes, modes: dict[bytes, str]) -> tuple[Side, Side]:
    """Both sides of ``:100644 100755 id id M``. ``modes`` has those seen before: they are few."""
    try:
        old_mode, new_mode, old, new, _ = meta.split(b" ")
    except ValueError as error:
        raise ExecutableError("git answers something else") from error
    was = modes.get(old_mode) or modes.setdefault(old_mode, old_mode.lstrip(b":").decode("ascii", "replace"))
    now = modes.get(new_mode) or modes.setdefault(new_mode, new_mode.decode("ascii", "replace"))
    return (
        (was, old.decode("ascii", "replace")) if was != _NOTHING else None,
        (now, new.decode("ascii", "replace")) if now != _NOTHING else None,
    )
