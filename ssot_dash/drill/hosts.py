"""Faults of whole worker hosts and of their links. The second host is a network namespace with a name of its own.

It reaches the site's PostgreSQL and Valkey over TCP through a pair of virtual network devices, and has a data directory
of its own. Only root may make one.
"""

import contextlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from signal import SIGSTOP
from typing import Final
from urllib.parse import urlsplit

from ssot_dash.drill import repositories
from ssot_dash.drill.instance import Hung, Instance, descendants, kill, let_go
from ssot_dash.drill.trial import NotRun, Trial
from ssot_dash.embedded import postgres, processes, programs
from ssot_dash.embedded.supervisor import Program

_FILES: Final = 3_000
_SHARED: Final = {"SSOT_SHARE_FILES": "500"}
# Networks for documentation and benchmarks. Even those may be in use: the first one that isn't is taken.
_NETWORKS: Final = ("198.51.100", "203.0.113", "198.18.0", "192.0.2")
_BROKER_PORT: Final = 6379
_PARSED: Final = re.compile(r"Parsed (\d+) files for audit ")


@dataclass
class Host:
    """A worker host beside the site's own. Its clock and its file system are those of this one."""

    site: Instance
    name: str
    device: str  # our end of its link
    worker: Program
    held: set[int] = field(default_factory=set)

    def cut(self) -> None:
        """No packet comes through any more, and neither side is told."""
        _ip("link", "set", self.device, "down")

    def mend(self) -> None:
        _ip("link", "set", self.device, "up")

    def lose_power(self) -> None:
        """It is gone without a word: its processes say nothing to anybody when they end."""
        self.cut()
        self.site.forget(self.worker)
        while pids := [int(pid) for pid in _ip("netns", "pids", self.name).split()]:
            kill(*pids)
            time.sleep(0.02)
        self.worker.stop()

    def parts(self) -> list[int]:
        """How many files each part had that it has parsed for others."""
        log = self.worker.log
        return (
            [int(files) for files in _PARSED.findall(log.read_text(errors="replace"))] if log.exists() else []
        )

    def lives(self, since: datetime | None = None) -> bool:
        """Whether it has reached the database within the last seconds, and after a moment by the database's clock."""
        name = f"worker {self.worker.name}@{self.name}"
        recent = (
            "SELECT 1 FROM ssot_dash_heartbeat WHERE name = %s "
            "AND at > greatest(now() - interval '12 s', %s::timestamptz)"
        )
        return bool(self.site.rows(recent, name, since))

    def comes_back(self) -> float:
        """Mend its link, and wait for its next sign of life: how many seconds that took."""
        began = time.monotonic()
        (since,) = self.site.rows("SELECT now()")[0]
        self.mend()
        self.site.until(lambda: self.lives(since), 120, "the host did not come back")
        return time.monotonic() - began


def h1(trial: Trial) -> None:
    """A host that helps to parse a large audit loses power in the middle of it.

    The audit's own worker does the rest without waiting, and the result is that of one worker alone.
    """
    with _host(trial, ("parsing",)) as host:
        slug = _shared(trial)
        trial.audit(slug)
        held = _half_shared(host)
        host.lose_power()
        let_go(held)
        trial.site.until(trial.have_ended, 120, "not done alone")
        trial.expect(trial.attempts() == [1], f"attempts: {trial.attempts()}")
        _tell(trial, host.parts())


def h2(trial: Trial) -> None:
    """The link of a host that helps to parse a large audit is cut in the middle of it, and comes back.

    The audit's own worker does the rest without waiting; the host helps with the next audit as before.
    """
    site = trial.site
    with _host(trial, ("parsing",)) as host:
        trial.audit(_shared(trial))
        held = _half_shared(host)
        host.cut()
        let_go(held)
        site.until(trial.have_ended, 120, "not done alone")
        trial.expect(trial.attempts() == [1], f"attempts: {trial.attempts()}")
        _tell(trial, host.parts())
        let_go(sorted(host.held))
        trial.notes.append(f"back after {host.comes_back():.0f} s")
        before = len(host.parts())
        trial.audit(_shared(trial))
        held = _hold(site.worker)
        site.until(lambda: len(host.parts()) > before or trial.have_ended(), 60, "it did not help again")
        trial.expect(len(host.parts()) > before, "it did not help again")
        let_go(held)


def h3(trial: Trial) -> None:
    """The host that an audit belongs to loses power in the middle of it.

    Another host takes the audit over and does all of it.
    """
    with _host(trial) as host:
        _owned(trial, host, host.lose_power)
        trial.site.until(trial.have_ended, 120, "not taken over")
        trial.expect(trial.attempts() == [2], f"attempts: {trial.attempts()}")


def h4(trial: Trial) -> None:
    """The link of the host that an audit belongs to is cut in the middle of it, and comes back after its end elsewhere.

    Another host takes the audit over; the first one goes on afterwards, and may change nothing.
    """
    site = trial.site
    with _host(trial) as host:
        held = _owned(trial, host, host.cut)
        site.until(trial.have_ended, 120, "not taken over")
        let_go(held)
        host.comes_back()
        site.until(lambda: not site.parsers(host.worker), 60, "the first host's attempt did not end")
        trial.expect(trial.attempts() == [2], f"attempts: {trial.attempts()}")


def _shared(trial: Trial) -> str:
    """A new repository with enough files to be shared."""
    path = trial.site.directory / "many.git"
    (slug,) = trial.repository(path)
    return slug


def _half_shared(host: Host) -> list[int]:
    """Wait until the host has parsed some parts of an audit and is in the middle of another one, while the audit's own
    worker is held at its first. Answers the processes that are held there."""
    site = host.site
    held = _hold(site.worker)
    site.until(lambda: sum(host.parts()) > 600, 60, "the host did not help")

    def in_the_middle() -> bool:
        for pid, command in descendants(host.worker.process.pid).items() if host.worker.process else ():
            if "carried_child" in command:
                processes.send(pid, SIGSTOP)
                host.held.add(pid)
        taken = site.rows("SELECT 1 FROM audits_partoffer WHERE taken_at IS NOT NULL")
        if not taken:
            let_go(sorted(host.held))
        return bool(taken)

    site.until(in_the_middle, 30, "the host was in the middle of nothing")
    return held


def _hold(worker: Program) -> list[int]:
    """Stop all processes that read files for a worker's audit, once it has begun. Answers them."""
    assert worker.process is not None
    held: set[int] = set()
    deadline = time.monotonic() + 60
    last = 0.0
    while not held or time.monotonic() - last < 1:
        if time.monotonic() > deadline:
            raise Hung("no audit got into its middle")
        found = {pid for pid, words in descendants(worker.process.pid).items() if "parse_child" in words}
        for pid in found - held:
            processes.send(pid, SIGSTOP)
            last = time.monotonic()
        held |= found
        time.sleep(0.01)
    return sorted(held)


def _owned(trial: Trial, host: Host, fault: Callable[[], None]) -> list[int]:
    """A fault in the middle of an audit on the second host; then the first one's worker comes. Answers the processes
    that are held there."""
    site = trial.site
    slug = _shared(trial)
    site.worker.stop()
    try:
        trial.audit(slug)
        held = _hold(host.worker)
        fault()
    finally:
        site.launch(site.worker)
    return held


def _tell(trial: Trial, parts: Sequence[int]) -> None:
    trial.expect(parts, "the host did not help")
    trial.notes.append(f"it had parsed {len(parts)} parts, {sum(parts):,} of {_FILES:,} files")


@contextmanager
def _host(trial: Trial, queues: Sequence[str] = ()) -> Iterator[Host]:
    """A second host with a worker that takes messages, for as long as the block lasts."""
    site = trial.site
    path = site.directory / "many.git"
    if not path.exists():
        repositories.large(path, files=_FILES, functions=20)
    trial.ground.undisturbed(path)
    name = f"drill{os.getpid()}"
    device = f"{name}a"
    with _namespace(name, device) as address, _reachable(site, address) as (database, broker):
        data = site.directory / name
        environment = {
            **site.environment,
            **_SHARED,
            "DATABASE_URL": database,
            "BROKER_URL": broker,
            "SSOT_DATA_DIR": str(data),
        }
        worker = programs.worker(environment, site.logs, f"far-{time.monotonic_ns()}", 2, queues)
        worker.command = [
            *("ip", "netns", "exec", name, "unshare", "--uts", "sh", "-c"),
            'echo "$0" >/proc/sys/kernel/hostname && exec "$@"',
            name,
            *worker.command,
        ]
        host = Host(site, name, device, worker)
        usual = site.worker.command
        try:
            site.add(worker)
            site.until(host.lives, 120, "the second host did not start")
            if queues:  # what the second host does, the site's own worker leaves to it
                site.worker.command = [*usual, "--exclude-queues", ",".join(queues)]
            with site.with_settings(**_SHARED):
                try:
                    yield host
                finally:
                    site.worker.command = usual
        finally:
            site.worker.command = usual
            host.mend()
            let_go(sorted(host.held))
            site.remove(worker)
            shutil.rmtree(data, ignore_errors=True)


@contextmanager
def _namespace(name: str, device: str) -> Iterator[str]:
    """A host and a link to it, for as long as the block lasts: our address on that link."""
    try:
        _ip("netns", "add", name)
        used = _ip("route", "show", "table", "all")
    except OSError as error:
        raise NotRun("needs a network namespace: only root may make one, with the program `ip`") from error
    try:
        free = [network for network in _NETWORKS if f"{network}." not in used]
        if not free:
            raise NotRun("needs a network that is not in use")
        _link(name, device, free[0])
        yield f"{free[0]}.1"
    finally:
        with contextlib.suppress(OSError):
            _ip("link", "delete", device)
        _ip("netns", "delete", name)


def _link(name: str, device: str, network: str) -> None:
    inside = ("-n", name)
    try:
        _ip("link", "add", device, "type", "veth", "peer", "name", "eth0", "netns", name)
        _ip("address", "add", f"{network}.1/30", "dev", device)
        _ip("link", "set", device, "up")
        _ip(*inside, "address", "add", f"{network}.2/30", "dev", "eth0")
        for one in ("lo", "eth0"):
            _ip(*inside, "link", "set", one, "up")
    except OSError as error:
        raise NotRun(f"needs a virtual network: {error}") from error


@contextmanager
def _reachable(site: Instance, address: str) -> Iterator[tuple[str, str]]:
    """The site's servers at an address of the link as well: ``DATABASE_URL`` and ``BROKER_URL`` for the other end."""
    password = site.postgres.password_file.read_text().strip()
    allowed = site.postgres.directory / "pg_hba.conf"
    before = allowed.read_text()
    allowed.write_text(f"{before}host all {postgres.ROLE} {address}/30 scram-sha-256\n")
    site.postgres.settings["listen_addresses"] = address
    _again(site)
    try:
        with _broker_reachable(site, address) as broker:
            yield f"postgresql://{postgres.ROLE}:{password}@{address}:5432/{postgres.DATABASE}", broker
    finally:
        del site.postgres.settings["listen_addresses"]
        allowed.write_text(before)
        _again(site)


def _at(url: str, address: str) -> str:
    """A server's URL, at another address of its machine."""
    parts = urlsplit(url)
    login, at, _ = parts.netloc.rpartition("@")
    port = f":{parts.port}" if parts.port else ""
    return parts._replace(netloc=f"{login}{at}{address}{port}").geturl()


@contextmanager
def _broker_reachable(site: Instance, address: str) -> Iterator[str]:
    if site.given_broker:  # on this machine, and it listens everywhere
        yield _at(site.given_broker, address)
        return
    with contextlib.closing(site.broker()) as broker:
        broker.config_set("protected-mode", "no")
        broker.config_set("bind", address)
        broker.config_set("port", _BROKER_PORT)
    try:
        yield f"redis://{address}:{_BROKER_PORT}/0"
    finally:
        with contextlib.closing(site.broker()) as broker:
            broker.config_set("port", 0)


def _again(site: Instance) -> None:
    site.postgres.stop()
    site.postgres.launch()
    site.postgres.wait_ready()


def _ip(*arguments: str) -> str:
    """Raises ``OSError`` when there is no such program or it refuses."""
    program = shutil.which("ip")
    if program is None:
        raise OSError("there is no program `ip`")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(done.stderr.strip())
    return done.stdout
