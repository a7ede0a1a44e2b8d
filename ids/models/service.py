"""The rows that the service keeps for its callers: leased blocks, other names of IDs, answers already given."""

from __future__ import annotations

import uuid
from typing import Final

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from ids import formats
from ids.models.registry import OWNER_MAX_LENGTH, IDType

KEY_MAX_LENGTH: Final = 200
LARGEST_LEASE: Final = 100_000


class IDLease(models.Model):
    """A block of counters that one client may hand out by itself, and how much of it was reported as used.

    ``seed`` gives the random parts of the whole block (see ``ids.client.random_parts``), so that the registry knows an
    ID of it as genuine before it was reported. A lease never ends: what a client never used is a gap.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    type = models.ForeignKey(IDType, on_delete=models.PROTECT, db_index=False, related_name="leases")
    start = models.BigIntegerField()
    size = models.IntegerField()
    seed = models.BinaryField(max_length=16)
    issuer = models.CharField(max_length=OWNER_MAX_LENGTH, blank=True)
    used = models.IntegerField(default=0)
    leased_at = models.DateTimeField(db_default=Now())
    reported_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "ID lease"
        constraints = [
            models.UniqueConstraint(name="idlease_start_once", fields=["type", "start"]),
            models.CheckConstraint(
                name="idlease_used_in_block",
                condition=Q(used__gte=0, used__lte=models.F("size"), start__gte=1),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type_id}: {self.start} to {self.start + self.size - 1}"


class UUIDAlias(models.Model):
    """A UUID and the ID that means the same. Kept as a row, so that no bit of either is lost."""

    uuid = models.UUIDField(primary_key=True)
    identifier = models.CharField(max_length=formats.MAX_LENGTH, unique=True)
    made_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = "UUID alias"
        verbose_name_plural = "UUID aliases"

    def __str__(self) -> str:
        return f"{self.uuid} is {self.identifier}"


class IdempotencyKey(models.Model):
    """A request that was answered, so that the same one gets the same answer. Kept for a day."""

    caller = models.CharField(max_length=OWNER_MAX_LENGTH)
    key = models.CharField(max_length=KEY_MAX_LENGTH)
    digest = models.BinaryField(max_length=32)
    answer = models.TextField(blank=True)
    made_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(name="idempotencykey_once", fields=["caller", "key"])]
        indexes = [models.Index("made_at", name="idempotencykey_made_at")]

    def __str__(self) -> str:
        return f"{self.key} of {self.caller}"
