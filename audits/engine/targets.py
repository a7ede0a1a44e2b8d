"""What a dotted name can mean."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ModuleTarget:
    """A module of the tree: a file's path, or a folder's path with a trailing slash for a namespace package."""

    path: str


@dataclass(frozen=True, slots=True)
class ClassTarget:
    """A class of the tree: its file's path and its index in that file's facts."""

    path: str
    index: int


@dataclass(frozen=True, slots=True)
class External:
    """Something outside the tree, by its dotted name as far as it was written."""

    name: str


@dataclass(frozen=True, slots=True)
class Missing:
    """A first-party module or name that isn't there, by its dotted name.

    ``module`` is the module that the name isn't in, empty when a whole module is missing. ``above`` says that a
    relative import goes above the topmost package.
    """

    name: str
    module: str = ""
    above: bool = False


@dataclass(frozen=True, slots=True)
class Unknown:
    """Something that the text doesn't tell: a function, a value, a name of a dynamic module."""


Target = ModuleTarget | ClassTarget | External | Missing | Unknown
Targets = frozenset[Target]

UNKNOWN = Unknown()
UNKNOWN_ONLY: Targets = frozenset({UNKNOWN})
NOTHING: Targets = frozenset()
