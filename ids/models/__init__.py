"""The rows of the registry: types, the IDs that were handed out, and the shapes of old that are still accepted."""

from ids.models.legacy import LegacyFormat, LegacyHits, validate_pattern
from ids.models.registry import (
    CONTEXT_START_LENGTH,
    OWNER_MAX_LENGTH,
    FieldChange,
    IDCounter,
    IDTally,
    IDType,
    IDTypeQuerySet,
    IssuedID,
    TypeChange,
    validate_type_value,
)
from ids.models.service import KEY_MAX_LENGTH, LARGEST_LEASE, IdempotencyKey, IDLease, UUIDAlias
from ids.models.use import LATENCY_BOUNDS, NO_TYPE, Grain, Kind, TypeUse

__all__ = [
    "CONTEXT_START_LENGTH",
    "KEY_MAX_LENGTH",
    "LARGEST_LEASE",
    "LATENCY_BOUNDS",
    "NO_TYPE",
    "OWNER_MAX_LENGTH",
    "FieldChange",
    "Grain",
    "IDCounter",
    "IDLease",
    "IDTally",
    "IDType",
    "IDTypeQuerySet",
    "IdempotencyKey",
    "IssuedID",
    "Kind",
    "LegacyFormat",
    "LegacyHits",
    "TypeChange",
    "TypeUse",
    "UUIDAlias",
    "validate_pattern",
    "validate_type_value",
]
