"""Children that end with their parent and leave nothing behind.

Every child leads its own process group, so that Ctrl-C reaches the supervisor alone and a whole group can be
stopped. Linux signals a child when its parent dies (``PR_SET_PDEATHSIG``), even by kill -9.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(None, use_errno=True).prctl if sys.platform == "linux" else None


def spawn(
    command: Sequence[str | Path],
    *,
    cwd: Path,
    env: Mapping[str, str],
    output: int,
    parent_death_signal: signal.Signals = signal.SIGTERM,
    uid: int | None = None,
    pass_fds: Collection[int] = (),
) -> subprocess.Popen[bytes]:
    """Start ``command`` at the head of its own process group, its output going to the descriptor ``output``.

    ``uid``: the user and group that the child becomes (after changing to ``cwd``); None keeps the caller's.
    Call this from the main thread: the kernel counts the end of the spawning *thread* as the parent's death.
    """
    return subprocess.Popen(
        [str(part) for part in command],
        cwd=cwd,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        process_group=0,
        user=uid,
        group=uid,
        extra_groups=None if uid is None else [],
        pass_fds=tuple(pass_fds),
        preexec_fn=_dies_with_parent(parent_death_signal),  # noqa: PLW1509 - no other threads here
    )


def _dies_with_parent(death_signal: signal.Signals) -> Callable[[], None]:
    parent = os.getpid()

    def arm() -> None:
        # Runs after the change of user, which would clear the setting.
        if _prctl is not None:
            _prctl(_PR_SET_PDEATHSIG, int(death_signal))
        if os.getppid() != parent:
            os._exit(1)

    return arm


def has_exited(process: subprocess.Popen[bytes]) -> bool:
    """Whether the child has ended, without reaping it: its process id stays taken until ``reap``."""
    if process.returncode is not None:
        return True
    try:
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def reap(process: subprocess.Popen[bytes]) -> int:
    """End what is left of the group of a child that has exited; return the child's exit code (-n: signal n).

    The group is killed while the dead leader still holds its id, so the id can't be somebody else's by then.
    """
    if process.returncode is None:
        _signal_group(process.pid, signal.SIGKILL)
    return process.wait()


def stop(process: subprocess.Popen[bytes], signals: Sequence[tuple[signal.Signals, float]]) -> int:
    """Send the leader each signal in turn, with seconds to wait after it, then SIGKILL to the group; reap."""
    for number, seconds in signals:
        if has_exited(process):
            break
        process.send_signal(number)
        wait_until(lambda: has_exited(process), seconds)
    if not has_exited(process):
        _signal_group(process.pid, signal.SIGKILL)
        process.kill()
        wait_until(lambda: has_exited(process), 10)
    return reap(process)


def wait_until(condition: Callable[[], bool], seconds: float, pause: float = 0.02) -> bool:
    """Poll ``condition`` for at most ``seconds``; return its last answer."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return condition()
        time.sleep(pause)
    return True


def running() -> Iterator[int]:
    """Process ids that /proc shows (none where there is no /proc), our own left out."""
    with contextlib.suppress(FileNotFoundError):
        for entry in os.listdir("/proc"):
            if entry.isdigit() and int(entry) != os.getpid():
                yield int(entry)


def working_in(directory: Path, program: str) -> list[int]:
    """Processes of the executable called ``program`` whose current directory is ``directory`` itself."""
    try:
        wanted = directory.stat()
    except OSError:
        return []
    found = []
    for pid in running():
        with contextlib.suppress(OSError):
            here = os.stat(f"/proc/{pid}/cwd")
            executable = os.readlink(f"/proc/{pid}/exe").removesuffix(" (deleted)")
            if (here.st_dev, here.st_ino) == (wanted.st_dev, wanted.st_ino) and (
                os.path.basename(executable) == program
            ):
                found.append(pid)
    return found


def send(pid: int, number: signal.Signals) -> None:
    """Signal one process; that it has gone meanwhile is fine."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
