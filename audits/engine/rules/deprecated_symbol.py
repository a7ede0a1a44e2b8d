"""An old symbol or module that is still used although the policy names a new one.

Each import of it is a finding, and each reference that reaches it through a module or a class. What follows from a
direct import isn't counted again. Every path to the symbol counts: aliases, re-exports, star imports.

Mend it by using the new symbol. Where the policy states a deadline, the finding names it.
"""

from collections.abc import Callable, Iterator

from audits.engine.codebase import Codebase
from audits.engine.facts import GUARD_ATTRIBUTE, GUARD_IMPORT
from audits.engine.findings import Annotation, Finding
from audits.engine.moves import is_within
from audits.engine.policy import Deprecated, matches
from audits.engine.rules.places import Spot, findings_at, place_of
from audits.engine.symbols import Symbols, Use

NAME = "deprecated-symbol"


def checker(codebase: Codebase) -> Callable[[str], Iterator[Finding]]:
    """Finds each use of a deprecated symbol in a file."""
    entries = {entry.old: entry for entry in codebase.policy.deprecated}
    symbols = Symbols(codebase, entries)

    def check_file(path: str) -> Iterator[Finding]:
        if not entries:
            return
        for use in symbols.uses(path):
            entry = entries[use.symbol]
            if not matches(entry.allow, path) and not is_within(codebase.dotted(path), entry.old):
                yield from _findings(codebase, path, entry, use)

    return check_file


def _findings(codebase: Codebase, path: str, entry: Deprecated, use: Use) -> Iterator[Finding]:
    due = f" (to be gone by {entry.deadline})" if entry.deadline else ""
    spot = Spot(
        rule=NAME,
        subject=entry.old,
        message=f"{entry.old} is deprecated{due}",
        hint=f"Use {entry.new}." if entry.new else "",
        annotations=() if use.certain else (Annotation.POSSIBLE,),
    )
    if use.item is not None:
        yield from findings_at(codebase, path, spot, [place_of(use.item)], GUARD_IMPORT)
    elif use.reference is not None and not use.own:
        yield from findings_at(codebase, path, spot, use.reference.places, GUARD_ATTRIBUTE)
