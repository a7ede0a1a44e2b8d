"""Shows what a tracker document claims, with the line of each claim."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from audits import trackers
from audits.trackers import STEPS, TrackerError


class Command(BaseCommand):
    help = "Show the claims of a tracker document (Markdown): header, steps, counts, files. Exit status 2: unreadable."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)

    def handle(self, *_: Any, **options: Any) -> None:
        path: Path = options["file"]
        try:
            text, was_damaged = trackers.text_of(path.read_bytes())
            tracker = trackers.read(text)
        except (OSError, TrackerError) as error:
            raise CommandError(f"{path}: {error}", returncode=2) from error
        if was_damaged:
            self.stderr.write(f"{path} is UTF-8 that was read as Windows-1252 once; that is undone here.")
        for statement in trackers.statements(None, tracker):
            step = "" if statement.step is None else f" (step {statement.step}, {STEPS[statement.step]})"
            self.stdout.write(f"line {statement.line:>5}  {statement.kind}{step}: {statement.words}")
        for file in tracker.files:
            lines = "" if file.lines is None else ":" + "-".join(map(str, dict.fromkeys(file.lines)))
            self.stdout.write(f"line {file.line:>5}  file: {file.path}{lines}")
        if tracker.is_unstructured:
            self.stdout.write("It names no step: unstructured.")
