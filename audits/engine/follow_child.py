"""The child process that follows a part of many commits, so that several cores have work.

It is given facts and steps and needs neither the repository nor a store. Frames on standard input are a ``Task``, then
``Portion`` after ``Portion``; it answers with a ``Seen`` for each step but the first, which leads to the tree where the
part begins.
"""

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import closing
from typing import BinaryIO, NoReturn

import msgspec

from audits.engine.cache import MemoryFactsStore
from audits.engine.following import Follower, Parse, Seen, Step
from audits.engine.frames import read_frame, write_frame
from audits.engine.policy import Policy
from audits.engine.registry import Registry
from audits.engine.rules import RULES


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


def followed(stream: BinaryIO, parse: Parse) -> Iterator[Seen]:
    """What the steps of a stream bring to light, without the first."""
    task = msgspec.msgpack.decode(read_frame(stream) or b"", type=Task)
    store = MemoryFactsStore()
    rules = [RULES[name] for name in task.rules]
    follower = Follower(task.policy, rules, task.registry, store.get_many, task.unreadable, parse)
    is_start = True
    with closing(follower):  # also when nobody asks for more than the last
        while (frame := read_frame(stream)) is not None:
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
    for seen in followed(sys.stdin.buffer, _nothing_to_parse):
        write_frame(answers, msgspec.msgpack.encode(seen))
        if os.getppid() != parent:
            return  # nobody waits for it any more


if __name__ == "__main__":
    main()
