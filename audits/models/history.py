"""The history of a repository: its commits, and which of them brought or ended which violation."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.urls import reverse

from audits.models.audit import Audit
from audits.models.repository import Repository
from audits.models.violation import Violation


class History(models.Model):
    """That every commit up to ``head_sha`` was audited, with which policy and engine.

    ``stale_since`` says that the branch no longer leads to it: somebody rewrote it. What is known stays until the
    history is audited anew. ``audit`` is the one that brought it to where it is.
    """

    repository = models.OneToOneField(Repository, on_delete=models.CASCADE, related_name="history")
    audit = models.ForeignKey(Audit, on_delete=models.CASCADE, related_name="+")
    head_sha = models.CharField(max_length=64)
    policy_digest = models.CharField(max_length=64)
    engine_version = models.CharField(max_length=32)
    stale_since = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "histories"

    def __str__(self) -> str:
        return f"History of {self.repository_id} up to {self.head_sha[:9]}"


class Commit(models.Model):
    """A commit of a repository's history.

    ``position`` orders commits, parents before children. ``on_main`` says that it is on the line of first parents,
    which is what the branch itself went through. ``counts`` are the violations open at it, {rule: {zone: number}};
    ``unseen`` the files that could not be looked at.
    """

    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="commits")
    sha = models.CharField(max_length=64)
    position = models.PositiveIntegerField()
    time = models.DateTimeField()
    author = models.CharField(max_length=200, blank=True)
    subject = models.CharField(max_length=300, blank=True)
    parents = ArrayField(models.CharField(max_length=64), default=list, blank=True)
    on_main = models.BooleanField(default=False)
    introduced = models.PositiveIntegerField(default=0)
    gone = models.PositiveIntegerField(default=0)
    counts = models.JSONField(default=dict, blank=True)
    unseen = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["repository", "sha"], name="one_row_per_commit"),
            models.UniqueConstraint(fields=["repository", "position"], name="one_commit_per_position"),
        ]
        # What is open for longest is found from the oldest commits on.
        indexes = [models.Index(fields=["repository", "time"], name="commits_by_time")]

    def __str__(self) -> str:
        return f"{self.sha[:9]} {self.subject}"

    def get_absolute_url(self) -> str:
        return reverse("audits:commit-detail", args=[self.repository.slug, self.sha])


class Event(models.Model):
    """That a commit introduced a violation, or that it was gone with it. A violation can have several of each."""

    class Kind(models.TextChoices):
        INTRODUCED = "introduced", "Introduced"
        GONE = "gone", "Gone"

    # The unique constraint begins with it, so it needs no index of its own.
    violation = models.ForeignKey(Violation, on_delete=models.CASCADE, related_name="events", db_index=False)
    commit = models.ForeignKey(Commit, on_delete=models.CASCADE, related_name="events")
    kind = models.CharField(max_length=10, choices=Kind.choices)

    class Meta:
        ordering = ["commit__position", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["violation", "commit", "kind"], name="one_event_per_violation_and_commit"
            )
        ]

    def __str__(self) -> str:
        return f"{self.violation_id} {self.kind} by {self.commit_id}"


class SubjectTrend(models.Model):
    """How many canonical subjects had violations, over the history of a repository (``audits.scoring`` keeps it).

    ``levels`` are [position of a commit of the branch's own line, and by zone, in their order, how many had them].
    """

    repository = models.OneToOneField(
        Repository, on_delete=models.CASCADE, primary_key=True, related_name="subject_trend"
    )
    levels = models.JSONField(default=list)

    def __str__(self) -> str:
        return f"Canonical subjects of {self.repository_id}"
