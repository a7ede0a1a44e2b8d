"""IDs that exist already: registered from elsewhere, used out of a lease, released.

Batches are all or nothing, and the error names the row. With ``ids.minting``, the only writer of issued IDs.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection, transaction

from ids import client, contexts, formats, known, leasing, legacy, metrics, records
from ids.known import KnownType
from ids.models import IssuedID, Kind
from ids.refusals import (
    AlreadyIssued,
    AlreadyReleased,
    InvalidID,
    InvalidOwner,
    InvalidReport,
    MintingError,
    NotIssued,
    NotOwner,
    NotTracked,
)

MOST_REPORTS: Final = 1_000
MOST_DETAILS: Final = 10_000
_RELEASE_BATCH: Final = 5_000


@dataclass(frozen=True, slots=True)
class Registration:
    """An ID from elsewhere that is to be known here. Without ``type`` its text has to say of which type it is."""

    id: str
    type: str | None = None
    context: dict[str, Any] | None = None
    owner: str = ""
    parent: str | None = None


# --- use of leases ----------------------------------------------------------------------------------------------------


def record_use(reports: Sequence[client.Report], issuer: str = "") -> int:
    """Records what clients handed out of their leases, and returns how many IDs were new to the registry.

    A report says how many counters of its lease were used up to now, so the same one twice changes nothing. All
    reports are taken, or none: raises UnknownLease, InvalidReport, and what a context, owner, prefix or parent raises.
    With ``issuer``, only leases of that caller's.
    """
    with _counted() as counts:
        leasing.check_count(len(reports), MOST_REPORTS, "number of reports")
        _record_uses(reports, issuer, counts)
    for type_id, number in counts.items():
        metrics.count(Kind.GENERATED, type_id, number)
    return sum(counts.values())


def _record_uses(reports: Sequence[client.Report], issuer: str, counts: dict[int, int]) -> None:
    with transaction.atomic():
        # in the order of their keys, so that two calls wait for one another and never in a circle
        for place, report in sorted(enumerate(reports), key=lambda pair: pair[1].lease):
            try:
                type_id, number = _record_use(report, issuer)
            except MintingError as error:
                raise error.at(place) from error
            counts[type_id] = counts.get(type_id, 0) + number


def _record_use(report: client.Report, issuer: str) -> tuple[int, int]:
    lease = leasing.locked(report.lease, issuer)
    if not isinstance(report.used, int) or not 0 <= report.used <= lease.size:
        raise InvalidReport(f"A report of this lease says that 0 to {lease.size} were used.", lease.size)
    kind = known.named(lease.type.value)
    details = {detail.counter: detail for detail in report.details}
    if len(details) > MOST_DETAILS:
        raise InvalidReport(
            f"A report has at most {MOST_DETAILS} IDs with details.", MOST_DETAILS, received=len(details)
        )
    new = range(lease.start + lease.used, lease.start + report.used)
    for counter in details:
        if not lease.start <= counter < lease.start + report.used:
            raise InvalidReport(f"The counter {counter} is not among those that were reported as used.")
    # what the lease was reported to have used before is settled, so a detail of it came with that report
    details = {counter: detail for counter, detail in details.items() if counter >= new.start}
    for detail in details.values():
        known.check_prefix(kind, detail.prefix)
    if not new:
        return kind.pk, 0
    if kind.is_tracked:
        rows, parents = [], []
        plain = records.checked(None, "", lease.issuer, None)
        randoms = client.random_parts(bytes(lease.seed), report.used)
        for counter in new:
            place = 8 * (counter - lease.start)
            text = f"{kind.value}_{counter}_{randoms[place : place + 8]}"
            told = details.get(counter)
            if told is None:
                rows.append((text, counter, "", plain))
                continue
            stored = records.checked(told.context, told.owner, lease.issuer, told.parent)
            if told.parent is not None:
                parents.append(told.parent)
            prefix = told.prefix or ""
            rows.append((f"{prefix}_{text}" if prefix else text, counter, prefix, stored))
        records.copy_each(kind, rows)
        if parents:  # after the rows: one may be inside of another of the same report
            records.check_parents(parents)
    records.add_tallies({kind.pk: len(new)})
    leasing.used(lease, report.used)
    return kind.pk, len(new)


# --- register ---------------------------------------------------------------------------------------------------------


def register(
    text: str,
    type_value: str | None = None,
    context: dict[str, Any] | None = None,
    *,
    owner: str = "",
    issuer: str = "",
    parent: str | None = None,
) -> str:
    """Records an ID that was made elsewhere, and returns its type's value.

    The text has to be in one of the formats, or in a legacy format before its sunset. Where it doesn't say of which
    type it is, ``type_value`` has to. IDs of retired types can be registered: they exist. Raises AlreadyIssued for
    one that the registry has, also when it was released.
    """
    try:
        return register_many([Registration(text, type_value, context, owner, parent)], issuer=issuer)[0]
    except MintingError as error:
        raise error.alone() from None


def register_many(items: Sequence[Registration], *, issuer: str = "") -> list[str]:
    """Records IDs that were made elsewhere, at most 10,000: all or none. Returns their types' values.

    The error's ``row`` is the place of the first one that is refused, counted from 0.
    """
    with _counted() as counts:
        started = time.perf_counter()
        types = _register_many(items, issuer, counts)
    for type_id, number in counts.items():
        seconds = time.perf_counter() - started if len(counts) == 1 else None
        metrics.count(Kind.REGISTERED, type_id, number, seconds=seconds)
    return types


def _register_many(items: Sequence[Registration], issuer: str, counts: dict[int, int]) -> list[str]:
    """The same; ``counts`` gets the number of IDs for each primary key of a type."""
    leasing.check_count(len(items), records.LARGEST_BATCH, "number of IDs")
    contexts.check_owner(issuer, "issuer")
    rows: dict[str, tuple[int, int, KnownType, str, records.Stored]] = {}
    shapes = legacy.Shapes()
    for place, item in enumerate(items):
        try:
            stored = records.checked(item.context, item.owner, issuer, item.parent)
            kind, prefix = _registered_as(item, shapes)
            if item.id in rows:
                raise AlreadyIssued(
                    f"{formats.shown(item.id)} is in the batch twice, first in row {rows[item.id][0]}."
                )
        except MintingError as error:
            raise error.at(place) from error
        rows[item.id] = (place, kind.pk, kind, prefix, stored)
    parents: dict[str, int] = {}
    for place, _, _, _, stored in rows.values():
        if stored.parent is not None and stored.parent not in rows:
            parents.setdefault(stored.parent, place)
    for _, pk, _, _, _ in rows.values():
        counts[pk] = counts.get(pk, 0) + 1
    with transaction.atomic(), connection.cursor() as cursor:
        if parents:
            records.check_parents(parents, row_of=parents)
        cursor.execute(
            _REGISTER,
            {
                "ids": list(rows),
                "types": [row[1] for row in rows.values()],
                "prefixes": [row[3] for row in rows.values()],
                "contexts": [row[4].context for row in rows.values()],
                "owners": [row[4].owner for row in rows.values()],
                "parents": [row[4].parent for row in rows.values()],
                "issuer": issuer,
                "state": IssuedID.State.REGISTERED.value,
            },
        )
        recorded = {row[0] for row in cursor.fetchall()}
        if len(recorded) < len(rows):
            taken = next(text for text in rows if text not in recorded)
            raise _taken(taken).at(rows[taken][0])
        records.add_tallies(counts)
    shapes.count()
    return [rows[item.id][2].value for item in items]


@contextmanager
def _counted() -> Iterator[dict[int, int]]:
    """Numbers by type. A refusal is counted by its reason, without a type: a batch may have many."""
    try:
        yield {}
    except MintingError as error:
        metrics.count(Kind.REJECTED, None, reason=error.code)
        raise


# In the order of the IDs, so that two batches with the same IDs wait for one another and never in a circle.
_REGISTER = """
INSERT INTO ids_issuedid (id, type_id, prefix, context, issued_at, state, owner, issuer, parent_id)
SELECT id, type_id, prefix, context::jsonb, statement_timestamp(), %(state)s, owner, %(issuer)s, parent
  FROM unnest(%(ids)s::text[], %(types)s::bigint[], %(prefixes)s::text[], %(contexts)s::text[], %(owners)s::text[],
              %(parents)s::text[]) AS new (id, type_id, prefix, context, owner, parent)
 ORDER BY id
ON CONFLICT (id) DO NOTHING
RETURNING id
"""


def _registered_as(item: Registration, shapes: legacy.Shapes) -> tuple[KnownType, str]:
    """The type and the prefix of an ID from elsewhere."""
    records.check_text(item.id)
    try:
        parts = formats.parse(item.id)
    except formats.FormatError as error:
        shape = shapes.accepted(item.id)
        if shape is None:
            raise InvalidID(error.message, error.limit) from error
        value: str | None = shape.type
        prefix = shape.prefix
    else:
        value = parts.type
        prefix = (parts.prefix or "") if isinstance(parts, formats.StructuredId) else ""
    if item.type is None and value is None:
        raise InvalidID(
            f"{formats.shown(item.id)} does not say of which type it is, so the type has to be given."
        )
    kind = known.named(value or item.type or "")
    if item.type is not None and kind.value != item.type:
        raise InvalidID(
            f'{formats.shown(item.id)} is an ID of the type "{kind.value}", not of {formats.shown(item.type)}.'
        )
    if not kind.is_tracked:
        raise NotTracked(f'IDs of the type "{kind.value}" are not recorded, only counted.')
    return kind, prefix


def _taken(text: str) -> AlreadyIssued:
    row = IssuedID.objects.filter(pk=text).only("state").first()
    was = (
        "was released, and is never used again"
        if row and row.state == IssuedID.State.RELEASED
        else "is known already"
    )
    return AlreadyIssued(f"{formats.shown(text)} {was}.")


# --- release ----------------------------------------------------------------------------------------------------------


def release(text: str, *, owner: str | None = None) -> None:
    """Marks an ID as released. The record stays, so the ID is never used again.

    With ``owner`` only that owner's ID is released, compared whole. Raises NotIssued, AlreadyReleased or NotOwner.
    """
    try:
        release_many([text], owner=owner)
    except MintingError as error:
        raise error.alone() from None


def release_many(texts: Sequence[str], *, owner: str | None = None) -> None:
    """Releases IDs, at most 10,000: all or none. The error's ``row`` is the place of the first one that is refused."""
    with _counted() as counts:
        _release_many(texts, owner, counts)
    for type_id, number in counts.items():
        metrics.count(Kind.RELEASED, type_id, number)


def _release_many(texts: Sequence[str], owner: str | None, counts: dict[int, int]) -> None:
    leasing.check_count(len(texts), records.LARGEST_BATCH, "number of IDs")
    if owner is not None:
        contexts.check_owner(owner)
    places: dict[str, int] = {}
    for place, text in enumerate(texts):
        try:
            records.check_text(text)
            if text in places:
                raise AlreadyReleased(
                    f"{formats.shown(text)} is in the batch twice, first in row {places[text]}."
                )
        except MintingError as error:
            raise error.at(place) from error
        places[text] = place
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_LOCKED, {"ids": list(places)})
        found = {row[0]: row[1:] for row in cursor.fetchall()}
        for text, place in places.items():
            try:
                _check_releasable(text, found.get(text), owner)
            except MintingError as error:
                raise error.at(place) from error
        cursor.execute(_RELEASE, {"ids": list(places), "released": IssuedID.State.RELEASED.value})
        counts.update(dict(cursor.fetchall()))


def release_owner(owner: str) -> int:
    """Releases every ID of an owner, compared whole, and returns how many those were.

    In transactions of 5,000, so that nothing waits long; what was released stays so when a later one fails.
    """
    contexts.check_owner(owner)
    if not owner:
        raise InvalidOwner("Name an owner: the IDs of nobody are not released together.")
    total = 0
    while True:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                _RELEASE_OWNER,
                {"owner": owner, "released": IssuedID.State.RELEASED.value, "limit": _RELEASE_BATCH},
            )
            counts = dict(cursor.fetchall())
        for type_id, number in counts.items():
            metrics.count(Kind.RELEASED, type_id, number)
        total += sum(counts.values())
        if sum(counts.values()) < _RELEASE_BATCH:
            return total


def _check_releasable(text: str, found: tuple[str, str] | None, owner: str | None) -> None:
    if found is None:
        raise NotIssued(f"The registry has no ID {formats.shown(text)}.")
    state, held_by = found
    if owner is not None and held_by != owner:
        raise NotOwner(f"{formats.shown(text)} is not an ID of {formats.shown(owner)}.")
    if state == IssuedID.State.RELEASED:
        raise AlreadyReleased(f"{formats.shown(text)} was released before.")


_LOCKED = "SELECT id, state, owner FROM ids_issuedid WHERE id = ANY(%(ids)s) ORDER BY id FOR UPDATE"
_COUNTED = """
, tally AS (
    INSERT INTO ids_idtally (type_id, issued, released)
    SELECT type_id, 0, count(*) FROM gone GROUP BY type_id
)
SELECT type_id, count(*) FROM gone GROUP BY type_id
"""
_RELEASE = f"""
WITH gone AS (
    UPDATE ids_issuedid SET state = %(released)s, released_at = statement_timestamp()
     WHERE id = ANY(%(ids)s) RETURNING type_id
) {_COUNTED}"""  # noqa: S608 - texts of this file
_RELEASE_OWNER = f"""
WITH gone AS (
    UPDATE ids_issuedid SET state = %(released)s, released_at = statement_timestamp()
     WHERE id = ANY (ARRAY(
           SELECT id FROM ids_issuedid WHERE owner = %(owner)s AND owner <> '' AND state <> 'released'
            ORDER BY id LIMIT %(limit)s FOR UPDATE))
    RETURNING type_id
) {_COUNTED}"""  # noqa: S608 - texts of this file
