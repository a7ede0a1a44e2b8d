"""The child process that runs a repository's tests: cuts itself off, gives up its rights, then runs the command.

Run by ``audits.executing`` with the standard library alone, without credentials or a database. It reads one JSON object
from standard input and writes one JSON object per line to standard output: ``{"offline": bool}`` before the command
starts, then ``{"status": n}`` (negative: the signal that ended it) or ``{"error": words}``. What the command writes
goes to the file that the order names.

Where the kernel allows it (as root always, else with user namespaces) the command gets namespaces of its own for
network, processes and shared memory: it reaches nobody, and all that it started ends with it.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import resource
import signal
import socket
import struct
import sys
import time
from typing import Any, NoReturn

CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x08000000, 0x10000000, 0x20000000, 0x40000000
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1
_LIBC = ctypes.CDLL(None, use_errno=True)
POLL_SECONDS = 0.05


def say(**message: object) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def is_cut_off() -> bool:
    """Enter namespaces of this process's own. False when the kernel allows none."""
    flags = CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC
    user, group = os.geteuid(), os.getegid()
    if user == 0:
        if _LIBC.unshare(flags) != 0:
            return False
    else:
        if _LIBC.unshare(flags | CLONE_NEWUSER) != 0:
            return False
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{user} {user} 1")
        _write("/proc/self/gid_map", f"{group} {group} 1")
    raise_loopback()
    return True


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


def raise_loopback() -> None:
    """Tests talk to servers of their own: the new network's loopback interface begins switched off."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        request = struct.pack("16sh", b"lo", 0)
        name, flags = struct.unpack("16sh", fcntl.ioctl(handle, _SIOCGIFFLAGS, request))
        fcntl.ioctl(handle, _SIOCSIFFLAGS, struct.pack("16sh", name, flags | _IFF_UP))


def become_command(order: dict[str, Any]) -> NoReturn:
    """Limits, then rights, then the command itself; the order matters."""
    os.setsid()
    log = os.open(order["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    for limit, value in (
        (resource.RLIMIT_AS, order["memory"]),
        (resource.RLIMIT_CPU, order["cpu_seconds"]),
        (resource.RLIMIT_NPROC, order["processes"]),
        (resource.RLIMIT_FSIZE, order["file_bytes"]),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 1_024),
    ):
        resource.setrlimit(limit, (value, value))
    if order["user"] != os.geteuid():
        os.setgroups([])
        os.setresgid(order["group"], order["group"], order["group"])
        os.setresuid(order["user"], order["user"], order["user"])
    _LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    os.umask(0o077)
    os.closerange(3, 1_024)
    os.chdir(order["checkout"])
    try:
        os.execvpe(order["command"][0], order["command"], order["environment"])  # noqa: S606
    except OSError as error:
        os.write(2, f"{order['command'][0]}: {error.strerror}\n".encode())
        os._exit(127)


def outlast(child: int, seconds: float) -> int | None:
    """Wait for the command to end; its wait status, None when its time ran out and it was killed."""
    deadline = time.monotonic() + seconds
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status
        if time.monotonic() > deadline:
            return None
        time.sleep(POLL_SECONDS)


def main() -> None:
    order = json.loads(sys.stdin.readline())
    try:
        offline = is_cut_off()
    except OSError as error:
        say(error=f"the network could not be cut off: {error.strerror}")
        return
    say(offline=offline)
    child = os.fork()
    if child == 0:
        try:
            become_command(order)
        except (OSError, ValueError) as error:
            os.write(2, f"could not start: {error}\n".encode())
        finally:
            os._exit(126)
    status = outlast(child, order["seconds"])
    # The command is the first process of its namespace, if it has one: everything below ends with it.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    if status is None:
        os.waitpid(child, 0)
        say(error=f"it ran longer than its limit of {order['seconds']:,} s")
    else:
        say(status=os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
