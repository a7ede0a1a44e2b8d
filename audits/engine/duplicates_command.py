"""``duplicates`` from a terminal: possible duplicates of a commit's tree.

They are no violations, so it never fails for what it finds.
"""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from audits.engine.bar import Bar
from audits.engine.cache import facts_store
from audits.engine.duplicates import Duplicates, Group, declaration, duplicates
from audits.engine.findings import Zone
from audits.engine.git import GitError, GitRepository
from audits.engine.policy import PolicyError, parse_policy

JSON_SCHEMA = 1
EXIT_DONE, EXIT_COULD_NOT_LOOK = 0, 2
SHOWN = 40
SHOWN_DEFINITIONS = 12

HELP = (
    "List possible duplicates in a commit of a git repository: classes and functions that share a name or have nearly "
    "the same body, in several modules, the most worthwhile first. None of them is a violation until the policy "
    "declares an owner. Exit status: 0, or 2 when it could not be done."
)


def add_arguments(parser: ArgumentParser) -> None:
    """Adds the options of ``duplicates``."""
    parser.add_argument("path", type=Path, help="a work tree, a .git directory or a bare repository")
    parser.add_argument("--rev", default="", help="commit, tag or branch (default: HEAD)")
    parser.add_argument("--policy", type=Path, help="a policy file (TOML), for its zones, roots and limits")
    parser.add_argument(
        "--zone", action="append", choices=[z.value for z in Zone], help="compare only this zone; repeatable"
    )
    parser.add_argument("--format", choices=["text", "json"], default="text")
    parser.add_argument(
        "--top", type=int, default=SHOWN, help=f"how many groups the text shows (default: {SHOWN})"
    )


def run(options: Namespace) -> int:
    """Does what the options say; answers the exit status."""
    bar = Bar(sys.stderr)
    try:
        policy = parse_policy(options.policy.read_text("utf-8", "replace") if options.policy else "")
        repository = GitRepository(options.path.absolute())
        report = duplicates(
            repository,
            repository.resolve(options.rev),
            policy,
            facts_store(sys.stderr),
            zones=[Zone(z) for z in options.zone] if options.zone else None,
            progress=bar.show,
        )
    except (GitError, PolicyError, OSError) as error:
        bar.clear()
        sys.stderr.write(f"Could not look: {error}\n")
        return EXIT_COULD_NOT_LOOK
    bar.clear()
    if options.format == "json":
        data = as_json(report)
    else:
        data = as_text(report, max(options.top, 0)).encode("utf-8", "backslashreplace")
    sys.stdout.buffer.write(data)
    sys.stdout.flush()
    return EXIT_DONE


def as_json(report: Duplicates) -> bytes:
    """The report as indented JSON, schema 1; the same bytes for the same report."""
    value: dict[str, Any] = {
        "schema": JSON_SCHEMA,
        "commit": report.commit,
        "files": report.files,
        "definitions": report.definitions,
        "groups": [
            {
                "relation": group.relation,
                "kind": group.kind,
                "nested": group.nested,
                "score": group.score,
                "policy": declaration(group),
                "definitions": list(group.definitions),
            }
            for group in report.groups
        ],
        "problems": [{"path": p.path, "kind": p.kind, "message": p.message} for p in report.problems],
    }
    return msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n"


def as_text(report: Duplicates, shown: int = SHOWN) -> str:
    """The report for a terminal: the first groups, what could not be looked at, and sums."""
    lines = [line for group in report.groups[:shown] for line in _lines(group)]
    lines.extend(f"could not look at {p.path}: {p.kind}: {p.message}" for p in report.problems)
    lines.append(
        f"commit {report.commit}: {report.files:,} files, {report.definitions:,} definitions,"
        f" {len(report.groups):,} groups of possible duplicates"
        + (f", of which {shown:,} are shown (--top)" if len(report.groups) > shown else "")
    )
    return "\n".join(lines) + "\n"


def _lines(group: Group) -> Iterator[str]:
    what = f"{'nested ' if group.nested else ''}{group.kind} {', '.join(group.names[:4])}"
    yield f"{what}  [{group.relation}]  {len(group.definitions)} places, score {group.score:,}"
    for definition in group.definitions[:SHOWN_DEFINITIONS]:
        alike = "" if definition.likeness is None else f" {definition.likeness:.0%}"
        place = f"{definition.path}:{definition.line}-{definition.end_line}"
        yield f"  {definition.zone:<7} {place} {definition.name} ({definition.tokens:,} tokens{alike})"
    if len(group.definitions) > SHOWN_DEFINITIONS:
        yield f"  and {len(group.definitions) - SHOWN_DEFINITIONS:,} more"
    yield ""
