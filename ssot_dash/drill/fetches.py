"""Faults while something is fetched or uploaded: of the process that does it, and of the disk."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGSTOP

import pygit2

from ssot_dash.drill.instance import Answer, descendants, kill, let_go
from ssot_dash.drill.repositories import Server, served
from ssot_dash.drill.trial import NotRun, Trial
from ssot_dash.embedded import processes

_ROOM = 24  # MB of a disk that can be filled
# More than a web server keeps in memory while it takes an upload in.
_REPORT = b'<testsuite><testcase classname="t" name="n"/><!--' + b"x" * 4_000_000 + b"--></testsuite>"
_BOUNDARY = "drill"


def f1(trial: Trial) -> None:
    """The process whose task fetches a repository is killed in the middle of it.

    The next attempt fetches all of it, and nothing of the first one is left.
    """
    site = trial.site
    with _server(trial) as server, site.with_settings(**server.settings):
        (slug,) = trial.repository(trial.ground.large, url=server.url("large"))
        trial.audit(slug)
        held: list[int] = []

        def holding() -> bool:
            held[:] = site.fetchers()
            for pid in held:
                processes.send(pid, SIGSTOP)
            return bool(held)

        site.until(holding, 60, "nothing was fetched")
        kill(*[pid for pid in site.pool() if set(held) & set(descendants(pid))])
        let_go(held)
        site.until(trial.have_ended, 120, "not done by another attempt")
        trial.expect(trial.attempts() == [2], f"attempts: {trial.attempts()}")
        site.until(lambda: not set(held) & set(processes.running()), 15, "its process was left behind")
        trial.expect(not _leftovers(site.directory / "clones"), "half a clone was left behind")


def f17(trial: Trial) -> None:
    """The disk is full during a fetch and during an upload.

    Both are refused in words that name the disk, what is known stays, and both succeed once there is room.
    """
    site = trial.site
    clones, uploads = site.directory / "clones", site.directory / "uploads"
    with (
        _disk(clones),
        _disk(uploads),
        _server(trial) as server,
        site.with_settings(**server.settings, TMPDIR=str(uploads)),
    ):
        earlier, later = trial.repository(trial.ground.large, 2, server.url("large"))
        trial.audit(earlier)
        site.until(trial.have_ended, 120, "not audited while there was room")
        with _filled(clones), _filled(uploads):
            number = site.audit(later).body["id"]
            site.until(lambda: trial.ground.states([number])[number] == "failed", 60, "did not fail")
            words = site.rows("SELECT error_message FROM audits_audit WHERE id = %s", number)[0][0]
            trial.expect("disk" in words, f"the failed audit doesn’t name the disk: {words}")
            refused = _upload(trial, earlier)
            trial.expect(refused.status == 507, f"the upload was answered with {refused.status}")
            trial.expect("disk" in str(refused.body), f"the answer doesn’t name the disk: {refused.body}")
        trial.expect(not _leftovers(clones), "half a clone was left behind")
        site.until(lambda: not list(uploads.glob("*.upload*")), 10, "half an upload was left behind")
        trial.audit(later)
        taken = _upload(trial, earlier)
        trial.expect(taken.accepted, f"the upload was answered with {taken.status} when there was room")
        site.until(trial.have_ended, 120, "not audited when there was room")


@contextmanager
def _server(trial: Trial) -> Iterator[Server]:
    folder = trial.site.directory / "served"
    folder.mkdir(exist_ok=True)
    with served(folder, large=trial.ground.large) as server:
        if server is None:
            raise NotRun(
                "needs a git server over https, which comes with what tests need: `manage.py test` installs it"
            )
        yield server


@contextmanager
def _disk(directory: Path) -> Iterator[None]:
    """A small disk of its own at a directory."""
    directory.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_ROOM}m", "tmpfs", str(directory)]
    try:
        made = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except OSError:
        made = False
    if not made:
        raise NotRun("needs a disk that can be filled: only root may mount one")
    try:
        yield
    finally:
        unmount = ["umount", "--lazy", str(directory)]
        subprocess.run(unmount, check=False)


@contextmanager
def _filled(directory: Path) -> Iterator[None]:
    filler = directory / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                os.write(file.fileno(), bytes(4096))
        except OSError:
            pass
    try:
        yield
    finally:
        filler.unlink()


def _upload(trial: Trial, slug: str) -> Answer:
    """Send a test report."""
    fields = {"commit": str(pygit2.Repository(str(trial.ground.large)).head.target)}
    parts = [f'name="{name}"\r\n\r\n{text}'.encode() for name, text in fields.items()]
    parts.append(b'name="report"; filename="junit.xml"\r\n\r\n' + _REPORT)
    head = f"--{_BOUNDARY}\r\nContent-Disposition: form-data; ".encode()
    body = b"".join(head + part + b"\r\n" for part in parts) + f"--{_BOUNDARY}--\r\n".encode()
    path = f"/api/v1/repositories/{slug}/test-runs"
    return trial.site.send("POST", path, body, f"multipart/form-data; boundary={_BOUNDARY}")


def _leftovers(clones: Path) -> list[str]:
    """What lies beside the clones, which are called by numbers."""
    return [path.name for path in clones.iterdir() if not path.name.isdecimal()]
