"""Addresses of the embedded servers' sockets, and the web server's listening socket."""

import contextlib
import errno
import hashlib
import os
import socket
import tempfile
from pathlib import Path

from ssot_dash.embedded.errors import CannotStart

# sun_path holds 108 bytes with its final NUL on Linux, 104 elsewhere.
LONGEST_SOCKET_PATH = 103


def short_path(directory: Path, file_name: str) -> Path:
    """``directory``, or a short link to it when ``directory/file_name`` is too long for a socket address.

    Servers bind their sockets relative to their current directory, which has no limit; clients need a path. The link
    lies in the temporary directory, belongs to the caller and is looked at each time, never trusted for its name.
    """
    if len(os.fsencode(directory / file_name)) <= LONGEST_SOCKET_PATH:
        return directory
    name = hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]
    for place in (Path(tempfile.gettempdir()), Path("/tmp")):  # noqa: S108 - checked below
        link = place / f"ssot-dash-{os.geteuid()}-{name}"
        if len(os.fsencode(link / file_name)) > LONGEST_SOCKET_PATH:
            continue
        with contextlib.suppress(FileExistsError):
            link.symlink_to(directory)
        if link.is_symlink() and link.lstat().st_uid == os.geteuid() and link.readlink() == directory:
            return link
        raise CannotStart(
            f"{link} is in the way: remove it, or choose a shorter data directory than {directory}"
        )
    raise CannotStart(f"The data directory's path is too long for a socket: {directory}")


def remove_short_path(directory: Path, file_name: str) -> None:
    """Remove the link that ``short_path`` made, if it made one."""
    with contextlib.suppress(OSError, CannotStart):
        path = short_path(directory, file_name)
        if path != directory:
            path.unlink()


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on ``host:port``. Raises CannotStart when it can't be had."""
    try:
        family, kind, protocol, _name, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise CannotStart(f"--host {host} is not an address of this machine: {error.strerror}") from error
    listening = socket.socket(family, kind, protocol)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(address)
        listening.listen(1024)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise CannotStart(
                f"Port {port} on {host} is taken by another program. Choose another one: up --port {port + 1}"
            ) from error
        if error.errno == errno.EACCES:
            raise CannotStart(f"Port {port} needs root. Choose one above 1023: up --port 8000") from error
        raise CannotStart(f"Can't listen on {host}:{port}: {error.strerror}") from error
    return listening
