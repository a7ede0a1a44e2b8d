"""The registry of ID types as the engine sees it: a value that somebody hands in, never a database."""

import hashlib

import msgspec

JSON_SCHEMA = 1


class RegistryError(ValueError):
    """A registry file that can't be used."""


class RegisteredType(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An ID type: its value as it stands in IDs, and active, deprecated or retired."""

    value: str
    status: str = "active"


class Registry(msgspec.Struct, frozen=True, dict=True):
    """All ID types, in the order of their values."""

    types: tuple[RegisteredType, ...]

    @property
    def digest(self) -> str:
        """16 hexadecimal digits; equal registries have equal digests."""
        ordered = sorted((t.value, t.status) for t in self.types)
        return hashlib.sha256(msgspec.json.encode(ordered)).hexdigest()[:16]

    def status(self, value: str) -> str:
        """The status of an ID type, "" when there is none of that value."""
        return next((t.status for t in self.types if t.value == value), "")

    @property
    def active(self) -> list[str]:
        return sorted(t.value for t in self.types if t.status == "active")


class _File(msgspec.Struct, forbid_unknown_fields=True):
    schema: int
    types: tuple[RegisteredType, ...]


def read_registry(data: bytes) -> Registry:
    """The registry of a JSON file: ``{"schema": 1, "types": [{"value": "run", "status": "active"}]}``."""
    try:
        found = msgspec.json.decode(data, type=_File)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RegistryError(f"no registry of ID types: {error}") from error
    if found.schema != JSON_SCHEMA:
        raise RegistryError(f"expected schema {JSON_SCHEMA}, got {found.schema}")
    return Registry(found.types)
