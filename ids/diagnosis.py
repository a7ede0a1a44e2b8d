"""What a text that is no ID was probably meant to be: pure guesses, each of which parses.

A guess is never an answer: the explorer shows it as a link, and nothing is accepted because it nearly was an ID.
"""

import re
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from ids import formats

MOST_GUESSES: Final = 3
_AROUND = re.compile(r"^[\s\"'`<(\[{]+|[\s\"'`>)\]},;.]+$")
# Crockford's base32 has none of these letters, so that nobody has to tell them apart.
_CONFUSED = str.maketrans({"I": "1", "L": "1", "O": "0", "i": "1", "l": "1", "o": "0"})


@dataclass(frozen=True, slots=True)
class Guess:
    """An ID, and in words what was done to the text to reach it."""

    text: str
    change: str


def closest(text: str) -> list[Guess]:
    """The IDs that ``text`` comes closest to, the likeliest first; at most three, often none."""
    found: dict[str, Guess] = {}
    if len(text) > 4 * formats.MAX_LENGTH:
        return []
    for guess in _guesses(text):
        if guess.text != text and guess.text not in found and _is_id(guess.text):
            found[guess.text] = guess
    return list(found.values())[:MOST_GUESSES]


def _guesses(text: str) -> Iterator[Guess]:
    """Each change alone, and then on top of what surrounds an ID being taken away."""
    inner = _AROUND.sub("", _AROUND.sub("", text))
    yield Guess(inner, "without what stands around it")
    outside = "" if inner == text else " and without what stands around it"
    for change, words in _CHANGES:
        for changed in change(inner):
            yield Guess(changed, words + outside)


def _lower(text: str) -> Iterator[str]:
    yield text.lower()


def _upper(text: str) -> Iterator[str]:
    if len(text) == 26:
        yield text.upper()


def _as_uuid(text: str) -> Iterator[str]:
    try:
        yield str(uuid.UUID(text))
    except ValueError:
        return


def _hyphens_for_underscores(text: str) -> Iterator[str]:
    """``run-17-9f86d081``: the last two hyphens were underscores; ``my_agent_run_17_9f86d081``: the first weren't."""
    parts = re.split(r"[_-]", text)
    if len(parts) >= 3:
        *head, counter, random = parts
        yield "_".join(["-".join(head), counter, random])
        if len(head) > 1:
            yield "_".join(["-".join(head[:-1]), head[-1], counter, random])
    if len(parts) >= 2 and len(parts[-1]) == 26:
        yield "_".join(parts)


def _without_zeros(text: str) -> Iterator[str]:
    head, _, random = text.rpartition("_")
    start, underscore, counter = head.rpartition("_")
    if underscore and counter.isascii() and counter.isdigit():
        yield f"{start}_{counter.lstrip('0')}_{random}"


def _unconfused(text: str) -> Iterator[str]:
    head, underscore, last = text.rpartition("_")
    if len(last) == 26:
        plain = last.translate(_CONFUSED)
        yield f"{head}{underscore}{plain.lower() if underscore else plain.upper()}"


_CHANGES: Final[tuple[tuple[Callable[[str], Iterator[str]], str], ...]] = (
    (_lower, "in lower case"),
    (_upper, "in upper case"),
    (_as_uuid, "as a UUID is written here"),
    (_without_zeros, "without zeros before the counter"),
    (_unconfused, "with 0 and 1 for letters that are easily taken for them"),
    (_hyphens_for_underscores, "with underscores between its parts and hyphens within them"),
    (
        lambda text: _hyphens_for_underscores(text.lower()),
        "in lower case, with underscores between its parts",
    ),
)


def _is_id(text: str) -> bool:
    try:
        formats.parse(text)
    except formats.FormatError:
        return False
    return True


def nearest(value: str, known: Iterable[str]) -> str | None:
    """The type's value that was probably meant, if one is near."""
    found = get_close_matches(value, list(known), n=1)
    return found[0] if found else None
