"""Facts of one tree -> what a dotted name means in each of its modules."""

import builtins
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from audits.engine.facts import CLASS, FROM, IMPORT, IMPORT_TOP, OPAQUE, STAR, Class, Expr, Facts, Import
from audits.engine.findings import Zone
from audits.engine.modules import Modules, Tree
from audits.engine.policy import Policy
from audits.engine.registry import Registry
from audits.engine.targets import (
    NOTHING,
    UNKNOWN,
    UNKNOWN_ONLY,
    ClassTarget,
    External,
    Missing,
    ModuleTarget,
    Target,
    Targets,
)

# What Python puts into every module.
_MODULE_ATTRIBUTES = frozenset(
    {"__name__", "__file__", "__doc__", "__package__", "__spec__", "__loader__", "__path__", "__cached__",
     "__builtins__", "__dict__", "__annotations__"}
)  # fmt: skip
_BUILTINS = frozenset(dir(builtins))
# Final answers about a file's import statements.
IMPORTS = "imports"
FAILING = "failing imports"
# Deeper than any look-up: nothing was led back to.
_NOT_AT_ALL = sys.maxsize


class Codebase:
    """The modules of one tree and the meaning of names in them. Everything is computed once and remembered."""

    def __init__(self, tree: Tree, policy: Policy, registry: Registry | None = None) -> None:
        self.facts = tree.facts
        self.policy = policy
        self.registry = registry
        self.modules = Modules(tree, policy)
        self.gives_hints = True
        self._patches: dict[Target, set[str | None]] = {}
        self._local_patches: dict[str, dict[Target, set[str | None]]] = {}
        self._begin()
        self._read_patches()

    def _begin(self) -> None:
        self.answers = self.modules.answers
        self.answers.register("name", self.name)
        self.answers.register("attribute", self._class_attribute)
        self.answers.register("lacks", self.lacks)
        # By depth; and the least depth of those that were led back to since the innermost of them was begun.
        self._open: dict[tuple[str, str, object], int] = {}
        self._led_back_to = _NOT_AT_ALL
        self._open_attributes: set[tuple[str, str, str, str]] = set()
        self._cycles = 0
        # While patches are read, names are looked up as if there were none.
        self._reads_patches = False

    def dotted(self, path: str) -> str:
        """The dotted name of a module."""
        return self.modules.dotted(path)

    def paths_of(self, dotted: str) -> list[str]:
        """The paths of the files that a dotted module name can stand for, in order."""
        found = self._paths_by_name.get(dotted, [])
        if self.answers.trace is not None:
            self.answers.trace.update((f".{dotted.rpartition('.')[2]}", *found))
        return found

    @cached_property
    def _paths_by_name(self) -> dict[str, list[str]]:
        result: dict[str, list[str]] = {}
        for path in sorted(self.facts):
            result.setdefault(self.dotted(path), []).append(path)
        return result

    # --- patches -----------------------------------------------------------------------------------------------------

    def _read_patches(self) -> None:
        """What is set on modules and classes from outside."""
        for path, facts in self.facts.items():
            if facts.patches:
                for target, attribute, everywhere in self.patches_of(path):
                    patches = self._patches if everywhere else self._local_patches.setdefault(path, {})
                    patches.setdefault(target, set()).add(attribute)
        self.answers.forget()

    def patches_of(self, path: str) -> Iterator[tuple[ClassTarget | ModuleTarget, str | None, bool]]:
        """What a file sets on which module or class (None: the text doesn't tell), and whether that counts everywhere.

        What a class's own module sets on it counts everywhere, and so does what happens at import and in no test: a
        package that completes a part of its own, a plug-in that registers members under names that the text doesn't
        show. Else it counts where it is set: a test's stopgap mends no other file.
        """
        is_test = self.policy.zone(path) is Zone.TEST
        for patch in self.facts[path].patches:
            self._reads_patches = True
            targets = self.expr(path, patch.target)
            self._reads_patches = False
            for target in targets:
                if not isinstance(target, ClassTarget | ModuleTarget):
                    continue
                at_import = patch.import_time and not is_test
                everywhere = target.path == path or (
                    at_import and (isinstance(target, ModuleTarget) or patch.attribute is None)
                )
                yield target, patch.attribute, everywhere

    def patches(self, target: Target) -> set[str | None]:
        """The attributes that are set on a module or class from outside; None among them for unknown ones."""
        if self._reads_patches:
            return set()
        if self.answers.trace is not None and isinstance(target, ModuleTarget | ClassTarget):
            self.answers.trace.add(f"@{target.path}")
        return self._patches.get(target, set())

    @property
    def patched(self) -> Mapping[Target, Collection[str | None]]:
        """What is set from outside on what and counts everywhere."""
        return self._patches

    @property
    def stopgaps(self) -> Mapping[str, Mapping[Target, Collection[str | None]]]:
        """What files set on others for themselves alone, by path."""
        return self._local_patches

    def is_patched(self, path: str, target: Target, name: str) -> bool:
        """Whether a file itself gives a module or class the attribute that it reads, or may do so."""
        patches = self._local_patches.get(path, {}).get(target)
        return patches is not None and (name in patches or None in patches)

    # --- imports ---------------------------------------------------------------------------------------------------

    def imported_module(self, path: str, item: Import) -> Target:
        """The module that an import statement names: a module, something external, unknown or missing."""
        return self.modules.imported(path, item)

    def imported_modules(self, path: str) -> Sequence[Target]:
        """The modules that all import statements of a file name, in the order of its facts."""
        key = (IMPORTS, path)
        found: Sequence[Target] | None = self.answers.recall_final(key)
        if found is None:
            outer = self.answers.begin()
            found = self.modules.all_imported(path)
            self.answers.keep_final(outer, key, found)
        return found

    def failing_imports(self, path: str) -> Sequence[int]:
        """The import statements of a file, by their index in its facts, whose module is absent or lacks the name."""
        key = (FAILING, path)
        found: Sequence[int] | None = self.answers.recall_final(key)
        if found is None:
            outer = self.answers.begin()
            found = self._failing(path)
            self.answers.keep_final(outer, key, found)
        return found

    def _failing(self, path: str) -> list[int]:
        # Most imports are of something installed, and asked about nothing.
        imports = self.facts[path].imports
        failing: list[int] = []
        asked: list[tuple[int, tuple[str, str, str]]] = []
        for index, module in enumerate(self.imported_modules(path)):
            name = imports[index].name
            if isinstance(module, Missing):
                failing.append(index)
            elif isinstance(module, ModuleTarget) and name is not None and name != "*":
                if module.path != path:
                    asked.append((index, ("name", module.path, name)))
                elif _is_absent(self._own_part(path, name)):
                    failing.append(index)
        known = self.answers.recall_all([key for _, key in asked])
        for (index, key), found in zip(asked, known, strict=True):
            if _is_absent(self.name(*key[1:]) if found is None else found):
                failing.append(index)
        return sorted(failing)

    def imported_name(self, path: str, item: Import, module: Target) -> Targets:
        """What ``from module import name`` brings."""
        assert item.name is not None
        if isinstance(module, ModuleTarget) and module.path == path:
            return self._own_part(path, item.name)
        return self.attribute(module, item.name)

    def _own_part(self, path: str, name: str) -> Targets:
        """What a module imports from itself: a submodule (``from . import name``), or what else it has bound."""
        facts = self.facts[path]
        if self.answers.trace is not None:
            self.answers.trace.add(path)
        others = tuple(c for c in facts.names.get(name, ()) if not self._is_from_itself(path, facts, c, name))
        if others:
            return self._bound(path, name, others)
        if not path.endswith("__init__.py"):
            return UNKNOWN_ONLY  # something that stood there before
        return self._beyond_names(path, name)

    def _is_from_itself(self, path: str, facts: Facts, candidate: int, name: str) -> bool:
        if candidate == OPAQUE or facts.bindings[candidate].kind != FROM:
            return False
        item = facts.imports[facts.bindings[candidate].index]
        return item.name == name and self.imported_module(path, item) == ModuleTarget(path)

    # --- names -----------------------------------------------------------------------------------------------------

    def name(self, module: str, name: str) -> Targets:
        """What ``module.name`` can mean, submodules included; ``Missing`` when the module has no such name.

        Missing, too, when re-exports only lead round in a circle.
        """
        key = ("plain name" if self._reads_patches else "name", module, name)
        found: Targets | None = self.answers.recall(key)
        return found if found is not None else self._work_out(key, self._look_up, is_lasting=key[0] == "name")

    def _work_out(
        self, key: tuple[str, str, Any], look_up: Callable[[str, Any], Targets], *, is_lasting: bool
    ) -> Targets:
        """An answer that isn't known yet; nothing where it leads back to itself."""
        if key in self._open:
            # A cycle of re-exports: this way round it adds nothing.
            self._cycles += 1
            self._led_back_to = min(self._led_back_to, self._open[key])
            return NOTHING
        self._open[key] = depth = len(self._open)
        cycles, led_back_to = self._cycles, self._led_back_to
        self._led_back_to = _NOT_AT_ALL
        outer = self.answers.begin()
        found = look_up(key[1], key[2])
        del self._open[key]
        if self._led_back_to >= depth:
            self._led_back_to = _NOT_AT_ALL
            found = found or self._absent_in_circle(key[1], key[2])
        self._led_back_to = min(led_back_to, self._led_back_to)
        if cycles != self._cycles and (self._open or self._open_attributes):
            # An answer found inside a cycle may be partial, so only complete ones are kept.
            self.answers.drop(outer)
        elif is_lasting:
            self.answers.keep(outer, key, found)
        else:
            self.answers.keep_passing(outer, key, found)
        return found

    def _absent_in_circle(self, path: str, asked: Any) -> Targets:
        """What a name or an import means that only leads round in a circle, and so to nothing."""
        is_alias = isinstance(asked, int) and self.facts[path].bindings[asked].value is not None
        return NOTHING if is_alias else frozenset({Missing("")})

    def lacks(self, module: str, name: str) -> bool:
        """Whether the text of a module doesn't bind a name."""
        key = ("lacks", module, name)
        found: bool | None = self.answers.recall(key)
        if found is None:
            outer = self.answers.begin()
            facts = self.modules.facts_of(module)
            found = facts is None or name not in facts.names
            self.answers.keep(outer, key, found)
        return found

    def _look_up(self, module: str, name: str) -> Targets:
        facts = self.modules.facts_of(module)
        if facts is not None and facts.error is None and name in facts.names:
            return self._bound(module, name, facts.names[name])
        return self._beyond_names(module, name)

    def _beyond_names(self, module: str, name: str) -> Targets:
        """What a module can have under a name that its text doesn't bind."""
        inner = self.modules.submodule(module, name)
        if inner is not None:
            return frozenset({ModuleTarget(inner)})
        facts = self.modules.facts_of(module)
        if not {name, None}.isdisjoint(self.patches(ModuleTarget(module))):
            return UNKNOWN_ONLY
        if facts is None and (not module.endswith("/") or self.modules.may_be_brought(module, name)):
            return UNKNOWN_ONLY
        if facts is not None and (facts.error is not None or facts.dynamic):
            return UNKNOWN_ONLY
        if name in _MODULE_ATTRIBUTES or self.modules.has_built_part(module, name):
            return UNKNOWN_ONLY
        if facts is not None and (found := self._through_stars(module, name, facts.stars)):
            return found
        if self._led_back_to < len(self._open) - 1:
            return NOTHING  # whether it is absent is seen where the circle began
        dotted = self.dotted(module)
        return frozenset({Missing(f"{dotted}.{name}" if dotted else name, dotted or module)})

    def _bound(self, path: str, name: str, candidates: tuple[int, ...]) -> Targets:
        """What the bindings of a name mean; unknown when there are none that say anything."""
        facts = self.facts[path]
        result = NOTHING
        stars = []
        for candidate in candidates:
            if candidate >= 0 and facts.bindings[candidate].kind == STAR:
                stars.append(candidate)
            else:
                result |= self.binding(path, candidate)
        if len(stars) == len(candidates):
            return self._through_stars(path, name, tuple(stars)) or UNKNOWN_ONLY
        for star in stars:
            result |= self._from_star(path, facts.imports[facts.bindings[star].index], name)
        return result

    def _through_stars(self, path: str, name: str, stars: tuple[int, ...]) -> Targets:
        """What star imports bring under a name that nothing else binds; nothing when they don't."""
        facts = self.facts[path]
        result = NOTHING
        for star in stars:
            item = facts.imports[facts.bindings[star].index]
            if isinstance(self.imported_module(path, item), Missing):
                # One wrong place, reported there: who knows what it would have brought.
                return UNKNOWN_ONLY
            result |= self._from_star(path, item, name)
        return result

    def _from_star(self, path: str, item: Import, name: str) -> Targets:
        """What a star import brings under a name; nothing when it doesn't."""
        target = self.imported_module(path, item)
        if isinstance(target, Missing):
            return NOTHING
        if not isinstance(target, ModuleTarget):
            return UNKNOWN_ONLY
        facts = self.modules.facts_of(target.path)
        if facts is not None and facts.public is not None:
            if name not in facts.public:
                return NOTHING
        elif name.startswith("_") and (facts is None or "__all__" not in facts.names):
            return NOTHING
        found = self.name(target.path, name)
        return NOTHING if any(isinstance(t, Missing) for t in found) else found

    def binding(self, path: str, index: int) -> Targets:
        """What a binding of a file (by its index in the facts, never a star's) means."""
        if index == OPAQUE:
            return UNKNOWN_ONLY
        key = ("plain binding" if self._reads_patches else "binding", path, index)
        found: Targets | None = self.answers.recall(key)
        return found if found is not None else self._work_out(key, self._meaning, is_lasting=False)

    def _meaning(self, path: str, index: int) -> Targets:
        facts = self.facts[path]
        binding = facts.bindings[index]
        if binding.kind == CLASS:
            return frozenset({ClassTarget(path, facts.class_keys[binding.index])})
        if binding.value is not None:
            return self.expr(path, binding.value)
        item = facts.imports[binding.index]
        if binding.kind == IMPORT_TOP:
            return frozenset({self._top(path, item)})
        module = self.imported_module(path, item)
        if binding.kind == IMPORT:
            return frozenset({module})
        if binding.kind == FROM and item.name is not None:
            return self.imported_name(path, item, module)
        return UNKNOWN_ONLY

    def _top(self, path: str, item: Import) -> Target:
        """The module ``a`` that ``import a.b`` binds."""
        top = item.module.partition(".")[0]
        if isinstance(self.imported_module(path, item), External):
            return External(top)
        places = self.modules.find(top, path)
        return ModuleTarget(places[0]) if places else UNKNOWN

    def attribute(self, target: Target, name: str) -> Targets:
        """What ``target.name`` can mean. Missing only for modules; a class answers for its own attributes elsewhere."""
        if isinstance(target, ModuleTarget):
            return self.name(target.path, name)
        if isinstance(target, External):
            return frozenset({External(f"{target.name}.{name}")})
        if isinstance(target, ClassTarget):
            return self.class_attribute(target, name)
        if isinstance(target, Missing):
            return frozenset({target})
        return UNKNOWN_ONLY

    def class_attribute(self, target: ClassTarget, name: str) -> Targets:
        """What a name in a class, or in one of its bases, means; unknown when the text doesn't tell."""
        return self._class_attribute(target.path, target.key, name)

    def _class_attribute(self, path: str, class_key: str, name: str) -> Targets:
        key = ("attribute", path, class_key, name)
        is_inner = self._reads_patches or bool(self._open)
        found: Targets | None = None if is_inner else self.answers.recall(key)
        if found is not None:
            return found
        if key in self._open_attributes:
            # A base that is looked for in its own class: this way round it adds nothing.
            self._cycles += 1
            return NOTHING
        self._open_attributes.add(key)
        cycles = self._cycles
        outer = self.answers.begin()
        found = self._attribute_in_bases(ClassTarget(path, class_key), name)
        self._open_attributes.discard(key)
        if is_inner or (cycles != self._cycles and self._open_attributes):
            self.answers.drop(outer)
        else:
            self.answers.keep(outer, key, found)
        return found

    def _attribute_in_bases(self, target: ClassTarget, name: str) -> Targets:
        if not self.has_class(target):
            return NOTHING
        for item in self.mro(target):
            if not isinstance(item, ClassTarget):
                break
            names = self.class_facts(item).names
            if name in names:
                return self._bound(item.path, name, names[name]) if names[name] else UNKNOWN_ONLY
        return UNKNOWN_ONLY

    def expr(self, path: str, expr: Expr) -> Targets:
        """What a dotted expression of a file can mean."""
        targets = self.root(path, expr)
        for name in expr.attributes:
            if not targets:
                break
            targets = self.step(targets, name)
        return targets

    def step(self, targets: Targets, name: str) -> Targets:
        """What ``.name`` of something can mean."""
        result = NOTHING
        for target in targets:
            result |= self.attribute(target, name)
        return result

    def root(self, path: str, expr: Expr) -> Targets:
        """What the root of a dotted expression can mean."""
        if expr.candidates:
            return self._bound(path, expr.root, expr.candidates)
        return frozenset({External(f"builtins.{expr.root}")}) if expr.root in _BUILTINS else UNKNOWN_ONLY

    # --- classes ---------------------------------------------------------------------------------------------------

    def classes(self, path: str) -> Iterator[tuple[ClassTarget, Class]]:
        """The classes of a file, in the order of its text."""
        facts = self.facts[path]
        return (
            (ClassTarget(path, key), cls) for key, cls in zip(facts.class_keys, facts.classes, strict=True)
        )

    def class_facts(self, target: ClassTarget) -> Class:
        if self.answers.trace is not None:
            self.answers.trace.add(target.path)
        return self.facts[target.path].classes_by_key[target.key]

    def has_class(self, target: ClassTarget) -> bool:
        """Whether the tree (still) has a class."""
        facts = self.modules.facts_of(target.path)
        return facts is not None and target.key in facts.classes_by_key

    def class_name(self, target: ClassTarget) -> str:
        """``package.module.Outer.Inner``"""
        module = self.dotted(target.path)
        qualname = self.class_facts(target).qualname
        return f"{module}.{qualname}" if module else qualname

    def bases(self, target: ClassTarget) -> tuple[Target, ...]:
        """What the bases can be, in order, all candidates of each; ``UNKNOWN`` for one that isn't a dotted name."""
        result: list[Target] = []
        for base in self.class_facts(target).bases:
            if base is None:
                result.append(UNKNOWN)
            else:
                result.extend(sorted(self.expr(target.path, base) or {UNKNOWN}, key=repr))
        return tuple(result)

    def mro(self, target: ClassTarget) -> Iterator[Target]:
        """The class and all that it inherits from, depth first, each once; what isn't a class of the tree as it is."""
        seen: set[Target] = set()
        pending: list[Target] = [target]
        while pending:
            current = pending.pop(0)
            if current in seen:
                continue
            seen.add(current)
            yield current
            if isinstance(current, ClassTarget):
                pending = [*self.bases(current), *pending]


def _is_absent(targets: Targets) -> bool:
    """Whether all that an import can bring is missing; where it brings nothing, it only leads round in a circle."""
    return all(isinstance(target, Missing) for target in targets)
