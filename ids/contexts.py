"""Contexts: the JSON object that is kept with an ID, checked before PostgreSQL sees it, and the names of owners."""

import json
import math
from typing import Any, Final

from ids import formats
from ids.models import OWNER_MAX_LENGTH
from ids.refusals import InvalidContext, InvalidOwner

CONTEXT_MAX_BYTES: Final = 16 * 1024
CONTEXT_MAX_DEPTH: Final = 32


def check_owner(value: str, what: str = "owner") -> None:
    """Raises InvalidOwner unless ``value`` is text that can be kept, of at most 100 characters. Empty is nobody."""
    if not isinstance(value, str):
        raise InvalidOwner(f"The {what} {formats.shown(value)} is not text.")
    if len(value) > OWNER_MAX_LENGTH:
        raise InvalidOwner(
            f"The {what} has at most {OWNER_MAX_LENGTH} characters, not {len(value)}.",
            OWNER_MAX_LENGTH,
            received=len(value),
        )
    if not value.isprintable():
        raise InvalidOwner(f"The {what} {formats.shown(value)} holds a character that is not printable.")


def serialised(context: dict[str, Any] | None) -> str:
    """The context as compact JSON. Raises InvalidContext."""
    if context is None:
        return "{}"
    if not isinstance(context, dict):
        raise InvalidContext(f"The context is a JSON object, not {type(context).__name__}.")
    _check_context(context)
    try:
        text = json.dumps(context, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        size = len(text.encode())
    except (ValueError, TypeError) as error:  # an integer of more digits than Python converts
        raise InvalidContext(f"The context can't be stored as JSON: {error}.") from error
    if size > CONTEXT_MAX_BYTES:
        raise InvalidContext(
            f"The context has {size} bytes as JSON; {CONTEXT_MAX_BYTES} are allowed.",
            CONTEXT_MAX_BYTES,
            received=size,
        )
    return text


def _check_context(context: dict[str, Any]) -> None:
    """Looks at every value without recursion; stops early where a context is deep, huge or refers to itself."""
    pending: list[tuple[object, int]] = [(context, 1)]
    looked_at = 0
    while pending:
        value, depth = pending.pop()
        looked_at += 1
        # each value needs a byte of its own at least
        if looked_at > CONTEXT_MAX_BYTES:
            raise InvalidContext(
                f"The context has more than {CONTEXT_MAX_BYTES} bytes as JSON.", CONTEXT_MAX_BYTES
            )
        if isinstance(value, dict | list | tuple):
            if depth > CONTEXT_MAX_DEPTH:
                raise InvalidContext(
                    f"The context is nested more than {CONTEXT_MAX_DEPTH} levels deep.", CONTEXT_MAX_DEPTH
                )
            looked_at += len(value)
            if isinstance(value, dict):
                for key in value:
                    if not isinstance(key, str):
                        raise InvalidContext(f"A key of the context is {type(key).__name__}, not text.")
                    _check_text(key)
            children = value.values() if isinstance(value, dict) else value
            pending.extend((child, depth + 1) for child in children)
        elif isinstance(value, str):
            _check_text(value)
        elif isinstance(value, float):
            if not math.isfinite(value):
                raise InvalidContext(f"The context holds {value}, which JSON has no number for.")
        elif value is not None and not isinstance(value, bool | int):
            raise InvalidContext(
                f"The context holds a value of type {type(value).__name__}, which is not JSON."
            )


def _check_text(text: str) -> None:
    if "\x00" in text:
        raise InvalidContext("The context holds a NUL character, which PostgreSQL can't store.")
    if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
        raise InvalidContext("The context holds half of a surrogate pair, which is no character.")
