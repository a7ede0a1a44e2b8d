"""Audits the whole history of a repository from a terminal: when each violation came, and when it went."""

import os
import sys
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from django.core.management.base import BaseCommand

from audits.engine.bar import Bar
from audits.engine.cache import FileFactsStore, cache_folder
from audits.engine.findings import Finding
from audits.engine.git import GitError, GitRepository
from audits.engine.history import Change, Counts, history
from audits.engine.policy import PolicyError, parse_policy
from audits.engine.registry import RegistryError, read_registry
from audits.engine.rules import RULES
from audits.engine.tree_policy import policy_or_default

JSON_SCHEMA = 1
EXIT_COULD_NOT_AUDIT = 2
_TOP = 15


@dataclass(slots=True)
class _Lives:
    """Where a violation was introduced and where it went."""

    finding: Finding
    introduced: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)


class Command(BaseCommand):
    help = (
        "Audit every commit up to a revision: when each violation was introduced and when it went. "
        "The first run parses all versions of all files; they are cached, so later runs only follow the commits."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("path", type=Path, help="a work tree, a .git directory or a bare repository")
        parser.add_argument("--rev", default="", help="commit, tag or branch (default: HEAD)")
        parser.add_argument(
            "--policy",
            type=Path,
            help="a policy file (TOML); default: .ssot.toml of the newest commit, else the default policy",
        )
        parser.add_argument("--registry", type=Path, help="the ID types as JSON, for the rule registry-drift")
        parser.add_argument(
            "--rule", action="append", choices=sorted(RULES), help="only this rule; repeatable"
        )
        parser.add_argument("--format", choices=["text", "json"], default="text")

    def handle(self, **options: Any) -> None:
        bar = Bar(sys.stderr)
        try:
            policy_path, registry_path = options["policy"], options["registry"]
            repository = GitRepository(options["path"].absolute())
            head = repository.resolve(options["rev"])
            if policy_path is None:
                policy = policy_or_default(repository, head)
            else:
                policy = parse_policy(policy_path.read_text("utf-8", "replace"))
            changes = history(
                repository,
                head,
                policy,
                FileFactsStore(cache_folder()),
                rules=options["rule"],
                workers=os.cpu_count() or 1,
                registry=read_registry(registry_path.read_bytes()) if registry_path else None,
                progress=bar.show,
            )
            lives: dict[str, _Lives] = {}
            series: list[Change] = []
            for change in changes:
                _take(change, lives)
                series.append(change)
        except (GitError, PolicyError, RegistryError, OSError) as error:
            bar.clear()
            self.stderr.write(self.style.ERROR(f"Could not audit: {error}"))
            sys.exit(EXIT_COULD_NOT_AUDIT)
        bar.clear()
        if options["format"] == "json":
            sys.stdout.buffer.write(_as_json(head.sha, lives, series))
        else:
            self.stdout.write("\n".join(_as_text(head.sha, lives, series)))


def _take(change: Change, lives: dict[str, _Lives]) -> None:
    for identity, finding in change.introduced:
        lives.setdefault(identity, _Lives(finding)).introduced.append(change.commit.sha)
    for identity in change.gone:
        lives[identity].gone.append(change.commit.sha)
    for identity, finding in change.moved:
        lives[identity].finding = finding


def _zones(counts: Counts) -> dict[str, dict[str, int]]:
    rules: dict[str, dict[str, int]] = {}
    for (rule, zone), count in counts.items():
        rules.setdefault(rule, {})[zone] = count
    return rules


def _as_json(head: str, lives: dict[str, _Lives], series: Iterable[Change]) -> bytes:
    changes = list(series)
    value = {
        "schema": JSON_SCHEMA,
        "head": head,
        "commits": len(changes),
        "violations": [
            {
                "fingerprint": identity,
                "rule": life.finding.rule,
                "subject": life.finding.subject,
                "path": life.finding.path,
                "introduced": life.introduced,
                "gone": life.gone,
            }
            for identity, life in lives.items()
        ],
        "series": [
            {"commit": c.commit.sha, "time": c.commit.time.isoformat(), "open": _zones(c.open)}
            for c in changes
        ],
    }
    return msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n"


def _as_text(head: str, lives: dict[str, _Lives], series: list[Change]) -> Iterator[str]:
    yield f"commit {head}: {len(series):,} commits, {len(lives):,} violations ever"
    last = series[-1] if series else None
    if last is not None:
        yield "open now:"
        for rule, zones in _zones(last.open).items():
            yield f"  {rule}: " + ", ".join(f"{zone} {count:,}" for zone, count in zones.items())
        if last.unseen:
            yield f"  {last.unseen:,} files could not be looked at; what was known of them stays"
    for title, count in (("most introduced by", _introduced), ("most removed by", _gone)):
        yield f"\n{title}:"
        for change in sorted(series, key=count, reverse=True)[:_TOP]:
            if count(change):
                commit = change.commit
                when = f"{commit.time:%Y-%m-%d %H:%M}"
                yield f"  {count(change):>6,}  {commit.sha[:9]} {when} {commit.author}: {commit.subject[:70]}"
    subjects = Counter(life.finding.subject for life in lives.values())
    yield "\nsubjects with the most violations ever:"
    for subject, number in subjects.most_common(_TOP):
        yield f"  {number:>6,}  {subject}"


def _introduced(change: Change) -> int:
    return len(change.introduced)


def _gone(change: Change) -> int:
    return len(change.gone)
