"""A file that no supported Python can parse.

It can't be imported, and whatever else is wrong in it stays unseen: no other rule looks inside. A file that a newer
Python than the one running the audit could parse is not a finding but a problem of the audit, and listed as one.

Mend it by correcting the syntax at the named line; leftovers of a merge conflict are a frequent cause.
"""

from collections.abc import Callable, Iterator

from audits.engine.codebase import Codebase
from audits.engine.facts import GUARD_IMPORT, IMPORT_TIME
from audits.engine.findings import Finding
from audits.engine.rules.places import Spot, findings_at

NAME = "unparseable"


def checker(codebase: Codebase) -> Callable[[str], Iterator[Finding]]:
    """Finds a file whose facts are an error."""

    def check_file(path: str) -> Iterator[Finding]:
        error = codebase.facts[path].error
        if error is None:
            return
        line, message = error
        spot = Spot(
            rule=NAME,
            subject=codebase.dotted(path) or path,
            message=f"can't be parsed: {message}",
            hint=f"Correct the syntax at line {line}; until then nothing else in this file is checked.",
        )
        yield from findings_at(codebase, path, spot, [(line, 0, 0, IMPORT_TIME)], GUARD_IMPORT)

    return check_file
