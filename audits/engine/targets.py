"""What a dotted name can mean."""

import msgspec


class ModuleTarget(msgspec.Struct, frozen=True, gc=False):
    """A module of the tree: a file's path, or a folder's path with a trailing slash for a namespace package."""

    path: str


class ClassTarget(msgspec.Struct, frozen=True, gc=False):
    """A class of the tree: its file's path, and its key among the classes of that file (``Facts.class_keys``)."""

    path: str
    key: str


class External(msgspec.Struct, frozen=True, gc=False):
    """Something outside the tree, by its dotted name as far as it was written."""

    name: str


class Missing(msgspec.Struct, frozen=True, gc=False):
    """A first-party module or name that isn't there, by its dotted name.

    ``module`` is the module that the name isn't in, empty when a whole module is missing. ``above`` says that a
    relative import goes above the topmost package.
    """

    name: str
    module: str = ""
    above: bool = False


class Unknown(msgspec.Struct, frozen=True, gc=False):
    """Something that the text doesn't tell: a function, a value, a name of a dynamic module."""


Target = ModuleTarget | ClassTarget | External | Missing | Unknown
Targets = frozenset[Target]

UNKNOWN = Unknown()
UNKNOWN_ONLY: Targets = frozenset({UNKNOWN})
NOTHING: Targets = frozenset()
