"""The child process that talks to git servers: fetches one repository over https into one directory.

Run by ``audits.fetching`` in its own session, with limits and without credentials or a database. It reads one JSON
object from standard input, writes one JSON object per line to standard output (progress, then ``done`` or an error
with a code and words for a person), and ends at once when its standard input does, because then nobody waits for it
any more.

All connections go through ``Tunnel``: whatever libgit2 makes of URL, redirects and names, it reaches the one host
that was asked for, and only on an address that passed the check, because the same address is then connected to.
"""

import ipaddress
import json
import os
import re
import resource
import select
import socket
import sys
import threading
import time
from typing import Any, NoReturn

import pygit2
from pygit2.enums import ConfigLevel

REFSPECS = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"]
CONNECT_SECONDS = 15
PROGRESS_SECONDS = 0.5
MAX_REQUEST = 8_192
CERTIFICATE = (
    "the server's certificate isn't trusted (or is for another host); SSOT_GIT_CA_FILE can name one to trust"
)
NO_SPACE = "No space left on device"  # of the C library, in what libgit2 says
DISK_FULL = (
    "the disk of this server is full: what was fetched before is unharmed, try again when there is room"
)
REDIRECT = "the server redirects to another host, which is not followed; enter the address that the repository has now"
AUTHENTICATION = (
    "the server wants a user name and password; only repositories that are open to all can be fetched"
)

# Reserved for carrying IPv4 addresses, of which some could be internal ones.
_CARRIERS = [ipaddress.ip_network(n) for n in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")]


class Refused(Exception):
    """A fetch that ends here, with a code and words for a person."""

    def __init__(self, code: str, words: str) -> None:
        super().__init__(words)
        self.code = code


def say(**message: object) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def give_up(refusal: Refused) -> NoReturn:
    say(error=refusal.code, words=str(refusal))
    os._exit(1)


def is_public(address: str) -> bool:
    """Whether an IP address is one that anybody on the internet may reach."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return is_public(str(ip.ipv4_mapped))
        if any(ip in network for network in _CARRIERS):
            return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


class Tunnel:
    """An HTTP CONNECT proxy on the loopback interface that leads to one host and port only."""

    def __init__(
        self, host: str, port: int, *, may_be_internal: bool, idle_seconds: float, max_bytes: int
    ) -> None:
        self._host = host
        self._port = port
        self._may_be_internal = may_be_internal
        self._idle_seconds = idle_seconds
        self._max_bytes = self._bytes_left = max_bytes
        self.refusal: Refused | None = None
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            client, _ = self._server.accept()
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            try:
                with self._connect(self._request(client)) as server:
                    client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    self._carry(client, server)
            except Refused as refusal:
                self.refusal = self.refusal or refusal
            except OSError:
                return

    @staticmethod
    def _request(client: socket.socket) -> str:
        """The target of the CONNECT request."""
        head = b""
        while b"\r\n\r\n" not in head and len(head) < MAX_REQUEST:
            part = client.recv(MAX_REQUEST)
            if not part:
                break
            head += part
        found = re.match(rb"CONNECT (\S+) HTTP/1\.[01]\r\n", head)
        return found[1].decode("ascii", "replace") if found else ""

    def _connect(self, target: str) -> socket.socket:
        host, _, port = target.rpartition(":")
        if host.strip("[]").lower() != self._host or port != str(self._port):
            raise Refused("redirect", REDIRECT)
        try:
            found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise Refused("unknown-host", f"the host {self._host} is not known ({error.strerror})") from error
        addresses = [(family, address) for family, _, _, _, address in found]
        if not self._may_be_internal and not all(is_public(str(address[0])) for _, address in addresses):
            words = f"the host {self._host} has an internal address, and SSOT_GIT_HOSTS doesn't list it"
            raise Refused("internal-host", words)
        reason = ""
        for family, address in addresses:
            server = socket.socket(family, socket.SOCK_STREAM)
            server.settimeout(CONNECT_SECONDS)
            try:
                server.connect(address)
            except OSError as error:
                server.close()
                reason = str(error.strerror or error)
            else:
                return server
        raise Refused("unreachable", f"{self._host}:{self._port} can't be reached ({reason})")

    def _carry(self, client: socket.socket, server: socket.socket) -> None:
        """Pass bytes both ways until both ends have said that they are done."""
        other = {client: server, server: client}
        speaking = [client, server]
        while speaking:
            ready, _, _ = select.select(speaking, [], [], self._idle_seconds)
            if not ready:
                words = f"the server sent nothing for {self._idle_seconds:g} s (SSOT_FETCH_IDLE_SECONDS)"
                raise Refused("too-slow", words)
            for end in ready:
                data = end.recv(1 << 16)
                if not data:
                    speaking.remove(end)
                    other[end].shutdown(socket.SHUT_WR)
                    continue
                if end is server:
                    self._bytes_left -= len(data)
                    if self._bytes_left < 0:
                        raise Refused("too-large", f"more than {self._max_bytes:,} bytes (SSOT_FETCH_BYTES)")
                other[end].sendall(data)


class Callbacks(pygit2.RemoteCallbacks):
    def __init__(self) -> None:
        super().__init__()
        self._said_at = 0.0

    def credentials(self, *_: object) -> NoReturn:
        raise Refused("authentication", AUTHENTICATION)

    def certificate_check(self, certificate: None, valid: bool, host: bytes) -> bool:
        if not valid:
            # libgit2 1.9 waits for ever when it closes a refused connection that goes through a proxy.
            give_up(Refused("certificate", CERTIFICATE))
        return valid

    def transfer_progress(self, stats: pygit2.remotes.TransferProgress) -> None:
        now = time.monotonic()
        if now - self._said_at >= PROGRESS_SECONDS:
            self._said_at = now
            say(done=stats.indexed_objects, total=stats.total_objects)


def open_clone(directory: str) -> pygit2.Repository:
    """The bare repository in a directory, made when there is none."""
    try:
        repository = pygit2.init_repository(directory, bare=True)
        targets = [repository.references[name].target for name in repository.references]
        is_sound = all(target in repository for target in targets if isinstance(target, pygit2.Oid))
    except (KeyError, ValueError, pygit2.GitError) as error:
        if NO_SPACE in str(error):
            raise
        is_sound = False
    if not is_sound:
        raise Refused("damaged", "the clone on this server is damaged")
    return repository


def fetch(order: dict[str, Any], tunnel: Tunnel) -> None:
    """Bring branches and tags of ``order["url"]`` into the bare repository at ``order["directory"]``."""
    repository = open_clone(order["directory"])
    remote = repository.remotes.create_anonymous(order["url"])
    heads = remote.list_heads(callbacks=Callbacks(), proxy=tunnel.url)
    names = [str(head.name) for head in heads]
    count = sum(name.startswith(("refs/heads/", "refs/tags/")) for name in names)
    if count > order["max_refs"]:
        raise Refused(
            "too-many-refs",
            f"{count:,} branches and tags; the limit is {order['max_refs']:,} (SSOT_FETCH_REFS)",
        )
    remote.fetch(REFSPECS, callbacks=Callbacks(), proxy=tunnel.url, prune=pygit2.enums.FetchPrune.PRUNE)
    default = next((head.symref_target for head in heads if head.name == "HEAD"), None)
    if default:
        repository.set_head(default)


def explain(error: Exception) -> Refused:
    """The words for what libgit2 raised. Never a URL: only what went wrong."""
    text = " ".join(re.sub(r"[^ -~]", " ", str(error)).split())[:200]
    if isinstance(error, MemoryError) or "memory" in text or "malloc" in text:
        return Refused("too-large", "more memory was needed than SSOT_FETCH_MEMORY_BYTES allows")
    if NO_SPACE in text:
        return Refused("disk-full", DISK_FULL)
    if "File too large" in text:
        return Refused("too-large", "a pack is larger than SSOT_FETCH_BYTES allows")
    if "status code: 404" in text:
        return Refused("not-found", "the server knows no repository at this address, or it isn't open to all")
    if "status code: 401" in text or "status code: 403" in text or "authentication" in text:
        return Refused("authentication", AUTHENTICATION)
    if "SSL" in text:
        return Refused("certificate", f"no secure connection ({text})")
    if "redirect" in text:
        return Refused("redirect", REDIRECT)
    return Refused("fetch-failed", text or type(error).__name__)


def limit_resources(order: dict[str, Any]) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (order["max_memory"],) * 2)
    resource.setrlimit(resource.RLIMIT_FSIZE, (order["max_bytes"],) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (order["seconds"],) * 2)


def end_with_input() -> None:
    while sys.stdin.buffer.read(4096):
        pass
    os._exit(3)


def main() -> None:
    order = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=end_with_input, daemon=True).start()
    limit_resources(order)
    for level in (ConfigLevel.SYSTEM, ConfigLevel.XDG, ConfigLevel.GLOBAL, ConfigLevel.PROGRAMDATA):
        # Somebody's ~/.gitconfig could rewrite URLs or name helpers to run.
        pygit2.settings.search_path[level] = ""
    pygit2.settings.server_connect_timeout = 1000 * CONNECT_SECONDS
    pygit2.settings.server_timeout = 5000
    if order["ca_file"]:
        pygit2.settings.set_ssl_cert_locations(order["ca_file"], None)
    tunnel = Tunnel(
        order["host"],
        order["port"],
        may_be_internal=order["may_be_internal"],
        idle_seconds=order["idle_seconds"],
        max_bytes=order["max_bytes"],
    )
    try:
        fetch(order, tunnel)
    except Exception as error:  # noqa: BLE001 (the one that started this process shall get words for all of them)
        refusal = tunnel.refusal or (error if isinstance(error, Refused) else explain(error))
        give_up(refusal)
    say(fetched=True)


if __name__ == "__main__":
    main()
