"""``manage.py export_idtypes``: writes the registry as code, or checks a file that was written before."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ids import exports
from ids.models import IDType


class Command(BaseCommand):
    help = "Writes the registry of ID types as code, to the terminal or to a file."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--format", choices=exports.TARGETS, default="python", dest="target")
        where = parser.add_mutually_exclusive_group()
        where.add_argument("--output", type=Path, metavar="FILE", help="write to FILE")
        where.add_argument(
            "--check", type=Path, metavar="FILE", help="write nothing; exit 1 when FILE isn't up to date"
        )

    def handle(self, *, target: str, output: Path | None, check: Path | None, **options: Any) -> None:
        text = exports.export(target, IDType.objects.exported()).text
        try:
            if check is not None:
                if check.read_bytes() != text.encode():
                    raise CommandError(f"{check} differs from the registry: export it again.", returncode=1)
                self.stdout.write(f"{check} is up to date.")
            elif output is not None:
                output.write_bytes(text.encode())
            else:
                self.stdout.write(text, ending="")
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}", returncode=2) from error
