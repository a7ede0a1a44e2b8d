"""Deletes the records of IDs whose retention is over, or says what it would delete."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from ids import purging


class Command(BaseCommand):
    help = "Delete the records of IDs whose type's retention is over, in short transactions. Run it daily."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--preview", action="store_true", help="only say what would be deleted")

    def handle(self, **options: Any) -> None:
        now = timezone.now()
        done = purging.preview(now) if options["preview"] else purging.purge(now)
        for row in done:
            number = f"more than {row.records:,}" if row.is_more else f"{row.records:,}"
            self.stdout.write(f"{row.type}: {number} records from before {row.before:%Y-%m-%d %H:%M} UTC")
        if not done:
            self.stdout.write("No type has a retention; nothing is ever deleted.")
