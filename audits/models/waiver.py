"""What doesn't count for a while: waivers of the policy, and violations that somebody accepted."""

from datetime import UTC, date, datetime
from typing import Self

from django.conf import settings
from django.db import models

from audits.models.repository import Repository


def today() -> date:
    """The day by which waivers end: UTC, as in the terminal."""
    return datetime.now(UTC).date()


class WaiverQuerySet(models.QuerySet["Waiver"]):
    def live(self) -> Self:
        """Those that were not ended; also expired ones, which somebody has to renew or to end."""
        return self.filter(ended_at=None)

    def wanting(self) -> Self:
        """Those to act on: expired or grown, and about something that is open."""
        grown = models.Q(covered__gt=models.F("granted"))
        return self.live().filter(models.Q(expires_on__lt=today()) | grown, covered__gt=0)


class Waiver(models.Model):
    """That some violations don't count until a day, with the reason and who answers for it.

    It is about one violation (``fingerprint``), a ``rule`` in paths that match a glob (``path``), or all violations of
    a rule about a ``subject``. ``granted`` is how many open violations it was granted for, ``covered`` how many it
    covers now; both are kept by ``audits.waiving``, as is ``Violation.waived_until``. Those of the policy have its
    ``line`` and end when it no longer has them.
    """

    class Kind(models.TextChoices):
        POLICY = "policy", "In the policy"
        FALSE_POSITIVE = "false-positive", "False positive"
        RISK = "risk", "Accepted risk"

    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="waivers")
    kind = models.CharField(max_length=20, choices=Kind.choices)
    fingerprint = models.CharField(max_length=32, blank=True)
    rule = models.CharField(max_length=40, blank=True)
    path = models.TextField(blank=True)
    subject = models.TextField(blank=True)
    line = models.PositiveIntegerField(null=True, blank=True)
    reason = models.TextField()
    owner = models.CharField(max_length=500)
    expires_on = models.DateField(help_text="The last day on which it holds, in UTC.")
    granted = models.PositiveIntegerField(null=True, blank=True)
    covered = models.PositiveIntegerField(default=0)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    ended_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    ended_at = models.DateTimeField(null=True, blank=True)
    lapsed_at = models.DateTimeField(
        null=True, blank=True, help_text="When it was noticed that its day has passed."
    )

    objects = WaiverQuerySet.as_manager()

    class Meta:
        ordering = ["expires_on", "id"]
        indexes = [
            models.Index(
                fields=["repository"], condition=models.Q(ended_at=None), name="live_waivers_of_repository"
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} until {self.expires_on}"

    @property
    def is_expired(self) -> bool:
        return self.expires_on < today()

    @property
    def has_grown(self) -> bool:
        return self.growth > 0

    @property
    def growth(self) -> int:
        """How many more open violations it covers than it was granted for."""
        return 0 if self.granted is None else max(0, self.covered - self.granted)

    @property
    def is_policy(self) -> bool:
        return self.kind == self.Kind.POLICY
