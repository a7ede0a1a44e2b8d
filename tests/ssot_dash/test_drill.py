"""``manage.py drill``: what it says of itself, and one case from the start of its site to the table."""

import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from ssot_dash.drill import hosts
from ssot_dash.drill.catalogue import CASES
from ssot_dash.drill.trial import NotRun
from ssot_dash.embedded.data import BASE_DIR


def drill(*arguments: str) -> subprocess.CompletedProcess[str]:
    ours = ("DATABASE_URL", "BROKER_URL", "SSOT_DATA_DIR", "DJANGO_SETTINGS_MODULE")
    return subprocess.run(
        [sys.executable, BASE_DIR / "manage.py", "drill", *arguments],
        env={name: value for name, value in os.environ.items() if name not in ours},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def test_every_case_says_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("drill", "--list")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(CASES)
    assert all(len(line.split()) > 4 for line in lines)


def test_a_case_that_there_is_not_is_refused() -> None:
    with pytest.raises(CommandError, match="There is no case F99"):
        call_command("drill", "F99")


def test_without_network_namespaces_a_second_host_is_not_run_and_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hosts, "shutil", SimpleNamespace(which=lambda _: None))
    with pytest.raises(NotRun, match="only root may make one"), hosts._namespace("drill", "link"):
        pass


def test_a_given_broker_is_not_hurt_and_a_second_host_reaches_it() -> None:
    trial: Any = SimpleNamespace(site=SimpleNamespace(given_broker="amqp://me:it%40@127.0.0.1:5673//"))
    for name in ("F5", "F6", "F7", "F8"):
        with pytest.raises(NotRun, match="given another one"):
            CASES[name].work(trial)
    with hosts._broker_reachable(trial.site, "198.51.100.1") as url:
        assert url == "amqp://me:it%40@198.51.100.1:5673//"


@pytest.mark.long
@pytest.mark.celery
def test_fifty_clicks_at_once_are_survived_and_nothing_is_lost() -> None:
    done = drill("F18", "--times", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| 1 of 1 | 1 of 1 |" in done.stdout
