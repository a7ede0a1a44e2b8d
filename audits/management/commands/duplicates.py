"""Lists possible duplicates of a commit from a terminal. Needs no database and no server."""

import sys
from argparse import ArgumentParser, Namespace
from typing import Any

from django.core.management.base import BaseCommand

from audits.engine import duplicates_command


class Command(BaseCommand):
    help = duplicates_command.HELP
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        duplicates_command.add_arguments(parser)

    def handle(self, **options: Any) -> None:
        sys.exit(duplicates_command.run(Namespace(**options)))
