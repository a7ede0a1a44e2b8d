"""The child process that parses: reads blob ids from standard input, answers with facts.

Audited bytes are only ever parsed here, in a process that has no credentials, little memory and can be lost. A frame
with a list of blob ids comes in, one of ``Outcome`` goes out. An empty one is the first: the child is ready.
"""

import gc
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, TypeVar

import msgspec

from audits.engine.extraction import extract
from audits.engine.facts import compressed, encode
from audits.engine.findings import ProblemKind
from audits.engine.frames import Outcome, read_frame, write_frame
from audits.engine.git import GitError, GitRepository
from audits.engine.native_extraction import RESERVATION, NativeExtractor
from audits.engine.syntax import NewerSyntaxError, NotSourceError

# ``ast.parse`` needs about 600 bytes of memory for a byte of dense source (measured: 600 MB for 1 MB of ``x=1``).
MEMORY_BYTES = 2 * 1024**3
# The native extractor reserves addresses for its memory, and takes of them what it needs.
ADDRESS_BYTES = MEMORY_BYTES + RESERVATION + 256 * 1024**2
# Deep enough for any honest expression; beyond it Python says so instead of overflowing its stack.
RECURSION_LIMIT = 6_000
Item = TypeVar("Item")


def read(repository: GitRepository, sha: str, file_bytes: int) -> bytes | Outcome:
    """A blob's bytes, or what is in the way of reading them."""
    data = repository.blob(sha, file_bytes)
    if data is not None:
        return data
    size = repository.size(sha)
    if size is None:
        words = "this copy of the repository lacks the file's contents"
        return Outcome(sha, problem=ProblemKind.MISSING_BLOB, words=words)
    if size > file_bytes:
        words = f"{size:,} bytes; the limit is {file_bytes:,} (policy: limits.file_bytes)"
        return Outcome(sha, problem=ProblemKind.TOO_LARGE, words=words)
    return Outcome(sha, problem=ProblemKind.MISSING_BLOB, words="the file's contents can't be read")


def parse(repository: GitRepository, sha: str, file_bytes: int, native: NativeExtractor | None) -> Outcome:
    """The outcome for one blob; without the native extractor the reference reads it. Lets ``MemoryError`` through: it
    may be the fault of the files before."""
    data = read(repository, sha, file_bytes)
    return data if isinstance(data, Outcome) else facts_of(sha, data, native)


def facts_of(sha: str, data: bytes, native: NativeExtractor | None) -> Outcome:
    """The outcome for a blob's bytes, as ``parse`` has it."""
    native_facts = native.facts(data) if native is not None else None
    if native_facts is not None:
        return Outcome(sha, compressed(native_facts))
    try:
        return Outcome(sha, encode(extract(data)))
    except NewerSyntaxError as error:
        return Outcome(sha, problem=ProblemKind.NEWER_SYNTAX, words=str(error))
    except NotSourceError as error:
        return Outcome(sha, problem=ProblemKind.NOT_TEXT, words=str(error))
    except RecursionError:
        return Outcome(sha, problem=ProblemKind.TOO_COMPLEX, words="nested too deeply to parse")


def native_extractor() -> NativeExtractor | None:
    """None where it can't run: facts come more slowly then. The third argument is a file descriptor with its machine
    code, if whoever starts children has that."""
    try:
        if len(sys.argv) < 4:
            return NativeExtractor()
        with open(int(sys.argv[3]), "rb") as file:
            return NativeExtractor(os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0))
    except OSError:
        return None


def serve(make: Callable[[], Callable[[GitRepository, str, int], Outcome]]) -> None:
    """Limits this process, then answers batches of blob ids with what ``make``'s function says of each."""
    file_bytes, answers = begin()
    try:
        repository = GitRepository(Path(sys.argv[1]))
    except GitError as error:
        sys.exit(str(error))
    outcome_of = make()
    answer(answers, list[str], lambda sha: outcome_of(repository, sha, file_bytes))


def begin() -> tuple[int, BinaryIO]:
    """Limits this process. Answers how large a file may be, and where answers go."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_BYTES, ADDRESS_BYTES))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    sys.setrecursionlimit(RECURSION_LIMIT)
    # A syntax tree has no cycles: collecting costs 13 % of the time and frees nothing.
    gc.disable()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not land between frames
    return int(sys.argv[2]), answers


def answer(answers: BinaryIO, batch: type[list[Item]], outcome_of: Callable[[Item], Outcome]) -> None:
    """Answers batches with the outcome of each of their items, until there are no more."""
    write_frame(answers, b"")  # ready
    while (request := read_frame(sys.stdin.buffer)) is not None:
        outcomes = [outcome_of(item) for item in msgspec.msgpack.decode(request, type=batch)]
        write_frame(answers, msgspec.msgpack.encode(outcomes))


def _facts() -> Callable[[GitRepository, str, int], Outcome]:
    native = native_extractor()
    return lambda repository, sha, file_bytes: parse(repository, sha, file_bytes, native)


def main() -> None:
    serve(_facts)


if __name__ == "__main__":
    main()
