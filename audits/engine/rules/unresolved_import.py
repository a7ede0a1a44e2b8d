"""A first-party import of a module or name that does not exist.

First-party is what the tree itself holds; installed packages are not looked at. Stubs, extension modules, modules
with ``__getattr__`` and files that git ignores (a build makes them) count as existing. So does a part of a folder
without ``__init__`` that another distribution may bring: a project file names one that is called like it, or the
project itself is called like a part of that folder. An import inside ``try``
that catches ImportError is marked ``guarded`` and stays listed: a guard around a module that has long been removed
hides a dead path. A fallback, which only runs when another import fails that seems fine, is marked ``possible``.

Mend it by importing from where the name lives now (the hint knows some), or by deleting what needs it.
"""

from collections.abc import Callable, Iterator

import msgspec

from audits.engine.codebase import Codebase
from audits.engine.facts import CLASS, GUARD_IMPORT, OPAQUE, TYPE_CHECKING, Facts, Import
from audits.engine.findings import Annotation, Finding, Place
from audits.engine.rules.places import Spot, findings_at, nearest
from audits.engine.targets import Missing, ModuleTarget

NAME = "unresolved-import"


def checker(codebase: Codebase) -> Callable[[str], Iterator[Finding]]:
    """Finds each import of an absent module, and each absent name of an existing module, in a file."""
    definitions = _Definitions(codebase)

    def check_file(path: str) -> Iterator[Finding]:
        reported: set[tuple[tuple[int, int], int, str]] = set()
        for index in codebase.failing_imports(path):
            item, target = codebase.facts[path].imports[index], codebase.imported_modules(path)[index]
            place = (item.line, item.column)
            if isinstance(target, Missing):
                # ``from absent import a, b`` is one wrong place, not two.
                statement = (item.statement, item.level, item.module)
                if statement in reported:
                    continue
                reported.add(statement)
                spot = _absent_module(definitions, target)
                if item.name is not None:
                    place = item.statement
            else:
                assert isinstance(target, ModuleTarget)
                absent = _absent_name(codebase, definitions, path, item, target)
                if absent is None:
                    continue
                spot = absent
            if not _surely_runs(codebase, path, item):
                spot = msgspec.structs.replace(spot, annotations=(Annotation.POSSIBLE,))
            yield from findings_at(codebase, path, spot, [(*place, item.scope, item.flags)], GUARD_IMPORT)

    return check_file


def _absent_module(definitions: "_Definitions", target: Missing) -> Spot:
    if target.above:
        return Spot(
            rule=NAME,
            subject=target.name,
            message=f"{target.name} goes above the topmost package",
            hint="Take a dot away, or name the module absolutely.",
        )
    return Spot(
        rule=NAME,
        subject=target.name,
        message=f"no module {target.name}",
        hint=definitions.module_hint(target.name),
    )


def _absent_name(
    codebase: Codebase, definitions: "_Definitions", path: str, item: Import, target: ModuleTarget
) -> Spot | None:
    assert item.name is not None
    if not _is_own(codebase, path, item, target) or codebase.is_patched(path, target, item.name):
        return None
    if item.flags & TYPE_CHECKING and codebase.modules.has_stub(target.path):
        return None
    module = codebase.dotted(target.path)
    codebase.answers.use(f"#{target.path}")
    return Spot(
        rule=NAME,
        subject=f"{module}.{item.name}" if module else item.name,
        member=item.name,
        message=f"{module or target.path} has no name {item.name}",
        hint=definitions.name_hint(item.name, target.path),
        definition=Place(target.path, 1) if target.path in codebase.facts else None,
    )


def _is_own(codebase: Codebase, path: str, item: Import, target: ModuleTarget) -> bool:
    """Whether the module itself lacks the name: one that re-exports something absent is reported where it imports
    it."""
    return target.path == path or codebase.lacks(target.path, item.name or "")


def _surely_runs(codebase: Codebase, path: str, item: Import) -> bool:
    """Whether an import is no fallback, or the ``try`` that it stands in for surely fails."""
    first, end = item.fallback
    others = codebase.facts[path].imports[first:end]
    return not others or any(_fails(codebase, path, o) and _surely_runs(codebase, path, o) for o in others)


def _fails(codebase: Codebase, path: str, item: Import) -> bool:
    target = codebase.imported_module(path, item)
    if isinstance(target, ModuleTarget) and item.name not in {None, "*"}:
        return all(isinstance(t, Missing) for t in codebase.imported_name(path, item, target))
    return isinstance(target, Missing)


def _defined_names(facts: Facts) -> Iterator[str]:
    """The names that a module defines itself, by a class, a function or a value, and doesn't import."""
    bindings = facts.bindings
    for name, candidates in facts.names.items():
        for candidate in candidates:
            if candidate == OPAQUE or bindings[candidate].kind == CLASS:
                yield name
                break


class _Definitions:
    """Where names and modules are defined in the tree, for hints."""

    def __init__(self, codebase: Codebase) -> None:
        self._codebase = codebase
        self._names: dict[str, list[str]] | None = None
        self._modules: dict[str, list[str]] | None = None

    def name_hint(self, name: str, module: str) -> str:
        if not self._codebase.gives_hints:
            return ""
        self._codebase.answers.use(f"={name}")
        if self._names is None:
            self._names = {}
            for path, facts in sorted(self._codebase.facts.items()):
                for defined in _defined_names(facts):
                    self._names.setdefault(defined, []).append(path)
        own = self._codebase.facts.get(module)
        close = nearest(name, list(own.names)) if own is not None else None
        if close and close.casefold() == name.casefold():
            return f"Did you mean {close}?"
        elsewhere = self._names.get(name, [])
        if len(elsewhere) == 1:
            return f"{name} is defined in {self._codebase.dotted(elsewhere[0])}."
        if close:
            return f"Did you mean {close}?"
        if elsewhere:
            first = self._codebase.dotted(elsewhere[0])
            return f"{name} is defined in {len(elsewhere)} modules, among them {first}."
        return "Nothing in this tree defines that name."

    def module_hint(self, name: str) -> str:
        if not self._codebase.gives_hints:
            return ""
        last = name.rpartition(".")[2]
        self._codebase.answers.use(f".{last}")
        if self._modules is None:
            self._modules = {}
            for path in sorted(self._codebase.facts):
                dotted = self._codebase.dotted(path)
                self._modules.setdefault(dotted.rpartition(".")[2], []).append(dotted)
        elsewhere = self._modules.get(last, [])
        if len(elsewhere) == 1:
            return f"There is {elsewhere[0]}: moved?"
        return (
            f"{len(elsewhere)} modules have that last name, among them {elsewhere[0]}." if elsewhere else ""
        )
