"""A reference to a member that the resolved enum does not define.

The class is resolved through imports, aliases and re-exports to (module, class), never by name: twenty enums may be
called ``Status``. Where fallback imports leave several candidates, a finding that only some of them cause is marked
``possible``.

Mend it by naming the member that was meant, by adding it to the enum, or by importing the enum that has it: the
hint says which of these the tree suggests.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from audits.engine.codebase import Codebase
from audits.engine.enums import EnumClass, Enums
from audits.engine.facts import (
    FROM,
    GUARD_ATTRIBUTE,
    GUARD_KEY,
    IMPORT,
    IMPORT_TOP,
    OPAQUE,
    Expr,
    Facts,
    Reference,
)
from audits.engine.findings import Annotation, Finding, Place
from audits.engine.rules.places import Spot, findings_at, nearest
from audits.engine.targets import (
    NOTHING,
    ClassTarget,
    External,
    Missing,
    ModuleTarget,
    Target,
    Targets,
    Unknown,
)

NAME = "missing-member"


def checker(codebase: Codebase) -> Callable[[str], Iterator[Finding]]:
    """Finds each place of a file that reads a member its enum lacks."""
    enums = Enums(codebase)

    def check_file(path: str) -> Iterator[Finding]:
        facts = codebase.facts[path]
        modules = codebase.imported_modules(path)
        roots: dict[tuple[tuple[int, ...], str], _Root] = {}
        for reference in facts.references:
            expr = reference.expr
            if not expr.attributes and reference.key is None:
                continue
            key = (expr.candidates, expr.root)
            root = roots.get(key)
            if root is None:
                root = _OUTSIDE
                if not _is_from_outside(facts, modules, expr):
                    root = _Root.of(enums, codebase.root(path, expr))
                roots[key] = root
            # Most are functions of modules, methods of classes: only what is read of that could be an enum's.
            if root.targets and (root.owners or len(expr.attributes) > 1 or reference.key is not None):
                yield from _check_reference(codebase, enums, path, reference, root)

    return check_file


class _Root(NamedTuple):
    """What the root of references can mean, nothing where that can't lead to an enum, and the enums among it."""

    targets: Targets
    owners: list[EnumClass]

    @classmethod
    def of(cls, enums: Enums, targets: Targets) -> "_Root":
        return cls(targets, _enums_of(enums, targets)) if _can_hold_enums(targets) else _OUTSIDE


_OUTSIDE = _Root(NOTHING, [])
_HOLDERS = (ModuleTarget, ClassTarget)


def _check_reference(
    codebase: Codebase, enums: Enums, path: str, reference: Reference, root: _Root
) -> Iterator[Finding]:
    targets, owners = root
    attributes = reference.expr.attributes
    for number, name in enumerate(attributes, start=1):
        missing = [o for o in owners if o.lacks(name) and not codebase.is_patched(path, o.target, name)]
        if missing:
            yield from _findings(codebase, enums, path, reference, name, targets, missing, GUARD_ATTRIBUTE)
            return
        if any(name in owner.members for owner in owners):
            return
        if number == len(attributes) and reference.key is None:
            return  # whatever it is, nothing is read of it
        targets, owners = _Root.of(enums, codebase.step(targets, name))
        if not targets:
            return
    if reference.key is not None:
        missing = [o for o in owners if o.lacks_key(reference.key)]
        if missing:
            yield from _findings(codebase, enums, path, reference, reference.key, targets, missing, GUARD_KEY)


def _is_from_outside(facts: Facts, modules: Sequence[Target], expr: Expr) -> bool:
    """Whether the root of an expression was imported from outside the tree, so that there is no need to ask."""
    if len(expr.candidates) != 1 or expr.candidates[0] == OPAQUE:
        return False
    binding = facts.bindings[expr.candidates[0]]
    return binding.kind in {IMPORT, IMPORT_TOP, FROM} and isinstance(modules[binding.index], External)


def _can_hold_enums(targets: Targets) -> bool:
    """Whether an attribute can lead to an enum: what lies outside the tree never leads back into it."""
    return any(isinstance(t, _HOLDERS) for t in targets)


def _enums_of(enums: Enums, targets: Targets) -> list[EnumClass]:
    """The enums among the candidates; none when one of the candidates is something that the text doesn't tell."""
    found = []
    for target in targets:
        if isinstance(target, Unknown):
            return []
        if isinstance(target, ClassTarget) and (known := enums.get(target)) is not None:
            found.append(known)
    return sorted(found, key=lambda e: (e.name, e.target.path, e.target.key))


def _findings(
    codebase: Codebase,
    enums: Enums,
    path: str,
    reference: Reference,
    member: str,
    targets: Targets,
    missing: list[EnumClass],
    guard: int,
) -> Iterator[Finding]:
    owner = missing[0]
    certain = sum(1 for t in targets if not isinstance(t, Missing)) == len(missing)
    cls = codebase.class_facts(owner.target)
    codebase.answers.use(f"#{owner.target.path}")
    spot = Spot(
        rule=NAME,
        subject=f"{owner.name}.{member}",
        member=member,
        message=_message(owner, member, certain, others=[t for t in targets if t != owner.target]),
        hint=_hint(codebase, enums, owner, member),
        definition=Place(owner.target.path, cls.line, cls.column),
        annotations=() if certain else (Annotation.POSSIBLE,),
    )
    yield from findings_at(codebase, path, spot, reference.places, guard)


def _message(owner: EnumClass, member: str, certain: bool, others: list[Target]) -> str:
    short = owner.name.rpartition(".")[2]
    if certain or not others:
        return f"{short} has no member {member}"
    return f"{short} has no member {member} where it comes from {owner.name.rpartition('.')[0]}"


def _hint(codebase: Codebase, enums: Enums, owner: EnumClass, member: str) -> str:
    if not codebase.gives_hints:
        return ""
    close = nearest(member, owner.members)
    if close:
        return f"Did you mean {close}?"
    short = owner.name.rpartition(".")[2]
    elsewhere = [e for e in enums.named(short) if e.target != owner.target and member in e.members]
    if elsewhere:
        return f"{elsewhere[0].name} has {member}: wrong import?"
    if 0 < len(owner.members) <= 12:
        return f"It has {', '.join(owner.members)}. Add {member} there, or use one of these."
    return f"Add {member} to {owner.name}, or use one of its {len(owner.members)} members."
