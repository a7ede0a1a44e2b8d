"""An issue from a terminal: its verdicts, claim beside evidence."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.core.serializers.json import DjangoJSONEncoder

from audits import documents, remediation, timeline
from audits.models import Issue
from audits.trackers import STEPS


class Command(BaseCommand):
    help = (
        "Show a remediation issue: what was said about each step, and what is so. "
        "Exit status 1: something that was said is contradicted by evidence."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("issue", type=int, help="the number in the issue's address")
        parser.add_argument("--format", choices=["text", "json", "report", "tracker"], default="text")
        parser.add_argument(
            "--base", default="", help="the site's address, for links: https://ssot.example.org"
        )

    def handle(self, *_: Any, **options: Any) -> None:
        found = Issue.objects.select_related("repository", "owner").filter(pk=options["issue"]).first()
        if found is None:
            raise CommandError(f"there is no issue {options['issue']}", returncode=2)
        if found.stale_since is not None:
            remediation.keep_up(found.repository_id)
            found.refresh_from_db()
        judgements = list(found.judgements.all())
        happenings = timeline.timeline(found, judgements)
        base = options["base"].rstrip("/")
        if options["format"] == "json":
            value = documents.as_json(found, judgements, happenings, base)
            self.stdout.write(json.dumps(value, indent=1, cls=DjangoJSONEncoder))
        elif options["format"] == "report":
            self.stdout.write(documents.as_report(found, judgements, happenings, base))
        elif options["format"] == "tracker":
            self.stdout.write(documents.as_tracker(found))
        else:
            self._show(found)
        if found.contradictions:
            raise SystemExit(1)

    def _show(self, issue: Issue) -> None:
        self.stdout.write(f"{issue.title} ({issue.get_state_display()}, P{issue.priority})")
        for sentence in issue.summary:
            self.stdout.write(f"  {documents.plain(sentence)}")
        judgements = list(issue.judgements.all())
        for number, (name, verdict) in enumerate(zip(STEPS, issue.verdicts, strict=False)):
            self.stdout.write(f"\n{number} {name}: {verdict}")
            self._pairs([j for j in judgements if j.step == number])
        self.stdout.write("\nwhat the tracker says of itself")
        self._pairs([j for j in judgements if j.step is None])

    def _pairs(self, judgements: list[Any]) -> None:
        for judgement in judgements:
            said = f"said: {judgement.claim}" if judgement.claim else "nobody said so"
            self.stdout.write(
                f"  [{judgement.verdict}] {said}\n      is: {documents.plain(judgement.evidence)}"
            )
