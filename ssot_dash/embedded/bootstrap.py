"""Makes ``.venv`` with what the lock files name, using the standard library and the machine's pip alone.

A fresh Debian has no ensurepip (so ``python3 -m venv`` fails) and its pip refuses to install outside an environment;
an environment made without pip, filled by the system's ``pip --python``, needs neither.
"""

import fcntl
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path

from ssot_dash.embedded.errors import CannotStart

ROOT = Path(__file__).resolve().parents[2]
RUN_TIME_LOCK = "requirements.txt"
TEST_LOCK = "requirements-dev.txt"


def enter(arguments: Sequence[str]) -> None:
    """Return inside an environment with the requirements; outside, make one when needed and start again in it.

    ``arguments`` are those of this program, its own name first. Inside a virtual environment nothing is installed:
    it is either the one made here, or the user's own affair.
    """
    if sys.prefix != sys.base_prefix:
        return
    locks = [RUN_TIME_LOCK, TEST_LOCK] if arguments[1:2] == ["test"] else [RUN_TIME_LOCK]
    environment = Environment(ROOT, locks)
    try:
        environment.complete()
    except CannotStart as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("\nInterrupted. Run the same command again: it starts over where needed.")
    os.execv(environment.python, [os.fspath(environment.python), *arguments])  # noqa: S606


class Environment:
    """The virtual environment ``<root>/.venv`` and the lock files that it is to hold.

    ``ssot-dash.json`` in it says which lock files were installed completely; ``ssot-dash-unfinished`` that work on it
    has begun, so an environment that still has this when nobody works on it is made anew.
    """

    def __init__(self, root: Path, locks: Sequence[str]) -> None:
        self.root = root
        self.directory = root / ".venv"
        self.python = self.directory / "bin/python"
        self.stamp = self.directory / "ssot-dash.json"
        self.unfinished = self.directory / "ssot-dash-unfinished"
        self.wanted = {lock: _digest(root / lock) for lock in locks}

    def complete(self) -> None:
        """Install what is wanted and not there. Raises CannotStart."""
        if self._is_complete():
            return
        # A lock on the directory itself: no lock file to leave behind, none to lose with the environment.
        root = os.open(self.root, os.O_RDONLY)
        try:
            try:
                fcntl.flock(root, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print("Waiting for another manage.py that installs the requirements ...", flush=True)
                fcntl.flock(root, fcntl.LOCK_EX)
            if not self._is_complete():
                self._install()
        except PermissionError as error:
            raise CannotStart(
                f"{self.root} is not yours to write to, so the requirements can't be installed there ({error}).\n"
                "Run this as its owner, or use a copy of your own."
            ) from error
        except OSError as error:
            raise CannotStart(f"The requirements could not be installed: {error}") from error
        finally:
            os.close(root)

    def _is_complete(self) -> bool:
        installed = self._installed()
        return (
            self.wanted.items() <= installed.items()
            and installed.get("python") == self._interpreter()
            and self.python.exists()
            and not self.unfinished.exists()
        )

    def _installed(self) -> Mapping[str, str]:
        try:
            found = json.loads(self.stamp.read_text())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _install(self) -> None:
        began = time.monotonic()
        if self.unfinished.exists() or not self._is_usable():
            shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(exist_ok=True)
        self.unfinished.touch()
        if not self.python.exists():
            venv.EnvBuilder(with_pip=False, symlinks=True).create(self.directory)
        run_pip(self._pip(), [self.root / lock for lock in self.wanted], self.directory / "ssot-dash-pip.log")
        # The test requirements were resolved beside the run-time ones: they go stale with those.
        kept = self._installed() if self._installed().get(RUN_TIME_LOCK) == self.wanted[RUN_TIME_LOCK] else {}
        written = self.stamp.with_suffix(".new")
        written.write_text(json.dumps({**kept, **self.wanted, "python": self._interpreter()}))
        written.replace(self.stamp)
        self.unfinished.unlink()
        print(f"Installed in {time.monotonic() - began:.0f} s.", flush=True)

    def _interpreter(self) -> str:
        """The file that its python is a link to: another one after the system's Python got a new minor version."""
        return os.path.realpath(self.python)

    def _is_usable(self) -> bool:
        """Whether its interpreter is the one it was made with, as far as known, and runs."""
        if self._installed().get("python", self._interpreter()) != self._interpreter():
            return False
        try:
            asked = subprocess.run(
                [self.python, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"],
                stderr=subprocess.DEVNULL,
                check=False,
            )
        except OSError:
            return False
        return asked.returncode == 0

    def _pip(self) -> list[str]:
        """The command that runs pip on the environment."""
        if importlib.util.find_spec("pip") is not None:
            return [sys.executable, "-m", "pip", "--python", os.fspath(self.python)]
        if importlib.util.find_spec("ensurepip") is not None:
            subprocess.run(
                [self.python, "-m", "ensurepip"],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=False,
            )
            return [os.fspath(self.python), "-m", "pip"]
        raise CannotStart("pip is missing. On Debian: apt install python3-pip")


def run_pip(pip: Sequence[str], locks: Sequence[Path], log: Path) -> None:
    """Install ``locks`` with a short report of progress; pip's own words go to ``log``. Raises CannotStart."""
    progress = Progress(len(set().union(*(_names(lock) for lock in locks))))
    command = [
        *pip,
        *("install", "--require-hashes", "--no-deps", "--only-binary", ":all:"),
        *("--disable-pip-version-check", "--no-input", "--progress-bar", "off", "--no-warn-script-location"),
        *(part for lock in locks for part in ("-r", os.fspath(lock))),
    ]
    with (
        log.open("w") as kept,
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as running,
    ):
        assert running.stdout is not None
        for line in running.stdout:
            kept.write(line)
            progress.read(line)
    progress.close()
    if running.returncode != 0:
        said = "\n".join(f"  {line}" for line in log.read_text().splitlines()[-8:])
        raise CannotStart(
            f"The requirements could not be installed. pip ends with:\n{said}\n"
            f"All of it is in {log}. Is there a way to the package index (or a mirror in pip's configuration, "
            "PIP_INDEX_URL)? Then run the same command again."
        )


class Progress:
    """One changing line on a terminal, a few lines elsewhere."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.found = 0
        self.changing = sys.stdout.isatty()
        print(
            f"Installing {total} packages into .venv (once, and when the lock files change) ...", flush=True
        )

    def read(self, line: str) -> None:
        """Take one line of pip's output."""
        if line.startswith(("Ignoring ", "Requirement already satisfied")):  # for other systems; here
            self.total -= 1
        elif collected := re.match(r"(?:Collecting |Processing .*/)([\w.-]+)", line):
            self.found += 1
            self._show(f"  {self.found} of {self.total}: {collected[1]}", change=True)
        elif line.startswith("Installing collected packages"):
            self._show(f"  {self.found} packages are here, unpacking them ...", change=False)

    def close(self) -> None:
        if self.changing:
            print("\r\033[K", end="", flush=True)

    def _show(self, text: str, *, change: bool) -> None:
        if self.changing:
            print(f"\r\033[K{text}", end="", flush=True)
        elif not change:
            print(text, flush=True)


def _digest(lock: Path) -> str:
    return hashlib.sha256(lock.read_bytes()).hexdigest()


def _names(lock: Path) -> set[str]:
    return set(re.findall(r"^([\w.-]+)==", lock.read_text(), re.MULTILINE))
