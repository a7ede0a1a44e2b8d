"""What in a tree can use a symbol at all, told from the names in them before anything is resolved.

Whatever reaches ``uuid.uuid4`` says ``uuid4``, or a name that some file gives to something that says it: an alias, an
import under another name. Nearly all files say neither, and need no look at what their names mean.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from audits.engine.facts import CLASS, OPAQUE, STAR, Binding, Expr, Facts, Import

# Where more than this share of all files say one of the names, it isn't worth knowing which.
_MOST = 1 / 2


@dataclass(frozen=True, slots=True)
class Carriers:
    """Where a symbol may be used: the ``names`` that lead to it, the ``bindings`` that do (by path, their indexes in
    its facts), and the files ``inside`` of it, where anything may."""

    names: frozenset[str]
    bindings: Mapping[str, frozenset[int]]
    inside: frozenset[str]

    def leads(self, path: str, item: Import) -> bool:
        """Whether an import of one of these files may be a use."""
        return path in self.inside or _import_says(item, self.names)

    def lead(self, path: str, expr: Expr) -> bool:
        """Whether a dotted expression of one of these files may be a use."""
        return (
            path in self.inside
            or _expr_says(expr, self.names)
            or not self.bindings[path].isdisjoint(expr.candidates)
        )


def carriers(facts: Mapping[str, Facts], paths: Iterable[str], wanted: Collection[str]) -> Carriers | None:
    """What may use one of the wanted symbols; None where that can be nearly anything.

    ``facts`` are by path, ``paths`` those of the whole tree. What is found leads to all uses, and to more than those.
    """
    last = frozenset(symbol.rpartition(".")[2] for symbol in wanted)
    if "builtins" in last:
        return None  # nobody needs to say that
    inside = frozenset(path for path in facts if _is_named(path, last))
    fresh = {*last, *_beneath(paths, last)}
    for path in inside:
        fresh |= facts[path].names.keys()
        fresh.update(name for cls in facts[path].classes for name in cls.names)
    names: frozenset[str] = frozenset()
    found = set(inside)
    while fresh:
        said = frozenset(fresh)
        names |= said
        saying = [path for path, known in facts.items() if _says(known, said)]
        found.update(saying)
        if len(found) > len(facts) * _MOST:
            return None
        fresh = set()
        for path in saying:
            touched = _touched(facts[path], names)
            if any(_brings_anything(facts[path], index, last) for index in touched):
                return None
            fresh.update(_bound_to(facts[path], touched))
        fresh -= names
    return Carriers(names, {path: frozenset(_touched(facts[path], names)) for path in found}, inside)


def _beneath(paths: Iterable[str], last: frozenset[str]) -> Iterator[str]:
    """The names of what lies in folders and modules that are called like a wanted symbol."""
    for path in paths:
        if _is_named(path, last):
            parts = _parts_of_path(path)
            yield from parts[min(parts.index(name) for name in last if name in parts) :]


def _is_named(path: str, names: frozenset[str]) -> bool:
    """Whether a file or a folder around it is called like a wanted symbol."""
    return any(name in path for name in names) and not names.isdisjoint(_parts_of_path(path))


def _parts_of_path(path: str) -> list[str]:
    return path.replace(".", "/").split("/")


def _says(facts: Facts, names: frozenset[str]) -> bool:
    """Whether a file says one of some names where something of another module may be meant."""
    return (
        any(_expr_says(reference.expr, names) for reference in facts.references)
        or any(_import_says(item, names) for item in facts.imports)
        or any(binding.value is not None and _expr_says(binding.value, names) for binding in facts.bindings)
        or any(not names.isdisjoint(cls.qualname.split(".")) for cls in facts.classes)
    )


def _expr_says(expr: Expr, names: frozenset[str]) -> bool:
    return expr.root in names or not names.isdisjoint(expr.attributes)


def _import_says(item: Import, names: frozenset[str]) -> bool:
    return item.name in names or not names.isdisjoint(item.module.split("."))


def _touched(facts: Facts, names: frozenset[str]) -> set[int]:
    """The bindings of a file, by index, that are to something that says a name; by way of others, too."""
    touched: set[int] = set()
    count = -1
    while len(touched) > count:
        count = len(touched)
        touched.update(
            index
            for index, binding in enumerate(facts.bindings)
            if index not in touched and _touches(facts, binding, names, touched)
        )
    return touched


def _touches(facts: Facts, binding: Binding, names: frozenset[str], touched: set[int]) -> bool:
    if binding.kind == CLASS:
        return not names.isdisjoint(facts.classes[binding.index].qualname.split("."))
    if binding.value is not None:
        return _expr_says(binding.value, names) or not touched.isdisjoint(binding.value.candidates)
    return _import_says(facts.imports[binding.index], names)


def _brings_anything(facts: Facts, index: int, last: frozenset[str]) -> bool:
    """Whether a binding is that of a star import from beneath a wanted symbol: then each name of it is one."""
    binding = facts.bindings[index]
    return binding.kind == STAR and not last.isdisjoint(facts.imports[binding.index].module.split("."))


def _bound_to(facts: Facts, touched: set[int]) -> Iterator[str]:
    """The names of a module and of its classes that stand for such bindings."""
    for names in (facts.names, *(cls.names for cls in facts.classes)):
        for name, candidates in names.items():
            if any(c != OPAQUE and c in touched for c in candidates):
                yield name
