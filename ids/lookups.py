"""What the registry has: the record of an ID, lists and figures of IDs, and their one spelling. Writes nothing but
counts of use.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from django.db.models import F, Q

from ids import contexts, formats, known, leasing, legacy, metrics
from ids.models import IDType, IssuedID, Kind
from ids.refusals import InvalidID, NotIssued

MOST_LISTED: Final = 1_000
MOST_EXPLAINED: Final = 100
_PARENTS_SHOWN: Final = 20


def look_up(text: str) -> IssuedID:
    """The record of an ID, with its ``type``. Raises NotIssued."""
    row = recorded([text]).get(text) if may_be_known(text) else None
    if row is None:
        raise _not_issued(text)
    metrics.count(Kind.LOOKED_UP, row.type_id)
    return row


def check_recorded(texts: Sequence[str]) -> None:
    """Raises NotIssued for the first of these IDs that the registry lacks; its ``row`` is the place among them."""
    wanted = [text for text in texts if may_be_known(text)]
    types = dict(IssuedID.objects.filter(pk__in=wanted).values_list("pk", "type_id")) if wanted else {}
    for place, text in enumerate(texts):
        if text not in types:
            raise _not_issued(text).at(place)
    for type_id, number in Counter(types.values()).items():
        metrics.count(Kind.LOOKED_UP, type_id, number)


def parents(text: str) -> list[str]:
    """The ID that this one is inside of, that one's parent and so on, outermost last; at most 20. Raises NotIssued."""
    chain: list[str] = []
    row: IssuedID | None = look_up(text)
    while (
        row is not None
        and row.parent_id is not None
        and len(chain) < _PARENTS_SHOWN
        and row.parent_id not in chain
    ):
        chain.append(row.parent_id)
        row = IssuedID.objects.filter(pk=row.parent_id).first()
    return chain


def recorded(texts: Sequence[str]) -> dict[str, IssuedID]:
    """The records of those that have one, with their types."""
    if not texts:
        return {}
    return {row.pk: row for row in IssuedID.objects.filter(pk__in=texts).select_related("type")}


def may_be_known(text: object) -> bool:
    """Whether it makes sense to ask the database for a text."""
    return isinstance(text, str) and 0 < len(text) <= formats.MAX_LENGTH and text.isprintable()


def _not_issued(text: str) -> NotIssued:
    metrics.count(Kind.REJECTED, None, reason=NotIssued.code)
    return NotIssued(f"The registry has no ID {formats.shown(text)}.")


# --- lists ------------------------------------------------------------------------------------------------------------


class Page(NamedTuple):
    """Some IDs, and where the next page starts: None after the last."""

    rows: list[IssuedID]
    next: str | None


def active(
    *,
    type_value: str | None = None,
    owner: str | None = None,
    parent: str | None = None,
    cursor: str | None = None,
    limit: int = 100,
) -> Page:
    """Active IDs of a type (newest first), or of an owner or inside of an ID (by their text), read along an index.

    ``cursor`` is the ``next`` of the page before. Raises UnknownType; InvalidID for a cursor that is none of ours, or
    where nothing says which IDs are meant.
    """
    leasing.check_count(limit, MOST_LISTED, "limit")
    rows = IssuedID.objects.exclude(state=IssuedID.State.RELEASED).select_related("type")
    kind = known.named(type_value) if type_value is not None else None
    if kind is not None:
        rows = rows.filter(type_id=kind.pk)
    if owner:
        contexts.check_owner(owner)
        rows = rows.filter(~Q(owner=""), owner=owner)
    if parent is not None:
        rows = rows.filter(parent_id=parent) if may_be_known(parent) else rows.none()
    if owner or parent is not None:
        rows = rows.order_by("id")
        if cursor:
            rows = rows.filter(id__gt=cursor) if may_be_known(cursor) else rows.none()
        found = list(rows[: limit + 1])
        return Page(found[:limit], found[limit - 1].pk if len(found) > limit else None)
    if kind is None:
        raise InvalidID("Say which IDs are meant: those of a type, of an owner, or inside of an ID.")
    rows = rows.order_by("-issued_at", F("id").desc())
    if cursor:
        moment, text = _cursor(cursor)
        rows = rows.filter(Q(issued_at__lt=moment) | Q(issued_at=moment, id__lt=text), issued_at__lte=moment)
    found = list(rows[: limit + 1])
    after = f"{found[limit - 1].issued_at.isoformat()}/{found[limit - 1].pk}" if len(found) > limit else None
    return Page(found[:limit], after)


def _cursor(text: str) -> tuple[datetime, str]:
    moment, slash, identifier = text.partition("/")
    try:
        at = datetime.fromisoformat(moment)
    except ValueError as error:
        raise InvalidID("The cursor is none that was handed out here.") from error
    if not slash or at.tzinfo is None or not may_be_known(identifier):
        raise InvalidID("The cursor is none that was handed out here.")
    return at, identifier


@dataclass(frozen=True, slots=True)
class TypeFigures:
    """How many IDs of a type there are. ``issued`` counts registered ones, too."""

    type: str
    status: str
    issued: int
    active: int
    released: int
    last_issued_at: datetime | None


def stats() -> list[TypeFigures]:
    """The figures of every type, exact, in one query that counts no IDs."""
    rows = IDType.objects.with_figures().order_by("value")
    fields = ("value", "status", "issued_total", "active_total", "last_issued_at")
    return [
        TypeFigures(value, status, issued, active, issued - active, last)
        for value, status, issued, active, last in rows.values_list(*fields)
    ]


def count_active(type_value: str | None = None, owner: str | None = None) -> int:
    """How many IDs are active: of a type or of all, from the figures; of an owner, counted along its index."""
    kind = known.named(type_value) if type_value is not None else None
    if owner:
        contexts.check_owner(owner)
        rows = IssuedID.objects.filter(~Q(owner=""), ~Q(state=IssuedID.State.RELEASED), owner=owner)
        return rows.count() if kind is None else rows.filter(type_id=kind.pk).count()
    return sum(row.active for row in stats() if kind is None or row.type == kind.value)


# --- one spelling -----------------------------------------------------------------------------------------------------


def normalise(text: str, shapes: legacy.Shapes | None = None) -> str:
    """The one spelling of an ID: of a UUID in braces, without hyphens or in capitals; of an ID in the wrong case.

    Raises InvalidID where no spelling makes it an ID. Never turns one ID into another: only what means the same in the
    format's own description is taken as the same (in base32, ``o`` is 0, ``i`` and ``l`` are 1). Of many texts, give
    ``shapes``: the legacy formats are read once then.
    """
    if not isinstance(text, str):
        raise InvalidID(f"An ID is text, not {type(text).__name__}.")
    if len(text) > 2 * formats.MAX_LENGTH:
        raise InvalidID(
            f"An ID has at most {formats.MAX_LENGTH} characters, not {len(text)}.",
            formats.MAX_LENGTH,
            received=len(text),
        )
    wanted = text.strip(" \t\r\n")
    for spelling in _spellings(wanted):
        try:
            return str(formats.parse(spelling))
        except formats.FormatError:
            continue
    if (shapes or legacy.Shapes()).accepted(wanted) is not None:
        return wanted
    try:
        formats.parse(wanted)
    except formats.FormatError as error:
        raise InvalidID(error.message, error.limit) from error
    raise AssertionError("parsed at last, though it was not at first")


def _spellings(text: str) -> list[str]:
    found = [text, text.lower()]
    head, underscore, last = text.lower().rpartition("_")
    folded = last.translate(_BASE32)
    if len(folded) == 26:
        found.append(f"{head}_{folded}" if underscore else folded.upper())
    bare = text.lower().removeprefix("urn:uuid:").strip("{}").replace("-", "")
    if len(bare) == 32 and all(digit in "0123456789abcdef" for digit in bare):
        found.append(str(uuid.UUID(bare)))
    return found


_BASE32: Final = str.maketrans({"o": "0", "i": "1", "l": "1"})
