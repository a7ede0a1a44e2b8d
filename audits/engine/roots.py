"""The folders that imports start from, as the policy states them and as a repository's own project files do."""

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from audits.engine.distributions import Distributions, named_in, normal
from audits.engine.facts import Facts, literals_of
from audits.engine.project_files import at, list_at, read_ini, read_toml, strings, table_at

# Texts that say where a project's sources lie.
PROJECT_FILES = frozenset({"pyproject.toml", "setup.cfg", "pytest.ini", "tox.ini"})
_MARKERS = frozenset({"pyproject.toml", "setup.cfg", "manage.py"})
# Names of all files that matter here.
ROOT_FILES = PROJECT_FILES | _MARKERS | {"conftest.py", "setup.py"}


class Roots:
    """Source roots: folders as "" or with a trailing slash."""

    def __init__(
        self,
        stated: Iterable[str],
        paths: Iterable[str],
        facts: Mapping[str, Facts],
        texts: Mapping[str, str],
        packages: set[str],
        with_python: set[str],
    ) -> None:
        """``stated`` are the policy's; ``packages`` and ``with_python`` the folders that hold an ``__init__`` or any
        Python at all."""
        self.stated = tuple(dict.fromkeys(_normal(root) for root in stated))
        self._with_python = with_python
        self._projects: dict[str, dict[str, None]] = {}
        self._declared: set[str] = set()
        self.distributions = Distributions()
        # Of several roots that a folder has, the first file's come first, whatever order the paths were given in.
        for path in sorted(path for path in paths if path[path.rfind("/") + 1 :] in ROOT_FILES):
            self._read(path, facts, texts, packages)
        self.projects = self._unambiguous(packages)
        self._around: dict[str, tuple[str, ...]] = {}

    def _read(
        self, path: str, facts: Mapping[str, Facts], texts: Mapping[str, str], packages: set[str]
    ) -> None:
        folder, name = path[: path.rfind("/") + 1], path[path.rfind("/") + 1 :]
        self._take_names(name, texts.get(path, ""), facts.get(path))
        if name == "conftest.py":
            # A test runner puts its folder on the path, unless that is a package.
            found = [] if folder in packages else [folder]
        elif name in _MARKERS or (name == "setup.py" and _is_setup(facts.get(path))):
            found = [folder, f"{folder}src/"]
        else:
            found = []
        if name in PROJECT_FILES:
            found.extend(_normal(folder + inner) for inner in _declared_in(name, texts.get(path, "")))
        known = [root for root in found if root in self._with_python]
        if known:
            self._projects.setdefault(folder, {}).update(dict.fromkeys(known))
            if name != "conftest.py":
                self._declared.update(known)

    def _take_names(self, name: str, text: str, facts: Facts | None) -> None:
        """Takes down the distributions that a file names."""
        if name in {"pyproject.toml", "setup.cfg"}:
            self.distributions = self.distributions.with_those(named_in(name, text))
        elif name == "setup.py" and facts is not None and _is_setup(facts):
            # It isn't clear which of its strings is what: each may name what it makes, or what that needs.
            names = normal(str(literal.value) for literal in literals_of(facts))
            self.distributions = self.distributions.with_those(Distributions(names, names))

    def _unambiguous(self, packages: set[str]) -> tuple[str, ...]:
        """The projects' roots whose packages nobody confuses with others: no other root holds one of the same name."""
        roots = {root for root in self._declared if root not in packages and root not in self.stated}
        tops: dict[str, list[str]] = {}
        for folder in packages:
            for root in (*roots, *self.stated):
                if folder.startswith(root) and folder.count("/") == root.count("/") + 1:
                    tops.setdefault(folder[len(root) :], []).append(root)
        confused = {root for found in tops.values() if len(set(found)) > 1 for root in found}
        holding = {root for found in tops.values() for root in found}
        return tuple(sorted((roots & holding) - confused))

    @property
    def by_folder(self) -> dict[str, tuple[str, ...]]:
        """The roots of the project that begins in a folder, by folder."""
        return {folder: tuple(roots) for folder, roots in self._projects.items()}

    def differing(self, other: "Roots") -> set[str]:
        """The folders whose projects have other roots than in ``other``."""
        folders = self._projects.keys() | other._projects.keys()
        return {f for f in folders if list(self._projects.get(f, ())) != list(other._projects.get(f, ()))}

    def around(self, folder: str) -> tuple[str, ...]:
        """The roots of the projects that a folder lies in, the innermost first."""
        found = self._around.get(folder)
        if found is None:
            outer = self.around(_parent(folder)) if folder else ()
            found = self._around[folder] = tuple(dict.fromkeys((*self._projects.get(folder, ()), *outer)))
        return found


def _parent(folder: str) -> str:
    return folder[: folder.rstrip("/").rfind("/") + 1]


def _normal(root: str) -> str:
    """ "./src" and "src/" -> "src/", "." -> "" """
    parts = [part for part in root.split("/") if part not in {"", "."}]
    return "/".join(parts) + "/" if parts else ""


def _is_setup(facts: Facts | None) -> bool:
    return facts is not None and any(
        item.module.partition(".")[0] in {"setuptools", "distutils"} for item in facts.imports
    )


@lru_cache(maxsize=256)
def _declared_in(name: str, text: str) -> tuple[str, ...]:
    """The same text means the same at every commit, and in every folder."""
    return tuple(_declared(name, text))


def _declared(name: str, text: str) -> Iterator[str]:
    if name == "pyproject.toml":
        data = read_toml(text)
        for keys in (
            "tool.pytest.ini_options.pythonpath",
            "tool.setuptools.packages.find.where",
            "tool.maturin.python-source",
        ):
            yield from strings([at(data, keys), *list_at(data, keys)])
        yield from strings(at(table, "from") for table in list_at(data, "tool.poetry.packages"))
        yield from strings([table_at(data, "tool.setuptools.package-dir").get("")])
        keys = "tool.hatch.build.targets.wheel.packages"
        for package in strings([at(data, keys), *list_at(data, keys)]):
            yield package.rpartition("/")[0]
        return
    sections = read_ini(text)
    for section in ("pytest", "tool:pytest"):
        yield from sections.get(section, "pythonpath", fallback="").split()
    yield from sections.get("options.packages.find", "where", fallback="").split()
    for line in sections.get("options", "package_dir", fallback="").splitlines():
        package, _, folder = line.partition("=")
        if not package.strip():
            yield folder.strip()
