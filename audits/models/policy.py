"""The policies of repositories: every state that one had, and questions about drafts of one."""

from django.conf import settings
from django.db import models
from django.urls import reverse

from audits.models.audit import IN_FLIGHT, State
from audits.models.repository import Repository


class PolicySource(models.TextChoices):
    SITE = "site", "Kept here"
    TREE = "tree", "From .ssot.toml of each audited commit"


class PolicyVersion(models.Model):
    """What a repository's policy was from a moment on. Rows never change: to restore an old text adds a version.

    A version with the source ``TREE`` has no text: each audited commit brings its own. ``digest`` is that of the
    policy that the text states, empty for ``TREE``.
    """

    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="policy_versions")
    number = models.PositiveIntegerField()
    source = models.CharField(max_length=10, choices=PolicySource.choices, default=PolicySource.SITE)
    text = models.TextField(blank=True)
    digest = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    reason = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["repository", "number"], name="one_policy_per_number"),
        ]

    def __str__(self) -> str:
        return f"Policy {self.number} of {self.repository_id}"

    def get_absolute_url(self) -> str:
        return reverse("audits:policy-version", args=[self.repository.slug, self.number])

    @property
    def is_in_tree(self) -> bool:
        return self.source == PolicySource.TREE


class PolicyInquiry(models.Model):
    """A question about a draft that takes a worker seconds to answer, and the answer: what it would change at the last
    audited commit, or which policy to begin with there.

    States move by conditional UPDATE, like those of audits; ``beat_at`` is the last sign of life. It isn't tried again:
    whoever asked can ask anew. Old ones are deleted.
    """

    class Kind(models.TextChoices):
        PREVIEW = "preview", "Preview"
        SUGGESTION = "suggestion", "Suggestion"

    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="policy_inquiries")
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.PREVIEW)
    source = models.CharField(max_length=10, choices=PolicySource.choices, default=PolicySource.SITE)
    text = models.TextField(blank=True)
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    asked_at = models.DateTimeField(auto_now_add=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    beat_at = models.DateTimeField(null=True, blank=True)
    phase = models.CharField(max_length=40, blank=True)
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    answer = models.JSONField(default=dict, blank=True)
    error = models.TextField(blank=True)

    class Meta:
        ordering = ["-pk"]
        verbose_name_plural = "policy inquiries"

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.pk} for {self.repository_id}"

    @property
    def in_flight(self) -> bool:
        return self.state in IN_FLIGHT
