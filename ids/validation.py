"""What is true of a text: three named answers. Writes nothing but counts of use.

A text can be well formed, well formed *as an ID of a type*, and issued here and not released. Those are three
questions, so there are three answers, each with a reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ids import client, formats, known, leasing, legacy, metrics
from ids.lookups import may_be_known, recorded
from ids.models import IDType, IssuedID, Kind

MOST_CHECKED: Final = 10_000


@dataclass(frozen=True, slots=True)
class Answer:
    """Yes or no, and why."""

    holds: bool
    says: str


@dataclass(frozen=True, slots=True)
class Validation:
    """What is true of a text. ``type`` is the type that it says, or the registry knows, if any.

    ``is_format``: it is in one of the formats, or in a legacy format before its sunset. ``is_type``: it is that *and*
    an ID of the type that was asked for (or of some type of the registry, where none was). ``is_issued``: the registry
    has it, and it was not released. ``state`` is ``issued``, ``registered``, ``released``, ``leased`` (in a client's
    block and genuine, not reported as used yet) or ``unknown``.
    """

    id: str
    type: str | None
    format: str | None
    state: str
    is_format: Answer
    is_type: Answer
    is_issued: Answer


def check_format(text: str) -> Answer:
    """Whether a text is in one of the formats, whatever the type."""
    return validate(text).is_format


def check_type(text: str, type_value: str) -> Answer:
    """Whether a text is an ID of a type, whether or not it was issued. Raises UnknownType."""
    return validate(text, type_value).is_type


def check_issued(text: str, type_value: str | None = None) -> Answer:
    """Whether an ID was issued or registered here, of that type if one is given, and not released."""
    validation = validate(text, type_value)
    if type_value is not None and validation.is_issued.holds and not validation.is_type.holds:
        return validation.is_type
    return validation.is_issued


def validate(text: str, type_value: str | None = None) -> Validation:
    """All three answers about a text. Raises UnknownType for a type that the registry doesn't have."""
    return validate_many([text], type_value)[0]


def validate_many(texts: Sequence[str], type_value: str | None = None) -> list[Validation]:
    """The same of many, at most 10,000, in a bounded number of queries."""
    leasing.check_count(len(texts), MOST_CHECKED, "number of IDs")
    if type_value is not None:
        known.named(type_value)
    rows = recorded([text for text in texts if may_be_known(text)])
    types: dict[str, int] = {}
    written: dict[str, str] = {}
    for pk, name, format_name in IDType.objects.values_list("pk", "value", "format"):
        types[name], written[name] = pk, format_name
    shapes = legacy.Shapes()
    out_of_leases = _leased_texts([text for text in texts if may_be_known(text) and text not in rows], types)
    found = [_validated(text, type_value, rows, types, written, shapes, out_of_leases) for text in texts]
    shapes.count()
    for value, number in Counter(answer.type for answer in found).items():
        metrics.count(Kind.VALIDATED, types.get(value) if value else None, number)
    return found


# --- answers ----------------------------------------------------------------------------------------------------------


def _validated(
    text: str,
    wanted: str | None,
    rows: dict[str, IssuedID],
    types: dict[str, int],
    written: dict[str, str],
    shapes: legacy.Shapes,
    out_of_leases: Collection[str],
) -> Validation:
    row = rows.get(text) if isinstance(text, str) else None
    # what has a record stays valid, whatever format its type has by now
    value, format_name, is_format = _format_of(text, shapes, written if row is None else {})
    if row is not None:
        value = row.type.value
    state = str(row.state) if row is not None else "unknown"
    if row is None and is_format.holds and format_name == formats.STRUCTURED and text in out_of_leases:
        state = "leased"
    return Validation(
        id=text if isinstance(text, str) else "",
        type=value,
        format=format_name,
        state=state,
        is_format=is_format,
        is_type=_type_answer(
            is_format, value, wanted, types, format_name, written if state == "unknown" else {}
        ),
        is_issued=_issued_answer(state, row),
    )


def _format_of(
    text: str, shapes: legacy.Shapes, written: dict[str, str]
) -> tuple[str | None, str | None, Answer]:
    """The type that a text says, its format, and whether it is well formed.

    ``written`` is the format of each type: a text in a former one may be in a legacy format of the type.
    """
    try:
        parts = formats.parse(text)
    except formats.FormatError as error:
        shape = shapes.find(text) if isinstance(text, str) else None
        return _legacy_answer(shape) if shape is not None else (None, None, Answer(False, error.message))
    if parts.type is not None and written.get(parts.type, parts.format) != parts.format:
        shape = shapes.find(text)
        if shape is not None and shape.type == parts.type:
            return _legacy_answer(shape)
    label = formats.FORMATS[parts.format].label
    return parts.type, parts.format, Answer(True, f"It is well formed; its format is {label}.")


def _legacy_answer(shape: legacy.Shape) -> tuple[str | None, str | None, Answer]:
    if shape.is_over:
        says = f'It is in the legacy format "{shape.name}", which was accepted until {shape.sunset}.'
        return shape.type, None, Answer(False, says)
    says = f'It is in the legacy format "{shape.name}", which is accepted until {shape.sunset}.'
    return shape.type, "legacy", Answer(True, says)


def _type_answer(
    is_format: Answer,
    value: str | None,
    wanted: str | None,
    types: dict[str, int],
    format_name: str | None,
    written: dict[str, str],
) -> Answer:
    if not is_format.holds:
        return Answer(False, "It is no ID, so it is none of any type.")
    if value is None:
        return Answer(
            False, "Its format says nothing of a type, and the registry has no record of it that would."
        )
    if value not in types:
        return Answer(False, f'The registry has no ID type "{value}".')
    if wanted is not None and value != wanted:
        return Answer(False, f'It is an ID of the type "{value}", not of "{wanted}".')
    now = written.get(value, format_name)
    if format_name != "legacy" and now is not None and format_name != now:
        label = formats.FORMATS[now].label
        return Answer(
            False, f'New IDs of the type "{value}" are written as {label}, and this one has no record.'
        )
    return Answer(True, f'It is an ID of the type "{value}".')


def _issued_answer(state: str, row: IssuedID | None) -> Answer:
    if row is not None and state == IssuedID.State.RELEASED:
        when = f" on {row.released_at:%Y-%m-%d %H:%M} UTC" if row.released_at else ""
        return Answer(False, f"It was released{when}, and is never used again.")
    if row is not None:
        how = "registered" if state == IssuedID.State.REGISTERED else "issued"
        return Answer(True, f"It was {how} on {row.issued_at:%Y-%m-%d %H:%M} UTC and is active.")
    if state == "leased":
        return Answer(
            True,
            "It is out of a block that a client leased; its use was not reported yet, so nothing is kept of it.",
        )
    return Answer(False, "The registry has no record of it.")


def leased(found: Iterable[formats.StructuredId], types: Mapping[str, int]) -> set[formats.StructuredId]:
    """Those IDs that are of clients' blocks, not reported yet, with the right random part; in one query.

    ``types`` are the primary keys of the types by their values.
    """
    wanted: dict[tuple[int, int], list[formats.StructuredId]] = {}
    for parts in found:
        if parts.type in types:
            wanted.setdefault((types[parts.type], parts.counter), []).append(parts)
    # what was reported has a record, or had one
    held = [row for row in leasing.leases_of(wanted) if row.counter >= row.start + row.used]
    sizes: dict[bytes, int] = {}
    for row in held:
        sizes[row.seed] = max(sizes.get(row.seed, 0), row.counter - row.start + 1)
    randoms = {seed: client.random_parts(seed, size) for seed, size in sizes.items()}
    return {
        parts
        for row in held
        for parts in wanted[row.type_id, row.counter]
        if randoms[row.seed][8 * (row.counter - row.start) :][:8] == parts.random
    }


def _leased_texts(texts: Iterable[str], types: Mapping[str, int]) -> set[str]:
    found: dict[str, formats.StructuredId] = {}
    for text in texts:
        try:
            parts = formats.parse(text)
        except formats.FormatError:
            continue
        if isinstance(parts, formats.StructuredId):
            found[text] = parts
    genuine = leased(found.values(), types)
    return {text for text, parts in found.items() if parts in genuine}
