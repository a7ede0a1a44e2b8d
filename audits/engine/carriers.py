"""Which files of a tree can use a symbol at all, told from the names in them before anything is resolved.

Whatever reaches ``uuid.uuid4`` says ``uuid4``, or a name that some file gives to something that says it: an alias, an
import under another name. Nearly all files say neither, and need no look at what their names mean.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping

from audits.engine.facts import CLASS, OPAQUE, STAR, Binding, Expr, Facts


def users(facts: Mapping[str, Facts], paths: Iterable[str], wanted: Collection[str]) -> frozenset[str] | None:
    """The paths of all files that may use one of the wanted symbols, and of some that don't; None: it can be any.

    ``facts`` are by path, ``paths`` those of the whole tree.
    """
    last = {symbol.rpartition(".")[2] for symbol in wanted}
    if "builtins" in last:
        return None  # nobody needs to say that
    fresh = last | set(_beneath(paths, last))
    for path in (path for path in facts if _is_named(path, last)):
        fresh |= facts[path].names.keys()
        fresh.update(name for cls in facts[path].classes for name in cls.names)
    names: set[str] = set()
    found = {path for path in facts if _is_named(path, last)}
    while fresh:
        names |= fresh
        saying = {path for path, known in facts.items() if _says(known, fresh)}
        found |= saying
        fresh = set()
        for path in saying:
            touched = _touched(facts[path], names)
            if any(_brings_anything(facts[path], index, last) for index in touched):
                return None
            fresh.update(_bound_to(facts[path], touched))
        fresh -= names
    return frozenset(found)


def _beneath(paths: Iterable[str], last: Collection[str]) -> Iterator[str]:
    """The names of what lies in folders and modules that are called like a wanted symbol."""
    for path in paths:
        if _is_named(path, last):
            parts = _parts_of_path(path)
            yield from parts[min(parts.index(name) for name in last if name in parts) :]


def _is_named(path: str, names: Collection[str]) -> bool:
    """Whether a file or a folder around it is called like a wanted symbol."""
    return any(name in path for name in names) and not set(names).isdisjoint(_parts_of_path(path))


def _parts_of_path(path: str) -> list[str]:
    return path.replace(".", "/").split("/")


def _says(facts: Facts, names: Collection[str]) -> bool:
    """Whether a file names one of some names where something of another module may be meant."""
    said = frozenset(names)
    return (
        any(_expr_says(reference.expr, said) for reference in facts.references)
        or any(_import_says(item.module, item.name, said) for item in facts.imports)
        or any(binding.value is not None and _expr_says(binding.value, said) for binding in facts.bindings)
        or any(not said.isdisjoint(cls.qualname.split(".")) for cls in facts.classes)
    )


def _expr_says(expr: Expr, names: frozenset[str]) -> bool:
    return expr.root in names or not names.isdisjoint(expr.attributes)


def _import_says(module: str, name: str | None, names: frozenset[str]) -> bool:
    return name in names or not names.isdisjoint(module.split("."))


def _touched(facts: Facts, names: Collection[str]) -> set[int]:
    """The bindings of a file, by index, that are to something that says a name; by way of others, too."""
    said = frozenset(names)
    touched: set[int] = set()
    count = -1
    while len(touched) > count:
        count = len(touched)
        touched.update(
            index
            for index, binding in enumerate(facts.bindings)
            if index not in touched and _touches(facts, binding, said, touched)
        )
    return touched


def _touches(facts: Facts, binding: Binding, names: frozenset[str], touched: set[int]) -> bool:
    if binding.kind == CLASS:
        return not names.isdisjoint(facts.classes[binding.index].qualname.split("."))
    if binding.value is not None:
        return _expr_says(binding.value, names) or not touched.isdisjoint(binding.value.candidates)
    item = facts.imports[binding.index]
    return _import_says(item.module, item.name, names)


def _brings_anything(facts: Facts, index: int, last: Collection[str]) -> bool:
    """Whether a binding is that of a star import from beneath a wanted symbol: then each name of it is one."""
    binding = facts.bindings[index]
    return binding.kind == STAR and not set(last).isdisjoint(facts.imports[binding.index].module.split("."))


def _bound_to(facts: Facts, touched: set[int]) -> Iterator[str]:
    """The names of a module and of its classes that stand for such bindings."""
    for names in (facts.names, *(cls.names for cls in facts.classes)):
        for name, candidates in names.items():
            if any(c != OPAQUE and c in touched for c in candidates):
                yield name
