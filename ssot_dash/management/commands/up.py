"""Start the whole site on this machine."""

import sys
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from ssot_dash.embedded.errors import CannotStart
from ssot_dash.embedded.up import Options, up


class Command(BaseCommand):
    help = (
        "Start the whole site: its PostgreSQL and Valkey (unless DATABASE_URL and BROKER_URL name yours), migrations, "
        "web server, workers and scheduler. Ctrl-C stops them all."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=port, default=8000, help="where the site serves (default: 8000)")
        parser.add_argument(
            "--host", default="127.0.0.1", help="the address it listens on (default: 127.0.0.1)"
        )
        parser.add_argument("--data", metavar="DIR", help="everything that the site writes (default: .data)")
        parser.add_argument("--no-sample", action="store_true", help="do without the sample repository")

    def handle(self, *args: Any, **options: Any) -> None:
        # manage.py has put --data into the environment before the settings were read.
        try:
            up(
                Options(
                    host=options["host"],
                    port=options["port"],
                    data=settings.DATA_DIR,
                    sample=not options["no_sample"],
                )
            )
        except CannotStart as error:
            sys.exit(str(error))
        except PermissionError as error:
            sys.exit(
                f"{error.filename} belongs to another user ({error.strerror}). "
                "Start as the user who started before, or choose another directory: up --data DIR"
            )


def port(text: str) -> int:
    """A port number of the command line."""
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise ArgumentTypeError(f"{text!r} is not a port: choose a number from 1 to 65535")
    return int(text)
