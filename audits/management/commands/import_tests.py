"""Takes in test reports from a terminal, and says what is in them."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from audits import ingesting, tasks
from audits.models import Repository, TestRun


class Command(BaseCommand):
    help = (
        "Take in test reports (JUnit XML or pytest-json-report) as evidence for a repository's issues. "
        "Exit status 2: a report is not accepted or can't be read; the others are taken in."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("repository", help="the repository's short name, as it stands in its address")
        parser.add_argument("reports", type=Path, nargs="+")
        parser.add_argument("--commit", required=True, help="what was checked out when the tests ran")
        parser.add_argument("--branch", default="")

    def handle(self, *_: Any, **options: Any) -> None:
        repository = Repository.objects.filter(slug=options["repository"]).first()
        if repository is None:
            known = ", ".join(Repository.objects.values_list("slug", flat=True)[:20]) or "none"
            raise CommandError(
                f"there is no repository {options['repository']!r}; known are: {known}", returncode=2
            )
        failed = 0
        for path in options["reports"]:
            try:
                run, is_new = ingesting.receive(
                    repository,
                    path.read_bytes(),
                    name=path.name,
                    commit=options["commit"],
                    branch=options["branch"],
                    source=TestRun.Source.COMMAND,
                )
            except (OSError, ingesting.ReceiveError) as error:
                self.stderr.write(f"{path}: {error}")
                failed += 1
                continue
            run = ingesting.read(run.pk) or TestRun.objects.get(pk=run.pk)
            failed += run.state == TestRun.State.FAILED
            self._tell(path, run, is_new=is_new)
        tasks.evidence_arrived(repository.pk)
        if failed:
            raise CommandError(f"{failed} of {len(options['reports'])} not taken in", returncode=2)

    def _tell(self, path: Path, run: TestRun, *, is_new: bool) -> None:
        if run.state == TestRun.State.FAILED:
            self.stderr.write(f"{path}: {run.error}")
            return
        outcomes = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(run.counts.items()))
        known = "" if is_new else " (it was known already)"
        self.stdout.write(f"{path}: run {run.pk} at {run.commit_sha[:9]}: {outcomes or 'no test'}{known}")
        for entry, why, line in run.left_out:
            self.stderr.write(f"{path}: line {line}: {entry or '(no name)'}: {why}")
