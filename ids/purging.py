"""Records of IDs whose time is over, and idempotency keys of yesterday: deleted in short transactions."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from django.db import connection, transaction

from ids.models import IDType, IssuedID
from ids.refusals import InvalidCount

BATCH: Final = 5_000
KEY_HOURS: Final = 24
# A preview counts no further than this, so that it answers at once however much there is.
_COUNTED: Final = 100_000


@dataclass(frozen=True, slots=True)
class Due:
    """What a purge takes of one type: records of IDs issued before ``before``. ``is_more``: there are more."""

    type: str
    before: datetime
    records: int
    is_more: bool = False


def preview(now: datetime) -> list[Due]:
    """What ``purge`` would delete, by type, counted to 100,000 each."""
    found = []
    for id_type, before in _due(now):
        rows = IssuedID.objects.filter(type=id_type, issued_at__lt=before).order_by("-issued_at")
        number = rows[: _COUNTED + 1].count()
        found.append(Due(id_type.value, before, min(number, _COUNTED), number > _COUNTED))
    return found


def purge(now: datetime, most: int | None = None) -> list[Due]:
    """Deletes the records whose retention is over, active or released, and returns how many of each type.

    In transactions of 5,000 rows that skip what others hold. The counters stay, so no ID comes twice. ``most`` bounds
    the rows of one call, over all types.
    """
    left, done = _checked(most), []
    for id_type, before in _due(now):
        number = _in_parts(partial(_purge, id_type.pk, before), left)
        left -= number
        done.append(Due(id_type.value, before, number))
    return done


def purge_keys(now: datetime, most: int | None = None) -> int:
    """Deletes idempotency keys, with their answers, a day after they came; how many. Bounded and in parts likewise."""
    return _in_parts(partial(_purge_keys, now - timedelta(hours=KEY_HOURS)), _checked(most))


def _checked(most: int | None) -> int:
    if most is not None and most < 1:
        raise InvalidCount("The most that a purge deletes is at least 1.", 1, received=most)
    return most if most is not None else 2**62


def _in_parts(delete: Callable[[int], int], most: int) -> int:
    """Has ``delete`` take so many rows at a time, until it finds fewer or ``most`` are gone; how many went."""
    total = 0
    while total < most:
        size = min(BATCH, most - total)
        number = delete(size)
        total += number
        if number < size:
            break
    return total


def _due(now: datetime) -> Iterator[tuple[IDType, datetime]]:
    for id_type in IDType.objects.filter(retention_days__isnull=False).order_by("value"):
        assert id_type.retention_days is not None
        yield id_type, now - timedelta(days=id_type.retention_days)


def _purge(type_id: int, before: datetime, size: int) -> int:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_PURGE, {"type": type_id, "before": before, "size": size})
        (number,) = cursor.fetchone()
    return int(number)


def _purge_keys(before: datetime, size: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_PURGE_KEYS, {"before": before, "size": size})
        return int(cursor.rowcount)


# The rows are chosen into an array: a join could choose anew for each row that it deletes, and take more than it may.
_PURGE_KEYS = """
DELETE FROM ids_idempotencykey WHERE id = ANY (ARRAY(
    SELECT id FROM ids_idempotencykey WHERE made_at < %(before)s
     ORDER BY made_at LIMIT %(size)s FOR UPDATE SKIP LOCKED))
"""

# A purged record that was active counts as released from now on: it is not active any more. Other names go with it.
_PURGE = """
WITH gone AS (
    DELETE FROM ids_issuedid WHERE id = ANY (ARRAY(
        SELECT id FROM ids_issuedid WHERE type_id = %(type)s AND issued_at < %(before)s
         ORDER BY issued_at LIMIT %(size)s FOR UPDATE SKIP LOCKED))
    RETURNING id, state
), aliases AS (
    DELETE FROM ids_uuidalias WHERE identifier IN (SELECT id FROM gone)
), tally AS (
    INSERT INTO ids_idtally (type_id, issued, released)
    SELECT %(type)s, 0, count(*) FROM gone WHERE state <> 'released' HAVING count(*) > 0
)
SELECT count(*) FROM gone
"""
