"""The service of IDs for this process: generate here; register and release by ``ids.registering``.

An ID is unique by its counter, which ``ids.leasing`` gives to nobody else, or by the random bits of its format. The
record of it is written in the caller's transaction: what is rolled back was never issued, and never will be again.

What is refused raises a MintingError, with nothing recorded. Batches are all or nothing, and the error names the row.
"""

import secrets
from typing import Any, NamedTuple

from django.db import transaction

from ids import generators, known, leasing, metrics, records
from ids.known import KnownType
from ids.leasing import Health, Repair, health, repair
from ids.models import IDType, Kind
from ids.refusals import (
    AlreadyIssued,
    AlreadyReleased,
    CounterBehind,
    CountersExhausted,
    DeprecatedTypeWarning,
    InvalidContext,
    InvalidCount,
    InvalidID,
    InvalidOwner,
    InvalidPrefix,
    InvalidReport,
    LeaseUnavailable,
    MintingError,
    NotIssued,
    NotOwner,
    NotTracked,
    RetiredType,
    UnknownLease,
    UnknownParent,
    UnknownType,
    UnsafeDatabase,
)
from ids.registering import (
    Registration,
    record_use,
    register,
    register_many,
    release,
    release_many,
    release_owner,
)

__all__ = [
    "AlreadyIssued",
    "AlreadyReleased",
    "CounterBehind",
    "CountersExhausted",
    "DeprecatedTypeWarning",
    "Health",
    "InvalidContext",
    "InvalidCount",
    "InvalidID",
    "InvalidOwner",
    "InvalidPrefix",
    "InvalidReport",
    "LeaseUnavailable",
    "MintingError",
    "NotIssued",
    "NotOwner",
    "NotTracked",
    "Registration",
    "RelatedIDs",
    "Repair",
    "RetiredType",
    "UnknownLease",
    "UnknownParent",
    "UnknownType",
    "UnsafeDatabase",
    "forget_leases",
    "generate",
    "generate_many",
    "generate_related",
    "health",
    "record_use",
    "register",
    "register_many",
    "release",
    "release_many",
    "release_owner",
    "repair",
    "warning_of",
]


forget_leases = leasing.forget


class RelatedIDs(NamedTuple):
    """The IDs of one user's call: a thread, a run inside it, and a request inside that."""

    thread: str
    run: str
    request: str


# --- generate ---------------------------------------------------------------------------------------------------------


def generate(
    type_value: str,
    prefix: str | None = None,
    context: dict[str, Any] | None = None,
    *,
    owner: str = "",
    issuer: str = "",
    parent: str | None = None,
) -> str:
    """Issues one ID and records it in the caller's transaction.

    ``context`` is a JSON object of at most 16 kB that is kept with the ID; ``owner`` says whose it is, ``issuer`` who
    asked for it, ``parent`` which recorded ID it is inside of. Outside a transaction the record is committed when this
    returns; inside one, a rollback takes the record back and the ID is never issued again.

    Raises a MintingError when the ID is refused, with nothing recorded. Warns with DeprecatedTypeWarning when the type
    is deprecated. The type must be committed, and the caller must not hold its row by ``select_for_update()``.
    """
    with metrics.measured(Kind.GENERATED) as call:
        while True:
            kind = known.named(type_value)
            call.type_id = kind.pk
            kind = known.usable(kind)
            known.check_prefix(kind, prefix)
            stored = records.checked(context, owner, issuer, parent)
            if not kind.is_counted:
                leasing.hold(kind)
            counter = leasing.next_counter(kind) if kind.is_counted else None
            text = _text(kind, counter, prefix)
            if records.record(kind, text, counter, prefix, stored):
                break
            known.forget(kind.value)  # it was edited meanwhile
    _count_deprecated(kind, 1)
    return text


def generate_many(
    type_value: str,
    count: int,
    prefix: str | None = None,
    context: dict[str, Any] | None = None,
    *,
    owner: str = "",
    issuer: str = "",
    parent: str | None = None,
) -> list[str]:
    """Issues ``count`` IDs of one type, at most 10,000: all of them, in one transaction, or none.

    The counters of a batch follow one another. Everything else is as with ``generate``, and the same for all of them.
    """
    with metrics.measured(Kind.GENERATED) as call:
        leasing.check_count(count, records.LARGEST_BATCH)
        call.number = count
        while True:
            kind = known.named(type_value)
            call.type_id = kind.pk
            kind = known.usable(kind)
            known.check_prefix(kind, prefix)
            stored = records.checked(context, owner, issuer, parent)
            counters = leasing.counters(kind, count) if kind.is_counted else None
            if counters is not None:
                texts = _structured_texts(kind, counters, prefix)
            else:
                leasing.hold(kind)
                texts = [str(generators.new(kind.format, kind.value)) for _ in range(count)]
            if records.record_many(kind, texts, counters, prefix, stored):
                break
            known.forget(kind.value)  # it was edited meanwhile
    _count_deprecated(kind, count)
    return texts


def generate_related(
    context: dict[str, Any] | None = None, *, owner: str = "", issuer: str = "", thread: str | None = None
) -> RelatedIDs:
    """A run and a request inside it, in a new thread or a given one: all three, in one transaction, or none."""
    with transaction.atomic():
        if thread is None:
            thread = generate("thread", context=context, owner=owner, issuer=issuer)
        run = generate("run", context=context, owner=owner, issuer=issuer, parent=thread)
        request = generate("request", context=context, owner=owner, issuer=issuer, parent=run)
    return RelatedIDs(thread, run, request)


def warning_of(*type_values: str) -> str | None:
    """What is said beside IDs of these types that were issued just now: which are deprecated, if any."""
    found = [words for value in type_values if (words := known.warning_of(known.named(value))) is not None]
    return " ".join(found) or None


def _count_deprecated(kind: KnownType, number: int) -> None:
    if kind.status == IDType.Status.DEPRECATED:
        metrics.count(Kind.DEPRECATED, kind.pk, number)


def _text(kind: KnownType, counter: int | None, prefix: str | None) -> str:
    """The text of a new ID. What goes in was checked, so nothing is checked again."""
    if counter is None:
        return str(generators.new(kind.format, kind.value))
    body = f"{kind.value}_{counter}_{secrets.token_hex(4)}"
    return body if prefix is None else f"{prefix}_{body}"


def _structured_texts(kind: KnownType, counters: range, prefix: str | None) -> list[str]:
    head = kind.value if prefix is None else f"{prefix}_{kind.value}"
    randoms = secrets.token_hex(4 * len(counters))
    return [
        f"{head}_{counter}_{randoms[place : place + 8]}"
        for counter, place in zip(counters, range(0, len(randoms), 8), strict=True)
    ]
