"""UUIDs and structured IDs that mean the same: a row for each pair, so that no bit of either is lost.

A UUID has 122 bits that count; the random part of a structured ID has 32. So one can't be worked out from the other,
as the original did. The first conversion makes the other one, all later ones find it, either way. The only writer of
``UUIDAlias``.
"""

import uuid
from collections.abc import Mapping, Sequence

from django.db import connection, transaction

from ids import formats, leasing, lookups, minting, records
from ids.models import IssuedID, UUIDAlias
from ids.refusals import InvalidID, MintingError, NotIssued


def to_uuid(text: str) -> uuid.UUID:
    """The UUID that means the same as an ID of the registry.

    An ID that is a UUID, or a TypeID, which holds one, is that. Raises NotIssued for an ID that the registry lacks.
    """
    try:
        return to_uuids([text])[0]
    except MintingError as error:
        raise error.alone() from None


def to_uuids(texts: Sequence[str]) -> list[uuid.UUID]:
    """The same of many, at most 10,000, in their order: all, or none. The error names the row."""
    leasing.check_count(len(texts), records.LARGEST_BATCH, "number of IDs")
    numbers: dict[str, uuid.UUID] = {}
    places: dict[str, int] = {}
    for place, text in enumerate(texts):
        number = _number(text)
        if number is not None:
            numbers[text] = number
        elif isinstance(text, str):
            places.setdefault(text, place)
        else:
            raise NotIssued(f"The registry has no ID {formats.shown(text)}.").at(place)
    if places:
        numbers.update(_numbers_of([text for text in places if lookups.may_be_known(text)]))
        missing = [text for text in places if text not in numbers]
        try:
            lookups.check_recorded(missing)
        except NotIssued as error:
            raise error.alone().at(places[missing[error.row or 0]]) from None
        if missing:
            missing.sort()  # so that two calls wait for one another and never in a circle
            with connection.cursor() as cursor:
                cursor.execute(_ADD_MANY, [[uuid.uuid4() for _ in missing], missing])
            numbers.update(_numbers_of(missing))  # somebody else may have been faster with one
    return [numbers[text] for text in texts]


def _number(text: str) -> uuid.UUID | None:
    """The UUID that an ID holds by itself, if it does."""
    try:
        parts = formats.parse(text)
    except formats.FormatError:
        return None
    if isinstance(parts, formats.UlidId):
        return uuid.UUID(int=parts.number)
    return parts.uuid if isinstance(parts, formats.TypeId | formats.Uuid7Id | formats.Uuid4Id) else None


def _numbers_of(texts: Sequence[str]) -> dict[str, uuid.UUID]:
    return dict(UUIDAlias.objects.filter(identifier__in=texts).values_list("identifier", "uuid"))


def from_uuid(value: str | uuid.UUID, type_value: str, *, owner: str = "", issuer: str = "") -> str:
    """The ID that means the same as a UUID: the one that it was converted to before, or a new one of this type.

    Any UUID will do, of whatever version. Raises InvalidID for text that is none, or when it means an ID of another
    type, and what ``minting.generate`` raises.
    """
    try:
        return from_uuids([value], type_value, owner=owner, issuer=issuer)[0]
    except MintingError as error:
        raise error.alone() from None


def from_uuids(
    values: Sequence[str | uuid.UUID], type_value: str, *, owner: str = "", issuer: str = ""
) -> list[str]:
    """The same of many, at most 10,000, in their order: all in one transaction, or none. The error names the row."""
    leasing.check_count(len(values), records.LARGEST_BATCH, "number of UUIDs")
    places: dict[uuid.UUID, int] = {}
    numbers = []
    for place, value in enumerate(values):
        try:
            number = _uuid(value)
        except MintingError as error:
            raise error.at(place) from error
        places.setdefault(number, place)
        numbers.append(number)
    while True:
        known = _known(places, type_value)
        # in the order of their numbers, so that two calls wait for one another and never in a circle
        missing = sorted(number for number in places if number not in known)
        if missing:
            with transaction.atomic():
                texts = minting.generate_many(type_value, len(missing), owner=owner, issuer=issuer)
                with connection.cursor() as cursor:
                    cursor.execute(_ADD_MANY, [missing, texts])
                    is_ours = cursor.rowcount == len(missing)
                if (
                    not is_ours
                ):  # somebody else was faster with one: theirs counts, and ours were never issued
                    transaction.set_rollback(True)
            if not is_ours:
                continue
            known.update(zip(missing, texts, strict=True))
        return [known[number] for number in numbers]


def _known(places: Mapping[uuid.UUID, int], type_value: str) -> dict[uuid.UUID, str]:
    """The IDs that some of the UUIDs mean already."""
    found = dict(UUIDAlias.objects.filter(pk__in=places).values_list("uuid", "identifier"))
    types = dict(IssuedID.objects.filter(pk__in=found.values()).values_list("id", "type__value"))
    for number in sorted(found, key=places.__getitem__):
        text = found[number]
        if text not in types:
            raise NotIssued(f"The registry has no ID {formats.shown(text)}.").at(places[number])
        if types[text] != type_value:
            raise InvalidID(
                f'{number} means an ID of the type "{types[text]}", not of {formats.shown(type_value)}.'
            ).at(places[number])
    return found


def _uuid(value: str | uuid.UUID) -> uuid.UUID:
    if isinstance(value, uuid.UUID):
        return value
    try:
        if not isinstance(value, str) or len(value) > 64:
            raise ValueError
        return uuid.UUID(value.strip())
    except ValueError as error:
        raise InvalidID(f"{formats.shown(value)} is no UUID.") from error


_ADD_MANY = """
INSERT INTO ids_uuidalias (uuid, identifier, made_at)
SELECT number, text, statement_timestamp() FROM unnest(%s::uuid[], %s::text[]) AS new (number, text)
ON CONFLICT DO NOTHING
"""
