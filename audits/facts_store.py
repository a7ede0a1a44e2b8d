"""Facts of blobs in PostgreSQL, shared by all repositories, commits and workers."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from django.db import connection

from audits.engine.facts import FACTS_VERSION

READ_CHUNK = 2_000
# About 1.5 kB a blob: a statement of some 750 kB.
WRITE_CHUNK = 500


class PostgresFactsStore:
    """The engine's ``FactsStore`` over the ``BlobFacts`` rows of one facts version."""

    def __init__(self, version: int = FACTS_VERSION) -> None:
        self.version = version

    def known(self, blob_shas: Sequence[str]) -> set[str]:
        found: set[str] = set()
        with connection.cursor() as cursor:
            for start in range(0, len(blob_shas), READ_CHUNK):
                cursor.execute(
                    "SELECT blob_sha FROM audits_blobfacts WHERE blob_sha = ANY(%s) AND version = %s",
                    [list(blob_shas[start : start + READ_CHUNK]), self.version],
                )
                found.update(sha for (sha,) in cursor.fetchall())
        return found

    def get_many(self, blob_shas: Sequence[str]) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        with connection.cursor() as cursor:
            for start in range(0, len(blob_shas), READ_CHUNK):
                cursor.execute(
                    "SELECT blob_sha, facts FROM audits_blobfacts WHERE blob_sha = ANY(%s) AND version = %s",
                    [list(blob_shas[start : start + READ_CHUNK]), self.version],
                )
                found.update((sha, bytes(facts)) for sha, facts in cursor.fetchall())
        return found

    def put_many(self, facts: Mapping[str, bytes]) -> None:
        with connection.cursor() as cursor:
            for chunk in _chunks(facts):
                cursor.execute(
                    "INSERT INTO audits_blobfacts (blob_sha, version, facts)"
                    " SELECT blob_sha, %s, facts FROM unnest(%s::text[], %s::bytea[]) AS new (blob_sha, facts)"
                    " ON CONFLICT DO NOTHING",
                    [self.version, [sha for sha, _ in chunk], [data for _, data in chunk]],
                )


def _chunks(facts: Mapping[str, bytes]) -> Iterator[list[tuple[str, bytes]]]:
    # In one order for all workers: two that store the same blobs then wait for each other and can't deadlock.
    rest = iter(sorted(facts.items()))
    while chunk := list(islice(rest, WRITE_CHUNK)):
        yield chunk
