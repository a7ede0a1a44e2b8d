"""Asks every page over HTTP, for the time that a visitor waits, and once in this process, for its queries."""

import contextlib
import http.client
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from ssot_dash import tokens
from ssot_dash.load.pages import Page

NAME = "load-measurer"


@dataclass(frozen=True, slots=True)
class Figures:
    """What a page costs. ``seconds``: of each request over HTTP, sorted; ``cpu`` seconds of Python and ``database``
    seconds in the one request in this process, ``database_cpu`` those in which its queries kept a core busy (None where
    the server is not on this machine); ``slowest`` the query that took longest, and its seconds."""

    page: Page
    status: int
    size: int
    seconds: tuple[float, ...]
    queries: int
    cpu: float
    database: float
    database_cpu: float | None
    slowest: str
    slowest_seconds: float

    def at(self, share: float) -> float:
        """The time that a share of the requests took at most."""
        return percentile(self.seconds, share)


def percentile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0


class Visitor:
    """An administrator with a session and a token, who asks the web server at an address."""

    def __init__(self, url: str, user: User) -> None:
        self.host = urlsplit(url).hostname or "127.0.0.1"
        self.port = urlsplit(url).port or 80
        self.client = Client(SERVER_NAME=self.host, SERVER_PORT=str(self.port))
        self.client.force_login(user)
        self.session = self.client.cookies[settings.SESSION_COOKIE_NAME].value
        _, self.secret = tokens.create(user, NAME, tokens.SCOPES)

    def headers(self, page: Page) -> dict[str, str]:
        if page.is_api:
            return {"Authorization": f"Bearer {self.secret}"}
        return {"Cookie": f"{settings.SESSION_COOKIE_NAME}={self.session}"}

    def ask(self, page: Page) -> tuple[int, int, float]:
        """Over HTTP: status, bytes of the answer, seconds until all of it was here."""
        began = time.perf_counter()
        with contextlib.closing(http.client.HTTPConnection(self.host, self.port, timeout=120)) as one:
            one.request("GET", page.path, headers=self.headers(page))
            answer = one.getresponse()
            size = len(answer.read())
        return answer.status, size, time.perf_counter() - began

    def measure(self, page: Page, times: int) -> Figures:
        # The first request fills caches that the next ones have: it is left out.
        status, size, _ = self.ask(page)
        asked = tuple(sorted(self.ask(page)[2] for _ in range(times if status == 200 else 0)))
        self._get(page)  # compiles its templates
        with CaptureQueriesContext(connection) as captured:
            began, busy = time.thread_time(), _busy_backend()
            self._get(page)
            cpu, busy_then = time.thread_time() - began, _busy_backend()
        database_cpu = busy_then - busy if busy is not None and busy_then is not None else None
        spent = [(float(query["time"]), query["sql"]) for query in captured.captured_queries]
        seconds, sql = max(spent, default=(0.0, ""))
        total = sum(seconds for seconds, _ in spent)
        return Figures(page, status, size, asked, len(spent), cpu, total, database_cpu, sql, seconds)

    def _get(self, page: Page) -> None:
        """In this process."""
        client = Client(SERVER_NAME=self.host) if page.is_api else self.client
        # also a streamed answer is made only when it is read
        b"".join(client.get(page.path, headers=self.headers(page) if page.is_api else {}))


def _busy_backend() -> float | None:
    """For how many seconds the server's process of this connection has kept a core busy, to a hundredth."""
    pid = getattr(connection.connection, "info", None) and connection.connection.info.backend_pid
    try:
        values = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    if "postgres" not in Path(f"/proc/{pid}/cmdline").read_text(errors="replace"):
        return None
    return (int(values[11]) + int(values[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def visitor(url: str) -> Iterator[Visitor]:
    """Somebody who may see everything, for as long as the block lasts."""
    User.objects.filter(username=NAME).delete()
    user = User.objects.create_superuser(NAME)
    with connection.cursor() as cursor:
        # What helpers do is not in a backend's time.
        cursor.execute("SET max_parallel_workers_per_gather = 0")
    try:
        yield Visitor(url, user)
    finally:
        user.delete()
        with connection.cursor() as cursor:
            cursor.execute("RESET max_parallel_workers_per_gather")
