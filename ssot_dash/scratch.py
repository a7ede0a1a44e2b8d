"""A site of its own to measure on: a PostgreSQL that flushes to the disk, in a temporary directory, gone afterwards."""

import contextlib
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg

from ids.benchmarks import TYPE, Figure
from ssot_dash.embedded import binaries
from ssot_dash.embedded.data import BASE_DIR
from ssot_dash.embedded.postgres import Postgres
from ssot_dash.embedded.processes import wait_until

_CLIENTS: Final = 16
_SETTINGS: Final = """
from ssot_dash.settings import *
ROOT_URLCONF = "scratch_urls"
ALLOWED_HOSTS = ["127.0.0.1"]
STORAGES = {**STORAGES, "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
LOGGING = {**LOGGING, "root": {"handlers": ["console"], "level": "ERROR"}}
"""
_URLS: Final = """
from django.contrib.auth.decorators import login_not_required
from django.http import HttpResponse
from django.urls import path
from ssot_dash.urls import *
urlpatterns = [path("trivial/", login_not_required(lambda request: HttpResponse("ok"))), *urlpatterns]
"""


@dataclass(slots=True)
class Site:
    """A migrated database, and the environment for processes of the site on it."""

    directory: Path
    postgres: Postgres
    environment: dict[str, str]

    def run(self, *arguments: str) -> str:
        """A command of ``manage.py`` on it: what it prints."""
        command = [sys.executable, str(BASE_DIR / "manage.py"), *arguments]
        done = subprocess.run(
            command, env=self.environment, check=True, stdout=subprocess.PIPE, text=True, cwd=BASE_DIR
        )
        return done.stdout


@contextlib.contextmanager
def site() -> Iterator[Site]:
    """A new one. Its server and its files are gone when the block ends."""
    with tempfile.TemporaryDirectory(prefix="ssot-dash-bench-") as name:
        directory = Path(name)
        postgres = Postgres(directory, binaries.find())
        postgres.launch()
        try:
            postgres.wait_ready()
            (directory / "scratch_settings.py").write_text(_SETTINGS)
            (directory / "scratch_urls.py").write_text(_URLS)
            environment = {
                **os.environ,
                "DATABASE_URL": postgres.url,
                "SSOT_DATA_DIR": name,
                "DJANGO_SETTINGS_MODULE": "scratch_settings",
                "PYTHONPATH": os.pathsep.join([name, str(BASE_DIR)]),
            }
            made = Site(directory, postgres, environment)
            made.run("migrate", "--verbosity", "0")
            yield made
        finally:
            postgres.stop()


def figures(made: Site) -> Iterator[Figure]:
    """What one process does, measured in a process of its own."""
    command = [sys.executable, str(BASE_DIR / "manage.py"), "bench", "ids", "--here"]
    with subprocess.Popen(
        command, env=made.environment, stdout=subprocess.PIPE, text=True, cwd=BASE_DIR
    ) as child:
        assert child.stdout is not None
        for line in child.stdout:
            yield Figure(**json.loads(line))


# --- HTTP -------------------------------------------------------------------------------------------------------------


def http_figures(made: Site, seconds: float) -> Iterator[Figure]:
    """Requests of 16 clients with connections that stay open, each beside a trivial view of the same server."""
    token = made.run(*_TOKEN_OF_A_NEW_USER).split()[-1]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        *(sys.executable, "-m", "gunicorn", "ssot_dash.wsgi:application", "--bind", f"127.0.0.1:{port}"),
        *("--workers", "2", "--threads", "8", "--log-level", "error"),
    ]
    server = subprocess.Popen(command, env=made.environment, cwd=BASE_DIR)
    try:
        if not wait_until(lambda: _answers(port), 60):
            raise RuntimeError("the web server does not answer")
        single = {"type": TYPE}
        trivial, _ = _load(port, "GET", "/trivial/", token, None, seconds)
        rate, slow = _load(port, "POST", "/api/v1/ids/generate", token, single, seconds)
        again, _ = _load(port, "GET", "/trivial/", token, None, seconds)
        trivial = max(trivial, again)
        note = f"; p99 {1000 * slow:.0f} ms at {_CLIENTS} clients"
        yield Figure("HTTP, one at a time, requests", rate, "a trivial view", trivial, 1 / 3, note)
        batch = {"type": TYPE, "count": 1_000}
        rate, slow = _load(port, "POST", "/api/v1/ids/generate-many", token, batch, seconds)
        note = f"; p99 {1000 * slow:.0f} ms at {_CLIENTS} clients"
        yield Figure(
            "HTTP, batches of 1,000, IDs", 1_000 * rate, "the 20,000 that are wanted", 20_000, 1.0, note
        )
    finally:
        server.terminate()
        server.wait(30)


_TOKEN_OF_A_NEW_USER: Final = (
    "shell",
    "--no-imports",
    "--command",
    """
from django.contrib.auth.models import User
from ssot_dash import tokens
user = User.objects.create_superuser('bench')
print(tokens.create(user, 'bench', ['ids:read', 'ids:write'])[1])
""",
)


def _answers(port: int) -> bool:
    try:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as one:
            one.request("GET", "/trivial/")
            return one.getresponse().status == 200
    except OSError:
        return False


def _load(port: int, method: str, path: str, token: str, body: Any, seconds: float) -> tuple[float, float]:
    """Requests a second, and how long 99 of 100 took at most."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    data = json.dumps(body) if body is not None else None
    times: list[float] = []
    stop = time.monotonic() + seconds

    def ask() -> None:
        one = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        while time.monotonic() < stop:
            started = time.perf_counter()
            one.request(method, path, data, headers)
            answer = one.getresponse()
            answer.read()
            if answer.status not in {200, 201}:
                raise RuntimeError(f"{path} answered {answer.status}")
            times.append(time.perf_counter() - started)
        one.close()

    threads = [threading.Thread(target=ask) for _ in range(_CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    times.sort()
    return len(times) / seconds, times[int(0.99 * len(times))]


# --- kills and crashes ------------------------------------------------------------------------------------------------

_PROCESSES: Final = 8
_FAULTS: Final = 6  # 3 kills of a process, 3 crashes of PostgreSQL

# Batches, single IDs and leased ones in turns; each ID is written down the moment that its process has it. What was
# committed is marked; what was being committed when the database went away is not, and may be there or not.
_ISSUER: Final = """
import os, sys, time, django
django.setup()
from django.db import DatabaseError, InterfaceError, connection
from ids import benchmarks, client, minting
log, stop = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND), sys.argv[2]
local = client.Client(source=benchmarks.LeasesHere(), first_block=500, largest_block=2_000)
turn = 0
while not os.path.exists(stop):
    turn += 1
    try:
        if turn % 3 == 0:
            word, texts = "kept", minting.generate_many("bench", 500)
        elif turn % 3 == 1:
            word, texts = "kept", [minting.generate("bench")]
        else:
            word, texts = "leased", [local.generate("bench") for _ in range(500)]
    except (DatabaseError, InterfaceError, minting.MintingError, client.ClientError):
        connection.close()
        time.sleep(0.05)
        continue
    os.write(log, "".join(f"{word} {text}\\n" for text in texts).encode())
"""


@dataclass(frozen=True, slots=True)
class Crashes:
    """What came of it. ``duplicates`` are counters that were handed out twice, ``lost`` committed IDs without a row."""

    logged: int
    processes: int
    kills: int
    crashes: int
    duplicates: int
    lost: int
    seconds: float


def crash(
    made: Site,
    wanted: int,
    processes: int = _PROCESSES,
    faults: int = _FAULTS,
    say: Callable[[str], object] = lambda text: None,
) -> Crashes:
    """At least ``wanted`` IDs from so many processes, with faults: a process killed and PostgreSQL ended, in turns.

    The oracle is what the processes wrote down themselves.
    """
    made.run("shell", "--no-imports", "--command", _MAKE_TYPE)
    stop, script = made.directory / "stop", made.directory / "issuer.py"
    script.write_text(_ISSUER)
    running: list[subprocess.Popen[bytes]] = []
    started = time.monotonic()

    def start() -> None:
        log = made.directory / f"log-{len(running)}"
        running.append(
            subprocess.Popen(
                [sys.executable, str(script), str(log), str(stop)], env=made.environment, cwd=BASE_DIR
            )
        )

    def logged() -> int:
        # a line is about 30 bytes; exact numbers are read at the end
        return sum(log.stat().st_size for log in made.directory.glob("log-*")) // 30

    try:
        for _ in range(processes):
            start()
        for turn in range(1, faults + 1):
            while logged() < turn * wanted // (faults + 1):
                if all(process.poll() is not None for process in running):
                    raise RuntimeError("no process issues IDs any more")
                time.sleep(0.05)
            if turn % 2:
                victim = random.choice([one for one in running if one.poll() is None])  # noqa: S311
                victim.kill()
                victim.wait()
                start()
                say(f"about {logged():,} IDs: killed a process")
            else:
                assert made.postgres.process is not None
                made.postgres.process.send_signal(signal.SIGQUIT)
                made.postgres.process.wait()
                made.postgres.stop()
                made.postgres.launch()
                made.postgres.wait_ready()
                say(f"about {logged():,} IDs: crashed PostgreSQL, and started it again")
        while logged() < wanted * 1.05:
            time.sleep(0.05)
        stop.touch()
        for process in running:
            process.wait(60)
    finally:
        for process in running:
            process.kill()
            process.wait()
    return _judged(made, len(running), faults, time.monotonic() - started)


_MAKE_TYPE: Final = (
    "from ids.models import IDType\n"
    f"IDType.objects.get_or_create(value='{TYPE}', defaults={{'description': 'What a benchmark issued.'}})\n"
)


def _judged(made: Site, started: int, faults: int, seconds: float) -> Crashes:
    counters: set[str] = set()
    kept: set[str] = set()
    logged = 0
    for log in made.directory.glob("log-*"):
        for line in log.read_text().splitlines():
            word, _, text = line.partition(" ")
            logged += 1
            counters.add(text.split("_")[1])
            if word == "kept":
                kept.add(text)
    with psycopg.connect(made.postgres.url) as one:
        recorded = {row[0] for row in one.execute("SELECT id FROM ids_issuedid").fetchall()}
    return Crashes(
        logged=logged,
        processes=started,
        kills=(faults + 1) // 2,
        crashes=faults // 2,
        duplicates=logged - len(counters),
        lost=len(kept - recorded),
        seconds=seconds,
    )
