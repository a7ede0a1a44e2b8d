"""The native extractor gives the very bytes that the reference gives, or leaves a file to it."""

# ruff: noqa: E501 (each source in one line, next to its name)
import hashlib
import random
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audits.engine.extraction import extract
from audits.engine.facts import packed
from audits.engine.native_extraction import MODULE, NativeExtractor

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def native() -> NativeExtractor:
    return NativeExtractor()


def check(native: NativeExtractor, source: str | bytes, *, answers: bool = True) -> None:
    data = source if isinstance(source, bytes) else source.encode()
    found = native.facts(data)
    assert (found is not None) == answers
    if found is not None:
        assert found == packed(extract(data))


def test_the_module_was_built_from_the_sources_beside_it() -> None:
    """Otherwise: run audits/engine/native/build.sh."""
    folder = MODULE.parent
    sources = [folder / "build.sh", *sorted(folder.glob("*.h")), *sorted(folder.glob("*.c"))]
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    assert (folder / "facts.digest").read_text().strip() == digest


# --- sources by hand ------------------------------------------------------------------------------------------

NASTY = {
    "nothing": "",
    "only a comment without a line end": "# x",
    "blanks at the end": "import a\n   ",
    "a byte order mark": b"\xef\xbb\xbfimport a\na.b\n",
    "a declared encoding": "# -*- coding: utf-8 -*-\nimport a\na.b, 'ü'\n",
    "carriage returns": b"import a\r\nif a.b:\r\n    x = '''c\r\nd'''\r\n",
    "a form feed": "import a\n\x0cdef f():\n    return a.b\n",
    "tabs": "import a\nif a:\n\tx = a.b\n\tif x:\n\t\ty = a.c\n",
    "line continuations": "from a \\\n    import b\nx = b \\\n  .c\n",
    "columns in characters": "from a import E\nx = 'ü€😀', E.X, 'größer'\n",
    "literals": "x = [100, 99, 0x7f_ff, 0o777, 0b1111111, 1_000, 2**64, 9223372036854775808, 1.5, 1e5, 200j, 'a b', 'abc']",
    "blanks of all kinds in literals": "x = 'abc\\u2003', 'abc\\x85', 'a\\tb', 'abc\\x1c', 'äöü', 'abc\\u200b'\n",
    "joined strings": "x = ('abc' 'def' \"g\\\"h\" r'\\n' '' 'ü')\ny = b'abc' b'def'\nz = 'a' f'{x}' 'b'\n",
    "escapes": "x = {'a\\x41\\101\\u00fc\\U0001F600\\q': 'abc\\\ndef'}\n",
    "surrogates": "x = '\\ud800abc'\n__all__ = ['\\udfff']\n",
    "f-strings": "import a\nx = f'{a.b!r:>{a.c}} {{}} {a.d=} {a.e:=5}' rf'\\{a.f}'\n",
    "chains": "import a\n(a).b.c\na.b().c\na['k'].d\na.b['k']\na.b.c = a.d\ndel a.b.c\na.b[0] = 1\n",
    "sys.modules": "import sys\nsys.modules['a'] = sys.modules[__name__]\nsys.modules.setdefault('b', 1)\n",
    "public names": "__all__ = ['a']\n__all__ += ('b',)\n__all__.extend('c d')\n__all__.remove('a')\n__all__.append('e')\n",
    "public names handed out": "__all__ = ['a']\nf(__all__)\n",
    "public names in branches": "if x:\n    __all__ = ['a']\nelse:\n    __all__ = ['b']\nlen(__all__)\n",
    "patches": "import a\nsetattr(a.b, 'x', 1)\nmock.patch.object(a, 'y')\na._member_map_['z'] = 1\nsetattr(a, *b)\n",
    "guards": "import a\nif hasattr(a, 'b') and 'c' in a.__members__:\n    a.b, a.c\nelif not hasattr(a, 'd'):\n    a.d\nelse:\n    a.d\n",
    "early exits": "import a\ndef f():\n    if not hasattr(a, 'x'):\n        return\n    a.x\n",
    "fallbacks": "try:\n    import a\nexcept ImportError:\n    a = None\nelse:\n    a.b\nfinally:\n    a.c\n",
    "handlers that fail": "try:\n    from a import b\nexcept (ImportError, KeyError) as e:\n    raise\nb.c\n",
    "environment": "import sys, a\nif sys.platform == 'win32':\n    a.b\nif HAS_X: a.c\nx = a.d if PY310 else a.e\n",
    "type checking": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import a\nif not TYPE_CHECKING:\n    import b\n",
    "lazy annotations": "from __future__ import annotations\nimport a\ndef f(x: a.b = a.c) -> a.d:\n    y: a.e\n",
    "scopes": "import a\ndef f():\n    global a\n    a = 1\n    def g():\n        nonlocal a\n        a = 2\n        return a.b\nclass C:\n    a = a.b\n    def m(self): return a.c\n",
    "comprehensions": "import a, b\n[a.x for a in b.y if a.z for c in a.w]\n{k: v.x for k, v in b.items()}\n(b.q for b.r[b.s] in a)\n",
    "walrus": "import a\nif (b := a.c) and (n := 200):\n    b.d\n[y := x.z for x in a.l]\n",
    "loops": "import a\nfor i in a.b:\n    x.y\n    import x\nelse:\n    x.z\nwhile hasattr(a, 'q'):\n    a.q\nelse:\n    a.q\n",
    "with": "import a\nwith (a.b as x, a.c() as (y, z)): x.d\nwith (a.b, a.c): pass\nwith (a).b as a.c: pass\nwith suppress(AttributeError): a.e\n",
    "with one expression in brackets": "import a\nwith (a for a in b): pass\nwith (a.b): pass\nwith (a.b).c, a.d: pass\nwith (): pass\n",
    "match": "import a\nmatch a.b:\n    case a.C(x, y=a.D.e) | [a.F, *_] if x.z: x\n    case {'k': v, **rest}: v\n    case -1 + 2j | None: 0\n    case (p as q), *r: q\n    case _: pass\n",
    "soft keywords as names": "match = case = type = 1\nmatch(case)\nmatch[1:2]\ntype(x)\nmatch.a = type.b\nmatch * 2, type\nprint(match, case)\n",
    "classes": "import a\n@a.d(1)\nclass C(a.B, Generic[a.T], metaclass=a.M, **k):\n    _ignore_ = ['x', 'y']\n    A, B = 1, 2\n    C = 'text'\n    D = lambda: 1\n    E: int = 3\n    if a: F = 1\n    class N(a.Q): pass\n",
    "classes that fill themselves": "class A:\n    locals()['x'] = 1\n    vars().update(y=1)\n@enum.global_enum\nclass B: pass\n",
    "stars": "from a import *\nfrom b import x\nfrom .c import *\nx.y\nz.w\nlen\nclass D(E): pass\n",
    "relative imports": "from . import a\nfrom .. import b as c\nfrom ...d.e import f\nimport g.h.i, j.k as l\na = 1\n",
    "functions": "def f(a, b=1, /, c: int = 2, *d, e, g=3, **h) -> None: pass\nasync def i(*, j): await j.k\nx = lambda y, *z, **w: y.a\n",
    "operators": "import a\nnot a.b ** -a.c @ a.d // ~a.e << a.f | a.g ^ a.h & a.i <= a.j is not a.k not in a.l\n",
    "bare builtins": "print(eval, exec)\nimport os\nos\nprint = 1\n",
    "extensions": "setup(ext_modules=[Extension('a.b', []), Extension(name='c')])\n",
    "statements in one line": "import a; a.b; x = 1;\nif a: a.c; a.d\nclass A: x = 1; y = 2\n",
    "definitions": "X = [\n1]\nY = X\nZ: int = 3\nasync def f():\n    '''a\n    b'''\n",
    "deletions": "import a, b\ndel a, (b)\na.c\ndel b.d[0], (x, y)\n",
    "decorators": "import a\n@a.b\n@a.c(lambda x: x.d)\nasync def f(): yield from a.e\n",
    "generators as arguments": "import a\nf(x.b for x in a.c)\nf(*a.d, k=a.e, **a.f)\n",
    "a namespace that is only read": "globals()['x'].y\nlocals().get('z')\n'x' in globals()\nglobals().update(a=1)\n",
}


@pytest.mark.parametrize("name", NASTY)
def test_nasty_source_has_the_same_facts(native: NativeExtractor, name: str) -> None:
    check(native, NASTY[name])


LEFT = {
    "syntax errors": "x = = 1\n",
    "assignments to calls": "f() = 1\n",
    "arguments after keywords": "f(a=1, b)\n",
    "names that Python normalises": "ﬁ = 1\n",
    "names of characters": "x = '\\N{BULLET}'\n",
    "another encoding": b"# coding: latin-1\nx = '\xe9'\n",
    "another encoding in the second line": b"#!x\n# -*- coding: cp1252 -*-\nx = 1\n",
    "bytes that are no UTF-8": b"x = '\xe9'\n",
    "NUL": b"x = 1\0\n",
    "carriage returns alone": b"x = 1\ry = 2\n",
    "tabs that match no blanks": "if x:\n        a\n\tb\n",
    "a hundred and one indents": "".join(" " * n + "if x:\n" for n in range(101)) + " " * 101 + "x\n",
    "deep brackets": "(" * 180 + ")" * 180,
    "a long sum": "x = " + "1 + " * 2_000 + "1",
    "a long chain": "x" + ".y" * 2_000,
    "many digits": "x = " + "9" * 5_000,
    "numbers that may round to zero": "if 1e-400: x",
}


@pytest.mark.parametrize("name", LEFT)
def test_what_is_no_business_of_its_own_is_left_to_the_reference(native: NativeExtractor, name: str) -> None:
    check(native, LEFT[name], answers=False)


def test_it_answers_after_a_file_that_it_left(native: NativeExtractor) -> None:
    for source in LEFT.values():
        native.facts(source if isinstance(source, bytes) else source.encode())
        check(native, "import a\na.b\n")


# Valid since Python 3.12 or later: what a reference on an older Python can only approximate.
NEWER = (
    'import a\nx = f"{a["k"]} {a.b}"\n',
    "import a\ntype X[T: a.b] = a.c\n",
    "import a\ndef f[T](x: T) -> a.b: pass\nclass C[T](a.D): pass\n",
    "import a\ntry: a.b\nexcept KeyError, a.C: a.d\n",
    "import a\nx = t'{a.b!r:>{a.c}}'\n",
)


@pytest.mark.parametrize("source", NEWER)
def test_newer_syntax_is_read_on_any_python(native: NativeExtractor, source: str) -> None:
    if sys.version_info >= (3, 14):
        check(native, source)
    assert native.facts(source.encode()) is not None


# --- sources from elsewhere -----------------------------------------------------------------------------------


def python_files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*.py")) if "site-packages" not in path.parts)


@pytest.mark.long
def test_a_sample_of_the_standard_library_has_the_same_facts(native: NativeExtractor) -> None:
    files = list(python_files(Path(sysconfig.get_path("stdlib"))))
    answered = 0
    for path in random.Random(1).sample(files, min(300, len(files))):
        data = path.read_bytes()
        found = native.facts(data)
        if found is not None:
            answered += 1
            assert found == packed(extract(data)), path
    assert answered > 250


def test_this_project_has_the_same_facts(native: NativeExtractor) -> None:
    for folder in ("audits", "ids", "ssot_dash"):
        for path in python_files(ROOT / folder):
            data = path.read_bytes()
            found = native.facts(data)
            assert found is None or found == packed(extract(data)), path


# --- generated sources ----------------------------------------------------------------------------------------

names = st.sampled_from(["a", "b", "E", "x", "__all__", "sys", "self", "HAS_X", "print"])
attributes = st.sampled_from(["X", "y", "__members__", "modules", "append", "extend", "get", "__dict__"])
atoms = st.one_of(
    names, st.sampled_from(["1", "200", "'abc'", "None", "'X'", "globals()", "f'{a.b}{E.X!r:{x}}'"])
)


def _expressions(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    joined = st.tuples(inner, inner)
    return st.one_of(
        st.tuples(names, attributes).map(".".join),
        st.tuples(inner, attributes).map(lambda p: f"({p[0]}).{p[1]}"),
        joined.map(lambda p: f"{p[0]}[{p[1]}]" if p[0].isidentifier() else f"({p[0]})[{p[1]}]"),
        joined.map(lambda p: f"hasattr({p[0]}, 'X') and ({p[1]})"),
        joined.map(lambda p: f"'X' in {p[0]}.__members__ or ({p[1]})" if p[0].isidentifier() else p[1]),
        joined.map(lambda p: f"(({p[0]}) if ({p[1]}) else E.X)"),
        joined.map(lambda p: f"f({p[0]}, k={p[1]})"),
        joined.map(lambda p: f"[x.X for x in ({p[0]}) if ({p[1]})]"),
        joined.map(lambda p: f"(y := ({p[0]}), ({p[1]}))"),
        inner.map(lambda e: f"(lambda a=({e}), *E: E.X)"),
        inner.map(lambda e: f"not ({e})"),
        inner.map(lambda e: f"setattr({e}, 'X', 1)"),
        inner.map(lambda e: f"{{'k': ({e}), **E}}"),
    )


expressions = st.recursive(atoms, _expressions, max_leaves=6)


def _indented(body: list[str]) -> str:
    return "".join(f"    {line}\n" for statement in body for line in statement.splitlines())


simple = st.one_of(
    expressions,
    st.tuples(names, expressions).map(lambda p: f"{p[0]} = {p[1]}"),
    st.tuples(names, attributes, expressions).map(lambda p: f"{p[0]}.{p[1]} = {p[2]}"),
    st.tuples(names, expressions).map(lambda p: f"{p[0]}: a.T = {p[1]}"),
    st.tuples(names, expressions).map(lambda p: f"{p[0]} += {p[1]}"),
    names.map(lambda n: f"del {n}"),
    st.tuples(names, names).map(lambda p: f"import {p[0]}.c as {p[1]}"),
    st.tuples(names, names).map(lambda p: f"from .{p[0]} import {p[1]}, E"),
    st.just("__all__ = ['a', 'b']"),
    st.just("pass"),
)


def _statements(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    body = st.lists(inner, min_size=1, max_size=3).map(_indented)
    return st.one_of(
        st.tuples(expressions, body, body).map(lambda p: f"if {p[0]}:\n{p[1]}else:\n{p[2]}"),
        st.tuples(expressions, body).map(lambda p: f"if not ({p[0]}):\n{p[1]}    raise x\n"),
        st.tuples(names, body, body).map(lambda p: f"for {p[0]} in E:\n{p[1]}else:\n{p[2]}"),
        st.tuples(expressions, body).map(lambda p: f"while {p[0]}:\n{p[1]}"),
        st.tuples(body, body, body).map(
            lambda p: f"try:\n{p[0]}except (ImportError, KeyError) as a:\n{p[1]}finally:\n{p[2]}"
        ),
        st.tuples(names, body).map(lambda p: f"with suppress(AttributeError) as {p[0]}:\n{p[1]}"),
        st.tuples(names, body).map(lambda p: f"class {p[0]}(E.X, metaclass=a):\n{p[1]}"),
        st.tuples(names, expressions, body).map(lambda p: f"def {p[0]}(self, b=({p[1]})):\n{p[2]}"),
        st.tuples(names, body).map(lambda p: f"def g():\n    global {p[0]}\n{p[1]}"),
        expressions.map(
            lambda e: (
                f"match {e}:\n    case E.X(a, x=b) | [a, *b]:\n        pass\n    case _:\n        pass\n"
            )
        ),
    )


modules = st.lists(st.recursive(simple, _statements, max_leaves=8), max_size=6).map(
    lambda statements: "from a import E\n" + "".join(f"{statement}\n" for statement in statements)
)


@given(modules)
@settings(max_examples=150, deadline=None)
def test_generated_modules_have_the_same_facts(source: str) -> None:
    data = source.encode()
    found = EXTRACTOR.facts(data)
    if found is not None:
        assert found == packed(extract(data))


EXTRACTOR = NativeExtractor()


def test_what_it_will_not_answer_for_costs_no_addresses() -> None:
    """As in a parsing child: few addresses to take, and no collector that gives any back."""
    script = (
        "import gc, resource\n"
        "from audits.engine.native_extraction import NativeExtractor\n"
        "from audits.engine.parse_child import ADDRESS_BYTES\n"
        "resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_BYTES, ADDRESS_BYTES))\n"
        "gc.disable()\n"
        "native = NativeExtractor()\n"
        "assert [native.facts(b'def (:\\n') for _ in range(12)] == [None] * 12\n"
        "assert native.facts(b'x = 1\\n')\n"
    )
    root = Path(__file__).parents[3]
    subprocess.run([sys.executable, "-c", script], cwd=root, check=True, timeout=600)
