"""``manage.py compare_tests`` as somebody at a terminal or a CI job meets it."""

import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command


@pytest.fixture
def reports(tmp_path: Path) -> tuple[Path, Path]:
    before, after = tmp_path / "before.xml", tmp_path / "after.json"
    before.write_text(
        '<testsuite><testcase classname="tests.test_a" name="test_x" time="1"/>'
        '<testcase classname="tests.test_a" name="test_y" time="-1"><failure message="KeyError: 1"/></testcase>'
        "</testsuite>"
    )
    crash = {"outcome": "failed", "crash": {"message": "TypeError: missing"}}
    tests = [
        {"nodeid": "tests/test_a.py::test_x", "outcome": "error", "setup": crash},
        {"nodeid": "tests/test_a.py::test_y", "outcome": "passed"},
    ]
    after.write_text(json.dumps({"tests": tests}))
    return before, after


def test_regressions_are_listed_and_end_with_status_1(
    reports: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        call_command("compare_tests", *map(str, reports))
    assert ended.value.code == 1
    said = capsys.readouterr()
    assert said.out.splitlines()[:4] == [
        "2 tests before, 2 after",
        "",
        "1 broken: passed before, fails now",
        "  tests.test_a::test_x",
    ]
    assert "error in setup: TypeError: missing" in said.out
    assert "1 fixed" in said.out and said.out.endswith("Regressions.\n")
    assert "tests.test_a::test_y: its time '-1' is no number of seconds" in said.err


def test_json_has_each_list(reports: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    call_command("compare_tests", str(reports[0]), str(reports[0]), "--format", "json")
    found = json.loads(capsys.readouterr().out)
    assert (found["schema"], found["regressions"]) == (1, False)
    assert [c["test"] for c in found["same_reason"]] == ["tests.test_a::test_y"]


def test_unreadable_report_ends_with_status_2(reports: tuple[Path, Path]) -> None:
    reports[0].write_text("<html/>")
    for path in (reports[0], reports[0].with_name("absent.xml")):
        with pytest.raises(CommandError, match=path.name) as error:
            call_command("compare_tests", str(path), str(reports[1]))
        assert error.value.returncode == 2
