"""The child process that makes sketches: like ``parse_child``, with the sketches of a blob in place of its facts."""

from collections.abc import Callable

from audits.engine.frames import Outcome
from audits.engine.git import GitRepository
from audits.engine.parse_child import read, serve
from audits.engine.sketches import encode_sketches, sketches_of


def sketch(repository: GitRepository, sha: str, file_bytes: int) -> Outcome:
    """The outcome for one blob."""
    data = read(repository, sha, file_bytes)
    return data if isinstance(data, Outcome) else Outcome(sha, encode_sketches(sketches_of(data)))


def _sketches() -> Callable[[GitRepository, str, int], Outcome]:
    return sketch


if __name__ == "__main__":
    serve(_sketches)
