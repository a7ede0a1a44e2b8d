"""The lock files hold what the .in files ask for, with hashes, and say nothing about where they were made."""

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("requirements", "requirements-dev")


def asked_for(name: str) -> list[Requirement]:
    lines = (ROOT / f"{name}.in").read_text().splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith(("#", "-"))]


def locked(name: str) -> dict[str, str]:
    text = (ROOT / f"{name}.txt").read_text()
    return dict(re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE))


@pytest.mark.parametrize("name", LOCKS)
def test_lock_file_has_what_is_asked_for(name: str) -> None:
    versions = locked(name)
    missing = [
        str(asked) for asked in asked_for(name) if not asked.specifier.contains(versions.get(asked.name, "0"))
    ]
    assert not missing


@pytest.mark.parametrize("name", LOCKS)
def test_every_package_has_hashes(name: str) -> None:
    entries = re.split(r"\n(?=[\w.-]+==)", (ROOT / f"{name}.txt").read_text())[1:]
    assert len(entries) == len(locked(name))
    assert not [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry]


@pytest.mark.parametrize("name", LOCKS)
def test_lock_file_names_no_index_and_no_place(name: str) -> None:
    text = (ROOT / f"{name}.txt").read_text()
    assert not re.search(r"https?://|file:|@ |--(extra-)?index|--find-links", text)


def test_both_lock_files_agree() -> None:
    run_time, test = locked("requirements"), locked("requirements-dev")
    assert {name: test[name] for name in run_time.keys() & test.keys()} == {
        name: run_time[name] for name in run_time.keys() & test.keys()
    }
