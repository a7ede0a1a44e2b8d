"""A git repository that is audited."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
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


class Role(models.TextChoices):
    """What people may do: everywhere, as a group of that name, or in one repository, as its member."""

    VIEWER = "viewer", "Viewer"
    EDITOR = "editor", "Editor"
    ADMIN = "admin", "Admin"


class RepositoryManager(models.Manager["Repository"]):
    """All that weren't removed."""

    def get_queryset(self) -> "models.QuerySet[Repository]":
        return super().get_queryset().filter(removed_at=None)

    def visible_to(self, user: Any) -> "models.QuerySet[Repository]":
        """Those that somebody may know of: the public ones, those whose member they are, all for who may see all.

        Anything of a repository that is not among them is answered as if it didn't exist.
        """
        if user.has_perm("audits.view_private_repository"):
            return self.get_queryset()
        mine = Membership.objects.filter(user=user.pk).values("repository") if user.is_active else []
        return self.filter(Q(is_private=False) | Q(pk__in=mine))


class Repository(models.Model):
    """A local path or an https URL, a branch, a policy and a schedule. A private one is visible to its members alone.

    ``current_audit`` is the audit that the open violations reflect: of all successful audits the one whose commit is
    furthest along the branch, whatever the order in which audits arrived. ``policy`` is the version that audits go by
    (None: the default policy); only ``policies`` changes it. ``next_audit_at`` is kept by the dispatcher: to change a
    repository's schedule, save ``schedule`` and nothing else. ``push_secret_number`` counts the secrets of its push
    hook (``audits.pushing``); ``is_badge_public`` shows its badges to anybody. Until ``judging_until`` one process
    judges its issues (``audits.remediation``); then it has died. One with a ``removed_at`` isn't there any more for
    anybody but ``audits.removing``, which deletes its rows; until ``removing_until`` one process does.
    """

    name = models.CharField(max_length=100)
    slug = models.SlugField(max_length=100)
    location = models.CharField(max_length=500, help_text="A local path, or an https URL.")
    branch = models.CharField(max_length=255, blank=True, help_text="Empty: the repository's default branch.")
    policy = models.ForeignKey(
        "audits.PolicyVersion", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
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
    is_private = models.BooleanField(
        default=False,
        db_default=False,
        verbose_name="Private",
        help_text="Only its members know that it exists.",
    )
    push_secret_number = models.PositiveIntegerField(default=0, db_default=0)
    is_badge_public = models.BooleanField(default=False, db_default=False)
    is_sample = models.BooleanField(default=False)
    canonical = models.JSONField(
        default=dict, blank=True, help_text="What the policy declares, see audits.scoring."
    )
    score = models.JSONField(default=dict, blank=True, help_text="See audits.scoring.")
    created_at = models.DateTimeField(auto_now_add=True)
    judging_until = models.DateTimeField(null=True, blank=True, editable=False)
    removed_at = models.DateTimeField(null=True, blank=True, editable=False)
    removing_until = models.DateTimeField(null=True, blank=True, editable=False)
    current_audit = models.ForeignKey(
        "audits.Audit", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    objects = RepositoryManager()
    with_removed: "models.Manager[Repository]" = models.Manager()

    class Meta:
        ordering = ["name"]
        verbose_name_plural = "repositories"
        permissions = [("view_private_repository", "Can view private repositories without being a member")]
        # Those of a removed one are free.
        constraints = [
            models.UniqueConstraint(
                fields=["name"], condition=Q(removed_at=None), name="one_repository_per_name"
            ),
            models.UniqueConstraint(
                fields=["slug"], condition=Q(removed_at=None), name="one_repository_per_slug"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("audits:repository-detail", args=[self.slug])


class Membership(models.Model):
    """That somebody is a member of a repository, and what they may do there besides what they may do everywhere."""

    repository = models.ForeignKey(
        Repository, on_delete=models.CASCADE, related_name="memberships", db_index=False
    )
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.VIEWER)

    class Meta:
        ordering = ["user__username"]
        constraints = [
            models.UniqueConstraint(fields=["repository", "user"], name="one_membership_per_repository")
        ]

    def __str__(self) -> str:
        return f"{self.user_id} is {self.role} of {self.repository_id}"


class SampleRemoval(models.Model):
    """That somebody removed the sample repository, so that no later start brings it back."""

    removed_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"Sample removed at {self.removed_at:%Y-%m-%d %H:%M}"
