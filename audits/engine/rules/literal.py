"""A value that has an owner is written out elsewhere.

The policy names the value and the constant that owns it. Only whole strings and numbers count, never a part of one,
no docstring and no text of an f-string.

Mend it by importing the owner.
"""

from collections.abc import Callable, Iterator

from audits.engine.codebase import Codebase
from audits.engine.facts import literals_of
from audits.engine.findings import Finding
from audits.engine.policy import OwnedLiteral, matches
from audits.engine.rules.places import Spot, findings_at

NAME = "literal"


def checker(codebase: Codebase) -> Callable[[str], Iterator[Finding]]:
    """Finds each place of a file that writes out a value with an owner."""
    entries: dict[str | int, list[OwnedLiteral]] = {}
    for entry in codebase.policy.literal:
        entries.setdefault(entry.value, []).append(entry)

    def check_file(path: str) -> Iterator[Finding]:
        if not entries:
            return
        zone = codebase.policy.zone(path)
        module = codebase.dotted(path)
        for literal in literals_of(codebase.facts[path]):
            for entry in entries.get(literal.value, ()):
                if zone not in entry.zones or matches(entry.allow, path):
                    continue
                if entry.owner.rpartition(".")[0] == module and _defines(
                    codebase, path, entry, literal.place[0]
                ):
                    continue
                name = entry.owner.rpartition(".")[2]
                spot = Spot(
                    rule=NAME,
                    subject=f"{entry.owner} = {entry.value!r}",
                    message=f"the value of {name} is written out",
                    hint=f"Use {entry.owner}.",
                )
                yield from findings_at(codebase, path, spot, [literal.place], 0)

    return check_file


def _defines(codebase: Codebase, path: str, entry: OwnedLiteral, line: int) -> bool:
    """Whether a line belongs to the owner's own definition."""
    name = entry.owner.rpartition(".")[2]
    return any(d.name == name and d.line <= line <= d.end_line for d in codebase.facts[path].definitions)
