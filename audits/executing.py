"""Runs repositories' tests where an administrator has switched that on: the only writer of executions.

Code of audited repositories runs here and nowhere else: in a throw-away checkout, as another user, in a child process
that has cut itself off (``audits.execute_child``). Its report is then taken in like any other.
"""

import json
import logging
import os
import pwd
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import IntegrityError, transaction
from django.db.models import Q, Value
from django.db.models.functions import Now
from django.utils import timezone

from audits import execute_child, fetching, ingesting, recording
from audits.checkouts import CheckoutError, check_out
from audits.engine.git import GitError, GitRepository
from audits.models import Repository, Schedule, TestCommand, TestExecution, TestRun

logger = logging.getLogger(__name__)

State = TestExecution.State
# The end of what a command wrote, in bytes.
OUTPUT_KEPT = 64 * 1024
# Beyond its limit, before the child itself counts as hanging; and beyond that, before its worker counts as lost.
_GRACE_SECONDS = 10
_LOST_SECONDS = 120
_FILE_BYTES = 1024**3


class ExecutionError(Exception):
    """Tests that are not run; the message tells a person what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class _User:
    """Whom tests run as."""

    number: int
    group: int


def check_command(text: str) -> list[str]:
    """A command's program and arguments. Raises ``ExecutionError``."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ExecutionError(f"The command can’t be read: {error}.") from error
    if not words or "\0" in text:
        raise ExecutionError("Enter a program and its arguments.")
    return words


def check_report(text: str) -> str:
    """The report's path, relative to the checkout. Raises ``ExecutionError``."""
    path = PurePosixPath(text)
    if not text or "\0" in text or path.is_absolute() or ".." in path.parts or str(path) == ".":
        raise ExecutionError("The report is a file inside of the checkout, such as report.xml.")
    return str(path)


def check_seconds(seconds: int) -> None:
    """Raises ``ExecutionError`` for more time than tests may take here."""
    if seconds > settings.SSOT_TEST_RUNNER_SECONDS:
        limit = settings.SSOT_TEST_RUNNER_SECONDS
        raise ExecutionError(f"Tests may take {limit:,} s at most (SSOT_TEST_RUNNER_SECONDS).")


def _user() -> _User:
    """Whom the tests run as. Raises ``ExecutionError`` when that can't be another user than the worker's."""
    name = settings.SSOT_TEST_RUNNER_USER
    try:
        found = pwd.getpwnam(name)
    except KeyError:
        raise ExecutionError(f"There is no user {name} on this host (SSOT_TEST_RUNNER_USER).") from None
    if found.pw_uid == 0:
        raise ExecutionError("Tests are not run as root: name another user in SSOT_TEST_RUNNER_USER.")
    if os.geteuid() not in {0, found.pw_uid}:
        own = pwd.getpwuid(os.geteuid()).pw_name
        raise ExecutionError(
            f"The worker runs as {own} and can’t become {name}. Run it as root, or accept that tests read what "
            f"{own} may read, by SSOT_TEST_RUNNER_USER={own}."
        )
    return _User(found.pw_uid, found.pw_gid)


# --- Asking for one -----------------------------------------------------------------------------------------


def request(
    repository: Repository, rev: str = "", user: AbstractBaseUser | AnonymousUser | None = None
) -> tuple[TestExecution, bool]:
    """Queue a run of a repository's tests at a revision (empty: the newest of the branch). Answers it, and whether it
    is new: a repository has one in flight at a time. Raises ``ExecutionError``, and ``LocationError`` for what is no
    revision.
    """
    if not settings.SSOT_TEST_RUNNER:
        raise ExecutionError("Running tests is switched off on this site (SSOT_TEST_RUNNER).")
    command = TestCommand.objects.filter(repository=repository).first()
    if command is None:
        raise ExecutionError("Say first which command runs the tests of this repository.")
    rev = fetching.check_revision(rev)
    by = user.pk if user is not None and user.is_authenticated else None
    while True:
        try:
            with transaction.atomic():
                made = TestExecution.objects.create(
                    repository=repository, rev=rev, command=command.command, requested_by_id=by
                )
            return made, True
        except IntegrityError:
            in_flight = TestExecution.objects.filter(
                repository=repository, state__in=[State.QUEUED, State.RUNNING]
            ).first()
            if in_flight is not None:
                return in_flight, False


def due() -> None:
    """Request what the schedules ask for."""
    if not settings.SSOT_TEST_RUNNER:
        return
    for schedule in Schedule:
        if period := schedule.period:
            planned = TestCommand.objects.filter(schedule=schedule)
            planned.filter(next_run_at=None).update(next_run_at=Now())
            for command in planned.filter(next_run_at__lte=Now()).select_related("repository"):
                slot = planned.filter(pk=command.pk, next_run_at=command.next_run_at)
                if slot.update(next_run_at=timezone.now() + period):
                    request(command.repository)


def reap() -> None:
    """What its worker gave no sign of counts as failed. It isn't tried again: nobody knows what it did."""
    lost = TestExecution.objects.filter(state=State.RUNNING, alive_until__lt=Now())
    lost.update(state=State.FAILED, finished_at=Now(), error="The worker that ran it was lost.")


def to_dispatch() -> list[int]:
    """The queued executions for which a message shall be sent now, each claimed for the caller."""
    recently = Now() - Value(timedelta(seconds=settings.SSOT_REDISPATCH_SECONDS))
    waiting = TestExecution.objects.filter(state=State.QUEUED).filter(
        Q(dispatched_at=None) | Q(dispatched_at__lt=recently)
    )
    wanted = waiting.order_by("pk").values_list("pk", flat=True)[: settings.SSOT_REDISPATCH_BATCH]
    return [pk for pk in wanted if waiting.filter(pk=pk).update(dispatched_at=Now())]


# --- The work -----------------------------------------------------------------------------------------------


def run(execution_id: int) -> TestRun | None:
    """Run tests, if they are (still) queued. However that ends, the row says so. Answers the new test run, if any."""
    command = TestCommand.objects.filter(repository__executions=execution_id).first()
    row = TestExecution.objects.filter(pk=execution_id)
    seconds = command.seconds if command is not None else 0
    alive = Now() + Value(timedelta(seconds=seconds + _LOST_SECONDS))
    if not row.filter(state=State.QUEUED).update(state=State.RUNNING, started_at=Now(), alive_until=alive):
        return None
    execution = row.select_related("repository").get()
    mine = row.filter(state=State.RUNNING, started_at=execution.started_at)
    found: TestRun | None = None
    try:
        if not settings.SSOT_TEST_RUNNER or command is None:
            raise ExecutionError("Running tests was switched off in the meantime.")
        found = _run(execution, command)
    except (ExecutionError, CheckoutError, fetching.LocationError, ingesting.ReceiveError) as error:
        _end(mine, State.FAILED, execution, error=str(error))
    except GitError as error:
        words = str(error)
        _end(mine, State.FAILED, execution, error=f"{words[:1].upper()}{words[1:]}.")
    except OSError as error:
        logger.exception("Execution %s", execution_id)
        _end(mine, State.FAILED, execution, error=f"The host could not run it: {error.strerror or error}.")
    else:
        _end(mine, State.SUCCEEDED, execution, run=found)
    return found


def _end(mine: Any, state: State, execution: TestExecution, **fields: object) -> None:
    mine.update(
        state=state,
        finished_at=Now(),
        commit_sha=execution.commit_sha,
        command=execution.command,
        is_offline=execution.is_offline,
        exit_status=execution.exit_status,
        output=recording.clean(execution.output, OUTPUT_KEPT),
        **fields,
    )


def _run(execution: TestExecution, command: TestCommand) -> TestRun:
    repository = execution.repository
    user = _user()
    check_seconds(command.seconds)
    if not fetching.path_of(repository).exists():
        raise ExecutionError("The repository is not on this host: audit it first, which fetches it.")
    git = GitRepository(fetching.path_of(repository))
    commit = git.resolve(execution.rev or repository.branch)
    execution.commit_sha, execution.command = commit.sha, command.command
    with _throw_away_folder() as folder:
        checkout = folder / "checkout"
        (folder / "home").mkdir()
        checkout.mkdir()
        check_out(git, commit.sha, checkout, settings.SSOT_TEST_RUNNER_BYTES)
        _give(folder, user)
        try:
            _execute(execution, command, folder, user)
        finally:
            execution.output = _tail(folder / "output")
        data = _report(checkout, check_report(command.report), execution.exit_status)
    run, is_new = ingesting.receive(
        repository,
        data,
        name=PurePosixPath(command.report).name,
        commit=commit.sha,
        branch=repository.branch,
        source=TestRun.Source.RUNNER,
    )
    return ingesting.read(run.pk) or run if is_new else run


@contextmanager
def _throw_away_folder() -> Iterator[Path]:
    """A directory that others can reach by name but not list, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="ssot-dash-tests-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o711)
        yield folder


def _give(folder: Path, user: _User) -> None:
    """What is in a directory belongs to a user."""
    if user.number == os.geteuid():
        return
    for name in ("checkout", "home"):
        os.chown(folder / name, user.number, user.group)
        for place, folders, files in os.walk(folder / name):
            for inner in (*folders, *files):
                os.chown(Path(place) / inner, user.number, user.group, follow_symlinks=False)


def _execute(execution: TestExecution, command: TestCommand, folder: Path, user: _User) -> None:
    """Have the child run the command, and note how it ended. Raises ``ExecutionError``."""
    home = str(folder / "home")
    order = {
        "command": check_command(command.command),
        "checkout": str(folder / "checkout"),
        "output": str(folder / "output"),
        "user": user.number,
        "group": user.group,
        "seconds": command.seconds,
        "cpu_seconds": command.seconds * (os.cpu_count() or 1),
        "memory": command.memory_mb * 1024**2,
        "processes": command.processes,
        "file_bytes": _FILE_BYTES,
        "environment": {
            "PATH": os.defpath,
            "HOME": home,
            "TMPDIR": home,
            "LANG": "C.UTF-8",
            "CI": "true",
        },
    }
    process = subprocess.Popen(
        [sys.executable, "-I", str(execute_child.__file__)],
        cwd="/",
        env={"LANG": "C.UTF-8"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(
            json.dumps(order).encode() + b"\n", timeout=command.seconds + _GRACE_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise ExecutionError(f"It ran longer than its limit of {command.seconds:,} s.") from None
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    answer: dict[str, Any] = {}
    for line in said.splitlines():
        answer |= json.loads(line)
    execution.is_offline = answer.get("offline")
    if "status" not in answer:
        words = str(answer.get("error", "the child process ended without a word"))
        raise ExecutionError(f"{words[:1].upper()}{words[1:]}.")
    execution.exit_status = int(answer["status"])


def _tail(path: Path) -> str:
    """The end of what the command wrote."""
    with suppress(OSError), open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - OUTPUT_KEPT, 0))
        return file.read().decode("utf-8", "replace")
    return ""


def _report(checkout: Path, name: str, status: int | None) -> bytes:
    """The report that the command wrote. It is somebody else's file: a link is none. Raises ``ExecutionError``."""
    ended = f"The command ended with status {status}"
    path = checkout / name
    if path.parent.resolve() != checkout.resolve() / PurePosixPath(name).parent:
        raise ExecutionError(f"{ended}; {name} leads out of the checkout.")
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            ingesting.check_size(os.fstat(file.fileno()).st_size)
            return file.read(settings.SSOT_TEST_REPORT_BYTES + 1)
    except OSError as error:
        raise ExecutionError(
            f"{ended} and left no report at {name} ({error.strerror}): see what it wrote."
        ) from error
