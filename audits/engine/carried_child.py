"""The child process that parses what another host has read: like ``parse_child``, but it has no repository.

A batch holds pairs of a blob id and what ``source_child`` made of the blob.
"""

import hashlib

import zstandard

from audits.engine.findings import ProblemKind
from audits.engine.frames import Outcome
from audits.engine.native_extraction import NativeExtractor
from audits.engine.parse_child import answer, begin, facts_of, native_extractor

_codec = zstandard.ZstdDecompressor()


def blob_id(data: bytes, like: str) -> str:
    """The id that git gives to these bytes, by the hash of another id."""
    digest = hashlib.sha1(usedforsecurity=False) if len(like) == 40 else hashlib.sha256()
    digest.update(b"blob %d\0" % len(data) + data)
    return digest.hexdigest()


def parse_carried(sha: str, carried: bytes, file_bytes: int, native: NativeExtractor | None) -> Outcome:
    """The outcome for one blob; facts are kept under its id, so bytes of another blob are refused."""
    try:
        data = _codec.decompress(carried, max_output_size=file_bytes)
    except zstandard.ZstdError as error:
        return Outcome(sha, problem=ProblemKind.MISSING_BLOB, words=str(error))
    if blob_id(data, sha) != sha:
        return Outcome(sha, problem=ProblemKind.MISSING_BLOB, words="these are another file's contents")
    return facts_of(sha, data, native)


def main() -> None:
    file_bytes, answers = begin()
    native = native_extractor()

    def outcome_of(item: tuple[str, bytes]) -> Outcome:
        return parse_carried(*item, file_bytes, native)

    answer(answers, list[tuple[str, bytes]], outcome_of)


if __name__ == "__main__":
    main()
