"""The rule required-base: test classes that go around the shared base, and mocks where none are wanted."""

from tests.audits.engine.harness import found

POLICY = """
version = 1
[[base]]
base = "shared.base.SafeTestCase"
forbid = ["unittest.mock.Mock"]
"""
BASE = {
    "shared/__init__.py": "from shared.base import SafeTestCase\n",
    "shared/base.py": "import unittest\nclass SafeTestCase(unittest.TestCase): pass\n",
}


def seen(files: dict[str, str]) -> list[tuple[str, str, str]]:
    return [
        (place, subject, marks)
        for _, place, subject, marks in found({**BASE, **files}, "required-base", policy=POLICY)
    ]


def test_test_classes_without_the_base_are_found() -> None:
    files = {
        "tests/test_a.py": "import unittest\nclass TestA(unittest.TestCase): ...\nclass TestB: ...\nclass Help: ...\n",
        "app.py": "class TestProd: pass\n",
    }
    assert seen(files) == [
        ("tests/test_a.py:2", "shared.base.SafeTestCase", "import_time"),
        ("tests/test_a.py:3", "shared.base.SafeTestCase", "import_time"),
    ]


def test_the_base_counts_at_any_depth_and_through_any_import() -> None:
    files = {
        "tests/mid.py": "import shared as s\nclass Middle(s.SafeTestCase): pass\n",
        "tests/test_a.py": "from tests.mid import Middle as M\nclass TestA(M): pass\n",
    }
    assert seen(files) == []


def test_bases_that_the_text_does_not_tell_are_possible() -> None:
    assert seen({"tests/test_a.py": "class TestA(make_base()): pass\n"}) == [
        ("tests/test_a.py:1", "shared.base.SafeTestCase", "import_time possible")
    ]


def test_forbidden_symbols_are_found_in_the_same_files_only() -> None:
    files = {
        "tests/test_a.py": "from unittest import mock\nmock.Mock()\n",
        "app.py": "from unittest.mock import Mock\nMock()\n",
    }
    assert [(place, subject) for place, subject, _ in seen(files)] == [
        ("tests/test_a.py:2", "unittest.mock.Mock")
    ]
