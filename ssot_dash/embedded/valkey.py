"""The embedded Valkey, Celery's broker: append-only file and unix socket in ``<data>/valkey``."""

import contextlib
import os
import signal
import socket
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from ssot_dash.embedded import sockets
from ssot_dash.embedded.server import Server

_SOCKET = "valkey.sock"


class Valkey(Server):
    """A broker that remembers its messages over a restart and is reachable by the socket's owner only."""

    name = "Valkey"
    directory_name = "valkey"
    program = "valkey-server"
    stop_signals = ((signal.SIGTERM, 10.0),)

    @property
    def url(self) -> str:
        """``BROKER_URL`` of the running server."""
        return f"redis+socket://{quote(os.fspath(self._socket_path), safe='/')}"

    def stop(self) -> None:
        super().stop()
        sockets.remove_short_path(self.directory, _SOCKET)

    @property
    def _socket_path(self) -> Path:
        return sockets.short_path(self.directory, _SOCKET) / _SOCKET

    def _prepare(self) -> None:
        uid = self._uid
        self.directory.mkdir(mode=0o700, exist_ok=True)
        if uid is not None:
            os.chown(self.directory, uid, uid)
        (self.directory / _SOCKET).unlink(missing_ok=True)

    def _command(self) -> Sequence[str | Path]:
        settings = {
            "port": "0",
            "unixsocket": _SOCKET,
            "unixsocketperm": "700",
            "daemonize": "no",
            "dir": ".",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
            # After a crash the file may end in half a command: cut it off rather than refuse to start.
            "aof-load-truncated": "yes",
            "loglevel": "notice",
        }
        return [
            self.binaries.valkey,
            *(part for name, value in settings.items() for part in (f"--{name}", value)),
        ]

    def _is_ready(self) -> bool:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(2)
            client.connect(os.fspath(self._socket_path))
            client.sendall(b"PING\r\n")
            return client.recv(64).startswith(b"+PONG")
        return False
