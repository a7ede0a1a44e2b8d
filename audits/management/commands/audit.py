"""Audits one commit from a terminal. Needs no database and no server."""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from audits.engine.cache import FileFactsStore, MemoryFactsStore, cache_folder
from audits.engine.findings import ProblemKind, Report, Severity, Zone
from audits.engine.git import GitError, GitRepository
from audits.engine.listing import FactsStore
from audits.engine.policy import PolicyError, parse_policy
from audits.engine.registry import RegistryError, read_registry
from audits.engine.report import as_json, as_text
from audits.engine.rules import RULES
from audits.engine.run import audit
from audits.engine.sarif import as_sarif
from audits.management.progress import Bar

EXIT_CLEAN, EXIT_FINDINGS, EXIT_COULD_NOT_AUDIT = 0, 1, 2


class Command(BaseCommand):
    help = (
        "Audit a commit of a git repository. Committed files are read from git, the work tree is not looked at. "
        "Exit status: 0 no finding at or above --fail-on, 1 findings, 2 the audit could not be done."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("path", type=Path, help="a work tree, a .git directory or a bare repository")
        parser.add_argument("--rev", default="", help="commit, tag or branch (default: HEAD)")
        parser.add_argument("--policy", type=Path, help="a policy file (TOML); default: the default policy")
        parser.add_argument(
            "--registry", type=Path, help="the ID types as JSON, to compare the policy's enums with"
        )
        parser.add_argument(
            "--rule", action="append", choices=sorted(RULES), help="only this rule; repeatable"
        )
        parser.add_argument(
            "--zone", action="append", choices=[z.value for z in Zone], help="only this zone; repeatable"
        )
        parser.add_argument("--format", choices=["text", "json", "sarif"], default="text")
        parser.add_argument(
            "--output", type=Path, help="write the report to a file instead of standard output"
        )
        parser.add_argument(
            "--fail-on",
            choices=[s.value for s in Severity],
            default=Severity.P3.value,
            help="the mildest severity that makes the exit status 1 (default: P3, any finding)",
        )

    def handle(self, **options: Any) -> None:
        try:
            report = self._audit(options)
            self._write(report, options["format"], options["output"])
        except (GitError, PolicyError, RegistryError, OSError) as error:
            self.stderr.write(self.style.ERROR(f"Could not audit: {error}"))
            sys.exit(EXIT_COULD_NOT_AUDIT)
        sys.exit(_exit_status(report, Severity(options["fail_on"])))

    def _audit(self, options: dict[str, Any]) -> Report:
        path: Path | None = options["policy"]
        policy = parse_policy(path.read_text("utf-8", "replace") if path else "")
        registry: Path | None = options["registry"]
        repository = GitRepository(options["path"].absolute())
        commit = repository.resolve(options["rev"])
        bar = Bar(sys.stderr)
        try:
            return audit(
                repository,
                commit,
                policy,
                self._store(),
                rules=options["rule"],
                zones=[Zone(z) for z in options["zone"]] if options["zone"] else None,
                registry=read_registry(registry.read_bytes()) if registry else None,
                progress=bar.show,
            )
        finally:
            bar.clear()

    def _store(self) -> FactsStore:
        try:
            return FileFactsStore(cache_folder())
        except OSError as error:
            self.stderr.write(
                f"Facts are not cached ({error}); set SSOT_CACHE_DIR to a folder that can be written."
            )
            return MemoryFactsStore()

    def _write(self, report: Report, style: str, output: Path | None) -> None:
        writers = {"json": as_json, "sarif": as_sarif}
        data = (
            writers[style](report)
            if style in writers
            else as_text(report).encode("utf-8", "backslashreplace")
        )
        if output is None:
            sys.stdout.buffer.write(data)
            sys.stdout.flush()
        else:
            output.write_bytes(data)


def _exit_status(report: Report, fail_on: Severity) -> int:
    if any(p.kind is ProblemKind.RULE_FAILED for p in report.problems):
        return EXIT_COULD_NOT_AUDIT
    return EXIT_FINDINGS if any(f.severity <= fail_on for f in report.findings) else EXIT_CLEAN
