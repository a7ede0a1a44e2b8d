"""Measures the engine beside something known, in the same run: ratios mean more than seconds."""

import ast
import gc
import multiprocessing
import os
import random
import resource
import time
import warnings
from argparse import ArgumentParser
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from django.core.management.base import BaseCommand, CommandError

from audits.engine.cache import MemoryFactsStore
from audits.engine.findings import Report
from audits.engine.git import Commit, GitError, GitRepository
from audits.engine.history import history
from audits.engine.policy import parse_policy
from audits.engine.run import audit

# Of the versions of files for the floor of a history, and of its commits as followed.
_SAMPLED = 3_000
_FOLLOWED = 400
# Commits before the last one that are audited as if each was pushed.
_PUSHED = 20


class Measure(NamedTuple):
    """Wall seconds; peak resident memory in kB of the process itself and of its largest child; what was found, and the
    bytes that facts take in a store, per blob."""

    seconds: float
    own_memory: int
    child_memory: int
    phases: dict[str, float]
    findings: int
    facts_bytes: int = 0


class Command(BaseCommand):
    help = (
        "Measure. `bench audit PATH`: a cold audit, a policy edit, nothing changed and pushed commits, beside plain "
        "ast.parse of the same files. `bench history PATH`: every commit."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        self.kinds = kinds = parser.add_subparsers(dest="kind", required=True)
        audit_parser = kinds.add_parser("audit", help="audits of one commit")
        audit_parser.add_argument("path", type=Path)
        audit_parser.add_argument("--rev", default="")
        audit_parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
        history_parser = kinds.add_parser("history", help="every commit up to one")
        history_parser.add_argument("path", type=Path)
        history_parser.add_argument("--rev", default="")
        history_parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)

    def handle(self, **options: Any) -> None:
        if options["kind"] == "history":
            self._history(options["path"].absolute(), options["rev"], options["workers"])
        else:
            self._audit(options)

    def _history(self, path: Path, rev: str, workers: int) -> None:
        try:
            commit = GitRepository(path).resolve(rev)
        except GitError as error:
            raise CommandError(str(error)) from error
        (floor,) = _in_fresh_process(_sampled_parse, path, commit.sha, workers)
        cold, cached, alone, followed = _in_fresh_process(_histories, path, commit.sha, workers)
        self.stdout.write(
            f"commit {commit.sha}, {workers} processes\n{'':<28}{'seconds':>9}{'x parse':>9}  MB\n"
        )
        self._line("plain ast.parse, one core*", floor, floor)
        self._line("whole history, cold", cold, floor)
        self._line("whole history, facts known", cached, floor)
        self._line("the same, one process", alone, floor)
        self.stdout.write(
            f"a commit after its parent, {_spread(followed)}\n"
            f"* of {floor.findings:,} of the {cold.findings:,} versions of files, scaled by bytes\n"
        )

    def _audit(self, options: dict[str, Any]) -> None:
        path = options["path"].absolute()
        try:
            commit = GitRepository(path).resolve(options["rev"])
        except GitError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"commit {commit.sha}, {options['workers']} parsing processes\n")
        floor = _in_fresh_process(_plain_parse, path, commit.sha, options["workers"])
        self.stdout.write(f"{'':<28}{'seconds':>9}{'x parse':>9}  MB\n")
        self._line("plain ast.parse, one core", floor[0], floor[0])
        measures = _in_fresh_process(_audits, path, commit.sha, options["workers"])
        for name, measure in zip(_AUDITS, measures, strict=False):
            self._line(name, measure, floor[0])
            for phase, seconds in measure.phases.items():
                self.stdout.write(f"  {phase:<26}{seconds:>9.2f}{seconds / floor[0].seconds:>9.3f}\n")
        cold = measures[0]
        self.stdout.write(f"a pushed commit, {_spread(measures[-1])}\n")
        together = cold.own_memory + options["workers"] * cold.child_memory
        self.stdout.write(
            f"{cold.findings:,} findings; {cold.facts_bytes:,} bytes of facts a blob. MB: peak of the process, plus "
            f"for each parsing child its peak; all processes of the cold audit together at most {together // 1024:,}.\n"
        )

    def _line(self, name: str, measure: Measure, floor: Measure) -> None:
        memory = f"{measure.own_memory // 1024:,}"
        if measure.child_memory:
            memory += f" + {measure.child_memory // 1024:,} a child"
        ratio = measure.seconds / floor.seconds
        self.stdout.write(f"{name:<28}{measure.seconds:>9.2f}{ratio:>9.3f}  {memory}\n")


def _spread(several: Measure) -> str:
    phases = several.phases
    return (
        f"{several.findings:,} of them: p50 {1000 * phases['p50']:.1f} ms, p99 {1000 * phases['p99']:.0f} ms, "
        f"at most {phases['max']:.1f} s"
    )


def _several(seconds: list[float]) -> Measure:
    """Many short works as one measure: the middle, the 99th percentile and the longest are its phases."""
    ordered = sorted(seconds) or [0.0]
    phases = {"p50": ordered[len(ordered) // 2], "p99": ordered[len(ordered) * 99 // 100], "max": ordered[-1]}
    return Measure(sum(seconds), 0, 0, phases, len(seconds))


def _measure(work: Callable[[], Report | None] | Callable[[], None]) -> Measure:
    start = time.perf_counter()
    report = work()
    seconds = time.perf_counter() - start
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    phases = report.timings if report is not None else {}
    return Measure(seconds, own, child, phases, len(report.findings) if report is not None else 0)


def _plain_parse(path: Path, sha: str, workers: int) -> tuple[Measure, ...]:
    """``ast.parse`` of every Python file, collector off, nothing kept: the floor beside which figures are put."""
    repository = GitRepository(path)
    blobs = {e.sha for e in repository.tree(sha) if e.kind == "file" and e.path.endswith(".py")}
    sources = [data for blob in sorted(blobs) if (data := repository.blob(blob)) is not None]
    return (_parse_all(sources),)


def _parse_all(sources: list[bytes]) -> Measure:
    gc.disable()
    warnings.simplefilter("ignore")

    def parse() -> None:
        for source in sources:
            try:
                ast.parse(source)
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                continue

    return _measure(parse)


def _versions(repository: GitRepository, sha: str) -> list[str]:
    """The blobs of all Python files in all commits."""
    blobs: dict[str, None] = {}
    for commit in repository.log(sha):
        for path, (_, now) in repository.changes(
            commit.parents[0] if commit.parents else "", commit.sha
        ).items():
            if now is not None and now.kind == "file" and path.endswith(".py"):
                blobs[now.sha] = None
    return list(blobs)


def _sampled_parse(path: Path, sha: str, workers: int) -> tuple[Measure, ...]:
    """``ast.parse`` of a sample of all versions of all files, scaled to all of them by their bytes."""
    repository = GitRepository(path)
    blobs = _versions(repository, sha)
    sizes = {blob: repository.size(blob) or 0 for blob in blobs}
    chosen = random.Random(sha).sample(blobs, min(len(blobs), _SAMPLED))  # noqa: S311 (a sample, no secret)
    measure = _parse_all([data for blob in chosen if (data := repository.blob(blob)) is not None])
    share = sum(sizes[blob] for blob in chosen) / max(sum(sizes.values()), 1)
    return (measure._replace(seconds=measure.seconds / share, findings=len(chosen)),)


def _histories(path: Path, sha: str, workers: int) -> tuple[Measure, ...]:
    """The whole history without facts, with facts, and with facts in one process; then the time of some commits that
    follow their own parents there."""
    repository = GitRepository(path)
    commit = repository.resolve(sha)
    store = MemoryFactsStore()
    seconds: list[float] = []

    def run(processes: int) -> None:
        seconds.clear()
        last, before = time.perf_counter(), ""
        for change in history(repository, commit, parse_policy(""), store, workers=processes):
            now = time.perf_counter()
            if before and change.commit.parents[:1] == (before,):
                seconds.append(now - last)
            last, before = now, change.commit.sha

    cold, cached, alone = (_measure(partial(run, processes)) for processes in (workers, workers, 1))
    chosen = random.Random(sha).sample(seconds, min(len(seconds), _FOLLOWED))  # noqa: S311 (a sample)
    return cold._replace(findings=len(_versions(repository, sha))), cached, alone, _several(chosen)


# Touches all findings and parses nothing.
_EDIT = 'version = 1\n[zones]\nscript = ["**"]\n'
_TABLE = _EDIT + '[[forbidden]]\nsymbol = "uuid.uuid4"\n'
_AUDITS = ("cold audit", "policy edit: zones", "policy edit: a table", "nothing changed")


def _audits(path: Path, sha: str, workers: int) -> tuple[Measure, ...]:
    repository = GitRepository(path)
    commit = repository.resolve(sha)
    store = MemoryFactsStore()

    def run(policy: str) -> Report:
        return audit(repository, commit, parse_policy(policy), store, workers=workers, results=store)

    cold = _measure(partial(run, ""))
    blobs = sorted({entry.sha for entry in repository.tree(sha)})
    sizes = [len(facts) for facts in store.get_many(blobs).values()]
    edited = _measure(partial(run, _EDIT))
    table = _measure(partial(run, _TABLE))
    again = _measure(partial(run, _TABLE))
    pushed = _several(_pushed(repository, sha, store, workers))
    return cold._replace(facts_bytes=sum(sizes) // max(len(sizes), 1)), edited, table, again, pushed


def _pushed(repository: GitRepository, sha: str, store: MemoryFactsStore, workers: int) -> list[float]:
    """The seconds that audits of the last commits that change Python take, each after the one of its first parent."""
    commit = repository.resolve(sha)
    line: list[tuple[Commit, bool]] = []
    while commit.parents and sum(is_python for _, is_python in line) < _PUSHED:
        changed = repository.changes(commit.parents[0], commit.sha)
        line.append((commit, any(path.endswith(".py") for path in changed)))
        commit = repository.resolve(commit.parents[0])
    results = MemoryFactsStore()
    seconds = []
    for pushed, is_python in [(commit, False), *reversed(line)]:
        work = partial(audit, repository, pushed, parse_policy(""), store, workers=workers, results=results)
        measure = _measure(work)
        if is_python:
            seconds.append(measure.seconds)
    return seconds


def _in_fresh_process(
    work: Callable[[Path, str, int], tuple[Measure, ...]], path: Path, sha: str, workers: int
) -> tuple[Measure, ...]:
    """The measures of work done in a process of its own, so that one measure's memory isn't another's."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(theirs, work, path, sha, workers))
    process.start()
    theirs.close()
    try:
        result: tuple[Measure, ...] = ours.recv()
    except EOFError as error:
        raise CommandError("the measuring process died") from error
    process.join()
    return result


def _answer(
    pipe: Connection,
    work: Callable[[Path, str, int], tuple[Measure, ...]],
    path: Path,
    sha: str,
    workers: int,
) -> None:
    pipe.send(work(path, sha, workers))
