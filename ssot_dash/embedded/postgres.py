"""The embedded PostgreSQL: its cluster in ``<data>/postgres``, its password in ``<data>/postgres-password``."""

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from ssot_dash.embedded import binaries as embedded_binaries
from ssot_dash.embedded import sockets
from ssot_dash.embedded.binaries import POSTGRES_MAJOR, Binaries
from ssot_dash.embedded.errors import CannotStart
from ssot_dash.embedded.server import ENVIRONMENT, Server

ROLE = DATABASE = "ssot_dash"
_PORT = 5432
_SOCKET = f".s.PGSQL.{_PORT}"
# The server may lack the right to walk down to its own directory (below /root, say); the current directory needs none.
_HERE = "/proc/self/cwd"
_STATUS_LINE = 7  # of postmaster.pid, counted from 0: what pg_ctl waits for, too


class Postgres(Server):
    """A cluster with one role, which owns one database and is no superuser. Nobody else may connect.

    ``settings`` are added to the server's command line, as ``{"fsync": "off"}``.
    """

    name = "PostgreSQL"
    directory_name = "postgres"
    program = "postgres"
    # Fast shutdown: sessions are ended, data is flushed. Then immediate shutdown: recovery at the next start.
    stop_signals = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 5.0))

    def __init__(self, data: Path, binaries: Binaries, settings: Mapping[str, str] | None = None) -> None:
        super().__init__(data, binaries)
        self.settings = dict(settings or {})
        self.password_file = self.data / "postgres-password"

    @property
    def url(self) -> str:
        """``DATABASE_URL`` of the running server; libpq understands it as well."""
        password = self.password_file.read_text().strip()
        host = sockets.short_path(self.directory, _SOCKET)
        return f"postgresql://{ROLE}:{quote(password)}@/{DATABASE}?host={quote(os.fspath(host), safe='/')}"

    def stop(self) -> None:
        super().stop()
        sockets.remove_short_path(self.directory, _SOCKET)

    def _prepare(self) -> None:
        version_file = self.directory / "PG_VERSION"
        try:
            major = version_file.read_text().strip()
        except FileNotFoundError:
            self._create_cluster()
            return
        except PermissionError as error:
            raise CannotStart(
                f"{self.directory} belongs to another user. Start as the user who made it, "
                "or choose another --data."
            ) from error
        if major != str(POSTGRES_MAJOR):
            raise CannotStart(
                f"{self.directory} was made by PostgreSQL {major}; this version of SSOT Dash comes with "
                f"{POSTGRES_MAJOR}, which can't read it.\n"
                f"Dump it with PostgreSQL {major} (pg_dump), choose another --data directory, and restore there."
            )
        if not self.password_file.is_file():
            raise CannotStart(
                f"{self.password_file} is missing: restore it, {self.directory} can't be used without."
            )
        # The lock says that no process of this cluster is alive, so these are left from a crash. PostgreSQL itself
        # would believe them if their process id has meanwhile gone to another program of the same user.
        for stale in ("postmaster.pid", _SOCKET, f"{_SOCKET}.lock"):
            (self.directory / stale).unlink(missing_ok=True)

    def _command(self) -> Sequence[str | Path]:
        settings = {
            "listen_addresses": "",
            "port": str(_PORT),
            "unix_socket_directories": ".",
            "unix_socket_permissions": "0700",
            "synchronous_commit": "on",
            "logging_collector": "off",
            "log_destination": "stderr",
            **self.settings,
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [self.binaries.postgres, "-D", self._data_argument, *options]

    def _is_ready(self) -> bool:
        assert self.process is not None
        with contextlib.suppress(OSError):
            lines = (self.directory / "postmaster.pid").read_text().splitlines()
            return lines[:1] == [str(self.process.pid)] and lines[_STATUS_LINE:][:1] == ["ready   "]
        return False

    @property
    def _data_argument(self) -> str:
        return (
            _HERE if self.binaries.uid is not None and sys.platform == "linux" else os.fspath(self.directory)
        )

    def _create_cluster(self) -> None:
        """Make the cluster aside and move it into place, so that an interrupted attempt is never taken for one."""
        if self.directory.exists() and any(self.directory.iterdir()):
            raise CannotStart(f"{self.directory} is not empty and no PostgreSQL cluster: move it away.")
        staging = self.data / "postgres.new"
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(mode=0o700)
        if (user := embedded_binaries.staging_user()) is not None:
            os.chown(staging, user, user)
        in_staging = _HERE if user is not None and sys.platform == "linux" else os.fspath(staging)
        password = secrets.token_urlsafe(32)
        durable = self.settings.get("fsync") != "off"
        self._run(
            [
                self.binaries.initdb,
                *("-D", in_staging, "-U", "postgres", "--encoding=UTF8", "--locale=C"),
                *("--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
                *("--auth=reject", "--no-instructions"),
                *(() if durable else ("--no-sync",)),
            ],
            staging,
            user,
        )
        self._run(
            [self.binaries.postgres, "--single", "-D", in_staging, *(() if durable else ("-F",)), "postgres"],
            staging,
            user,
            f"CREATE ROLE {ROLE} LOGIN CREATEDB PASSWORD '{password}'\nCREATE DATABASE {DATABASE} OWNER {ROLE}\n",
        )
        (staging / "pg_hba.conf").write_text(f"local all {ROLE} scram-sha-256\n")
        if self.binaries.uid is not None:
            for folder, _folders, files in os.walk(staging):
                for path in (folder, *(os.path.join(folder, file) for file in files)):
                    os.chown(path, self.binaries.uid, self.binaries.uid, follow_symlinks=False)
        self.password_file.unlink(missing_ok=True)
        with open(os.open(self.password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(password)
            out.flush()
            os.fsync(out.fileno())
        if self.directory.exists():
            self.directory.rmdir()
        staging.rename(self.directory)

    def _run(self, command: Sequence[str | Path], directory: Path, uid: int | None, given: str = "") -> None:
        done = subprocess.run(
            command,
            cwd=directory,
            env=ENVIRONMENT,
            user=uid,
            group=uid,
            extra_groups=None if uid is None else [],
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip().splitlines()[-8:]
            raise CannotStart(f"{Path(command[0]).name} could not make {self.directory}:\n" + "\n".join(said))
