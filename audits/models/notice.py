"""Notices: what others are told of a repository, where to, and how each delivery went."""

import uuid

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models

from audits.models.repository import Repository


class NoticeEvent(models.TextChoices):
    """What is worth telling."""

    VIOLATIONS = "violations", "New P0 or P1 violations"
    CONTRADICTION = "contradiction", "A claim is contradicted"
    VERIFIED = "verified", "An issue is verified"
    BACK = "back", "An issue came back"
    FAILING = "failing", "Audits fail repeatedly"


class Channel(models.Model):
    """Somewhere that notices go. One without a repository is told of all that aren't private.

    ``target`` is a URL or an e-mail address. ``last_notice`` is the newest notice that was looked at for it; those
    that come within ``minutes`` go out together.
    """

    class Kind(models.TextChoices):
        SLACK = "slack", "Slack-compatible webhook"
        WEBHOOK = "webhook", "Signed webhook"
        MAIL = "mail", "E-mail"

    repository = models.ForeignKey(
        Repository, null=True, blank=True, on_delete=models.CASCADE, related_name="channels"
    )
    kind = models.CharField(max_length=10, choices=Kind.choices)
    target = models.CharField(max_length=500)
    events = ArrayField(models.CharField(max_length=20, choices=NoticeEvent.choices))
    minutes = models.PositiveSmallIntegerField(default=5)
    is_on = models.BooleanField(default=True)
    last_notice = models.BigIntegerField(default=0)
    next_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.masked}"

    @property
    def masked(self) -> str:
        """The target without what makes it a secret: the path of a webhook."""
        scheme, separator, rest = self.target.partition("://")
        if not separator:
            return self.target
        host, slash, _ = rest.partition("/")
        return f"{scheme}://{host}{slash}…"


class Notice(models.Model):
    """Something that happened. ``key`` names the occasion, so that nothing is told twice; ``path`` leads to a page."""

    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="notices")
    event = models.CharField(max_length=20, choices=NoticeEvent.choices)
    key = models.CharField(max_length=100, unique=True)
    title = models.CharField(max_length=300)
    text = models.TextField(blank=True)
    path = models.CharField(max_length=300)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return self.title


class Delivery(models.Model):
    """Notices on their way to a channel. ``next_try_at`` is when it is tried (again), empty when it isn't any more."""

    class State(models.TextChoices):
        PENDING = "pending", "On its way"
        SENT = "sent", "Delivered"
        DEAD = "dead", "Given up"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="deliveries")
    notices = ArrayField(models.BigIntegerField())
    state = models.CharField(max_length=10, choices=State.choices, default=State.PENDING)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_try_at = models.DateTimeField(null=True, blank=True)
    last_error = models.TextField(blank=True)
    made_at = models.DateTimeField(auto_now_add=True)
    sent_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-made_at"]
        verbose_name_plural = "deliveries"
        indexes = [
            models.Index(
                fields=["next_try_at"], condition=models.Q(state="pending"), name="deliveries_on_their_way"
            )
        ]

    def __str__(self) -> str:
        return f"{self.id} to {self.channel_id}: {self.state}"
