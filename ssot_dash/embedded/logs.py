"""The children's log files: kept small, and their warnings shown on the terminal."""

import contextlib
import os
import re
import shutil
from pathlib import Path

LARGEST = 10 * 2**20
# The level near a line's beginning, as Python, gunicorn and Celery write it.
_LEVEL = re.compile(r".{0,60}?\b(?:WARNING|ERROR|CRITICAL)\b")


def open_log(path: Path) -> int:
    """A descriptor that appends to ``path``, so that cutting the file off under it is safe."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def last_lines(path: Path, count: int = 12) -> str:
    with contextlib.suppress(OSError):
        return "\n".join(path.read_text(errors="replace").splitlines()[-count:])
    return "(nothing)"


class LogWatch:
    """Follows one growing log file from its present end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.position = path.stat().st_size if path.exists() else 0
        self.rest = b""

    def new_warnings(self) -> list[str]:
        """Lines of level warning and above that were written since the last call.

        A file over ``LARGEST`` is first copied to ``<name>.1`` and emptied.
        """
        try:
            size = self.path.stat().st_size
        except OSError:
            return []
        if size < self.position:
            self.position, self.rest = 0, b""
        if size == self.position:
            return []
        with self.path.open("rb") as file:
            file.seek(self.position)
            read = self.rest + file.read(2**20)
            self.position = file.tell()
        *lines, self.rest = read.split(b"\n")
        if size > LARGEST and size == self.position:
            shutil.copyfile(self.path, self.path.with_name(f"{self.path.name}.1"))
            os.truncate(self.path, 0)
        texts = (line.decode(errors="replace") for line in lines)
        return [text for text in texts if _LEVEL.match(text)]
