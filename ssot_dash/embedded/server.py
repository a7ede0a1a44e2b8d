"""What the embedded PostgreSQL and Valkey have in common: one process that owns one directory."""

import contextlib
import fcntl
import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ssot_dash.embedded import processes
from ssot_dash.embedded.binaries import Binaries
from ssot_dash.embedded.errors import CannotStart
from ssot_dash.embedded.logs import last_lines, open_log

# Nothing of the caller's environment reaches a server: PGDATA, PGOPTIONS and the like would change what it does.
ENVIRONMENT: Mapping[str, str] = {"LC_ALL": "C", "TZ": "UTC", "PATH": "/usr/local/bin:/usr/bin:/bin"}


class Server(ABC):
    """A server in ``<data>/<directory_name>``, reached over a unix socket inside that directory.

    The processes of a running server, and no others, hold a lock on ``<data>/<directory_name>.lock``, inherited at
    their start. So a server that outlived a killed supervisor is noticed by the lock, never by a process id that
    may by now be another program's.
    """

    name: str
    directory_name: str
    program: str
    # How to stop it: signals with the seconds to wait after each.
    stop_signals: Sequence[tuple[signal.Signals, float]]

    def __init__(self, data: Path, binaries: Binaries) -> None:
        self.data = data.resolve()
        self.binaries = binaries
        self.directory = self.data / self.directory_name
        self.log = self.data / "logs" / f"{self.directory_name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """The address for clients, with the password if there is one."""

    @abstractmethod
    def _prepare(self) -> None:
        """Make the directory when it is not there, refuse what can't be used. Called with the lock held."""

    @abstractmethod
    def _command(self) -> Sequence[str | Path]:
        """The command line; its current directory is ``self.directory``."""

    @abstractmethod
    def _is_ready(self) -> bool:
        """Whether the started process takes connections."""

    def start(self, timeout: float = 60) -> None:
        """Start it and wait until it takes connections. Raises CannotStart with the end of its log."""
        self.launch()
        try:
            self.wait_ready(timeout)
        except BaseException:
            self.stop()
            raise

    def launch(self) -> None:
        """Start it without waiting until it is ready."""
        lock = os.open(self.data / f"{self.directory_name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self._take(lock)
            self._prepare()
            output = open_log(self.log)
            try:
                self.process = processes.spawn(
                    self._command(),
                    cwd=self.directory,
                    env=ENVIRONMENT,
                    output=output,
                    uid=self._uid,
                    parent_death_signal=self.stop_signals[0][0],
                    pass_fds=(lock,),
                )
            finally:
                os.close(output)
        finally:
            os.close(lock)

    def wait_ready(self, timeout: float = 60, give_up: Callable[[], bool] = lambda: False) -> None:
        """Wait until a launched server takes connections. Raises CannotStart with the end of its log.

        Returns early, ready or not, once ``give_up()`` is true.
        """
        process = self.process
        assert process is not None
        processes.wait_until(
            lambda: give_up() or processes.has_exited(process) or self._is_ready(),
            timeout,
        )
        if give_up():
            return
        if processes.has_exited(process):
            raise CannotStart(
                f"{self.name} did not start. Its log, {self.log}, ends with:\n{last_lines(self.log)}"
            )
        if not self._is_ready():
            raise CannotStart(f"{self.name} did not get ready in {timeout:.0f} s. Its log is {self.log}")

    def stop(self) -> None:
        """Stop it in order, and by force if that takes too long."""
        if self.process is not None:
            processes.stop(self.process, self.stop_signals)
            self.process = None

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self.process is not None:
            processes.stop(self.process, [])
            self.process = None

    def _take(self, lock: int) -> None:
        """Get the lock; a server left over from a killed supervisor is stopped first."""
        began = time.monotonic()
        for number, after in (*self._leftover_signals(), (None, 25.0)):
            while time.monotonic() - began < after:
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return
                time.sleep(0.02)
            if number is not None:
                for pid in processes.working_in(self.directory, self.program):
                    processes.send(pid, number)
        raise CannotStart(
            f"Another {self.name} uses {self.directory} and could not be stopped (is it in another container?)."
        )

    def _leftover_signals(self) -> Sequence[tuple[signal.Signals, float]]:
        """Signals for leftover processes with the seconds before each: time to end by themselves comes first."""
        return ((self.stop_signals[0][0], 1.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 15.0))

    @property
    def _uid(self) -> int | None:
        """As root: the directory's owner, so that an ordinary user's data stay theirs; else our own server user."""
        if self.binaries.uid is None:
            return None
        with contextlib.suppress(FileNotFoundError):
            if owner := self.directory.stat().st_uid:
                return owner
        return self.binaries.uid
