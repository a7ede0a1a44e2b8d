"""What belongs to the site itself: tokens of the programs that use it."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models

from audits.models import Repository


class ApiToken(models.Model):
    """A program's key to the API. The secret itself is shown once and only its SHA-256 is kept.

    A token never lets a program do more than its user may do, and stops with them. With ``repository``, it is good for
    that one alone.
    """

    name = models.CharField(max_length=100)
    digest = models.CharField(max_length=64, unique=True)
    start = models.CharField(max_length=12, help_text="How the secret begins, to tell tokens apart.")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens")
    scopes = ArrayField(models.CharField(max_length=40))
    repository = models.ForeignKey(
        Repository, null=True, blank=True, on_delete=models.CASCADE, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.name} ({self.start}…)"
