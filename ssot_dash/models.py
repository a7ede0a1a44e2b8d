"""What belongs to the site itself: tokens, sessions, who did what, signs of life."""

from typing import Any

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models
from django.utils.module_loading import import_string

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

    # of the permissions that scopes ask for, those that the user has everywhere; where the token came with a request
    permitted: frozenset[str] | None = None

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.name} ({self.start}…)"


class UserSession(AbstractBaseSession):
    """A browser's session, and whose it is: so that people see theirs, and can end all of them."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.CASCADE, related_name="sessions"
    )
    began_at = models.DateTimeField(auto_now_add=True)
    address = models.CharField(max_length=45, blank=True)
    browser = models.CharField(max_length=200, blank=True)

    class Meta(AbstractBaseSession.Meta):
        indexes = [models.Index(fields=["user", "-began_at"], name="sessions_of_user")]

    @classmethod
    def get_session_store_class(cls) -> Any:
        return import_string(f"{settings.SESSION_ENGINE}.SessionStore")


class SignInFailure(models.Model):
    """A try to sign in that did not succeed (yet). ``name`` is a SHA-256: people type passwords where names belong."""

    name = models.CharField(max_length=64)
    address = models.CharField(max_length=45)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [
            models.Index(fields=["name", "at"], name="failures_of_name"),
            models.Index(fields=["address", "at"], name="failures_of_address"),
            models.Index(fields=["at"], name="failures_by_time"),
        ]

    def __str__(self) -> str:
        return f"from {self.address} at {self.at}"


class Activity(models.Model):
    """That somebody did something, or was refused. Rows are only ever added: the database refuses the rest.

    Names are kept as they were, beside the numbers, so that a row still says who and what when those are gone.
    ``verb`` is a word of ``ssot_dash.activity``, ``url`` where it happened, ``details`` what was entered.
    """

    at = models.DateTimeField(auto_now_add=True, db_index=True)
    user_id = models.BigIntegerField(null=True, blank=True)
    user = models.CharField(max_length=150, blank=True)
    token = models.CharField(max_length=100, blank=True)
    address = models.CharField(max_length=45, blank=True)
    verb = models.CharField(max_length=60)
    is_refused = models.BooleanField(default=False)
    repository_id = models.BigIntegerField(null=True, blank=True)
    repository = models.CharField(max_length=100, blank=True)
    object = models.CharField(max_length=300, blank=True)
    url = models.CharField(max_length=500, blank=True)
    details = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "activities"
        permissions = [("manage_people", "Can invite people and give them roles")]
        indexes = [
            models.Index(fields=["user", "-id"], name="activity_of_user"),
            models.Index(fields=["verb", "-id"], name="activity_by_verb"),
            models.Index(fields=["repository", "-id"], name="activity_of_repository"),
        ]

    def __str__(self) -> str:
        return f"{self.user}: {self.verb}"


class Identity(models.Model):
    """Who somebody is at the identity provider: its issuer and subject never change, names and mail addresses do."""

    issuer = models.CharField(max_length=300)
    subject = models.CharField(max_length=255)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="identities")

    class Meta:
        verbose_name_plural = "identities"
        constraints = [models.UniqueConstraint(fields=["issuer", "subject"], name="one_user_per_identity")]

    def __str__(self) -> str:
        return f"{self.subject} at {self.issuer}"


class Heartbeat(models.Model):
    """When a process of the site last gave a sign of life. Who can't reach the database is as good as dead.

    A worker also says which ``queues`` it listens to and how many ``processes`` it has for what comes from them.
    """

    class Kind(models.TextChoices):
        BEAT = "beat", "scheduler"
        WORKER = "worker", "worker"

    name = models.CharField(max_length=200, primary_key=True)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    at = models.DateTimeField()
    started_at = models.DateTimeField()
    queues = ArrayField(models.CharField(max_length=100), default=list, blank=True, db_default=[])
    processes = models.PositiveSmallIntegerField(default=0, db_default=0)

    class Meta:
        ordering = ["kind", "name"]
        permissions = [("view_operations", "Can see how the site runs: operations and metrics")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.name}"
