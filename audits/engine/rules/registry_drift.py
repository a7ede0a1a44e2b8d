"""A canonical enum and the ID types of the registry differ.

The policy names the enum. A value that the registry doesn't know is a finding at its member, and so is one whose ID
type is retired; an active ID type that no member has is a finding at the class. Only members whose value is a plain
string can be compared.

Mend it by adding the member, or by adding the ID type in the registry; the registry's export writes the whole enum.
"""

from collections.abc import Callable, Iterator

from audits.engine.codebase import Codebase
from audits.engine.facts import IMPORT_TIME, Class
from audits.engine.findings import Finding
from audits.engine.registry import Registry
from audits.engine.rules.places import Spot, findings_at

NAME = "registry-drift"


def checker(codebase: Codebase) -> Callable[[str], Iterator[Finding]]:
    """Finds the differences between the registry and the enums that a file defines."""
    enums = {entry.enum for entry in codebase.policy.registry}
    registry = codebase.registry

    def check_file(path: str) -> Iterator[Finding]:
        if not enums or registry is None:
            return
        for target, cls in codebase.classes(path):
            name = codebase.class_name(target)
            if name in enums:
                yield from _check_enum(codebase, registry, path, name, cls)

    return check_file


def _check_enum(
    codebase: Codebase, registry: Registry, path: str, name: str, cls: Class
) -> Iterator[Finding]:
    texts = [(member, value, line) for member, value, line in cls.texts if member not in cls.ignored]
    for member, value, line in texts:
        status = registry.status(value)
        if status in {"active", "deprecated"}:
            continue
        words = "is retired in the registry" if status else "is not in the registry"
        spot = Spot(
            rule=NAME,
            subject=f"{name}.{member}",
            member=member,
            message=f"the ID type {value!r} {words}",
            hint="" if status else f"Add the ID type {value!r} to the registry, or take {member} away.",
        )
        yield from findings_at(codebase, path, spot, [(line, cls.column, 0, IMPORT_TIME)], 0)
    known = {value for _, value, _ in texts}
    for value in registry.active:
        if value not in known:
            spot = Spot(
                rule=NAME,
                subject=f"{name} lacks {value!r}",
                member=value,
                message=f"the registry has the active ID type {value!r}, {cls.name} doesn't",
                hint=f'Add {value.upper().replace("-", "_")} = "{value}" to {name}.',
            )
            yield from findings_at(codebase, path, spot, [(cls.line, cls.column, 0, IMPORT_TIME)], 0)
