"""``manage.py up`` as its user meets it: real processes, a real database, signals, and kill -9."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from ssot_dash import health
from ssot_dash.embedded import processes
from ssot_dash.embedded.data import BASE_DIR
from ssot_dash.embedded.up import KEPT_SECONDS, MARK
from tests.background import hear_ctrl_c
from tests.ports import free_port

START_SECONDS = 300


def _parent(pid: int) -> int | None:
    """Its parent's process id; None: it has ended meanwhile."""
    with contextlib.suppress(OSError):
        after_the_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
        return int(after_the_name.split()[1])
    return None


class Site:
    """One ``up`` on a data directory of the test, and what it says."""

    def __init__(self, data: Path, port: int, *arguments: str) -> None:
        self.data = data
        self.port = port
        self.output = data.with_name("output")
        ours = (
            "DATABASE_URL",
            "BROKER_URL",
            "SSOT_DATA_DIR",
            "DJANGO_SETTINGS_MODULE",
            "PYTEST_XDIST_WORKER",
        )
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, BASE_DIR / "manage.py", "up", "--no-sample"),
                    *("--data", data, "--port", str(port), *arguments),
                ],
                env={name: value for name, value in os.environ.items() if name not in ours},
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,
                preexec_fn=hear_ctrl_c,  # noqa: PLW1509 - no other threads here
            )

    def said(self) -> str:
        return self.output.read_text()

    def wait_for(self, words: str) -> None:
        def ready() -> bool:
            return words in self.said() or self.process.poll() is not None

        assert processes.wait_until(ready, START_SECONDS, 0.05), self.said()
        assert words in self.said(), self.said()

    def wait(self) -> int:
        return self.process.wait(START_SECONDS)

    def get(self, path: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=START_SECONDS)
        with contextlib.closing(connection):
            connection.request("GET", path)
            return connection.getresponse().status

    def database(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(json.loads((self.data / "running.json").read_text())["DATABASE_URL"])

    def members(self) -> dict[int, str]:
        """Living processes of this site and their command lines."""
        mark = f"{MARK}={self.data}\0".encode()
        found = {}
        for pid in processes.running():
            with contextlib.suppress(OSError):
                if mark in Path(f"/proc/{pid}/environ").read_bytes():
                    found[pid] = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        for directory, program in (("postgres", "postgres"), ("valkey", "valkey-server")):
            found |= dict.fromkeys(processes.working_in(self.data / directory, program), program)
        return found

    def child(self, pattern: str) -> int:
        """The one process started by ``up`` itself whose command line matches ``pattern``.

        The others are told from it by their parent: process ids begin again at a limit, so the lowest may be any.
        """
        (found,) = (
            pid
            for pid, command in self.members().items()
            if re.search(pattern, command) and _parent(pid) == self.process.pid
        )
        return found


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def start(tmp_path: Path, port: int) -> Iterator[Callable[..., Site]]:
    """Starts sites on one data directory, in a path with spaces."""
    sites: list[Site] = []
    (tmp_path / "a place").mkdir()

    def start_site(*arguments: str) -> Site:
        sites.append(Site(tmp_path / "a place/data", port, *arguments))
        return sites[-1]

    yield start_site
    for site in sites:
        site.process.kill()
        site.process.wait()
        for pid in site.members():
            processes.send(pid, signal.SIGKILL)


def test_ready_is_said_after_every_answer_from_before_is_forgotten() -> None:
    assert KEPT_SECONDS > health.CACHE_SECONDS


@pytest.mark.long
def test_life_of_a_site(start: Callable[..., Site]) -> None:
    """Its parts are killed, then its supervisor, then all of it: each time it goes on with all data."""
    site = start()
    site.wait_for("SSOT Dash is ready")
    said = site.said()
    assert f"http://127.0.0.1:{site.port}/\n" in said
    if (
        "Not all of it is well yet" in said
    ):  # on a busy machine, workers may take longer than it waits for them
        assert processes.wait_until(lambda: site.get("/readyz") == 200, START_SECONDS, 0.2)
    assert site.get("/readyz") == 200
    welcome = re.search(r"First sign-in .*: http://127\.0\.0\.1:\d+(/welcome/\S+)", said)
    assert welcome is not None
    assert site.get(welcome[1]) == 200
    with site.database() as connection:
        connection.execute("INSERT INTO django_session VALUES ('kept', '', now())")

    second = subprocess.run(
        site.process.args,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "ssot_dash.settings"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert second.returncode == 1
    assert (
        f"already running on {site.data}: http://127.0.0.1:{site.port}/ (process {site.process.pid})"
        in second.stderr
    )

    for pattern, name in (
        ("gunicorn", "web"),
        (" worker (?!.*attendant@)", "worker"),
        ("postgres", "PostgreSQL"),
    ):
        os.kill(site.child(pattern), signal.SIGKILL)
        site.wait_for(f"{name} ended unexpectedly (SIGKILL); starting it again")
        site.wait_for(f"{name} is running again")
    assert processes.wait_until(lambda: site.get(welcome[1]) == 200, START_SECONDS, 0.2)

    site.process.kill()
    site.wait()
    assert processes.wait_until(lambda: site.members() == {}, START_SECONDS, 0.1), site.members()

    again = start()
    again.wait_for("SSOT Dash is ready")
    victims = again.members()
    again.process.kill()
    for pid in victims:
        processes.send(pid, signal.SIGKILL)
    again.wait()

    last = start()
    last.wait_for("SSOT Dash is ready")
    with last.database() as connection:
        assert connection.execute("SELECT session_key FROM django_session").fetchall() == [("kept",)]
    assert last.get("/login/") == 200
    last.process.send_signal(signal.SIGTERM)
    assert last.wait() == 0
    assert last.said().endswith("Stopped.\n")
    assert last.members() == {}
    assert not (last.data / "running.json").exists()
    with pytest.raises(ConnectionRefusedError):
        last.get("/login/")


@pytest.mark.long
@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_stopping_during_the_start_leaves_nothing(start: Callable[..., Site], told: signal.Signals) -> None:
    site = start()
    site.wait_for("Bringing the database up to date")
    site.process.send_signal(told)
    assert site.wait() == 0
    assert site.said().endswith("Stopping ...\nStopped.\n")
    assert site.members() == {}


def test_taken_port_is_said_before_anything_is_started(start: Callable[..., Site], port: int) -> None:
    with socket.create_server(("127.0.0.1", port)):
        site = start()
        assert site.wait() == 1
    assert (
        site.said()
        == f"Port {port} on 127.0.0.1 is taken by another program. Choose another one: up --port {port + 1}\n"
    )
    assert not (site.data / "postgres").exists()


@pytest.mark.parametrize("place", ["file/data", "proc"])
def test_data_directory_that_cannot_be_written_is_said(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "proc").symlink_to("/proc/self/fd")
    done = subprocess.run(
        [sys.executable, BASE_DIR / "manage.py", "up", "--data", tmp_path / place],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "ssot_dash.settings"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "can't be written to" in done.stderr
    assert "up --data DIR" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.long
def test_broken_database_address_ends_with_the_reason(tmp_path: Path, port: int) -> None:
    done = subprocess.run(
        [sys.executable, BASE_DIR / "manage.py", "up", "--data", tmp_path / "data", "--port", str(port)],
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "ssot_dash.settings",
            "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "could not be prepared" in done.stderr
    assert "The database can't be reached" in done.stderr
    assert "Connection refused" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "data/postgres").exists()
