"""A request that comes twice with one key gets one answer: the only writer of ``IdempotencyKey``."""

import hashlib
from collections.abc import Callable

from django.db import connection, transaction

from ids.models import KEY_MAX_LENGTH
from ids.refusals import InvalidKey, KeyReused


def once(caller: str, key: str | None, request: bytes, work: Callable[[], str]) -> str:
    """What ``work`` answers, or what it answered when the same caller sent the same request with this key.

    The key is kept in the transaction of the work, so a request that was refused or cut off may be sent again. A second
    one that comes meanwhile waits for the first. Raises InvalidKey, and KeyReused for another request with the key.
    """
    if key is None:
        return work()
    if not 1 <= len(key) <= KEY_MAX_LENGTH or not key.isascii() or not key.isprintable():
        raise InvalidKey(
            f"An idempotency key is 1 to {KEY_MAX_LENGTH} printable ASCII characters.",
            KEY_MAX_LENGTH,
            received=len(key),
        )
    digest = hashlib.sha256(request).digest()
    values: dict[str, str | bytes] = {"caller": caller, "key": key, "digest": digest}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_TAKE, values)
        if cursor.fetchone() is None:
            cursor.execute(_GIVEN, values)
            (before, answer) = cursor.fetchone()
            if bytes(before) != digest:
                raise KeyReused(
                    "This idempotency key came before, with another request. Take a new key for it."
                )
            return str(answer)
        answer = work()
        cursor.execute(_KEEP, {**values, "answer": answer})
        return answer


_TAKE = """
INSERT INTO ids_idempotencykey (caller, key, digest, answer, made_at)
VALUES (%(caller)s, %(key)s, %(digest)s, '', statement_timestamp()) ON CONFLICT (caller, key) DO NOTHING RETURNING id
"""
_GIVEN = "SELECT digest, answer FROM ids_idempotencykey WHERE caller = %(caller)s AND key = %(key)s"
_KEEP = "UPDATE ids_idempotencykey SET answer = %(answer)s WHERE caller = %(caller)s AND key = %(key)s"
