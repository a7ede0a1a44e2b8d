"""The rules. One rule is one module: its name, its ``check``, and a docstring whose first line is what users read."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType

from audits.engine.codebase import Codebase
from audits.engine.findings import Finding
from audits.engine.rules import missing_member, unparseable, unresolved_import


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as others see it: its name, one line and the whole text about it, and the check."""

    name: str
    summary: str
    description: str
    check: Callable[[Codebase], Iterator[Finding]]


def _rule(module: ModuleType) -> Rule:
    summary, _, description = (module.__doc__ or "").strip().partition("\n\n")
    return Rule(module.NAME, summary.replace("\n", " "), description.strip(), module.check)


RULES: dict[str, Rule] = {
    rule.name: rule for rule in map(_rule, (missing_member, unresolved_import, unparseable))
}
