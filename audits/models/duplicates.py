"""Possible duplicates of a repository, as they were found at one commit."""

from django.db import models

from audits.models.audit import Audit
from audits.models.repository import Repository


class DuplicateReport(models.Model):
    """What the last search for possible duplicates found, and at which commit.

    ``groups`` are the first ones as ``audits.discoveries`` writes them, ``groups_found`` counts all of them;
    ``problems`` are the first [path, kind, message] of what could not be looked at, ``problems_found`` counts them.
    """

    repository = models.OneToOneField(Repository, on_delete=models.CASCADE, related_name="duplicate_report")
    audit = models.ForeignKey(Audit, on_delete=models.CASCADE, related_name="+")
    files = models.PositiveIntegerField()
    definitions = models.PositiveIntegerField()
    groups_found = models.PositiveIntegerField()
    groups = models.JSONField(default=list)
    problems_found = models.PositiveIntegerField()
    problems = models.JSONField(default=list)

    def __str__(self) -> str:
        return f"Possible duplicates of {self.repository_id}"
