"""Results of whole audits, kept by a digest of all that they depend on: the same audit again reads nothing."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TypeVar

import msgspec
import xxhash
import zstandard

from audits.engine.facts import FACTS_VERSION
from audits.engine.findings import Finding, Move, Problem, ProblemKind, Use
from audits.engine.git import GitRepository
from audits.engine.listing import ResultStore
from audits.engine.policy import Policy
from audits.engine.registry import Registry

# Another attempt may end otherwise.
_PASSING = {ProblemKind.TOO_COMPLEX, ProblemKind.RULE_FAILED}


class Result(msgspec.Struct, frozen=True):
    """What an audit of all files found. ``absent`` are the blobs that this copy of the repository lacked."""

    findings: tuple[Finding, ...]
    problems: tuple[Problem, ...]
    read: int
    parsed: int
    absent: tuple[str, ...] = ()
    uses: tuple[Use, ...] = ()
    moves: tuple[Move, ...] = ()

    @property
    def is_lasting(self) -> bool:
        """Whether the same audit again would find the same."""
        return not any(problem.kind in _PASSING for problem in self.problems)


_decoder = msgspec.msgpack.Decoder(Result)
T = TypeVar("T")


def encoded(value: msgspec.Struct, level: int = 3) -> bytes | None:
    """A value that is kept, as bytes, compressed by zstd at a level; None for one with texts that have no encoding."""
    try:
        return zstandard.ZstdCompressor(level=level).compress(msgspec.msgpack.encode(value))
    except UnicodeEncodeError:
        return None


def decoded(data: bytes) -> Result | None:
    """The result of ``encoded``'s bytes; None when they are damaged."""
    return decoded_by(_decoder, data)


def decoded_by(decoder: "msgspec.msgpack.Decoder[T]", data: bytes) -> T | None:
    """The same of another kind of value, by its decoder."""
    try:
        return decoder.decode(zstandard.ZstdDecompressor().decompress(data))
    except (msgspec.DecodeError, zstandard.ZstdError):
        return None


# What stands for a result that is kept under another key. A result begins with zstandard's magic number.
_ELSEWHERE = b"="


def elsewhere(key: str) -> bytes:
    """What is kept in the place of a result that is the one kept under another key."""
    return _ELSEWHERE + key.encode()


def followed(results: ResultStore, key: str) -> tuple[str, bytes | None]:
    """What is kept under a key or in the place that is named there, and where that is."""
    data = results.get_result(key)
    if data is not None and data.startswith(_ELSEWHERE):
        key = data.removeprefix(_ELSEWHERE).decode("ascii", "replace")
        data = results.get_result(key)
    return key, data


def recalled(results: ResultStore, key: str, repository: GitRepository) -> Result | None:
    """A remembered result, unless something is here now that could not be looked at then."""
    _, data = followed(results, key)
    found = decoded(data) if data is not None else None
    return None if found is None or any(repository.has(sha) for sha in found.absent) else found


def key_of(tree: str, policy: Policy, rules: Sequence[str], registry: Registry | None) -> str:
    """What names the result of an audit: the tree (its id, or a listing's digest), how it is judged, and this very
    engine."""
    parts = (_engine(), str(FACTS_VERSION), tree, policy.digest, registry.digest if registry else "-", *rules)
    return xxhash.xxh3_128_hexdigest("\0".join(parts).encode())


@cache
def _engine() -> str:
    """A digest of the engine's own sources: no version number that somebody forgot to raise keeps an old result."""
    folder = Path(__file__).parent
    digest = xxhash.xxh3_128()
    for path in sorted((*folder.rglob("*.py"), *folder.rglob("*.wasm"))):
        digest.update(f"{path.relative_to(folder)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
