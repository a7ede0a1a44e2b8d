"""A class that lacks the base class that the policy requires of it, or uses what is forbidden there.

The policy states a pattern for class names, the paths (else the test zone), the base, and symbols that must not be
used in these files, such as mocks. The base counts at any depth and through any import. Where a class inherits from
something that the text doesn't tell, the finding is marked ``possible``.

Mend it by inheriting from the base, or by using the real part instead of the forbidden one.
"""

import re
from collections.abc import Callable, Iterator

from audits.engine.codebase import Codebase
from audits.engine.facts import GUARD_ATTRIBUTE, IMPORT_TIME
from audits.engine.findings import Annotation, Finding, Zone
from audits.engine.policy import Base, matches
from audits.engine.rules.places import Spot, findings_at
from audits.engine.symbols import Symbols
from audits.engine.targets import ClassTarget, External, Missing, Target

NAME = "required-base"
_MAX_NAME = 120
_MAX_BASES = 200


def checker(codebase: Codebase) -> Callable[[str], Iterator[Finding]]:
    """Finds each class of a file that lacks a required base, and each use of a symbol that is forbidden beside it."""
    entries = [
        (entry, re.compile(entry.classes), Symbols(codebase, entry.forbid)) for entry in codebase.policy.base
    ]

    def check_file(path: str) -> Iterator[Finding]:
        for entry, pattern, symbols in entries:
            if not _applies(codebase, entry, path):
                continue
            for target, cls in codebase.classes(path):
                if len(cls.name) <= _MAX_NAME and pattern.fullmatch(cls.name):
                    yield from _check_class(codebase, entry, target)
            for use in symbols.uses(path) if entry.forbid else ():
                if use.reference is not None:
                    spot = Spot(
                        rule=NAME,
                        subject=use.symbol,
                        message=f"{use.symbol} must not be used here",
                        annotations=() if use.certain else (Annotation.POSSIBLE,),
                    )
                    yield from findings_at(codebase, path, spot, use.reference.places, GUARD_ATTRIBUTE)

    return check_file


def _applies(codebase: Codebase, entry: Base, path: str) -> bool:
    if matches(entry.allow, path):
        return False
    return matches(entry.paths, path) if entry.paths else codebase.policy.zone(path) is Zone.TEST


def _check_class(codebase: Codebase, entry: Base, target: ClassTarget) -> Iterator[Finding]:
    line = [base for _, base in zip(range(_MAX_BASES), codebase.mro(target), strict=False)]
    if any(_name(codebase, base) == entry.base for base in line):
        return
    cls = codebase.class_facts(target)
    is_certain = all(isinstance(base, ClassTarget | External) for base in line)
    spot = Spot(
        rule=NAME,
        subject=entry.base,
        member=cls.name,
        message=f"{cls.name} doesn't inherit from {entry.base.rpartition('.')[2]}",
        hint=f"Inherit from {entry.base}.",
        annotations=() if is_certain else (Annotation.POSSIBLE,),
    )
    yield from findings_at(codebase, target.path, spot, [(cls.line, cls.column, 0, IMPORT_TIME)], 0)


def _name(codebase: Codebase, base: Target) -> str:
    if isinstance(base, ClassTarget):
        return codebase.class_name(base)
    return base.name if isinstance(base, External | Missing) else ""
