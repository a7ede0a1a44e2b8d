"""manage.py outside of any environment: it makes one, once, however often it is interrupted or started twice.

What is installed is a tiny package called django, built here, which only repeats its arguments.
"""

import ast
import base64
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from ssot_dash.embedded.data import BASE_DIR
from tests.background import hear_ctrl_c

DJANGO = """
import json, sys
from importlib.metadata import version
def execute_from_command_line(arguments):
    print(json.dumps({"prefix": sys.prefix, "version": version("django"), "arguments": arguments[1:]}))
"""
# The Python that the environment of this test run was made with, as a user would start it.
SYSTEM_PYTHON = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"


class Checkout:
    """The files that the bootstrap needs, in a path with a space, with an index of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.venv = path / ".venv"
        shutil.copytree(BASE_DIR / "ssot_dash/embedded", path / "ssot_dash/embedded")
        (path / "ssot_dash/__init__.py").touch()
        shutil.copy(BASE_DIR / "manage.py", path)
        (path / "wheels").mkdir()
        self.lock("1.0")

    def lock(self, version: str, name: str = "requirements.txt", package: str = "django") -> None:
        """Let a lock file name a version of a package, and have that in the index."""
        wheel = self.path / "wheels" / f"{package}-{version}-py3-none-any.whl"
        described = f"{package}-{version}.dist-info"
        files = {
            f"{package}/__init__.py": "",
            f"{package}/core/__init__.py": "",
            f"{package}/core/management.py": DJANGO,
            f"{described}/METADATA": f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n",
            f"{described}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        record = "".join(
            f"{file},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip('=')},\n"
            for file, text in files.items()
        )
        with zipfile.ZipFile(wheel, "w") as archive:
            for file, text in {**files, f"{described}/RECORD": record}.items():
                archive.writestr(file, text)
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        (self.path / name).write_text(f"{package}=={version} \\\n    --hash=sha256:{digest}\n    # via us\n")

    def start(self, *arguments: str, links: str = "") -> subprocess.Popen[str]:
        return subprocess.Popen(
            [SYSTEM_PYTHON, "manage.py", *arguments],
            cwd=self.path,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.path),
                "PIP_NO_INDEX": "1",
                "PIP_FIND_LINKS": links or (self.path / "wheels").as_uri(),
                "PIP_NO_COMPILE": "1",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
            preexec_fn=hear_ctrl_c,  # noqa: PLW1509 - no other threads here
        )

    def run(self, *arguments: str) -> tuple[int, str]:
        process = self.start(*arguments)
        output, _errors = process.communicate(timeout=600)
        return process.returncode, output


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    asked = subprocess.run([SYSTEM_PYTHON, "-c", "import pip, venv"], check=False, capture_output=True)
    if asked.returncode != 0:
        pytest.skip(f"{SYSTEM_PYTHON} has no pip")
    return Checkout(tmp_path / "a checkout")


def test_environment_is_made_once(checkout: Checkout) -> None:
    code, first = checkout.run("check", "--deploy")
    assert code == 0, first
    assert first.startswith("Installing 1 packages into .venv")
    assert json.loads(first.splitlines()[-1]) == {
        "prefix": str(checkout.venv),
        "version": "1.0",
        "arguments": ["check", "--deploy"],
    }
    code, second = checkout.run("check")
    assert (code, len(second.splitlines())) == (0, 1), second


def test_changed_lock_file_is_installed(checkout: Checkout) -> None:
    checkout.run("check")
    checkout.lock("1.1")
    code, output = checkout.run("check")
    assert (code, json.loads(output.splitlines()[-1])["version"]) == (0, "1.1"), output


def test_test_installs_the_test_requirements_as_well(checkout: Checkout) -> None:
    checkout.lock("2.0", "requirements-dev.txt", "pytest")
    checkout.run("check")
    assert not list(checkout.venv.glob("lib/*/site-packages/pytest"))
    code, output = checkout.run("test")
    assert (code, output.startswith("Installing 2 packages")) == (0, True), output
    assert list(checkout.venv.glob("lib/*/site-packages/pytest"))
    for command in ("check", "test"):
        assert "Installing" not in checkout.run(command)[1]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_interrupted_installation_is_started_over(checkout: Checkout, number: signal.Signals) -> None:
    with socket.create_server(
        ("127.0.0.1", 0)
    ) as silent:  # an index that never answers: pip is caught at work
        begun = checkout.start("check", links=f"http://127.0.0.1:{silent.getsockname()[1]}/")
        silent.settimeout(60)
        asked, _address = silent.accept()
        os.killpg(begun.pid, number)
        begun.communicate()
        asked.close()
    (checkout.venv / "half-made").touch()
    code, output = checkout.run("check")
    assert code == 0, output
    assert not (checkout.venv / "half-made").exists()


def test_two_at_once_install_once(checkout: Checkout) -> None:
    outputs = [
        process.communicate(timeout=600)[0] for process in [checkout.start("check"), checkout.start("check")]
    ]
    assert sum("Installing" in output for output in outputs) == 1, outputs
    for output in outputs:
        assert json.loads(output.splitlines()[-1])["version"] == "1.0"


def test_package_that_differs_from_the_lock_file_is_refused(checkout: Checkout) -> None:
    lock = checkout.path / "requirements.txt"
    right = lock.read_text()
    lock.write_text("django==1.0 \\\n    --hash=sha256:" + "0" * 64 + "\n")
    code, output = checkout.run("check")
    assert code == 1
    assert "DO NOT MATCH THE HASHES" in output
    assert "Then run the same command again" in output
    assert "Traceback" not in output
    lock.write_text(right)
    assert checkout.run("check")[0] == 0


def test_environment_whose_python_is_gone_is_made_anew(checkout: Checkout) -> None:
    checkout.run("check")
    for python in checkout.venv.glob("bin/python*"):
        python.unlink()
    (checkout.venv / "bin/python").symlink_to("/usr/bin/no-such-python3")
    code, output = checkout.run("check")
    assert code == 0, output


def test_other_virtual_environments_are_left_alone(checkout: Checkout, tmp_path: Path) -> None:
    subprocess.run([SYSTEM_PYTHON, "-m", "venv", "--without-pip", tmp_path / "own"], check=True)
    asked = subprocess.run(
        [tmp_path / "own/bin/python", "manage.py", "check"],
        cwd=checkout.path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert asked.returncode == 1
    assert "a virtual environment of your own" in asked.stderr
    assert not checkout.venv.exists()


def test_older_python_is_told_so() -> None:
    """The file has to be valid for the Python that is too old, and must not import anything before it has said so."""
    source = (BASE_DIR / "manage.py").read_text()
    ast.parse(source, feature_version=(3, 6))
    pretending = f"import sys; sys.version_info = (3, 9, 2, 'final', 0); sys.path.clear(); exec({source!r})"
    asked = subprocess.run([sys.executable, "-c", pretending], capture_output=True, text=True, check=False)
    assert asked.returncode == 1
    assert "needs Python 3.11 or newer" in asked.stderr
