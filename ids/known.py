"""What a process remembers of the types, so that issuing an ID needs no look at the registry.

Nothing is issued on a memory alone: each statement that records IDs says which type it was made for (``MATCHES``), and
writes nothing when the row reads otherwise by now. Then the memory is dropped and the type looked up anew.
"""

import warnings
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from ids import formats
from ids.models import IDType
from ids.refusals import DeprecatedTypeWarning, InvalidPrefix, RetiredType, UnknownType

# The condition under which a remembered type is the registry's, for ``FROM ids_idtype``.
MATCHES: Final = (
    "id = %(type)s AND value = %(value)s AND status = %(status)s AND format = %(format)s "
    "AND is_tracked = %(tracked)s"
)


@dataclass(frozen=True, slots=True)
class KnownType:
    """A type as issuing needs it."""

    pk: int
    value: str
    status: str
    format: str
    is_tracked: bool

    @property
    def is_counted(self) -> bool:
        return formats.FORMATS[self.format].is_counted

    def condition(self) -> dict[str, int | str | bool]:
        """The values of ``MATCHES``."""
        return {
            "type": self.pk,
            "value": self.value,
            "status": self.status,
            "format": self.format,
            "tracked": self.is_tracked,
        }


_remembered: dict[str, KnownType] = {}


def forget(value: str | None = None) -> None:
    """Drops what is remembered, of one type or of all."""
    if value is None:
        _remembered.clear()
    else:
        _remembered.pop(value, None)


def named(value: str) -> KnownType:
    """The type with this value, in whatever state. Raises UnknownType with the nearest name."""
    try:
        found = _remembered.get(value)
    except TypeError:  # what can't be a key is no value either
        raise _unknown(value) from None
    return found if found is not None else _looked_up(value)


def refreshed(value: str) -> KnownType:
    """The type with this value as the registry has it now. Raises UnknownType."""
    return _looked_up(value)


def usable(kind: KnownType, stacklevel: int = 3) -> KnownType:
    """The type as it is now, when IDs of it are issued. Raises RetiredType, warns of a deprecated one."""
    if kind.status == IDType.Status.RETIRED:
        kind = _looked_up(kind.value)  # perhaps it was brought back
    if kind.status == IDType.Status.RETIRED:
        raise RetiredType(f'The ID type "{kind.value}" is retired: no more IDs of it are issued.')
    if (warning := warning_of(kind)) is not None:
        warnings.warn(warning, DeprecatedTypeWarning, stacklevel=stacklevel)
    return kind


def warning_of(kind: KnownType) -> str | None:
    """What whoever issues IDs of the type is told: that it is deprecated."""
    return f'The ID type "{kind.value}" is deprecated.' if kind.status == IDType.Status.DEPRECATED else None


def check_prefix(kind: KnownType, prefix: str | None) -> None:
    """Raises InvalidPrefix unless IDs of the type can have this prefix."""
    if prefix is None:
        return
    if not formats.FORMATS[kind.format].takes_prefix:
        label = formats.FORMATS[kind.format].label
        raise InvalidPrefix(f'IDs of the type "{kind.value}" have no prefix: their format is {label}.')
    try:
        formats.check_prefix(prefix)
    except formats.FormatError as error:
        raise InvalidPrefix(error.message, error.limit) from error


def _looked_up(value: str) -> KnownType:
    try:
        formats.check_type(value)
        row = IDType.objects.only("id", "value", "status", "format", "is_tracked").get(value=value)
    except (formats.FormatError, IDType.DoesNotExist) as error:
        if isinstance(value, str):
            forget(value)
        raise _unknown(value) from error
    kind = KnownType(row.pk, row.value, row.status, row.format, row.is_tracked)
    _remembered[kind.value] = kind
    return kind


def _unknown(value: object) -> UnknownType:
    message = f"The registry has no ID type {formats.shown(value)}."
    if isinstance(value, str):
        near = nearest(value)
        message += f' Did you mean "{near}"?' if near else ""
    return UnknownType(message)


def nearest(value: str) -> str | None:
    """The type whose value is most like this text, if one is."""
    known = IDType.objects.values_list("value", flat=True)
    wanted = value[: 2 * formats.TYPE_MAX_LENGTH].lower().replace("_", "-")
    return next(iter(get_close_matches(wanted, known, n=1)), None)
