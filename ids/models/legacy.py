"""Shapes of IDs from before the registry that are still accepted, until a day, and how often that happens."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q, Sum
from django.db.models.functions import Coalesce
from django.urls import reverse
from simple_history.models import HistoricalRecords

from ids import patterns
from ids.models.registry import IDType


def validate_pattern(pattern: str) -> None:
    try:
        patterns.check(pattern)
    except patterns.PatternError as error:
        raise ValidationError(str(error), code="invalid") from error


class LegacyFormatQuerySet(models.QuerySet["LegacyFormat"]):
    def with_hits(self, since: date) -> LegacyFormatQuerySet:
        """Adds ``hits`` (accepted) and ``late`` (refused, because the sunset had passed) from the day ``since`` on."""
        recent = Q(days__day__gte=since)
        return self.annotate(
            hits=Coalesce(Sum("days__accepted", filter=recent), 0),
            late=Coalesce(Sum("days__refused", filter=recent), 0),
        )


class LegacyFormat(models.Model):
    """An old shape of a type's IDs: accepted until its sunset, and each use counted."""

    name = models.CharField(
        max_length=100,
        unique=True,
        help_text="What people call these IDs, for example: the run IDs of 2024.",
        error_messages={"unique": "There is a legacy format with this name already."},
    )
    type = models.ForeignKey(
        IDType, on_delete=models.PROTECT, related_name="legacy_formats", verbose_name="ID type"
    )
    pattern = models.CharField(
        max_length=patterns.PATTERN_MAX_LENGTH,
        validators=[validate_pattern],
        help_text="A regular expression of RE2 that matches the whole ID. "
        "Named groups become the parts that the explorer shows: run-(?P<random>[0-9a-f]{12}).",
    )
    example = models.CharField(
        max_length=patterns.TEXT_MAX_LENGTH, help_text="One such ID. The pattern has to match it."
    )
    sunset = models.DateField(help_text="The last day (UTC) on which such IDs are accepted.")
    note = models.CharField(
        max_length=500, blank=True, help_text="Where such IDs come from, and who still sends them."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    history = HistoricalRecords(
        excluded_fields=["created_at", "updated_at"], history_change_reason_field=models.TextField(null=True)
    )
    objects = LegacyFormatQuerySet.as_manager()
    _change_reason: str  # the reason for the next save, where django-simple-history looks for it

    class Meta:
        ordering = ["sunset", "name"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("ids:legacy-detail", args=[self.pk])

    def clean(self) -> None:
        """The example is one of these IDs, and no text may be an ID of two types."""
        errors: dict[str, Any] = {}
        try:
            if patterns.match(self.pattern, self.example) is None:
                errors["example"] = "The pattern does not match this example."
        except patterns.PatternError:
            return  # said at the pattern
        if self.type_id is not None:
            others = LegacyFormat.objects.exclude(type_id=self.type_id).select_related("type")
            for other in others:
                if patterns.match(self.pattern, other.example) is not None:
                    errors["pattern"] = (
                        f'The pattern matches "{other.example}", which is an ID of "{other.type}" by the '
                        f'legacy format "{other}". No text may be an ID of two types.'
                    )
                elif patterns.match(other.pattern, self.example) is not None:
                    errors.setdefault(
                        "example",
                        f'The legacy format "{other}" matches this example as an ID of "{other.type}". '
                        "No text may be an ID of two types.",
                    )
        if errors:
            raise ValidationError(errors)

    def is_over(self, today: date) -> bool:
        """Whether such IDs are refused by now."""
        return today > self.sunset


class LegacyHits(models.Model):
    """How often IDs of a legacy format were seen on a day (UTC).

    Several rows may count one day: whoever finds the others locked starts a row of its own and never waits. Read sums.
    """

    format = models.ForeignKey(LegacyFormat, on_delete=models.CASCADE, related_name="days", db_index=False)
    day = models.DateField()
    accepted = models.BigIntegerField(default=0)
    refused = models.BigIntegerField(default=0)

    class Meta:
        verbose_name_plural = "legacy hits"
        indexes = [models.Index("format", "day", name="legacyhits_of_day")]
        constraints = [
            models.CheckConstraint(
                name="legacyhits_not_negative", condition=Q(accepted__gte=0, refused__gte=0)
            )
        ]

    def __str__(self) -> str:
        return f"{self.format_id} on {self.day}: {self.accepted} accepted, {self.refused} refused"
