"""Patterns of legacy IDs: whole IDs only, and no pattern or text can make them hang."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ids import patterns
from ids.patterns import PatternError


def test_a_pattern_matches_a_whole_id_and_names_its_parts() -> None:
    parts = patterns.match(r"(?P<owner>[a-z]+)-(?P<random>[0-9a-f]{4})(?P<more>x)?", "ada-00ff")
    assert parts == {"owner": "ada", "random": "00ff"}
    assert patterns.match("[0-9]+", "12\n") is None
    assert patterns.match("[0-9]+", "a12") is None
    assert patterns.match("run|runner", "runner") == {}


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", "missing"),
        (r"(a)\1", "no backreferences"),
        ("(?=a)b", "no look-around"),
        ("a" * 501, "at most 500 characters"),
        ("(a{1000}){1000}", "RE2"),
        (".*", "matches an empty text"),
        ("", "matches an empty text"),
        ("a\x00", "can't be stored"),
        ("\ud800", "can't be stored"),
    ],
)
def test_a_pattern_that_cannot_be_used_is_refused_with_the_reason(pattern: str, message: str) -> None:
    with pytest.raises(PatternError, match=message):
        patterns.check(pattern)


def test_a_pattern_that_makes_other_engines_hang_is_answered() -> None:
    assert patterns.match("(a+)+b", "a" * 299) is None
    assert patterns.match("(a|aa)+", "a" * 299) == {}


def test_longer_texts_are_not_looked_at() -> None:
    assert patterns.match("a+", "a" * 301) is None


@given(st.text(max_size=40), st.text(max_size=400))
def test_no_pattern_and_no_text_raise_another_error(pattern: str, text: str) -> None:
    try:
        patterns.check(pattern)
    except PatternError:
        return
    patterns.match(pattern, text)
