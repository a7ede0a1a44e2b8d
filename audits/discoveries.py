"""Keeps what was discovered in a repository and is no violation: the only writer of reports of possible duplicates."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from audits import recording
from audits.engine.duplicates import Definition, Duplicates, Group, Relation
from audits.engine.findings import Zone
from audits.models import Audit, DuplicateReport

# More than anybody reads; the command line gives all.
KEPT_GROUPS = 1_000
KEPT_DEFINITIONS = 200
KEPT_PROBLEMS = 100


def record(audit: Audit, report: Duplicates) -> None:
    """Records possible duplicates in place of those known before. To be called in a transaction that has locked the
    repository's row."""
    DuplicateReport.objects.update_or_create(
        repository_id=audit.repository_id,
        defaults={
            "audit": audit,
            "files": report.files,
            "definitions": report.definitions,
            "groups_found": len(report.groups),
            "groups": [_packed(group) for group in report.groups[:KEPT_GROUPS]],
            "problems_found": len(report.problems),
            "problems": [
                [recording.clean(p.path), p.kind, recording.clean(p.message)]
                for p in report.problems[:KEPT_PROBLEMS]
            ],
        },
    )


def groups_of(report: DuplicateReport) -> list[tuple[str, int, Group]]:
    """The recorded groups: a key that stays while the group has the same members, how many definitions it had, and
    the group with the first of them."""
    return [(value["key"], value["places"], _unpacked(value)) for value in report.groups]


def _packed(group: Group) -> dict[str, Any]:
    return {
        "key": _key(group.definitions),
        "relation": group.relation,
        "kind": group.kind,
        "nested": group.nested,
        "score": group.score,
        "places": len(group.definitions),
        "definitions": [
            {**asdict(d), "path": recording.clean(d.path), "symbol": recording.clean(d.symbol)}
            for d in group.definitions[:KEPT_DEFINITIONS]
        ],
    }


def _unpacked(value: dict[str, Any]) -> Group:
    return Group(
        relation=Relation(value["relation"]),
        kind=value["kind"],
        nested=value["nested"],
        score=value["score"],
        definitions=tuple(Definition(**{**d, "zone": Zone(d["zone"])}) for d in value["definitions"]),
    )


def _key(definitions: Sequence[Definition]) -> str:
    text = "\n".join(sorted(f"{d.path}\0{d.name}" for d in definitions))
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:12]
