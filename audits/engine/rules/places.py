"""What all rules share: from places in facts to findings with zone, annotations and severity."""

import difflib
from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache

import msgspec

from audits.engine.codebase import Codebase
from audits.engine.facts import CONDITIONAL, IMPORT_TIME, TYPE_CHECKING, Import
from audits.engine.findings import Annotation, Finding, Place, severity_of

# How alike a name must be to be the one that was probably meant, as ``difflib`` counts it.
_CLOSE = 0.75


class Spot(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What is wrong, wherever it stands: everything of a finding that doesn't depend on the place."""

    rule: str
    subject: str
    message: str
    hint: str = ""
    member: str | None = None
    definition: Place | None = None
    annotations: tuple[Annotation, ...] = ()


def findings_at(
    codebase: Codebase, path: str, spot: Spot, places: Iterable[tuple[int, int, int, int]], guard: int
) -> Iterator[Finding]:
    """A finding for each place of a file. ``guard`` is the flag that says that this error would be caught there."""
    zone = codebase.policy.zone(path)
    scopes = codebase.facts[path].scopes
    for line, column, scope, flags in places:
        annotations = _annotations(spot.annotations, flags, guard)
        yield Finding(
            rule=spot.rule,
            subject=spot.subject,
            path=path,
            line=line,
            column=column,
            scope=scopes[scope],
            zone=zone,
            severity=severity_of(zone, annotations),
            message=spot.message,
            hint=spot.hint,
            annotations=annotations,
            member=spot.member,
            definition=spot.definition,
        )


def place_of(item: Import) -> tuple[int, int, int, int]:
    """Where an import statement names something, as the place of a reference."""
    return (item.line, item.column, item.scope, item.flags)


@lru_cache(maxsize=512)  # there are few different ones
def _annotations(own: tuple[Annotation, ...], flags: int, guard: int) -> tuple[Annotation, ...]:
    found = {*own}
    if flags & guard:
        found.add(Annotation.GUARDED)
    if flags & CONDITIONAL:
        found.add(Annotation.POSSIBLE)
    if flags & TYPE_CHECKING:
        found.add(Annotation.TYPE_CHECKING_ONLY)
    elif flags & IMPORT_TIME:
        found.add(Annotation.IMPORT_TIME)
    return tuple(sorted(found))


def nearest(name: str, names: Collection[str]) -> str | None:
    """The name that was probably meant: the same in another case, else one close enough."""
    for candidate in names:
        if candidate.casefold() == name.casefold():
            return candidate
    found = difflib.get_close_matches(name, _likely(name, names), n=1, cutoff=_CLOSE)
    return found[0] if found else None


def _likely(name: str, names: Collection[str]) -> Iterator[str]:
    """Those that can be close at all: enough of their characters are some of the name's."""
    characters = set(name)
    for candidate in names:
        # The ratio is twice what both have in common by the length of both.
        needed = _CLOSE / 2 * (len(name) + len(candidate))
        if len(candidate) >= needed <= len(name) and sum(map(characters.__contains__, candidate)) >= needed:
            yield candidate
