"""Code that goes around a canonical service by using a forbidden symbol.

The policy names the symbol (``os.environ``, ``uuid.uuid4``, ``builtins.print``), what to use instead and who may use
it all the same. Uses are found through imports, aliases, re-exports and star imports; each use is a finding. An
import alone is one where the file doesn't use what it imports: it hands it on, or it is a leftover.

Mend it by using what the policy names instead, or by allowing the path in the policy when it is the canonical
service itself.
"""

from collections.abc import Callable, Iterator

import msgspec

from audits.engine.codebase import Codebase
from audits.engine.facts import GUARD_ATTRIBUTE, GUARD_IMPORT
from audits.engine.findings import Annotation, Finding
from audits.engine.policy import Forbidden, matches
from audits.engine.rules.places import Spot, findings_at, place_of
from audits.engine.symbols import Symbols, Use

NAME = "forbidden-reference"


def checker(codebase: Codebase) -> Callable[[str], Iterator[Finding]]:
    """Finds each use of a forbidden symbol in a file."""
    entries: dict[str, list[Forbidden]] = {}
    for entry in codebase.policy.forbidden:
        entries.setdefault(entry.symbol, []).append(entry)
    symbols = Symbols(codebase, entries)

    def check_file(path: str) -> Iterator[Finding]:
        if not entries:
            return
        zone = codebase.policy.zone(path)
        here = {
            symbol: entry
            for symbol, known in entries.items()
            for entry in known
            if zone in entry.zones and not matches(entry.allow, path)
        }
        uses = [use for use in symbols.uses(path) if use.symbol in here] if here else []
        used = {use.symbol for use in uses if use.reference is not None}
        for use in uses:
            yield from _findings(codebase, path, here[use.symbol], use, used)

    return check_file


def _findings(codebase: Codebase, path: str, entry: Forbidden, use: Use, used: set[str]) -> Iterator[Finding]:
    short = entry.symbol.removeprefix("builtins.")
    spot = Spot(
        rule=NAME,
        subject=entry.symbol,
        message=f"{short} is used here",
        hint=f"Use {entry.instead} instead." if entry.instead else "",
        annotations=() if use.certain else (Annotation.POSSIBLE,),
    )
    if use.reference is not None:
        yield from findings_at(codebase, path, spot, use.reference.places, GUARD_ATTRIBUTE)
    elif use.item is not None and entry.symbol not in used:
        spot = msgspec.structs.replace(spot, message=f"{short} is imported here")
        yield from findings_at(codebase, path, spot, [place_of(use.item)], GUARD_IMPORT)
