"""Rows of issued IDs, written: one by one or many at a time, each together with its tally.

No rules here beyond what a row can hold: ``ids.minting`` and ``ids.registering`` decide what is recorded.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, Final, NamedTuple

from django.db import IntegrityError, connection, transaction

from ids import contexts, formats, known, leasing, prepared
from ids.known import KnownType
from ids.models import IssuedID
from ids.refusals import AlreadyIssued, InvalidID, UnknownParent

LARGEST_BATCH: Final = 10_000


class Stored(NamedTuple):
    """What is kept with an ID, checked; the context as JSON."""

    context: str
    owner: str
    issuer: str
    parent: str | None


def checked(context: dict[str, Any] | None, owner: str, issuer: str, parent: str | None) -> Stored:
    if owner or issuer:
        contexts.check_owner(owner)
        contexts.check_owner(issuer, "issuer")
    if parent is not None:
        check_text(parent)
    return Stored(contexts.serialised(context), owner, issuer, parent)


def check_text(text: str) -> None:
    """Raises InvalidID for what the registry can't have as an ID, so that the database is not asked in vain."""
    if not isinstance(text, str) or not text:
        raise InvalidID(f"An ID is text, not {type(text).__name__}." if text else "An ID is not empty.")
    if len(text) > formats.MAX_LENGTH:
        raise InvalidID(
            f"An ID has at most {formats.MAX_LENGTH} characters, not {len(text)}.",
            formats.MAX_LENGTH,
            received=len(text),
        )
    if not text.isprintable():
        raise InvalidID(f"The ID {formats.shown(text)} holds a character that no ID has.")


# --- the record -------------------------------------------------------------------------------------------------------

# One statement, so that the ID and its tally are recorded together even where the caller has no transaction, and only
# while the type is what it was taken for. An ID of a type that is not tracked leaves its tally alone.
_TALLY = f"""
WITH kind AS (SELECT id FROM ids_idtype WHERE {known.MATCHES}), tally AS (
    INSERT INTO ids_idtally (type_id, issued, released, last_issued_at)
    SELECT id, %(number)s, 0, statement_timestamp() FROM kind
)
"""  # noqa: S608 - texts of this project
_COUNT = _TALLY + "SELECT id FROM kind"  # noqa: S608
_RECORD = (
    _TALLY
    + """
INSERT INTO ids_issuedid (id, type_id, counter, prefix, context, issued_at, state, owner, issuer, parent_id)
SELECT %(id)s, id, %(counter)s, %(prefix)s, %(context)s::jsonb, statement_timestamp(), %(state)s, %(owner)s, %(issuer)s,
       %(parent)s
  FROM kind
RETURNING type_id
"""
)
# The same of many. No COPY: that would be a transaction of four statements, and reads each column of each row as text.
_RECORD_MANY = f"""
{_TALLY}, made AS (
    INSERT INTO ids_issuedid (id, type_id, counter, prefix, context, issued_at, state, owner, issuer, parent_id)
    SELECT text, kind.id, %(start)s::bigint + place - 1, %(prefix)s, %(context)s::jsonb, statement_timestamp(),
           %(state)s, %(owner)s, %(issuer)s, %(parent)s
      FROM kind, unnest(%(ids)s::text[]) WITH ORDINALITY AS new (text, place)
)
SELECT id FROM kind
"""  # noqa: S608 - texts of this project
COPY = """
COPY ids_issuedid (id, type_id, counter, prefix, context, issued_at, state, owner, issuer, parent_id) FROM STDIN
"""
_KNOWN = "SELECT id, state FROM ids_issuedid WHERE id = ANY(%s)"


def record(kind: KnownType, text: str, counter: int | None, prefix: str | None, stored: Stored) -> bool:
    """Whether the ID was recorded: not, when the type was edited since it was looked up."""
    if stored.parent is not None:
        check_parents([stored.parent])
    values = {**_values(kind, 1, prefix, stored), "id": text, "counter": counter}
    try:
        return prepared.fetch_one(_RECORD if kind.is_tracked else _COUNT, values) is not None
    except IntegrityError as error:
        leasing.forget()  # what is left of the block can't be trusted either
        if counter is None:
            raise AlreadyIssued(f"{text} was issued already.") from error
        raise leasing.behind(kind, f"{counter} was issued already") from error


def record_many(
    kind: KnownType, texts: Sequence[str], counters: range | None, prefix: str | None, stored: Stored
) -> bool:
    """Whether the IDs were recorded, as with ``record``: all of them by one statement, or none."""
    if stored.parent is not None:
        check_parents([stored.parent])
    values = {
        **_values(kind, len(texts), prefix, stored),
        # no character of an ID means anything in an array's text
        "ids": f"{{{','.join(texts)}}}",
        "start": counters.start if counters is not None else None,
    }
    try:
        # a caller's transaction may go on after a refusal
        with transaction.atomic() if connection.in_atomic_block else nullcontext():
            return prepared.fetch_one(_RECORD_MANY if kind.is_tracked else _COUNT, values) is not None
    except IntegrityError as error:
        leasing.forget()  # what this process holds of other blocks can't be trusted either
        detail = "one of them" if counters is None else f"one of {counters[0]} to {counters[-1]}"
        raise leasing.behind(kind, f"{detail} was issued already") from error


def _values(kind: KnownType, number: int, prefix: str | None, stored: Stored) -> dict[str, Any]:
    return {
        **kind.condition(),
        "number": number,
        "prefix": prefix or "",
        "context": stored.context,
        "state": IssuedID.State.ISSUED.value,
        "owner": stored.owner,
        "issuer": stored.issuer,
        "parent": stored.parent,
    }


NULL: Final = "\\N"
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def escaped(text: str) -> str:
    """A value as a column of COPY's text format."""
    return text.translate(_ESCAPES)


def check_parents(parents: Iterable[str], *, row_of: Mapping[str, int] | None = None) -> None:
    """Raises UnknownParent unless the registry has them all."""
    wanted = list(dict.fromkeys(parents))
    with connection.cursor() as cursor:
        cursor.execute(_KNOWN, [wanted])
        found = {row[0] for row in cursor.fetchall()}
    for parent in wanted:
        if parent not in found:
            error = UnknownParent(
                f"The registry has no ID {formats.shown(parent)} that this one could be inside of."
            )
            raise error if row_of is None else error.at(row_of[parent])


def copy_each(kind: KnownType, rows: Iterable[tuple[str, int, str, Stored]]) -> None:
    """Records IDs with what is kept of each: (text, counter, prefix, what is kept)."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()::text")
        (now,) = cursor.fetchone()
        middle, state = f"\t{kind.pk}\t", IssuedID.State.ISSUED.value
        try:
            with transaction.atomic(), cursor.copy(COPY) as copy:
                copy.write(
                    "\n".join(
                        [
                            f"{text}{middle}{counter}\t{prefix}\t{escaped(stored.context)}\t{now}\t{state}\t"
                            f"{escaped(stored.owner)}\t{escaped(stored.issuer)}\t"
                            f"{NULL if stored.parent is None else escaped(stored.parent)}"
                            for text, counter, prefix, stored in rows
                        ]
                    )
                )
        except IntegrityError as error:
            raise AlreadyIssued("An ID of this report was registered by somebody else.") from error


def add_tallies(issued: Mapping[int, int]) -> None:
    """Counts IDs that were recorded, {primary key of the type: number}."""
    with connection.cursor() as cursor:
        cursor.execute(_TALLIES, {"types": list(issued), "issued": list(issued.values())})


_TALLIES = """
INSERT INTO ids_idtally (type_id, issued, released, last_issued_at)
SELECT type_id, issued, 0, statement_timestamp()
  FROM unnest(%(types)s::bigint[], %(issued)s::int[]) AS new (type_id, issued)
"""
