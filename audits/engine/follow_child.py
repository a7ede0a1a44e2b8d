"""The child process that follows a part of many commits, so that several cores have work.

It is given facts and steps and needs neither the repository nor a store. Frames in the file on standard input are a
``Task``, then ``Portion`` after ``Portion``, and one without content in the end. It answers with a ``Seen`` for each
step but the first, which leads to the tree where the part begins.
"""

import gc
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import NoReturn

import msgspec

from audits.engine.cache import MemoryFactsStore
from audits.engine.following import Follower, Parse, Seen, Step
from audits.engine.frames import Readable, read_frame, write_frame
from audits.engine.policy import Policy
from audits.engine.registry import Registry
from audits.engine.rules import RULES

_POLL_SECONDS = 0.005


class Given:
    """What is given to a process, in a file that somebody else may still be writing.

    It is read at places of its own, because a file's place is shared by all who have it open.
    """

    def __init__(self, descriptor: int, is_written: Callable[[], bool]) -> None:
        """``is_written`` says whether there may come more than there is."""
        self._descriptor = descriptor
        self._is_written = is_written
        self._offset = 0

    def read(self, size: int) -> bytes:
        """So many bytes; fewer where the file ends."""
        data = os.pread(self._descriptor, size, self._offset)
        while len(data) < size and self._is_written():
            time.sleep(_POLL_SECONDS)
            data += os.pread(self._descriptor, size - len(data), self._offset + len(data))
        self._offset += len(data)
        return data


class Task(msgspec.Struct, frozen=True, array_like=True):
    """How trees are judged, and the blobs of which no facts can be had."""

    policy: Policy
    rules: tuple[str, ...]
    registry: Registry | None
    unreadable: tuple[str, ...]


class Portion(msgspec.Struct, frozen=True, array_like=True):
    """Some steps, and the encoded facts that they need beside those of portions before."""

    facts: dict[str, bytes]
    steps: tuple[Step, ...]


def followed(stream: Readable, parse: Parse) -> Iterator[Seen]:
    """What the steps of a stream bring to light, without the first."""
    task = msgspec.msgpack.decode(read_frame(stream) or b"", type=Task)
    store = MemoryFactsStore()
    rules = [RULES[name] for name in task.rules]
    follower = Follower(task.policy, rules, task.registry, store.get_many, task.unreadable, parse)
    is_start = True
    with closing(follower):  # also when nobody asks for more than the last
        while frame := read_frame(stream):
            portion = msgspec.msgpack.decode(frame, type=Portion)
            store.put_many(portion.facts)
            for step in portion.steps:
                seen = follower.follow(step)
                if not is_start:
                    yield seen
                is_start = False


def _nothing_to_parse(shas: object) -> NoReturn:
    """Audited bytes are parsed elsewhere: who gave the facts takes the part over."""
    sys.exit(f"facts are damaged or lost: {shas}")


def main() -> None:
    parent = int(sys.argv[1])
    gc.disable()  # facts form no circles
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not land between frames

    def is_waited_for() -> bool:
        return os.getppid() == parent

    for seen in followed(Given(0, is_waited_for), _nothing_to_parse):
        write_frame(answers, msgspec.msgpack.encode(seen))
        if not is_waited_for():
            return


if __name__ == "__main__":
    main()
