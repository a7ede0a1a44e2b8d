"""The migrations of the registry go back to nothing and forward again, also with rows."""

import pytest

from ssot_dash import scratch

_ISSUE = "from ids import minting; print(minting.generate_many('run', 20, owner='ada')[0], minting.generate('run'))"


@pytest.mark.long
def test_migrations_go_back_to_nothing_with_rows_and_forward_again() -> None:
    with scratch.site() as site:
        assert site.run("shell", "--no-imports", "--command", _ISSUE).startswith("run_1_")
        site.run("migrate", "ids", "zero", "--verbosity", "0")
        site.run("migrate", "ids", "--verbosity", "0")
        assert site.run("shell", "--no-imports", "--command", _ISSUE).startswith("run_1_")
