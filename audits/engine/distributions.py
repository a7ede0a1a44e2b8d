"""The distributions that project files name: those which a repository makes, and those which it needs.

A folder without ``__init__`` is a namespace package: its parts may come from several distributions, so ``google.auth``
isn't absent where the tree has no more of ``google`` than ``google/cloud/storage``. Nobody looks at what is installed,
but a distribution is mostly called like what it brings.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

from audits.engine.project_files import at, list_at, read_ini, read_toml, strings, table_at

_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_SEPARATORS = re.compile(r"[-_.]+")


class Distributions(NamedTuple):
    """Names as PEP 503 compares them: ``own`` distributions, and those that are ``needed``."""

    own: frozenset[str] = frozenset()
    needed: frozenset[str] = frozenset()

    def bring(self, package: str, part: str) -> bool:
        """Whether a part of a namespace package may come from elsewhere: a distribution is called like it, or our own
        is called like a part of the topmost package, which it hence shares with others."""
        whole = _SEPARATORS.sub("-", f"{package}.{part}").lower()
        shared = _SEPARATORS.sub("-", package.partition(".")[0]).lower() + "-"
        return any(name.startswith(shared) for name in self.own) or any(
            name == whole or name.startswith(f"{whole}-") for name in self.needed
        )

    def with_those(self, other: "Distributions") -> "Distributions":
        return Distributions(self.own | other.own, self.needed | other.needed)


@lru_cache(maxsize=256)  # the same text means the same at every commit
def named_in(name: str, text: str) -> Distributions:
    """What a ``pyproject.toml`` or a ``setup.cfg`` names."""
    own, needed = _of_pyproject(text) if name == "pyproject.toml" else _of_setup_cfg(text)
    return Distributions(normal(own), normal(needed))


def normal(requirements: Iterable[str]) -> frozenset[str]:
    """The names that requirements begin with."""
    found = (_NAME.match(text) for text in requirements)
    return frozenset(_SEPARATORS.sub("-", match[1]).lower() for match in found if match)


def _of_pyproject(text: str) -> tuple[list[str], list[str]]:
    data = read_toml(text)
    tables = [
        table_at(data, "tool.poetry.dependencies"),
        table_at(data, "tool.poetry.dev-dependencies"),
        *(table_at(group, "dependencies") for group in table_at(data, "tool.poetry.group").values()),
    ]
    groups = [table_at(data, "project.optional-dependencies"), table_at(data, "dependency-groups")]
    lists = [list_at(data, "project.dependencies")]
    lists += [value for group in groups for value in group.values() if isinstance(value, list)]
    own = strings((at(data, "project.name"), at(data, "tool.poetry.name")))
    return [*own], [*chain(*tables), *strings(chain(*lists))]


def _of_setup_cfg(text: str) -> tuple[list[str], list[str]]:
    sections = read_ini(text)
    needed = sections.get("options", "install_requires", fallback="").splitlines()
    if sections.has_section("options.extras_require"):
        needed += [
            line for _, value in sections.items("options.extras_require") for line in value.splitlines()
        ]
    return [sections.get("metadata", "name", fallback="")], needed
