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
from ids.models.use import LATENCY_BOUNDS, NO_TYPE, Grain, Kind, TypeUse

__all__ = [
    "CONTEXT_START_LENGTH",
    "LATENCY_BOUNDS",
    "NO_TYPE",
    "FieldChange",
    "Grain",
    "IDCounter",
    "IDTally",
    "IDType",
    "IDTypeQuerySet",
    "IssuedID",
    "Kind",
    "LegacyFormat",
    "LegacyHits",
    "TypeChange",
    "TypeUse",
    "validate_pattern",
    "validate_type_value",
]
