"""Frames, in which a process and its children talk: a four-byte big-endian length and a MessagePack value."""

import struct
from typing import BinaryIO, NamedTuple, Protocol


class Outcome(NamedTuple):
    """What came of one blob: encoded facts, or the kind of problem and words."""

    sha: str
    facts: bytes = b""
    problem: str = ""
    words: str = ""


class Readable(Protocol):
    """What frames are read from."""

    def read(self, size: int, /) -> bytes:
        """So many bytes; fewer at the end."""


def read_frame(stream: Readable) -> bytes | None:
    """The next frame's payload, None at the end of the stream (also in the middle of a frame)."""
    header = stream.read(4)
    if len(header) < 4:
        return None
    size = struct.unpack(">I", header)[0]
    payload = stream.read(size)
    return payload if len(payload) == size else None


def write_frame(stream: BinaryIO, payload: bytes) -> None:
    stream.write(struct.pack(">I", len(payload)) + payload)
    stream.flush()
