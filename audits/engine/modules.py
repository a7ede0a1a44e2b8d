"""Which module of the tree an import statement names.

A module is identified by its path. Absolute imports are looked up as Python would: from the folder that holds the
importing file's topmost package (what a test runner or a started script puts on ``sys.path``), from the roots of the
project that the file belongs to, from the policy's source roots, and from those of the repository's other projects.
"""

import posixpath
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from audits.engine.answers import Answers
from audits.engine.builds import Builds
from audits.engine.facts import IMPORT, IMPORT_TOP, Facts, Import
from audits.engine.findings import Zone
from audits.engine.policy import Policy
from audits.engine.roots import Roots
from audits.engine.targets import UNKNOWN, External, Missing, ModuleTarget, Target

IMPORTABLE = (".py", ".pyi", ".pyx", ".so", ".pyd")


@dataclass(frozen=True, slots=True)
class Tree:
    """The paths of a commit: parsed ones with facts, the rest by name (stubs and extensions exist without facts).

    ``texts`` are the contents of the ``builds.BUILD_FILES``, by path: they tell which modules a build makes.
    """

    facts: Mapping[str, Facts]
    paths: frozenset[str]
    texts: Mapping[str, str] = field(default_factory=dict)


class Modules:
    """The modules of one tree. Everything is worked out once and remembered.

    Answers depend on these inputs: ``path`` (what a file shows to others), ``?stem`` (which file is the module at a
    stem), ``!path`` (whether a module is known to be ours), ``@path`` (what is set on it from outside), ``builds``,
    ``installed`` and ``distributions`` (those that project files name, and where projects begin); which modules a file
    shows to be ours depends on ``~path`` (what it reads), too. What else a file asks of itself isn't noted.
    """

    def __init__(self, tree: Tree, policy: Policy) -> None:
        self._facts = tree.facts
        self._policy = policy
        self.paths: Collection[str] = tree.paths
        self._builds = Builds(tree.paths, tree.texts, (n for f in tree.facts.values() for n in f.built))
        self._packages, self._with_python = folders_of(tree.paths)
        self._roots = Roots(
            policy.source_roots, tree.paths, tree.facts, tree.texts, self._packages, self._with_python
        )
        self._naming = sorted((*self._roots.stated, *self._roots.projects), key=len, reverse=True)
        self._installed: dict[str, set[str]] = {}
        self._read_installed()
        self._begin()
        self._confirmed: set[str] = set()
        for path in tree.facts:
            self._confirmed |= self.confirmed_by(path)

    def _begin(self) -> None:
        self._base: dict[str, str] = {}
        self._search: dict[str, int] = {}
        # The roots that files' imports are looked up from, each list of them once, by number.
        self._searches: list[tuple[str, ...]] = []
        self._search_numbers: dict[tuple[str, ...], int] = {}
        self.answers = Answers()
        self.answers.register("find", self._find)
        self.answers.register("absolute", self._absolute)
        self.answers.register("may have", self.may_have)
        self.answers.register("built", self._is_built)
        self.answers.register("installed", self._is_installed)

    def _read_installed(self) -> None:
        """What is put into ``sys.modules``, by the folder or file for which it counts."""
        for path, facts in self._facts.items():
            for reach, name in reach_of_installed(path, facts, self._policy):
                self._installed.setdefault(reach, set()).add(name)

    @property
    def builds(self) -> Builds:
        return self._builds

    @property
    def roots(self) -> Roots:
        return self._roots

    @property
    def installed(self) -> Mapping[str, Collection[str]]:
        """What is put into ``sys.modules``, by the folder or file for which it counts."""
        return self._installed

    @property
    def confirmed(self) -> Collection[str]:
        """The modules of which some import shows that they are ours."""
        return self._confirmed

    # --- paths -----------------------------------------------------------------------------------------------------

    def base(self, path: str) -> str:
        """The folder that holds the topmost package of a file: "" or a path with a trailing slash."""
        folder = path[: path.rfind("/") + 1]
        found = self._base.get(folder)
        if found is None:
            found = folder
            while found and found in self._packages:
                found = parent(found)
            self._base[folder] = found
        return found

    def dotted(self, path: str) -> str:
        """The dotted name of a module, as its longest source root sees it."""
        root = next((r for r in self._naming if path.startswith(r)), "")
        name = path[len(root) :].removesuffix("/").removesuffix(".py").removesuffix("/__init__")
        return "" if name == "__init__" else name.replace("/", ".")

    def facts_of(self, module: str) -> Facts | None:
        """The facts of a module, None for a folder and for a file that has none."""
        if self.answers.trace is not None:
            self.answers.trace.add(module)
        return self._facts.get(module)

    def at(self, stem: str) -> str | None:
        """The module at a path without its suffix; a folder without Python source of its own counts last."""
        if self.answers.trace is not None:
            self.answers.trace.add(f"?{stem}")
        for path in (f"{stem}/__init__.py", f"{stem}.py"):
            if path in self.paths:
                return path
        if f"{stem}/" in self._with_python and f"{stem}/" not in self._packages:
            return f"{stem}/"
        return None

    def submodule(self, module: str, name: str) -> str | None:
        """The path of ``name`` inside a package, None when the module is no package or has no such part."""
        folder = _folder_of(module)
        return self.at(folder + name) if folder is not None else None

    def has_built_part(self, module: str, name: str) -> bool:
        """Whether a package has a part that isn't Python source here: a stub, an extension, what a build makes."""
        folder = _folder_of(module)
        if folder is None:
            return False
        facts = self.facts_of(module)
        if facts is not None and "__path__" in facts.names:
            return True
        return self._is_built(folder + name)

    def _is_built(self, stem: str) -> bool:
        """Whether something else stands for the module at a path without its suffix."""
        key = ("built", stem)
        found: bool | None = self.answers.recall(key)
        if found is None:
            outer = self.answers.begin()
            if self.answers.trace is not None:
                self.answers.trace.add("builds")
            found = self._builds.has(stem)
            self.answers.keep(outer, key, found)
        return found

    def has_stub(self, module: str) -> bool:
        """Whether a type checker reads something else in a module's place."""
        if self.answers.trace is not None:
            self.answers.trace.add("builds")
        return self._builds.has_stub(module)

    def find(self, dotted: str, importer: str) -> tuple[str, ...]:
        """The paths of an absolutely named module as ``importer`` sees it, the likeliest first.

        Regular packages and modules win over plain folders, as in Python's own path search.
        """
        return self._find(self._searched(importer), dotted)

    def _find(self, search: int, dotted: str) -> tuple[str, ...]:
        key = ("find", search, dotted)
        found: tuple[str, ...] | None = self.answers.recall(key)
        if found is None:
            outer = self.answers.begin()
            relative = dotted.replace(".", "/")
            all_found = dict.fromkeys(self.at(root + relative) for root in self._searches[search])
            present = [path for path in all_found if path is not None]
            found = tuple(sorted(present, key=lambda path: path.endswith("/")))
            self.answers.keep(outer, key, found)
        return found

    def _searched(self, importer: str) -> int:
        """The number of the roots that a file's absolute imports are looked up from, in order."""
        folder = importer[: importer.rfind("/") + 1]
        found = self._search.get(folder)
        if found is None:
            around = (*self._roots.around(folder), *self._roots.stated, *self._roots.projects)
            roots = tuple(dict.fromkeys((self.base(importer), *around)))
            found = self._search_numbers.setdefault(roots, len(self._searches))
            if found == len(self._searches):
                self._searches.append(roots)
            self._search[folder] = found
        return found

    # --- imports ---------------------------------------------------------------------------------------------------

    def imported(self, path: str, item: Import) -> Target:
        """The module that an import statement names: a module, something external, unknown or missing."""
        if item.level:
            return self._relative(path, item)
        top, target = self._absolute(self._searched(path), item.module)
        if target is not None and not _is_itself(top, path):
            return target
        return self._importer_decides(path, item)

    def all_imported(self, path: str) -> list[Target]:
        """What each of the import statements of a file names, as ``imported`` says it of one."""
        search = self._searched(path)
        imports = self._facts[path].imports
        absolute = list(dict.fromkeys([item.module for item in imports if not item.level]))
        keys = [("absolute", search, module) for module in absolute]
        known = dict(zip(absolute, self.answers.recall_all(keys), strict=True))
        relative: dict[tuple[int, str], Target] = {}
        result: list[Target] = []
        for item in imports:
            if item.level:
                asked = (item.level, item.module)
                found = relative.get(asked)
                if found is None:
                    found = relative[asked] = self._relative(path, item)
                result.append(found)
                continue
            top, target = known[item.module] or self._absolute(search, item.module)
            if target is None or _is_itself(top, path):
                target = self._importer_decides(path, item)
            result.append(target)
        return result

    def _absolute(self, search: int, dotted: str) -> tuple[str, Target | None]:
        """What an absolute import brings to all files with the same roots, and the place of the topmost package in it.

        None where it depends on the file that imports, or on the name that it imports from there.
        """
        key = ("absolute", search, dotted)
        found: tuple[str, Target | None] | None = self.answers.recall(key)
        if found is None:
            outer = self.answers.begin()
            found = self._same_for_all(search, dotted)
            self.answers.keep(outer, key, found)
        return found

    def _same_for_all(self, search: int, dotted: str) -> tuple[str, Target | None]:
        top = dotted.partition(".")[0]
        tops = self._find(search, top)
        if not tops:
            return "", External(dotted)
        places = self._find(search, dotted)
        if top in sys.stdlib_module_names:
            return tops[0], None if places else External(dotted)
        if not self._is_ours(tops[0]):
            return tops[0], External(dotted)
        return tops[0], ModuleTarget(places[0]) if len(places) == 1 else None

    def _importer_decides(self, path: str, item: Import) -> Target:
        if not self._is_first_party(path, item):
            return External(item.module)
        places = self.find(item.module, path)
        if places:
            return ModuleTarget(self._likeliest(places, item))
        if self._is_installed(item.module, path):
            return UNKNOWN
        if self._comes_from_beside(item.module, path):
            return External(item.module)
        return self._first_absent(item.module, path)

    def _likeliest(self, places: tuple[str, ...], item: Import) -> str:
        if len(places) > 1 and item.name is not None:
            for place in places:
                if self.may_have(place, item.name):
                    return place
        return places[0]

    def may_have(self, module: str, name: str) -> bool:
        """Whether a module may hold a name, going by its own text only."""
        if name == "*":
            return True
        key = ("may have", module, name)
        found: bool | None = self.answers.recall(key)
        if found is None:
            outer = self.answers.begin()
            found = self.submodule(module, name) is not None or self._may_bind(module, name)
            self.answers.keep(outer, key, found)
        return found

    def _may_bind(self, module: str, name: str) -> bool:
        facts = self.facts_of(module)
        if facts is None:
            return not module.endswith("/")
        return name in facts.names or facts.dynamic or bool(facts.stars) or facts.error is not None

    def _comes_from_beside(self, dotted: str, path: str) -> bool:
        """Whether a module that isn't in the tree may be part of a namespace package that it shares with others."""
        top, *parts = dotted.split(".")
        for place in self.find(top, path):
            module: str | None = place
            for part in parts:
                if module is None:
                    break
                if self.may_be_brought(module, part):
                    return True
                module = self.submodule(module, part)
        return False

    def may_be_brought(self, module: str, part: str) -> bool:
        """Whether a part that a folder lacks may be what another distribution brings: the folder is a namespace
        package, and all around it are."""
        if not module.endswith("/") or self.submodule(module, part) is not None:
            return False
        self.answers.use("distributions")
        roots = (*self._naming, *self._roots.around(module))
        root = max((root for root in roots if module.startswith(root)), key=len, default="")
        folder = module
        while len(folder) > len(root):
            self.answers.use(f"?{folder[:-1]}")
            if folder in self._packages:
                return False
            folder = parent(folder)
        package = module[len(root) : -1].replace("/", ".")
        return bool(package) and self._roots.distributions.bring(package, part)

    def _first_absent(self, dotted: str, path: str) -> Target:
        """Goes part by part, so that the first absent part is named."""
        known, _, rest = dotted.partition(".")
        places = self.find(known, path)
        module = places[0] if places else None
        while module is not None and rest:
            part, _, rest = rest.partition(".")
            inner = self.submodule(module, part)
            if inner is None:
                return self._absent(module, part)
            module = inner
        return ModuleTarget(module) if module is not None else Missing(dotted)

    def _absent(self, module: str, part: str) -> Target:
        facts = self.facts_of(module)
        if self.has_built_part(module, part) or (facts is None and not module.endswith("/")):
            return UNKNOWN
        if facts is not None and any(not name for name, _ in facts.installed):
            return UNKNOWN
        if facts is not None and "__getattr__" in facts.names and _folder_of(module) is None:
            return UNKNOWN  # a plain module that is asked for its __path__ may answer like a package
        name = self.dotted(module)
        return Missing(f"{name}.{part}" if name else part)

    def _relative(self, path: str, item: Import) -> Target:
        folder = path[: path.rfind("/") + 1]
        for _ in range(item.level - 1):
            if not folder:
                return Missing("." * item.level + item.module, above=True)
            folder = parent(folder)
        if not item.module:
            return ModuleTarget(self._package(folder))
        stem = folder + item.module.replace(".", "/")
        found = self.at(stem)
        if found is not None:
            return ModuleTarget(found)
        dotted = self.dotted(stem)
        if self._is_built(stem) or self._is_installed(dotted, path):
            return UNKNOWN
        if item.level > 1 and not folder and "" not in self._packages:
            return Missing("." * item.level + item.module, above=True)
        return self._relative_absent(folder, item.module)

    def _package(self, folder: str) -> str:
        """The module that a folder with files of ours is: what its ``__init__.py`` holds, or the plain folder."""
        self.answers.use(f"?{folder.removesuffix('/')}")
        own = f"{folder}__init__.py"
        return own if own in self.paths else folder

    def _relative_absent(self, folder: str, dotted: str) -> Target:
        module = self._package(folder)
        for part in dotted.split("."):
            inner = self.submodule(module, part)
            if inner is None:
                return self._absent(module, part)
            module = inner
        return ModuleTarget(module)

    def _is_installed(self, dotted: str, importer: str) -> bool:
        """Whether somebody puts a module, or a package around it, into ``sys.modules`` before it is imported here."""
        key = ("installed", dotted, importer)
        found: bool | None = self.answers.recall(key)
        if found is None:
            outer = self.answers.begin()
            if self.answers.trace is not None:
                self.answers.trace.add("installed")
            found = bool(self._installed) and self._is_put(dotted, importer)
            self.answers.keep(outer, key, found)
        return found

    def _is_put(self, dotted: str, importer: str) -> bool:
        reaches = ["", importer]
        folder = importer[: importer.rfind("/") + 1]
        while folder:
            reaches.append(folder)
            folder = parent(folder)
        parts = dotted.split(".")
        names = {".".join(parts[:end]) for end in range(1, len(parts) + 1)}
        return any(not names.isdisjoint(self._installed.get(reach, ())) for reach in reaches)

    # --- ours, or installed beside us? -------------------------------------------------------------------------------

    def _is_first_party(self, path: str, item: Import) -> bool:
        """Whether an absolute import is of this tree and of nothing that is installed beside it."""
        top = item.module.partition(".")[0]
        places = self.find(top, path)
        if not places or _is_itself(places[0], path):
            return False
        if top in sys.stdlib_module_names:
            return self._arrives(path, item)
        return self._is_ours(places[0])

    def _is_ours(self, found: str) -> bool:
        """Whether a top-level module of the tree is what an import of its name means."""
        # A plain folder gives way to an installed package of the same name (alembic/, docker/, redis/ are common), and
        # what lies beside a file is only seen from there when somebody starts it there; so these only count when
        # imports of them are seen to arrive.
        if not found.endswith("/") and parent_of(found) in self._roots.stated:
            return True
        if self.answers.trace is not None:
            self.answers.trace.add(f"!{found}")
        return found in self._confirmed

    def _arrives(self, path: str, item: Import) -> bool:
        places = self.find(item.module, path)
        if not places or _is_itself(places[0], path):
            return False
        if "." in item.module:
            return True
        if item.name is None or item.name == "*":
            return False
        # A package that imports from itself binds the name by doing so.
        return any(
            self.submodule(p, item.name) is not None if p == path else self.may_have(p, item.name)
            for p in places
        )

    def confirmed_by(self, path: str) -> set[str]:
        """The modules of which a file's imports show that they are ours."""
        result: set[str] = set()
        facts = self._facts[path]
        search = self._searched(path)
        # Topmost packages that need no further look.
        settled: set[str] = set()
        for index, item in enumerate(facts.imports):
            if item.level:
                continue
            top = item.module.partition(".")[0]
            if top in settled or top in sys.stdlib_module_names:
                continue
            places = self._find(search, top)
            if not places or places[0] in result:
                settled.add(top)
            elif self._arrives(path, item) or (
                item.name is None
                and not _is_itself(places[0], path)
                and any(self.may_have(places[0], name) for name in self._read_through(path, index))
            ):
                result.add(places[0])
                settled.add(top)
        return result

    def _read_through(self, path: str, index: int) -> Iterator[str]:
        """The first attributes that a file reads of a module that it imports as a whole."""
        self.answers.use(f"~{path}")
        facts = self._facts[path]
        bindings = {
            number
            for number, binding in enumerate(facts.bindings)
            if binding.kind in {IMPORT, IMPORT_TOP} and binding.index == index
        }
        for reference in facts.references:
            if reference.expr.attributes and not bindings.isdisjoint(reference.expr.candidates):
                yield reference.expr.attributes[0]


def reach_of_installed(path: str, facts: Facts, policy: Policy) -> list[tuple[str, str]]:
    """What a file puts into ``sys.modules``, each with the file or folder for which it counts."""
    result = []
    for name, import_time in facts.installed:
        if not import_time or (policy.zone(path) is Zone.TEST and not path.endswith("conftest.py")):
            reach = path
        elif path.endswith("conftest.py"):
            reach = path[: path.rfind("/") + 1]
        else:
            reach = ""
        result.append((reach, name))
    return result


def folders_of(paths: Iterable[str]) -> tuple[set[str], set[str]]:
    """The folders that are packages, and those that hold any Python, however deep; with trailing slashes."""
    packages: set[str] = set()
    with_python: set[str] = set()
    for path in paths:
        folder = path[: path.rfind("/") + 1]
        if path.endswith(("/__init__.py", "/__init__.pyi")):
            packages.add(folder)
        if path.endswith(IMPORTABLE):
            while folder not in with_python:
                with_python.add(folder)
                folder = parent(folder)
    return packages, with_python


def parent(folder: str) -> str:
    """The folder around one: "a/b/" -> "a/", "a/" -> ""."""
    return posixpath.dirname(folder.rstrip("/")) + "/" if "/" in folder.rstrip("/") else ""


def parent_of(module: str) -> str:
    """The folder that a module is imported from: of "a/b.py" and of "a/b/__init__.py" it is "a/"."""
    return parent(module.removesuffix("__init__.py") if module.endswith("/__init__.py") else module)


def _is_itself(module: str, importer: str) -> bool:
    """Whether a plain module would import itself: what it means then is something installed of the same name."""
    return module == importer and not module.endswith("__init__.py")


def _folder_of(module: str) -> str | None:
    """The folder whose files are a package's submodules; None for a plain module."""
    if module.endswith("/") or not module:
        return module
    if module.endswith("/__init__.py"):
        return module[: -len("__init__.py")]
    return "" if module == "__init__.py" else None
