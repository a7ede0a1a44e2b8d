"""Keeps children running: starts them again when they die, and stops them all in order."""

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Protocol

from ssot_dash.embedded import processes
from ssot_dash.embedded.errors import CannotStart
from ssot_dash.embedded.logs import LogWatch, open_log

# Seconds before a child that died is started again: doubled from the first to the last, and back to the first
# once it has run for STEADY seconds.
FIRST_PAUSE, LAST_PAUSE, STEADY = 1.0, 30.0, 60.0


class Launchable(Protocol):
    """What is supervised: a Server or a Program."""

    name: str
    log: Path
    stop_signals: Sequence[tuple[signal.Signals, float]]
    process: subprocess.Popen[bytes] | None

    def launch(self) -> None:
        """Start the process, not waiting until it is ready. Raises CannotStart."""

    def stop(self) -> None:
        """Stop the process in order, or by force."""


@dataclass
class Program:
    """A process of the site itself: web server, worker, scheduler."""

    name: str
    command: Sequence[str]
    cwd: Path
    environment: Mapping[str, str]
    log: Path
    stop_signals: Sequence[tuple[signal.Signals, float]]
    parent_death_signal: signal.Signals = signal.SIGTERM
    pass_fds: Sequence[int] = ()
    process: subprocess.Popen[bytes] | None = None

    def launch(self) -> None:
        output = open_log(self.log)
        try:
            self.process = processes.spawn(
                self.command,
                cwd=self.cwd,
                env=self.environment,
                output=output,
                parent_death_signal=self.parent_death_signal,
                pass_fds=self.pass_fds,
            )
        finally:
            os.close(output)

    def stop(self) -> None:
        if self.process is not None:
            processes.stop(self.process, self.stop_signals)
            self.process = None


@dataclass
class _Watched:
    child: Launchable
    log: LogWatch
    pause: float = field(default_factory=lambda: FIRST_PAUSE)
    started: float = 0.0
    due: float | None = None  # when to start it again; None: it runs


@dataclass
class Supervisor:
    """The children in the order of their start; they are stopped in the opposite order."""

    say: Callable[[str], None]
    watched: list[_Watched] = field(default_factory=list)

    def start(self, child: Launchable) -> None:
        """Launch a child and keep it running from now on. Raises CannotStart."""
        entry = _Watched(child, LogWatch(child.log))
        self.watched.append(entry)
        child.launch()
        entry.started = time.monotonic()

    def tend(self) -> None:
        """Look after the children once: report deaths and warnings, start again what is due."""
        for entry in self.watched:
            process = entry.child.process
            if entry.due is None and process is not None and processes.has_exited(process):
                self._bury(entry, process)
            if entry.due is not None and time.monotonic() >= entry.due:
                self._start_again(entry)
            warnings = entry.log.new_warnings()
            # What the servers warn of is for their logs: deaths apart, nothing in it needs the reader.
            for line in warnings if isinstance(entry.child, Program) else ():
                self.say(f"{entry.child.name}: {line}")

    def stop(self) -> None:
        """Stop all: those that need no others beside them at once, then the servers, the last started first."""
        programs = [entry.child for entry in self.watched if isinstance(entry.child, Program)]
        self._stop_together(programs)
        for entry in reversed(self.watched):
            entry.child.stop()
        self.watched.clear()

    def kill(self) -> None:
        """End all at once."""
        for entry in self.watched:
            if entry.child.process is not None:
                processes.stop(entry.child.process, [])

    def _bury(self, entry: _Watched, process: subprocess.Popen[bytes]) -> None:
        code = processes.reap(process)
        if time.monotonic() - entry.started > STEADY:
            entry.pause = FIRST_PAUSE
        self.say(
            f"{entry.child.name} ended unexpectedly ({_ending(code)}); starting it again in {entry.pause:.0f} s. "
            f"Log: {entry.child.log}"
        )
        entry.due = time.monotonic() + entry.pause
        entry.pause = min(entry.pause * 2, LAST_PAUSE)

    def _start_again(self, entry: _Watched) -> None:
        try:
            entry.child.launch()
        except (CannotStart, OSError) as error:
            self.say(f"{entry.child.name} could not be started, next try in {entry.pause:.0f} s: {error}")
            entry.due = time.monotonic() + entry.pause
            entry.pause = min(entry.pause * 2, LAST_PAUSE)
            return
        entry.due = None
        entry.started = time.monotonic()
        self.say(f"{entry.child.name} is running again.")

    def _stop_together(self, programs: Iterable[Program]) -> None:
        """Stop several at the same time: each gets its signals at its own pace."""
        plans = {
            id(program): (program, list(program.stop_signals), 0.0) for program in programs if program.process
        }
        while plans:
            for key, (program, signals, due) in list(plans.items()):
                process = program.process
                assert process is not None
                if processes.has_exited(process):
                    program.stop()
                    del plans[key]
                elif time.monotonic() >= due:
                    if not signals:
                        processes.stop(process, [])
                        continue
                    (number, seconds), *rest = signals
                    process.send_signal(number)
                    plans[key] = (program, rest, time.monotonic() + seconds)
            time.sleep(0.02)


class Interruption:
    """SIGINT, SIGTERM and SIGHUP as something to ask for. A second one runs ``at_once`` and ends the process."""

    def __init__(self, at_once: Callable[[], None]) -> None:
        self.requested = False
        self.at_once = at_once
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)

    def install(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) != signal.SIG_IGN:  # as nohup leaves SIGHUP
                signal.signal(number, self._request)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)  # so that a child's end wakes ``wait``
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)

    def wait(self, seconds: float, *files: int) -> list[int]:
        """Sleep until a signal arrives, one of ``files`` can be read, or the time is over; return those files."""
        with selectors.DefaultSelector() as selector:
            for file in (self._reader, *files):
                selector.register(file, selectors.EVENT_READ)
            ready = [key.fd for key, _events in selector.select(seconds)]
        with contextlib.suppress(BlockingIOError):
            os.read(self._reader, 4096)
        return [file for file in ready if file != self._reader]

    def _request(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            self.at_once()
            os._exit(128 + number)
        self.requested = True


def stop_leftovers(variable: str, value: str) -> int:
    """Stop processes whose environment has ``variable=value``, children of a supervisor that was killed.

    The mark was put there when they were started, so that no process id has to be believed. Returns how many.
    """
    mark = f"\0{variable}={value}\0".encode()

    def marked() -> list[int]:
        found = []
        for pid in processes.running():
            with contextlib.suppress(OSError):
                environment = Path(f"/proc/{pid}/environ").read_bytes()
                if mark in b"\0" + environment:
                    found.append(pid)
        return found

    first = marked()
    for number, seconds in ((signal.SIGTERM, 5.0), (signal.SIGQUIT, 3.0), (signal.SIGKILL, 5.0)):
        for pid in marked():
            processes.send(pid, number)
        if processes.wait_until(lambda: not marked(), seconds, pause=0.1):
            break
    return len(first)


def say(text: str) -> None:
    """Print a line for the person at the terminal, who may have left."""
    with contextlib.suppress(OSError):
        print(text, flush=True, file=sys.stdout)


def _ending(code: int) -> str:
    if code < 0:
        return signal.Signals(-code).name
    return f"exit code {code}"
