"""Run every check of this repository."""

import os
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.core.management.base import BaseCommand

from ssot_dash.embedded import browser

PYTHON_SOURCES = ("audits", "ids", "ssot_dash", "tests", "manage.py")
CHECKS: dict[str, Sequence[str]] = {
    "lint": ("-m", "ruff", "check", "--output-format", "concise", *PYTHON_SOURCES),
    "format": ("-m", "ruff", "format", "--check", "--output-format", "concise", *PYTHON_SOURCES),
}
# Beside the rest: mypy keeps one core busy for a while, and the tests wait for servers and browsers now and then.
TYPES = ("-m", "mypy")
# The import contracts are among the tests (tests/architecture).
# More workers than cores: half of the time tests wait, for servers, for processes that they killed, for a browser.
EVERYTHING = ("-n", str(2 * (os.cpu_count() or 1)), "--dist", "worksteal", "-q")


class Command(BaseCommand):
    help = (
        "Run lint, types and all tests on servers of their own, with a browser. Arguments, if any, are pytest's, and "
        "then pytest alone runs: test -k title, test tests/ids -x."
    )
    requires_system_checks = ()

    def run_from_argv(self, argv: list[str]) -> None:
        """Take all arguments for pytest's, without understanding them."""
        if argv[2:] in (["-h"], ["--help"]):
            super().run_from_argv(argv)
        else:
            self.handle(pytest_arguments=argv[2:])

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("pytest_arguments", nargs="*", help="given to pytest as they are")

    def handle(self, *args: Any, **options: Any) -> None:
        if find_spec("pytest") is None:
            sys.exit(
                f"The test requirements are not installed in {sys.prefix}. Outside of a virtual environment "
                "`python3 manage.py test` installs them; here:\n"
                f"  {sys.executable} -m pip install --require-hashes -r requirements-dev.txt"
            )
        arguments = options["pytest_arguments"]
        if arguments:
            get_browser()
            os.chdir(settings.BASE_DIR)
            os.execve(sys.executable, [sys.executable, "-m", "pytest", *arguments], environment())  # noqa: S606
        with tempfile.TemporaryFile() as said:
            failed = run_everything(said)
        if failed:
            sys.exit(f"FAILED: {', '.join(failed)}")
        print("All checks passed.")


def run_everything(said: IO[bytes]) -> list[str]:
    """The names of the checks that failed. ``said``: where mypy writes to until it is its turn to be shown."""
    began = time.monotonic()
    types = subprocess.Popen(
        [sys.executable, *TYPES],
        cwd=settings.BASE_DIR,
        env=environment(),
        stdout=said,
        stderr=subprocess.STDOUT,
    )
    try:
        get_browser()
        failed = [name for name, command in CHECKS.items() if run(name, command) != 0]
        if run("tests", ("-m", "pytest", *EVERYTHING)) != 0:
            failed.append("tests")
        print("== types, checked meanwhile", flush=True)
        if types.wait() != 0:
            failed.append("types")
    finally:
        types.kill()
        types.wait()
    said.seek(0)
    print(said.read().decode(errors="replace"), end="")
    print(f"== types: {outcome(types.returncode)}", flush=True)
    print(f"== in all {time.monotonic() - began:.1f} s", flush=True)
    return failed


def run(name: str, command: Sequence[str]) -> int:
    """Run one check with this Python in the repository's directory; return its exit code."""
    print(f"== {name}", flush=True)
    began = time.monotonic()
    code = subprocess.run(
        [sys.executable, *command], cwd=settings.BASE_DIR, env=environment(), check=False
    ).returncode
    print(f"== {name}: {outcome(code)}, {time.monotonic() - began:.1f} s", flush=True)
    return code


def outcome(code: int) -> str:
    return "ok" if code == 0 else "FAILED"


def environment() -> dict[str, str]:
    """Ours without what manage.py has set for Django: the tests start servers first, then choose settings.

    And without the wish that Python keeps no compiled files: the tests start some hundred processes, and each would
    compile the whole site anew.
    """
    left_out = {"DJANGO_SETTINGS_MODULE", "PYTHONDONTWRITEBYTECODE"}
    return {name: value for name, value in os.environ.items() if name not in left_out}


def get_browser() -> None:
    """See to a browser. Without one its tests are skipped, and fail with CI=true."""
    if browser.missing() is None:
        return
    if os.geteuid() == 0:
        log = Path(tempfile.gettempdir()) / "ssot-dash-browser-install.log"
        print(f"Installing a browser for the tests (apt-get, log: {log}) ...", flush=True)
        browser.install(log)
    if reason := browser.missing():
        print(f"No browser tests: {reason}", flush=True)
