"""A mutation test over a generated tree: members are deleted; what must be found, and what a type checker says."""

import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from audits.engine.cache import MemoryFactsStore
from audits.engine.git import GitRepository
from audits.engine.policy import Policy
from audits.engine.report import as_json
from audits.engine.run import audit
from tests.audits.engine.harness import findings_of
from tests.samples import commit_tree, init_repository

ENUMS = 12
USERS = 30
MEMBERS = ("RED", "GREEN", "BLUE", "GREY", "BLACK")

Place = tuple[str, int, str]  # path, line, "Enum.MEMBER"


def tree(seed: int) -> tuple[dict[str, str], dict[Place, tuple[int, str]]]:
    """A tree of enums, shims and users, and where which member of which enum is read."""
    rng = random.Random(seed)
    files = {"pkg/__init__.py": "", "pkg/shims/__init__.py": "", "users/__init__.py": ""}
    for number in range(ENUMS):
        body = "".join(f"    {member} = {n}\n" for n, member in enumerate(MEMBERS))
        # Several enums have one name: only the import tells which is meant.
        files[f"pkg/kinds{number}.py"] = (
            f"from enum import Enum\n\n\nclass Kind{number % 4}(Enum):\n{body}\n    def shade(self) -> int:\n"
            f"        return {number}\n"
        )
        files[f"pkg/shims/s{number}.py"] = (
            f"from pkg.kinds{number} import Kind{number % 4} as Kind{number % 4}\n"
        )
    reads: dict[Place, tuple[int, str]] = {}
    for user in range(USERS):
        path, lines = f"users/u{user}.py", ["import sys"]
        for step in range(rng.randint(2, 9)):
            number, member = rng.randrange(ENUMS), rng.choice(MEMBERS)
            name, alias = f"Kind{number % 4}", f"k{step}"
            form = rng.randrange(5)
            binding, expression = (
                (f"from pkg.kinds{number} import {name} as {alias}", f"{alias}.{member}"),
                (f"from pkg.shims.s{number} import {name} as {alias}", f"{alias}.{member}.value"),
                (f"import pkg.kinds{number} as {alias}", f"{alias}.{name}.{member}"),
                (f"from pkg import kinds{number} as {alias}", f"[{alias}.{name}.{member} for _ in (1, 2)]"),
                (f"from pkg.shims import s{number} as {alias}", f"{alias}.{name}.{member}.shade()"),
            )[form]
            if rng.random() < 0.5:
                lines += [binding, f"def f{step}() -> object:", f"    return {expression}"]
            else:
                lines += [f"def f{step}() -> object:", f"    {binding}", f"    return {expression}"]
            reads[path, len(lines), f"{name}.{member}"] = (number, member)
        lines.append("print(sys.argv, 'Kind0.RED')  # Kind0.RED")
        files[path] = "\n".join(lines) + "\n"
    return files, reads


def without(files: dict[str, str], gone: set[tuple[int, str]]) -> dict[str, str]:
    """The tree in which some members are deleted."""
    smaller = dict(files)
    for number, member in gone:
        path = f"pkg/kinds{number}.py"
        smaller[path] = re.sub(rf"    {member} = \d\n", "", smaller[path])
    return smaller


def some_members(seed: int) -> set[tuple[int, str]]:
    rng = random.Random(-seed)
    return {(rng.randrange(ENUMS), rng.choice(MEMBERS)) for _ in range(10)}


def seen(files: dict[str, str]) -> set[Place]:
    findings = findings_of(files)
    assert {f.rule for f in findings} <= {"missing-member"}
    return {(f.path, f.line, ".".join(f.subject.split(".")[-2:])) for f in findings}


@pytest.mark.parametrize("seed", range(12))
def test_deleting_members_produces_exactly_their_reads(seed: int) -> None:
    files, reads = tree(seed)
    gone = some_members(seed)
    assert seen(files) == set()
    assert seen(without(files, gone)) == {place for place, read in reads.items() if read in gone}


def test_a_type_checker_says_the_same(tmp_path: Path) -> None:
    files, _ = tree(883)
    gone = some_members(883)
    smaller = without(files, gone)
    for path, text in smaller.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "--config-file=", "users"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    # mypy names a class by its alias where it was imported under one, so the line is what is compared.
    told = re.findall(
        r'^(\S+?):(\d+): error: "type\[Kind\d\]" has no attribute "(\w+)"', done.stdout, re.MULTILINE
    )
    assert len(told) > 10, done.stdout + done.stderr
    assert {(path, int(line), member) for path, line, member in told} == {
        (path, line, subject.partition(".")[2]) for path, line, subject in seen(smaller)
    }


def test_any_number_of_workers_in_any_order_gives_the_same_bytes(tmp_path: Path) -> None:
    files = without(tree(7)[0], some_members(7))
    backwards = dict(reversed(files.items()))
    reports = set()
    for name, contents, workers in (
        ("a", files, 1),
        ("b", backwards, 2),
        ("c", files, 3),
        ("d", backwards, 5),
    ):
        path = init_repository(tmp_path / name)
        commit_tree(path, contents, "All of it", 1_700_000_000, [])
        git = GitRepository(path)
        reports.add(as_json(audit(git, git.resolve(), Policy(), MemoryFactsStore(), workers=workers)))
    assert len(reports) == 1
    assert b'"missing-member"' in reports.pop()
