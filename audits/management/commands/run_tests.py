"""Runs a repository's tests at a commit, from a terminal."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from audits import executing, tasks
from audits.fetching import LocationError
from audits.models import Repository, TestExecution


class Command(BaseCommand):
    help = (
        "Run the tests of a repository with the command that its page has, and take in their report. "
        "Exit status: 0 every test passed, 1 some did not, 2 there is no report."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("repository", help="the repository's short name, as it stands in its address")
        parser.add_argument("--rev", default="", help="a commit, tag or branch (default: the newest commit)")

    def handle(self, *_: Any, **options: Any) -> None:
        repository = Repository.objects.filter(slug=options["repository"]).first()
        if repository is None:
            raise CommandError(f"there is no repository {options['repository']!r}", returncode=2)
        try:
            execution, is_new = executing.request(repository, options["rev"])
        except (executing.ExecutionError, LocationError) as error:
            raise CommandError(str(error), returncode=2) from error
        if not is_new:
            raise CommandError("its tests are being run already", returncode=2)
        run = executing.run(execution.pk)
        execution = TestExecution.objects.get(pk=execution.pk)
        self.stdout.write(execution.output)
        if run is None:
            raise CommandError(execution.error, returncode=2)
        tasks.evidence_arrived(repository.pk)
        if run.error:
            raise CommandError(run.error, returncode=2)
        self.stdout.write(f"run {run.pk} at {run.commit_sha[:9]}: {run.tests:,} tests, {run.bad:,} bad")
        if run.bad:
            raise SystemExit(1)
