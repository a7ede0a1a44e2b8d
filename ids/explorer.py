"""What is known of a text that may be an ID: its parts in words, its record, its type; or why it is none.

A reading counts nothing and changes nothing: looking at an ID in the explorer is no use of it. An explanation is for
programs: a reading and the three answers about the text, which count as uses.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Final

from django.db import connection
from django.db.models import QuerySet

from ids import diagnosis, formats, leasing, lookups, patterns, validation
from ids.models import IDType, IssuedID, LegacyFormat

MOST_TEXTS: Final = 1_000
MOST_RELATED: Final = 20


@dataclass(frozen=True, slots=True)
class Part:
    """One part of an ID: what it is called, how it reads, what it means."""

    name: str
    text: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Reading:
    """Everything about one text. ``verdict`` is one of ``VERDICTS``; ``reason`` says why, in a sentence.

    ``identifier`` is None where the text is in no format of today; ``legacy`` is the legacy format that it is in
    then. ``issued`` is its record, ``id_type`` its type in the registry, ``guesses`` what a text that is no ID comes
    closest to, ``nearest`` the type whose value is most like one that there is not. Of a single ID ``parents`` are the
    IDs that it is inside of, outermost last, and ``children`` the first ones inside of it.
    """

    text: str
    verdict: str
    reason: str
    identifier: formats.Identifier | None = None
    legacy: LegacyFormat | None = None
    parts: tuple[Part, ...] = ()
    issued: IssuedID | None = None
    id_type: IDType | None = None
    made_at: datetime | None = None
    guesses: tuple[diagnosis.Guess, ...] = ()
    nearest: str | None = None
    parents: tuple[str, ...] = ()
    children: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        return VERDICTS[self.verdict]

    @property
    def context_text(self) -> str:
        """The record's context, indented."""
        return json.dumps(self.issued.context, indent=2, ensure_ascii=False) if self.issued else ""

    @property
    def format(self) -> formats.Format | None:
        return formats.FORMATS[self.identifier.format] if self.identifier else None


VERDICTS: Final = {
    "active": "Issued and active",
    "released": "Released",
    "leased": "Leased to a client",
    "unrecorded": "Well-formed, not recorded",
    "unknown-type": "Unknown type",
    "legacy": "Legacy, accepted",
    "legacy-over": "Legacy, no longer accepted",
    "ambiguous": "Ambiguous",
    "invalid": "Not an ID",
}


def read_one(text: str) -> Reading:
    """The reading of one text, with its relations."""
    (reading,) = read_all([text])
    if reading.issued is not None:
        children = _children([text]).get(text, ())
        return replace(reading, parents=_parents(reading.issued), children=children)
    return reading


@dataclass(frozen=True, slots=True)
class Explanation:
    """A text in words, for a program: three answers about it, and its reading with the first IDs inside of it."""

    validation: validation.Validation
    reading: Reading

    @property
    def closest(self) -> str | None:
        """What a text that is not valid comes closest to: an ID, or those of a type of nearly this name."""
        if self.reading.guesses:
            return self.reading.guesses[0].text
        return f'IDs of the type "{self.reading.nearest}"' if self.reading.nearest else None

    @property
    def says(self) -> str:
        """The whole explanation as one text."""
        checks = (self.validation.is_format, self.validation.is_type, self.validation.is_issued)
        lines = [f'{part.name.capitalize()} "{part.text}": {part.meaning}.' for part in self.reading.parts]
        lines += [answer.says for answer in checks]
        if self.closest:
            lines.append(f"It comes closest to {self.closest}.")
        return " ".join(lines)


def explain(text: str) -> Explanation:
    """Every part of an ID in words, and what the registry knows of it; of any text, and never an error."""
    return explain_many([text])[0]


def explain_many(texts: Sequence[str]) -> list[Explanation]:
    """The same of many, at most 100, in a bounded number of queries."""
    leasing.check_count(len(texts), lookups.MOST_EXPLAINED, "number of IDs")
    validations = validation.validate_many(texts)
    readings = read_all([text if isinstance(text, str) else "" for text in texts])
    children = _children([reading.issued.pk for reading in readings if reading.issued is not None])
    return [
        Explanation(validation, replace(reading, children=children.get(reading.text, ())))
        for validation, reading in zip(validations, readings, strict=True)
    ]


def _parents(record: IssuedID) -> tuple[str, ...]:
    chain: list[str] = []
    parent = record.parent_id
    while parent is not None and parent not in chain and len(chain) < MOST_RELATED:
        chain.append(parent)
        parent = IssuedID.objects.filter(pk=parent).values_list("parent_id", flat=True).first()
    return tuple(chain)


def _children(parents: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The first IDs inside of each, read along an index; one query, none for no parents."""
    found: dict[str, tuple[str, ...]] = {}
    if parents:
        with connection.cursor() as cursor:
            cursor.execute(_CHILDREN, {"parents": list(set(parents)), "most": MOST_RELATED})
            found = {parent: tuple(inside) for parent, inside in cursor.fetchall()}
    return found


_CHILDREN: Final = """
SELECT wanted.id, ARRAY(SELECT id FROM ids_issuedid WHERE parent_id = wanted.id ORDER BY id LIMIT %(most)s)
  FROM unnest(%(parents)s::text[]) AS wanted (id)
"""


def read_all(texts: Sequence[str]) -> list[Reading]:
    """A reading of each text, in their order; five queries, however many there are."""
    records = {row.id: row for row in _records(texts)}
    parsed = {text: _parsed(text) for text in texts}
    values = {found.type for found in parsed.values() if isinstance(found, _PARSED) and found.type}
    types = {row.value: row for row in IDType.objects.filter(value__in=values)}
    legacy = list(LegacyFormat.objects.select_related("type").order_by("-sunset", "name"))
    today = datetime.now(UTC).date()
    known: Iterable[str] = ()
    if any(value not in types for value in values):
        known = IDType.objects.values_list("value", flat=True)
    readings = [
        _reading(text, parsed[text], records.get(text), types, legacy, known, today) for text in texts
    ]
    return _with_leased(readings)


def _with_leased(readings: Sequence[Reading]) -> list[Reading]:
    """The same, where those of clients' blocks are said to be that."""
    asked = {
        found: reading.id_type
        for reading in readings
        if isinstance(found := reading.identifier, formats.StructuredId)
        and reading.issued is None
        and reading.id_type is not None
    }
    out_of_leases = validation.leased(asked, {kind.value: kind.pk for kind in asked.values()})
    words = "It is out of a block of counters that a client leased; the client has not reported its use yet."
    return [
        replace(reading, verdict="leased", reason=words)
        if reading.issued is None and reading.identifier in out_of_leases
        else reading
        for reading in readings
    ]


_PARSED: Final = (
    formats.StructuredId,
    formats.TypeId,
    formats.UlidId,
    formats.Uuid7Id,
    formats.Uuid4Id,
)


def _records(texts: Sequence[str]) -> QuerySet[IssuedID]:
    wanted = {
        text for text in texts if len(text) <= formats.MAX_LENGTH and "\0" not in text and _is_unicode(text)
    }
    return IssuedID.objects.filter(pk__in=wanted).select_related("type")


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def _parsed(text: str) -> formats.Identifier | formats.FormatError:
    try:
        return formats.parse(text)
    except formats.FormatError as error:
        return error


def _reading(
    text: str,
    found: formats.Identifier | formats.FormatError,
    record: IssuedID | None,
    types: Mapping[str, IDType],
    legacy: Sequence[LegacyFormat],
    known: Iterable[str],
    today: date,
) -> Reading:
    if isinstance(found, formats.FormatError):
        return _outside(text, found, record, legacy, today)
    id_type = record.type if record else types.get(found.type or "")
    if record is None and id_type is not None and id_type.format != found.format:
        # in a former format of its type, which may be kept as a legacy format
        former = [
            row
            for row in legacy
            if row.type_id == id_type.pk and patterns.match(row.pattern, text) is not None
        ]
        if former:
            verdict, reason = _in_legacy(former[0], record, today)
            return Reading(
                text,
                verdict,
                reason,
                found,
                former[0],
                tuple(_parts(found)),
                None,
                id_type,
                getattr(found, "made_at", None),
            )
    is_unknown = record is None and id_type is None and found.type is not None
    nearest = diagnosis.nearest(found.type or "", known) if is_unknown else None
    verdict, reason = _judged(found, record, id_type, nearest)
    return Reading(
        text=text,
        verdict=verdict,
        reason=reason,
        identifier=found,
        parts=tuple(_parts(found)),
        issued=record,
        id_type=id_type,
        made_at=getattr(found, "made_at", None),
        nearest=nearest,
    )


def _judged(
    found: formats.Identifier, record: IssuedID | None, id_type: IDType | None, nearest: str | None
) -> tuple[str, str]:
    if record is not None:
        if record.state == IssuedID.State.RELEASED:
            return "released", "It was released: it is never issued again."
        words = "registered" if record.state == IssuedID.State.REGISTERED else "issued"
        return "active", f"It was {words} here, and not released."
    label = formats.FORMATS[found.format].label
    if found.type is None:
        return (
            "unrecorded",
            f"A {label} says nothing of its type, and the registry has no record of this one.",
        )
    if id_type is None:
        hint = f' The nearest is "{nearest}".' if nearest else ""
        return "unknown-type", f'It reads well, but the registry has no ID type "{found.type}".{hint}'
    if id_type.format != found.format:
        return (
            "unrecorded",
            f"It has no record. IDs of {id_type.value} are written as {id_type.get_format_display()} now.",
        )
    if not id_type.is_tracked:
        return (
            "unrecorded",
            f"IDs of {id_type.value} aren't recorded, so nobody can tell whether it was issued.",
        )
    return (
        "unrecorded",
        "The registry has no record of it: never issued here, only leased to a client, or purged.",
    )


def _outside(
    text: str,
    error: formats.FormatError,
    record: IssuedID | None,
    legacy: Sequence[LegacyFormat],
    today: date,
) -> Reading:
    """The reading of a text that is in no format of today."""
    matches = [(row, parts) for row in legacy if (parts := patterns.match(row.pattern, text)) is not None]
    if len({row.type_id for row, _ in matches}) > 1:
        names = ", ".join(f'"{row.name}" of {row.type.value}' for row, _ in matches)
        return Reading(
            text, "ambiguous", f"Legacy formats of several types match it: {names}.", issued=record
        )
    if matches:
        row, named = matches[0]
        verdict, reason = _in_legacy(row, record, today)
        return Reading(
            text=text,
            verdict=verdict,
            reason=reason,
            legacy=row,
            parts=tuple(
                Part(name, part, "as the legacy format's pattern names it") for name, part in named.items()
            ),
            issued=record,
            id_type=row.type,
        )
    return Reading(text, "invalid", error.message, issued=record, guesses=tuple(diagnosis.closest(text)))


def _in_legacy(row: LegacyFormat, record: IssuedID | None, today: date) -> tuple[str, str]:
    """The verdict on a text in a legacy format, and the reason."""
    over = row.is_over(today)
    reason = (
        f'It is in the legacy format "{row.name}", '
        + ("whose last day was" if over else "which is accepted until")
        + f" {row.sunset:%-d %b %Y}."
    )
    if record is not None and record.state == IssuedID.State.RELEASED:
        return "released", f"It was released. {reason}"
    return "legacy-over" if over else "legacy", reason


def _parts(found: formats.Identifier) -> Iterable[Part]:
    if isinstance(found, formats.StructuredId):
        if found.prefix is not None:
            yield Part("prefix", found.prefix, "what the caller put before it; says nothing of the type")
        yield Part("type", found.type, "the type's value in the registry")
        yield Part("counter", str(found.counter), "unique within the type; gaps are normal")
        yield Part("random", found.random, "32 random bits that make it hard to guess")
        return
    if isinstance(found, formats.TypeId):
        text = formats.render(found)
        yield Part(
            "type", found.type, "the type's value in the registry; a hyphen is written as an underscore"
        )
        yield Part("base32", text.rpartition("_")[2], f"the UUID {found.uuid}")
        yield _time(found.made_at)
        yield Part("random", f"{found.uuid.int & (1 << 62) - 1:016x}", "the last 62 of its random bits")
    elif isinstance(found, formats.UlidId):
        yield _time(found.made_at)
        yield Part(
            "random",
            f"{found.number & (1 << 80) - 1:020x}",
            "80 random bits, counted on within a millisecond",
        )
    elif isinstance(found, formats.Uuid7Id):
        yield Part("version", "7", "ordered by time")
        yield _time(found.made_at)
        yield Part("random", str(found.uuid)[15:], "counter and random bits")
    else:
        yield Part("version", "4", "random: it says nothing, not even when it was made")


def _time(moment: datetime | None) -> Part:
    text = (
        f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03d} UTC"
        if moment
        else "after the year 9999"
    )
    return Part("time", text, "when it was made, by the clock of whoever made it")
