"""A long list inside a JSON document, written piece by piece: what is written is never in memory as a whole."""

import secrets
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final

import msgspec

_ITEMS: Final = 500


class Gap:
    """The place of a list in a value that is going to be written: put ``here`` there, once."""

    def __init__(self) -> None:
        # No text in the value is the same by accident.
        self._mark = secrets.token_hex(16)
        self.here = [self._mark]

    def filled(self, value: Any, items: Iterable[Any]) -> Iterator[bytes]:
        """The value as JSON, indented by one blank a level, with the items in the gap; the same bytes as in one go."""
        before, _, after = _written(value).partition(f'"{self._mark}"'.encode())
        head, tail = before.rstrip(), after.lstrip()
        indent = b"\n" + b" " * (len(before) - len(head) - 2)
        yield head
        rest, separator = iter(items), b""
        while some := list(islice(rest, _ITEMS)):
            yield separator + _written(some)[1:-2].replace(b"\n", indent)
            separator = b","
        yield (indent if separator else b"") + tail + b"\n"


def _written(value: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=1)
