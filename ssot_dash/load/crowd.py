"""Many at once: programs that upload test reports, browsers on pages that poll, and audits, for some minutes."""

import contextlib
import http.client
import json
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Final

from django.conf import settings

from ssot_dash.load.measuring import Visitor

CASES: Final = 2_000
_SAMPLE_SECONDS: Final = 5.0
_BOUNDARY: Final = "report-of-a-crowd"


@dataclass(frozen=True, slots=True)
class Poll:
    """What an open page asks for again and again: its address, the element that htmx replaces, every so many
    seconds."""

    path: str
    target: str
    seconds: float


@dataclass(slots=True)
class Outcome:
    """``seconds`` of every request that was answered, by what it was; how many had which status (0: no answer);
    bytes of memory of all web processes together, over time."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    statuses: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    memory: list[int] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, name: str, status: int, seconds: float) -> None:
        with self.lock:
            self.statuses[status] += 1
            if status:
                self.seconds[name].append(seconds)

    @property
    def errors(self) -> int:
        return sum(
            count for status, count in self.statuses.items() if status >= HTTPStatus.INTERNAL_SERVER_ERROR
        )

    @property
    def refused(self) -> int:
        """Not answered, or told that it is too much."""
        return self.statuses[0] + self.statuses[HTTPStatus.TOO_MANY_REQUESTS]


@dataclass(frozen=True, slots=True)
class Crowd:
    """``slug`` gets the uploads, ``audited`` an audit after the other; each uploader rests ``pause`` seconds."""

    visitor: Visitor
    polls: tuple[Poll, ...]
    slug: str
    audited: str
    uploaders: int = 20
    browsers: int = 50
    pause: float = 10.0

    def run(self, seconds: float) -> Outcome:
        outcome = Outcome()
        stop = threading.Event()
        work: list[Callable[[], None]] = [
            lambda: self._watch(outcome, stop),
            lambda: self._audit(outcome, stop),
        ]
        work += [lambda n=n: self._upload(outcome, stop, n) for n in range(self.uploaders)]  # type: ignore[misc]
        work += [
            lambda n=n: self._browse(outcome, stop, n)  # type: ignore[misc]
            for n in range(self.browsers if self.polls else 0)
        ]
        threads = [threading.Thread(target=each, daemon=True) for each in work]
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        stop.set()
        for thread in threads:
            thread.join(120)
        return outcome

    def _browse(self, outcome: Outcome, stop: threading.Event, number: int) -> None:
        poll = self.polls[number % len(self.polls)]
        cookie = f"{settings.SESSION_COOKIE_NAME}={self.visitor.session}"
        headers = {"Cookie": cookie, "HX-Request": "true", "HX-Target": poll.target}
        stop.wait(poll.seconds * number / max(self.browsers, 1))  # not all at the same moment
        while not stop.is_set():
            self._ask(outcome, f"poll {poll.path}", "GET", poll.path, None, headers)
            stop.wait(poll.seconds)

    def _upload(self, outcome: Outcome, stop: threading.Event, number: int) -> None:
        path = f"/api/v1/repositories/{self.slug}/test-runs"
        headers = {
            "Authorization": f"Bearer {self.visitor.secret}",
            "Content-Type": f"multipart/form-data; boundary={_BOUNDARY}",
        }
        turn = 0
        stop.wait(self.pause * number / max(self.uploaders, 1))
        while not stop.is_set():
            turn += 1
            body = _form(_report(number, turn), f"{number:020x}{time.time_ns():020x}"[-40:])
            self._ask(outcome, "upload", "POST", path, body, headers)
            stop.wait(self.pause)

    def _audit(self, outcome: Outcome, stop: threading.Event) -> None:
        """One is always in flight: who asks while there is one is told so."""
        path = f"/api/v1/repositories/{self.audited}/audits"
        headers = {"Authorization": f"Bearer {self.visitor.secret}", "Content-Type": "application/json"}
        body = json.dumps({"covers": "history"}).encode()
        while not stop.is_set():
            self._ask(outcome, "start an audit", "POST", path, body, headers)
            stop.wait(1)

    def _ask(
        self,
        outcome: Outcome,
        name: str,
        method: str,
        path: str,
        body: bytes | None,
        headers: dict[str, str],
    ) -> None:
        began = time.perf_counter()
        status = 0
        with contextlib.suppress(OSError, http.client.HTTPException):
            visitor = self.visitor
            with contextlib.closing(
                http.client.HTTPConnection(visitor.host, visitor.port, timeout=60)
            ) as one:
                one.request(method, path, body, headers)
                answer = one.getresponse()
                answer.read()
                status = answer.status
        outcome.note(name, status, time.perf_counter() - began)

    def _watch(self, outcome: Outcome, stop: threading.Event) -> None:
        while True:
            outcome.memory.append(web_memory())
            if stop.wait(_SAMPLE_SECONDS):
                break
        outcome.memory.append(web_memory())


def _report(number: int, turn: int) -> bytes:
    """A JUnit report of many cases; no two are the same bytes."""
    cases = "".join(
        f'<testcase classname="tests.module_{n % 40}" name="test_{n}" time="0.0{(n + turn) % 10}"/>'
        for n in range(CASES)
    )
    return f'<testsuite name="crowd {number}/{turn}" tests="{CASES}">{cases}</testsuite>'.encode()


def _form(report: bytes, commit: str) -> bytes:
    part = f"--{_BOUNDARY}\r\nContent-Disposition: form-data; name="
    return b"".join(
        [
            f'{part}"commit"\r\n\r\n{commit}\r\n'.encode(),
            f'{part}"report"; filename="crowd.xml"\r\nContent-Type: text/xml\r\n\r\n'.encode(),
            report,
            f"\r\n--{_BOUNDARY}--\r\n".encode(),
        ]
    )


def web_memory() -> int:
    """Bytes of all web processes of this data directory: what several share is counted once."""
    mine = f"SSOT_DATA_DIR={os.fspath(settings.DATA_DIR)}".encode()
    total = 0
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):
            if b"ssot_dash.wsgi" not in (process / "cmdline").read_bytes():
                continue
            if mine not in (process / "environ").read_bytes().split(b"\0"):
                continue
            lines = (process / "smaps_rollup").read_text().splitlines()
            total += next(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total
