"""How the types are used, in numbers: sums per minute, hour, day and since ever. Only ``ids.metrics`` writes them."""

from __future__ import annotations

from typing import Final

from django.contrib.postgres.fields import ArrayField
from django.db import models

from ids.models.registry import IDType

NO_TYPE: Final = 0
"""Stands for the type where the registry has none of what was asked for."""

LATENCY_BOUNDS: Final = (
    *(0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005),
    *(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0),
)
"""Upper bounds, in seconds, of the buckets that times are counted in. One more bucket holds what took longer."""


class Kind(models.TextChoices):
    """What happened to IDs of a type."""

    GENERATED = "generated", "Generated"
    REGISTERED = "registered", "Registered"
    RELEASED = "released", "Released"
    REJECTED = "rejected", "Rejected"
    LOOKED_UP = "looked-up", "Looked up"
    VALIDATED = "validated", "Validated"
    LEGACY = "legacy", "In a legacy format"
    DEPRECATED = "deprecated", "Generated although deprecated"


class Grain(models.IntegerChoices):
    """How long the time of a sum is, in seconds. The one since ever starts in 1970 and is never purged."""

    MINUTE = 60, "minute"
    HOUR = 3_600, "hour"
    DAY = 86_400, "day"
    EVER = 0, "ever"


class TypeUse(models.Model):
    """How often something happened to IDs of a type in one minute, hour or day (UTC), or since ever.

    Each event is counted in a row of all four grains at once, so each grain is complete by itself, reading never adds
    grains up, and purging the finer ones changes no sum. Rejections have a ``reason``: the stable code of the error.
    Where calls were timed, ``seconds`` is their sum and ``buckets`` says how many ended within each of
    ``LATENCY_BOUNDS``, the last for those that took longer.

    No constraints to the type: it is written often, and a type that is gone leaves sums which nobody asks for.
    """

    pk = models.CompositePrimaryKey("type_id", "grain", "starts_at", "kind", "reason")
    type = models.ForeignKey(
        IDType, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="uses"
    )
    # in this order, which leaves no gaps between the columns
    starts_at = models.DateTimeField()
    count = models.BigIntegerField()
    seconds = models.FloatField(default=0)
    grain = models.IntegerField(choices=Grain.choices)
    kind = models.CharField(max_length=12, choices=Kind.choices)
    reason = models.CharField(max_length=40, blank=True)
    buckets = ArrayField(models.BigIntegerField(), null=True)

    class Meta:
        verbose_name = "use of a type"
        verbose_name_plural = "use of types"

    def __str__(self) -> str:
        what = f"{self.kind} ({self.reason})" if self.reason else self.kind
        return f"{self.type_id}: {self.count} {what} in the {self.get_grain_display()} of {self.starts_at}"
