"""Remediation issues: what they cover, what people say about them, and what the evidence says."""

import re

from django.conf import settings
from django.core.validators import MaxValueValidator
from django.db import models
from django.urls import reverse
from simple_history.models import HistoricalRecords

from audits.models.repository import Repository
from audits.verdicts import State, Verdict

VERDICTS = [(str(verdict), verdict.capitalize()) for verdict in Verdict]
STATES = [
    (str(State.UNKNOWN), "Not known"),
    (str(State.OPEN), "Open"),
    (str(State.FIXED), "Fixed"),
    (str(State.BACK), "Came back"),
    (str(State.ACCEPTED), "Accepted"),
    (str(State.VERIFIED), "Verified"),
]


class Priority(models.IntegerChoices):
    P0 = 0, "P0"
    P1 = 1, "P1"
    P2 = 2, "P2"
    P3 = 3, "P3"


class Issue(models.Model):
    """A remediation effort: the subjects that it covers, its seven steps, and what was said and found about them.

    From ``state`` on, everything is computed from rows (``audits.remediation.judge``) and can be thrown away:
    ``stands_at`` is the first step that isn't verified (7: none), ``open_places`` the violations left,
    ``summary`` what a reader should know first, ``evidence_at`` when the newest evidence was made.
    """

    class Kind(models.TextChoices):
        REGRESSION = "regression", "Regression"
        INCOMPLETE_MIGRATION = "incomplete-migration", "Incomplete migration"
        RECENT_CHANGE = "recent-change", "Recent change"
        CUSTOM = "custom", "Custom"

    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="issues")
    title = models.CharField(max_length=200)
    kind = models.CharField(max_length=20, choices=Kind.choices, default=Kind.CUSTOM)
    priority = models.PositiveSmallIntegerField(
        choices=Priority.choices, default=Priority.P2, validators=[MaxValueValidator(3)]
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    due_on = models.DateField(null=True, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    state = models.CharField(max_length=10, choices=STATES, default=str(State.UNKNOWN))
    stands_at = models.PositiveSmallIntegerField(default=0)
    verdicts = models.JSONField(default=list, blank=True, help_text="The verdict of each step.")
    open_places = models.PositiveIntegerField(default=0)
    contradictions = models.PositiveIntegerField(default=0)
    summary = models.JSONField(default=list, blank=True, help_text="Sentences.")
    evidence_at = models.DateTimeField(null=True, blank=True)
    judged_at = models.DateTimeField(null=True, blank=True)
    stale_since = models.DateTimeField(
        null=True, blank=True, db_index=True, help_text="Since when newer evidence waits to be looked at."
    )

    changes = HistoricalRecords(
        excluded_fields=[
            "state",
            "stands_at",
            "verdicts",
            "open_places",
            "contradictions",
            "summary",
            "evidence_at",
            "judged_at",
            "stale_since",
        ]
    )

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["repository", "stands_at"], name="issues_by_step")]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return reverse("audits:issue", args=[self.pk])


class IssueSubject(models.Model):
    """What an issue covers: all violations of a rule about a subject."""

    issue = models.ForeignKey(Issue, on_delete=models.CASCADE, related_name="subjects", db_index=False)
    rule = models.CharField(max_length=40)
    subject = models.TextField()

    class Meta:
        ordering = ["rule", "subject"]
        constraints = [
            models.UniqueConstraint(fields=["issue", "rule", "subject"], name="one_row_per_issue_and_subject")
        ]
        indexes = [models.Index(fields=["rule", "subject"], name="issues_by_subject")]

    def __str__(self) -> str:
        return f"{self.rule}: {self.subject}"


class IssueReference(models.Model):
    """An issue or pull request elsewhere. ``number`` is how commits and trackers name it, where it has one."""

    class Kind(models.TextChoices):
        ISSUE = "issue", "Issue"
        PULL = "pull", "Pull request"

    issue = models.ForeignKey(Issue, on_delete=models.CASCADE, related_name="references")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    number = models.PositiveIntegerField(null=True, blank=True)
    url = models.URLField(max_length=500, blank=True)

    class Meta:
        ordering = ["kind", "number", "id"]

    def __str__(self) -> str:
        return f"#{self.number}" if self.number is not None else self.url


class IssueNote(models.Model):
    """Something that a person said: a comment, a piece of evidence, or the claim that a step is completed."""

    class Kind(models.TextChoices):
        COMMENT = "comment", "Comment"
        EVIDENCE = "evidence", "Evidence"
        CLAIM = "claim", "Step completed"

    issue = models.ForeignKey(Issue, on_delete=models.CASCADE, related_name="notes")
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.COMMENT)
    step = models.PositiveSmallIntegerField(null=True, blank=True)
    text = models.TextField(blank=True)
    url = models.URLField(max_length=500, blank=True)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["at", "id"]

    def __str__(self) -> str:
        return f"{self.kind} on {self.issue_id}"


class Judgement(models.Model):
    """One claim beside its evidence: what was said, what is so, and the verdict. Computed; see ``audits.verdicts``.

    ``at`` is when the claim was made, or when the evidence was when nobody claimed anything. ``links`` lead to the
    rows: [words, kind, key], where the kind is commit, violations, run, comparison or version.
    """

    issue = models.ForeignKey(Issue, on_delete=models.CASCADE, related_name="judgements", db_index=False)
    position = models.PositiveSmallIntegerField()
    step = models.PositiveSmallIntegerField(null=True, blank=True)
    topic = models.CharField(max_length=20)
    verdict = models.CharField(max_length=12, choices=VERDICTS)
    claim = models.TextField(blank=True)
    evidence = models.TextField()
    at = models.DateTimeField(null=True, blank=True)
    version = models.ForeignKey(
        "audits.TrackerVersion", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    line = models.PositiveIntegerField(null=True, blank=True)
    links = models.JSONField(default=list, blank=True)

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["issue", "position"], name="one_judgement_per_position")
        ]

    def __str__(self) -> str:
        return f"{self.topic}: {self.verdict}"

    @property
    def runs(self) -> set[int]:
        """The test runs that its links lead to, as runs or in comparisons."""
        keys = (key for _, kind, key in self.links if kind in {"run", "comparison"})
        return {int(number) for key in keys for number in re.findall(r"\d+", key)}
