"""Repositories to audit in a drill, made anew each time: one that takes a while, and one that takes next to nothing."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pygit2
from pygit2.enums import FileMode

from ssot_dash.embedded.data import BASE_DIR

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


@dataclass(frozen=True, slots=True)
class Server:
    """A git server over https: its address (``host:port``), and the file of the authority that vouches for it."""

    address: str
    authority: str

    def url(self, name: str) -> str:
        return f"https://{self.address}/{name}"

    @property
    def settings(self) -> dict[str, str]:
        """What a site needs to fetch from it."""
        return {"SSOT_GIT_HOSTS": self.address, "SSOT_GIT_CA_FILE": self.authority}


@contextmanager
def served(folder: Path, **paths: Path) -> Iterator[Server | None]:
    """Repositories over https, by the server of the tests in a process of its own; None without what tests need."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.samples.git_server", folder, *(f"{k}={v}" for k, v in paths.items())],
        cwd=BASE_DIR,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        said = process.stdout.readline().split()
        try:
            yield Server(*said) if said else None
        finally:
            process.stdin.close()
