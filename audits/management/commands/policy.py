"""Checks a policy from a terminal, and proposes one to begin with."""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from audits.engine.bar import Bar
from audits.engine.cache import facts_store
from audits.engine.git import GitError, GitRepository
from audits.engine.policy import Policy, PolicyError, parse_policy
from audits.engine.reference import reference
from audits.engine.run import codebase_of
from audits.engine.suggestions import suggest

_TABLES = {
    "unique": "canonical definition",
    "family": "family of classes",
    "forbidden": "forbidden symbol",
    "deprecated": "deprecated symbol",
    "base": "required base",
    "literal": "literal with an owner",
    "registry": "enum of ID types",
}


class Command(BaseCommand):
    help = (
        "`policy check FILE`: say whether a policy can be used, and what it declares. `policy suggest PATH`: propose "
        "one to begin with, from what a git repository holds. Exit status 2 when that can't be done."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        kinds = parser.add_subparsers(dest="kind", required=True)
        check = kinds.add_parser("check", help="say whether a policy can be used, and what it declares")
        check.add_argument("file", type=Path)
        suggest = kinds.add_parser("suggest", help="propose a policy to begin with, as a commented file")
        suggest.add_argument("path", type=Path, help="a work tree, a .git directory or a bare repository")
        suggest.add_argument("--rev", default="", help="commit, tag or branch (default: HEAD)")
        suggest.add_argument("--output", type=Path, help="write a file instead of standard output")

        page = kinds.add_parser("reference", help="print the page about policies, docs/policy.md")
        page.add_argument("--write", type=Path, metavar="FILE", help="write it into a file")

    def handle(self, *_: Any, **options: Any) -> None:
        if options["kind"] == "reference":
            if options["write"] is not None:
                options["write"].write_text(reference(), "utf-8")
            else:
                self.stdout.write(reference(), ending="")
        elif options["kind"] == "suggest":
            self._suggest(options["path"], options["rev"], options["output"])
        else:
            self._check(options["file"])

    def _suggest(self, path: Path, rev: str, output: Path | None) -> None:
        bar = Bar(sys.stderr)
        try:
            repository = GitRepository(path.absolute())
            commit = repository.resolve(rev)
            codebase = codebase_of(
                repository, commit, parse_policy(""), facts_store(sys.stderr), progress=bar.show
            )
            suggestion = suggest(codebase, bar.show)
            if output is not None:
                output.write_text(suggestion.text, "utf-8")
        except (GitError, OSError) as error:
            raise CommandError(f"Could not suggest: {error}", returncode=2) from error
        finally:
            bar.clear()
        if output is None:
            self.stdout.write(suggestion.text, ending="")
        self.stderr.write(
            f"Ready to use: {suggestion.ready}; doubtful, marked with #: {suggestion.doubtful}."
        )

    def _check(self, path: Path) -> None:
        try:
            policy = parse_policy(path.read_text("utf-8"))
        except PolicyError as error:
            raise CommandError(f"{path}: {error}", returncode=2) from error
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{path} can't be read: {error}", returncode=2) from error
        self.stdout.write(f"{path}: a policy of version {policy.version}, digest {policy.digest}")
        for table, words in _TABLES.items():
            entries = getattr(policy, table)
            if entries:
                self.stdout.write(f"  {len(entries)} x {words}: {', '.join(map(_subject, entries))}")
        if not any(getattr(policy, table) for table in _TABLES):
            self.stdout.write("  It declares nothing canonical: only the rules that need no policy speak.")
        if policy.source_roots != Policy().source_roots:
            self.stdout.write(f"  source roots: {', '.join(policy.source_roots)}")


def _subject(entry: Any) -> str:
    """What an entry of a table is about."""
    names = ("symbol", "name", "old", "base", "owner", "enum")
    return next(str(getattr(entry, name)) for name in names if hasattr(entry, name))
