"""Source of newer Pythons, read on an older one."""

import ast
import io
import tokenize
from pathlib import Path

import pytest
from django.conf import settings
from hypothesis import given
from hypothesis import strategies as st

from audits.engine.newer import in_older_syntax
from tests.audits.engine.harness import found

KINDS = "from enum import Enum\nclass E(Enum):\n    A = 1\n"
NEWER = {
    "a generic function": "def f[T: (int, str) = int](x: T) -> T: return E.B",
    "a generic method": "class C:\n    async def f[*Ts, **P](self): return E.B",
    "a generic class": "class C[T](list[T]): x = E.B",
    "parameters over several lines": "class C[\n    T,  # why\n\n    *Ts,\n](list[T]):\n    x = E.B",
    "parameters over several lines, CRLF": "class C[\r\n    T\r\n]:\r\n    x = E.B",
    "a type alias": "type Alias = list[int]\nAlias\nE.B",
    "a generic type alias": "type Alias[T] = dict[str, T]; E.B",
    "an alias in a block": "if 1:\n    type Alias = int\n    E.B",
    "an alias of an enum": "type Alias = E\nAlias.B",
    "exceptions without brackets": "try: pass\nexcept ValueError, KeyError:\n    E.B",
    "exceptions over a dotted name": "try: pass\nexcept a.b.C, D.e: E.B",
    "exception groups without brackets": "try: pass\nexcept* ValueError, KeyError:\n    E.B",
    "quotes in an f-string": "x = f'{d['k']} {E.B}'",
    "a named character in an f-string": "x = f'\\N{DIGIT ONE}{d['k']}{E.B}'",
    "a backslash before a brace": "x = rf'\\{d['k']}', rf'\\{{\\}}', E.B",
    "a template string": "x = t'{d['k']} {E.B}'",
    "everything": "class A[T]:\n  def f[U](s):\n    type V = U\n    try: pass\n    except A, B: f'{d['k']}{E.B}'",
}


@pytest.mark.parametrize("source", NEWER.values(), ids=NEWER.keys())
def test_newer_syntax_is_read(source: str) -> None:
    tree = {"kinds.py": KINDS, "app.py": f"from kinds import E\n{source}\n"}
    line = 2 + source[: source.rindex(".B")].count("\n")
    assert [(rule, place, subject) for rule, place, subject, _ in found(tree)] == [
        ("missing-member", f"app.py:{line}", "kinds.E.B")
    ]


@pytest.mark.parametrize(
    "source",
    [
        "type = 1\ntype[int]\ntype(x)\ntype.x = 2\nprint(type, x)\ntype: int = 3",
        "def type(): pass\nclass type: pass",
        "try: pass\nexcept (A, B) as e: pass",
        "x = a[b, c]\ndef f(a=[1, 2], b={1: 2}): pass\nclass A(B[C]): pass",
        "match x:\n    case [a, b]: pass\n    case {'k': v, **r}: pass",
        "lambda: (yield)\nif x: y; z\nfor a, b in c: pass\nwith a as b, c as d: pass",
    ],
)
def test_older_syntax_stays_as_it_is(source: str) -> None:
    assert in_older_syntax(source) == source


def test_every_name_keeps_its_place() -> None:
    for source in NEWER.values():
        older = in_older_syntax(source)
        assert len(older.splitlines()) == len(source.splitlines())
        lines = source.splitlines()
        for node in ast.walk(ast.parse(older)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.attr == "B":
                assert lines[node.lineno - 1][node.col_offset :].startswith(("E.B", "Alias.B"))


@pytest.mark.long
def test_code_without_newer_syntax_means_the_same_afterwards() -> None:
    """On this project's own code, whose f-strings are the only thing that is rewritten."""
    for path in sorted(Path(settings.BASE_DIR, "audits").rglob("*.py")):
        older = in_older_syntax(path.read_text())
        names = {
            t.string for t in tokenize.generate_tokens(io.StringIO(older).readline) if t.type == tokenize.NAME
        }
        tree = ast.parse(older)
        expected = ast.parse(path.read_bytes())
        assert names >= {n.id for n in ast.walk(expected) if isinstance(n, ast.Name)}, path
        assert len([n for n in ast.walk(tree) if isinstance(n, ast.stmt)]) == len(
            [n for n in ast.walk(expected) if isinstance(n, ast.stmt)]
        ), path


@given(st.text(alphabet="type def class except*[](),:;=\n Tx#'\"f{}\\", max_size=80))
def test_any_text_gives_some_text(text: str) -> None:
    assert isinstance(in_older_syntax(text), str)
