"""The embedded PostgreSQL and Valkey as real processes, through crashes and in awkward places."""

import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg
import pytest
import redis

from ssot_dash.embedded import binaries, processes, sockets
from ssot_dash.embedded.errors import CannotStart
from ssot_dash.embedded.postgres import Postgres
from ssot_dash.embedded.valkey import Valkey

UNSAFE_BUT_QUICK = {"fsync": "off"}


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[Callable[[], Postgres]]:
    """Makes servers on one data directory; its path has spaces and, if we are root, is closed to the server's user."""
    made: list[Postgres] = []

    def make() -> Postgres:
        made.append(Postgres(tmp_path / "a data directory", binaries.find(), UNSAFE_BUT_QUICK))
        made[-1].data.mkdir(exist_ok=True)
        return made[-1]

    yield make
    for server in made:
        server.kill()


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Callable[[], Valkey]]:
    made: list[Valkey] = []

    def make() -> Valkey:
        made.append(Valkey(tmp_path, binaries.find()))
        return made[-1]

    yield make
    for server in made:
        server.kill()


def connect(server: Valkey) -> redis.Redis:
    return redis.Redis(unix_socket_path=unquote(urlsplit(server.url).path))


def rows(server: Postgres) -> list[int]:
    with psycopg.connect(server.url) as connection:
        return [row[0] for row in connection.execute("SELECT x FROM kept ORDER BY x")]


def test_cluster_is_made_private_and_durable(postgres: Callable[[], Postgres]) -> None:
    server = postgres()
    server.start()
    with psycopg.connect(server.url) as connection:
        settings = dict(
            connection.execute(
                "SELECT name, setting FROM pg_settings WHERE name = ANY(%s)",
                [
                    [
                        "synchronous_commit",
                        "listen_addresses",
                        "data_checksums",
                        "server_encoding",
                        "password_encryption",
                    ]
                ],
            ).fetchall()
        )
        superuser = connection.execute("SELECT usesuper FROM pg_user WHERE usename = current_user").fetchone()
    assert settings == {
        "synchronous_commit": "on",
        "listen_addresses": "",
        "data_checksums": "on",
        "server_encoding": "UTF8",
        "password_encryption": "scram-sha-256",
    }
    assert superuser == (False,)
    for private in (server.directory, server.password_file):
        assert stat.S_IMODE(private.stat().st_mode) & 0o077 == 0


@pytest.mark.parametrize("user", ["ssot_dash", "postgres"])
def test_nobody_gets_in_without_the_password(postgres: Callable[[], Postgres], user: str) -> None:
    server = postgres()
    server.start()
    address = urlsplit(server.url)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(
            f"postgresql://{user}:wrong@/{address.path.lstrip('/')}?{address.query}", connect_timeout=300
        )


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_rows_outlive_a_stop_and_a_crash(postgres: Callable[[], Postgres], end: str) -> None:
    first = postgres()
    first.start()
    with psycopg.connect(first.url) as connection:
        connection.execute("CREATE TABLE kept (x int)")
        connection.execute("INSERT INTO kept VALUES (1)")
    getattr(first, end)()
    second = postgres()
    second.start()
    assert rows(second) == [1]
    assert second.url == first.url


def test_process_id_that_is_another_programs_by_now_is_no_obstacle(postgres: Callable[[], Postgres]) -> None:
    server = postgres()
    server.start()
    left = (server.directory / "postmaster.pid").read_text().splitlines()
    server.kill()
    # PostgreSQL itself believes in a living process of its own user.
    sleeper = subprocess.Popen(
        ["sleep", "60"], user=binaries.find().uid, cwd="/", process_group=0, stdout=subprocess.DEVNULL
    )
    try:
        (server.directory / "postmaster.pid").write_text("\n".join([str(sleeper.pid), *left[1:]]) + "\n")
        server.start()
        assert sleeper.poll() is None
    finally:
        sleeper.kill()
        sleeper.wait()


def test_server_that_outlived_its_supervisor_is_taken_over(postgres: Callable[[], Postgres]) -> None:
    orphan = postgres()
    orphan.start()
    with psycopg.connect(orphan.url) as connection:
        connection.execute("CREATE TABLE kept (x int)")
    successor = postgres()
    successor.start()
    assert orphan.process is not None
    assert processes.has_exited(orphan.process)
    assert rows(successor) == []


def test_killed_parent_takes_its_server_along(tmp_path: Path) -> None:
    script = (
        "import os, sys\nfrom pathlib import Path\nfrom ssot_dash.embedded import binaries\n"
        "from ssot_dash.embedded.valkey import Valkey\n"
        "Valkey(Path(sys.argv[1]), binaries.find()).start()\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert processes.wait_until(lambda: not processes.working_in(tmp_path / "valkey", "valkey-server"), 300)


def test_cluster_of_another_major_version_is_refused(postgres: Callable[[], Postgres]) -> None:
    server = postgres()
    server.directory.mkdir()
    (server.directory / "PG_VERSION").write_text("16\n")
    with pytest.raises(CannotStart, match=r"made by PostgreSQL 16.*comes with 18.*\n.*pg_dump"):
        server.start()


def test_directory_with_something_else_in_it_is_left_alone(postgres: Callable[[], Postgres]) -> None:
    server = postgres()
    server.directory.mkdir()
    (server.directory / "thesis.tex").write_text("precious")
    with pytest.raises(CannotStart, match="no PostgreSQL cluster"):
        server.start()
    assert (server.directory / "thesis.tex").read_text() == "precious"


def test_interrupted_making_of_a_cluster_is_started_over(postgres: Callable[[], Postgres]) -> None:
    server = postgres()
    (server.data / "postgres.new").mkdir()
    (server.data / "postgres.new/PG_VERSION").write_text("18\n")
    server.start()
    assert not (server.data / "postgres.new").exists()


def test_lost_password_is_said(postgres: Callable[[], Postgres]) -> None:
    server = postgres()
    server.start()
    server.stop()
    server.password_file.unlink()
    with pytest.raises(CannotStart, match="postgres-password is missing"):
        server.start()


def test_server_that_fails_says_why(postgres: Callable[[], Postgres]) -> None:
    server = postgres()
    server.settings["shared_buffers"] = "nonsense"
    with pytest.raises(
        CannotStart, match=r"(?s)did not start.*invalid value for parameter \"shared_buffers\""
    ):
        server.start()


def test_messages_outlive_a_crash_of_the_broker(valkey: Callable[[], Valkey]) -> None:
    first = valkey()
    first.start()
    with connect(first) as client:
        client.config_set("appendfsync", "always")
        client.lpush("queue", "work")
    first.kill()
    second = valkey()
    second.start()
    with connect(second) as client:
        assert client.lrange("queue", 0, -1) == [b"work"]
        assert stat.S_IMODE(os.stat(second.directory).st_mode) == 0o700


def test_half_a_command_at_the_end_of_the_brokers_file_is_cut_off(valkey: Callable[[], Valkey]) -> None:
    first = valkey()
    first.start()
    with connect(first) as client:
        client.lpush("queue", "work")
    first.stop()
    (appended,) = first.directory.glob("appendonlydir/*.incr.aof")
    with appended.open("ab") as file:
        file.write(b"*3\r\n$5\r\nLPU")
    second = valkey()
    second.start()
    with connect(second) as client:
        assert client.llen("queue") == 1


def test_long_path_gets_a_short_way_to_its_socket(tmp_path: Path) -> None:
    deep = tmp_path / ("long" * 30)
    deep.mkdir()
    short = sockets.short_path(deep, "server.sock")
    assert len(os.fsencode(short / "server.sock")) <= sockets.LONGEST_SOCKET_PATH
    assert short.samefile(deep)
    assert sockets.short_path(deep, "server.sock") == short
    sockets.remove_short_path(deep, "server.sock")
    assert not short.is_symlink()
    assert sockets.short_path(tmp_path, "s") == tmp_path


def test_somebody_elses_link_is_not_followed(tmp_path: Path) -> None:
    deep, trap = tmp_path / ("long" * 30), tmp_path / "trap"
    deep.mkdir()
    trap.mkdir()
    link = sockets.short_path(deep, "server.sock")
    link.unlink()
    link.symlink_to(trap)
    try:
        with pytest.raises(CannotStart, match="in the way"):
            sockets.short_path(deep, "server.sock")
    finally:
        link.unlink()


def test_taken_port_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(CannotStart, match=f"Port {port} .* is taken"):
            sockets.listen("127.0.0.1", port)


def test_host_of_another_machine_is_said() -> None:
    with pytest.raises(CannotStart, match=r"Can't listen on 192\.0\.2\.1"):
        sockets.listen("192.0.2.1", 8000)
