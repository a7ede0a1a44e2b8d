"""Children that die are started again; stopping leaves none, however they resist."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ssot_dash.embedded import logs, processes, supervisor
from ssot_dash.embedded.logs import LogWatch
from ssot_dash.embedded.supervisor import Program, Supervisor, stop_leftovers


class Told(list[str]):
    """What the supervisor has said."""

    def wait_for(self, words: str, overseer: Supervisor) -> None:
        def said() -> bool:
            overseer.tend()
            return any(words in line for line in self)

        assert processes.wait_until(said, 300), f"{words!r} is not among {list(self)}"


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def overseer(told: Told, monkeypatch: pytest.MonkeyPatch) -> Iterator[Supervisor]:
    monkeypatch.setattr(supervisor, "FIRST_PAUSE", 0.05)
    started = Supervisor(told.append)
    yield started
    started.kill()


def program(
    tmp_path: Path, script: str, name: str = "web", environment: dict[str, str] | None = None
) -> Program:
    return Program(
        name=name,
        command=[sys.executable, "-uc", script],
        cwd=tmp_path,
        environment=environment or {},
        log=tmp_path / f"{name}.log",
        stop_signals=((signal.SIGTERM, 0.5),),
    )


def is_running(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def test_child_that_dies_is_started_again_and_said(tmp_path: Path, overseer: Supervisor, told: Told) -> None:
    child = program(tmp_path, "import time; time.sleep(60)")
    overseer.start(child)
    assert child.process is not None
    first = child.process.pid
    os.kill(first, signal.SIGKILL)
    told.wait_for("web ended unexpectedly (SIGKILL); starting it again", overseer)
    told.wait_for("web is running again", overseer)
    assert child.process.pid != first
    assert not processes.has_exited(child.process)


def test_pauses_between_starts_grow(tmp_path: Path, overseer: Supervisor, told: Told) -> None:
    overseer.start(program(tmp_path, "import sys; sys.exit(3)"))
    (entry,) = overseer.watched
    told.wait_for("(exit code 3)", overseer)
    first = entry.pause
    told.wait_for("running again", overseer)
    told.clear()
    told.wait_for("(exit code 3)", overseer)
    assert entry.pause == 2 * first


def test_what_a_dead_child_left_in_its_group_goes_too(
    tmp_path: Path, overseer: Supervisor, told: Told
) -> None:
    child = program(
        tmp_path,
        "import subprocess, sys, time\n"
        "print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']).pid)\ntime.sleep(60)",
    )
    overseer.start(child)
    assert processes.wait_until(lambda: child.log.exists() and child.log.read_text().endswith("\n"), 300)
    grandchild = int(child.log.read_text())
    assert child.process is not None
    child.process.kill()
    told.wait_for("ended unexpectedly", overseer)
    assert processes.wait_until(lambda: not is_running(grandchild), 300)


def test_child_that_will_not_stop_is_killed(tmp_path: Path, overseer: Supervisor) -> None:
    stubborn = program(
        tmp_path,
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('deaf')\ntime.sleep(60)",
    )
    overseer.start(stubborn)
    assert processes.wait_until(lambda: "deaf" in stubborn.log.read_text(), 300)
    assert stubborn.process is not None
    pid = stubborn.process.pid
    overseer.stop()
    assert not is_running(pid)


def test_warnings_of_a_child_are_shown_and_the_rest_is_kept(
    tmp_path: Path, overseer: Supervisor, told: Told
) -> None:
    child = program(
        tmp_path,
        "import time\nprint('2026-01-01 INFO site: fine')\nprint('2026-01-01 ERROR site: not fine')\ntime.sleep(60)",
        name="worker",
    )
    overseer.start(child)
    told.wait_for("worker: 2026-01-01 ERROR site: not fine", overseer)
    assert not any("INFO" in line for line in told)
    assert "INFO site: fine" in child.log.read_text()


def test_log_that_grows_too_large_is_put_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "LARGEST", 1000)
    path = tmp_path / "web.log"
    writer = logs.open_log(path)
    watch = LogWatch(path)
    os.write(writer, b"x" * 1000 + b"\nWARNING first\n")
    assert watch.new_warnings() == ["WARNING first"]
    os.write(writer, b"WARNING second\n")
    assert watch.new_warnings() == ["WARNING second"]
    os.close(writer)
    assert path.read_text() == "WARNING second\n"
    assert (tmp_path / "web.log.1").read_text().endswith("WARNING first\n")


def test_warning_that_is_written_in_two_parts_is_shown_whole(tmp_path: Path) -> None:
    path = tmp_path / "web.log"
    path.write_text("ERROR from before\n")
    watch = LogWatch(path)
    with path.open("a") as file:
        file.write("ERROR ha")
        file.flush()
        assert watch.new_warnings() == []
        file.write("lf\n")
    assert watch.new_warnings() == ["ERROR half"]


def test_leftovers_are_known_by_their_mark_alone(tmp_path: Path, overseer: Supervisor) -> None:
    marked = program(tmp_path, "import time; time.sleep(60)", "marked", {"SSOT_TEST_MARK": str(tmp_path)})
    similar = program(
        tmp_path, "import time; time.sleep(60)", "similar", {"SSOT_TEST_MARK": f"{tmp_path}/other"}
    )
    for child in (marked, similar):
        overseer.start(child)
    assert marked.process is not None
    assert similar.process is not None
    assert stop_leftovers("SSOT_TEST_MARK", str(tmp_path)) == 1
    assert processes.has_exited(marked.process)
    assert not processes.has_exited(similar.process)
