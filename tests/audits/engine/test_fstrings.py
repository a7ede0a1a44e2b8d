"""Newer f-strings (PEP 701), read on an older Python."""

import ast
from pathlib import Path

import pytest
from django.conf import settings
from hypothesis import given
from hypothesis import strategies as st

from audits.engine.extraction import extract
from audits.engine.fstrings import without_fstrings

NEWER = {
    "the same quotes inside": 'f"{E["X"]} {E.A}"',
    "a backslash inside": "f\"{'\\n'.join(E.A)}\"",
    "a comment and line ends inside": 'f"{\n E.A # why "not"\n}"',
    "an f-string in an f-string": 'f"{f"{f"{E.A}"}"}"',
    "a format with fields of its own": 'f"{E.A:{E["w"]}.{E.B!r}}"',
    "a self-documenting field": 'f"{E["X"] = } {E.A=!r:>10}"',
    "comparisons": 'f"{E["X"] != E.A} {E["X"] == E.B} {E["X"] <= 1}"',
    "doubled braces": 'f"{{{E["X"]}}} {{E.NOT}} {E.A}"',
    "joined strings": 'f"{E["X"]}" "tail" f"{E.A}" \'end\'',
    "an empty f-string": 'f\'\' + f"{E["X"]}"',
    "raw and triple": 'rf"""\n{E["X"]}\\{E.A}\n"""',
    "dictionaries and slices": "f\"{ {'a': E.A}['a'] } {E[\"X\"][1:2]}\"",
}


@pytest.mark.parametrize("text", NEWER.values(), ids=NEWER.keys())
def test_what_stands_inside_is_read(text: str) -> None:
    source = f"from kinds import E\n\nx = {text}\n"
    readable = without_fstrings(source)
    assert len(readable) == len(source)
    ast.parse(readable)
    facts = extract(source.encode())
    assert facts.error is None
    read = {r.key or ".".join(r.expr.attributes) for r in facts.references}
    assert read >= {name for name in ("A", "B", "X") if f"E.{name}" in text or f'E["{name}"]' in text}
    assert "NOT" not in read


def test_places_stay_where_they_were() -> None:
    source = 'from kinds import E\nx = f"é {"ü"} {E.A}"\n'
    (reference,) = extract(source.encode()).references
    line, column, _, _ = reference.places[0]
    assert source.splitlines()[line - 1][column:].startswith("E.A")


def test_code_without_newer_fstrings_means_the_same_afterwards() -> None:
    """On this project's own code, which an older Python reads anyway."""
    for path in sorted(Path(settings.BASE_DIR, "audits").rglob("*.py")):
        source = path.read_text()
        expected = {(r.expr.root, r.expr.attributes, r.key) for r in extract(source.encode()).references}
        found = extract(without_fstrings(source).encode())
        assert found.error is None, path
        assert {(r.expr.root, r.expr.attributes, r.key) for r in found.references} >= expected, path


@given(st.text(alphabet="f\"'{}!:=\\#rb \n(x)[]", max_size=60))
def test_no_text_is_an_error(text: str) -> None:
    assert len(without_fstrings(text)) == len(text)


def test_a_file_that_is_broken_everywhere_stays_unparseable() -> None:
    assert extract(b'x = f"{y["a"]}"\ndef (:\n').error is not None
