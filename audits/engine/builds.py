"""What a repository's build makes: modules that exist at run time although no Python file of the tree holds them."""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from audits.engine.globs import translate

# Files next to where a module would be that stand for it: stubs, extension modules and what those are compiled from.
_STANDS_FOR_MODULE = frozenset({"pyi", "pyx", "pxd", "so", "pyd", "c", "cc", "cpp", "rs"})
# Generators: the tail of a module's name, and the suffix of the file that it is generated from.
_GENERATED = (("_pb2_grpc", "proto"), ("_pb2", "proto"), ("Lexer", "g4"), ("Parser", "g4"), ("Visitor", "g4"))
_MATTERING = _STANDS_FOR_MODULE | {suffix for _, suffix in _GENERATED}
# Texts that say what is built.
BUILD_FILES = frozenset({".gitignore", "pyproject.toml", "meson.build", "CMakeLists.txt"})

_MAX_PATTERNS = 5_000
_MAX_MATCHED = 50_000
_MAX_PATTERN_LENGTH = 500
_QUOTED_NAME = re.compile(r"""(['"])([A-Za-z_]\w*(?:\.\w+)*)\1""")
_CMAKE_MODULE = re.compile(r"(?:add_library|add_module|add_extension\w*)\s*\(\s*(\w+)", re.IGNORECASE)
_PYPROJECT_MODULE = re.compile(
    r"""^\s*(?:module-name|name|target|version[-_]file|write[-_]to)\s*=\s*["'](\w+[./][\w./]+)["']""",
    re.MULTILINE,
)


class Builds:
    """Whether a module that isn't there as Python source may be there all the same."""

    def __init__(
        self,
        paths: Iterable[str],
        texts: Mapping[str, str],
        declared: Iterable[str],
        tracked: Iterable[str] = (),
    ) -> None:
        """``texts`` are the contents of the ``BUILD_FILES`` by path, ``declared`` modules that setup scripts make;
        ``tracked`` are folders that hold Python files beside those among ``paths`` (no slash at the end)."""
        self._stems: set[str] = set()
        self._opaque: set[str] = set()
        self._sources: set[str] = set()
        self._tracked = set(tracked)
        self._stubs: set[str] = set()
        self._stubbed: set[str] = set()
        for path in paths:
            self._add_path(path)
        self._ignored = [
            (path[: path.rfind("/") + 1], _ignore_of(text))
            for path, text in sorted(texts.items())
            if path.rpartition("/")[2] == ".gitignore"
        ]
        self._declared = {name.replace(".", "/") for name in declared}
        for path, text in texts.items():
            self._declared.update(_declared_in(path, text))

    def _add_path(self, path: str) -> None:
        folder, _, name = path.rpartition("/")
        stem, *suffixes = name.split(".")
        if not suffixes:
            self._opaque.add(path)  # a submodule, a link to a folder
            return
        if suffixes[-1] == "py":
            self._tracked.add(folder)
        elif not _STANDS_FOR_MODULE.isdisjoint(suffixes):
            self._stems.add(f"{folder}/{stem}" if folder else stem)
            if stem == "__init__":
                self._stems.add(folder)
            if suffixes[-1] == "pyi":
                self._stubs.add(path)
                self._stubbed.update(
                    f.removesuffix("-stubs") for f in folder.split("/") if f.endswith("-stubs")
                )
        self._sources.add(f"{stem}.{suffixes[-1]}")

    @staticmethod
    def cares_for(path: str) -> bool:
        """Whether a path that is no Python source can matter here."""
        suffixes = path[path.rfind("/") + 1 :].split(".")[1:]
        return not suffixes or not _MATTERING.isdisjoint(suffixes)

    def answers_like(self, other: "Builds") -> bool:
        """Whether another answers every question in the same way."""
        return self._decisive() == other._decisive()

    def _decisive(self) -> tuple[object, ...]:
        generated = {f".{suffix}" for _, suffix in _GENERATED}
        return (
            self._stems,
            self._opaque,
            self._stubs,
            self._stubbed,
            self._declared,
            {source for source in self._sources if source[source.rfind(".") :] in generated},
            [(base, ignore.text) for base, ignore in self._ignored],
            {folder for folder in self._tracked if self.may_ignore(f"{folder}/")},
        )

    @property
    def ignores(self) -> bool:
        """Whether git ignores anything here."""
        return bool(self._ignored)

    def may_ignore(self, path: str) -> bool:
        """Whether a pattern matches a file or a folder around it."""
        return any(path.startswith(b) and ignore.matches(path[len(b) :]) for b, ignore in self._ignored)

    def has(self, stem: str) -> bool:
        """Whether something stands for the module at a path without its suffix."""
        if stem in self._stems or stem in self._opaque or not self._opaque.isdisjoint(_folders(stem)):
            return True
        name = stem.rpartition("/")[2]
        for tail, suffix in _GENERATED:
            if name.endswith(tail) and f"{name.removesuffix(tail)}.{suffix}" in self._sources:
                return True
        return any(f"/{stem}".endswith(f"/{name}") for name in self._declared) or self._is_ignored(stem)

    def has_stub(self, module: str) -> bool:
        """Whether a stub stands beside a module, or a folder of stubs beside its package (``package-stubs``)."""
        return f"{module}i" in self._stubs or not self._stubbed.isdisjoint(module.split("/"))

    def _is_ignored(self, stem: str) -> bool:
        for base, ignore in self._ignored:
            inner = stem[len(base) :]
            if stem.startswith(base) and (
                ignore.matches(f"{inner}.py") or ignore.matches(f"{inner}/__init__.py")
            ):
                return not self._is_tracked(base, inner, ignore)
        return False

    def _is_tracked(self, base: str, inner: str, ignore: "_Ignore") -> bool:
        """Whether it is for a folder that a pattern matches, and Python files of that folder are tracked anyway."""
        return any(
            base + folder in self._tracked and ignore.matches(f"{folder}/") for folder in _folders(inner)
        )


class _Ignore:
    """The patterns of one ``.gitignore``, for paths below its folder."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._patterns: list[tuple[re.Pattern[str], bool, bool]] = []
        of_names, of_paths = [], []
        for line in text.splitlines()[:_MAX_PATTERNS]:
            glob = re.sub(r"(?<!\\) +$", "", line)
            if glob.startswith("#") or len(glob) > _MAX_PATTERN_LENGTH:
                continue
            negates = glob.startswith("!")
            for_folders = glob.endswith("/")
            glob = glob.removeprefix("!").removesuffix("/")
            if glob:
                anchored = glob.removeprefix("/") if "/" in glob else f"**/{glob}"
                try:
                    pattern = re.compile(translate(anchored))
                except re.error:
                    continue  # git takes no notice of such a line either
                self._patterns.append((pattern, negates, for_folders))
                if "/" in glob:
                    of_paths.append(pattern.pattern)
                else:
                    of_names.append(translate(glob))
        self._any_name = re.compile("|".join(of_names) or r"(?!)")
        self._any_path = re.compile("|".join(of_paths) or r"(?!)")
        self._names: dict[str, bool] = {}
        self._matched: dict[str, bool] = {}

    def matches(self, path: str) -> bool:
        """Whether git ignores a path: itself, or a folder around it. A folder's path ends in a slash."""
        unknown = []
        is_ignored: bool | None = False
        while path and (is_ignored := self._matched.get(path)) is None:
            unknown.append(path)
            path = path[: path.rfind("/", 0, -1) + 1]
        if len(self._matched) >= _MAX_MATCHED:
            self._matched.clear()
        for part in reversed(unknown):
            own = part.removesuffix("/")
            is_ignored = is_ignored or self._decide(own, is_folder=own != part)
            self._matched[part] = is_ignored
        return bool(is_ignored)

    def _decide(self, path: str, *, is_folder: bool) -> bool:
        if not self._may_match_name(path[path.rfind("/") + 1 :]) and not self._any_path.match(path):
            return False  # almost always, so it is asked at once
        for pattern, negates, for_folders in reversed(self._patterns):
            if (is_folder or not for_folders) and pattern.match(path):
                return not negates
        return False

    def _may_match_name(self, name: str) -> bool:
        """Whether one of the patterns for names matches it. There are far fewer names than paths."""
        found = self._names.get(name)
        if found is None:
            if len(self._names) >= _MAX_MATCHED:
                self._names.clear()
            found = self._names[name] = bool(self._any_name.match(name))
        return found


@lru_cache(maxsize=16)
def _ignore_of(text: str) -> _Ignore:
    """The same text means the same at every commit, and in every folder."""
    return _Ignore(text)


def _folders(path: str) -> Iterator[str]:
    """The folders around a path, the nearest first, without trailing slashes."""
    while (end := path.rfind("/")) > 0:
        path = path[:end]
        yield path


def _declared_in(path: str, text: str) -> Iterator[str]:
    name = path.rpartition("/")[2]
    if name == "meson.build":
        for found in _QUOTED_NAME.finditer(text):
            yield found[2].replace(".", "/")
    elif name == "CMakeLists.txt":
        for found in _CMAKE_MODULE.finditer(text):
            yield found[1]
    elif name == "pyproject.toml":
        for found in _PYPROJECT_MODULE.finditer(text):
            yield found[1].removesuffix(".py").replace(".", "/")
