"""A private site to hurt: real processes on the loopback interface, in a temporary directory, gone afterwards.

It is looked at from outside: over HTTP as a client would, and in its database, with a connection for each question,
because the database is among what is stopped.
"""

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import psycopg
import redis

from ssot_dash.embedded import binaries, processes, programs, sockets
from ssot_dash.embedded.data import BASE_DIR
from ssot_dash.embedded.lifeline import SUPERVISOR
from ssot_dash.embedded.postgres import Postgres
from ssot_dash.embedded.server import Server
from ssot_dash.embedded.supervisor import Program, Supervisor
from ssot_dash.embedded.valkey import Valkey

SETTINGS: Mapping[str, str] = {
    "SSOT_LEASE_SECONDS": "5",
    "SSOT_REDISPATCH_SECONDS": "4",
    "SSOT_REDISPATCH_BATCH": "200",
    "SSOT_PULSE_SECONDS": "1",
}
_TURN = 0.02
_SETUP = """
from django.contrib.auth.models import User
from ssot_dash import tokens
user = User.objects.create_superuser('drill')
scopes = ['audits:read', 'audits:write', 'ids:read', 'ids:write', 'test-runs:write']
print(tokens.create(user, 'drill', scopes)[1])
"""
_ADD = """
import json, sys
from audits.models import Repository
rows = [Repository(slug=slug, name=slug, location=location, branch='main') for slug, location in {rows!r}]
Repository.objects.bulk_create(rows)
"""


class Hung(Exception):
    """What was waited for did not come."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the site said over HTTP: status 0 when it gave none. ``seconds`` is how long it took."""

    status: int
    body: Any
    seconds: float

    @property
    def accepted(self) -> bool:
        return 200 <= self.status < 300


class Instance:
    """The site's processes under the supervisor that ``up`` uses. They are tended while something is waited for.

    ``broker`` is the address of one to take instead of its own.
    """

    def __init__(self, directory: Path, listening: socket.socket, broker: str = "") -> None:
        self.directory = directory
        self.logs = directory / "logs"
        self.listening = listening
        self.port = int(listening.getsockname()[1])
        self.said: list[str] = []
        self.supervisor = Supervisor(self.said.append)
        self.postgres = Postgres(directory, binaries.find())
        self.valkey = Valkey(directory, binaries.find())
        self.given_broker = broker
        self.environment: dict[str, str] = {}
        self.token = ""
        self._repositories = 0

    # --- Its life -----------------------------------------------------------------------------------------------

    def start(self) -> None:
        servers: list[Server] = [self.postgres] if self.given_broker else [self.postgres, self.valkey]
        for server in servers:
            self.supervisor.start(server)
        for server in servers:
            server.wait_ready()
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("SSOT_", "CELERY_"))
        }
        self.environment = {
            **kept,
            **SETTINGS,
            "DATABASE_URL": self.postgres.url,
            "BROKER_URL": self.given_broker or self.valkey.url,
            "SSOT_DATA_DIR": str(self.directory),
            "DJANGO_SETTINGS_MODULE": "ssot_dash.drill.settings",
            "PYTHONUNBUFFERED": "1",
            SUPERVISOR: str(os.getpid()),
        }
        self.manage("prepare", "--no-sample")
        self.token = self.shell(_SETUP).split()[-1]
        self.web = programs.web(self.environment, self.listening, self.logs)
        self.worker = programs.worker(self.environment, self.logs)
        self.beat = programs.beat(self.environment, self.logs)
        for program in (self.web, self.worker, self.beat):
            self.supervisor.start(program)
        self.until(self.is_well, 90, "the site did not start")

    def stop(self) -> None:
        self.supervisor.stop()
        for server in (self.postgres, self.valkey):
            server.stop()

    def until(self, condition: Callable[[], Any], seconds: float, otherwise: str) -> None:
        """Wait for something, and look after the processes meanwhile. Raises ``Hung`` with the words ``otherwise``."""
        deadline = time.monotonic() + seconds
        while True:
            self.supervisor.tend()
            if condition():
                return
            if time.monotonic() > deadline:
                raise Hung(otherwise)
            time.sleep(_TURN)

    def tend(self, seconds: float) -> None:
        """Let time pass."""
        end = time.monotonic() + seconds
        self.until(lambda: time.monotonic() >= end, seconds + 5, "")

    def add(self, program: Program) -> Program:
        """Run one more process, until it is ``remove``d."""
        self.supervisor.start(program)
        return program

    def remove(self, program: Program) -> None:
        self.forget(program)
        program.stop()

    def forget(self, program: Program) -> None:
        """From now on its end is nobody's concern."""
        self.supervisor.watched[:] = [
            entry for entry in self.supervisor.watched if entry.child is not program
        ]

    @contextlib.contextmanager
    def with_settings(self, **settings: str) -> Iterator[None]:
        """The site's own processes with these settings besides their usual ones, for as long as the block lasts.

        All of them: Celery's messages bring the time limits of whoever sent them.
        """
        self._restart({**self.environment, **settings})
        try:
            yield
        finally:
            self._restart(self.environment)

    def _restart(self, environment: Mapping[str, str]) -> None:
        for program in (self.beat, self.worker, self.web):
            program.stop()
            program.environment = environment
        for program in (self.web, self.beat):
            program.launch()
        self.launch(self.worker)
        self.until(self.is_well, 90, "the site did not start again")

    def launch(self, worker: Program) -> None:
        """Start a worker that is supervised already, and wait until it takes messages."""
        before = _times_ready(worker)
        worker.launch()
        self.until(lambda: _times_ready(worker) > before, 60, f"{worker.name} did not start")

    def add_worker(self, name: str) -> Program:
        """One more worker, until it is removed."""
        worker = programs.worker(self.environment, self.logs, name)
        before = _times_ready(worker)
        self.add(worker)
        self.until(lambda: _times_ready(worker) > before, 60, f"{name} did not start")
        return worker

    # --- Its commands -------------------------------------------------------------------------------------------

    def manage(self, *arguments: str) -> str:
        """A command of ``manage.py`` on it: what it prints. Raises ``Hung`` when it fails."""
        done = subprocess.run(
            [sys.executable, str(BASE_DIR / "manage.py"), *arguments],
            env=self.environment,
            cwd=BASE_DIR,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise Hung(f"manage.py {arguments[0]}: {done.stderr.strip().splitlines()[-1:]}")
        return done.stdout

    def shell(self, code: str) -> str:
        return self.manage("shell", "--no-imports", "--command", code)

    def add_repositories(self, location: str | Path, number: int = 1) -> list[str]:
        """New repositories at one location: their slugs."""
        first = self._repositories
        self._repositories += number
        rows = [(f"drill-{first + n}", str(location)) for n in range(number)]
        self.shell(_ADD.format(rows=rows))
        return [slug for slug, _ in rows]

    # --- Over HTTP ----------------------------------------------------------------------------------------------

    def ask(self, method: str, path: str, body: Any = None, timeout: float = 30) -> Answer:
        """One request with a token, and JSON."""
        return self.send(method, path, None if body is None else json.dumps(body).encode(), timeout=timeout)

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None,
        kind: str = "application/json",
        timeout: float = 30,
    ) -> Answer:
        """One request with a token and a body of some content type."""
        began = time.monotonic()
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": kind}
        try:
            with contextlib.closing(
                http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
            ) as one:
                one.request(method, path, body, headers)
                answer = one.getresponse()
                text, status = answer.read(), answer.status
        except (OSError, http.client.HTTPException):
            return Answer(0, None, time.monotonic() - began)
        try:
            read = json.loads(text)
        except ValueError:
            read = text.decode(errors="replace")
        return Answer(status, read, time.monotonic() - began)

    def audit(self, slug: str) -> Answer:
        """A click on "audit"."""
        return self.ask("POST", f"/api/v1/repositories/{slug}/audits", {})

    def is_well(self) -> bool:
        """Whether the site itself says that all of its parts work."""
        return self.ask("GET", "/readyz", timeout=10).status == 200

    # --- In its database and broker -----------------------------------------------------------------------------

    def database(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.postgres.url, autocommit=True, connect_timeout=5)

    def rows(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """What the database answers; nothing while it is away."""
        try:
            with self.database() as database:
                cursor = database.execute(sql.encode(), parameters)
                return cursor.fetchall() if cursor.description else []
        except psycopg.OperationalError:
            return []

    def broker(self) -> "redis.Redis":
        return redis.Redis(unix_socket_path=unquote(self.valkey.url.partition("://")[2]))

    def forget_facts(self) -> None:
        """Have the next audit read every file."""
        self.rows("DELETE FROM audits_blobfacts")
        self.rows("DELETE FROM audits_rememberedresult")

    # --- Its processes ------------------------------------------------------------------------------------------

    def parsers(self, worker: Program | None = None) -> list[int]:
        """The processes that read files for a worker."""
        process = (worker or self.worker).process
        if process is None:
            return []
        return [pid for pid, command in descendants(process.pid).items() if "parse_child" in command]

    def fetchers(self) -> list[int]:
        """The processes that fetch repositories for the worker."""
        process = self.worker.process
        if process is None:
            return []
        return [pid for pid, command in descendants(process.pid).items() if "fetch_child" in command]

    def pool(self, worker: Program | None = None) -> list[int]:
        """The processes in which a worker's tasks run."""
        process = (worker or self.worker).process
        return [] if process is None else children(process.pid)

    def hold(self, *workers: Program, audits: int = 1) -> list[int]:
        """Wait until audits are in the middle of reading files, and stop the reading there. Answers its processes."""
        chosen = workers or (self.worker,)
        held: set[int] = set()

        def holding() -> bool:
            # On sight: whoever first asks the database finds that a short audit has ended meanwhile.
            found = {pid for worker in chosen for pid in self.parsers(worker)} - held
            for pid in found:
                processes.send(pid, signal.SIGSTOP)
            held.update(found)
            if not held:
                return False
            running = self.rows("SELECT count(*) FROM audits_audit WHERE state = 'running'")
            return bool(running) and running[0][0] >= audits and len(held) >= audits

        self.until(holding, 60, "no audit got into its middle")
        return sorted(held)


def _times_ready(worker: Program) -> int:
    return worker.log.read_text(errors="replace").count(" ready.") if worker.log.exists() else 0


def let_go(held: Sequence[int]) -> None:
    for pid in held:
        processes.send(pid, signal.SIGCONT)


def kill(*pids: int) -> None:
    for pid in pids:
        processes.send(pid, signal.SIGKILL)


def _parents() -> dict[int, int]:
    found = {}
    for pid in processes.running():
        with contextlib.suppress(OSError, ValueError, IndexError):
            found[pid] = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return found


def children(pid: int) -> list[int]:
    """The processes that another one started, and that live."""
    return [child for child, parent in _parents().items() if parent == pid]


def descendants(pid: int) -> dict[int, str]:
    """The processes below another one, and their command lines."""
    parents = _parents()
    below = {pid}
    while more := {child for child, parent in parents.items() if parent in below} - below:
        below |= more
    found = {}
    for one in below - {pid}:
        with contextlib.suppress(OSError):
            found[one] = (
                Path(f"/proc/{one}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            )
    return found


@contextlib.contextmanager
def running(broker: str = "") -> Iterator[Instance]:
    """A site that runs, and is gone with its files when the block ends. ``broker`` is as with ``Instance``."""
    directory = Path(tempfile.mkdtemp(prefix="ssot-dash-drill-"))
    try:
        with sockets.listen("127.0.0.1", 0) as listening:
            site = Instance(directory, listening, broker)
            try:
                site.start()
                yield site
            finally:
                site.stop()
    finally:
        shutil.rmtree(directory, ignore_errors=True)
