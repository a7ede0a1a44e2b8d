"""Measures the engine beside something known, in the same run: ratios mean more than seconds."""

import ast
import gc
import multiprocessing
import os
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
from audits.engine.git import GitError, GitRepository
from audits.engine.policy import parse_policy
from audits.engine.run import audit


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
        "Measure. `bench audit PATH`: a cold audit, a policy edit and nothing changed, beside plain ast.parse of the "
        "same files."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        kinds = parser.add_subparsers(dest="kind", required=True)
        audit_parser = kinds.add_parser("audit", help="audits of one commit")
        audit_parser.add_argument("path", type=Path)
        audit_parser.add_argument("--rev", default="")
        audit_parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)

    def handle(self, **options: Any) -> None:
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
        for name, measure in zip(_AUDITS, measures, strict=True):
            self._line(name, measure, floor[0])
            for phase, seconds in measure.phases.items():
                self.stdout.write(f"  {phase:<26}{seconds:>9.2f}{seconds / floor[0].seconds:>9.3f}\n")
        cold = measures[0]
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


def _measure(work: Callable[[], Report | None]) -> Measure:
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
    gc.disable()
    warnings.simplefilter("ignore")

    def parse() -> None:
        for source in sources:
            try:
                ast.parse(source)
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                continue

    return (_measure(parse),)


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
    return cold._replace(facts_bytes=sum(sizes) // max(len(sizes), 1)), edited, table, again


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
