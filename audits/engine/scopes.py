"""Which statements can have bound a name at a place: Python's scoping rules, and what branches and loops leave open."""

import builtins
from collections.abc import Iterable, Iterator

from audits.engine.facts import OPAQUE

# Those of newer Pythons as well, so that facts don't depend on the one that runs.
BUILTINS = frozenset(dir(builtins)) | {"PythonFinalizationError", "_IncompleteInputError"}
# Bindings that are no candidates: ``del x``, after which the name doesn't exist, and ``x = None``, after which it does.
UNBOUND = -2
ABSENT = -3

# When (by the walk's clock), in which block, the binding's index (or OPAQUE, UNBOUND, ABSENT).
Event = tuple[int, int, int]


class Blocks:
    """The tree of conditional blocks: which statement can be skipped, repeated, or excludes which."""

    def __init__(self) -> None:
        self._parent = [-1]
        self._statement = [-1]  # blocks of one if or match statement exclude each other
        self._loop = [False]
        self._in_branch = [False]  # a block of an if or match statement, or inside one
        self._in_loop = [False]
        # Once it is entered, nothing but an error or a return leaves it before its end.
        self._straight = [True]
        self._statements = 0

    def statement_id(self) -> int:
        self._statements += 1
        return self._statements

    def new(self, parent: int, *, statement: int = -1, loop: bool = False, attempt: bool = False) -> int:
        """``attempt``: an error may leave the block, and what follows is reached all the same."""
        self._parent.append(parent)
        self._statement.append(statement)
        self._loop.append(loop)
        self._in_branch.append(statement != -1 or self._in_branch[parent])
        self._in_loop.append(loop or self._in_loop[parent])
        self._straight.append(self._straight[parent] and not loop and not attempt)
        return len(self._parent) - 1

    def _ancestors(self, block: int) -> Iterator[int]:
        while block != -1:
            yield block
            block = self._parent[block]

    def is_straight(self, block: int) -> bool:
        return self._straight[block]

    def is_within(self, block: int, others: set[int]) -> bool:
        return any(b in others for b in self._ancestors(block))

    def contains(self, outer: int, inner: int) -> bool:
        return outer in {0, inner} or outer in self._ancestors(inner)

    def exclude(self, one: int, other: int) -> bool:
        if one == other or not (self._in_branch[one] and self._in_branch[other]):
            return False
        mine = {self._statement[b]: b for b in self._ancestors(one) if self._statement[b] != -1}
        return any(
            self._statement[b] in mine and mine[self._statement[b]] != b
            for b in self._ancestors(other)
            if self._statement[b] != -1
        )

    def share_loop(self, one: int, other: int) -> bool:
        if not (self._in_loop[one] and self._in_loop[other]):
            return False
        loops = {b for b in self._ancestors(one) if self._loop[b]}
        return any(b in loops for b in self._ancestors(other))


class Scope:
    """A module, class, function or comprehension (``kind``) and what is bound in it."""

    __slots__ = ("block", "globals", "index", "kind", "names", "nonlocals", "parent", "stars")

    def __init__(self, kind: str, index: int, parent: "Scope | None", block: int) -> None:
        self.kind = kind
        self.index = index
        self.parent = parent
        self.block = block
        self.names: dict[str, list[Event]] = {}
        self.stars: list[Event] = []
        self.globals: set[str] = set()
        self.nonlocals: set[str] = set()


class Names:
    """Answers what names can be bound to, once the walk has seen the whole module."""

    def __init__(self, blocks: Blocks, module: Scope, end: int) -> None:
        self._blocks = blocks
        self._module = module
        self._end = end
        self._stars = {binding for _, _, binding in module.stars}

    def at_end(self, scope: Scope) -> dict[str, tuple[int, ...]]:
        """Each name that exists at the end of a module or class body, with the bindings that it can then have."""
        result = {}
        for name in scope.names:
            survivors = self._reaching(self._events(scope, name), scope.block, self._end)
            if any(b != UNBOUND and b not in self._stars for b in survivors):
                result[name] = _candidates(survivors)
        return result

    def candidates(self, name: str, scope: Scope, block: int, order: int) -> tuple[int, ...]:
        """The bindings that ``name`` can have at a place, by index; OPAQUE among them for others, () for none."""
        deferred = False
        current: Scope | None = scope
        while current is not None:
            if name in current.globals:
                deferred, current = current is not self._module, self._module
            visible = current.kind != "class" or current is scope
            if visible and name in current.names:
                found = self._found(current, name, deferred, block, order)
                if found or current.kind != "class":
                    return found
            if current.kind == "function":
                deferred = True
            current = current.parent if current is not self._module else None
        if name in BUILTINS or not self._stars:
            return ()
        return self._found(self._module, name, deferred, block, order)

    def _events(self, scope: Scope, name: str) -> list[Event]:
        events = scope.names.get(name, [])
        return sorted([*events, *scope.stars]) if scope.stars else events

    def _found(self, scope: Scope, name: str, deferred: bool, block: int, order: int) -> tuple[int, ...]:
        events = self._events(scope, name)
        if deferred:
            return _candidates(self._reaching(events, scope.block, self._end))
        reaching = self._reaching(events, block, order)
        if not reaching and scope.kind != "class":
            reaching = [b for _, _, b in events]
        return _candidates(reaching)

    def _reaching(self, events: list[Event], block: int, order: int) -> list[int]:
        blocks = self._blocks
        result = []
        overwritten: set[int] = set()  # blocks in which a later statement has the last word
        for when, where, binding in reversed(events):
            if when > order:
                if blocks.share_loop(where, block):
                    result.append(binding)
            elif not blocks.exclude(where, block) and not (
                overwritten and blocks.is_within(where, overwritten)
            ):
                result.append(binding)
                # A star may or may not bring the name, so what stood before it counts as well.
                if binding in self._stars:
                    continue
                if blocks.contains(where, block):
                    break
                if blocks.is_straight(where):
                    overwritten.add(where)
        return result


def _candidates(bindings: Iterable[int]) -> tuple[int, ...]:
    return tuple(sorted({b for b in bindings if b >= 0 or b == OPAQUE}))
