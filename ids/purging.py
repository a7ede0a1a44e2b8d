"""Records of IDs whose time is over: previewed, and deleted in short transactions."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import connection, transaction

from ids.models import IdempotencyKey, IDType, IssuedID
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
    if most is not None and most < 1:
        raise InvalidCount("The most that a purge deletes is at least 1.", 1, received=most)
    left = most if most is not None else 2**62
    done = []
    for id_type, before in _due(now):
        total = 0
        while left > 0:
            size = min(BATCH, left)
            number = _purge(id_type.pk, before, size)
            total, left = total + number, left - number
            if number < size:
                break
        done.append(Due(id_type.value, before, total))
    IdempotencyKey.objects.filter(made_at__lt=now - timedelta(hours=KEY_HOURS)).delete()
    return done


def _due(now: datetime) -> Iterator[tuple[IDType, datetime]]:
    for id_type in IDType.objects.filter(retention_days__isnull=False).order_by("value"):
        assert id_type.retention_days is not None
        yield id_type, now - timedelta(days=id_type.retention_days)


def _purge(type_id: int, before: datetime, size: int) -> int:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_PURGE, {"type": type_id, "before": before, "size": size})
        (number,) = cursor.fetchone()
    return int(number)


# A purged record that was active counts as released from now on: it is not active any more. Other names go with it.
_PURGE = """
WITH gone AS (
    DELETE FROM ids_issuedid WHERE id IN (
        SELECT id FROM ids_issuedid WHERE type_id = %(type)s AND issued_at < %(before)s
         ORDER BY issued_at LIMIT %(size)s FOR UPDATE SKIP LOCKED)
    RETURNING id, state
), aliases AS (
    DELETE FROM ids_uuidalias WHERE identifier IN (SELECT id FROM gone)
), tally AS (
    INSERT INTO ids_idtally (type_id, issued, released)
    SELECT %(type)s, 0, count(*) FROM gone WHERE state <> 'released' HAVING count(*) > 0
)
SELECT count(*) FROM gone
"""
