"""Progress of an audit on a terminal."""

from typing import TextIO

from audits.engine.findings import Progress


class Bar:
    """One line of progress, on a terminal only."""

    WIDTH = 30

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._shown = stream.isatty()

    def show(self, progress: Progress) -> None:
        if not self._shown:
            return
        filled = self.WIDTH * progress.done // progress.total if progress.total else 0
        bar = "#" * filled + "." * (self.WIDTH - filled)
        self._stream.write(f"\r\033[K[{bar}] {progress.phase} {progress.done:,}/{progress.total:,}")
        self._stream.flush()

    def clear(self) -> None:
        if self._shown:
            self._stream.write("\r\033[K")
            self._stream.flush()
