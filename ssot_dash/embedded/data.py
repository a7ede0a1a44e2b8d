"""The data directory: everything that the site writes, and who works on it.

``up.lock`` is locked by the supervisor that runs on the directory and says where it serves; ``running.json`` tells
other commands, such as ``manage.py shell``, how to reach its database and broker.
"""

import argparse
import contextlib
import fcntl
import json
import os
import secrets
import tempfile
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ssot_dash.embedded.errors import CannotStart

BASE_DIR = Path(__file__).resolve().parents[2]
SERVER_VARIABLES = ("DATABASE_URL", "BROKER_URL")


def configured(environment: Mapping[str, str]) -> Path:
    """The data directory that ``environment`` names, or the default one beside the code."""
    return Path(environment.get("SSOT_DATA_DIR") or BASE_DIR / ".data").resolve()


def prepare_environment(arguments: Sequence[str], environment: MutableMapping[str, str]) -> None:
    """Set what the settings read when they are loaded, from a command line (program name first).

    ``up --data DIR`` names the data directory, and makes it, because the settings keep their secret there. Other
    commands use the servers of an ``up`` that is running, unless they have been given their own. ``audit``, ``bench``,
    ``drill`` and ``test`` serve nobody: they get a passing secret and leave the data directory alone.
    Raises CannotStart.
    """
    command = arguments[1] if len(arguments) > 1 else ""
    if command == "up":
        options = argparse.ArgumentParser(add_help=False)
        options.add_argument("--data")
        given, _rest = options.parse_known_args(list(arguments[2:]))
        if given.data:
            environment["SSOT_DATA_DIR"] = os.path.abspath(os.path.expanduser(given.data))
        if not {"-h", "--help"} & set(arguments):
            DataDirectory(configured(environment)).prepare()
    elif command in {"audit", "bench", "drill", "test"}:
        environment.setdefault("SECRET_KEY", secrets.token_urlsafe(50))
    else:
        for name, value in DataDirectory(configured(environment)).servers().items():
            if not environment.get(name):
                environment[name] = value


@dataclass(frozen=True)
class Claim:
    """Who runs on the data directory: process id and the address that it serves."""

    pid: int
    url: str


@dataclass(frozen=True)
class DataDirectory:
    path: Path

    def prepare(self) -> None:
        """Make it, for its owner only, and see that it can be written. Raises CannotStart."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):
                pass
        except OSError as error:
            raise CannotStart(
                f"The data directory {self.path} can't be written to: {error.strerror or error}.\n"
                "Choose another one: up --data DIR"
            ) from error

    @contextlib.contextmanager
    def claim(self, url: str) -> Iterator[None]:
        """Hold the directory for this process. Raises CannotStart when a living process holds it."""
        try:
            lock = os.open(self.path / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise CannotStart(
                f"The data directory {self.path} belongs to another user ({error.strerror}): choose another --data."
            ) from error
        with open(lock, "r+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise CannotStart(self._describe_holder(file.read())) from error
            file.truncate(0)
            json.dump(asdict(Claim(os.getpid(), url)), file)
            file.flush()
            try:
                yield
            finally:
                self.publish({})
                file.truncate(0)

    def publish(self, servers: Mapping[str, str]) -> None:
        """Tell other commands the addresses of the servers that run here (none: they have stopped)."""
        file = self.path / "running.json"
        file.unlink(missing_ok=True)
        if servers:
            with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
                json.dump(dict(servers), out)

    def servers(self) -> dict[str, str]:
        """The addresses that a running ``up`` published, by the name of the variable that they go into."""
        try:
            with open(self.path / "up.lock") as lock:
                found = json.loads((self.path / "running.json").read_text())
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            pass  # somebody holds it: the addresses are of the living
        except (OSError, ValueError):
            return {}
        else:
            return {}
        return {name: value for name, value in found.items() if name in SERVER_VARIABLES}

    def _describe_holder(self, written: str) -> str:
        try:
            holder = Claim(**json.loads(written))
        except (ValueError, TypeError):
            return f"SSOT Dash is being started or stopped on {self.path} by another process."
        return (
            f"SSOT Dash is already running on {self.path}: {holder.url} (process {holder.pid}).\n"
            "To run a second one beside it, choose another data directory and port: up --data DIR --port PORT"
        )
