"""What facts say of a file, and that nothing makes extraction fail in a way of its own."""

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audits.engine.extraction import extract
from audits.engine.facts import FUNCTION, Facts, decode, encode, literals_of
from audits.engine.syntax import NewerSyntaxError, NotSourceError


def places(source: str | bytes) -> list[tuple[str, int, int]]:
    """(dotted expression, line, column) of each reference."""
    facts = extract(source if isinstance(source, bytes) else source.encode())
    return sorted(
        (".".join((r.expr.root, *r.expr.attributes)), line, column)
        for r in facts.references
        for line, column, _, _ in r.places
    )


# --- places --------------------------------------------------------------------------------------------------


def test_columns_count_characters() -> None:
    assert places("from a import E\nx = 'ü€😀', E.X\n") == [("E.X", 2, 11)]


def test_columns_count_characters_after_a_byte_order_mark() -> None:
    assert places(b"\xef\xbb\xbffrom a import E; E.X\n") == [("E.X", 1, 17)]


@pytest.mark.parametrize("comment", [b"# coding: \x02 \xfc utf-8", b"# \xfc"])
def test_columns_count_characters_after_a_comment_that_is_no_text(comment: bytes) -> None:
    assert places(comment + "\nfrom a import E\nx = 'éé', E.X\n".encode()) == [("E.X", 3, 10)]


def test_columns_count_characters_in_other_encodings() -> None:
    source = "# -*- coding: latin-1 -*-\nfrom a import E\nx = 'éé', E.X\n".encode("latin-1")
    assert places(source) == [("E.X", 3, 10)]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_as_python_says(end: str) -> None:
    source = end.join(["from a import E", "x = 'é\x0c\u2028'", "y = 'é', E.X", ""])
    assert places(source) == [("E.X", 3, 9)]


def test_scopes_have_dotted_names() -> None:
    facts = extract(
        b"from a import E\n"
        b"E.X0\n"
        b"class A:\n"
        b"    E.X1\n"
        b"    def f(self):\n"
        b"        E.X2\n"
        b"        def g(): E.X3\n"
        b"        return [lambda: E.X4 for E.X5 in ()]\n"
    )
    names = {
        r.expr.attributes[0]: facts.scopes[scope] for r in facts.references for _, _, scope, _ in r.places
    }
    assert names == {"X0": "", "X1": "A", "X2": "A.f", "X3": "A.f.g", "X4": "A.f.<lambda>"}


def test_a_chain_is_one_reference_and_not_its_parts() -> None:
    assert places("import a\na.b.c.d\na.b().c\na[0].b\na.b['k'].c\n") == [
        ("a", 4, 0),
        ("a.b", 3, 0),
        ("a.b", 5, 0),
        ("a.b.c.d", 2, 0),
    ]


def test_equal_references_share_one_entry() -> None:
    facts = extract(b"from a import E\nE.X\nE.X\nE.Y\n")
    assert [len(r.places) for r in facts.references] == [2, 1]


# --- dunder all --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "public"),
    [
        ("", None),
        ("__all__ = ['a', 'b']", ("a", "b")),
        ("__all__ = ('a',)", ("a",)),
        ("__all__ = 'a b'.split()", None),
        ("__all__: list[str] = ['a']", ("a",)),
        ("__all__ = ['a']\n__all__ += ['b']\n__all__.extend(['c'])\n__all__.append('d')", ("a", "b", "c", "d")),
        ("__all__ = ['a', 'b']\n__all__.remove('a')", ("b",)),
        ("__all__ = ['a'] + other.__all__", None),
        ("__all__ = ['a']\n__all__ += other.__all__", None),
        ("__all__ = [name for name in dir()]", None),
        ("def f():\n    __all__ = ['a']", None),
        ("__all__ = ['a']\ndef export(f):\n    __all__.append(f.__name__)", None),
        ("__all__ = ['a']\nfor n in x:\n    __all__.append(n)", None),
        ("__all__ = ['a']\nextend(__all__)", None),
        ("__all__ = ['a']\nnames = __all__", None),
        ("__all__ = ['a']\n__all__[:] = x", None),
        ("if x:\n    __all__ = ['a']\nelse:\n    __all__ = ['b']", ("a", "b")),
        ("__all__ = ['a']\n__all__ = ['b']", ("b",)),
        ("__all__ = ['a']\ndef f():\n    global __all__\n    __all__ = x", None),
        ("__all__ = ['a']\nprint(sorted(__all__), len(__all__), '__all__')\nfor n in __all__: pass", ("a",)),
        ("__all__ = ['a']\ndef __dir__(): return __all__", ("a",)),
    ],
)  # fmt: skip
def test_all_is_known_when_it_can_be_read(source: str, public: tuple[str, ...] | None) -> None:
    assert extract(source.encode()).public == public


# --- what can't be looked at ---------------------------------------------------------------------------------------


def test_a_pointer_to_a_large_file_is_no_source() -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:1234\nsize 12\n"
    with pytest.raises(NotSourceError, match="LFS"):
        extract(pointer)


@pytest.mark.parametrize(
    "source",
    [
        "from {{ cookiecutter.name }}.users import User\n",
        "{% if cookiecutter.use_celery %}\nimport celery\n{% endif %}\n",
        "import os\n{%- if x %}\nimport celery\n{%- endif %}\n",
        "class {{ camel_case }}Config(AppConfig):\n    pass\n",
        "{# a comment #}\nx = 1 +\n",
    ],
)
def test_a_template_is_no_source(source: str) -> None:
    with pytest.raises(NotSourceError, match="template"):
        extract(source.encode())


@pytest.mark.parametrize(
    "source",
    [
        "x = '{{ name }}' +\n",
        'x = f"{{}}" if\n',
        "x = {{1, 2}\n",
        "def f(:\n    '{% no %}'\n",
        "{{ far }}\n\n\nx = (\n",
    ],
)
def test_a_broken_file_with_braces_is_broken(source: str) -> None:
    assert extract(source.encode()).error is not None


def test_syntax_of_the_future_is_no_finding() -> None:
    newer = "x = t'{a}'\nmatch x:\n    case 1: pass\nclass A[T]: pass\n"
    assert extract(newer.encode()).error is None


# --- it never fails in a way of its own -----------------------------------------------------------------------------

PIECES = st.sampled_from(
    [
        "E", "a.b", "E.X", "E['X']", "x", "x.y = ", " = ", "from a import E", "from . import b", "import a.b as c",
        "from m import *", "class A(E):", "def f(x, *y, z=E.X, **k):", "lambda q: q.E", "[E.X for E in y if E]",
        "try:", "except ImportError as e:", "except* (A, B):", "finally:", "else:", "if hasattr(E, 'X'):", "elif x:",
        "while (n := E.X):", "for a.b, *c in d:", "with suppress(KeyError) as f, g:", "match x:", "case {'a': b, **c}:",
        "case [E.X, *r] | None as s:", "global E", "nonlocal x", "del E, x.y", "return E.X", "yield", "await x",
        "__all__ += ['E']", "__all__ = x", "sys.modules[__name__] = x", "sys.modules.update({**a})", "globals()['x']",
        "setattr(E, 'X', 1)", "setattr(E)", "patch.dict('sys.modules', a)", "Extension('a')", "raise", "assert E.X",
        "@E.X", "f'{E.X!r:>{w}} {x}'", "type X[T] = E.X", "def g[T](): pass", "async def h():", "x: E.X = 1", "...",
        "__getattr__ = x", "_ignore_ = 'a'", "__path__.append(x)", "import_module()", "getattr(E)", "hasattr()", "\\",
    ]
)  # fmt: skip


@st.composite
def programs(draw: st.DrawFn) -> str:
    """Lines of plausible pieces at any depth: mostly broken, often enough not."""
    lines = []
    depth = 0
    for piece in draw(st.lists(PIECES, max_size=12)):
        lines.append("    " * depth + piece)
        depth = depth + 1 if piece.endswith(":") else draw(st.integers(0, depth))
        if lines[-1].endswith(":") and draw(st.booleans()):
            lines.append("    " * depth + "pass")
    return "\n".join(lines)


def extracted(data: bytes) -> Facts | None:
    try:
        return extract(data)
    except (NewerSyntaxError, NotSourceError, RecursionError):
        return None


@settings(max_examples=300, deadline=None)
@given(st.one_of(programs(), st.text(max_size=200)))
def test_text_is_facts_or_a_named_problem(text: str) -> None:
    facts = extracted(text.encode("utf-8", "surrogatepass"))
    if facts is not None:
        assert decode(encode(facts)) == facts


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_bytes_are_facts_or_a_named_problem(data: bytes) -> None:
    extracted(data)


@pytest.mark.parametrize(
    "module", ["enum", "typing", "dataclasses", "os", "unittest.mock", "asyncio.events", "this"]
)
def test_facts_of_real_modules_survive_the_round_trip(module: str) -> None:
    __import__(module)
    path = sys.modules[module].__file__
    assert path is not None
    with open(path, "rb") as file:
        facts = extract(file.read())
    assert facts.error is None
    assert decode(encode(facts)) == facts
    assert encode(decode(encode(facts))) == encode(facts)


# --- bare names, definitions, literals -------------------------------------------------------------------------


def test_bare_names_are_references_where_an_import_or_alias_can_have_bound_them() -> None:
    source = (
        "from a import f, g as h\nk = f\n@h\ndef own(x=f): return own, k(x), self\n"
        "class C(f): pass\nC(); own()\nf = None\ndel h\n"
    )
    assert places(source) == [("f", 2, 4), ("f", 4, 10), ("f", 5, 8), ("h", 3, 1), ("k", 4, 26)]


def test_builtins_worth_noting_are_references_unless_they_are_bound() -> None:
    assert places("print(len([]))\ndef f(open): open(); eval('')\n") == [("eval", 2, 21), ("print", 1, 0)]


def test_functions_and_values_of_a_module_are_definitions() -> None:
    facts = extract(
        b"import m\nA = 1\nB: int = 2\nC = m.X\nD: int\nif A:\n    async def f(\n    ): pass\nE = F = m.g()\n"
        b"def g():\n    G = 1\nclass H:\n    I = 1\n    def j(self): pass\n"
    )
    found = [(d.name, d.kind == FUNCTION, d.line, d.column, d.end_line) for d in facts.definitions]
    assert found == [
        ("A", False, 2, 0, 2),
        ("B", False, 3, 0, 3),
        ("f", True, 7, 4, 8),
        ("E", False, 9, 0, 9),
        ("F", False, 9, 0, 9),
        ("g", True, 10, 0, 11),
    ]


def test_literals_are_texts_without_blanks_and_larger_numbers() -> None:
    facts = extract(
        b'"""doc"""\nX = "https://a.example", 8080, -8081, 99, True, "ab", "two words", 1.5\n'
        b"def f(p='key_of'):\n    'docstring'\n    return f'text{p!r}{\"in_side\"}' + b'bytes'\n"
    )
    assert [(v, facts.scopes[scope], line, column) for v, (line, column, scope, _) in literals_of(facts)] == [
        ("https://a.example", "", 2, 4),
        (8080, "", 2, 25),
        (8081, "", 2, 32),
        ("key_of", "", 3, 8),
        ("in_side", "f", 5, 23),
    ]
    assert decode(encode(facts)) == facts


def test_strings_of_a_class_body_are_known_with_their_lines() -> None:
    facts = extract(b"class E:\n    A = 'a'\n    B: str = 'b'\n    C = 3\n    def f(self): D = 'd'\n")
    assert facts.classes[0].texts == (("A", "a", 2), ("B", "b", 3))
