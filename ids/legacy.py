"""Shapes of old that are still accepted: found, and each use counted. The only writer of ``LegacyHits``."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime

from django.db import connection, transaction

from ids import metrics, patterns
from ids.models import Kind, LegacyFormat


@dataclass(frozen=True, slots=True)
class Shape:
    """A text that is in a legacy format: whose, its named parts, and whether the format's sunset has passed."""

    format_id: int
    name: str
    type: str
    parts: Mapping[str, str]
    sunset: date
    is_over: bool

    @property
    def prefix(self) -> str:
        return self.parts.get("prefix", "")[:64]


class Shapes:
    """The legacy formats, read once, when a text is in no other; and what was found, to be counted together."""

    def __init__(self) -> None:
        self._formats: list[LegacyFormat] | None = None
        self._hits: dict[tuple[int, int, bool], int] = {}

    def find(self, text: str) -> Shape | None:
        """The legacy format of a text, be its sunset past or to come; a format that is still accepted comes first."""
        if self._formats is None:
            self._formats = list(LegacyFormat.objects.select_related("type").order_by("-sunset", "name"))
        today = datetime.now(UTC).date()
        for row in self._formats:
            parts = patterns.match(row.pattern, text)
            if parts is not None:
                over = row.is_over(today)
                hit = (row.pk, row.type_id, over)
                self._hits[hit] = self._hits.get(hit, 0) + 1
                return Shape(row.pk, row.name, row.type.value, parts, row.sunset, over)
        return None

    def accepted(self, text: str) -> Shape | None:
        """The legacy format of a text, unless its sunset has passed."""
        shape = self.find(text)
        return shape if shape is not None and not shape.is_over else None

    def count(self) -> None:
        """Writes down what was found since the last time."""
        hits, self._hits = self._hits, {}
        for (format_id, type_id, over), number in sorted(hits.items()):
            metrics.count(Kind.LEGACY, type_id, number)
            _count(format_id, 0 if over else number, number if over else 0)


def _count(format_id: int, accepted: int, refused: int) -> None:
    """Adds to a row of the day that nobody holds just now, or begins one."""
    values: dict[str, int | date] = {
        "format": format_id,
        "day": datetime.now(UTC).date(),
        "accepted": accepted,
        "refused": refused,
    }
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_ADD, values)
        if cursor.rowcount == 0:
            cursor.execute(_BEGIN, values)


_ADD = """
UPDATE ids_legacyhits SET accepted = accepted + %(accepted)s, refused = refused + %(refused)s
 WHERE id = (SELECT id FROM ids_legacyhits WHERE format_id = %(format)s AND day = %(day)s
              ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
"""
_BEGIN = """
INSERT INTO ids_legacyhits (format_id, day, accepted, refused)
SELECT id, %(day)s, %(accepted)s, %(refused)s FROM ids_legacyformat WHERE id = %(format)s
"""
