"""Many blobs -> facts, in child processes that may die: a batch that kills its child is halved until the one file
is found."""

import atexit
import os
import queue
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import IO, Protocol, Self

import msgspec

from audits.engine.findings import ProblemKind
from audits.engine.frames import Outcome, write_frame

BATCH = 24
# How often a parsing process is started before it counts as one that can't be.
STARTS = 3
START_SECONDS = 60
CHILD = ("-m", "audits.engine.parse_child")
SOURCE_CHILD = ("-m", "audits.engine.source_child")
CARRIED_CHILD = ("-m", "audits.engine.carried_child")
_ROOT = Path(__file__).resolve().parent.parent.parent


class Share(Protocol):
    """Has others parse some of many blobs: who shares parses what ``parts`` yields, and finds the rest in its store
    afterwards, or parses it as well. ``elsewhere`` is how many blobs others have parsed by now.
    """

    @property
    def elsewhere(self) -> int: ...

    def parts(self, shas: Sequence[str]) -> Iterator[Sequence[str]]:
        """Part after part, what is to be parsed here."""


class ParserUnavailableError(RuntimeError):
    """No child can be started: it is nobody's file's fault."""


class ChildLostError(Exception):
    """The child died or took too long."""


class _Child:
    """One parsing process. ``is_fresh`` says that nothing that was parsed before can be at fault."""

    def __init__(self, repository: Path, file_bytes: int, command: Sequence[str], code: int | None) -> None:
        """``code`` is a file descriptor with what the child would compile otherwise."""
        # Its own session, so that a time-out reaches whatever it may have started; no environment, so no credentials.
        self.process = subprocess.Popen(
            [
                sys.executable,
                *command,
                str(repository),
                str(file_bytes),
                *([] if code is None else [str(code)]),
            ],
            pass_fds=() if code is None else (code,),
            cwd=_ROOT,
            env={"LANG": "C.UTF-8", "PATH": os.environ.get("PATH", "")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,
        )
        self.is_fresh = True
        self._is_ready = False

    def ask(self, batch: Sequence[str] | Sequence[tuple[str, bytes]], seconds: float) -> list[Outcome]:
        """The outcomes of a batch. Raises ``ChildLostError``."""
        assert self.process.stdin is not None
        try:
            write_frame(self.process.stdin, msgspec.msgpack.encode(list(batch)))  # type: ignore[arg-type]
        except OSError as error:
            raise ChildLostError from error
        outcomes = msgspec.msgpack.decode(self._frame(seconds), type=list[Outcome])
        self.is_fresh = False
        return outcomes

    def wait_ready(self) -> None:
        """Returns when it takes batches. Raises ``ParserUnavailableError``."""
        if self._is_ready:
            return
        try:
            self._frame(START_SECONDS)
        except ChildLostError as error:
            raise ParserUnavailableError("a parsing process could not start") from error
        self._is_ready = True

    def _frame(self, seconds: float) -> bytes:
        deadline = time.monotonic() + seconds
        size = int.from_bytes(self._read(4, deadline), "big")
        return self._read(size, deadline)

    def _read(self, size: int, deadline: float) -> bytes:
        assert self.process.stdout is not None
        parts = []
        try:
            descriptor = self.process.stdout.fileno()
            while size:
                if not select.select([descriptor], [], [], max(deadline - time.monotonic(), 0))[0]:
                    raise ChildLostError
                part = os.read(descriptor, min(size, 1 << 20))
                if not part:
                    raise ChildLostError
                parts.append(part)
                size -= len(part)
        except (OSError, ValueError) as error:  # closed meanwhile, because nobody waits for it any more
            raise ChildLostError from error
        return b"".join(parts)

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()


_compiling = threading.Lock()


def _native_code() -> int | None:
    """A descriptor of a file without a name that holds the native extractor's machine code, so that not each child has
    to compile it; made once in a process. None where that can't be: each child sees to itself."""
    with _compiling:
        file = _code_file()
    return None if file is None else file.fileno()


@cache
def _code_file() -> IO[bytes] | None:
    # What only whoever starts children needs, and what takes long to import.
    from audits.engine.native_extraction import compiled  # noqa: PLC0415

    try:
        file = tempfile.TemporaryFile()  # noqa: SIM115 - open for as long as children may be started
        file.write(compiled())
        file.flush()
    except OSError:
        return None
    atexit.register(file.close)
    return file


class ParsePool:
    """A few parsing children. Use as a context manager; leaving it kills them all, whatever they are doing."""

    def __init__(
        self,
        repository: Path,
        *,
        file_bytes: int,
        file_seconds: int,
        workers: int,
        command: Sequence[str] | None = None,
    ) -> None:
        """``command`` is what a child runs, as arguments of Python; None: the one that makes facts."""
        self._repository = repository.absolute()  # children start elsewhere
        self._file_bytes = file_bytes
        self._file_seconds = file_seconds
        self._workers = workers
        self._command = CHILD if command is None else command
        self._is_native = command is None or tuple(command) == CARRIED_CHILD
        self._batches: queue.SimpleQueue[list[str] | None] = queue.SimpleQueue()
        self._outcomes: queue.SimpleQueue[list[Outcome] | BaseException] = queue.SimpleQueue()
        self._sources: Mapping[str, bytes] | None = None
        self._children: dict[int, _Child] = {}
        self._closed = threading.Event()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._closed.set()
            children = list(self._children.values())
        for child in children:
            child.kill()

    def parse(
        self, shas: Sequence[str], sources: Mapping[str, bytes] | None = None
    ) -> Iterator[list[Outcome]]:
        """Yields outcomes batch by batch, in any order; each blob exactly once. Children that have no repository are
        given the ``sources`` as well."""
        self._sources = sources
        batches = [list(shas[start : start + BATCH]) for start in range(0, len(shas), BATCH)]
        for batch in batches:
            self._batches.put(batch)
        workers = min(self._workers, len(batches))
        for number in range(workers):
            threading.Thread(target=self._serve, args=(number,), daemon=True).start()
        left = len(shas)
        while left:
            outcomes = self._outcomes.get()
            if isinstance(outcomes, BaseException):
                raise outcomes
            left -= len(outcomes)
            yield outcomes
        for _ in range(workers):
            self._batches.put(None)

    def _serve(self, number: int) -> None:
        try:
            while (batch := self._batches.get()) is not None and not self._closed.is_set():
                self._outcomes.put(self._parse_batch(number, batch))
        except BaseException as error:  # noqa: BLE001 (it is raised again, in the caller's thread)
            self._outcomes.put(error)

    def _parse_batch(self, number: int, batch: list[str]) -> list[Outcome]:
        is_fresh = True
        try:
            child = self._started(number)
            is_fresh = child.is_fresh
            sources = self._sources
            asked = batch if sources is None else [(sha, sources[sha]) for sha in batch]
            return child.ask(asked, self._file_seconds)
        except ChildLostError:
            self._lose(number)
        if self._closed.is_set():
            return []
        if len(batch) > 1:
            middle = len(batch) // 2
            return self._parse_batch(number, batch[:middle]) + self._parse_batch(number, batch[middle:])
        if not is_fresh:
            return self._parse_batch(number, batch)
        words = f"too complex: parsing took more than {self._file_seconds} s, too much memory, or crashed the parser"
        return [Outcome(batch[0], problem=ProblemKind.TOO_COMPLEX, words=words)]

    def _started(self, number: int) -> _Child:
        """A child that is ready. Somebody may kill one that starts: a few more are tried before none can be had."""
        for start in range(1, STARTS + 1):
            child = self._child(number)
            try:
                child.wait_ready()
            except ParserUnavailableError:
                self._lose(number)
                if start == STARTS or self._closed.is_set():
                    raise
            else:
                return child
        raise AssertionError

    def _child(self, number: int) -> _Child:
        with self._lock:
            if self._closed.is_set():
                raise ChildLostError
            if number not in self._children:
                code = _native_code() if self._is_native else None
                self._children[number] = _Child(self._repository, self._file_bytes, self._command, code)
            return self._children[number]

    def _lose(self, number: int) -> None:
        with self._lock:
            child = self._children.pop(number, None)
        if child is not None:
            child.kill()
