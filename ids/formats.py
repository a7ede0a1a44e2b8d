"""Every ID format: render, parse and validate, as pure functions of text.

Five formats, each with one anchored grammar and one spelling of each ID. No text is in two of them:

==============  =====================================================  =============================================
format          reads                                                  for example
==============  =====================================================  =============================================
``structured``  ``[prefix_]type_counter_hex8``                         ``eu-west_run_17_9f86d081``
``typeid``      ``type_base32`` (a UUID of version 7)                  ``run_01jdz2xq0pfqgrb4v5v7x0a3kc``
``ulid``        26 characters of Crockford's base32, upper case        ``01JDZ2XQ0PFQGRB4V5V7X0A3KC``
``uuid7``       a UUID of version 7, lower case with hyphens           ``01935f2e-dc16-7bf0-b592-e5d9fa050e6c``
``uuid4``       a UUID of version 4, lower case with hyphens           ``6f1c2b8e-4a53-4c0e-9d5f-0b7a3f0f4a11``
==============  =====================================================  =============================================

A structured ID is read from the right: the random part, the counter, the type and, when a fourth part is left, the
prefix. No part may hold an underscore, so a prefix which is itself a type word is still a prefix.

=========  ==========================================================================  ==================
part       characters                                                                  length or range
=========  ==========================================================================  ==================
prefix     lower-case ASCII letters, digits; single hyphens between them               1 to 64
type       the same, the first one a letter                                            1 to 32
counter    decimal ASCII digits, no leading zero                                       1 to 2**63 - 1
random     lower-case hexadecimal digits                                               8
base32     ``0-9a-z`` without ``i l o u``, the first one from 0 to 7                   26
=========  ==========================================================================  ==================

TypeID's own grammar lets a type hold letters and underscores. So a hyphen of the type's value is written as an
underscore there (``web-hook`` gives ``web_hook_01jdz…``), which is one-to-one because a value has no underscore, and a
type whose value has a digit can't use it. The three bare formats say nothing of the type: only the registry knows it.
"""

import json
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Final

from ulid import ULID, base32

TYPE_MAX_LENGTH: Final = 32
PREFIX_MAX_LENGTH: Final = 64
COUNTER_MAX: Final = 2**63 - 1  # PostgreSQL's bigint
RANDOM_LENGTH: Final = 8
# the structured format's, which is the longest
MAX_LENGTH: Final = PREFIX_MAX_LENGTH + TYPE_MAX_LENGTH + len(str(COUNTER_MAX)) + RANDOM_LENGTH + 3

STRUCTURED: Final = "structured"
TYPEID: Final = "typeid"
ULID_FORMAT: Final = "ulid"
UUID7: Final = "uuid7"
UUID4: Final = "uuid4"

# Anchored, and free of `$` (which lets a newline follow), `\d` and `\w` (which accept other scripts), so that Python
# and PostgreSQL read them alike.
TYPE_PATTERN: Final = r"[a-z][a-z0-9]*(-[a-z0-9]+)*"
TYPEID_TYPE_PATTERN: Final = r"[a-z]+(-[a-z]+)*"
PREFIX_PATTERN: Final = r"[a-z0-9]+(-[a-z0-9]+)*"

_TYPE = re.compile(TYPE_PATTERN)
_TYPEID_TYPE = re.compile(TYPEID_TYPE_PATTERN)
_PREFIX = re.compile(PREFIX_PATTERN)
_COUNTER = re.compile(r"[1-9][0-9]{0,18}")
_RANDOM = re.compile(r"[0-9a-f]{8}")
_TYPEID_PREFIX = re.compile(r"[a-z]+(_[a-z]+)*")
_BASE32_LOWER = re.compile(r"[0-7][0-9a-hjkmnp-tv-z]{25}")
_BASE32_UPPER = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_BASE32_LENGTH: Final = 26
_UUID_LENGTH: Final = 36

_SHOWN_LENGTH = 60
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class FormatError(ValueError):
    """Text, or a part of an ID, that is outside the grammar.

    ``code`` names the part that is wrong: ``text``, ``length``, ``shape``, ``prefix``, ``type``, ``counter``,
    ``random``, ``base32``, ``version`` or ``format``. ``limit`` is the bound that was passed, where there is one. The
    message says both in words.
    """

    def __init__(self, code: str, message: str, limit: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.limit = limit


# --- the formats, for whoever chooses one -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Format:
    """What a format promises. ``grammar`` has the word ``type`` where an ID carries its type's value.

    ``random_bits`` counts the bits that nobody can guess; ``is_counted`` formats are unique by a counter and need none
    of them for that. ``is_ordered`` ones sort by the time at which they were made, and within one process by the order.
    """

    name: str
    label: str
    grammar: str
    pattern: str
    carries_type: bool
    takes_prefix: bool
    is_counted: bool
    is_ordered: bool
    random_bits: int
    says: str

    def reading(self, type_value: str) -> str:
        """The grammar of a type's IDs, for example ``[prefix_]run_counter_hex8``."""
        return self.grammar.replace("type", _written(self.name, type_value), 1)

    def pattern_of(self, type_value: str) -> str:
        """A regular expression, without anchors, of exactly this format's IDs of a type; RE2 reads it, too."""
        return self.pattern.replace("TYPE", _written(self.name, type_value), 1)


_UUID_PATTERN: Final = "[0-9a-f]{8}-[0-9a-f]{4}-%s[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"

FORMATS: Final = {
    entry.name: entry
    for entry in (
        Format(
            name=STRUCTURED,
            label="Structured",
            grammar="[prefix_]type_counter_hex8",
            pattern=rf"(?:(?P<prefix>{PREFIX_PATTERN.replace('(', '(?:')})_)?"
            r"TYPE_(?P<counter>[1-9][0-9]{0,18})_(?P<random>[0-9a-f]{8})",
            carries_type=True,
            takes_prefix=True,
            is_counted=True,
            is_ordered=False,
            random_bits=32,
            says="type and counter are readable; unique by its counter",
        ),
        Format(
            name=TYPEID,
            label="TypeID",
            grammar="type_base32",
            pattern=r"TYPE_[0-7][0-9a-hjkmnp-tv-z]{25}",
            carries_type=True,
            takes_prefix=False,
            is_counted=False,
            is_ordered=True,
            random_bits=74,
            says="the type is readable; sorts by time",
        ),
        Format(
            name=ULID_FORMAT,
            label="ULID",
            grammar="26 characters of base32",
            pattern=r"[0-7][0-9A-HJKMNP-TV-Z]{25}",
            carries_type=False,
            takes_prefix=False,
            is_counted=False,
            is_ordered=True,
            random_bits=80,
            says="short; sorts by time; the type is known to the registry only",
        ),
        Format(
            name=UUID7,
            label="UUIDv7",
            grammar="a UUID of version 7",
            pattern=_UUID_PATTERN % "7",
            carries_type=False,
            takes_prefix=False,
            is_counted=False,
            is_ordered=True,
            random_bits=74,
            says="fits UUID columns; sorts by time; the type is known to the registry only",
        ),
        Format(
            name=UUID4,
            label="UUIDv4",
            grammar="a UUID of version 4",
            pattern=_UUID_PATTERN % "4",
            carries_type=False,
            takes_prefix=False,
            is_counted=False,
            is_ordered=False,
            random_bits=122,
            says="fits UUID columns; says nothing, not even when; the type is known to the registry only",
        ),
    )
}


# --- IDs --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StructuredId:
    """The parts of one structured ID; an instance is always inside the grammar. ``str()`` renders it."""

    format: ClassVar[str] = STRUCTURED
    type: str
    counter: int
    random: str
    prefix: str | None = None

    def __post_init__(self) -> None:
        check_type(self.type)
        # bool is an int, but True is no counter
        if not isinstance(self.counter, int) or isinstance(self.counter, bool):
            raise FormatError("counter", f"The counter {shown(self.counter)} is not a whole number.")
        if not 1 <= self.counter <= COUNTER_MAX:
            raise FormatError("counter", f"The counter must be from 1 to {COUNTER_MAX}.", COUNTER_MAX)
        if not isinstance(self.random, str) or not _RANDOM.fullmatch(self.random):
            raise FormatError(
                "random",
                f"The random part {shown(self.random)} is not {RANDOM_LENGTH} lower-case hexadecimal digits.",
                RANDOM_LENGTH,
            )
        if self.prefix is not None:
            check_prefix(self.prefix)

    def __str__(self) -> str:
        return render(self)


@dataclass(frozen=True, slots=True)
class TypeId:
    """A type and a UUID of version 7, for example ``run_01jdz2xq0pfqgrb4v5v7x0a3kc``. ``str()`` renders it."""

    format: ClassVar[str] = TYPEID
    type: str
    uuid: uuid.UUID

    def __post_init__(self) -> None:
        check_type_for(TYPEID, self.type)
        _check_uuid(self.uuid, 7)

    @property
    def made_at(self) -> datetime | None:
        return _moment(self.uuid.int)

    def __str__(self) -> str:
        return render(self)


@dataclass(frozen=True, slots=True)
class UlidId:
    """128 bits: 48 of milliseconds since 1970, 80 random. ``str()`` renders them as a ULID."""

    format: ClassVar[str] = ULID_FORMAT
    type: ClassVar[None] = None
    number: int

    def __post_init__(self) -> None:
        if not isinstance(self.number, int) or isinstance(self.number, bool):
            raise FormatError("base32", f"The number {shown(self.number)} of a ULID is not a whole number.")
        if not 0 <= self.number < 2**128:
            raise FormatError("base32", "The number of a ULID has 128 bits.", 128)

    @property
    def made_at(self) -> datetime | None:
        return _moment(self.number)

    def __str__(self) -> str:
        return render(self)


@dataclass(frozen=True, slots=True)
class Uuid7Id:
    """A UUID of version 7. ``str()`` renders it in lower case, with hyphens."""

    format: ClassVar[str] = UUID7
    type: ClassVar[None] = None
    uuid: uuid.UUID

    def __post_init__(self) -> None:
        _check_uuid(self.uuid, 7)

    @property
    def made_at(self) -> datetime | None:
        return _moment(self.uuid.int)

    def __str__(self) -> str:
        return render(self)


@dataclass(frozen=True, slots=True)
class Uuid4Id:
    """A UUID of version 4. ``str()`` renders it in lower case, with hyphens."""

    format: ClassVar[str] = UUID4
    type: ClassVar[None] = None
    uuid: uuid.UUID

    def __post_init__(self) -> None:
        _check_uuid(self.uuid, 4)

    def __str__(self) -> str:
        return render(self)


Identifier = StructuredId | TypeId | UlidId | Uuid7Id | Uuid4Id


def render(identifier: Identifier) -> str:
    """The ID's text, for example ``run_17_9f86d081``."""
    if isinstance(identifier, StructuredId):
        body = f"{identifier.type}_{identifier.counter}_{identifier.random}"
        return body if identifier.prefix is None else f"{identifier.prefix}_{body}"
    if isinstance(identifier, TypeId):
        return f"{_written(TYPEID, identifier.type)}_{ULID(identifier.uuid.bytes)}".lower()
    if isinstance(identifier, UlidId):
        return str(ULID(identifier.number.to_bytes(16, "big")))
    return str(identifier.uuid)


def parse(text: str) -> Identifier:
    """The parts of an ID in whatever format it is: no text is in two of them.

    Raises FormatError, and nothing else, for every other value, of whatever Python type.
    """
    if not isinstance(text, str):
        raise FormatError("text", f"An ID is text, not {type(text).__name__}.")
    if len(text) > MAX_LENGTH:
        raise FormatError(
            "length", f"An ID has at most {MAX_LENGTH} characters, not {len(text)}.", MAX_LENGTH
        )
    head, underscore, last = text.rpartition("_")
    if underscore:
        return _parse_typeid(head, last) if len(last) == _BASE32_LENGTH else _parse_structured(text)
    if len(text) == _BASE32_LENGTH:
        return _parse_ulid(text)
    if len(text) == _UUID_LENGTH and text.count("-") == 4:
        return _parse_uuid(text)
    raise FormatError("shape", f"{shown(text)} has the shape of no ID: {_SHAPES}.")


_SHAPES: Final = "not [prefix_]type_counter_hex8, not type_base32, not a ULID, not a UUID"


def _parse_structured(text: str) -> StructuredId:
    parts = text.split("_")
    if len(parts) not in (3, 4):
        raise FormatError("shape", f"{shown(text)} does not have the shape [prefix_]type_counter_hex8.")
    type_value, counter, random = parts[-3:]
    if not _COUNTER.fullmatch(counter):
        raise FormatError(
            "counter",
            f"The counter {shown(counter)} is not a number from 1 to {COUNTER_MAX} without a leading zero.",
            COUNTER_MAX,
        )
    return StructuredId(
        type=type_value, counter=int(counter), random=random, prefix=parts[0] if len(parts) == 4 else None
    )


def _parse_typeid(prefix: str, suffix: str) -> TypeId:
    if not _TYPEID_PREFIX.fullmatch(prefix):
        raise FormatError(
            "type",
            f"The type {shown(prefix)} of a TypeID is not lower-case letters and single inner underscores.",
        )
    if not _BASE32_LOWER.fullmatch(suffix):
        raise FormatError(
            "base32", f"{shown(suffix)} is not 26 lower-case characters of base32, the first 0 to 7."
        )
    return TypeId(prefix.replace("_", "-"), uuid.UUID(bytes=base32.decode(suffix)))


def _parse_ulid(text: str) -> UlidId:
    if not _BASE32_UPPER.fullmatch(text):
        raise FormatError(
            "base32", f"{shown(text)} is not 26 upper-case characters of base32, the first 0 to 7."
        )
    return UlidId(int.from_bytes(base32.decode(text), "big"))


def _parse_uuid(text: str) -> Uuid4Id | Uuid7Id:
    if not _UUID.fullmatch(text):
        raise FormatError(
            "shape", f"{shown(text)} is not a UUID in lower-case hexadecimal digits and hyphens."
        )
    number = uuid.UUID(text)
    return Uuid4Id(number) if number.version == 4 else Uuid7Id(number)


def example(format_name: str, type_value: str) -> str:
    """An ID of a format for forms and documents, issued by nobody. Raises FormatError where the type doesn't fit."""
    check_type_for(format_name, type_value)
    shown_uuid = uuid.UUID("01890a5d-ac96-774b-bcce-b302099a8057")
    examples: dict[str, Callable[[], Identifier]] = {
        STRUCTURED: lambda: StructuredId(type_value, 17, "9f86d081"),
        TYPEID: lambda: TypeId(type_value, shown_uuid),
        ULID_FORMAT: lambda: UlidId(shown_uuid.int),
        UUID7: lambda: Uuid7Id(shown_uuid),
        UUID4: lambda: Uuid4Id(uuid.UUID("6f1c2b8e-4a53-4c0e-9d5f-0b7a3f0f4a11")),
    }
    return render(examples[format_name]())


# --- parts ------------------------------------------------------------------------------------------------------------


def check_type(value: str) -> None:
    """Raises FormatError unless ``value`` can be the type part of an ID."""
    _check_word("type", _TYPE, value, TYPE_MAX_LENGTH, " that start with a letter")


def check_type_for(format_name: str, value: str) -> None:
    """Raises FormatError unless IDs of the type ``value`` can be written in this format."""
    if format_name not in FORMATS:
        raise FormatError(
            "format", f"There is no format {shown(format_name)}; known are {', '.join(FORMATS)}."
        )
    check_type(value)
    if format_name == TYPEID and not _TYPEID_TYPE.fullmatch(value):
        raise FormatError(
            "type",
            f"The type {shown(value)} has a part with digits: a TypeID's type has letters and hyphens only.",
        )


def check_prefix(value: str) -> None:
    """Raises FormatError unless ``value`` can be the prefix part of an ID."""
    _check_word("prefix", _PREFIX, value, PREFIX_MAX_LENGTH, "")


def shown(value: object) -> str:
    """``value`` as it may stand in a message: quoted, without control characters, never long."""
    if not isinstance(value, str):
        return f"of type {type(value).__name__}"
    # cut before quoting, which can make it six times as long
    return json.dumps(value if len(value) <= _SHOWN_LENGTH else value[:_SHOWN_LENGTH] + "...")


def _written(format_name: str, type_value: str) -> str:
    """A type's value as IDs of the format carry it."""
    return type_value.replace("-", "_") if format_name == TYPEID else type_value


def _moment(number: int) -> datetime | None:
    """The time in the first 48 of 128 bits; none where it lies past the year 9999."""
    try:
        return _EPOCH + timedelta(milliseconds=number >> 80)
    except OverflowError:
        return None


def _check_uuid(value: uuid.UUID, version: int) -> None:
    if not isinstance(value, uuid.UUID):
        raise FormatError("version", f"The UUID {shown(value)} is none.")
    if value.version != version:
        found = value.version if value.version is not None else "none that is known"
        raise FormatError("version", f"The UUID {value} has to be of version {version}, not {found}.")


def _check_word(code: str, pattern: re.Pattern[str], value: str, limit: int, start: str) -> None:
    if not isinstance(value, str):
        raise FormatError(code, f"The {code} {shown(value)} is not text.")
    if len(value) > limit:
        raise FormatError(code, f"The {code} has at most {limit} characters, not {len(value)}.", limit)
    if not pattern.fullmatch(value):
        near = re.sub(r"[^a-z0-9]+", "-", value.lower()).strip("-")
        hint = f' Perhaps "{near}"?' if pattern.fullmatch(near) else ""
        raise FormatError(
            code,
            f"The {code} {shown(value)} is not 1 to {limit} lower-case letters, digits "
            f"and single inner hyphens{start}.{hint}",
            limit,
        )
