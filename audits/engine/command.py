"""``audit`` from a terminal, a CI job or a pre-commit hook: options in, a report and an exit status out.

Needs no database, no server and no Django: ``python -m audits.engine audit`` and ``manage.py audit`` are both this.
"""

import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from audits.engine.bar import Bar
from audits.engine.baseline import BaselineError, Comparison, Past, baseline_of, compared, read_baseline
from audits.engine.cache import FileFactsStore, MemoryFactsStore, facts_store
from audits.engine.findings import ProblemKind, Report, Severity, Zone
from audits.engine.git import Commit, GitError, GitRepository, Staged
from audits.engine.policy import Policy, PolicyError, parse_policy
from audits.engine.registry import Registry, RegistryError, read_registry
from audits.engine.report import as_json, as_text
from audits.engine.rules import RULES
from audits.engine.run import audit, changed_paths
from audits.engine.sarif import as_sarif
from audits.engine.tree_policy import policy_or_default

EXIT_CLEAN, EXIT_FINDINGS, EXIT_COULD_NOT_AUDIT = 0, 1, 2

HELP = (
    "Audit a commit of a git repository, or what is staged. Committed or staged contents are read from git, files of "
    "the work tree are not looked at. Exit status: 0 no finding at or above --fail-on (with --baseline: no new one; "
    "waived ones don't count), 1 findings, or a waiver that expired or has grown, 2 the audit could not be done."
)


def add_arguments(parser: ArgumentParser) -> None:
    """Adds the options of ``audit``."""
    parser.add_argument("path", type=Path, help="a work tree, a .git directory or a bare repository")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--rev", default="", help="commit, tag or branch (default: HEAD)")
    which.add_argument("--staged", action="store_true", help="what the next commit would hold")
    parser.add_argument(
        "--policy",
        type=Path,
        help="a policy file (TOML); default: .ssot.toml of what is audited, else the default policy",
    )
    parser.add_argument(
        "--registry", type=Path, help="the ID types as JSON, to compare the policy's enums with"
    )
    parser.add_argument("--rule", action="append", choices=sorted(RULES), help="only this rule; repeatable")
    parser.add_argument(
        "--zone", action="append", choices=[z.value for z in Zone], help="only this zone; repeatable"
    )
    parser.add_argument(
        "--changed-since",
        metavar="REV",
        help="only files that changed since this line of development parted from REV; with --staged: since REV",
    )
    parser.add_argument(
        "--baseline",
        metavar="FILE|REV",
        help="an older JSON report, or a revision, which is audited as well: only what is new beside it fails",
    )
    parser.add_argument("--format", choices=["text", "json", "sarif"], default="text")
    parser.add_argument("--output", type=Path, help="write the report to a file instead of standard output")
    parser.add_argument(
        "--fail-on",
        choices=[s.value for s in Severity],
        default=Severity.P3.value,
        help="the mildest severity that makes the exit status 1 (default: P3, any finding)",
    )
    parser.add_argument(
        "--today",
        type=date.fromisoformat,
        metavar="YYYY-MM-DD",
        help="the day on which the policy's waivers are judged (default: the commit's; with --staged: this one)",
    )


def run(options: Namespace) -> int:
    """Does what the options say; answers the exit status."""
    try:
        report, comparison = _Asked.of(options).audit(options)
        _write(report, comparison, options.format, options.output)
    except (BaselineError, GitError, PolicyError, RegistryError, OSError) as error:
        sys.stderr.write(f"Could not audit: {error}\n")
        return EXIT_COULD_NOT_AUDIT
    return _exit_status(report, comparison, Severity(options.fail_on))


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the audits of one call have in common."""

    repository: GitRepository
    now: Commit | Staged
    policy: Policy
    registry: Registry | None
    rules: Collection[str] | None
    zones: Collection[Zone] | None
    store: FileFactsStore | MemoryFactsStore
    today: date | None

    @classmethod
    def of(cls, options: Namespace) -> "_Asked":
        registry = read_registry(options.registry.read_bytes()) if options.registry else None
        zones = [Zone(z) for z in options.zone] if options.zone else None
        repository = GitRepository(options.path.absolute())
        now: Commit | Staged
        now = repository.staged(_index_file()) if options.staged else repository.resolve(options.rev)
        if options.policy is None:
            policy = policy_or_default(repository, now)
        else:
            policy = parse_policy(options.policy.read_text("utf-8", "replace"))
        store = facts_store(sys.stderr)
        return cls(repository, now, policy, registry, options.rule, zones, store, options.today)

    def audit(self, options: Namespace) -> tuple[Report, Comparison | None]:
        now = self.now
        paths: Collection[str] | None = None
        if options.changed_since is not None:
            paths = changed_paths(self.repository, self.repository.resolve(options.changed_since), now)
        baseline = self._baseline(options) if options.baseline is not None else None
        report = self._report(now, paths)
        if baseline is None:
            return report, None
        return report, compared(report, baseline, rules=self.rules, zones=self.zones, paths=paths)

    def _baseline(self, options: Namespace) -> tuple[Past, ...]:
        file = Path(options.baseline)
        if file.is_file():
            return read_baseline(file.read_bytes())
        try:
            commit = self.repository.resolve(options.baseline)
        except GitError as error:
            if error.code == "empty-repository" and options.staged:
                return ()  # the first commit: all that it brings is new
            if error.code == "unknown-revision":
                words = f"{options.baseline!r} is neither a file nor a commit, tag or branch"
                raise BaselineError(words) from error
            raise
        return baseline_of(self._report(commit, None))

    def _report(self, what: Commit | Staged, paths: Collection[str] | None) -> Report:
        bar = Bar(sys.stderr)
        try:
            return audit(
                self.repository,
                what,
                self.policy,
                self.store,
                rules=self.rules,
                zones=self.zones,
                paths=paths,
                registry=self.registry,
                results=self.store,
                today=self.today,
                progress=bar.show,
            )
        finally:
            bar.clear()


def _index_file() -> Path | None:
    """The index that git prepared for a hook: ``git commit --all`` and ``git commit PATH`` make one of their own."""
    name = os.environ.get("GIT_INDEX_FILE")
    return Path(name).absolute() if name else None


def _write(report: Report, comparison: Comparison | None, style: str, output: Path | None) -> None:
    writers: dict[str, Callable[[Report, Comparison | None], bytes]] = {"json": as_json, "sarif": as_sarif}
    if style in writers:
        data = writers[style](report, comparison)
    else:
        data = as_text(report, comparison).encode("utf-8", "backslashreplace")
    if output is None:
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
    else:
        output.write_bytes(data)


def _exit_status(report: Report, comparison: Comparison | None, fail_on: Severity) -> int:
    if any(p.kind is ProblemKind.RULE_FAILED for p in report.problems):
        return EXIT_COULD_NOT_AUDIT
    failing = [f.severity for f in report.counting if comparison is None or comparison.is_new(f)]
    failing += [waived.severity for waived in report.waivers if waived.fails]
    return EXIT_FINDINGS if any(severity <= fail_on for severity in failing) else EXIT_CLEAN
