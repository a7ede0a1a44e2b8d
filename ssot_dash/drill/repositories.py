"""Repositories to audit in a drill, made anew each time: one that takes a while, and one that takes next to nothing."""

from collections.abc import Mapping
from pathlib import Path

import pygit2
from pygit2.enums import FileMode

_ENUM = "from enum import Enum\n\n\nclass IDType(Enum):\n    USER = 'user'\n"
_USE = "from app.ids import IDType\n\nRUN = IDType.RUN\n"


def large(path: Path, files: int = 300, functions: int = 300) -> Path:
    """Much code, of which each tenth file names a member that there isn't."""
    written = {"app/__init__.py": "", "app/ids.py": _ENUM}
    for number in range(files):
        body = "".join(
            f"def f{n}(a, b={number}):\n    return [a + b * {n}, {{a: b}}]\n\n\n" for n in range(functions)
        )
        written[f"app/m{number}.py"] = (_USE if number % 10 == 0 else "") + body
    return commit(path, written)


def small(path: Path) -> Path:
    """Three files with one violation."""
    return commit(path, {"app/__init__.py": "", "app/ids.py": _ENUM, "app/use.py": _USE})


def greedy(path: Path) -> Path:
    """Files within every limit of size that make a parser ask for as much memory and depth as it can get."""
    return commit(
        path,
        {
            "app/__init__.py": "",
            "app/ids.py": _ENUM,
            "app/use.py": _USE,
            "minus.py": "x = " + "-" * 10_000 + "1\n",
            "deep.py": "(" * 5_000 + ")" * 5_000 + "\n",
            "long.py": "x=1;" * 120_000 + "x=1\n",
            "wide.py": "x = [" + "[]," * 150_000 + "]\n",
        },
    )


def commit(path: Path, files: Mapping[str, str]) -> Path:
    """A bare repository with these files in its one commit, on the branch main."""
    repository = pygit2.init_repository(str(path), bare=True, initial_head="main")
    index = pygit2.Index()
    for name, text in files.items():
        index.add(pygit2.IndexEntry(name, repository.create_blob(text.encode()), FileMode.BLOB))
    who = pygit2.Signature("Drill", "drill@example.org", 1_700_000_000, 0)
    tree = index.write_tree(repository)
    repository.create_commit("refs/heads/main", who, who, "What a drill audits", tree, [])
    return path
