"""A codebase that follows its tree from commit to commit, and judges again only what a change can reach.

While a file is judged, it is noted which answers of the codebase that depends on (``answers``): what a name of another
module means, where a module is found, whether it is known to be ours. When a commit changes what these stand on, they
are asked for again, and the files for which one of them is another now are judged again; all others keep their
findings. A change that other modules can't see (a function's body, a comment) reaches nobody else. The result at each
commit is that of a full audit; tests compare the two.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TypeVar

from audits.engine.answers import Key
from audits.engine.builds import BUILD_FILES, Builds
from audits.engine.codebase import FAILING, IMPORTS, Codebase
from audits.engine.facts import Facts
from audits.engine.findings import Finding, numbered
from audits.engine.modules import IMPORTABLE, Modules, parent, reach_of_installed
from audits.engine.policy import Policy
from audits.engine.registry import Registry
from audits.engine.roots import ROOT_FILES, Roots
from audits.engine.rules import Rule
from audits.engine.targets import ClassTarget, ModuleTarget, Target

_T = TypeVar("_T")

# What other modules see of a file, of an import statement and of a class: what they are and name, not where they stand.
SEEN_OF_FILE = ("names", "bindings", "stars", "public", "dynamic", "installed", "built")
SEEN_OF_IMPORT = ("level", "module", "name")
SEEN_OF_CLASS = ("qualname", "bases", "metaclass", "decorators", "names", "values", "ignored", "dynamic")
_seen_of_file = attrgetter(*SEEN_OF_FILE)
_seen_of_import = attrgetter(*SEEN_OF_IMPORT)
_seen_of_class = attrgetter(*SEEN_OF_CLASS)


@dataclass(frozen=True, slots=True)
class TreeChange:
    """What changes in a tree: paths that come and go, facts by path (None: gone, or can't be looked at), texts."""

    added: frozenset[str]
    removed: frozenset[str]
    facts: Mapping[str, Facts | None]
    texts: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(slots=True)
class _Reach:
    """Whom a change of the tree's shape reaches: everybody, all files of some folders, or who depends on keys.

    ``is_new`` says that there are other packages or folders with Python now.
    """

    everything: bool = False
    is_new: bool = False
    folders: set[str] = field(default_factory=set)
    keys: set[str] = field(default_factory=set)


class _LiveModules(Modules):
    """Modules of a tree that changes."""

    def __init__(self, facts: dict[str, Facts], policy: Policy) -> None:
        self.paths: set[str] = set()
        self.texts: dict[str, str] = {}
        self._facts = facts
        self._policy = policy
        self._builds = Builds((), {}, ())
        self._packages: set[str] = set()
        self._with_python: set[str] = set()
        self._package_files: Counter[str] = Counter()
        self._python_files: Counter[str] = Counter()
        # What the builds are read from: folders with Python source of their own, and other paths that matter.
        self._source_files: Counter[str] = Counter()
        self._other_files: set[str] = set()
        self._root_files: set[str] = set()
        self._roots = Roots(policy.source_roots, (), {}, {}, set(), set())
        self._naming: list[str] = sorted(self._roots.stated, key=len, reverse=True)
        self._installed: dict[str, set[str]] = {}
        self._installing: dict[str, list[tuple[str, str]]] = {}
        self._building: dict[str, tuple[str, ...]] = {}
        self._confirmed: set[str] = set()
        self._begin()

    def change(self, change: TreeChange) -> _Reach:
        """Takes a change over; answers whom it reaches by the tree's shape alone. Facts are changed already."""
        reach = _Reach()
        for path in change.removed:
            self.paths.discard(path)
            self._count(path, -1, reach)
        for path in change.added:
            self.paths.add(path)
            self._count(path, 1, reach)
        for path, text in change.texts.items():
            if text is None:
                self.texts.pop(path, None)
            else:
                self.texts[path] = text
        touched = change.added | change.removed | change.facts.keys() | change.texts.keys()
        self._renew_installed(change.facts, reach)
        self._renew_builds(change, touched, reach)
        if reach.is_new or any(_name(path) in ROOT_FILES for path in touched):
            self._renew_roots(reach)
            self._base.clear()
            self._search.clear()
        return reach

    def set_confirmed(self, confirmed: set[str]) -> None:
        self._confirmed = confirmed

    def _count(self, path: str, step: int, reach: _Reach) -> None:
        stem, dot, _ = path.rpartition(".")
        reach.keys.add(f"?{stem if dot else path}")
        folder = path[: path.rfind("/") + 1]
        if _name(path) in ROOT_FILES:
            (self._root_files.add if step > 0 else self._root_files.discard)(path)
        if path in {"__init__.py", "__init__.pyi"}:
            reach.everything = True  # the whole tree becomes a package, or ceases to be one
        if path.endswith(("/__init__.py", "/__init__.pyi")):
            reach.keys.add(f"?{folder[:-1]}")
            if self._turns(self._package_files, folder, step):
                (self._packages.add if step > 0 else self._packages.discard)(folder)
                reach.folders.add(folder)
                reach.is_new = True
        if path.endswith(IMPORTABLE):
            while True:
                if self._turns(self._python_files, folder, step):
                    (self._with_python.add if step > 0 else self._with_python.discard)(folder)
                    reach.keys.add(f"?{folder[:-1]}")
                    reach.is_new = True
                if not folder:
                    break
                folder = parent(folder)

    def _turns(self, counts: Counter[str], key: str, step: int) -> bool:
        """Counts; answers whether there is something now where nothing was, or the other way round."""
        before = counts[key]
        counts[key] = before + step
        return (before == 0) != (before + step == 0)

    def _renew_installed(self, changed: Iterable[str], reach: _Reach) -> None:
        is_new = False
        for path in changed:
            facts = self._facts.get(path)
            found = [] if facts is None else reach_of_installed(path, facts, self._policy)
            if found != self._installing.get(path, []):
                is_new = True
                if found:
                    self._installing[path] = found
                else:
                    del self._installing[path]
        if is_new:
            self._installed = {}
            for entries in self._installing.values():
                for place, name in entries:
                    self._installed.setdefault(place, set()).add(name)
            reach.keys.add("installed")

    def _renew_builds(self, change: TreeChange, touched: Collection[str], reach: _Reach) -> None:
        is_new = any(_name(path) in BUILD_FILES for path in change.texts)
        for path in change.facts:
            facts = self._facts.get(path)
            built = facts.built if facts is not None else ()
            if built != self._building.get(path, ()):
                is_new = True
                self._building[path] = built
        for paths, step in ((change.added, 1), (change.removed, -1)):
            for path in paths:
                if path.endswith(".py"):
                    self._turns(self._source_files, path.rpartition("/")[0], step)
                if Builds.cares_for(path):
                    is_new = True
                    (self._other_files.add if step > 0 else self._other_files.discard)(path)
        # Folders of tracked files matter where git ignores something.
        is_new |= bool(self._builds.ignores) and any(
            path.endswith(".py") and self._builds.may_ignore(path) for path in change.added | change.removed
        )
        if is_new:
            declared = (name for names in self._building.values() for name in names)
            before = self._builds
            folders = (folder for folder, count in self._source_files.items() if count)
            self._builds = Builds(self._other_files, self.texts, declared, folders)
            if not self._builds.answers_like(before):
                reach.keys.add("builds")

    def _renew_roots(self, reach: _Reach) -> None:
        old = self._roots
        new = Roots(
            self._policy.source_roots,
            self._root_files,
            self._facts,
            self.texts,
            self._packages,
            self._with_python,
        )
        self._roots = new
        if (new.stated, new.projects) != (old.stated, old.projects):
            self._naming = sorted((*new.stated, *new.projects), key=len, reverse=True)
            reach.everything = True
        differing = new.differing(old)
        if differing or new.distributions != old.distributions:
            reach.keys.add("distributions")
        reach.folders |= differing


def _name(path: str) -> str:
    return path[path.rfind("/") + 1 :]


class _LiveFacts(Codebase):
    """The codebase of a tree that changes."""

    def __init__(self, facts: dict[str, Facts], policy: Policy, registry: Registry | None) -> None:
        self.facts = facts
        self.policy = policy
        self.registry = registry
        self.modules = self.shape = _LiveModules(facts, policy)
        self.gives_hints = False
        self._patches = {}
        self._local_patches = {}
        self._begin()

    def forget(self) -> None:
        """Forgets what isn't kept up to date: the tree is another one."""
        self.answers.forget()
        self.__dict__.pop("_paths_by_name", None)

    def set_patches(
        self, everywhere: dict[Target, set[str | None]], local: dict[str, dict[Target, set[str | None]]]
    ) -> None:
        self._patches = everywhere
        self._local_patches = local


Patch = tuple[ClassTarget | ModuleTarget, str | None, bool]

# What depends on answers, each with a path: which modules a file shows to be ours, what it sets on others from outside,
# and what is wrong in it (as do IMPORTS and FAILING).
_CONFIRMS = "confirms"
_PATCHES = "patches"
_FINDINGS = "findings"
# Answers that depend neither on which modules are ours nor on patches.
_OF_SHAPE = ("find", "may have", "built", "installed")
# And those that depend on these and on which modules are ours, but not on patches.
_OF_OURS = ("absolute",)


class LiveAudit:
    """The findings of a tree that changes, by path, each the same object for as long as it isn't judged again."""

    def __init__(self, policy: Policy, rules: Collection[Rule], registry: Registry | None = None) -> None:
        self.findings: dict[str, tuple[Finding, ...]] = {}
        self._policy = policy
        self._rules = rules
        self._facts: dict[str, Facts] = {}
        self._codebase = _LiveFacts(self._facts, policy, registry)
        self._answers = self._codebase.answers
        self._confirms: dict[str, frozenset[str]] = {}
        self._confirmed: Counter[str] = Counter()
        self._patches: dict[str, tuple[Patch, ...]] = {}
        self._everywhere: dict[Target, set[str | None]] = {}
        self._local: dict[str, dict[Target, set[str | None]]] = {}

    def change(self, change: TreeChange) -> set[str]:
        """Takes a change of the tree over; answers the paths that were judged again, and those that are gone."""
        inputs, importing = self._take_facts(change)
        reach = self._codebase.shape.change(change)
        self._codebase.forget()
        dirty = set(change.facts)
        if reach.everything:
            self._answers.forget_all()
            dirty |= self._facts.keys()
            importing = set(dirty)
        elif reach.folders:
            folders = tuple(reach.folders)
            moved = {path for path in self._facts if path.startswith(folders)}
            dirty |= moved
            inputs |= moved
            importing |= moved
        # In this order: what is ours depends on the tree's shape, what names mean on what is ours and on patches.
        ends = self._answers.doubt(inputs | reach.keys) | self._answers.settle(_OF_SHAPE)
        ends |= self._answers.doubt(self._confirm(importing | _paths(ends, _CONFIRMS)))
        ends |= self._answers.settle(_OF_OURS)
        ends |= self._answers.doubt(self._read_patches(dirty | _paths(ends, _PATCHES)))
        self._codebase.forget()
        ends |= self._answers.settle()
        dirty |= _paths(ends, _FINDINGS, _PATCHES)
        dirty |= self._renew_imports(importing, _paths(ends, IMPORTS), _paths(ends, FAILING))
        self._judge(dirty)
        return dirty

    def close(self) -> None:
        """To be called in the end; nothing may be asked afterwards."""
        self._answers.close()

    def _take_facts(self, change: TreeChange) -> tuple[set[str], set[str]]:
        """The inputs that it changes (files in which others see a change, ``~path`` and ``#path`` of files at all, and
        names of modules that come or go), and the files that import something else now."""
        changed: set[str] = set()
        importing: set[str] = set()
        for path, facts in change.facts.items():
            before = self._facts.get(path)
            changed |= {f"~{path}", f"#{path}"}
            if not _import_alike(before, facts):
                changed.add(path)
                importing.add(path)
            elif not look_alike(before, facts):
                changed.add(path)
            if (path in self._facts) != (facts is not None):
                changed.add(f".{self._codebase.dotted(path).rpartition('.')[2]}")
            if facts is None:
                self._facts.pop(path, None)
            else:
                self._facts[path] = facts
        return changed, importing

    def _confirm(self, paths: set[str]) -> set[str]:
        """Brings up to date which modules are known to be ours; answers the inputs that change by that."""
        flips: set[str] = set()
        for path in paths:
            found: frozenset[str] = frozenset()
            trace: set[Key] = set()
            if path in self._facts:
                self._answers.trace = trace
                found = frozenset(self._codebase.modules.confirmed_by(path))
                self._answers.trace = None
            self._answers.note((_CONFIRMS, path), trace)
            before = self._confirms.pop(path, frozenset())
            if found:
                self._confirms[path] = found
            for place in before - found:
                self._confirmed[place] -= 1
                if not self._confirmed[place]:
                    flips.symmetric_difference_update({place})
            for place in found - before:
                self._confirmed[place] += 1
                if self._confirmed[place] == 1:
                    flips.symmetric_difference_update({place})
        if flips:
            self._codebase.shape.set_confirmed({place for place, count in self._confirmed.items() if count})
        return {f"!{place}" for place in flips}

    def _renew_imports(self, importing: set[str], doubtful: set[str], failing: set[str]) -> set[str]:
        """Forgets what files import (``importing``, ``doubtful``), and which of their imports fail (``failing``, too).
        Answers for which of the others this is something else now; ``importing`` are judged again anyway."""
        answers = self._answers
        others: dict[str, tuple[object, object]] = {}
        for path in importing | doubtful | failing:
            failed = answers.lose((FAILING, path))
            imports = answers.lose((IMPORTS, path)) if path in importing or path in doubtful else None
            if path not in importing:
                others[path] = imports, failed
            elif path not in self._facts:
                answers.note((IMPORTS, path), set())
                answers.note((FAILING, path), set())
        return {
            path for path, (imports, failed) in others.items() if not self._import_as(path, imports, failed)
        }

    def _import_as(self, path: str, imports: object, failed: object) -> bool:
        """Whether a file still imports the same (None: that is known), and the same imports of it fail."""
        self._answers.trace = set()
        is_same = (
            imports is None or self._codebase.imported_modules(path) == imports
        ) and self._codebase.failing_imports(path) == failed
        self._answers.trace = None
        return is_same

    def _read_patches(self, paths: set[str]) -> set[str]:
        """Brings up to date what is set from outside on what; answers the inputs that change by that."""
        changed: set[str] = set()
        is_new = False
        for path in sorted(paths):
            facts = self._facts.get(path)
            before = self._patches.get(path, ())
            if not before and (facts is None or not facts.patches):
                self._answers.note((_PATCHES, path), set())
                continue
            self._answers.trace = trace = set[Key]()
            found = tuple(self._codebase.patches_of(path)) if facts is not None else ()
            self._answers.trace = None
            self._answers.note((_PATCHES, path), trace)
            if found != before:
                is_new = True
                changed |= {
                    f"@{target.path}" for target, _, everywhere in set(before) ^ set(found) if everywhere
                }
                self._patches[path] = found
        if is_new:
            self._gather_patches()
            self._codebase.set_patches(self._everywhere, self._local)
        return changed

    def _gather_patches(self) -> None:
        self._everywhere, self._local = {}, {}
        for path, patches in self._patches.items():
            for target, attribute, everywhere in patches:
                known = self._everywhere if everywhere else self._local.setdefault(path, {})
                known.setdefault(target, set()).add(attribute)

    def _judge(self, paths: set[str]) -> None:
        checks = [rule.checker(self._codebase) for rule in self._rules]
        for path in sorted(paths):
            self._answers.trace = trace = set[Key]()
            found: tuple[Finding, ...] = ()
            if path in self._facts:
                found = numbered([finding for check in checks for finding in check(path)])
            self._answers.trace = None
            self._answers.note((_FINDINGS, path), trace)
            if not found:
                self.findings.pop(path, None)
            elif found != self.findings.get(path):
                self.findings[path] = found


def _paths(ends: Iterable[Key], *kinds: str) -> set[str]:
    """The paths of the ends of some kinds."""
    return {end[1] for end in ends if end[0] in kinds}


def look_alike(one: Facts | None, other: Facts | None) -> bool:
    """Whether other modules see the same of two versions of a file."""
    if one is None or other is None:
        return one is other
    return bool(
        (one.error is None) == (other.error is None)
        and _seen_of_file(one) == _seen_of_file(other)
        and _import_alike(one, other)
        and _all_alike(one.classes, other.classes, _seen_of_class)
    )


def _import_alike(one: Facts | None, other: Facts | None) -> bool:
    """Whether two versions of a file import the same in the same order."""
    if one is None or other is None:
        return one is other
    return _all_alike(one.imports, other.imports, _seen_of_import)


def _all_alike(some: Sequence[_T], others: Sequence[_T], seen: Callable[[_T], object]) -> bool:
    """Whether the same is seen of each; mostly nothing differs at all, which is found out sooner."""
    return some == others or [*map(seen, some)] == [*map(seen, others)]
