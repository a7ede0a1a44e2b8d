"""``manage.py read_tracker``: the claims of a document, each with its line."""

from pathlib import Path

import pytest
from django.core.management import CommandError, call_command


def test_claims_are_shown_with_their_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "SSOT-clock.md"
    file.write_text("# Clock\n**Status:** DONE\n## Step 4: remediate ✅\n`app/a.py:3-5` and 26 tests\n")
    call_command("read_tracker", str(file))
    assert capsys.readouterr().out.splitlines() == [
        "line     1  title: Clock",
        "line     2  status: DONE",
        "line     3  step (step 4, remediate): completed",
        "line     4  tests (step 4, remediate): 26 tests",
        "line     4  file: app/a.py:3-5",
    ]


def test_a_document_without_steps_and_one_that_cannot_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "SSOT-clock.md"
    file.write_text("# Clock\n")
    call_command("read_tracker", str(file))
    assert "unstructured" in capsys.readouterr().out
    file.write_bytes(b"\0")
    for path in (file, tmp_path / "absent.md"):
        with pytest.raises(CommandError) as error:
            call_command("read_tracker", str(path))
        assert error.value.returncode == 2
