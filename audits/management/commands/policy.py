"""Checks a policy from a terminal."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from audits.engine.policy import Policy, PolicyError, parse_policy

_TABLES = {
    "unique": "canonical definition",
    "family": "family of classes",
    "forbidden": "forbidden symbol",
    "deprecated": "deprecated symbol",
    "base": "required base",
    "literal": "literal with an owner",
    "registry": "enum of ID types",
}


class Command(BaseCommand):
    help = "`policy check FILE`: say whether a policy can be used, and what it declares. Exit status 2 when it can't."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        kinds = parser.add_subparsers(dest="kind", required=True)
        check = kinds.add_parser("check", help="say whether a policy can be used, and what it declares")
        check.add_argument("file", type=Path)

    def handle(self, *_: Any, **options: Any) -> None:
        path: Path = options["file"]
        try:
            policy = parse_policy(path.read_text("utf-8"))
        except PolicyError as error:
            raise CommandError(f"{path}: {error}", returncode=2) from error
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{path} can't be read: {error}", returncode=2) from error
        self.stdout.write(f"{path}: a policy of version {policy.version}, digest {policy.digest}")
        for table, words in _TABLES.items():
            entries = getattr(policy, table)
            if entries:
                self.stdout.write(f"  {len(entries)} x {words}: {', '.join(map(_subject, entries))}")
        if not any(getattr(policy, table) for table in _TABLES):
            self.stdout.write("  It declares nothing canonical: only the rules that need no policy speak.")
        if policy.source_roots != Policy().source_roots:
            self.stdout.write(f"  source roots: {', '.join(policy.source_roots)}")


def _subject(entry: Any) -> str:
    """What an entry of a table is about."""
    names = ("symbol", "name", "old", "base", "owner", "enum")
    return next(str(getattr(entry, name)) for name in names if hasattr(entry, name))
