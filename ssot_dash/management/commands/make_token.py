"""Makes a token for a program, and prints its secret once."""

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError

from audits.models import Repository
from ssot_dash import tokens


class Command(BaseCommand):
    help = "Make an API token and print its secret, which nobody can see again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="what uses it")
        parser.add_argument("--user", required=True, help="whose rights it has")
        parser.add_argument(
            "--scope", action="append", required=True, choices=list(tokens.SCOPES), help="repeat for several"
        )
        parser.add_argument("--repository", help="good for this one alone (its short name)")
        parser.add_argument("--days", type=int, help="until it ends (default: never)")

    def handle(self, *_: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["user"], is_active=True).first()
        if user is None:
            raise CommandError(f"there is no active user {options['user']!r}", returncode=2)
        repository = None
        if options["repository"]:
            repository = Repository.objects.filter(slug=options["repository"]).first()
            if repository is None:
                raise CommandError(f"there is no repository {options['repository']!r}", returncode=2)
        if options["days"] is not None and not 1 <= options["days"] <= 3_650:
            raise CommandError("--days takes a number from 1 to 3650", returncode=2)
        made = tokens.create(user, options["name"][:100], options["scope"], repository, options["days"])
        self.stdout.write(made[1])
