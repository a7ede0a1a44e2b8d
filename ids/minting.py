"""The only writer of issued IDs.

Uniqueness comes from PostgreSQL. A process leases a block of counters of a type by one committed UPDATE of the type's
counter row, on a connection of its own, and hands the block out from memory. So a rollback of the caller, a crash or a
kill loses counters, which leaves a gap, and never brings one back, which would be a duplicate. The random part of an ID
only makes it hard to guess.

Safe over threads (one lock per type), forks (a child forgets what its parent leased), processes, hosts and crashes.
"""

import json
import math
import os
import secrets
import threading
import warnings
from collections.abc import Iterator
from contextlib import closing
from difflib import get_close_matches
from typing import Any, Final

from django.db import (
    DEFAULT_DB_ALIAS,
    DataError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    connection,
    connections,
)

from ids import formats, metrics
from ids.models import IDType, IssuedID, Kind

# A process starts with a small block, so that a short-lived one leaves a small gap, and doubles it with every lease, so
# that a busy one seldom waits for a lease.
FIRST_BLOCK: Final = 8
LARGEST_BLOCK: Final = 1024

CONTEXT_MAX_BYTES: Final = 16 * 1024
CONTEXT_MAX_DEPTH: Final = 32

LEASE_LOCK_TIMEOUT_MS: Final = 5_000


class MintingError(Exception):
    """An ID was refused. ``code`` is stable and names why; ``limit`` is the bound that was passed, if there is one."""

    code = "minting-error"

    def __init__(self, message: str, limit: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.limit = limit


class UnknownType(MintingError):
    """The registry has no such type. The message names the nearest one."""

    code = "unknown-type"


class RetiredType(MintingError):
    """The type is retired: its issued IDs stay valid, and no new ones are issued."""

    code = "retired-type"


class InvalidPrefix(MintingError):
    """The prefix is outside the grammar of the type's format."""

    code = "invalid-prefix"


class InvalidContext(MintingError):
    """The context is not a JSON object that PostgreSQL can hold, or it is too large or too deep."""

    code = "invalid-context"


class UnsafeDatabase(MintingError):
    """``synchronous_commit`` is off: a crash could take a committed lease back, and its counters would come twice."""

    code = "unsafe-database"


class CounterBehind(MintingError):
    """The type's counter is not above its issued IDs, as after a partial restore: the next IDs would be duplicates."""

    code = "counter-behind"


class CountersExhausted(MintingError):
    """The type has no counter left below the largest that the format can hold."""

    code = "counters-exhausted"


class LeaseUnavailable(MintingError):
    """The database could not lease counters now; nothing was issued. Trying again later is safe."""

    code = "lease-unavailable"


class DeprecatedTypeWarning(UserWarning):
    """An ID of a deprecated type was issued."""


def generate(type_value: str, prefix: str | None = None, context: dict[str, Any] | None = None) -> str:
    """Issues one ID and records it in the caller's transaction.

    ``context`` is a JSON object of at most 16 kB that is kept with the ID. Outside a transaction the record is
    committed when this returns; inside one, a rollback takes the record back and the ID is never issued again.

    Raises a MintingError when the ID is refused, with nothing recorded. Warns with DeprecatedTypeWarning when the type
    is deprecated. The type must be committed, and the caller must not hold its row by ``select_for_update()``.
    """
    with metrics.measured(Kind.GENERATED) as call:
        id_type = _known_type(type_value)
        call.type_id = id_type.pk
        _refuse_retired(id_type)
        if id_type.status == IDType.Status.DEPRECATED:
            warnings.warn(
                f'The ID type "{id_type.value}" is deprecated.', DeprecatedTypeWarning, stacklevel=2
            )
        if prefix is not None:
            try:
                formats.check_prefix(prefix)
            except formats.FormatError as error:
                raise InvalidPrefix(error.message, error.limit) from error
        stored_context = _serialised(context)
        identifier = formats.StructuredId(
            type=id_type.value,
            counter=_leases.next_counter(id_type),
            random=secrets.token_hex(4),
            prefix=prefix,
        )
        text = formats.render(identifier)
        _record(id_type, identifier, text, stored_context)
    if id_type.status == IDType.Status.DEPRECATED:
        metrics.count(Kind.DEPRECATED, id_type.pk)
    return text


def forget_leases() -> None:
    """Drops the blocks that this process leased, so that the next ID of each type starts with a new lease.

    Needed after a fork, where it runs by itself, and after the database behind the process was restored or replaced.
    """
    _leases.forget()


# --- what is asked for ------------------------------------------------------------------------------------------------


def _known_type(value: str) -> IDType:
    try:
        formats.check_type(value)
        return IDType.objects.only("id", "value", "status").get(value=value)
    except (formats.FormatError, IDType.DoesNotExist) as error:
        raise _unknown(value) from error


def _refuse_retired(id_type: IDType) -> None:
    if id_type.status == IDType.Status.RETIRED:
        raise RetiredType(f'The ID type "{id_type.value}" is retired: no more IDs of it are issued.')


def _unknown(value: object) -> UnknownType:
    message = f"The registry has no ID type {formats.shown(value)}."
    if isinstance(value, str):
        known = IDType.objects.values_list("value", flat=True)
        wanted = value[: 2 * formats.TYPE_MAX_LENGTH].lower().replace("_", "-")
        nearest = get_close_matches(wanted, known, n=1)
        message += f' Did you mean "{nearest[0]}"?' if nearest else ""
    return UnknownType(message)


def _serialised(context: dict[str, Any] | None) -> str:
    """The context as compact JSON. Raises InvalidContext."""
    if context is None:
        return "{}"
    if not isinstance(context, dict):
        raise InvalidContext(f"The context is a JSON object, not {type(context).__name__}.")
    _check_context(context)
    try:
        text = json.dumps(context, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        size = len(text.encode())
    except (
        ValueError,
        TypeError,
    ) as error:  # a lone surrogate, an integer of more digits than Python converts
        raise InvalidContext(f"The context can't be stored as JSON: {error}.") from error
    if size > CONTEXT_MAX_BYTES:
        raise InvalidContext(
            f"The context has {size} bytes as JSON; {CONTEXT_MAX_BYTES} are allowed.", CONTEXT_MAX_BYTES
        )
    return text


def _check_context(context: dict[str, Any]) -> None:
    """Looks at every value without recursion; stops early where a context is deep, huge or refers to itself."""
    pending: list[tuple[object, int]] = [(context, 1)]
    looked_at = 0
    while pending:
        value, depth = pending.pop()
        looked_at += 1
        # each value needs a byte of its own at least
        if looked_at > CONTEXT_MAX_BYTES:
            raise InvalidContext(
                f"The context has more than {CONTEXT_MAX_BYTES} bytes as JSON.", CONTEXT_MAX_BYTES
            )
        if isinstance(value, dict | list | tuple):
            if depth > CONTEXT_MAX_DEPTH:
                raise InvalidContext(
                    f"The context is nested more than {CONTEXT_MAX_DEPTH} levels deep.", CONTEXT_MAX_DEPTH
                )
            looked_at += len(value)
            if isinstance(value, dict):
                for key in value:
                    if not isinstance(key, str):
                        raise InvalidContext(f"A key of the context is {type(key).__name__}, not text.")
                    _check_text(key)
            children = value.values() if isinstance(value, dict) else value
            pending.extend((child, depth + 1) for child in children)
        elif isinstance(value, str):
            _check_text(value)
        elif isinstance(value, float):
            if not math.isfinite(value):
                raise InvalidContext(f"The context holds {value}, which JSON has no number for.")
        elif value is not None and not isinstance(value, bool | int):
            raise InvalidContext(
                f"The context holds a value of type {type(value).__name__}, which is not JSON."
            )


def _check_text(text: str) -> None:
    if "\x00" in text:
        raise InvalidContext("The context holds a NUL character, which PostgreSQL can't store.")


# --- counters ---------------------------------------------------------------------------------------------------------


class _Block:
    """What this process may still hand out of one type's counters."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.size = 0
        # One iterator, replaced as a whole: a signal between two statements can lose counters, but never repeat one.
        self.counters: Iterator[int] = iter(())


class _Leases:
    """The blocks of this process, by the type's primary key."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self._lock = threading.Lock()  # a new one, because a fork may copy a lock that another thread holds
        self._blocks: dict[int, _Block] = {}

    def next_counter(self, id_type: IDType) -> int:
        with self._lock:
            block = self._blocks.setdefault(id_type.pk, _Block())
        with block.lock:
            counter = next(block.counters, None)
            if counter is None:
                size = min(max(2 * block.size, FIRST_BLOCK), LARGEST_BLOCK)
                start = _lease(id_type, size)
                block.counters, block.size = iter(range(start, start + size)), size
                counter = next(block.counters)
            return counter


_leases = _Leases()
os.register_at_fork(after_in_child=forget_leases)

# The type is looked at again, and held against deletion and a new value until the lease is committed: an ID must not
# carry a value that its type no longer has. KEY SHARE lets all other edits of the row pass.
_LEASE = """
INSERT INTO ids_idcounter AS held (type_id, next_counter, issued, released, leased_at)
SELECT id, 1 + %(size)s, 0, 0, statement_timestamp()
  FROM ids_idtype WHERE id = %(type)s AND value = %(value)s FOR KEY SHARE
ON CONFLICT (type_id) DO UPDATE
   SET next_counter = held.next_counter + %(size)s, leased_at = excluded.leased_at
RETURNING next_counter - %(size)s, current_setting('synchronous_commit')
"""

_HIGHEST_ISSUED = "SELECT max(counter) FROM ids_issuedid WHERE type_id = %(type)s"

# After _LEASE, whose row lock keeps two folds of one type apart.
_FOLD = """
WITH gone AS (
    DELETE FROM ids_idtally WHERE type_id = %(type)s RETURNING issued, released, last_issued_at
), total AS (
    SELECT sum(issued) AS issued, sum(released) AS released, max(last_issued_at) AS last_issued_at FROM gone
)
UPDATE ids_idcounter AS held
   SET issued = held.issued + total.issued,
       released = held.released + total.released,
       last_issued_at = greatest(held.last_issued_at, total.last_issued_at)
  FROM total
 WHERE held.type_id = %(type)s AND total.issued IS NOT NULL
"""


def _lease(id_type: IDType, size: int) -> int:
    """Advances the type's counter by ``size`` for good and returns the first counter of the block.

    A connection of its own, for as long as one short transaction: whatever the caller's transaction does, this is
    committed before any counter of the block is used.
    """
    values: dict[str, int | str] = {"type": id_type.pk, "value": id_type.value, "size": size}
    try:
        with closing(connections[DEFAULT_DB_ALIAS].copy()) as own:
            own.set_autocommit(False)
            with own.cursor() as cursor:
                cursor.execute(f"SET LOCAL lock_timeout = {LEASE_LOCK_TIMEOUT_MS}")
                cursor.execute(_LEASE, values)
                row = cursor.fetchone()
                if row is None:
                    raise UnknownType(
                        f'The ID type "{id_type.value}" was removed, renamed or is not committed yet.'
                    )
                start, synchronous_commit = row
                if synchronous_commit == "off":
                    raise UnsafeDatabase(
                        "No IDs are issued while PostgreSQL's synchronous_commit is off: "
                        "after a crash the same counters would be issued again."
                    )
                cursor.execute(_HIGHEST_ISSUED, values)
                (highest,) = cursor.fetchone()
                if highest is not None and highest >= start:
                    raise _behind(id_type, f"it would issue {start} next, and {highest} was issued already")
                cursor.execute(_FOLD, values)
            own.commit()
    except DataError as error:
        raise CountersExhausted(
            f'The ID type "{id_type.value}" has no {size} counters left below {formats.COUNTER_MAX}.',
            formats.COUNTER_MAX,
        ) from error
    except (OperationalError, InterfaceError) as error:
        raise LeaseUnavailable(
            f'No counters of the ID type "{id_type.value}" could be leased now, so no ID was issued: {error}'
        ) from error
    return int(start)


def _behind(id_type: IDType, detail: str) -> CounterBehind:
    return CounterBehind(
        f'The counter of the ID type "{id_type.value}" is behind its issued IDs: {detail}. '
        "Was the database restored in part? Set the counter above the highest issued ID."
    )


# --- the record -------------------------------------------------------------------------------------------------------

# One statement, so that the ID and its tally are recorded together even where the caller has no transaction.
_RECORD = """
WITH tally AS (
    INSERT INTO ids_idtally (type_id, issued, last_issued_at) VALUES (%(type)s, 1, statement_timestamp())
)
INSERT INTO ids_issuedid (id, type_id, counter, prefix, context, issued_at, state)
VALUES (%(id)s, %(type)s, %(counter)s, %(prefix)s, %(context)s::jsonb, statement_timestamp(), %(state)s)
"""


def _record(id_type: IDType, identifier: formats.StructuredId, text: str, context: str) -> None:
    values: dict[str, int | str] = {
        "id": text,
        "type": id_type.pk,
        "counter": identifier.counter,
        "prefix": identifier.prefix or "",
        "context": context,
        "state": IssuedID.State.ISSUED,
    }
    try:
        with connection.cursor() as cursor:
            cursor.execute(_RECORD, values)
    except IntegrityError as error:
        forget_leases()  # what is left of the block can't be trusted either
        raise _behind(id_type, f"{identifier.counter} was issued already") from error
