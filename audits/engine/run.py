"""One audit: a commit's tree -> facts -> codebase -> rules -> report."""

import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager

import msgspec
import zstandard

from audits.engine.codebase import Codebase
from audits.engine.facts import Facts, decode
from audits.engine.findings import Finding, Problem, ProblemKind, Progress, Report, Zone, numbered
from audits.engine.git import Commit, GitRepository
from audits.engine.listing import FactsStore, Listing
from audits.engine.modules import Tree
from audits.engine.parsing import ParsePool
from audits.engine.policy import Policy
from audits.engine.registry import Registry
from audits.engine.rules import RULES

# Changes whenever the same tree and policy could give another report.
ENGINE_VERSION = "2"


class Cancelled(Exception):
    """Raised by a progress callback to stop an audit."""


def audit(
    repository: GitRepository,
    commit: Commit,
    policy: Policy,
    store: FactsStore,
    *,
    rules: Collection[str] | None = None,
    zones: Collection[Zone] | None = None,
    workers: int | None = None,
    registry: Registry | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Report:
    """The report of one commit.

    ``rules`` and ``zones`` narrow what is reported (None: all); ``workers`` is the number of parsing children
    (None: one a core); ``registry`` is what enums are compared with that the policy names. ``progress`` is called
    often and may raise ``Cancelled``, which stops the children and passes through. Raises ``GitError`` when the tree
    can't be read and ``KeyError`` for an unknown rule. Equal input gives an equal report.
    """
    chosen = (
        [RULES[name] for name in RULES] if rules is None else [RULES[name] for name in sorted(set(rules))]
    )
    clock = _Clock()
    with clock.phase("list"):
        progress(Progress("Listing files", 0, 0))
        listing = Listing(repository, commit, policy)
    with clock.phase("facts"):
        facts, problems = _facts(
            repository, listing.sources, policy, store, workers or os.cpu_count() or 1, progress
        )
    with clock.phase("resolve"):
        progress(Progress("Resolving names", len(facts), len(facts)))
        codebase = Codebase(Tree(facts, listing.paths, listing.texts), policy, registry)
    if policy.registry and registry is None:
        words = "the policy names an enum of ID types, but no registry was given to compare it with"
        problems.append(Problem("", ProblemKind.NO_REGISTRY, words))
    findings: list[Finding] = []
    for rule in chosen:
        with clock.phase(f"rule {rule.name}"):
            progress(Progress(f"Checking {rule.name}", len(facts), len(facts), len(findings)))
            try:
                findings.extend(rule.check(codebase))
            except _BROKEN as error:
                words = f"the rule {rule.name} failed: {type(error).__name__}: {error}"
                problems.append(Problem("", ProblemKind.RULE_FAILED, words))
    numbers = numbered(findings)
    return Report(
        commit=commit.sha,
        engine=ENGINE_VERSION,
        policy=policy.digest,
        read=len(listing.sources) - sum(1 for p in problems if p.kind in _UNREAD),
        parsed=sum(1 for f in facts.values() if f.error is None),
        findings=tuple(f for f in numbers if zones is None or f.zone in zones),
        problems=tuple(sorted([*listing.problems, *problems], key=lambda p: (p.path, p.kind, p.message))),
        timings=clock.seconds,
    )


# What a broken rule raises: it must not hide what the others found. Whatever else comes (a time limit, no memory)
# is no fault of the rule and ends the audit.
_BROKEN = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NameError,
    RuntimeError,
    TypeError,
    ValueError,
)
_UNREAD = {ProblemKind.MISSING_BLOB, ProblemKind.TOO_LARGE}


class _Clock:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - start, 3)


def _facts(
    repository: GitRepository,
    sources: Mapping[str, str],
    policy: Policy,
    store: FactsStore,
    workers: int,
    progress: Callable[[Progress], None],
) -> tuple[dict[str, Facts], list[Problem]]:
    """The facts of every source path, from the store or freshly parsed, and a problem for each path that has none."""
    wanted = list(dict.fromkeys(sources[path] for path in sorted(sources)))
    known: dict[str, Facts] = {}
    for sha, data in store.get_many(wanted).items():
        try:
            known[sha] = decode(data)
        except (msgspec.DecodeError, zstandard.ZstdError):
            continue  # a damaged cache entry is as good as none
    missing = [sha for sha in wanted if sha not in known]
    failures: dict[str, tuple[str, str]] = {}
    progress(Progress("Reading and parsing", len(known), len(wanted)))
    limits = policy.limits
    if missing:
        with ParsePool(
            repository.path, file_bytes=limits.file_bytes, file_seconds=limits.file_seconds, workers=workers
        ) as pool:
            for outcomes in pool.parse(missing):
                fresh = {o.sha: o.facts for o in outcomes if not o.problem}
                store.put_many(fresh)
                known.update((sha, decode(data)) for sha, data in fresh.items())
                failures.update((o.sha, (o.problem, o.words)) for o in outcomes if o.problem)
                progress(Progress("Reading and parsing", len(known) + len(failures), len(wanted)))
    facts = {path: known[sha] for path, sha in sorted(sources.items()) if sha in known}
    problems = [
        Problem(path, ProblemKind(failures[sha][0]), failures[sha][1])
        for path, sha in sorted(sources.items())
        if sha in failures
    ]
    return facts, problems
