"""A finding's identity through time."""

from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.urls import reverse

from audits.models.audit import Audit
from audits.models.repository import Repository
from audits.models.waiver import today


def counting(prefix: str = "") -> models.Q:
    """Violations that stand in the code and no waiver covers today; ``prefix`` leads to them (``violations__``)."""
    is_waived = models.Q(**{f"{prefix}waived_until__gte": today()})
    return models.Q(**{f"{prefix}is_open": True}) & ~is_waived


def waived(prefix: str = "") -> models.Q:
    """Violations that stand in the code and don't count today."""
    return models.Q(**{f"{prefix}is_open": True, f"{prefix}waived_until__gte": today()})


class ViolationQuerySet(models.QuerySet["Violation"]):
    def counting(self) -> Self:
        return self.filter(counting())

    def waived(self) -> Self:
        return self.filter(waived())


class Violation(models.Model):
    """One (rule, subject, path, scope, ordinal) of a repository, open or gone at the repository's current audit.

    It is open when the current audit saw it, and also when that audit could not look at its file (see its problems)
    and nothing says that it is gone: then ``latest_audit`` is an earlier one. Line, column, message and annotations
    are those of its latest sighting along the branch. A violation that was seen only outside the branch is not open
    and has no lifespans.

    ``waived_until`` is the last day of the waiver that covers it for longest (``audits.waiving`` keeps it). What is
    open and not waived today is what counts.
    """

    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="violations")
    fingerprint = models.CharField(max_length=32)
    rule = models.CharField(max_length=40)
    subject = models.TextField()
    member = models.TextField(blank=True)
    path = models.TextField()
    scope = models.TextField(blank=True)
    ordinal = models.PositiveIntegerField(default=0)
    zone = models.CharField(max_length=10)
    severity = models.CharField(max_length=2)
    line = models.PositiveIntegerField()
    column = models.PositiveIntegerField(default=0)
    message = models.TextField()
    hint = models.TextField(blank=True)
    annotations = ArrayField(models.CharField(max_length=20), default=list, blank=True)
    definition_path = models.TextField(blank=True)
    definition_line = models.PositiveIntegerField(null=True, blank=True)
    is_open = models.BooleanField(default=True)
    latest_audit = models.ForeignKey(Audit, on_delete=models.CASCADE, related_name="+")
    waived_until = models.DateField(null=True, blank=True)

    objects = ViolationQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["repository", "fingerprint"], name="one_violation_per_fingerprint"
            )
        ]
        indexes = [
            models.Index(fields=["repository", "is_open", "rule", "subject"], name="violations_by_subject"),
            # Counts of what is open are read from it alone, without the table.
            models.Index(
                fields=["repository", "rule", "zone", "severity", "waived_until"],
                condition=models.Q(is_open=True),
                name="open_violations_counted",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.rule}: {self.subject} in {self.path}"

    def get_absolute_url(self) -> str:
        return reverse("audits:violation-detail", args=[self.pk])

    @property
    def is_waived(self) -> bool:
        return self.is_open and self.waived_until is not None and self.waived_until >= today()

    @property
    def counts(self) -> bool:
        """Whether it is open and no waiver covers it today."""
        return self.is_open and not self.is_waived


class Sighting(models.Model):
    """That an audit saw a violation, and on which line. Lifespans are computed from sightings."""

    audit = models.ForeignKey(Audit, on_delete=models.CASCADE, related_name="sightings")
    # The unique constraint begins with it, so it needs no index of its own.
    violation = models.ForeignKey(
        Violation, on_delete=models.CASCADE, related_name="sightings", db_index=False
    )
    line = models.PositiveIntegerField()
    column = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["violation", "audit"], name="one_sighting_per_audit")]

    def __str__(self) -> str:
        return f"{self.violation_id} at line {self.line}"


class Lifespan(models.Model):
    """From the audited commit that has the violation and whose audited parents lack it, to the one where it is gone.

    ``gone_in`` is empty while it is open. Computed from sightings and ancestry (``audits.lifespans``), so it doesn't
    depend on the order in which audits arrived. A violation that left and came back has several.
    """

    violation = models.ForeignKey(Violation, on_delete=models.CASCADE, related_name="lifespans")
    introduced_in = models.ForeignKey(Audit, on_delete=models.CASCADE, related_name="+")
    gone_in = models.ForeignKey(Audit, null=True, blank=True, on_delete=models.CASCADE, related_name="+")

    class Meta:
        ordering = ["introduced_in__commit_time", "id"]

    def __str__(self) -> str:
        return f"{self.violation_id}: {self.introduced_in_id} to {self.gone_in_id or 'now'}"
