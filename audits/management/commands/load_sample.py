"""Loads the sample repository."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError

from audits import sample


class Command(BaseCommand):
    help = "Load the sample repository and audit it. It is labelled as a sample; the overview removes it with a click."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--unless-removed", action="store_true", help="do nothing when it was removed before"
        )

    def handle(self, **options: Any) -> None:
        try:
            self._handle(**options)
        except OperationalError as error:
            raise CommandError(
                "No database answers. Start the site first (python3 manage.py up); if it keeps its data in another "
                "directory than .data, set SSOT_DATA_DIR to that."
            ) from error

    def _handle(self, **options: Any) -> None:
        repository = sample.load(unless_removed=options["unless_removed"])
        if repository is None:
            self.stdout.write(
                "The sample was removed before; load_sample without --unless-removed brings it back."
            )
        else:
            self.stdout.write(f"{repository.name} is loaded, with {repository.audits.count()} audits.")
