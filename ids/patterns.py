"""Patterns of legacy IDs: checked and matched by RE2, whose time grows with the text's length and never faster.

Pure: nothing of the database. A pattern always has to match a whole ID, as if it stood between ``\\A`` and ``\\z``. Its
named groups are the parts of an ID, in words: ``(?P<prefix>[a-z]+)-(?P<random>[0-9a-f]{12})``.
"""

import functools
from collections.abc import Mapping
from typing import Any, Final

import re2

PATTERN_MAX_LENGTH: Final = 500
TEXT_MAX_LENGTH: Final = 300
_MEMORY: Final = 1 << 20  # bytes that a compiled pattern may take; a{1000}{1000} needs more


class PatternError(ValueError):
    """A pattern that can't be used; the message says why."""


def check(pattern: str) -> None:
    """Raises PatternError unless ``pattern`` can be used."""
    if len(pattern) > PATTERN_MAX_LENGTH:
        raise PatternError(f"A pattern has at most {PATTERN_MAX_LENGTH} characters, not {len(pattern)}.")
    compiled = _compiled(pattern)
    if compiled.fullmatch(""):
        raise PatternError("The pattern matches an empty text.")


def match(pattern: str, text: str) -> Mapping[str, str] | None:
    """The named parts of ``text``, where the pattern matches all of it. Raises PatternError for an unusable pattern."""
    if len(text) > TEXT_MAX_LENGTH or not _is_unicode(text):
        return None
    found = _compiled(pattern).fullmatch(text)
    if found is None:
        return None
    return {name: part for name, part in found.groupdict().items() if part is not None}


@functools.lru_cache(maxsize=256)
def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY
    options.dot_nl = False
    if "\x00" in pattern or not _is_unicode(pattern):
        raise PatternError("The pattern holds a character that can't be stored.")
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0] if error.args else "unknown"
        text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise PatternError(
            f"Not a pattern that RE2 reads, which has no backreferences and no look-around: {text}."
        ) from error


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return True
