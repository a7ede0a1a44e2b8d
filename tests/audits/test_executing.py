"""Tests that the site runs itself: in a throw-away checkout, as somebody else, cut off, within limits."""

import os
import pwd
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client

from audits import executing, tasks
from audits.checkouts import CheckoutError, check_out
from audits.engine.git import GitRepository
from audits.models import Repository, Schedule, TestCommand, TestExecution, TestRun
from ssot_dash.embedded import processes
from tests.audits.conftest import AddRepository
from tests.samples import commit_tree, init_repository

pytestmark = pytest.mark.django_db(transaction=True)

REPORT = '<testsuite><testcase classname="tests.test_a" name="test_a"/></testsuite>'
# Writes what it finds out about its own surroundings, then a report.
SPY = (
    f"REPORT = {REPORT!r}"
    """
import json, os, socket, sys
found = {"user": os.getuid(), "environment": sorted(os.environ), "files": sorted(os.listdir("."))}
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), 3)
    found["network"] = "reached"
except OSError as error:
    found["network"] = type(error).__name__
server = socket.create_server(("127.0.0.1", 0))
socket.create_connection(server.getsockname(), 3)
print(json.dumps(found))
open("report.xml", "w").write(REPORT)
"""
)
IS_ROOT = os.geteuid() == 0
OWN_NAME = pwd.getpwuid(os.geteuid()).pw_name


@pytest.fixture(autouse=True)
def runner(settings: Any) -> None:
    settings.SSOT_TEST_RUNNER = True
    if not IS_ROOT:
        settings.SSOT_TEST_RUNNER_USER = OWN_NAME


@pytest.fixture
def repository(tmp_path: Path, add_repository: AddRepository) -> Repository:
    path = init_repository(tmp_path / "tested")
    commit_tree(path, {"spy.py": SPY, "deep/module.py": "X = 1\n"}, "Tests", 1_700_000_000, [])
    return add_repository(path)


# The interpreter of the tests may lie where nobody but its owner can reach it.
PYTHON = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable


def execute(repository: Repository, arguments: str, **limits: object) -> TestExecution:
    TestCommand.objects.update_or_create(
        repository=repository, defaults={"command": f"{PYTHON} {arguments}", "seconds": 20, **limits}
    )
    execution, is_new = executing.request(repository)
    assert is_new
    executing.run(execution.pk)
    execution.refresh_from_db()
    return execution


def test_a_report_becomes_a_test_run_at_the_commit(repository: Repository) -> None:
    execution = execute(repository, "spy.py 127.0.0.1 1")
    assert (execution.state, execution.error, execution.exit_status) == ("succeeded", "", 0), execution.output
    run = execution.run
    assert run is not None
    assert (run.state, run.tests, run.source, run.commit_sha) == ("read", 1, "runner", execution.commit_sha)


def test_tests_see_their_checkout_and_nothing_of_the_site(repository: Repository) -> None:
    execution = execute(repository, "spy.py 127.0.0.1 1")
    assert '"environment": ["CI", "HOME", "LANG", "PATH", "TMPDIR"' in execution.output.replace(
        '"LC_CTYPE", ', ""
    ), execution.output
    assert '"files": ["deep", "spy.py"]' in execution.output
    if IS_ROOT:
        assert '"user": 0' not in execution.output


def test_tests_do_not_reach_the_services_of_this_host(repository: Repository) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        execution = execute(repository, f"spy.py 127.0.0.1 {server.getsockname()[1]}")
    if execution.is_offline:
        assert '"network": "ConnectionRefusedError"' in execution.output
    else:
        assert '"network": "reached"' in execution.output


def test_a_command_without_a_report_fails_with_what_it_wrote(repository: Repository) -> None:
    execution = execute(repository, """-c 'print("no tests here"); raise SystemExit(3)'""")
    assert execution.state == "failed"
    assert execution.error.startswith("The command ended with status 3 and left no report at report.xml")
    assert "no tests here" in execution.output
    assert not TestRun.objects.exists()


def test_a_program_that_is_not_there_is_named(repository: Repository) -> None:
    TestCommand.objects.create(repository=repository, command="/no/such/program --junit")
    execution, _ = executing.request(repository)
    executing.run(execution.pk)
    execution.refresh_from_db()
    assert execution.exit_status == 127
    assert "/no/such/program: No such file or directory" in execution.output


def test_what_runs_too_long_is_killed_with_all_that_it_started(repository: Repository) -> None:
    mark = f"ssot-lingers-{os.getpid()}"
    start = "subprocess.Popen(['sleep', '901'], start_new_session=True)"
    code = f"import subprocess,time; {start}; time.sleep(900) # {mark}"
    execution = execute(repository, f'-c "{code}"', seconds=1)
    assert execution.error == "It ran longer than its limit of 1 s."
    if execution.is_offline:
        assert processes.wait_until(lambda: not _running("sleep\x00901"), 300)


def _running(words: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = path.read_text()
        except OSError:
            continue
        if words in text:
            found.append(path.parent.name)
    return found


def test_memory_is_limited(repository: Repository) -> None:
    execution = execute(repository, "-c 'bytearray(2**30)'", memory_mb=256)
    assert execution.state == "failed"
    assert "MemoryError" in execution.output


def test_nothing_stays_behind(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir(mode=0o755)
    for parent in (tmp_path, *tmp_path.parents):
        if parent.stat().st_uid == os.geteuid() and str(parent) != "/" and IS_ROOT:
            parent.chmod(parent.stat().st_mode | 0o011)
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    assert execute(repository, "spy.py 127.0.0.1 1").state == "succeeded"
    assert list(scratch.iterdir()) == []


def test_a_report_that_is_a_link_is_not_followed(repository: Repository) -> None:
    execution = execute(repository, """-c 'import os; os.symlink("/etc/passwd", "report.xml")'""")
    assert execution.state == "failed"
    assert "root:" not in execution.error + execution.output
    assert not TestRun.objects.exists()


def test_a_report_in_a_linked_folder_is_not_followed(repository: Repository) -> None:
    execution = execute(repository, """-c 'import os; os.symlink("/etc", "out")'""", report="out/passwd")
    assert execution.error == "The command ended with status 0; out/passwd leads out of the checkout."


def test_nothing_runs_while_it_is_switched_off(repository: Repository, settings: Any) -> None:
    TestCommand.objects.create(repository=repository, command="true", schedule=Schedule.HOURLY)
    settings.SSOT_TEST_RUNNER = False
    with pytest.raises(executing.ExecutionError, match="switched off"):
        executing.request(repository)
    executing.due()
    assert not TestExecution.objects.exists()


@pytest.mark.skipif(IS_ROOT, reason="root can become anybody")
def test_a_worker_that_is_not_root_does_not_pretend(repository: Repository, settings: Any) -> None:
    settings.SSOT_TEST_RUNNER_USER = "nobody"
    assert "can’t become nobody" in execute(repository, "spy.py").error


def test_tests_never_run_as_root(repository: Repository, settings: Any) -> None:
    settings.SSOT_TEST_RUNNER_USER = "root"
    assert execute(repository, "spy.py").error.startswith("Tests are not run as root")


def test_one_is_in_flight_at_a_time_and_a_schedule_asks_once_a_slot(repository: Repository) -> None:
    TestCommand.objects.create(repository=repository, command="true", schedule=Schedule.HOURLY)
    executing.due()
    executing.due()
    (first,) = TestExecution.objects.all()
    assert executing.request(repository) == (first, False)
    assert executing.to_dispatch() == [first.pk]
    assert executing.to_dispatch() == []


def test_what_a_lost_worker_ran_has_failed_and_is_not_tried_again(repository: Repository) -> None:
    TestCommand.objects.create(repository=repository, command="true")
    execution, _ = executing.request(repository)
    past = execution.queued_at.replace(year=2020)
    TestExecution.objects.update(state="running", started_at=past, alive_until=past)
    executing.reap()
    execution.refresh_from_db()
    assert (execution.state, execution.error) == ("failed", "The worker that ran it was lost.")
    assert executing.run(execution.pk) is None


def test_paths_and_links_that_lead_out_of_a_checkout_are_not_written(tmp_path: Path) -> None:
    path = init_repository(tmp_path / "links")
    sha = commit_tree(
        path,
        {"a/file": "x"},
        "Links",
        1_700_000_000,
        [],
        links={"a/in": "file", "a/out": "../../secret", "abs": "/etc/passwd"},
    )
    folder = tmp_path / "checkout"
    folder.mkdir()
    check_out(GitRepository(path), sha, folder, 100)
    assert (folder / "a/in").read_text() == "x"
    assert sorted(str(p.relative_to(folder)) for p in folder.rglob("*")) == ["a", "a/file", "a/in"]


def test_a_commit_that_is_too_large_is_not_checked_out(tmp_path: Path) -> None:
    path = init_repository(tmp_path / "large")
    sha = commit_tree(path, {"a": "x" * 50, "b": "x" * 51}, "Large", 1_700_000_000, [])
    (tmp_path / "checkout").mkdir()
    with pytest.raises(CheckoutError, match="more than 100 bytes"):
        check_out(GitRepository(path), sha, tmp_path / "checkout", 100)


# --- Edges --------------------------------------------------------------------------------------------------


@pytest.fixture
def pages(repository: Repository) -> tuple[str, str]:
    return (
        f"/repositories/{repository.slug}/test-runs/command/",
        f"/repositories/{repository.slug}/test-runs/execute/",
    )


VALUES = {
    "command": "/bin/true --x",
    "report": "report.xml",
    "seconds": "60",
    "memory_mb": "512",
    "processes": "64",
    "schedule": "off",
}


def test_an_administrator_saves_a_command_and_runs_it(
    client: Client, repository: Repository, pages: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []
    monkeypatch.setattr(tasks.execute_tests, "apply_async", lambda args, **_: sent.extend(args))
    client.force_login(User.objects.create_superuser("boss"))
    assert client.post(pages[0], VALUES).status_code == 302
    assert TestCommand.objects.get().command == "/bin/true --x"
    answer = client.post(pages[1], {"rev": ""})
    (execution,) = TestExecution.objects.all()
    assert answer.headers["Location"] == execution.get_absolute_url()
    assert sent == [execution.pk]
    assert "Queued" in client.get(execution.get_absolute_url()).content.decode()
    assert execution.get_absolute_url() in client.get(pages[0]).content.decode()


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("command", "echo 'open", "No closing quotation"),
        ("report", "../report.xml", "inside of the checkout"),
        ("report", "/etc/passwd", "inside of the checkout"),
        ("seconds", "9000", "SSOT_TEST_RUNNER_SECONDS"),
        ("memory_mb", "1", "greater than or equal to 64"),
    ],
)
def test_values_that_can_not_work_are_named(
    client: Client, pages: tuple[str, str], field: str, value: str, words: str
) -> None:
    client.force_login(User.objects.create_superuser("boss"))
    answer = client.post(pages[0], {**VALUES, field: value})
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert not TestCommand.objects.exists()


def test_nobody_but_administrators_may(
    client: Client, repository: Repository, pages: tuple[str, str]
) -> None:
    TestCommand.objects.create(repository=repository, command="true")
    execution, _ = executing.request(repository)
    client.force_login(User.objects.create_user("ada", is_staff=True))
    for path in (*pages, execution.get_absolute_url()):
        assert client.post(path, VALUES).status_code in {403, 405}
        assert client.get(path).status_code in {403, 405}
    assert TestCommand.objects.get().command == "true"
    assert TestExecution.objects.count() == 1


def test_a_terminal_runs_tests_and_says_what_came_of_it(
    repository: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(CommandError, match="which command runs the tests"):
        call_command("run_tests", repository.slug)
    TestCommand.objects.create(repository=repository, command=f"{PYTHON} spy.py 127.0.0.1 1")
    call_command("run_tests", repository.slug)
    assert "1 tests, 0 bad" in capsys.readouterr().out
    with pytest.raises(CommandError, match="no repository"):
        call_command("run_tests", "nowhere")


@pytest.mark.celery
def test_a_worker_runs_what_was_asked_for(
    repository: Repository, start_worker: Callable[..., object]
) -> None:
    TestCommand.objects.create(repository=repository, command=f"{PYTHON} spy.py 127.0.0.1 1")
    user = {} if IS_ROOT else {"SSOT_TEST_RUNNER_USER": OWN_NAME}
    start_worker(SSOT_TEST_RUNNER="1", **user)
    execution, _ = executing.request(repository)
    tasks.execute_after_commit(execution)
    assert processes.wait_until(lambda: not TestExecution.objects.get(pk=execution.pk).is_in_flight, 300)
    assert TestExecution.objects.get(pk=execution.pk).state == "succeeded"
