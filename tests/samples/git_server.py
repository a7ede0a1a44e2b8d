"""A real git server on https with a certificate that only the test's authority vouches for, and misbehaving
addresses. As a program, for a drill: ``python -m tests.samples.git_server FOLDER NAME=PATH...`` serves these
repositories until its standard input ends, and says its address and where its authority's certificate is.
"""

import io
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import trustme
from dulwich.repo import Repo
from dulwich.server import Backend
from dulwich.web import make_wsgi_chain

Answer = Callable[[dict[str, Any], Any], Any]


class _Repositories(Backend):
    """Opens repositories anew for each request, so that what was committed meanwhile is there."""

    def __init__(self, paths: Mapping[str, Path]) -> None:
        self._paths = paths

    def open_repository(self, path: str | bytes) -> Repo:
        name = path.decode() if isinstance(path, bytes) else path
        return Repo(str(self._paths[name.strip("/")]))


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        pass


class _Handler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
        pass

    def get_stderr(self) -> io.StringIO:
        """For complaints about clients that went away in the middle, which is part of the tests."""
        return io.StringIO()


class GitServer:
    """Serves ``repositories`` (name: path) below https://localhost:port/. ``requests`` are the paths asked for.

    Besides there are /missing.git (404), /private.git (401), /moved/… (redirects to ``moved_to``), /silent.git (never
    answers), /drip.git (a byte a second) and /endless.git (references without end).
    """

    def __init__(self, folder: Path, host: str = "localhost") -> None:
        self.repositories: dict[str, Path] = {}
        self.requests: list[str] = []
        self.moved_to = ""
        authority = trustme.CA()
        self.ca_file = folder / "authority.pem"
        authority.cert_pem.write_to_path(str(self.ca_file))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(host, "127.0.0.1").configure_cert(context)
        self._git = make_wsgi_chain(_Repositories(self.repositories))
        self._server = make_server("127.0.0.1", 0, self._serve, server_class=_Server, handler_class=_Handler)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.address = f"{host}:{self._server.server_port}"

    def url(self, name: str) -> str:
        return f"https://{self.address}/{name}"

    def _serve(self, environ: dict[str, Any], start_response: Any) -> Any:
        path = environ["PATH_INFO"]
        self.requests.append(path)
        first = path.split("/")[1]
        answers: dict[str, Answer] = {
            "private.git": self._private,
            "moved": self._moved,
            "silent.git": self._silent,
            "drip.git": self._drip,
            "endless.git": self._endless,
        }
        if first in answers:
            return answers[first](environ, start_response)
        if first not in self.repositories:
            start_response("404 Not Found", [("Content-Length", "0")])
            return []
        return self._complete(environ, start_response)

    def _complete(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        """Dulwich's answer with its length, without which libgit2 doesn't see where it ends."""
        written = io.BytesIO()
        begun: list[Any] = []

        def start(status: str, headers: list[tuple[str, str]], *_: object) -> Callable[[bytes], int]:
            begun[:] = [status, headers]
            return written.write

        parts = list(self._git(environ, start))
        body = written.getvalue() + b"".join(parts)
        status, headers = begun
        start_response(status, [*headers, ("Content-Length", str(len(body)))])
        return [body]

    @staticmethod
    def _private(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("401 Unauthorized", [("WWW-Authenticate", 'Basic realm="x"'), ("Content-Length", "0")])
        return []

    def _moved(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        rest = environ["PATH_INFO"].removeprefix("/moved") + "?" + environ["QUERY_STRING"]
        start_response("302 Found", [("Location", self.moved_to + rest), ("Content-Length", "0")])
        return []

    @staticmethod
    def _silent(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        time.sleep(60)
        return []

    @classmethod
    def _drip(cls, environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        cls._advertise(start_response)
        while True:
            yield b"0"
            time.sleep(1)

    @classmethod
    def _endless(cls, environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        cls._advertise(start_response)
        yield b"001e# service=git-upload-pack\n0000"
        for number in range(10**9):
            line = f"{number:040x} refs/heads/branch-{number}\n".encode()
            yield b"%04x%s" % (len(line) + 4, line)

    @staticmethod
    def _advertise(start_response: Any) -> None:
        start_response(
            "200 OK",
            [
                ("Content-Type", "application/x-git-upload-pack-advertisement"),
                ("Content-Length", str(10**15)),
            ],
        )

    @contextmanager
    def running(self) -> Iterator["GitServer"]:
        thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()


def main(folder: str, *repositories: str) -> None:
    server = GitServer(Path(folder))
    server.repositories |= {
        name: Path(path) for name, _, path in (text.partition("=") for text in repositories)
    }
    with server.running():
        print(server.address, server.ca_file, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
