"""Globs: what they match, and that none is slow."""

import re
import time
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audits.engine.globs import translate


def matches(glob: str, path: str) -> bool:
    return re.match(translate(glob), path) is not None


@pytest.mark.parametrize(
    ("glob", "path"),
    [
        ("setup.py", "setup.py"),
        ("a/*.py", "a/b.py"),
        ("a/?.py", "a/b.py"),
        ("a/[bc].py", "a/b.py"),
        ("a/[!bc].py", "a/d.py"),
        ("a/[b-d].py", "a/c.py"),
        ("a/[]].py", "a/].py"),
        ("a/\\*.py", "a/*.py"),
        ("**/a.py", "a.py"),
        ("**/a.py", "x/y/a.py"),
        ("**/a/**", "a/b"),
        ("**/a/**", "x/a/b/c.py"),
        ("a/**/b.py", "a/b.py"),
        ("a/**/b.py", "a/x/y/b.py"),
        ("a/**/b/**/c.py", "a/x/b/y/b/c.py"),
        ("a/**", "a/b/c"),
        ("**", "a"),
        ("**/*", "a/b"),
        ("a**b", "axxb"),
        ("*a*b*", "xxaxxbxx"),
        ("*é*", "xéx"),
        ("**/.*/**", "a/.git/b"),
    ],
)
def test_what_a_glob_matches(glob: str, path: str) -> None:
    assert matches(glob, path)


@pytest.mark.parametrize(
    ("glob", "path"),
    [
        ("setup.py", "a/setup.py"),
        ("setup.py", "setup.pyc"),
        ("a/*.py", "a/b/c.py"),
        ("a/?.py", "a//.py"),
        ("a/[!b].py", "a//.py"),
        ("**/a/**", "a"),
        ("**/a/**", "xa/b"),
        ("a/**", "a"),
        ("a/**", "ab/c"),
        ("**/test_*.py", "tests/x.py"),
        ("a.py", "aXpy"),
        ("*a*b*", "xxbxxaxx"),
        ("", "a"),
    ],
)
def test_what_it_does_not_match(glob: str, path: str) -> None:
    assert not matches(glob, path)


@given(st.text(alphabet="ab*?", max_size=8), st.text(alphabet="ab", max_size=8))
def test_within_one_name_it_is_what_fnmatch_says(glob: str, name: str) -> None:
    if glob != "**":
        assert matches(glob, name) == fnmatchcase(name, glob)


@given(
    st.lists(st.sampled_from(["**", "a", "b", "*"]), min_size=1, max_size=5),
    st.lists(st.sampled_from("ab"), min_size=1, max_size=6),
)
def test_between_names_it_is_what_a_slow_matcher_says(parts: list[str], names: list[str]) -> None:
    def slow(parts: list[str], names: list[str]) -> bool:
        if not parts:
            return not names
        if parts[0] == "**":
            if len(parts) == 1:
                return bool(names)
            return slow(parts[1:], names) or (bool(names) and slow(parts, names[1:]))
        return bool(names) and parts[0] in {"*", names[0]} and slow(parts[1:], names[1:])

    assert matches("/".join(parts), "/".join(names)) == slow(parts, names)


@pytest.mark.parametrize(
    ("glob", "path"),
    [
        ("*a" * 100 + "b", "a" * 4_000),
        ("**/a/" * 80 + "b", "a/" * 3_000 + "c"),
        ("**/*a*/" * 60 + "b", "aaaa/" * 2_000 + "c"),
        ("?*" * 100 + "b", "a" * 4_000),
    ],
)
def test_no_glob_takes_for_ever(glob: str, path: str) -> None:
    started = time.process_time()
    assert not matches(glob, path)
    assert time.process_time() - started < 10  # seconds; backtracking would take years


def test_a_set_that_makes_no_sense_is_an_error() -> None:
    with pytest.raises(re.error):
        re.compile(translate("[z-a]"))
