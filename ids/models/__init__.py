"""The rows of the registry: types, the IDs that were handed out, and the shapes of old that are still accepted."""

from ids.models.legacy import LegacyFormat, LegacyHits, validate_pattern
from ids.models.registry import (
    CONTEXT_START_LENGTH,
    FieldChange,
    IDCounter,
    IDTally,
    IDType,
    IDTypeQuerySet,
    IssuedID,
    TypeChange,
    validate_type_value,
)

__all__ = [
    "CONTEXT_START_LENGTH",
    "FieldChange",
    "IDCounter",
    "IDTally",
    "IDType",
    "IDTypeQuerySet",
    "IssuedID",
    "LegacyFormat",
    "LegacyHits",
    "TypeChange",
    "validate_pattern",
    "validate_type_value",
]
