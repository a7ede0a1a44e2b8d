"""Facts: what the bytes of one Python file say, without looking at any other file.

Facts are a pure function of the bytes and of ``FACTS_VERSION``, so they are cached for ever by blob SHA and shared
by all repositories and commits. Names are resolved here as far as one file allows: every attribute chain is tied to
the import, class or alias statements that can have bound its root at that place. What those statements mean is the
codebase's business.
"""

import sys
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cached_property
from importlib.util import find_spec
from itertools import accumulate, pairwise
from pathlib import Path
from typing import NamedTuple

import msgspec
import zstandard

# What reads the files belongs to it. The native extractor reads nearly all of them, the same on every Python; those
# left to the running Python can come out otherwise on another, and newer syntax without the native extractor, too.
# Raise FORMAT when facts change, and when the dictionary does.
FORMAT = 6
FACTS_VERSION = 100 * FORMAT + sys.version_info.minor + (0 if find_spec("wasmtime") else 50)
# What facts of many files have in common (``dictionary.py`` makes it): kept facts take a fifth less by it.
DICTIONARY = Path(__file__).parent / "native" / "facts.dictionary"

# Flags of a place.
GUARD_ATTRIBUTE = 1  # AttributeError would be caught, or hasattr was asked
GUARD_KEY = 2  # KeyError would be caught
GUARD_IMPORT = 4  # ImportError would be caught
IMPORT_TIME = 8  # runs when the module is imported
TYPE_CHECKING = 16  # never runs: under ``if TYPE_CHECKING`` or in an annotation that isn't evaluated
CONDITIONAL = 32  # runs on some platforms, versions or installations only: under ``if sys.platform == ...``

# Kinds of binding.
IMPORT = 0  # import a.b.c as x: x is the module a.b.c
IMPORT_TOP = 1  # import a.b.c: a is the module a
FROM = 2  # from m import n
STAR = 3  # from m import *
CLASS = 4
ALIAS = 5  # y = x, y = m.x

# Kinds of definition.
FUNCTION = 0
CONSTANT = 1

# A candidate that is bound to something that facts say nothing about.
OPAQUE = -1


class Import(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One imported name. ``level`` counts the leading dots; ``name`` is None for ``import module`` and "*" for a star.

    ``statement`` is where the statement starts, (line, column): the names of one parenthesised import stand on several
    lines. ``fallback`` says that the import runs only when one of other imports fails: it is (first, end) of their
    indexes, equal numbers when the import is no fallback.
    """

    level: int
    module: str
    name: str | None
    line: int
    column: int
    scope: int
    flags: int
    statement: tuple[int, int]
    fallback: tuple[int, int] = (0, 0)


class Expr(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A dotted expression: the bindings that its root can have (by index, or OPAQUE), the root's name, the
    attributes."""

    candidates: tuple[int, ...]
    root: str
    attributes: tuple[str, ...]


class Binding(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a name was bound to. ``index`` points into imports or classes, by kind; ``value`` is the right side of
    an alias."""

    kind: int
    index: int = 0
    value: Expr | None = None


class Class(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A class statement.

    ``bases`` holds None for a base that isn't a dotted name. ``names`` maps each name bound in the body to its
    bindings (empty: something opaque); ``values`` are those bound by a plain assignment, in order. ``dynamic`` says
    that the body can bind names that the text doesn't show. ``texts`` are the (name, string, line) of plain
    assignments of a string.
    """

    name: str
    qualname: str
    line: int
    column: int
    end_line: int
    bases: tuple[Expr | None, ...]
    metaclass: Expr | None
    decorators: tuple[Expr | None, ...]
    names: dict[str, tuple[int, ...]]
    values: tuple[str, ...]
    ignored: tuple[str, ...]
    dynamic: bool
    texts: tuple[tuple[str, str, int], ...] = ()


class Definition(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A function that a module defines, or a name that it gives a value of its own. Classes have facts of their
    own."""

    kind: int
    name: str
    line: int
    column: int
    end_line: int


class Literal(NamedTuple):
    """A string of 3 to 120 characters without blanks, or a whole number of three digits and more, and one place.

    ``place`` is like those of a reference. Docstrings, and the texts of f-strings, are none.
    """

    value: str | int
    place: tuple[int, int, int, int]


class _Literals(msgspec.Struct, frozen=True, array_like=True):
    """Literals in columns, in the order of their places, lines as differences: a third smaller than rows."""

    values: tuple[str | int, ...] = ()
    value: tuple[int, ...] = ()
    line: tuple[int, ...] = ()
    column: tuple[int, ...] = ()
    scope: tuple[int, ...] = ()
    flags: tuple[int, ...] = ()


class Reference(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A dotted expression that is read, and where.

    ``key`` is the constant of ``chain["key"]``. ``places`` holds (line, column in characters, scope index, flags). A
    bare name is one when an import or an alias can have bound it, or when it is one of a few builtins (``print``).
    """

    expr: Expr
    key: str | None
    places: tuple[tuple[int, int, int, int], ...]


class Patch(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An attribute that is set on something from outside; ``attribute`` is None when the text doesn't tell which.

    ``import_time`` says that it happens when the module is imported.
    """

    target: Expr
    attribute: str | None
    import_time: bool


_encoder = msgspec.msgpack.Encoder()
NO_LITERALS = msgspec.Raw(_encoder.encode(_Literals()))
NO_ROWS = msgspec.Raw(_encoder.encode(()))
_references_decoder = msgspec.msgpack.Decoder(tuple[Reference, ...])
_definitions_decoder = msgspec.msgpack.Decoder(tuple[Definition, ...])


class Facts(msgspec.Struct, frozen=True, array_like=True, dict=True):
    """All that is known of one file.

    ``error`` is (line, message) when no supported Python can parse it; then everything else is empty. ``names`` maps
    each name of the module to the bindings that stand at its end, ``__path__`` among them when the package finds its
    parts elsewhere, too. ``public`` is ``__all__`` where it can be read. ``dynamic`` says that the module can hold
    names that the text doesn't show. ``installed`` are the modules that it puts into ``sys.modules`` (empty: one whose
    name the text doesn't show), with whether that happens at import; ``built`` those that it tells a compiler to make.
    ``literals`` stay encoded until ``literals_of`` is asked for them, ``packed_references`` and ``packed_definitions``
    until ``references`` and ``definitions`` are read: most audits read those of a few files, or of none.
    """

    error: tuple[int, str] | None = None
    scopes: tuple[str, ...] = ("",)
    bindings: tuple[Binding, ...] = ()
    imports: tuple[Import, ...] = ()
    classes: tuple[Class, ...] = ()
    names: dict[str, tuple[int, ...]] = {}
    stars: tuple[int, ...] = ()
    public: tuple[str, ...] | None = None
    dynamic: bool = False
    packed_references: msgspec.Raw = NO_ROWS
    patches: tuple[Patch, ...] = ()
    installed: tuple[tuple[str, bool], ...] = ()
    built: tuple[str, ...] = ()
    packed_definitions: msgspec.Raw = NO_ROWS
    literals: msgspec.Raw = NO_LITERALS

    @cached_property
    def class_keys(self) -> tuple[str, ...]:
        """What each class is called here alone: its qualified name, numbered from the second of that name on. Unlike
        its index it stays when other classes come and go."""
        seen: Counter[str] = Counter()
        keys = []
        for cls in self.classes:
            seen[cls.qualname] += 1
            keys.append(cls.qualname if seen[cls.qualname] == 1 else f"{cls.qualname}#{seen[cls.qualname]}")
        return tuple(keys)

    @cached_property
    def classes_by_key(self) -> dict[str, Class]:
        return dict(zip(self.class_keys, self.classes, strict=True))

    @property
    def references(self) -> tuple[Reference, ...]:
        """Decoded each time: kept, they would be a quarter of what an audit has in memory."""
        return _references_decoder.decode(self.packed_references)

    @cached_property
    def definitions(self) -> tuple[Definition, ...]:
        return _definitions_decoder.decode(self.packed_definitions)


_literals_decoder = msgspec.msgpack.Decoder(_Literals)
_decoder = msgspec.msgpack.Decoder(Facts)


_dictionary = zstandard.ZstdCompressionDict(DICTIONARY.read_bytes())
_parameters = zstandard.ZstdCompressionParameters.from_level(
    6, source_size=16 * 1024, dict_size=len(_dictionary), write_dict_id=True
)
_dictionary.precompute_compress(compression_params=_parameters)


class _Codec(threading.local):
    """What a thread compresses with: making it anew takes longer than the facts of a file do."""

    def __init__(self) -> None:
        self.compress = zstandard.ZstdCompressor(
            compression_params=_parameters, dict_data=_dictionary
        ).compress
        self.decompress = zstandard.ZstdDecompressor(dict_data=_dictionary).decompress


_codec = _Codec()


def encode(facts: Facts) -> bytes:
    """Facts as compressed bytes, the same for the same facts."""
    return compressed(packed(facts))


def packed(facts: Facts) -> bytes:
    """Facts as bytes: the native extractor gives the very same ones."""
    return _encoder.encode(facts)


def compressed(packed_facts: bytes) -> bytes:
    """``packed``'s bytes as they are kept."""
    return _codec.compress(packed_facts)


def decode(data: bytes) -> Facts:
    """The facts of ``encode``'s bytes. Raises ``msgspec.DecodeError`` or ``zstandard.ZstdError`` for anything else,
    facts that were kept with another dictionary among it."""
    return _decoder.decode(_codec.decompress(data))


def packed_rows(values: Iterable[Reference] | Iterable[Definition]) -> msgspec.Raw:
    """References or definitions as the facts of a file keep them."""
    return msgspec.Raw(_encoder.encode(tuple(values)))


def packed_literals(literals: Iterable[Literal]) -> msgspec.Raw:
    """Literals as the facts of a file keep them."""
    ordered = sorted(literals, key=lambda literal: literal.place)
    numbers: dict[str | int, int] = {}
    value = tuple(numbers.setdefault(literal.value, len(numbers)) for literal in ordered)
    lines = [0, *(literal.place[0] for literal in ordered)]
    columns = zip(*(literal.place[1:] for literal in ordered), strict=True) if ordered else ((), (), ())
    differences = tuple(after - before for before, after in pairwise(lines))
    return msgspec.Raw(_encoder.encode(_Literals(tuple(numbers), value, differences, *map(tuple, columns))))


def literals_of(facts: Facts) -> Iterator[Literal]:
    """The literals of a file, in the order of their places."""
    found = _literals_decoder.decode(facts.literals)
    places = zip(accumulate(found.line), found.column, found.scope, found.flags, strict=True)
    return (Literal(found.values[value], place) for value, place in zip(found.value, places, strict=True))
