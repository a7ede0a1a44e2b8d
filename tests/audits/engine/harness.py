"""A test of the engine is source in, findings out, nothing else: no git, no database, no child process."""

from collections.abc import Mapping
from textwrap import dedent

from audits.engine.codebase import Codebase
from audits.engine.extraction import extract
from audits.engine.findings import Finding, numbered
from audits.engine.modules import Tree
from audits.engine.policy import parse_policy
from audits.engine.registry import Registry
from audits.engine.rules import RULES

Files = Mapping[str, str | bytes]
Seen = tuple[str, str, str, str]


def codebase_of(files: Files, policy: str = "", registry: Registry | None = None) -> Codebase:
    """The codebase of a tree with these files (path: source; indented sources are dedented)."""
    contents = {
        path: text if isinstance(text, bytes) else dedent(text).encode() for path, text in files.items()
    }
    facts = {path: extract(data) for path, data in sorted(contents.items()) if path.endswith(".py")}
    texts = {p: d.decode() for p, d in contents.items() if not p.endswith(".py")}
    return Codebase(Tree(facts, frozenset(files), texts), parse_policy(policy), registry)


def findings_of(
    files: Files, *rules: str, policy: str = "", registry: Registry | None = None
) -> tuple[Finding, ...]:
    """All findings, or those of some rules, in report order."""
    codebase = codebase_of(files, policy, registry)
    return numbered([finding for name in rules or RULES for finding in RULES[name].check(codebase)])


def found(files: Files, *rules: str, policy: str = "", registry: Registry | None = None) -> list[Seen]:
    """(rule, path:line, subject, annotations joined by blanks) of each finding, in report order."""
    return [
        (f.rule, f"{f.path}:{f.line}", f.subject, " ".join(f.annotations))
        for f in findings_of(files, *rules, policy=policy, registry=registry)
    ]
