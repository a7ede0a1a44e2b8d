"""The rule unparseable."""

import pytest

from tests.audits.engine.harness import findings_of, found


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("x = 1\ndef f(:\n    pass", 2),
        ("x = 1\n<<<<<<< HEAD\ny = 1\n=======\ny = 2\n>>>>>>> branch", 2),
        ("if x:\npass", 2),
        ("print 'hello'", 1),
        ("x = 'never closed", 1),
        ("x = (1,\ny = 2", 1),
        ("import", 1),
        ("\tx = 1\n        y = 2", 1),
    ],
)
def test_a_file_that_no_python_can_parse_is_found_at_its_line(source: str, line: int) -> None:
    assert found({"pkg/broken.py": source}) == [
        ("unparseable", f"pkg/broken.py:{line}", "pkg.broken", "import_time")
    ]


@pytest.mark.parametrize(
    "data",
    [
        b"x = 1\0",
        b"# -*- coding: no-such-encoding -*-\n",
        b"x = '\xe9'\n",  # Latin-1 without a cookie
        b"x = '\xed\xa0\x80'\n",  # a lone surrogate
        b"\xff\xfex\x00=\x001\x00",  # UTF-16
        b"x = " + b"1" * 5_000,  # more digits than Python reads
        b"\n".join(b" " * n + b"if x:" for n in range(101)) + b"\n" + b" " * 101 + b"pass",
        b"(" * 201 + b")" * 201,
    ],
    ids=["NUL", "unknown encoding", "Latin-1", "surrogate", "UTF-16", "digits", "indents", "brackets"],
)
def test_bytes_that_no_python_can_parse_are_found(data: bytes) -> None:
    assert [(rule, subject) for rule, _, subject, _ in found({"a.py": data})] == [("unparseable", "a")]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xef\xbb\xbfx = 1\n",  # a byte order mark
        b"# -*- coding: latin-1 -*-\nx = '\xe9'\n",
        b"x = '\\ud800'\n",
        b"x = 1\r\ny = 2\r\n",
        b"x = 1\ry = 2\r",
        b"\x0cx = 1\n",
        b"x = '\\d'\n",  # an invalid escape: only a warning
        "ñ = 'ü'\n".encode(),
    ],
)
def test_unusual_but_valid_files_are_no_findings(data: bytes) -> None:
    assert found({"a.py": data}) == []


def test_nothing_else_is_said_about_a_broken_file_nor_about_its_users() -> None:
    tree = {
        "pkg/__init__.py": "",
        "pkg/broken.py": "from pkg.gone import x\nclass E(",
        "use.py": "from pkg.broken import E, anything\nE.X\nfrom pkg import broken\nbroken.y.z",
    }
    assert [rule for rule, _, _, _ in found(tree)] == ["unparseable"]


def test_severity_follows_the_zone() -> None:
    tree = {"app.py": "(", "tests/test_a.py": "(", "archive/a.py": "("}
    assert [f.severity for f in findings_of(tree)] == ["P0", "P3", "P2"]


def test_message_and_hint_name_reason_and_line() -> None:
    (finding,) = findings_of({"a.py": "x = (\n"})
    assert finding.message == "can't be parsed: '(' was never closed"
    assert "line 1" in finding.hint
