"""Policies: typed, with errors that name the line."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audits.engine.findings import Zone
from audits.engine.policy import MAX_POLICY_CHARACTERS, PolicyError, parse_policy


def test_an_empty_text_is_the_default_policy() -> None:
    policy = parse_policy("")
    assert policy.source_roots == (".", "src")
    assert policy.digest == parse_policy("version = 1").digest


def test_what_a_text_states_is_taken_over() -> None:
    policy = parse_policy(
        """
        version = 1
        source_roots = ["python"]
        exclude = ["vendor/**"]

        [zones]
        test = ["checks/**"]

        [limits]
        file_bytes = 1000
        file_seconds = 5
        """
    )
    assert policy.source_roots == ("python",)
    assert (policy.limits.file_bytes, policy.limits.file_seconds) == (1000, 5)
    assert policy.excludes("vendor/x/y.py")
    assert not policy.excludes("app/vendor.py")
    assert (policy.zone("checks/a.py"), policy.zone("tests/a.py")) == (Zone.TEST, Zone.PROD)
    assert policy.zone("scripts/a.py") is Zone.SCRIPT


def test_equal_policies_have_equal_digests_whatever_they_look_like() -> None:
    one = parse_policy('version = 1\nexclude = ["a"]\n[limits]\nfile_seconds = 5')
    same = parse_policy('# words\nversion=1\nexclude = [\n  "a",\n]\nlimits = {file_seconds = 5}')
    other = parse_policy('version = 1\nexclude = ["b"]\n[limits]\nfile_seconds = 5')
    assert one.digest == same.digest != other.digest
    assert len(one.digest) == 32


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("version = ", 1, "TOML"),
        ("version = 1\n\nexclude = [", 3, "TOML"),
        ("version = 1\nversion = 1", 2, "TOML"),
        ("exclude = []", 1, "version"),
        ("\nversion = 2", 2, "1"),
        ('version = "1"', 1, ""),
        ("version = 1\nexclude = 3", 2, "array"),
        ("version = 1\nexclude = [\n  3,\n]", 2, "str"),
        ("version = 1\n\nunknown = 3", 3, "unknown"),
        ("version = 1\n[zones]\nunknown = []", 3, "unknown"),
        ("version = 1\n[zones]\ntest = 'x'", 3, "array"),
        ("version = 1\n[unknown]\nx = 1", 2, "unknown"),
        ("version = 1\nzones.unknown = []", 2, "unknown"),
        ("version = 1\n[limits]\nfile_bytes = 0", 3, "file_bytes"),
        ("version = 1\n[limits]\nfile_bytes = 99999999999", 3, "file_bytes"),
        ("version = 1\n[limits]\nfile_seconds = 1000", 3, "file_seconds"),
        ("version = 1\n[limits]\nfile_seconds = 1.5", 3, "int"),
        ("version = 1\nexclude = ['']", 2, "glob"),
        ("version = 1\nexclude = ['/x']", 2, "glob"),
        ("version = 1\nexclude = ['[z-a]']", 2, "glob"),
        (f"version = 1\nexclude = ['{'x' * 600}']", 2, "glob"),
        ("version = 1\n[zones]\narchive = ['/x']", 3, "glob"),
        ("version = 1\nsource_roots = ['../x']", 2, "inside"),
        ("version = 1\nsource_roots = ['/x']", 2, "inside"),
    ],
)
def test_an_error_names_the_line_and_what_was_expected(text: str, line: int, words: str) -> None:
    with pytest.raises(PolicyError) as caught:
        parse_policy(text)
    assert caught.value.line == line
    assert str(caught.value).startswith(f"line {line}: ")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "x" * (MAX_POLICY_CHARACTERS + 1),
        "x = " + "[" * 5_000,
        "version = 1\0",
        "version = 1\n# \udcaa",
        "x = " + "9" * 5_000,
    ],
)
def test_a_text_that_is_no_policy_is_refused(text: str) -> None:
    with pytest.raises(PolicyError):
        parse_policy(text)


@pytest.mark.parametrize(
    ("path", "zone"),
    [
        ("app/models.py", Zone.PROD),
        ("tests/test_a.py", Zone.TEST),
        ("app/test/a.py", Zone.TEST),
        ("app/testing/a.py", Zone.TEST),
        ("app/tests.py", Zone.TEST),
        ("test_framework/a.py", Zone.TEST),
        ("app/conftest.py", Zone.TEST),
        ("app/contest.py", Zone.PROD),
        ("app/latest.py", Zone.PROD),
        ("tools/a.py", Zone.SCRIPT),
        ("docs/conf.py", Zone.SCRIPT),
        ("examples/a/b.py", Zone.SCRIPT),
        ("setup.py", Zone.SCRIPT),
        ("app/setup.py", Zone.PROD),
        (".ci/check.py", Zone.SCRIPT),
        ("tests/archive/a.py", Zone.ARCHIVE),
        ("app/old_backup/a.py", Zone.ARCHIVE),
        ("app/core_backup_2025.py", Zone.ARCHIVE),
    ],
)
def test_default_zones(path: str, zone: Zone) -> None:
    assert parse_policy("").zone(path) is zone


def test_a_text_is_taken_apart_once_however_many_tables_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a long policy would take minutes, each time that somebody types a letter into it."""
    seen = 0

    class Text(str):
        def splitlines(self, keepends: bool = False) -> list[str]:
            nonlocal seen
            seen += 1
            return super().splitlines(keepends)

    tables = "".join(f'[[forbidden]]\nsymbol = "os.e{n}"\nallow = ["a{n}/**"]\n' for n in range(300))
    assert len(parse_policy(Text("version = 1\n" + tables)).forbidden) == 300
    assert seen == 1


PIECES = st.sampled_from(
    [
        *("version = 1\n", "[zones]\n", "[[forbidden]]\n", "[[waiver]]\n", "[[unique]]\n", "[[literal]]\n"),
        *(
            "test = [",
            "]",
            "'**/x'",
            "symbol = ",
            "value = ",
            "until = ",
            "2024-13-45",
            "2024-02-03",
            "nan",
            "1e999",
        ),
        *(
            "9" * 30,
            '"""',
            "''",
            "=",
            ".",
            "{a = 1}",
            "\n",
            "\\ud800",
            "\ud800",
            "\0",
            "(a+)+$",
            "[z-a]",
            "\u2028",
        ),
    ]
)


@given(st.lists(PIECES | st.text(max_size=5), max_size=12).map("".join))
def test_any_text_is_a_policy_or_an_error_that_says_why(text: str) -> None:
    with contextlib.suppress(PolicyError):
        assert parse_policy(text).digest
