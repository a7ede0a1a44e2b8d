"""What an edit of an ID type would break, said before it is saved.

An edit with consequences is saved only when whoever makes it has confirmed them. Nothing here writes.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.utils import timezone

from ids import figures as figures_of_use
from ids import formats, usage
from ids.models import IDType, LegacyFormat

MOST_COUNTED: Final = 10_000  # of the records that a new retention would take


@dataclass(frozen=True, slots=True)
class Impact:
    """What hangs on a type: how many IDs of it were issued, how many of late, what maps to it, which code uses it.

    ``usage`` is None when nobody can tell.
    """

    issued: int
    active: int
    last_issued_at: datetime | None
    pace: figures_of_use.Pace
    legacy: tuple[LegacyFormat, ...]
    usage: usage.Usage | None

    @property
    def rate(self) -> str:
        """The rate in words, for example ``about 1,200 a day``; on the first day, how many there were so far."""
        per_day = self.pace.per_day
        if not self.pace.issued:
            return "none in the last month"
        if per_day is None:
            return f"{self.pace.issued:,} so far, all of them today"
        return f"about {per_day:,.0f} a day" if per_day >= 1 else "less than one a day"


@dataclass(frozen=True, slots=True)
class Consequence:
    """One thing that an edit would break or change for others, by the field that causes it."""

    field: str
    text: str


def impact_of(id_type: IDType, user: Any) -> Impact:
    """What hangs on a stored type, as far as ``user`` may know."""
    figures: Any = IDType.objects.with_figures().get(pk=id_type.pk)
    return Impact(
        issued=figures.issued_total,
        active=figures.active_total,
        last_issued_at=figures.last_issued_at,
        pace=figures_of_use.pace(id_type.pk, timezone.now()),
        legacy=tuple(id_type.legacy_formats.all()),
        usage=usage.usage_of(figures.value, user),
    )


def consequences(stored: IDType, changed: Mapping[str, Any], impact: Impact) -> list[Consequence]:
    """What it would break to save ``changed`` (field: new value) over ``stored``; empty for a harmless edit."""
    found: list[Consequence] = []
    for field, describe in _DESCRIBED.items():
        if field in changed and changed[field] != getattr(stored, field):
            found += [Consequence(field, text) for text in describe(stored, changed[field], impact)]
    return found


def _value(stored: IDType, new: str, impact: Impact) -> Iterator[str]:
    renamed = IDType(value=new).member
    for use in impact.usage.using if impact.usage else ():
        yield (
            f"{use.repository}: {use.enum}.{stored.member} {_places(use)}. The registry would know it as "
            f"{renamed}, so the next audit finds registry-drift."
        )
    for row in impact.legacy:
        yield f'The legacy format "{row.name}" maps to it: its IDs would become IDs of "{new}".'


def _format(stored: IDType, new: str, impact: Impact) -> Iterator[str]:
    old_format, new_format = formats.FORMATS[stored.format], formats.FORMATS.get(new)
    if new_format is None or not (impact.issued or stored.has_leased):
        return
    yield (
        f"{impact.issued:,} IDs were issued as {old_format.label} ({old_format.reading(stored.value)}), {impact.rate}. "
        f"They stay recorded, and new ones read otherwise: {new_format.reading(stored.value)}. "
        "Whatever takes IDs of this type apart, or stores them in a column made for the old ones, has to know both."
    )
    if old_format.carries_type and not new_format.carries_type:
        yield f"An ID no longer says that it is a {stored.value}: without the registry nobody can tell."
    if old_format.takes_prefix and not new_format.takes_prefix:
        yield "Callers that give a prefix will be refused."


def _status(stored: IDType, new: str, impact: Impact) -> Iterator[str]:
    uses = impact.usage.using if impact.usage else ()
    if new == IDType.Status.RETIRED:
        if impact.pace.issued:
            yield f"IDs of it are being issued, {impact.rate}: every such call will be refused."
        for use in uses:
            yield (
                f"{use.repository}: {use.enum}.{stored.member} {_places(use)}. The next audit finds registry-drift, "
                "and the exported enum no longer has the member."
            )
    elif new == IDType.Status.DEPRECATED:
        if impact.pace.issued:
            yield f"IDs of it are being issued, {impact.rate}: every such call will warn, and be counted."
    elif stored.status == IDType.Status.RETIRED:
        for use in impact.usage.uses if impact.usage else ():
            if use.definition is None:
                yield f"{use.repository}: {use.enum} lacks the member, so the next audit finds registry-drift."


def _tracked(stored: IDType, new: bool, impact: Impact) -> Iterator[str]:
    if not new and (impact.issued or stored.has_leased):
        yield f"New IDs, {impact.rate}, can no longer be looked up, listed or released."


def _retention(stored: IDType, new: int | None, impact: Impact) -> Iterator[str]:
    if new is None or (stored.retention_days is not None and new > stored.retention_days):
        return
    before = timezone.now() - timedelta(days=new)
    old = stored.issued_ids.filter(issued_at__lt=before).order_by("issued_at")[:MOST_COUNTED].count()
    if old:
        count = (
            f"{old:,} records or more" if old == MOST_COUNTED else f"{old:,} record{'s' if old > 1 else ''}"
        )
        yield f"{count} of IDs older than {new:,} days will be purged, and can't be looked up any more."


_DESCRIBED: Final[dict[str, Callable[[IDType, Any, Impact], Iterator[str]]]] = {
    "value": _value,
    "format": _format,
    "status": _status,
    "is_tracked": _tracked,
    "retention_days": _retention,
}


def _places(use: usage.CodeUse) -> str:
    if not use.count:
        return "is defined and named nowhere" if use.definition else "is named by violations only"
    zones = ", ".join(f"{count:,} in {zone}" for zone, count in use.zones)
    return f"is named in {use.count:,} place{'s' if use.count > 1 else ''} ({zones})"
