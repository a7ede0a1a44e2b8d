"""Possible duplicates: what stands in one group, what doesn't, and in which order."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audits.engine.cache import MemoryFactsStore
from audits.engine.duplicates import Duplicates, Group, Relation, declaration, duplicates, grouped
from audits.engine.duplicates_command import as_json, as_text
from audits.engine.findings import Zone
from audits.engine.git import GitRepository
from audits.engine.policy import Policy, parse_policy
from audits.engine.sketches import sketches_of
from tests.audits.engine.harness import found
from tests.samples import commit_tree, init_repository

ROOT = Path(__file__).resolve().parents[3]


VERBS = ("stir", "whisk", "fold", "rest")


def function(
    name: str, *, last: str = "return mixer.pour(bowl)", indent: str = "", verbs: tuple[str, ...] = VERBS
) -> str:
    """A function of some ten lines; ``last`` is its last one."""
    lines = [
        f"def {name}(bowl, spoons):",
        *(f"    bowl.{verb}(spoons.{verb}_count, Kind.{verb.upper()})" for verb in verbs),
        "    if bowl.is_full and not spoons:",
        "        raise Overflow(bowl.size)",
        "    for spoon in spoons:",
        "        spoon.clean(water=bowl.water)",
        f"    {last}",
    ]
    return "\n".join(indent + line for line in lines) + "\n"


BAKE = function("bake", verbs=("heat", "open", "close", "carry"))


def groups_of(files: Mapping[str, str], policy: str = "") -> tuple[Group, ...]:
    sketches = {path: sketches_of(text.encode()) for path, text in files.items()}
    return grouped(sketches, parse_policy(policy), lambda path: path.removesuffix(".py").replace("/", "."))


def shown(groups: tuple[Group, ...]) -> list[tuple[str, list[str]]]:
    return [(g.relation, [d.symbol for d in g.definitions]) for g in groups]


def test_a_copied_function_under_another_name_is_found() -> None:
    files = {"app/kitchen.py": function("mix"), "app/bar.py": "import os\n\n\n" + function("shake")}
    assert shown(groups_of(files)) == [("identical", ["app.bar.shake", "app.kitchen.mix"])]


def test_a_copy_that_was_edited_is_found_with_how_much_is_the_same() -> None:
    files = {"app/a.py": function("mix"), "app/b.py": function("mix", last="return bowl.serve(Kind.WARM)")}
    (group,) = groups_of(files)
    assert group.relation is Relation.SIMILAR
    assert group.definitions[0].likeness == 1
    assert 0.75 <= (group.definitions[1].likeness or 0) < 1


def test_two_classes_of_one_name_are_found_whatever_they_do() -> None:
    files = {
        "app/a.py": "class Health:\n    def up(self): return 1\n",
        "app/b.py": "class Health:\n    def " + function("x", indent="    ").strip().removeprefix("def "),
    }
    assert shown(groups_of(files)) == [("same-name", ["app.a.Health", "app.b.Health"])]


def test_what_stands_in_one_module_is_its_own_affair() -> None:
    assert groups_of({"app/a.py": function("mix") + function("shake")}) == ()


def test_short_bodies_and_conventions_are_no_duplicates() -> None:
    short = "def get(self):\n    return self.x\n"
    main = "class Command:\n    pass\ndef main():\n" + function("x", indent="    ")
    test = "class TestIt:\n    pass\n"
    files = {f"app/{n}.py": short for n in "ab"} | {f"tests/test_{n}.py": test for n in "ab"}
    assert groups_of(files) == ()
    assert [d.name for g in groups_of({"a.py": main, "b.py": main}) for d in g.definitions] == [
        "main",
        "main",
    ]


def test_methods_of_copied_classes_are_not_named_again() -> None:
    cls = (
        "class Mixer:\n"
        + function("mix", indent="    ")
        + function("shake", verbs=("rattle", "roll", "wait", "open"), indent="    ")
    )
    assert shown(groups_of({"a.py": cls, "b.py": cls})) == [("identical", ["a.Mixer", "b.Mixer"])]
    other = "class Oven:\n    heat = 3\n" + function("mix", indent="    ")
    assert ("identical", ["a.Mixer.mix", "o.Oven.mix"]) in shown(groups_of({"a.py": cls, "o.py": other}))


def test_production_code_comes_first_and_its_definition_is_proposed_as_owner() -> None:
    files = {
        "tests/deep/test_a.py": function("mix"),
        "app/core/mixing.py": function("mix"),
        "archive/old.py": function("mix"),
        "tests/one.py": BAKE,
        "tests/two.py": BAKE.replace("heat", "toast"),
    }
    first, *_ = groups_of(files)
    assert [d.zone for d in first.definitions] == [Zone.PROD, Zone.TEST, Zone.ARCHIVE]
    assert first.definitions[0].symbol == "app.core.mixing.mix"


def test_a_declared_owner_makes_violations_of_the_others() -> None:
    files = {"app/a.py": "class Health:\n    up = 1\n", "app/b.py": "class Health:\n    down = 1\n"}
    (group,) = groups_of(files)
    policy = "version = 1\n" + declaration(group, owner=1)
    assert found(files, policy=policy) == [("unique-definition", "app/a.py:1", "app.b.Health", "import_time")]


def test_classes_of_different_names_are_declared_as_a_family() -> None:
    body = function("mix", indent="    ")
    files = {"app/a.py": f"class FastMixer:\n{body}", "app/b.py": f"class Mixer:\n{body}"}
    (group,) = groups_of(files)
    policy = "version = 1\n" + declaration(group)
    assert found(files, policy=policy) == [("name-family", "app/b.py:1", "FastMixer: Mixer", "import_time")]


def test_no_module_can_own_a_convention() -> None:
    (group,) = groups_of({"a.py": function("main"), "b.py": function("main")})
    assert (group.names, declaration(group)) == (("main",), "")


def test_no_table_can_own_methods_or_functions_of_different_names() -> None:
    (group,) = groups_of({"a.py": function("mix"), "b.py": function("shake")})
    assert declaration(group) == ""


@settings(max_examples=50, deadline=None)
@given(st.permutations(["a.py", "b.py", "c/d.py", "tests/test_e.py"]), st.sampled_from(["mix", "shake"]))
def test_the_order_of_files_changes_nothing(order: list[str], name: str) -> None:
    files = {
        "a.py": function("mix"),
        "b.py": function(name, last="return 1"),
        "c/d.py": function("mix") + "class A: pass\n",
        "tests/test_e.py": "class A:\n    x = 1\n" + function(name),
    }
    assert groups_of({path: files[path] for path in order}) == groups_of(files)


@pytest.fixture
def copies(tmp_path: Path) -> Path:
    path = init_repository(tmp_path / "copies")
    files: dict[str, str | bytes] = {f"app/m{n}.py": function(f"f{n}") for n in range(60)}
    commit_tree(path, files | {"tests/big.py": b"#" * 600_000}, "Copy", 1_700_000_000, [])
    return path


def report_of(path: Path, workers: int, store: MemoryFactsStore) -> Duplicates:
    git = GitRepository(path)
    return duplicates(git, git.resolve(), Policy(), store, workers=workers)


def test_any_number_of_workers_gives_the_same_bytes_and_the_second_time_nothing_is_read(copies: Path) -> None:
    store = MemoryFactsStore()
    reports = {as_json(report_of(copies, workers, MemoryFactsStore())) for workers in (1, 2, 3)}
    reports |= {as_json(report_of(copies, 1, store)), as_json(report_of(copies, 1, store))}
    assert len(reports) == 1
    value = json.loads(reports.pop())
    assert [len(group["definitions"]) for group in value["groups"]] == [60]
    assert [(p["path"], p["kind"]) for p in value["problems"]] == [("tests/big.py", "too-large")]


def test_text_says_what_could_not_be_looked_at(copies: Path) -> None:
    text = as_text(report_of(copies, 1, MemoryFactsStore()))
    assert "60 places" in text and "and 48 more" in text
    assert "could not look at tests/big.py: too-large" in text


def test_the_command_line_of_the_engine(copies: Path, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "audits.engine",
        "duplicates",
        str(copies),
        "--zone",
        "prod",
        "--format",
        "json",
    ]
    environment = {"SSOT_CACHE_DIR": str(tmp_path / "cache"), "PATH": ""}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False)
    assert (done.returncode, json.loads(done.stdout)["files"]) == (0, 60)
    command[4] = str(tmp_path)
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stderr[:14]) == (2, b"Could not look")
