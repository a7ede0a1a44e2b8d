"""What a dotted name means in a tree."""

from itertools import permutations

import pytest

from audits.engine.codebase import Codebase
from audits.engine.roots import Roots
from audits.engine.targets import ClassTarget, External, Missing, ModuleTarget, Targets, Unknown
from tests.audits.engine.harness import codebase_of, found


def meant(codebase: Codebase, targets: Targets) -> set[str]:
    """Targets in words: a class's dotted name, a module's path, ``outside:``, ``absent:``, ``unknown``."""
    words = set()
    for target in targets:
        match target:
            case ClassTarget():
                words.add(codebase.class_name(target))
            case ModuleTarget(path=path):
                words.add(path)
            case External(name=name):
                words.add(f"outside:{name}")
            case Missing(name=name):
                words.add(f"absent:{name}")
            case Unknown():
                words.add("unknown")
    return words


def names(files: dict[str, str], module: str, *wanted: str, policy: str = "") -> dict[str, set[str]]:
    codebase = codebase_of(files, policy)
    return {name: meant(codebase, codebase.name(module, name)) for name in wanted}


def test_the_names_of_a_module() -> None:
    files = {
        "pkg/__init__.py": "",
        "pkg/part.py": "",
        "pkg/mod.py": """
            import os, pkg.part, pkg.part as whole
            from os import path as p
            from . import part
            from .gone import lost
            class A:
                class B: pass
            C = A
            D = A.B
            def f(): pass
            v = f()
        """,
    }
    expected = {
        "os": {"outside:os"},
        "p": {"outside:os.path"},
        "pkg": {"pkg/__init__.py"},
        "whole": {"pkg/part.py"},
        "part": {"pkg/part.py"},
        "lost": {"absent:pkg.gone"},
        "A": {"pkg.mod.A"},
        "C": {"pkg.mod.A"},
        "D": {"pkg.mod.A.B"},
        "f": {"unknown"},
        "v": {"unknown"},
        "gone": {"absent:pkg.mod.gone"},
        "__name__": {"unknown"},
    }
    assert names(files, "pkg/mod.py", *expected) == expected


def test_the_names_of_packages_and_plain_folders() -> None:
    files = {"pkg/__init__.py": "", "pkg/part.py": "", "plain/part.py": "", "use.py": "import plain.part"}
    assert names(files, "pkg/__init__.py", "part", "gone") == {
        "part": {"pkg/part.py"},
        "gone": {"absent:pkg.gone"},
    }
    assert names(files, "plain/", "part", "gone") == {
        "part": {"plain/part.py"},
        "gone": {"absent:plain.gone"},
    }


def test_all_candidates_of_a_name_are_given() -> None:
    source = """
        try:
            from fast import A
        except ImportError:
            try:
                from pkg.slow import A
            except ImportError:
                class A: pass
    """
    files = {"pkg/__init__.py": "", "pkg/slow.py": "class A: pass", "mod.py": source}
    assert names(files, "mod.py", "A") == {"A": {"outside:fast.A", "pkg.slow.A", "mod.A"}}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("if x:\n    A = One\nA = Two", {"mod.Two"}),
        ("A = One\nif x:\n    A = Two", {"mod.One", "mod.Two"}),
        ("if x:\n    A = One\n    A = Two\nelse:\n    A = Three", {"mod.Two", "mod.Three"}),
        ("try:\n    A = One\n    A = Two\nexcept E:\n    pass", {"mod.One", "mod.Two"}),
        ("for x in y:\n    A = One\n    if x: break\n    A = Two", {"mod.One", "mod.Two"}),
        ("A = One\ndef f():\n    global A\n    A = Two", {"mod.One", "mod.Two"}),
        ("A = One\ndel A\nA = Two", {"mod.Two"}),
        ("A = One\nA += Two", {"unknown"}),
        ("A = One if x else Two", {"unknown"}),
        ("match x:\n    case 1: A = One\n    case _: A = Two", {"mod.One", "mod.Two"}),
        ("with x: A = One", {"mod.One"}),
    ],
)
def test_which_statements_can_have_the_last_word(source: str, expected: set[str]) -> None:
    classes = "class One: pass\nclass Two: pass\nclass Three: pass\n"
    assert names({"mod.py": classes + source}, "mod.py", "A") == {"A": expected}


def test_two_stars_give_two_candidates() -> None:
    files = {
        "one.py": "class A: pass",
        "two.py": "class A: pass",
        "mod.py": "from one import *\nfrom two import *",
    }
    assert names(files, "mod.py", "A", "B") == {"A": {"one.A", "two.A"}, "B": {"absent:mod.B"}}


def test_attributes_of_classes_are_looked_up_in_their_bases() -> None:
    files = {
        "base.py": "class Inner: pass\nclass Base:\n    kind = Inner\n    def f(self): pass",
        "mod.py": "from base import Base\nfrom out import X\nclass A(Base): pass\nclass B(X, Base): pass\n"
        "a, b, c = A.kind, B.kind, A.f\nK = A.kind\nL = B.kind\nM = A.f",
    }
    assert names(files, "mod.py", "K", "L", "M") == {"K": {"base.Inner"}, "L": {"unknown"}, "M": {"unknown"}}


@pytest.mark.parametrize(
    ("path", "dotted"),
    [
        ("app.py", "app"),
        ("pkg/__init__.py", "pkg"),
        ("pkg/mod.py", "pkg.mod"),
        ("src/pkg/mod.py", "pkg.mod"),
        ("src/pkg/sub/", "pkg.sub"),
        ("lib/pkg/mod.py", "lib.pkg.mod"),
        ("__init__.py", ""),
    ],
)
def test_dotted_names_start_at_the_source_roots(path: str, dotted: str) -> None:
    assert codebase_of({}).dotted(path) == dotted


def test_the_same_question_has_the_same_answer_in_any_order() -> None:
    files = {
        "a.py": "from b import *\nfrom c import X as Y",
        "b.py": "from c import *\nfrom a import Y as Z",
        "c.py": "from a import Z as W\nfrom b import *\nclass X: pass",
    }
    questions = [(f"{module}.py", name) for module in "abc" for name in "WXYZ"]
    codebase = codebase_of(files)
    forwards = {q: meant(codebase, codebase.name(*q)) for q in questions}
    codebase = codebase_of(files)
    backwards = {q: meant(codebase, codebase.name(*q)) for q in reversed(questions)}
    assert forwards == backwards
    assert forwards["a.py", "Y"] == forwards["c.py", "W"] == {"c.X"}


def test_what_comes_through_a_star_from_a_circle_is_there_whichever_way_it_is_entered() -> None:
    files = {
        "a.py": "if x:\n    class X: pass\nelse:\n    from b import X\nfrom b import Y",
        "b.py": "from a import *",
    }
    questions = [("a.py", "X"), ("b.py", "X"), ("a.py", "Y"), ("b.py", "Y")]
    for order in permutations(questions):
        codebase = codebase_of(files)
        answers = {q: meant(codebase, codebase.name(*q)) for q in order}
        assert answers["a.py", "X"] == answers["b.py", "X"] == {"a.X"}
        assert answers["b.py", "Y"] == {"absent:b.Y"}
        assert all(target.startswith("absent:") for target in answers["a.py", "Y"])


def test_classes_that_inherit_from_each_other_end() -> None:
    source = "class A(B): pass\nclass B(A): pass\nclass C(C): pass\nA.x\nC.x"
    codebase = codebase_of({"mod.py": source})
    (target,) = codebase.name("mod.py", "A")
    assert isinstance(target, ClassTarget)
    assert len(list(codebase.mro(target))) <= 3


def test_the_roots_of_a_folder_have_one_order_whatever_order_its_files_come_in() -> None:
    files, texts = ["conftest.py", "pytest.ini"], {"pytest.ini": "[pytest]\npythonpath = lib\n"}
    for paths in (files, files[::-1]):
        roots = Roots((), paths, {}, texts, set(), {"", "lib/"})
        assert roots.around("lib/") == ("", "lib/")


@pytest.mark.parametrize(
    "files",
    [
        {"a.py": "class Kind(Kind.a.Kind):\n    RED = 1\n"},
        {"a.py": "for x in y:\n    class Kind(Kind.Base):\n        pass\nKind.RED\n"},
        {
            "a.py": "import b\nclass One(b.Two.Base):\n    pass\nOne.RED\n",
            "b.py": "import a\nclass Two(a.One.Base):\n    pass\nTwo.RED\n",
        },
    ],
    ids=["alone", "in a loop", "in a circle of modules"],
)
def test_a_base_that_is_looked_for_in_its_own_class_ends(files: dict[str, str]) -> None:
    assert found(files) == []
