"""The browser that the tests drive: found, or installed from Debian's packages when root runs the tests."""

import os
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

# The one without a window first: a page costs it half as much.
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
# What apt is asked for, one after the other, until there is a browser: not every release has the first.
PACKAGES = ("chromium-headless-shell", "chromium")
# Playwright runs on its own Node.js, which needs it.
LIBRARY = "libatomic1"
HOW_TO_GET_ONE = f"sudo apt-get install --no-install-recommends {PACKAGES[-1]} {LIBRARY}"


def missing() -> str | None:
    """What keeps the tests from driving a browser, for a person to read; None when all is there."""
    if find_executable() is None:
        return f"There is no Chromium on this machine. On Debian: {HOW_TO_GET_ONE}"
    if not _playwright_runs():
        return f"Playwright's Node.js can't run on this machine. On Debian: {HOW_TO_GET_ONE}"
    return None


def find_executable() -> Path | None:
    """The Chromium on the PATH, whatever it is called there."""
    found = (shutil.which(name) for name in NAMES)
    return next((Path(path) for path in found if path), None)


def install(log: Path) -> None:
    """Try to get what is missing from Debian's packages, as root; what apt says goes to ``log``.

    ``missing`` tells afterwards whether it worked.
    """
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        return
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with log.open("w") as output:

        def run(*command: str) -> None:
            subprocess.run(
                [apt, *command],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )

        run("update", "-q")
        for package in PACKAGES:
            run("install", "-q", "-y", "--no-install-recommends", package, LIBRARY)
            if missing() is None:
                return


def _playwright_runs() -> bool:
    playwright = find_spec("playwright")
    if playwright is None or playwright.origin is None:
        return False
    node = os.environ.get("PLAYWRIGHT_NODEJS_PATH") or Path(playwright.origin).with_name("driver") / "node"
    try:
        return subprocess.run([node, "--version"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False
