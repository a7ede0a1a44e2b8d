"""Facts of blobs and the last results of audits in PostgreSQL, shared by all repositories, commits and workers."""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from django.db import connection

from audits.engine.facts import FACTS_VERSION, FORMAT

READ_CHUNK = 2_000
# About 1.5 kB a blob: a statement of some 750 kB.
WRITE_CHUNK = 500
TIDY_CHUNK = 1_000
# Results are kept while they are among the last so many, and these take at most so many bytes.
RESULTS = 500
RESULT_BYTES = 200 * 1024**2


class PostgresFactsStore:
    """The engine's ``FactsStore`` over the ``BlobFacts`` rows of one facts version, and its ``ResultStore``."""

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

    def get_result(self, key: str) -> bytes | None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT result FROM audits_rememberedresult WHERE key = %s", [key])
            row = cursor.fetchone()
        return bytes(row[0]) if row else None

    def put_result(self, key: str, result: bytes) -> None:
        if len(result) > RESULT_BYTES:
            return
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO audits_rememberedresult (key, result) VALUES (%s, %s)"
                # What is put again is one of the last, too.
                " ON CONFLICT (key) DO UPDATE SET result = EXCLUDED.result, id = EXCLUDED.id",
                [key, result],
            )
            # Rows that another worker deletes right now are left to it.
            cursor.execute(
                "WITH newest AS (SELECT id, row_number() OVER last AS number, sum(length(result)) OVER last AS bytes"
                "  FROM audits_rememberedresult WINDOW last AS (ORDER BY id DESC)),"
                " surplus AS (SELECT id FROM audits_rememberedresult"
                "  WHERE id IN (SELECT id FROM newest WHERE number > %s OR bytes > %s) FOR UPDATE SKIP LOCKED)"
                " DELETE FROM audits_rememberedresult WHERE id IN (SELECT id FROM surplus)",
                [RESULTS, RESULT_BYTES],
            )


def forget_old_facts() -> None:
    """Deletes facts of former formats among the next thousand blobs after a random place: no version of this program
    will ask for them. Called again and again it comes past all of them, and each time costs about a millisecond.

    Facts that another Python made in this format stay: a worker may run on it.
    """
    # Now and then from the very first one, which hardly any random place is before.
    start = secrets.choice(["", secrets.token_hex(20)])
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH looked_at AS (SELECT blob_sha, version FROM audits_blobfacts WHERE blob_sha >= %s"
            "  ORDER BY blob_sha, version LIMIT %s),"
            " old AS (SELECT blob_sha, version FROM audits_blobfacts WHERE (blob_sha, version) IN"
            "  (SELECT blob_sha, version FROM looked_at WHERE version < %s) FOR UPDATE SKIP LOCKED)"
            " DELETE FROM audits_blobfacts WHERE (blob_sha, version) IN (SELECT blob_sha, version FROM old)",
            [start, TIDY_CHUNK, 100 * FORMAT],
        )


def forget_results() -> None:
    """Forgets all results. Losing them costs time."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM audits_rememberedresult")


def _chunks(facts: Mapping[str, bytes]) -> Iterator[list[tuple[str, bytes]]]:
    # In one order for all workers: two that store the same blobs then wait for each other and can't deadlock.
    rest = iter(sorted(facts.items()))
    while chunk := list(islice(rest, WRITE_CHUNK)):
        yield chunk
