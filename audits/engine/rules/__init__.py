"""The rules. One rule is one module: its name, its ``checker``, and a docstring whose first line is what users read."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType

from audits.engine.codebase import Codebase
from audits.engine.findings import Finding
from audits.engine.rules import (
    deprecated_symbol,
    forbidden_reference,
    literal,
    missing_member,
    name_family,
    registry_drift,
    required_base,
    unique_definition,
    unparseable,
    unresolved_import,
)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as others see it: its name, one line and the whole text about it.

    ``checker`` makes, for a codebase, the function that finds what is wrong in one file of it.
    """

    name: str
    summary: str
    description: str
    checker: Callable[[Codebase], Callable[[str], Iterator[Finding]]]

    def check(self, codebase: Codebase) -> Iterator[Finding]:
        """The findings of all files."""
        check_file = self.checker(codebase)
        for path in codebase.facts:
            yield from check_file(path)


def _rule(module: ModuleType) -> Rule:
    summary, _, description = (module.__doc__ or "").strip().partition("\n\n")
    return Rule(module.NAME, summary.replace("\n", " "), description.strip(), module.checker)


RULES: dict[str, Rule] = {
    rule.name: rule
    for rule in map(
        _rule,
        (
            missing_member,
            unresolved_import,
            unparseable,
            unique_definition,
            name_family,
            forbidden_reference,
            deprecated_symbol,
            required_base,
            literal,
            registry_drift,
        ),
    )
}
