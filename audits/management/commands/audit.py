"""Audits one commit from a terminal. Needs no database and no server."""

import sys
from argparse import ArgumentParser, Namespace
from typing import Any

from django.core.management.base import BaseCommand

from audits.engine import command


class Command(BaseCommand):
    help = command.HELP
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        command.add_arguments(parser)

    def handle(self, **options: Any) -> None:
        sys.exit(command.run(Namespace(**options)))
