"""The objects of a repository that lie about unpacked, one file each, read and checked without libgit2."""

import hashlib
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

_START = 1 << 12
# Repositories that lend their objects to others, one after the other.
_MAX_LENDERS = 5


class TooLarge(ValueError):
    """An object of more bytes than were wanted. It was not inflated."""

    def __init__(self, sha: str, size: int) -> None:
        super().__init__(f"object {sha} has {size:,} bytes")
        self.size = size


class LooseObjects:
    """The objects that lie about unpacked.

    libgit2 reads one that breaks off (a full disk, a lost machine) for ever, so none gets there unchecked.
    """

    def __init__(self, folder: Path) -> None:
        self._folders = list(_with_lenders(folder))

    def read(self, sha: str, max_bytes: int) -> tuple[bytes, bytes] | None:
        """An object's kind and bytes, None when it isn't loose. Raises ``TooLarge``, when damaged ``ValueError``."""
        for folder in self._folders:
            try:
                with open(f"{folder}/{sha[:2]}/{sha[2:]}", "rb") as file:
                    return _inflated(sha, file, max_bytes)
            except OSError:
                continue
        return None


def _inflated(sha: str, file: IO[bytes], max_bytes: int) -> tuple[bytes, bytes]:
    stream = zlib.decompressobj()
    try:
        head = stream.decompress(file.read(_START), 64)
        header, _, start = head.partition(b"\0")
        kind, size = header.split(b" ")
        if int(size) > max_bytes:
            raise TooLarge(sha, int(size))
        # What nothing compresses is a little larger in the file than it is.
        rest = stream.unconsumed_tail + file.read(2 * int(size) + _START)
        data = start + stream.decompress(rest, max(int(size) - len(start), 0) + 1)
    except zlib.error as error:
        raise ValueError(f"object {sha} is damaged") from error
    digest = hashlib.new("sha1" if len(sha) == 40 else "sha256", header + b"\0" + data, usedforsecurity=False)
    if digest.hexdigest() != sha:
        raise ValueError(f"object {sha} is damaged")
    return kind, data


def objects_folder(git_folder: Path) -> Path:
    """The folder of objects; a linked work tree names the repository that has it."""
    try:
        common = (git_folder / "commondir").read_text().strip()
    except (OSError, ValueError):
        return git_folder / "objects"
    return git_folder / common / "objects"


def _with_lenders(folder: Path) -> Iterator[Path]:
    """A folder of objects, and those that it borrows from."""
    pending = [folder]
    for _ in range(_MAX_LENDERS):
        if not pending:
            return
        current = pending.pop(0)
        yield current
        try:
            lines = (current / "info" / "alternates").read_text().splitlines()
        except (OSError, ValueError):
            continue
        pending.extend(current / line for line in lines if line and not line.startswith("#"))
