"""Ports that a test's server can leave and come back to."""

import secrets
import socket


def free_port() -> int:
    """One below those that the kernel gives to whoever asks for any: between a stop and the next start, neither another
    test's server nor an outgoing connection gets it."""
    while True:
        port = 10_000 + secrets.randbelow(20_000)
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:
            continue
