"""A file that no supported Python can parse.

It can't be imported, and whatever else is wrong in it stays unseen: no other rule looks inside. A file that a newer
Python than the one running the audit could parse is not a finding but a problem of the audit, and listed as one.

Mend it by correcting the syntax at the named line; leftovers of a merge conflict are a frequent cause.
"""

from collections.abc import Iterator

from audits.engine.codebase import Codebase
from audits.engine.facts import GUARD_IMPORT, IMPORT_TIME
from audits.engine.findings import Finding
from audits.engine.rules.places import Spot, findings_at

NAME = "unparseable"


def check(codebase: Codebase) -> Iterator[Finding]:
    """Yields a finding for each file whose facts are an error."""
    for path, facts in codebase.facts.items():
        if facts.error is None:
            continue
        line, message = facts.error
        spot = Spot(
            rule=NAME,
            subject=codebase.dotted(path) or path,
            message=f"can't be parsed: {message}",
            hint=f"Correct the syntax at line {line}; until then nothing else in this file is checked.",
        )
        yield from findings_at(codebase, path, spot, [(line, 0, 0, IMPORT_TIME)], GUARD_IMPORT)
