"""Canonical IDs without a round trip for each: leased from SSOT Dash in blocks, made in this process.

One file, standard library only, Python 3.11 or newer: copy it. ::

    client = Client("https://ids.example.org", token="ssot_...")
    client.generate("run")                       # run_1042_9f86d081
    client.generate("run", prefix="eu-west", owner="user-7", context={"job": 3})

A lease is a range of counters that the server will hand to nobody else, and a seed for the random parts. So IDs are
unique whatever happens to this process or its host: a block that is lost leaves a gap and never a duplicate. A thread
in the background leases the next block when half of one is used, and tells the server in batches what was used, which
then records the IDs. While the server is away IDs go on until the blocks are empty; then ``generate`` raises
``Unavailable``. The server knows IDs of a leased block as genuine even before it was told of them.

Safe over threads, and over forks: a child starts without blocks. ``close()`` reports what is left; so does the end of
the process, unless it is killed.
"""

import atexit
import hashlib
import json
import os
import re
import threading
import time
import urllib.error
import urllib.request
import warnings
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

FIRST_BLOCK: Final = 100
LARGEST_BLOCK: Final = 100_000
# A block that lasted less than this long is followed by one of twice its size.
BUSY_SECONDS: Final = 10.0
# IDs are made ahead in chunks, so that most calls only take one from a list.
_CHUNK: Final = 512
_MOST_DETAILS: Final = 1_000  # in one report, each with its context
_RETRY_SECONDS: Final = 5.0
_PREFIX: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_PREFIX_MAX_LENGTH: Final = 64


class ClientError(Exception):
    """An ID could not be made here."""


class Unavailable(ClientError):
    """The blocks are empty and the server can't be reached. Trying again later is safe."""


class Refused(ClientError):
    """The server said no: ``code`` is stable and says why."""

    def __init__(self, code: str, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


@dataclass(frozen=True, slots=True)
class Block:
    """A lease: ``size`` counters of a type from ``start`` on, and the seed that their random parts come from."""

    lease: str
    type: str
    start: int
    size: int
    seed: bytes
    deprecated: bool = False

    def randoms(self) -> str:
        """The random parts, 8 hexadecimal digits each, one after the other."""
        return random_parts(self.seed, self.size)


def random_parts(seed: bytes, size: int) -> str:
    """What client and server both know of a block: 8 hexadecimal digits for each of its counters."""
    return hashlib.shake_128(seed).hexdigest(4 * size)


@dataclass(frozen=True, slots=True)
class Detail:
    """What is to be kept with one ID besides that it was used."""

    counter: int
    prefix: str | None = None
    context: dict[str, Any] | None = None
    owner: str = ""
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """The first ``used`` counters of a lease were handed out; those with details are told one by one."""

    lease: str
    used: int
    details: Sequence[Detail] = ()


class Source(Protocol):
    """Where blocks come from, and who is told what was used."""

    def lease(self, type_value: str, size: int) -> Block: ...

    def report(self, reports: Sequence[Report]) -> None: ...


class HttpSource:
    """The API of SSOT Dash. ``url`` is the address of the site, ``token`` one with the scope ``ids:write``."""

    def __init__(self, url: str, token: str, timeout: float = 5.0) -> None:
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"an address starts with http:// or https://, not {url!r}")
        self._url = url.rstrip("/")
        self._token = token
        self._timeout = timeout
        self._warned: set[str] = set()

    def call(self, method: str, path: str, body: object = None, **headers: str) -> Any:
        """One request. Raises Refused for an answer that says no, Unavailable when there is none."""
        request = urllib.request.Request(  # noqa: S310 - the address is the caller's own and starts with http
            f"{self._url}/api/v1{path}",
            data=None if body is None else json.dumps(body).encode(),
            method=method,
            headers={
                "Authorization": f"Bearer {self._token}",
                "Content-Type": "application/json",
                **headers,
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=self._timeout) as answer:  # noqa: S310
                text = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                raise _refusal(error.code, error.read()) from error
        except (OSError, ValueError) as error:  # no route, timeout, reset; an answer that is no HTTP
            raise Unavailable(f"{self._url} can't be reached: {error}") from error
        said = json.loads(text) if text else None
        if isinstance(said, dict) and said.get("warning"):
            self._warn(str(said["warning"]))
        return said

    def _warn(self, words: str) -> None:
        """Once for each type, however often the site says it."""
        if words not in self._warned:
            self._warned.add(words)
            warnings.warn(words, DeprecationWarning, stacklevel=3)

    def lease(self, type_value: str, size: int) -> Block:
        answer = self.call("POST", "/leases", {"type": type_value, "size": size})
        return Block(
            lease=answer["lease"],
            type=answer["type"],
            start=answer["start"],
            size=answer["size"],
            seed=bytes.fromhex(answer["seed"]),
            deprecated=answer["deprecated"],
        )

    def report(self, reports: Sequence[Report]) -> None:
        body = [
            {
                "lease": report.lease,
                "used": report.used,
                "details": [
                    {
                        "counter": detail.counter,
                        "prefix": detail.prefix,
                        "context": detail.context,
                        "owner": detail.owner,
                        "parent": detail.parent,
                    }
                    for detail in report.details
                ],
            }
            for report in reports
        ]
        self.call("POST", "/leases/report", {"reports": body})


def _refusal(status: int, text: bytes) -> ClientError:
    if status >= 500:
        return Unavailable(f"the server answered {status}")
    try:
        answer = json.loads(text)
        return Refused(str(answer["code"]), str(answer["message"]), status)
    except (ValueError, TypeError, KeyError):
        return Refused("refused", f"the server answered {status}", status)


class Client:
    """Makes IDs. One for a process is enough: it may be shared by threads, and survives a fork."""

    def __init__(
        self,
        url: str = "",
        token: str = "",
        *,
        source: Source | None = None,
        first_block: int = FIRST_BLOCK,
        largest_block: int = LARGEST_BLOCK,
        report_seconds: float = 5.0,
        timeout: float = 5.0,
    ) -> None:
        self.source: Source = source if source is not None else HttpSource(url, token, timeout)
        self._first_block = first_block
        self._largest_block = largest_block
        self._report_seconds = report_seconds
        self._start_anew()
        _clients.add(self)

    def generate(
        self,
        type_value: str,
        prefix: str | None = None,
        context: dict[str, Any] | None = None,
        *,
        owner: str = "",
        parent: str | None = None,
    ) -> str:
        """A new ID. What else is given is kept with it once the server was told.

        Raises Refused (an unknown or retired type, say), Unavailable, or ValueError for a prefix outside the grammar.
        """
        if prefix is None and context is None and parent is None and not owner:
            try:
                return self._take[type_value]()
            except (KeyError, IndexError):
                return self._pool(type_value).refilled()
        return self._pool(type_value).detailed(prefix, context, owner, parent)

    def generate_many(self, type_value: str, count: int) -> list[str]:
        """``count`` new IDs of one type."""
        pool = self._pool(type_value)
        take = pool.ready.pop
        made: list[str] = []
        while len(made) < count:
            try:
                for _ in range(count - len(made)):
                    made.append(take())  # noqa: PERF401 - what was taken must not be lost
            except IndexError:
                made.append(pool.refilled())
        return made

    def flush(self) -> None:
        """Tell the server now what was used. Raises Unavailable or Refused; what wasn't told is kept."""
        with self._reporting:
            while True:
                batch = self._untold()
                if not batch:
                    return
                try:
                    self.source.report([report for _, report in batch])
                except Refused:
                    for use, report in batch:  # one by one, so that one bad detail keeps no other back
                        self._tell_alone(use, report)
                else:
                    for use, report in batch:
                        use.told(report)

    def close(self) -> None:
        """Report what is left and stop. The rest of the blocks is a gap."""
        with self._lock:
            self._closed = True
            self._take.clear()
            pools = list(self._pools.values())
        self._wake.set()
        for pool in pools:
            pool.stop()
        self.flush()

    def _start_anew(self) -> None:
        """Nothing of a parent's is ours after a fork: neither blocks, locks, thread, nor what it has to tell."""
        self._lock = threading.RLock()
        self._reporting = threading.RLock()
        self._wake = threading.Event()
        self._pools: dict[str, _Pool] = {}
        self._take: dict[str, Callable[[], str]] = {}
        self._thread: threading.Thread | None = None
        self._closed = False

    def _pool(self, type_value: str) -> "_Pool":
        with self._lock:
            if self._closed:
                raise ClientError("this client was closed")
            pool = self._pools.get(type_value)
            if pool is None:
                pool = _Pool(type_value, self.source, self._wake, self._first_block, self._largest_block)
                self._pools[type_value] = pool
                self._take[type_value] = pool.ready.pop
            if self._thread is None:
                self._thread = threading.Thread(
                    target=_keep_up, args=[weakref.ref(self), self._wake], name="ID leases", daemon=True
                )
                self._thread.start()
            return pool

    def _untold(self) -> "list[tuple[_Use, Report]]":
        with self._lock:
            pools = list(self._pools.values())
        return [entry for pool in pools for entry in pool.untold()]

    def _tell_alone(self, use: "_Use", report: Report) -> None:
        try:
            self.source.report([report])
        except Refused as error:
            warnings.warn(f"The server takes no report of {report.lease}: {error}", stacklevel=2)
        use.told(report)

    def _keep_up_once(self) -> float:
        """Lease ahead, report; answers how many seconds it may rest."""
        rest = self._report_seconds
        with self._lock:
            pools = list(self._pools.values())
        for pool in pools:
            try:
                pool.lease_ahead()
            except ClientError:
                rest = min(rest, _RETRY_SECONDS)
        try:
            self.flush()
        except ClientError:
            rest = min(rest, _RETRY_SECONDS)
        return rest


_clients: "weakref.WeakSet[Client]" = weakref.WeakSet()


def _keep_up(reference: "weakref.ref[Client]", wake: threading.Event) -> None:
    """What the thread does, for as long as somebody holds its client."""
    rest = 0.01
    while True:
        wake.wait(rest)
        wake.clear()
        client = reference()
        if client is None or client._closed or client._wake is not wake:
            return
        try:
            rest = client._keep_up_once()
        except Exception as error:  # noqa: BLE001 - the thread must outlive whatever a source may raise
            warnings.warn(f"IDs could not be leased or reported: {error!r}", stacklevel=1)
            rest = _RETRY_SECONDS
        del client


def _after_fork() -> None:
    for client in list(_clients):
        for pool in client._pools.values():
            pool.ready.clear()  # a thread may hold on to the pool
        client._start_anew()


def _at_exit() -> None:
    for client in list(_clients):
        if not client._closed:
            try:
                client.close()
            except ClientError as error:
                warnings.warn(f"The last use of leased IDs was not reported: {error}", stacklevel=1)


os.register_at_fork(after_in_child=_after_fork)
atexit.register(_at_exit)


@dataclass(slots=True)
class _Use:
    """What of a block was handed out, and how much of that the server knows."""

    block: Block
    made: int = 0  # the first so many counters were turned into text
    reported: int = 0
    details: deque[Detail] = field(default_factory=deque)

    def told(self, report: Report) -> None:
        self.reported = max(self.reported, report.used)
        for _ in report.details:
            self.details.popleft()


class _Pool:
    """The blocks of one type. ``ready`` holds IDs that are made, the next one last; taking one is atomic."""

    def __init__(
        self, type_value: str, source: Source, wake: threading.Event, first_block: int, largest_block: int
    ) -> None:
        self.ready: list[str] = []
        self._type = type_value
        self._source = source
        self._wake = wake
        self._size = first_block
        self._largest = largest_block
        self._lock = threading.RLock()
        self._leasing = threading.Lock()
        self._randoms = ""
        self._uses: list[_Use] = []  # the last one is the block in use
        self._spare: Block | None = None
        self._since = 0.0
        self._failed: tuple[float, ClientError] | None = None
        self._stopped = False
        self._is_warned = False

    def refilled(self) -> str:
        """The next ID, where ``ready`` was found empty."""
        while True:
            with self._lock:
                try:
                    return self.ready.pop()  # another thread was faster
                except IndexError:
                    pass
                if self._stopped:
                    raise ClientError("this client was closed")
                if self._fill():
                    continue
            self._obtain()

    def detailed(
        self, prefix: str | None, context: dict[str, Any] | None, owner: str, parent: str | None
    ) -> str:
        """The next ID, together with what is kept of it: under the lock, so that a report has both or neither."""
        if prefix is not None and not (len(prefix) <= _PREFIX_MAX_LENGTH and _PREFIX.fullmatch(prefix)):
            raise ValueError(
                f"a prefix is 1 to {_PREFIX_MAX_LENGTH} lower-case letters, digits and single inner hyphens"
            )
        if context is not None:
            json.dumps(context, allow_nan=False)
        while True:
            with self._lock:
                try:
                    text = self.ready.pop()
                except IndexError:
                    if self._stopped:
                        raise ClientError("this client was closed") from None
                    if self._fill():
                        continue
                else:
                    counter = int(text.split("_")[1])
                    self._uses[-1].details.append(Detail(counter, prefix, context, owner, parent))
                    return text if prefix is None else f"{prefix}_{text}"
            self._obtain()

    def lease_ahead(self) -> None:
        """Lease the next block, where half of the one in use is gone."""
        with self._lock:
            due = (
                self._spare is None
                and not self._stopped
                and bool(self._uses)
                and 2 * self._uses[-1].made >= self._uses[-1].block.size
            )
        if due:
            self._obtain(ahead=True)

    def untold(self) -> list[tuple[_Use, Report]]:
        """What the server doesn't know yet. Blocks that it knows to be used up are forgotten."""
        found = []
        with self._lock:
            current = self._uses[-1] if self._uses else None
            self._uses = [
                use for use in self._uses if use is current or use.reported < use.block.size or use.details
            ]
            for use in self._uses:
                used = use.made - (len(self.ready) if use is current else 0)
                details = list(use.details)[:_MOST_DETAILS]
                if len(details) < len(use.details):  # those after them aren't told of yet
                    used = use.details[_MOST_DETAILS].counter - use.block.start
                if used > use.reported or details:
                    found.append((use, Report(use.block.lease, used, details)))
        return found

    def stop(self) -> None:
        """Hand out nothing more; what was made and not taken counts as not used."""
        with self._lock:
            self._stopped = True
            # one by one: other threads take from the list without the lock
            while self.ready:
                try:
                    self.ready.pop()
                except IndexError:
                    break
                self._uses[-1].made -= 1

    def _fill(self) -> bool:
        """Make the next chunk. False when there is no block to make it of. The lock is held."""
        use = self._uses[-1] if self._uses else None
        if use is None or use.made >= use.block.size:
            if self._spare is None:
                return False
            block, self._spare = self._spare, None
            use = _Use(block)
            self._uses.append(use)
            self._begin(block)
        block, before = use.block, use.made
        use.made = min(before + _CHUNK, block.size)
        # in reverse, so that the end of the list, where one takes, is the lowest counter
        head, start, randoms = block.type, block.start, self._randoms
        self.ready.extend(
            [
                f"{head}_{start + place}_{randoms[8 * place : 8 * place + 8]}"
                for place in range(use.made - 1, before - 1, -1)
            ]
        )
        if before * 2 < block.size <= use.made * 2:
            self._wake.set()
        return True

    def _begin(self, block: Block) -> None:
        self._randoms = block.randoms()
        now = time.monotonic()
        if now - self._since < BUSY_SECONDS:
            self._size = min(2 * self._size, self._largest)
        self._since = now
        if block.deprecated and not self._is_warned:
            self._is_warned = True
            warnings.warn(f'The ID type "{block.type}" is deprecated.', DeprecationWarning, stacklevel=5)

    def _obtain(self, *, ahead: bool = False) -> None:
        """Lease a block, unless another thread has done so meanwhile. No lock is held while the server thinks."""
        with self._leasing:
            with self._lock:
                needless = self._spare is not None or bool(self.ready)
                size = self._size
            if needless and not (ahead and self._spare is None):
                return
            # the threads that waited for this one need not wait for the same failure, one after the other
            if self._failed is not None and time.monotonic() - self._failed[0] < 1.0:
                raise self._failed[1]
            try:
                block = self._source.lease(self._type, size)
            except ClientError as error:
                self._failed = (time.monotonic(), error)
                raise
            with self._lock:
                self._spare, self._failed = block, None
