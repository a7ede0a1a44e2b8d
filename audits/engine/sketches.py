"""What one file defines, as sketches: enough of each function and class to find others like it, and no more.

A sketch is made of normalised tokens. Comments, layout, the texts of strings, numbers and the names of variables don't
count; what is called, read as an attribute, written with a capital or a keyword does. The text is cut by regular
expressions, not parsed: it is about discovery, and a file that no parser accepts can hold copies all the same.
"""

import re
import sys
import zlib
from array import array
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from keyword import kwlist
from typing import NamedTuple

import msgspec
import xxhash

# What a sketch says belongs to it. Python's hash of a tuple of numbers is the same on every run, but not promised to be
# the same in every version.
SKETCH_VERSION = 1_00 + sys.version_info.minor

# A body of fewer tokens is too short to be called a copy of another: about six lines.
MIN_TOKENS = 50
# How many of a body's grams are kept, the smallest ones: that many tell how alike two bodies are to about 7 %.
KEPT = 32
_GRAM = 5
_MAX_NAME = 120

_NOISE = re.compile(
    r"#[^\n]*"
    r"|[rbfutRBFUT]{0,2}(?:"
    r'"""(?:[^"\\]|\\.|"(?!""))*(?:"""|\Z)'
    r"|'''(?:[^'\\]|\\.|'(?!''))*(?:'''|\Z)"
    r'|"(?:[^"\\\n]|\\.)*"?'
    r"|'(?:[^'\\\n]|\\.)*'?)",
    re.DOTALL,
)
# Lines that can begin or end a definition: a closing bracket goes on with what is above it.
_LINE = re.compile(r"^([ \t]*)(?:(?:async[ \t]+)?(def|class)[ \t]+(\w+)|(?=[^\s)\]}]))", re.MULTILINE)
_TOKEN = re.compile(r"\.\w+\(?|\w+\(?|[^\w\s]")
_KEYWORDS = frozenset(word for word in (*kwlist, "case", "match") if word.islower())


class Sketch(NamedTuple):
    """One definition. ``kind`` is class or function, ``parent`` the index of the definition around it (-1: none),
    ``tokens`` the length of its body after the name, ``digest`` that of all of them, ``grams`` the smallest hashes of
    its runs of five (none when the body is short)."""

    kind: str
    name: str
    parent: int
    line: int
    end_line: int
    tokens: int
    digest: int
    grams: tuple[int, ...]


class _Numbers(dict[str, int]):
    """Tokens as numbers, those that are alike as one."""

    def __missing__(self, token: str) -> int:
        text = token
        if token[0].isdigit():
            text = "0"
        elif token[0] != "." and token[-1] != "(" and token.islower() and token not in _KEYWORDS:
            text = "v"
        number = zlib.crc32(text.encode("utf-8", "surrogatepass"))
        if len(self) < 500_000:
            self[token] = number
        return number


_numbers = _Numbers()
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(tuple[Sketch, ...])


def encode_sketches(sketches: Sequence[Sketch]) -> bytes:
    """Sketches as bytes."""
    return _encoder.encode(sketches)


def decode_sketches(data: bytes) -> tuple[Sketch, ...]:
    """The sketches of ``encode_sketches``'s bytes. Raises ``msgspec.DecodeError`` for anything else."""
    return _decoder.decode(data)


def sketches_of(data: bytes) -> tuple[Sketch, ...]:
    """The sketches of a file's bytes, in the order of their lines. Any bytes have some, or none."""
    text = _NOISE.sub(_quiet, data.decode("utf-8", "replace").replace("\r\n", "\n"))
    blocks = sorted(_blocks(text), key=lambda block: (block.start, -block.end))
    if not blocks:
        return ()
    cuts = sorted({0, *(b.start for b in blocks), *(b.end for b in blocks)})
    parts = [[_numbers[token] for token in _TOKEN.findall(text, *ends)] for ends in _pairs(cuts)]
    tokens = array("I", (token for part in parts for token in part))
    at = dict(zip(cuts, accumulate(map(len, parts), initial=0), strict=True))
    lines = dict(
        zip(cuts, accumulate((text.count("\n", *ends) for ends in _pairs(cuts)), initial=1), strict=True)
    )
    grams = list(map(hash, zip(*(tokens[shift:] for shift in range(_GRAM)), strict=False)))
    found: list[Sketch] = []
    open_ones: list[tuple[int, int]] = []  # (end, index) of the definitions around
    for index, block in enumerate(blocks):
        while open_ones and open_ones[-1][0] <= block.start:
            open_ones.pop()
        first, end = at[block.start], at[block.end]
        size = end - first
        found.append(
            Sketch(
                kind=block.kind,
                name=block.name[:_MAX_NAME],
                parent=open_ones[-1][1] if open_ones else -1,
                line=lines[block.start],
                end_line=lines[block.end],
                tokens=size,
                digest=xxhash.xxh3_64_intdigest(tokens[first:end].tobytes()),
                grams=_smallest(grams[first : end - _GRAM + 1]) if size >= MIN_TOKENS else (),
            )
        )
        open_ones.append((block.end, index))
    return tuple(found)


def _smallest(grams: Sequence[int]) -> tuple[int, ...]:
    # Half of each hash is kept; their order stays.
    return tuple((gram >> 32) + 2**31 for gram in sorted(set(grams))[:KEPT])


def _quiet(noise: re.Match[str]) -> str:
    """What stands for a comment or a string: nothing of its text, but its lines."""
    text = noise[0]
    return "" if text[0] == "#" else '""' + "\n" * text.count("\n")


class _Block(NamedTuple):
    """A definition in a text: ``start`` is behind its name, ``end`` behind its last line."""

    kind: str
    name: str
    start: int
    end: int


def _blocks(text: str) -> Iterator[_Block]:
    open_ones: list[tuple[int, str, str, int]] = []  # (indentation, kind, name, start)
    for match in _LINE.finditer(text):
        indentation = len(match[1].expandtabs())
        if open_ones and indentation <= open_ones[-1][0]:
            end = _last(text, match.start())
            while open_ones and indentation <= open_ones[-1][0]:
                _, kind, name, start = open_ones.pop()
                yield _Block(kind, name, start, max(end, start))
        if match[2]:
            kind = "class" if match[2] == "class" else "function"
            open_ones.append((indentation, kind, match[3], match.end()))
    end = _last(text, len(text))
    for _, kind, name, start in open_ones:
        yield _Block(kind, name, start, max(end, start))


def _last(text: str, position: int) -> int:
    """Behind the last visible character before a position."""
    while position and text[position - 1].isspace():
        position -= 1
    return position


def _pairs(cuts: Sequence[int]) -> Iterator[tuple[int, int]]:
    return pairwise(cuts)
