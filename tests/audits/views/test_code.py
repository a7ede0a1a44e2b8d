"""Source as highlighted lines: the right lines, nothing unescaped, nothing hidden."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audits.views.code import Line, definition, excerpt


def text(lines: tuple[Line, ...]) -> list[str]:
    return [re.sub(r"<[^>]+>", "", line.html) for line in lines]


def test_excerpt_has_the_lines_around_the_marked_one() -> None:
    source = b"\n".join(b"x%d = 1" % number for number in range(1, 101)) + b"\n"
    lines = excerpt(source, 50)
    assert [line.number for line in lines] == list(range(41, 60))
    assert [line.number for line in lines if line.marked] == [50]
    assert text(lines)[9] == "x50 = 1"


@pytest.mark.parametrize("line", [0, -1, 3, 10**9])
def test_a_line_that_is_not_there_gives_nothing(line: int) -> None:
    assert excerpt(b"a\nb\n", line) == ()
    assert definition(b"a\nb\n", line) == ()


def test_the_end_of_the_last_line_is_not_a_line() -> None:
    assert len(excerpt(b"a\nb\n", 1)) == 2
    assert len(excerpt(b"a\nb", 1)) == 2
    assert len(excerpt(b"", 1)) == 1


def test_lines_are_counted_as_the_parser_counts_them() -> None:
    """Form feeds and Unicode line separators end no line; CR, LF and CRLF do."""
    lines = excerpt("a = '\u2028\x0c'\r\nb = 2\rc = 3\nd = 4".encode(), 3)
    assert text(lines)[2] == "c = 3"
    assert len(lines) == 4


def test_definition_is_the_block_with_its_blank_lines_and_closing_brackets() -> None:
    source = b"class A(\n    B,\n):\n    x = 1\n\n    def f(self):\n        return 2\n\n\nafter = 3\n"
    lines = definition(source, 1)
    assert [line.number for line in lines] == [1, 2, 3, 4, 5, 6, 7]
    assert lines[0].marked


def test_long_definition_is_cut() -> None:
    source = b"class A:\n" + b"    x = 1\n" * 500
    assert len(definition(source, 1)) == 60


def test_definition_that_is_no_block_shows_what_follows() -> None:
    assert len(definition(b'"""A module."""\n' + b"x = 1\n" * 50, 1)) == 19


def test_markup_in_source_is_text() -> None:
    (line,) = excerpt(b"x = '<script>alert(1)</script>&amp;'\n", 1)
    assert "<script>" not in line.html
    assert "&lt;script&gt;" in line.html
    assert "&amp;amp;" in line.html


def test_characters_that_would_hide_code_are_shown() -> None:
    (line,) = excerpt("ok = 1 # \u202e\u2066 \x00\x1b[2J".encode(), 1)
    assert "[U+202E]" in line.html
    assert "[U+2066]" in line.html
    assert "␀" in line.html
    assert "␛" in line.html


@pytest.mark.parametrize(
    "source", [b"# coding: latin-1\nx = '\xe9'\n", b"# coding: nonsense\nx = '\xe9'\n", b"\xff\xfe\n\n"]
)
def test_any_bytes_are_shown_somehow(source: bytes) -> None:
    assert len(excerpt(source, 2)) == 2


def test_declared_encoding_is_used() -> None:
    assert "'é'" in text(excerpt(b"# coding: latin-1\nx = '\xe9'\n", 2))[1].replace("&#39;", "'")


def test_very_long_line_is_cut() -> None:
    (line,) = excerpt(b"x = '" + b"a" * 100_000 + b"'\n", 1)
    assert len(line.html) < 1000


def test_string_that_began_above_is_still_a_string() -> None:
    source = b'x = """\n' + b"class looks_like_code:\n" * 30 + b'"""\n'
    assert '<span class="k">class' not in excerpt(source, 20)[9].html


def test_place_deep_in_a_long_file_is_highlighted() -> None:
    source = b"def f():\n    return 1\n\n\n" * 3000
    lines = excerpt(source, 9001)
    assert '<span class="k">def</span>' in lines[9].html
    assert lines[9].number == 9001


@given(st.binary(max_size=300), st.integers(1, 12))
def test_no_bytes_break_it_and_none_become_markup(source: bytes, number: int) -> None:
    for line in (*excerpt(source, number), *definition(source, number)):
        assert re.fullmatch(r'(?:[^<>]|<span class="[a-z0-9 ]+">|</span>)*', line.html)
