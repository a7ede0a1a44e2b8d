"""The registry of ID types, and the IDs that were handed out.

Three rows describe one type, so that those who write them never wait for or overwrite each other: ``IDType`` is edited
by an administrator, ``IDCounter`` moves whenever a process leases counters, and ``IDTally`` rows are appended by the
transactions that issue IDs. Only ``ids.minting`` writes the last two and ``IssuedID``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import connection, models
from django.db.models import F, Max, Q, Sum
from django.db.models.functions import Cast, Coalesce, Greatest, Left, Now
from django.urls import reverse
from simple_history.models import HistoricalRecords

from ids import exports, formats

CONTEXT_START_LENGTH = 120
OWNER_MAX_LENGTH = 100
RETENTION_MAX_DAYS = 36_500


def validate_type_value(value: str) -> None:
    try:
        formats.check_type(value)
    except formats.FormatError as error:
        raise ValidationError(error.message, code="invalid") from error


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field of an edit: its label, and its value before and after, as people read them."""

    label: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class TypeChange:
    """One entry of a type's change history. ``who`` is empty when no signed-in user made it."""

    at: datetime
    who: str
    kind: str
    reason: str
    fields: tuple[FieldChange, ...]


class IDTypeQuerySet(models.QuerySet["IDType"]):
    def with_figures(self) -> IDTypeQuerySet:
        """Adds ``issued_total``, ``active_total``, ``last_issued_at`` and ``next_counter``, in the same query.

        They come from the counter row and the few tally rows that no lease has folded into it yet, never from the
        issued IDs, and are exact: one statement sees a fold whole or not at all.
        """
        released = Coalesce(F("counter__released"), 0) + Coalesce(Sum("tallies__released"), 0)
        return self.annotate(
            issued_total=Coalesce(F("counter__issued"), 0) + Coalesce(Sum("tallies__issued"), 0),
            active_total=F("issued_total") - released,
            last_issued_at=Greatest(F("counter__last_issued_at"), Max("tallies__last_issued_at")),
            next_counter=Coalesce(F("counter__next_counter"), 1),
        )

    def exported(self) -> list[exports.ExportedType]:
        """All types, as the exports need them, in one query."""
        fields = ("value", "status", "description", "format")
        return [
            exports.ExportedType(row.value, row.member, row.status, row.description, row.format)
            for row in self.only(*fields).order_by("value")
        ]

    def matching(self, text: str) -> IDTypeQuerySet:
        """The types whose value, member name, description or owner contains ``text``."""
        value = text.lower().replace("_", "-")
        return self.filter(
            Q(value__icontains=value) | Q(description__icontains=text) | Q(owner__icontains=text)
        )


class IDType(models.Model):
    """A kind of ID: an entry of the canonical registry."""

    class Status(models.TextChoices):
        ACTIVE = "active", "Active"
        DEPRECATED = "deprecated", "Deprecated"
        RETIRED = "retired", "Retired"

    class Format(models.TextChoices):
        """The formats of ``ids.formats``, with the words that a form shows."""

        STRUCTURED = "structured", "Structured"
        TYPEID = "typeid", "TypeID"
        ULID = "ulid", "ULID"
        UUID7 = "uuid7", "UUIDv7"
        UUID4 = "uuid4", "UUIDv4"

    value = models.CharField(
        max_length=formats.TYPE_MAX_LENGTH,
        unique=True,
        validators=[validate_type_value],
        help_text="Stands in every ID. Lower-case letters, digits and single inner hyphens; it starts with a letter. "
        "It can't be changed once IDs were issued.",
        error_messages={"unique": "There is an ID type with this value already."},
    )
    description = models.CharField(
        max_length=500, help_text="What one such ID identifies, in a sentence or two."
    )
    status = models.CharField(
        max_length=10,
        choices=Status.choices,
        default=Status.ACTIVE,
        help_text="Active: IDs are issued. Deprecated: issued with a warning. Retired: refused. "
        "IDs that were issued stay valid in every state.",
    )
    format = models.CharField(
        max_length=12,
        choices=Format.choices,
        default=Format.STRUCTURED,
        help_text="How new IDs read. ULID and UUID say nothing of the type: only the registry knows it.",
    )
    owner = models.CharField(
        max_length=100, blank=True, help_text="The team or person who answers for this type."
    )
    is_tracked = models.BooleanField(
        "tracked",
        default=True,
        db_default=True,
        help_text="Each issued ID is recorded: it can be looked up, listed and released. "
        "Not tracked: IDs are as unique, and only counted.",
    )
    retention_days = models.PositiveIntegerField(
        "retention",
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(RETENTION_MAX_DAYS)],
        help_text="Days for which the record of an ID is kept after it was issued. Empty: for ever.",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    history = HistoricalRecords(
        excluded_fields=["created_at", "updated_at"], history_change_reason_field=models.TextField(null=True)
    )
    objects = IDTypeQuerySet.as_manager()
    _change_reason: str  # the reason for the next save, where django-simple-history looks for it

    class Meta:
        verbose_name = "ID type"
        ordering = ["value"]
        constraints = [
            models.CheckConstraint(
                name="idtype_value_in_grammar",
                condition=Q(value__regex=f"^{formats.TYPE_PATTERN}$"),
                violation_error_message="The value is not in the grammar of type values.",
            ),
            models.CheckConstraint(
                name="idtype_status_known", condition=Q(status__in=["active", "deprecated", "retired"])
            ),
            models.CheckConstraint(
                name="idtype_format_known",
                condition=Q(format__in=["structured", "typeid", "ulid", "uuid7", "uuid4"]),
            ),
            models.CheckConstraint(
                name="idtype_value_in_format",
                condition=~Q(format="typeid") | Q(value__regex=f"^{formats.TYPEID_TYPE_PATTERN}$"),
                violation_error_message="A TypeID's type has letters and hyphens only.",
            ),
            models.CheckConstraint(
                name="idtype_retention_in_range",
                condition=Q(retention_days__isnull=True)
                | Q(retention_days__gte=1, retention_days__lte=RETENTION_MAX_DAYS),
            ),
        ]

    def __str__(self) -> str:
        return self.value

    def get_absolute_url(self) -> str:
        return reverse("ids:type-detail", args=[self.value])

    def clean(self) -> None:
        try:
            formats.check_type_for(self.format, self.value)
        except formats.FormatError as error:
            # a value outside the grammar, or an unknown format, is said at its field already
            if error.code == "type" and self.format == self.Format.TYPEID:
                raise ValidationError({"format": error.message}) from error

    @property
    def member(self) -> str:
        """The name of this type in code, for example ``RUN``. One-to-one, because a value has no underscore."""
        return self.value.upper().replace("-", "_")

    @property
    def reading(self) -> str:
        """How IDs of this type are written, for example ``[prefix_]run_counter_hex8``."""
        return formats.FORMATS[self.format].reading(self.value)

    @property
    def has_leased(self) -> bool:
        """Whether IDs of this type may exist anywhere: a counter was leased, or anything is kept of its IDs."""
        # the database's own answer, by which it keeps the type
        with connection.cursor() as cursor:
            cursor.execute("SELECT ids_type_in_use(%s)", [self.pk])
            return bool(cursor.fetchone()[0])

    def latest_issued(self, limit: int) -> models.QuerySet[IssuedID]:
        """The newest issued IDs, by an index. Of each context only the start is read, as ``context_start``."""
        start = Left(Cast("context", models.TextField()), CONTEXT_START_LENGTH)
        newest = self.issued_ids.order_by("-issued_at", F("counter").desc(nulls_last=True), "-id")[:limit]
        return newest.defer("context").annotate(context_start=start)

    def changes(self, limit: int) -> list[TypeChange]:
        """The newest edits of this type, newest first, in one query."""
        newest = self.history.select_related("history_user").order_by("-history_date", "-history_id")
        records = list(newest[: limit + 1])
        return [
            # not strict: a type that was written without the registry's forms has no record at all
            _change(record, before)
            for record, before in zip(records, [*records[1:], None], strict=False)
        ][:limit]


_EDITED_FIELDS = {
    "value": "value",
    "description": "description",
    "status": "status",
    "format": "format",
    "owner": "owner",
    "is_tracked": "tracked",
    "retention_days": "retention in days",
}


def _change(record: Any, before: Any | None) -> TypeChange:
    """One entry from a history record and the one before it."""
    fields: tuple[FieldChange, ...] = ()
    if before is not None:
        fields = tuple(
            FieldChange(label=label, old=old, new=new)
            for name, label in _EDITED_FIELDS.items()
            if (old := _shown(before, name)) != (new := _shown(record, name))
        )
    return TypeChange(
        at=record.history_date,
        who=record.history_user.get_username() if record.history_user else "",
        kind=record.get_history_type_display(),
        reason=record.history_change_reason or "",
        fields=fields,
    )


def _shown(record: Any, name: str) -> str:
    display = getattr(record, f"get_{name}_display", None)
    value = display() if display else getattr(record, name)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


class IDCounter(models.Model):
    """The hot row of a type: where the next lease starts, and what was issued so far.

    It comes with the type's first lease and never goes. It protects the type from deletion, in the database as well:
    a counter that was leased may stand in an ID that somebody keeps, so the type must never start anew.
    """

    type = models.OneToOneField(IDType, on_delete=models.PROTECT, primary_key=True, related_name="counter")
    next_counter = models.BigIntegerField(default=1)
    issued = models.BigIntegerField(default=0)
    released = models.BigIntegerField(default=0)
    last_issued_at = models.DateTimeField(null=True)
    leased_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = "ID counter"
        constraints = [
            models.CheckConstraint(name="idcounter_next_positive", condition=Q(next_counter__gte=1)),
            models.CheckConstraint(
                name="idcounter_figures_not_negative", condition=Q(released__gte=0, issued__gte=0)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type_id}: next {self.next_counter}"


class IDTally(models.Model):
    """What one transaction issued and released, until the next lease of the type folds it into the counter row.

    Appending keeps the figures exact without a row that all issuing transactions would have to lock until they commit.
    """

    type = models.ForeignKey(IDType, on_delete=models.DO_NOTHING, db_constraint=False, related_name="tallies")
    issued = models.IntegerField()
    released = models.IntegerField(default=0, db_default=0)
    last_issued_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "ID tally"

    def __str__(self) -> str:
        return f"{self.type_id}: {self.issued} issued, {self.released} released"


class IssuedID(models.Model):
    """An ID that was handed out here, or registered.

    Only IDs of a counted format that were issued here have a ``counter``; the others are unique by themselves.
    ``owner`` is whose the ID is, compared whole; ``issuer`` is who asked for it (``token:CI`` for example). ``parent``
    is the ID that this one is inside of, as a run is in a thread.

    No foreign key constraint on the type: it would halve the rate of bulk writes, and the counter row already keeps
    the type. ``(type, counter)`` is unique, so that the database refuses a counter that comes twice, whatever its
    random part.
    """

    class State(models.TextChoices):
        ISSUED = "issued", "Issued"
        REGISTERED = "registered", "Registered"
        RELEASED = "released", "Released"

    id = models.CharField(max_length=formats.MAX_LENGTH, primary_key=True, verbose_name="ID")
    type = models.ForeignKey(
        IDType, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="issued_ids"
    )
    counter = models.BigIntegerField(null=True)
    prefix = models.CharField(max_length=formats.PREFIX_MAX_LENGTH, blank=True)
    context = models.JSONField(default=dict, blank=True)
    issued_at = models.DateTimeField(db_default=Now())
    state = models.CharField(max_length=10, choices=State.choices, default=State.ISSUED)
    owner = models.CharField(max_length=OWNER_MAX_LENGTH, blank=True, default="", db_default="")
    issuer = models.CharField(max_length=OWNER_MAX_LENGTH, blank=True, default="", db_default="")
    parent = models.ForeignKey(
        "self",
        on_delete=models.DO_NOTHING,
        null=True,
        db_constraint=False,
        db_index=False,
        related_name="children",
    )
    released_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "issued ID"
        constraints = [
            models.UniqueConstraint(name="issuedid_type_counter_once", fields=["type", "counter"]),
            models.CheckConstraint(name="issuedid_counter_positive", condition=Q(counter__gte=1)),
            models.CheckConstraint(
                name="issuedid_state_known", condition=Q(state__in=["issued", "registered", "released"])
            ),
        ]
        indexes = [
            models.Index("type", F("issued_at").desc(), name="issuedid_latest_of_type"),
            # partial: an ID without an owner or a parent costs them nothing
            models.Index(
                "owner", "id", name="issuedid_active_of_owner", condition=~Q(owner="") & ~Q(state="released")
            ),
            models.Index("parent", "id", name="issuedid_children", condition=Q(parent__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.id
