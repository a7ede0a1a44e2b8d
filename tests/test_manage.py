"""What manage.py says when a command can't reach a database."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ssot_dash.embedded.data import BASE_DIR


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("", "There is no database to ask: start the site (python3 manage.py up)"),
        ("postgresql://127.0.0.1:1/none", "The database that DATABASE_URL names can't be used"),
    ],
)
def test_a_command_without_a_database_says_where_to_get_one(tmp_path: Path, address: str, words: str) -> None:
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in {"DATABASE_URL", "DJANGO_SETTINGS_MODULE"}
    }
    environment |= {"SSOT_DATA_DIR": str(tmp_path), "PGHOST": str(tmp_path)}
    if address:
        environment["DATABASE_URL"] = address
    done = subprocess.run(
        [sys.executable, "manage.py", "issue", "1"],
        cwd=BASE_DIR,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr
