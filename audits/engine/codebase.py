"""Facts of one tree -> modules, and what a dotted name means in them.

A module is identified by its path. Absolute imports are looked up as Python would: from the policy's source roots,
and from the folder that holds the importing file's topmost package (what a test runner or a started script puts on
``sys.path``).
"""

import builtins
import posixpath
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import msgspec
import pathspec

from audits.engine.facts import CLASS, FROM, IMPORT, IMPORT_TOP, OPAQUE, STAR, Class, Expr, Facts, Import
from audits.engine.policy import Policy

# What Python puts into every module.
MODULE_ATTRIBUTES = frozenset(
    {"__name__", "__file__", "__doc__", "__package__", "__spec__", "__loader__", "__path__", "__cached__",
     "__builtins__", "__dict__", "__annotations__"}
)  # fmt: skip
_BUILTINS = frozenset(dir(builtins))
_STUBS = (".pyi", ".pyx", ".pxd", ".so", ".pyd", ".c", ".cpp", ".rs", ".ipynb", ".proto")


class Target(Protocol):
    """What a dotted name can mean: a ``ModuleTarget``, ``ClassTarget``, ``External``, ``Missing`` or ``Unknown``."""


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
    """A first-party module or name that isn't there: the dotted name, and the module it isn't in (empty: no such
    module)."""

    name: str
    module: str = ""


@dataclass(frozen=True, slots=True)
class Unknown:
    """Something that the text doesn't tell: a function, a value, a name of a dynamic module."""


UNKNOWN = Unknown()
Targets = frozenset[Target]
_UNKNOWN_ONLY: Targets = frozenset({UNKNOWN})
_NOTHING: Targets = frozenset()


@dataclass(frozen=True, slots=True)
class Tree:
    """The paths of a commit: parsed ones with facts, the rest by name (stubs and extensions exist without facts).

    ``ignored`` are the patterns of the root ``.gitignore``: a module that git ignores is made by a build, not missing.
    """

    facts: Mapping[str, Facts]
    paths: frozenset[str]
    ignored: tuple[str, ...] = ()


@dataclass(slots=True)
class _Folders:
    """Which folders hold what, for looking modules up."""

    with_python: set[str] = field(default_factory=set)
    packages: set[str] = field(default_factory=set)


class Codebase:
    """The modules of one tree and the meaning of names in them. Everything is computed once and remembered."""

    def __init__(self, tree: Tree, policy: Policy) -> None:
        self.facts = tree.facts
        self.policy = policy
        self._paths = tree.paths
        self._ignored = pathspec.GitIgnoreSpec.from_lines(tree.ignored)
        self._folders = self._read_folders()
        self._roots = tuple("" if r in {".", ""} else r.strip("/") + "/" for r in policy.source_roots)
        self._base: dict[str, str] = {}
        self._modules: dict[tuple[str, str], str | None] = {}
        self._names: dict[tuple[str, str], Targets] = {}
        self._bindings: dict[tuple[str, int], Targets] = {}
        self._open: set[tuple[str, object]] = set()
        self._cycles = 0
        self._first_party: dict[tuple[str, str], bool] = {}
        self._confirmed = self._confirmed_namespaces()

    # --- modules ---------------------------------------------------------------------------------------------------

    def _read_folders(self) -> _Folders:
        folders = _Folders()
        for path in self._paths:
            folder, _, name = path.rpartition("/")
            folder = folder + "/" if folder else ""
            if name in {"__init__.py", "__init__.pyi"}:
                folders.packages.add(folder)
            if name.endswith((".py", *_STUBS)):
                while folder not in folders.with_python:
                    folders.with_python.add(folder)
                    folder = _parent(folder)
        return folders

    def base(self, path: str) -> str:
        """The folder that holds the topmost package of a file: "" or a path with a trailing slash."""
        folder = path[: path.rfind("/") + 1]
        found = self._base.get(folder)
        if found is None:
            found = folder
            while found and found in self._folders.packages:
                found = _parent(found)
            self._base[folder] = found
        return found

    def dotted(self, path: str) -> str:
        """The dotted name of a module, as its longest source root sees it."""
        root = max((r for r in self._roots if path.startswith(r)), key=len, default="")
        name = path[len(root) :].removesuffix("/").removesuffix(".py").removesuffix("/__init__")
        return name.replace("/", ".")

    def find(self, dotted: str, importer: str) -> str | None:
        """The path of an absolutely named module as ``importer`` sees it; None when it isn't in the tree."""
        base = self.base(importer)
        key = (base, dotted)
        if key not in self._modules:
            relative = dotted.replace(".", "/")
            self._modules[key] = self._first_in(relative, dict.fromkeys((*self._roots, base)))
        return self._modules[key]

    def _first_in(self, relative: str, roots: Mapping[str, None]) -> str | None:
        """Regular packages and modules win over namespace packages, as in Python's own path search."""
        namespace = None
        for root in roots:
            found = self._at(root + relative)
            if found is not None and not found.endswith("/"):
                return found
            namespace = namespace or found
        return namespace

    def _at(self, stem: str) -> str | None:
        """The module at a path without its suffix."""
        package = stem + "/__init__.py"
        if package in self._paths:
            return package
        if stem + ".py" in self._paths:
            return stem + ".py"
        if stem + "/" in self._folders.with_python:
            return stem + "/"
        return None

    def _is_elsewhere(self, stem: str) -> bool:
        """Whether something other than Python source stands for a module: a stub, an extension, a built file."""
        if any(stem + suffix in self._paths for suffix in _STUBS):
            return True
        folder, _, name = stem.rpartition("/")
        prefix = f"{folder}/{name}." if folder else f"{name}."
        if any(prefix + tail in self._paths for tail in ("cpython.so",)):
            return True
        return self._ignored.match_file(stem + ".py") or self._ignored.match_file(stem + "/__init__.py")

    def submodule(self, module: str, name: str) -> str | None:
        """The path of ``name`` inside a package, None when the module is no package or has no such part."""
        folder = _folder_of(module)
        return self._at(folder + name) if folder is not None else None

    def has_built_part(self, module: str, name: str) -> bool:
        """Whether a package has a part that isn't Python source here: a stub, an extension, a file that a build
        makes."""
        folder = _folder_of(module)
        return folder is not None and self._is_elsewhere(folder + name.replace(".", "/"))

    def is_first_party(self, dotted: str, importer: str) -> bool:
        """Whether the top name of an absolute import belongs to this tree and to nothing that is installed beside
        it."""
        top = dotted.partition(".")[0]
        key = (self.base(importer), top)
        if key not in self._first_party:
            self._first_party[key] = self._owns(top, importer)
        return self._first_party[key]

    def _owns(self, top: str, importer: str) -> bool:
        found = self.find(top, importer)
        if found is None or (top in sys.stdlib_module_names and not found.startswith(top + "/")):
            return False
        # A plain folder gives way to an installed package of the same name (alembic/, docker/, redis/ are common),
        # so it only counts when imports of it are seen to arrive here.
        return not found.endswith("/") or found in self._confirmed

    def _confirmed_namespaces(self) -> set[str]:
        confirmed = set()
        for path, facts in self.facts.items():
            for item in facts.imports:
                top, _, rest = item.module.partition(".")
                if item.level or top in sys.stdlib_module_names:
                    continue
                found = self.find(top, path)
                if found is None or not found.endswith("/") or found in confirmed:
                    continue
                if self._arrives(item, rest, path):
                    confirmed.add(found)
        return confirmed

    def _arrives(self, item: Import, rest: str, path: str) -> bool:
        if rest:
            return self.find(item.module, path) is not None
        return (
            item.name is not None
            and item.name != "*"
            and self.find(f"{item.module}.{item.name}", path) is not None
        )

    # --- imports ---------------------------------------------------------------------------------------------------

    def imported_module(self, path: str, item: Import) -> Target:
        """The module that an import statement names: a module, something external, unknown or missing."""
        if item.level:
            return self._relative(path, item)
        if not self.is_first_party(item.module, path):
            return External(item.module)
        return self._walk(path, item.module)

    def _walk(self, path: str, dotted: str) -> Target:
        """A first-party dotted module name, part by part, so that the first absent part is named."""
        found = self.find(dotted, path)
        if found is not None:
            return ModuleTarget(found)
        known, _, rest = dotted.partition(".")
        module = self.find(known, path)
        while module is not None and rest:
            part, _, rest = rest.partition(".")
            inner = self.submodule(module, part)
            if inner is None:
                return self._absent(module, part, f"{known}.{part}")
            module, known = inner, f"{known}.{part}"
        return ModuleTarget(module) if module is not None else Missing(dotted)

    def _absent(self, module: str, part: str, dotted: str) -> Target:
        facts = self.facts.get(module)
        if self.has_built_part(module, part) or (facts is None and not module.endswith("/")):
            return UNKNOWN
        if facts is not None and facts.dynamic and "__path__" in facts.names:
            return UNKNOWN
        return Missing(dotted)

    def _relative(self, path: str, item: Import) -> Target:
        folder = path[: path.rfind("/") + 1]
        for _ in range(item.level - 1):
            if not folder:
                return Missing("." * item.level + item.module)
            folder = _parent(folder)
        stem = folder + item.module.replace(".", "/")
        if not item.module:
            found: str | None = folder + "__init__.py" if folder + "__init__.py" in self._paths else folder
        else:
            found = self._at(stem)
        if found is not None:
            return ModuleTarget(found)
        if self._is_elsewhere(stem):
            return UNKNOWN
        return Missing(self.dotted(stem + "/"))

    # --- names -----------------------------------------------------------------------------------------------------

    def name(self, module: str, name: str) -> Targets:
        """What ``module.name`` can mean, submodules included; ``Missing`` when the module has no such name."""
        key = (module, name)
        found = self._names.get(key)
        if found is None:
            if ("name", key) in self._open:
                # A cycle of re-exports: this way round it adds nothing.
                self._cycles += 1
                return _NOTHING
            self._open.add(("name", key))
            cycles = self._cycles
            found = self._look_up(module, name)
            self._open.discard(("name", key))
            if cycles == self._cycles or not self._open:
                # An answer found inside a cycle may be partial, so only complete ones are kept.
                self._names[key] = found
        return found

    def _look_up(self, module: str, name: str) -> Targets:
        facts = self.facts.get(module)
        if facts is not None and facts.error is None and name in facts.names:
            candidates = facts.names[name]
            if candidates:
                return self._union(module, candidates)
            return _UNKNOWN_ONLY
        inner = self.submodule(module, name)
        if inner is not None:
            return frozenset({ModuleTarget(inner)})
        if facts is None and not module.endswith("/"):
            return _UNKNOWN_ONLY
        if facts is not None and (facts.error is not None or facts.dynamic):
            return _UNKNOWN_ONLY
        if name in MODULE_ATTRIBUTES or self.has_built_part(module, name):
            return _UNKNOWN_ONLY
        if facts is not None and (found := self._through_stars(module, facts, name)) is not None:
            return found
        dotted = self.dotted(module)
        return frozenset({Missing(f"{dotted}.{name}" if dotted else name, dotted)})

    def _through_stars(self, module: str, facts: Facts, name: str) -> Targets | None:
        for index in facts.stars:
            item = facts.imports[facts.bindings[index].index]
            found = self._from_star(module, item, name)
            if found is not None:
                return found
        return None

    def _from_star(self, path: str, item: Import, name: str) -> Targets | None:
        """What a star import supplies under a name; None when it doesn't."""
        target = self.imported_module(path, item)
        if not isinstance(target, ModuleTarget):
            return _UNKNOWN_ONLY if not isinstance(target, Missing) else None
        facts = self.facts.get(target.path)
        if facts is not None and facts.public is not None:
            if name not in facts.public:
                return None
        elif name.startswith("_"):
            return None
        found = self.name(target.path, name)
        if not found or any(isinstance(t, Missing) for t in found):
            return None
        # Without ``__all__`` a star doesn't import submodules that nothing has bound.
        return found

    def _union(self, path: str, candidates: tuple[int, ...]) -> Targets:
        result: Targets = _NOTHING
        for candidate in candidates:
            result |= self.binding(path, candidate)
        return result

    def binding(self, path: str, index: int) -> Targets:
        """What a binding of a file (by its index in the facts) means."""
        if index == OPAQUE:
            return _UNKNOWN_ONLY
        key = (path, index)
        found = self._bindings.get(key)
        if found is None:
            if ("binding", key) in self._open:
                self._cycles += 1
                return _NOTHING
            self._open.add(("binding", key))
            cycles = self._cycles
            found = self._meaning(path, index)
            self._open.discard(("binding", key))
            if cycles == self._cycles or not self._open:
                self._bindings[key] = found
        return found

    def _meaning(self, path: str, index: int) -> Targets:
        facts = self.facts[path]
        binding = facts.bindings[index]
        if binding.kind == CLASS:
            return frozenset({ClassTarget(path, binding.index)})
        if binding.value is not None:
            return self.expr(path, binding.value)
        item = facts.imports[binding.index]
        if binding.kind == IMPORT_TOP:
            top = item.module.partition(".")[0]
            return frozenset({self.imported_module(path, msgspec.structs.replace(item, module=top))})
        module = self.imported_module(path, item)
        if binding.kind == IMPORT:
            return frozenset({module})
        if binding.kind == FROM and item.name is not None:
            return self.attribute(module, item.name)
        return _UNKNOWN_ONLY

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
        return _UNKNOWN_ONLY

    def class_attribute(self, target: ClassTarget, name: str) -> Targets:
        """What a name in a class, or in one of its bases, means; unknown when the text doesn't tell."""
        for item in self.mro(target):
            if not isinstance(item, ClassTarget):
                break
            names = self.class_facts(item).names
            if name in names:
                return self._union(item.path, names[name]) if names[name] else _UNKNOWN_ONLY
        return _UNKNOWN_ONLY

    def expr(self, path: str, expr: Expr) -> Targets:
        """What a dotted expression of a file can mean."""
        targets = self.root(path, expr)
        for name in expr.attributes:
            if not targets:
                break
            step: Targets = _NOTHING
            for target in targets:
                step |= self.attribute(target, name)
            targets = step
        return targets

    def root(self, path: str, expr: Expr) -> Targets:
        """What the root of a dotted expression can mean."""
        if not expr.candidates:
            return frozenset({External(f"builtins.{expr.root}")}) if expr.root in _BUILTINS else _UNKNOWN_ONLY
        facts = self.facts[path]
        result: Targets = _NOTHING
        for candidate in expr.candidates:
            if candidate >= 0 and facts.bindings[candidate].kind == STAR:
                item = facts.imports[facts.bindings[candidate].index]
                found = self._from_star(path, item, expr.root)
                if found is not None:
                    return found
            else:
                result |= self.binding(path, candidate)
        return result

    # --- classes ---------------------------------------------------------------------------------------------------

    def class_facts(self, target: ClassTarget) -> Class:
        return self.facts[target.path].classes[target.index]

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


def _parent(folder: str) -> str:
    """The folder around one: "a/b/" -> "a/", "a/" -> ""."""
    return posixpath.dirname(folder.rstrip("/")) + "/" if "/" in folder.rstrip("/") else ""


def _folder_of(module: str) -> str | None:
    """The folder whose files are a package's submodules; None for a plain module."""
    if module.endswith("/") or not module:
        return module
    if module.endswith("/__init__.py"):
        return module[: -len("__init__.py")]
    return "" if module == "__init__.py" else None
