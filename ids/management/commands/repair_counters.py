"""After a restore: counters that are behind the issued IDs are moved above them, or all of them further on."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ids import minting

AHEAD = 1_000_000


class Command(BaseCommand):
    help = (
        "Move counters that are behind the highest issued ID above it, so that IDs are issued again. "
        "Stop the site's processes first, or start them anew afterwards: they hold blocks from before."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--ahead",
            type=int,
            default=AHEAD,
            help=f"how far above, for IDs that were issued after the backup was made ({AHEAD:,}); a gap costs nothing",
        )
        parser.add_argument(
            "--all",
            action="store_true",
            dest="everything",
            help="move every counter on, behind or not: right after a restore from an older backup",
        )
        parser.add_argument("--check", action="store_true", help="only say what is behind; fails when one is")

    def handle(self, **options: Any) -> None:
        if not 0 <= options["ahead"] <= 2**40:
            raise CommandError(f"--ahead is from 0 to {2**40}")
        if options["check"]:
            problems = minting.health().problems
            if problems:
                raise CommandError("\n".join(problems))
            self.stdout.write("No counter is behind its issued IDs.")
            return
        done = minting.repair(options["ahead"], everything=options["everything"])
        for row in done:
            self.stdout.write(f"{row.type}: next counter {row.before} -> {row.after}")
        if not done:
            self.stdout.write("No counter is behind its issued IDs; nothing was changed.")
