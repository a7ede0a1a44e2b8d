"""``manage.py up``: the whole site on one machine, from the database to the scheduler, until it is told to stop."""

import http.client
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from ssot_dash.embedded import binaries, processes, programs, sockets
from ssot_dash.embedded.data import BASE_DIR, SERVER_VARIABLES, DataDirectory
from ssot_dash.embedded.errors import CannotStart
from ssot_dash.embedded.lifeline import SUPERVISOR
from ssot_dash.embedded.logs import last_lines, open_log
from ssot_dash.embedded.postgres import Postgres
from ssot_dash.embedded.server import Server
from ssot_dash.embedded.supervisor import Interruption, Program, Supervisor, say, stop_leftovers
from ssot_dash.embedded.valkey import Valkey

# In the environment of every process of the site; a later `up` finds by it what a killed one left.
MARK = "SSOT_SUPERVISED_DATA"
# How long workers and scheduler may take to give their first sign of life, on a small machine that is busy.
_WELL_SECONDS = 60.0
# A little longer than a web process keeps its answer (health.CACHE_SECONDS, which needs Django to read).
KEPT_SECONDS = 1.2
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - only when asked for


@dataclass(frozen=True)
class Options:
    host: str
    port: int
    data: Path
    sample: bool


class _Interrupted(Exception):
    """Somebody asked to stop before everything ran."""


def up(options: Options) -> None:
    """Run the site until SIGINT, SIGTERM or SIGHUP; then stop every child. Raises CannotStart."""
    directory = DataDirectory(options.data)
    directory.prepare()
    supervisor = Supervisor(say)
    interruption = Interruption(supervisor.kill)
    site = _Site(options, directory, supervisor, interruption)
    with directory.claim(site.url):
        interruption.install()
        if leftovers := stop_leftovers(MARK, os.fspath(directory.path)):
            say(f"Stopped {leftovers} processes that a killed supervisor had left.")
        with sockets.listen(options.host, options.port) as listening:
            try:
                site.bring_up(listening)
                while not interruption.requested:
                    interruption.wait(0.5)
                    supervisor.tend()
            except _Interrupted:
                pass
            finally:
                say("Stopping ...")
                supervisor.stop()
    say("Stopped.")


class _Site:
    def __init__(
        self, options: Options, directory: DataDirectory, supervisor: Supervisor, interruption: Interruption
    ) -> None:
        self.options = options
        self.directory = directory
        self.supervisor = supervisor
        self.interruption = interruption
        self.logs = directory.path / "logs"
        shown = "localhost" if options.host in _WILDCARDS else options.host
        self.url = f"http://{f'[{shown}]' if ':' in shown else shown}:{options.port}/"

    def bring_up(self, listening: socket.socket) -> None:
        """Start everything in order; returns when the first page can be had. Raises CannotStart, _Interrupted."""
        environment = {
            **os.environ,
            **self._servers(),
            "SSOT_DATA_DIR": os.fspath(self.directory.path),
            "PYTHONUNBUFFERED": "1",
            MARK: os.fspath(self.directory.path),
            SUPERVISOR: str(os.getpid()),
        }
        environment.setdefault("ALLOWED_HOSTS", ",".join(self._host_names()))
        environment.setdefault("SSOT_BASE_URL", self.url)
        welcome = self._prepare(environment)
        say("Starting the web server, the workers and the scheduler ...")
        web = programs.web(environment, listening, self.logs)
        self.supervisor.start(web)
        self._wait_for_first_page(web, listening)  # first: on a small machine the others would slow it down
        self.supervisor.start(programs.worker(environment, self.logs))
        self.supervisor.start(programs.attendant(environment, self.logs))
        self.supervisor.start(programs.beat(environment, self.logs))
        ill = self._ill_after_waiting(listening)
        self._tell(welcome)
        if ill:
            say(f"Not all of it is well yet: {', '.join(ill)}. {self.url}operations/ says why.\n")

    def _servers(self) -> dict[str, str]:
        """Start the servers that the environment does not name; return the addresses of all."""
        kinds: dict[str, type[Server]] = {"DATABASE_URL": Postgres, "BROKER_URL": Valkey}
        urls = {name: os.environ[name] for name in SERVER_VARIABLES if os.environ.get(name)}
        servers = {name: kind for name, kind in kinds.items() if name not in urls}
        for name, kind in servers.items():
            server = kind(self.directory.path, binaries.find())
            say(f"Starting {server.name} ...")
            self.supervisor.start(server)
            server.wait_ready(give_up=lambda: self.interruption.requested)
            self._check()
            urls[name] = server.url
        self.directory.publish(urls)
        return urls

    def _prepare(self, environment: Mapping[str, str]) -> str | None:
        """Run ``manage.py prepare``, repeating what it reports; return the path of the first sign-in, if any."""
        reader, writer = os.pipe()
        log = self.logs / "prepare.log"
        output = open_log(log)
        os.truncate(output, 0)  # if it fails, its log is shown
        command = [sys.executable, os.fspath(BASE_DIR / "manage.py"), "prepare", "--report", str(writer)]
        if not self.options.sample:
            command.append("--no-sample")
        try:
            process = processes.spawn(
                command, cwd=BASE_DIR, env=environment, output=output, pass_fds=(writer,)
            )
        finally:
            os.close(output)
            os.close(writer)
        welcome = None
        rest = b""
        try:
            while True:
                if not self.interruption.wait(0.5, reader):
                    self._check()
                    continue
                if not (read := os.read(reader, 65536)):
                    break
                *lines, rest = (rest + read).split(b"\n")
                for line in lines:
                    word, _space, text = line.decode().partition(" ")
                    if word == "say":
                        say(text)
                    elif word == "welcome":
                        welcome = text
            processes.wait_until(lambda: processes.has_exited(process), 10)
        finally:
            os.close(reader)
            code = processes.stop(process, [(signal.SIGTERM, 5.0)])
        if code != 0:
            raise CannotStart(f"The site could not be prepared. {log} ends with:\n{last_lines(log)}")
        return welcome

    def _wait_for_first_page(self, web: Program, listening: socket.socket) -> None:
        host, port, *more = listening.getsockname()
        with socket.socket(listening.family, socket.SOCK_STREAM) as client:
            client.connect((_WILDCARDS.get(host, host), port, *more))
            client.sendall(b"GET /login/ HTTP/1.0\r\nHost: localhost\r\n\r\n")
            while not self.interruption.wait(0.1, client.fileno()):
                self._check()
                if web.process is None or processes.has_exited(web.process):
                    raise CannotStart(
                        f"The web server did not start. {web.log} ends with:\n{last_lines(web.log)}"
                    )

    def _ill_after_waiting(self, listening: socket.socket) -> list[str]:
        """The parts that are still not well when all had time to start; they may not come up by waiting."""
        deadline = time.monotonic() + _WELL_SECONDS
        well_since = None
        ill = ["web"]
        # Each web process keeps its last answer for a second: what was well for longer is well to all of them.
        while time.monotonic() < deadline and (
            well_since is None or time.monotonic() - well_since < KEPT_SECONDS
        ):
            self.interruption.wait(0.2)
            self._check()
            self.supervisor.tend()
            ill = _ill(listening)
            well_since = None if ill else well_since or time.monotonic()
        return ill

    def _tell(self, welcome: str | None) -> None:
        say(f"\nSSOT Dash is ready: {self.url}")
        if welcome is None:
            say(f"Sign in: {self.url}login/")
        else:
            say(
                "First sign-in (makes the administrator, works once and for 24 hours): "
                f"{self.url.rstrip('/')}{welcome}"
            )
        if self.options.host in _WILDCARDS and not os.environ.get("ALLOWED_HOSTS"):
            say(
                "From other machines it answers to the names in ALLOWED_HOSTS only: set it, and SSOT_TLS behind TLS."
            )
        say(f"Data and logs are in {self.directory.path}. Ctrl-C stops everything.\n")

    def _host_names(self) -> list[str]:
        """Names that the site answers to when nobody says which: this machine's."""
        names = ["localhost", "127.0.0.1", "[::1]"]
        if self.options.host in _WILDCARDS:
            names.append(socket.gethostname())
        elif self.options.host not in names:
            names.append(f"[{self.options.host}]" if ":" in self.options.host else self.options.host)
        return names

    def _check(self) -> None:
        if self.interruption.requested:
            raise _Interrupted


def _ill(listening: socket.socket) -> list[str]:
    """The parts that ``/readyz`` says are not well."""
    host, port = listening.getsockname()[:2]
    try:
        with closing(http.client.HTTPConnection(_WILDCARDS.get(host, host), port, timeout=10)) as web:
            web.request("GET", "/readyz")
            parts = json.loads(web.getresponse().read())["parts"]
    except (OSError, http.client.HTTPException, ValueError, KeyError):
        return ["web"]
    return [name for name, word in parts.items() if word != "ok"]
