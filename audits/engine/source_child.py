"""The child process that reads sources for others to parse: like ``parse_child``, with a blob's compressed bytes.

Broken or hostile git objects are read here for the same reason for which they are parsed in a child.
"""

from collections.abc import Callable

import zstandard

from audits.engine.frames import Outcome
from audits.engine.git import GitRepository
from audits.engine.parse_child import read, serve

_codec = zstandard.ZstdCompressor(level=1)


def source(repository: GitRepository, sha: str, file_bytes: int) -> Outcome:
    """The outcome for one blob."""
    data = read(repository, sha, file_bytes)
    return data if isinstance(data, Outcome) else Outcome(sha, _codec.compress(data))


def _sources() -> Callable[[GitRepository, str, int], Outcome]:
    return source


if __name__ == "__main__":
    serve(_sources)
