"""Where the members of a registered enum are defined and named: what an edit of an ID type would reach.

The enums are those that the policy names under ``[[registry]]``. Names resolve as in every rule, through imports,
aliases and re-exports. Only members whose value is a plain string belong to an ID type.
"""

from collections.abc import Iterator, Mapping

from audits.engine.codebase import Codebase
from audits.engine.facts import Reference
from audits.engine.findings import Use
from audits.engine.targets import ClassTarget


def uses(codebase: Codebase) -> tuple[Use, ...]:
    """All uses of a tree, in the order of value, path and line; none when the policy names no enum."""
    names = {entry.enum for entry in codebase.policy.registry}
    enums: dict[ClassTarget, dict[str, str]] = {}
    found: list[Use] = []
    for path in codebase.facts if names else ():
        for target, cls in codebase.classes(path):
            if codebase.class_name(target) not in names:
                continue
            texts = [(member, value, line) for member, value, line in cls.texts if member not in cls.ignored]
            enums[target] = {member: value for member, value, _ in texts}
            for member, value, line in texts:
                found.append(_use(codebase, path, target, member, value, (line, 0, 0), is_definition=True))
    members = {member for texts in enums.values() for member in texts}
    for path, facts in codebase.facts.items() if members else ():
        for reference in facts.references:
            # most references name nothing that could be a member
            if reference.key in members or not members.isdisjoint(reference.expr.attributes):
                found.extend(_uses_of(codebase, enums, path, reference))
    return tuple(sorted(found))


def _uses_of(
    codebase: Codebase, enums: Mapping[ClassTarget, Mapping[str, str]], path: str, reference: Reference
) -> Iterator[Use]:
    targets = codebase.root(path, reference.expr)
    steps = [*reference.expr.attributes, *([reference.key] if reference.key is not None else [])]
    for position, name in enumerate(steps):
        owners = [t for t in targets if isinstance(t, ClassTarget) and name in enums.get(t, ())]
        if owners:
            owner = min(owners, key=lambda target: (target.path, target.key))
            for line, column, scope, _ in reference.places:
                yield _use(codebase, path, owner, name, enums[owner][name], (line, column, scope))
            return
        if position < len(reference.expr.attributes):
            targets = codebase.step(targets, name)


def _use(
    codebase: Codebase,
    path: str,
    owner: ClassTarget,
    member: str,
    value: str,
    place: tuple[int, int, int],
    *,
    is_definition: bool = False,
) -> Use:
    line, column, scope = place
    return Use(
        value=value,
        path=path,
        line=line,
        column=column,
        scope=codebase.facts[path].scopes[scope] if not is_definition else "",
        zone=codebase.policy.zone(path),
        enum=codebase.class_name(owner),
        member=member,
        is_definition=is_definition,
    )
