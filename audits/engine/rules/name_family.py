"""A class of a family that has its owners, by its name, outside of them.

The policy states a pattern for the names of classes with one responsibility (``.*ExecutionEngine(Factory)?``) and
the classes that own it. Any other class whose whole name matches is a finding, whatever it inherits from.

Mend it by using an owner, by renaming a class that does something else, or by adding an owner to the policy.
"""

import re
from collections.abc import Callable, Iterator

from audits.engine.codebase import Codebase
from audits.engine.facts import IMPORT_TIME
from audits.engine.findings import Finding
from audits.engine.policy import matches
from audits.engine.rules.places import Spot, findings_at

NAME = "name-family"
# Longer names than anybody reads: what a pattern costs grows with them.
_MAX_NAME = 120


def checker(codebase: Codebase) -> Callable[[str], Iterator[Finding]]:
    """Finds each class of a family outside of its owners in a file."""
    families = [(entry, re.compile(entry.pattern)) for entry in codebase.policy.family]

    def check_file(path: str) -> Iterator[Finding]:
        for entry, pattern in families:
            if matches(entry.allow, path):
                continue
            for target, cls in codebase.classes(path):
                if len(cls.name) > _MAX_NAME or not pattern.fullmatch(cls.name):
                    continue
                name = codebase.class_name(target)
                if name in entry.owners:
                    continue
                spot = Spot(
                    rule=NAME,
                    subject=f"{entry.name}: {cls.name}",
                    message=f"class {cls.name} belongs to the family {entry.name}",
                    hint=f"Its owners: {', '.join(entry.owners)}.",
                )
                yield from findings_at(codebase, path, spot, [(cls.line, cls.column, 0, IMPORT_TIME)], 0)

    return check_file
