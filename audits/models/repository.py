"""A git repository that is audited."""

from datetime import timedelta

from django.db import models
from django.urls import reverse


class Schedule(models.TextChoices):
    OFF = "off", "Off"
    HOURLY = "hourly", "Hourly"
    DAILY = "daily", "Daily"
    WEEKLY = "weekly", "Weekly"

    @property
    def period(self) -> timedelta | None:
        """The time between two audits; None when there is none planned."""
        return PERIODS.get(self)


PERIODS = {
    Schedule.HOURLY: timedelta(hours=1),
    Schedule.DAILY: timedelta(days=1),
    Schedule.WEEKLY: timedelta(weeks=1),
}


class Repository(models.Model):
    """A local path or an https URL, a branch, a policy and a schedule.

    ``current_audit`` is the audit that the open violations reflect: of all successful audits the one whose commit is
    furthest along the branch, whatever the order in which audits arrived. ``next_audit_at`` is kept by the
    dispatcher: to change a repository's schedule, save ``schedule`` and nothing else.
    """

    name = models.CharField(max_length=100, unique=True)
    slug = models.SlugField(max_length=100, unique=True)
    location = models.CharField(max_length=500, help_text="A local path, or an https URL.")
    branch = models.CharField(max_length=255, blank=True, help_text="Empty: the repository's default branch.")
    policy = models.TextField(blank=True, help_text="TOML. Empty: the default policy.")
    schedule = models.CharField(max_length=10, choices=Schedule.choices, default=Schedule.OFF)
    next_audit_at = models.DateTimeField(null=True, blank=True, db_index=True)
    tracker_pattern = models.CharField(
        max_length=200,
        blank=True,
        default="SSOT-*.md",
        help_text="Which files of the repository are trackers, in any folder. Empty: none.",
    )
    test_run_folder = models.CharField(
        max_length=500,
        blank=True,
        help_text="A folder on the server with test reports, each in a subfolder named by its commit. Empty: none.",
    )
    is_sample = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    current_audit = models.ForeignKey(
        "audits.Audit", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ["name"]
        verbose_name_plural = "repositories"

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("audits:repository-detail", args=[self.slug])


class SampleRemoval(models.Model):
    """That somebody removed the sample repository, so that no later start brings it back."""

    removed_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"Sample removed at {self.removed_at:%Y-%m-%d %H:%M}"
