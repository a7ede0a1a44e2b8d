"""A canonical name that is defined again elsewhere.

The policy names the one definition. Another class, function or value of the same name on the top level of any other
module is a finding; a re-export and another name for the canonical one aren't definitions.

Mend it by importing the canonical definition, or by giving the other one a name of its own.
"""

from collections.abc import Callable, Iterator

from audits.engine.codebase import Codebase
from audits.engine.facts import FUNCTION, IMPORT_TIME
from audits.engine.findings import Finding, Place
from audits.engine.policy import Unique, matches
from audits.engine.rules.places import Spot, findings_at

NAME = "unique-definition"


def checker(codebase: Codebase) -> Callable[[str], Iterator[Finding]]:
    """Finds each further definition of a canonical name in a file."""
    entries: dict[str, list[Unique]] = {}
    for entry in codebase.policy.unique:
        entries.setdefault(entry.symbol.rpartition(".")[2], []).append(entry)

    def check_file(path: str) -> Iterator[Finding]:
        if not entries:
            return
        for name, kind, line, column in definitions(codebase, path):
            for entry in entries.get(name, ()):
                if kind not in entry.kinds or matches(entry.allow, path):
                    continue
                if _dotted(codebase, path, name) == entry.symbol:
                    continue
                place = _definition(codebase, entry.symbol)
                yield from _finding(codebase, path, entry, kind, (line, column), place)

    return check_file


def definitions(codebase: Codebase, path: str) -> Iterator[tuple[str, str, int, int]]:
    """(name, kind, line, column) of what a module defines on its top level."""
    facts = codebase.facts[path]
    for cls in facts.classes:
        if cls.qualname == cls.name:
            yield cls.name, "class", cls.line, cls.column
    for definition in facts.definitions:
        kind = "function" if definition.kind == FUNCTION else "constant"
        yield definition.name, kind, definition.line, definition.column


def _dotted(codebase: Codebase, path: str, name: str) -> str:
    module = codebase.dotted(path)
    return f"{module}.{name}" if module else name


def _definition(codebase: Codebase, symbol: str) -> Place | None:
    """Where the canonical definition stands, if the tree has it."""
    module, _, name = symbol.rpartition(".")
    for path in codebase.paths_of(module):
        codebase.answers.use(f"#{path}")
        for found, _, line, column in definitions(codebase, path):
            if found == name:
                return Place(path, line, column)
    return None


def _finding(
    codebase: Codebase, path: str, entry: Unique, kind: str, position: tuple[int, int], place: Place | None
) -> Iterator[Finding]:
    name = entry.symbol.rpartition(".")[2]
    spot = Spot(
        rule=NAME,
        subject=entry.symbol,
        message=f"another {kind} {name}",
        hint=f"Import {name} from {entry.symbol.rpartition('.')[0]}."
        if place
        else f"The policy names {entry.symbol}, which this tree doesn't define.",
        definition=place,
    )
    yield from findings_at(codebase, path, spot, [(*position, 0, IMPORT_TIME)], 0)
