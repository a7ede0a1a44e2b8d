"""New IDs of the formats that need no counter: unique by their random bits, ordered where the format promises it.

Within a process each TypeID, ULID and UUIDv7 sorts after the one before it, over all threads. A forked child starts
afresh and shares nothing with its parent. Across processes the order is that of their clocks.
"""

import os
import secrets
import threading
import time
import uuid
from collections.abc import Callable
from typing import Final

import uuid_utils

from ids import formats

_RANDOM_BITS: Final = 80


def new(format_name: str, type_value: str) -> formats.Identifier:
    """A new ID of a format without a counter. Raises FormatError for another format, or a type that doesn't fit it."""
    make = _MAKERS.get(format_name)
    if make is None:
        known = ", ".join(_MAKERS)
        raise formats.FormatError(
            "format",
            f"IDs of the format {formats.shown(format_name)} aren't made here; those of {known} are.",
        )
    formats.check_type_for(format_name, type_value)
    return make(type_value)


class _UlidClock:
    """The last ULID of this process. In one millisecond the next is the last plus one, as ULID's description has it."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self._lock = threading.Lock()  # a new one, because a fork may copy a lock that another thread holds
        self._last = 0

    def next(self) -> int:
        with self._lock:
            now = time.time_ns() // 1_000_000
            fresh = now << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
            # in the same millisecond, or after the clock was set back: a carry moves the time on, never back
            self._last = fresh if now > self._last >> _RANDOM_BITS else self._last + 1
            return self._last


_ulids = _UlidClock()
os.register_at_fork(after_in_child=_ulids.forget)


def _uuid7() -> uuid.UUID:
    # uuid_utils keeps the order of its process, and takes new random bits after a fork.
    return uuid.UUID(int=uuid_utils.uuid7().int)


_MAKERS: Final[dict[str, Callable[[str], formats.Identifier]]] = {
    formats.TYPEID: lambda type_value: formats.TypeId(type_value, _uuid7()),
    formats.ULID_FORMAT: lambda type_value: formats.UlidId(_ulids.next()),
    formats.UUID7: lambda type_value: formats.Uuid7Id(_uuid7()),
    formats.UUID4: lambda type_value: formats.Uuid4Id(uuid.uuid4()),
}
