"""The example of docs/engine.md runs as it stands, and its options are those of the command."""

import re
import runpy
from argparse import ArgumentParser
from pathlib import Path

import pytest

from audits.engine import command
from tests.samples import commit_tree, init_repository

PAGE = (Path(command.__file__).parent.parent.parent / "docs" / "engine.md").read_text()


def test_the_ten_lines_print_findings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    path = init_repository(tmp_path / "repo")
    files = {"a.py": "from enum import Enum\n\n\nclass Kind(Enum):\n    USER = 1\n\n\nprint(Kind.RUN)\n"}
    commit_tree(path, files, "one", 1_700_000_000, [])
    (tmp_path / "example.py").write_text(example)
    monkeypatch.chdir(path)
    monkeypatch.setenv("SSOT_CACHE_DIR", str(tmp_path / "cache"))
    runpy.run_path(str(tmp_path / "example.py"))
    assert capsys.readouterr().out == "a.py:8: Kind has no member RUN\n"


def test_the_page_names_only_options_that_there_are() -> None:
    parser = ArgumentParser()
    command.add_arguments(parser)
    known = {option for action in parser._actions for option in action.option_strings}
    named = set(re.findall(r"(?<![\w-])(--[a-z][a-z-]*)", PAGE)) - {"--all", "--intent-to-add"}
    assert named <= known


def test_the_hook_calls_an_audit_with_options_that_there_are() -> None:
    text = (Path(command.__file__).parent.parent.parent / ".pre-commit-hooks.yaml").read_text()
    entry = re.findall(r"^  entry: ssot-dash audit (.*)$", text, re.MULTILINE)[0]
    parser = ArgumentParser()
    command.add_arguments(parser)
    options = parser.parse_args(entry.split())
    assert options.staged
    assert options.baseline == "HEAD"
