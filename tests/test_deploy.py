"""The files of docs/deploy start what the documentation says, with settings and queues that there are."""

import re
import shlex
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings

FOLDER = Path(settings.BASE_DIR) / "docs/deploy"
PROCESSES = {"web", "worker", "attendant", "beat"}


def unit(name: str) -> ConfigParser:
    # systemd knows no interpolation of this kind, and keys whose case counts.
    parsed = ConfigParser(interpolation=None, strict=False)
    parsed.optionxform = str  # type: ignore[assignment,method-assign]
    parsed.read(FOLDER / f"ssot-dash-{name}.service")
    return parsed


def compose() -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())
    return parsed


def what_matters(command: list[str]) -> list[str]:
    """A command without what depends on the place: its Python, its address, its log and its name."""
    text = shlex.join(command[1:])
    return shlex.split(re.sub(r" --(bind|access-logfile|hostname) \S+", "", text))


def test_there_is_a_unit_and_a_service_for_each_process() -> None:
    assert {path.stem.removeprefix("ssot-dash-") for path in FOLDER.glob("*.service")} == PROCESSES
    assert set(compose()["services"]) == PROCESSES | {"prepare", "database", "broker"}


@pytest.mark.parametrize("name", sorted(PROCESSES))
def test_units_and_services_run_the_same_command(name: str) -> None:
    in_unit = shlex.split(unit(name)["Service"]["ExecStart"])
    assert what_matters(in_unit) == what_matters(compose()["services"][name]["command"])
    if "--queues" in in_unit:
        queues = in_unit[in_unit.index("--queues") + 1].split(",")
        assert {settings.SSOT_QUEUE_PREFIX + name for name in queues} <= set(settings.CELERY_TASK_QUEUES)


@pytest.mark.parametrize("name", sorted(PROCESSES))
def test_a_unit_comes_back_when_its_process_ends_and_may_write_its_data_alone(name: str) -> None:
    service = unit(name)["Service"]
    assert (service["Restart"], service["ProtectSystem"]) == ("always", "strict")
    data = re.search(r"^SSOT_DATA_DIR=(.*)$", (FOLDER / "ssot-dash.env").read_text(), re.MULTILINE)
    assert data is not None
    assert service["ReadWritePaths"] == data[1]


def test_the_images_python_is_one_that_manage_py_stays_in() -> None:
    """With the system's it would make an environment, in a folder that isn't its user's to write to."""
    text = (FOLDER / "Dockerfile").read_text()
    made = re.search(r"-m venv [^/]*(/\S+)", text)
    assert made is not None
    assert f"pip --python {made[1]}/bin/python install" in text
    assert f'PATH="{made[1]}/bin:$PATH"' in text


def test_nothing_of_a_site_gets_into_the_image() -> None:
    left_out = (Path(settings.BASE_DIR) / ".dockerignore").read_text().split()
    assert {".data", ".venv", ".git"} <= set(left_out)


def test_the_environment_names_settings_that_there_are() -> None:
    documented = re.findall(r"^\| `([A-Z_]+)`", (FOLDER.parent / "settings.md").read_text(), re.MULTILINE)
    in_file = re.findall(r"^([A-Z_]+)=", (FOLDER / "ssot-dash.env").read_text(), re.MULTILINE)
    in_compose = compose()["x-site"]["environment"]
    assert {*in_file, *in_compose} - {*documented, "DJANGO_SETTINGS_MODULE"} == set()
