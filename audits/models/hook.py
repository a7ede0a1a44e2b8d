"""What others tell the site of a repository: pushes."""

from django.db import models

from audits.models.audit import Audit
from audits.models.repository import Repository


class Push(models.Model):
    """That a git server told of a push. ``digest`` is the SHA-256 of its message: the same one again is a replay.

    ``audit`` is the one that looked at it, or at a later push of the same ref; empty while none does. ``is_ignored``
    says that there was nothing to audit: a tag, a deleted branch.
    """

    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="pushes")
    provider = models.CharField(max_length=10)
    ref = models.CharField(max_length=300)
    commit_sha = models.CharField(max_length=64, blank=True)
    digest = models.CharField(max_length=64)
    received_at = models.DateTimeField(auto_now_add=True)
    is_ignored = models.BooleanField(default=False)
    audit = models.ForeignKey(Audit, null=True, blank=True, on_delete=models.SET_NULL, related_name="pushes")

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "pushes"
        constraints = [
            models.UniqueConstraint(fields=["repository", "digest"], name="one_push_per_message"),
        ]
        indexes = [
            models.Index(
                fields=["repository", "id"],
                condition=models.Q(audit=None, is_ignored=False),
                name="pushes_to_be_audited",
            )
        ]

    def __str__(self) -> str:
        return f"{self.ref} to {self.commit_sha[:9]}"
