"""Many steps from tree to tree, followed by several processes: one part here, the others elsewhere meanwhile."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from itertools import accumulate, chain, islice, pairwise
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from audits.engine.follow_child import Given, Portion, Task, followed
from audits.engine.following import Follower, Parse, Seen, Step
from audits.engine.frames import write_frame
from audits.engine.listing import FactsStore
from audits.engine.rules import RULES

# A part must be worth its own process, which begins with judging a whole tree: so many versions of files at least.
PART = 20_000
# What the rest costs beside a version of a file, as measured: the lives at a commit, and a file of the first tree.
LIVES = 0.9
TREE = 1.6
# Each process holds the facts of a whole tree in memory (about a gigabyte for ten thousand files).
MOST = 4
CHILD = ("-m", "audits.engine.follow_child")
_PORTION = 500  # versions of files that go to a child in one frame
_POLL_SECONDS = 0.05
_ROOT = Path(__file__).resolve().parent.parent.parent


def parts_of(steps: Sequence[Step], processes: int) -> list[range]:
    """Cuts steps into parts that cost about as much, one a process or fewer.

    Who follows the first part puts all lives together; the others begin with a whole tree, of at most as many files
    as the last one has.
    """
    costs = list(accumulate(len(step.blobs) for step in steps))
    total = costs[-1] if costs else 0
    count = max(min(processes, MOST, total // PART), 1)
    lives = LIVES * len(steps)
    tree = TREE * max(sum(map(_more_files, steps)), 0)
    share = (total + lives + tree * (count - 1)) / count
    ends = [bisect_left(costs, share - lives + (share - tree) * number) + 1 for number in range(count - 1)]
    cuts = sorted({0, *(min(end, len(steps)) for end in ends), len(steps)})
    return [range(start, end) for start, end in pairwise(cuts)]


def _more_files(step: Step) -> int:
    """How many Python files there are more after a step."""
    new = sum(sha is not None and path in step.added for path, sha in step.blobs.items())
    return new - sum(sha is None for sha in step.blobs.values())


def portions(steps: Iterable[Step], store: FactsStore) -> Iterator[Portion]:
    """Steps in portions, each with the facts that it needs beside those of portions before."""
    sent: set[str] = set()
    wanted: dict[str, None] = {}
    pending: list[Step] = []
    for step in steps:
        pending.append(step)
        wanted.update((sha, None) for sha in step.blobs.values() if sha is not None and sha not in sent)
        if len(wanted) >= _PORTION:
            yield Portion(store.get_many(list(wanted)), tuple(pending))
            sent.update(wanted)
            wanted, pending = {}, []
    yield Portion(store.get_many(list(wanted)), tuple(pending))


class _Ahead:
    """Known facts, of which some were read before they are asked for: many at a time."""

    def __init__(self, store: FactsStore) -> None:
        self.facts: Mapping[str, bytes] = {}
        self._store = store

    def get_many(self, shas: Sequence[str]) -> dict[str, bytes]:
        found = {sha: self.facts[sha] for sha in shas if sha in self.facts}
        rest = [sha for sha in shas if sha not in found]
        return found | self._store.get_many(rest) if rest else found


class Elsewhere:
    """A part that another process follows. When that is lost, the part is followed here.

    What it is given and what it answers stand in files without a name, so nobody waits for anybody; it begins while
    it is still being given more. Raises ``OSError``
    when it can't be begun, and ``UnicodeEncodeError`` for names that have no encoding.
    """

    def __init__(self, task: Task, given: Iterable[Portion], count: int, parse: Parse) -> None:
        """``count`` is how many steps will be answered; ``parse`` is used if they are followed here."""
        self._count = count
        self._parse = parse
        self._frames: deque[bytes] = deque()
        self._partial = b""
        self._offset = 0
        self._input = tempfile.TemporaryFile()  # noqa: SIM115 - both are open until ``close``
        self._output = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, *CHILD, str(os.getpid())],
            cwd=_ROOT,
            env={"LANG": "C.UTF-8"},
            stdin=self._input,
            stdout=self._output,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            for frame in chain((task,), given):
                write_frame(self._input, msgspec.msgpack.encode(frame))
            write_frame(self._input, b"")
        except BaseException:
            self.close()
            raise

    @property
    def ahead(self) -> int:
        """How many answers have arrived and wait."""
        while data := os.pread(self._output.fileno(), 1 << 20, self._offset):
            self._offset += len(data)
            self._take(data)
        return len(self._frames)

    def seen(self, wait: Callable[[], None]) -> Iterator[Seen]:
        """What the steps bring to light; ``wait`` is called while that isn't known, and may raise."""
        for number in range(self._count):
            while not self._frames:
                is_over = self._process.poll() is not None  # asked first: it may answer until then
                if self.ahead:
                    break
                if is_over:
                    given = Given(self._input.fileno(), is_written=lambda: False)
                    yield from islice(followed(given, self._parse), number, None)
                    return
                wait()
                time.sleep(_POLL_SECONDS)
            yield msgspec.msgpack.decode(self._frames.popleft(), type=Seen)

    def close(self) -> None:
        """Ends the process, whatever it is doing."""
        if self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._input.close()
        self._output.close()

    def _take(self, data: bytes) -> None:
        """Takes whole frames off what has come."""
        data = self._partial + data
        start = 0
        while len(data) - start >= 4:
            end = start + 4 + int.from_bytes(data[start : start + 4], "big")
            if end > len(data):
                break
            self._frames.append(data[start + 4 : end])
            start = end
        self._partial = data[start:]


class Tour:
    """All steps, in as many parts as there are processes for them. Use as a context manager; leaving it ends them."""

    def __init__(
        self,
        task: Task,
        steps: Sequence[Step],
        tree_before: Callable[[int], Step],
        store: FactsStore,
        parse: Parse,
        processes: int,
    ) -> None:
        """``tree_before`` gives the step from nothing to the tree where a step, by its number, begins."""
        self._task = task
        self._steps = steps
        self._tree_before = tree_before
        self._store = store
        self._parse = parse
        self._processes = processes
        self._here: Sequence[Step] = steps
        self._others: list[Elsewhere] = []
        self._asked = 0

    def __enter__(self) -> Self:
        here, *others = parts_of(self._steps, self._processes) or [range(0)]
        try:
            for part in others:
                self._others.append(self._elsewhere(part))
        except (OSError, UnicodeEncodeError):
            self._end()  # all of it is followed here
        except BaseException:
            self._end()
            raise
        else:
            self._here = self._steps[here.start : here.stop]
        self._steps = ()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    @property
    def done(self) -> int:
        """How many steps are followed, here and elsewhere."""
        return self._asked + sum(other.ahead for other in self._others)

    def seen(self, report: Callable[[], None]) -> Iterator[Seen]:
        """What the steps bring to light, in their order. ``report`` is called before each of them and while others are
        at work, and may raise."""
        for seen in self._seen(report):
            report()
            yield seen
            self._asked += 1

    def _seen(self, wait: Callable[[], None]) -> Iterator[Seen]:
        task = self._task
        rules = [RULES[name] for name in task.rules]
        ahead = _Ahead(self._store)
        follower = Follower(task.policy, rules, task.registry, ahead.get_many, task.unreadable, self._parse)
        with closing(follower):  # also when nobody asks for more than the last
            for portion in portions(self._here, self._store):
                ahead.facts = portion.facts
                for step in portion.steps:
                    yield follower.follow(step)
        for other in self._others:
            yield from other.seen(wait)

    def _elsewhere(self, part: range) -> Elsewhere:
        steps = [self._tree_before(part.start), *self._steps[part.start : part.stop]]
        given = portions(steps, self._store)
        return Elsewhere(self._task, given, len(part), self._parse)

    def _end(self) -> None:
        for other in self._others:
            other.close()
        self._others = []
