"""How evidence is put: numbers, places and names.

Texts mark commits as ``{commit:<id>}`` and times as ``{time:<ISO 8601>}``, for pages to make links and local times of.
"""

from collections.abc import Iterable

from audits.verdicts.dossier import Dossier, Moment, Place

# Of a long list of names in a text.
_SHOWN = 5


def when(moment: Moment) -> str:
    return f"{{commit:{moment.sha}}}, {{time:{moment.time.isoformat()}}}"


def many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def accepted(dossier: Dossier) -> str:
    count = len(dossier.accepted)
    return f"{many_places(count)} {are(count)} accepted for a while, not gone: {places_of(dossier.accepted)}."


def many_places(count: int) -> str:
    return many(count, "place")


def are(count: int) -> str:
    return "is" if count == 1 else "are"


def were(count: int) -> str:
    return "was" if count == 1 else "were"


def stand(count: int) -> str:
    return "stands" if count == 1 else "stand"


def names_of(names: Iterable[str]) -> str:
    found = list(names)
    more = f" and {len(found) - _SHOWN:,} more" if len(found) > _SHOWN else ""
    return ", ".join(found[:_SHOWN]) + more


def last_part(dotted: str) -> str:
    return dotted.rpartition(".")[2]


def tests_of(names: Iterable[str]) -> str:
    """Names of tests without the modules that they stand in."""
    return names_of(name.rpartition("::")[2] for name in names)


def numbers_of(numbers: Iterable[int]) -> str:
    return ", ".join(f"#{number}" for number in sorted(numbers))


def places_of(places: Iterable[Place]) -> str:
    return names_of(sorted(f"{place.path}:{place.line}" for place in places))
