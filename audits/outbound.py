"""The one way in which the site talks to web addresses that people entered: never to an internal one.

The name is looked up once, every address that it has is checked, and the connection goes to the very address that
passed, so that a name which changes in between leads nowhere else. Redirects are not followed.
"""

import http.client
import socket
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import SplitResult, urlsplit

from audits.fetch_child import is_public

# For everything from connecting to the last byte that is waited for, so that who answers a byte at a time is given up.
SECONDS = 10
MAX_ANSWER = 64 * 1024
_PORTS = {"http": 80, "https": 443}


class OutboundError(Exception):
    """A request that was not made, or not answered well; the message tells a person why."""


def check_url(text: str, allowed: frozenset[str] = frozenset()) -> SplitResult:
    """A URL that may be talked to, as far as its text tells. Raises ``OutboundError``."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise OutboundError("This is not a URL.") from None
    if parts.scheme not in _PORTS or not parts.hostname or parts.username is not None:
        raise OutboundError("Enter an https:// URL without a user name.")
    if parts.scheme == "http" and not _is_allowed(parts, allowed):
        raise OutboundError("Enter an https:// URL: this one would be sent in the clear.")
    if any(ord(character) < 33 for character in text) or port == 0:
        raise OutboundError("This is not a URL.")
    return parts


def post(url: str, body: bytes, headers: Mapping[str, str], allowed: frozenset[str] = frozenset()) -> None:
    """Send a body; answers when the other side took it (2xx). ``allowed`` are hosts (``host`` or ``host:port``) that
    may be internal. Raises ``OutboundError``.
    """
    parts = check_url(url, allowed)
    host, port = str(parts.hostname), parts.port or _PORTS[parts.scheme]
    address = _address(host, port, is_allowed=_is_allowed(parts, allowed))
    connection = _Pinned(host, port, address, is_tls=parts.scheme == "https")
    limit = threading.Timer(SECONDS, connection.give_up)
    limit.start()
    try:
        target = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
        connection.request("POST", target, body, dict(headers))
        answer = connection.getresponse()
        if connection.is_given_up:
            raise TimeoutError  # half a status line would do otherwise
        answer.read(MAX_ANSWER)
    except (OSError, http.client.HTTPException, ValueError) as error:
        words = (
            f"no answer within {SECONDS} s" if connection.is_given_up else str(error) or type(error).__name__
        )
        raise OutboundError(f"{host} could not be talked to: {words}.") from error
    finally:
        limit.cancel()
        connection.close()
    if 300 <= answer.status < 400:
        raise OutboundError(f"{host} redirects, which is not followed.")
    if answer.status >= 300:
        raise OutboundError(f"{host} answered {answer.status} {answer.reason}.")


def _is_allowed(parts: SplitResult, allowed: frozenset[str]) -> bool:
    port = parts.port or _PORTS[parts.scheme]
    return parts.hostname in allowed or f"{parts.hostname}:{port}" in allowed


def _address(host: str, port: int, *, is_allowed: bool) -> str:
    """The address to connect to: the first one of a name whose addresses are all public. Raises ``OutboundError``."""
    try:
        found = [str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError):
        raise OutboundError(f"There is no host {host}.") from None
    if not is_allowed and not all(is_public(address) for address in found):
        raise OutboundError(
            f"{host} is an internal address. Ask the operator to list it in SSOT_WEBHOOK_HOSTS."
        )
    return found[0]


class _Pinned(http.client.HTTPConnection):
    """A connection to an address, in the name of a host."""

    def __init__(self, host: str, port: int, address: str, *, is_tls: bool) -> None:
        super().__init__(host, port, timeout=SECONDS)
        self._address = address
        self._tls = ssl.create_default_context() if is_tls else None
        self._line: socket.socket | None = None
        self.is_given_up = False

    def connect(self) -> None:
        sock = socket.create_connection((self._address, self.port), self.timeout)
        self._line = sock.dup()  # to end it with, whatever becomes of the other
        if self.is_given_up:
            self.give_up()
        self.sock = sock if self._tls is None else self._tls.wrap_socket(sock, server_hostname=self.host)

    def give_up(self) -> None:
        """From another thread: whoever waits for the other side learns that the connection has ended."""
        self.is_given_up = True
        if self._line is not None:
            with suppress(OSError):
                self._line.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        super().close()
        if self._line is not None:
            self._line.close()
