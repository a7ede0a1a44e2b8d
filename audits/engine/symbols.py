"""Which dotted symbols an import or a dotted expression stands for.

The codebase answers what a name *means* (a module, a class, something outside). Here the question is what it may be
*called*: a function that ``app.api`` re-exports from ``app.legacy`` is both ``app.api.make`` and ``app.legacy.make``,
and ``from uuid import uuid4 as new_id`` makes ``new_id`` a name of ``uuid.uuid4``.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from audits.engine.carriers import Carriers, carriers
from audits.engine.codebase import Codebase
from audits.engine.facts import ALIAS, CLASS, FROM, IMPORT, IMPORT_TOP, OPAQUE, STAR, Expr, Import, Reference
from audits.engine.targets import ClassTarget, External, Missing, ModuleTarget, Target

Names = frozenset[str]
NONE: Names = frozenset()
_NO_NAMES: Mapping[int, Names] = {}


@dataclass(frozen=True, slots=True)
class Use:
    """A place where a file uses one of the wanted symbols, or something beneath it.

    ``item`` is the import statement's entry, ``reference`` the expression; one of them is None. ``certain`` says that
    nothing else can be meant; ``own`` that the root itself already stands for the symbol: it was imported as such.
    """

    symbol: str
    certain: bool
    item: Import | None = None
    reference: Reference | None = None
    own: bool = True


class Symbols:
    """Answers for one tree and a set of wanted symbols."""

    def __init__(self, codebase: Codebase, wanted: Collection[str]) -> None:
        self._codebase = codebase
        self._wanted = frozenset(wanted)
        # What a wanted symbol can lie beneath.
        self._prefixes = frozenset(
            ".".join(parts[:end]) for parts in map(_parts, wanted) for end in range(1, len(parts))
        )
        self._matches: dict[str, str | None] = {}
        self._open: set[tuple[str, str]] = set()
        self._aliases: set[tuple[str, int]] = set()
        codebase.answers.register("symbol", self._defines)

    @cached_property
    def _carriers(self) -> Carriers | None:
        """What is worth a look; None for everything."""
        return carriers(self._codebase.facts, self._codebase.modules.paths, self._wanted)

    def uses(self, path: str) -> Iterator[Use]:
        """The uses in a file: imports first, then references, each in the order of the facts."""
        # Where the tree changes, they would have to be found out anew each time.
        known = self._carriers if self._codebase.answers.trace is None else None
        if known is not None and path not in known.bindings:
            return
        facts = self._codebase.facts[path]
        imported: dict[int, Names] = {}
        for index, item in enumerate(facts.imports):
            if known is not None and not known.leads(path, item):
                continue
            imported[index] = names = self.imported(path, item)
            symbol = self.match(names)
            if symbol is not None:
                yield Use(symbol, certain=True, item=item)
        roots: dict[tuple[tuple[int, ...], str], list[tuple[Names, frozenset[Target]]]] = {}
        for reference in facts.references:
            if known is not None and not known.lead(path, reference.expr):
                continue
            key = (reference.expr.candidates, reference.expr.root)
            candidates = roots.get(key)
            if candidates is None:
                candidates = self._candidates(path, reference.expr, imported)
                if not any(self._can_reach(names, targets) for names, targets in candidates):
                    candidates = []
                roots[key] = candidates
            found = self._used(candidates, reference) if candidates else None
            if found is not None:
                yield found

    def _can_reach(self, names: Names, targets: frozenset[Target]) -> bool:
        """Whether something is a wanted symbol, or attributes of it can lead to one: through what the tree defines, or
        by the name alone."""
        return (
            any(isinstance(target, ModuleTarget | ClassTarget) for target in targets)
            or not self._prefixes.isdisjoint(names)
            or self.match(names) is not None
        )

    def _used(self, candidates: list[tuple[Names, frozenset[Target]]], reference: Reference) -> Use | None:
        found: list[tuple[str, bool] | None] = [
            self._follow(names, targets, reference.expr.attributes) for names, targets in candidates
        ]
        hits = [hit for hit in found if hit is not None]
        if not hits:
            return None
        symbol, own = min(hits)
        return Use(symbol, certain=len(hits) == len(found), reference=reference, own=own)

    def _follow(
        self, names: Names, targets: frozenset[Target], attributes: tuple[str, ...]
    ) -> tuple[str, bool] | None:
        """The wanted symbol that a chain reaches, and whether its root is one already."""
        symbol = self.match(names)
        if symbol is not None:
            return symbol, True
        for attribute in attributes:
            if not self._can_reach(names, targets):
                return None
            names = self._beneath(names, targets, attribute)
            symbol = self.match(names)
            if symbol is not None:
                return symbol, False
            targets = self._codebase.step(targets, attribute)
        return None

    def match(self, names: Names) -> str | None:
        """The wanted symbol that one of the names is, or lies beneath; of several the first by name."""
        found = [symbol for name in names if (symbol := self._match(name)) is not None]
        return min(found) if found else None

    def _match(self, name: str) -> str | None:
        if name not in self._matches:
            shorter = name
            while shorter and shorter not in self._wanted:
                shorter = shorter.rpartition(".")[0]
            self._matches[name] = shorter or None
        return self._matches[name]

    # --- names ---------------------------------------------------------------------------------------------------

    def imported(self, path: str, item: Import) -> Names:
        """What an import statement's entry may be called; nothing for a star."""
        module = self._codebase.imported_module(path, item)
        names = self._of_target(module)
        if not item.level and item.module and not isinstance(module, ModuleTarget):
            names |= {item.module}  # as it is written: the module, or a part of it, may be gone
        if item.name is None:
            return names
        return NONE if item.name == "*" else self._beneath(names, frozenset({module}), item.name)

    def expression(self, path: str, expr: Expr) -> Names:
        """What a whole dotted expression may be called."""
        result = NONE
        for names, targets in self._candidates(path, expr):
            result |= self._reached(names, targets, expr.attributes)
        return result

    def _reached(self, names: Names, targets: frozenset[Target], attributes: tuple[str, ...]) -> Names:
        for attribute in attributes:
            names = self._beneath(names, targets, attribute)
            targets = self._codebase.step(targets, attribute)
        return names

    def _candidates(
        self, path: str, expr: Expr, imported: Mapping[int, Names] = _NO_NAMES
    ) -> list[tuple[Names, frozenset[Target]]]:
        """For each thing that the root of an expression can be: its names and targets. ``imported`` are the names of
        the file's imports, by index, where they are known already."""
        if not expr.candidates:
            targets = self._codebase.root(path, expr)
            return [(self._of_targets(targets), targets)]
        facts = self._codebase.facts[path]
        result = []
        for candidate in expr.candidates:
            targets = self._codebase.root(path, Expr((candidate,), expr.root, ()))
            binding = facts.bindings[candidate] if candidate != OPAQUE else None
            names = None
            if binding is not None and binding.kind in {IMPORT, FROM}:
                names = imported.get(binding.index)
            if names is None:
                names = self._of_binding(path, expr.root, candidate)
            result.append((names | self._of_targets(targets), targets))
        return result

    def _of_binding(self, path: str, name: str, candidate: int) -> Names:
        if candidate == OPAQUE:
            return NONE
        facts = self._codebase.facts[path]
        binding = facts.bindings[candidate]
        if binding.kind == CLASS:
            return frozenset({self._codebase.class_name(ClassTarget(path, facts.class_keys[binding.index]))})
        if binding.kind == ALIAS:
            key = (path, candidate)
            if binding.value is None or key in self._aliases:
                return NONE  # an alias of itself, as in ``node = node.parent``: this way round adds nothing
            self._aliases.add(key)
            try:
                return self.expression(path, binding.value)
            finally:
                self._aliases.discard(key)
        item = facts.imports[binding.index]
        if binding.kind == IMPORT_TOP:
            return frozenset({item.module.partition(".")[0]})
        if binding.kind == FROM:
            return self.imported(path, item)
        if binding.kind == STAR:
            return self._from_star(path, item, name)
        return self.imported(path, item)

    def _from_star(self, path: str, item: Import, name: str) -> Names:
        module = self._codebase.imported_module(path, item)
        if isinstance(module, External):
            return frozenset({f"{module.name}.{name}"})
        if isinstance(module, ModuleTarget):
            facts = self._codebase.modules.facts_of(module.path)
            if facts is not None and (name in facts.names or facts.stars):
                return self._defines(module.path, name)
        return NONE

    def _beneath(self, names: Names, targets: frozenset[Target], attribute: str) -> Names:
        result = {f"{name}.{attribute}" for name in names}
        for target in targets:
            if isinstance(target, ModuleTarget):
                result |= self._defines(target.path, attribute)
        return frozenset(result)

    def _defines(self, module: str, name: str) -> Names:
        """What a module's name may be called: after the module, and after where the module has it from."""
        answers = self._codebase.answers
        key = ("symbol", module, name)
        found: Names | None = answers.recall(key)
        if found is not None:
            return found
        dotted = self._codebase.dotted(module)
        own = frozenset({f"{dotted}.{name}" if dotted else name})
        if (module, name) in self._open:
            return own
        self._open.add((module, name))
        outer = answers.begin()
        result = own | self._of_targets(self._codebase.name(module, name))
        facts = self._codebase.modules.facts_of(module)
        if facts is not None:
            for candidate in facts.names.get(name, facts.stars):
                result |= self._of_binding(module, name, candidate)
        self._open.discard((module, name))
        if self._open:
            answers.drop(outer)
        else:
            answers.keep(outer, key, result)
        return result

    def _of_targets(self, targets: frozenset[Target]) -> Names:
        result = NONE
        for target in targets:
            result |= self._of_target(target)
        return result

    def _of_target(self, target: Target) -> Names:
        if isinstance(target, ModuleTarget):
            return frozenset({self._codebase.dotted(target.path)})
        if isinstance(target, ClassTarget):
            return frozenset({self._codebase.class_name(target)})
        if isinstance(target, External | Missing):
            return frozenset({target.name})
        return NONE


def _parts(symbol: str) -> list[str]:
    return symbol.split(".")
