"""The data directory: one supervisor at a time, and other commands find its servers."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ssot_dash.embedded.data import BASE_DIR, DataDirectory, configured, prepare_environment
from ssot_dash.embedded.errors import CannotStart

SERVERS = {"DATABASE_URL": "postgresql://ours", "BROKER_URL": "redis+socket:///ours"}


@pytest.fixture
def directory(tmp_path: Path) -> DataDirectory:
    made = DataDirectory(tmp_path / "data")
    made.prepare()
    return made


def environment_for(directory: DataDirectory, *arguments: str, **given: str) -> dict[str, str]:
    environment = {"SSOT_DATA_DIR": str(directory.path), **given}
    prepare_environment(["manage.py", *arguments], environment)
    return environment


def test_directory_is_for_its_owner_only(directory: DataDirectory) -> None:
    assert stat.S_IMODE(directory.path.stat().st_mode) == 0o700


def test_second_claim_is_refused_with_the_holders_address(directory: DataDirectory) -> None:
    with (
        directory.claim("http://127.0.0.1:8000/"),
        pytest.raises(CannotStart, match=rf"http://127\.0\.0\.1:8000/ \(process {os.getpid()}\)"),
        directory.claim("http://127.0.0.1:8001/"),
    ):
        pass


def test_claim_ends_with_its_process(directory: DataDirectory) -> None:
    script = (
        "import os, sys\nfrom pathlib import Path\nfrom ssot_dash.embedded.data import DataDirectory\n"
        "directory = DataDirectory(Path(sys.argv[1]))\n"
        "with directory.claim('http://x/'):\n    directory.publish({'DATABASE_URL': 'y'})\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(directory.path)], cwd=BASE_DIR, check=False)
    assert (directory.path / "running.json").exists()
    assert directory.servers() == {}
    with directory.claim("http://127.0.0.1:8001/"):
        pass


def test_commands_use_the_servers_that_run(directory: DataDirectory) -> None:
    with directory.claim("http://127.0.0.1:8000/"):
        directory.publish(SERVERS)
        assert stat.S_IMODE((directory.path / "running.json").stat().st_mode) == 0o600
        assert SERVERS.items() <= environment_for(directory, "shell").items()
        assert (
            environment_for(directory, "shell", DATABASE_URL="postgresql://mine")["DATABASE_URL"]
            == "postgresql://mine"
        )
        for command in ("up", "test", "audit"):
            assert "DATABASE_URL" not in environment_for(directory, command)
    assert directory.servers() == {}


@pytest.mark.parametrize("arguments", [("--data", "{}"), ("--port", "1", "--data={}")])
def test_up_takes_the_data_directory_from_its_arguments(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    wanted = tmp_path / "elsewhere"
    given = [part.format(wanted) for part in arguments]
    environment = environment_for(DataDirectory(tmp_path / "data"), "up", *given)
    assert configured(environment) == wanted
    assert wanted.is_dir()
    assert not (tmp_path / "data").exists()


def test_asking_for_help_makes_no_directory(tmp_path: Path) -> None:
    environment_for(DataDirectory(tmp_path / "data"), "up", "--help")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("command", ["audit", "bench", "test"])
def test_commands_that_serve_nobody_leave_the_data_directory_alone(tmp_path: Path, command: str) -> None:
    environment = environment_for(DataDirectory(tmp_path / "data"), command)
    assert len(environment["SECRET_KEY"]) >= 50
    assert not (tmp_path / "data").exists()
