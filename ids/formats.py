"""Every ID format: render, parse and validate, as pure functions of text.

The structured format is ``[prefix_]type_counter_hex8``, for example ``run_17_9f86d081`` or ``eu-west_run_17_9f86d081``.
No part may hold an underscore, so the underscores alone tell the parts, which are read from the right: the random part,
the counter, the type and, when a fourth part is left, the prefix. A prefix which is itself a type word is therefore
still a prefix.

=========  ==========================================================================  ==================
part       characters                                                                  length or range
=========  ==========================================================================  ==================
prefix     lower-case ASCII letters, digits; single hyphens between them               1 to 64
type       the same, the first one a letter                                            1 to 32
counter    decimal ASCII digits, no leading zero                                       1 to 2**63 - 1
random     lower-case hexadecimal digits                                               8
=========  ==========================================================================  ==================
"""

import json
import re
from dataclasses import dataclass
from typing import Final

TYPE_MAX_LENGTH: Final = 32
PREFIX_MAX_LENGTH: Final = 64
COUNTER_MAX: Final = 2**63 - 1  # PostgreSQL's bigint
RANDOM_LENGTH: Final = 8
MAX_LENGTH: Final = PREFIX_MAX_LENGTH + TYPE_MAX_LENGTH + len(str(COUNTER_MAX)) + RANDOM_LENGTH + 3

# Anchored, and free of `$` (which lets a newline follow), `\d` and `\w` (which accept other scripts), so that Python
# and PostgreSQL read them alike.
TYPE_PATTERN: Final = r"[a-z][a-z0-9]*(-[a-z0-9]+)*"
PREFIX_PATTERN: Final = r"[a-z0-9]+(-[a-z0-9]+)*"

_TYPE = re.compile(TYPE_PATTERN)
_PREFIX = re.compile(PREFIX_PATTERN)
_COUNTER = re.compile(r"[1-9][0-9]{0,18}")
_RANDOM = re.compile(r"[0-9a-f]{8}")

_SHOWN_LENGTH = 60


class FormatError(ValueError):
    """Text, or a part of an ID, that is outside the grammar.

    ``code`` names the part that is wrong: ``text``, ``length``, ``shape``, ``prefix``, ``type``, ``counter`` or
    ``random``. ``limit`` is the bound that was passed, where there is one. The message says both in words.
    """

    def __init__(self, code: str, message: str, limit: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.limit = limit


@dataclass(frozen=True, slots=True)
class StructuredId:
    """The parts of one structured ID; an instance is always inside the grammar. ``str()`` renders it."""

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


def render(identifier: StructuredId) -> str:
    """The ID's text, for example ``run_17_9f86d081``."""
    body = f"{identifier.type}_{identifier.counter}_{identifier.random}"
    return body if identifier.prefix is None else f"{identifier.prefix}_{body}"


def parse(text: str) -> StructuredId:
    """The parts of a structured ID.

    Raises FormatError, and nothing else, for every other value, of whatever Python type.
    """
    if not isinstance(text, str):
        raise FormatError("text", f"An ID is text, not {type(text).__name__}.")
    if len(text) > MAX_LENGTH:
        raise FormatError(
            "length", f"An ID has at most {MAX_LENGTH} characters, not {len(text)}.", MAX_LENGTH
        )
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


def check_type(value: str) -> None:
    """Raises FormatError unless ``value`` can be the type part of an ID."""
    _check_word("type", _TYPE, value, TYPE_MAX_LENGTH, " that start with a letter")


def check_prefix(value: str) -> None:
    """Raises FormatError unless ``value`` can be the prefix part of an ID."""
    _check_word("prefix", _PREFIX, value, PREFIX_MAX_LENGTH, "")


def shown(value: object) -> str:
    """``value`` as it may stand in a message: quoted, without control characters, never long."""
    if not isinstance(value, str):
        return f"of type {type(value).__name__}"
    # cut before quoting, which can make it six times as long
    return json.dumps(value if len(value) <= _SHOWN_LENGTH else value[:_SHOWN_LENGTH] + "...")


def _check_word(code: str, pattern: re.Pattern[str], value: str, limit: int, start: str) -> None:
    if not isinstance(value, str):
        raise FormatError(code, f"The {code} {shown(value)} is not text.")
    if len(value) > limit:
        raise FormatError(code, f"The {code} has at most {limit} characters, not {len(value)}.", limit)
    if not pattern.fullmatch(value):
        raise FormatError(
            code,
            f"The {code} {shown(value)} is not 1 to {limit} lower-case letters, digits "
            f"and single inner hyphens{start}.",
            limit,
        )
