"""Canonical subjects: what a policy gives an owner, and which of them a finding is about.

A canonical subject is named by the symbol that owns it (``app.core.ids.IDType``), or by its family (``family execution
engines``). A definition that members are missing from is one too, whether a policy names it or not.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from audits.engine.policy import Policy

# Rules whose subject says by itself which definition it is about, also one that no policy names.
TELLING = ("missing-member", "registry-drift")
_WHOLE = {
    "unique-definition",
    "forbidden-reference",
    "deprecated-symbol",
    "required-base",
    "unresolved-import",
}


@dataclass(frozen=True, slots=True)
class Canon:
    """The canonical subjects of a policy: by name the tables that declare it, and by symbol that a base forbids the
    base."""

    tables: dict[str, tuple[str, ...]]
    forbidden: dict[str, str]

    def owner(self, rule: str, subject: str) -> str:
        """The canonical subject that a violation is about, empty when it is about none."""
        name = _named(rule, subject)
        if rule == "required-base":
            name = self.forbidden.get(name, name)
        if rule == "unresolved-import" and name not in self.tables:
            name = name.rpartition(".")[0]
        return name if name in self.tables or rule in TELLING else ""


def canon_of(policy: Policy) -> Canon:
    """What a policy declares."""
    tables: dict[str, tuple[str, ...]] = {}
    for name, table in _declared(policy):
        if table not in tables.get(name, ()):
            tables[name] = (*tables.get(name, ()), table)
    forbidden = {symbol: entry.base for entry in reversed(policy.base) for symbol in entry.forbid}
    return Canon(tables, forbidden)


def _declared(policy: Policy) -> Iterator[tuple[str, str]]:
    yield from ((entry.symbol, "unique") for entry in policy.unique)
    yield from ((f"family {entry.name}", "family") for entry in policy.family)
    yield from ((entry.symbol, "forbidden") for entry in policy.forbidden)
    yield from ((entry.old, "deprecated") for entry in policy.deprecated)
    yield from ((entry.base, "base") for entry in policy.base)
    yield from ((entry.owner, "literal") for entry in policy.literal)
    yield from ((entry.enum, "registry") for entry in policy.registry)


def _named(rule: str, subject: str) -> str:
    """What the rule's subject names, see the rules."""
    if rule in _WHOLE:
        return subject
    if rule == "name-family":
        return f"family {subject.partition(': ')[0]}"
    if rule == "literal":
        return subject.partition(" = ")[0]
    if rule == "registry-drift" and " lacks " in subject:
        return subject.partition(" lacks ")[0]
    return subject.rpartition(".")[0] if rule in TELLING else ""
