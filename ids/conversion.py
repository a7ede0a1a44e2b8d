"""UUIDs and structured IDs that mean the same: a row for each pair, so that no bit of either is lost.

A UUID has 122 bits that count; the random part of a structured ID has 32. So one can't be worked out from the other,
as the original did. The first conversion makes the other one, all later ones find it, either way. The only writer of
``UUIDAlias``.
"""

import uuid

from django.db import connection, transaction

from ids import formats, lookups, minting
from ids.models import UUIDAlias
from ids.refusals import InvalidID


def to_uuid(text: str) -> uuid.UUID:
    """The UUID that means the same as an ID of the registry.

    An ID that is a UUID, or a TypeID, which holds one, is that. Raises NotIssued for an ID that the registry lacks.
    """
    try:
        parts = formats.parse(text)
    except formats.FormatError:
        parts = None
    if isinstance(parts, formats.TypeId | formats.Uuid7Id | formats.Uuid4Id):
        return parts.uuid
    if isinstance(parts, formats.UlidId):
        return uuid.UUID(int=parts.number)
    known = UUIDAlias.objects.filter(identifier=text).first() if isinstance(text, str) else None
    if known is not None:
        return known.uuid
    lookups.look_up(text)
    with connection.cursor() as cursor:
        cursor.execute(_ADD, [uuid.uuid4(), text])
    return UUIDAlias.objects.get(identifier=text).uuid


def from_uuid(value: str | uuid.UUID, type_value: str, *, owner: str = "", issuer: str = "") -> str:
    """The ID that means the same as a UUID: the one that it was converted to before, or a new one of this type.

    Any UUID will do, of whatever version. Raises InvalidID for text that is none, or when it means an ID of another
    type, and what ``minting.generate`` raises.
    """
    number = _uuid(value)
    found = _found(number, type_value)
    if found is not None:
        return found
    with transaction.atomic():
        text = minting.generate(type_value, owner=owner, issuer=issuer)
        with connection.cursor() as cursor:
            cursor.execute(_ADD, [number, text])
            if cursor.rowcount == 1:
                return text
        transaction.set_rollback(True)  # somebody else was faster: theirs counts, and ours was never issued
    found = _found(number, type_value)
    assert found is not None
    return found


def _found(number: uuid.UUID, type_value: str) -> str | None:
    known = UUIDAlias.objects.filter(pk=number).first()
    if known is None:
        return None
    row = lookups.look_up(known.identifier)
    if row.type.value != type_value:
        raise InvalidID(
            f'{number} means an ID of the type "{row.type.value}", not of {formats.shown(type_value)}.'
        )
    return known.identifier


def _uuid(value: str | uuid.UUID) -> uuid.UUID:
    if isinstance(value, uuid.UUID):
        return value
    try:
        if not isinstance(value, str) or len(value) > 64:
            raise ValueError
        return uuid.UUID(value.strip())
    except ValueError as error:
        raise InvalidID(f"{formats.shown(value)} is no UUID.") from error


_ADD = """
INSERT INTO ids_uuidalias (uuid, identifier, made_at) VALUES (%s, %s, statement_timestamp()) ON CONFLICT DO NOTHING
"""
