"""One audit: a commit's tree -> facts -> codebase -> rules -> report."""

import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime

import msgspec
import zstandard

from audits.engine.codebase import Codebase
from audits.engine.collector import no_collector
from audits.engine.facts import Facts, decode
from audits.engine.findings import (
    STAGED,
    Finding,
    Problem,
    ProblemKind,
    Progress,
    Report,
    Zone,
    numbered,
)
from audits.engine.git import Commit, Entry, GitRepository, Staged
from audits.engine.judged import RULES as COSTLY_RULES
from audits.engine.judged import JudgedMemory, Judgement, in_zones
from audits.engine.listing import FactsStore, Listing, ResultStore
from audits.engine.modules import Tree
from audits.engine.moves import moves
from audits.engine.parsing import ParsePool, Share
from audits.engine.policy import Policy
from audits.engine.registry import Registry
from audits.engine.results import Result, decoded, elsewhere, encoded, key_of, recalled
from audits.engine.rules import RULES, Rule
from audits.engine.uses import uses
from audits.engine.waivers import weigh

# Changes whenever the same tree and policy could give another report.
ENGINE_VERSION = "4"


class Cancelled(Exception):
    """Raised by a progress callback to stop an audit."""


def audit(
    repository: GitRepository,
    commit: Commit | Staged,
    policy: Policy,
    store: FactsStore,
    *,
    rules: Collection[str] | None = None,
    zones: Collection[Zone] | None = None,
    paths: Collection[str] | None = None,
    workers: int | None = None,
    registry: Registry | None = None,
    results: ResultStore | None = None,
    today: date | None = None,
    share: Share | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Report:
    """The report of one commit, or of what is staged.

    ``rules``, ``zones`` and ``paths`` narrow what is reported (None: all), never what it is judged by; ``workers`` is
    the number of parsing children (None: one a core); ``registry`` is what enums are compared with that the policy
    names; ``results`` remembers whole results; ``today`` is the day on which waivers are judged (None: that of the
    commit, in UTC; of what is staged, the clock's); ``share`` has others parse some of the files. ``progress``
    is called often and may raise ``Cancelled``, which stops the children and passes through. Raises ``GitError`` when
    the tree can't be read and ``KeyError`` for an unknown rule. Equal input gives an equal report. Python's cyclic
    garbage collector is off meanwhile.
    """
    chosen = (
        [RULES[name] for name in RULES] if rules is None else [RULES[name] for name in sorted(set(rules))]
    )
    clock = _Clock()
    progress(Progress("Listing files", 0, 0))
    memory, result = None, None
    if results is not None:
        with clock.phase("known"):
            tree = commit.tree if isinstance(commit, Staged) else repository.tree_id(commit.sha)
            memory = _Memory(
                results,
                store,
                repository,
                policy,
                tuple(rule.name for rule in chosen),
                registry,
                commit,
                tree,
            )
            result = memory.of_tree()
    if result is None:
        with clock.phase("list"), no_collector():
            listing = Listing(repository, _entries(repository, commit), policy)
        if memory is not None:
            with clock.phase("known"):
                result = memory.of_listing(listing)
    if result is None:
        inspection = _Inspection(
            repository,
            policy,
            store,
            registry,
            memory.of_rules(listing) if memory is not None and paths is None else None,
            workers or os.cpu_count() or 1,
            share,
            progress,
        )
        with no_collector():
            result = inspection.result(listing, chosen, paths, clock)
        if memory is not None and paths is None:
            memory.keep(listing, result)
    day = today or _day(commit)
    return Report(
        commit=STAGED if isinstance(commit, Staged) else commit.sha,
        engine=ENGINE_VERSION,
        policy=policy.digest,
        read=result.read,
        parsed=result.parsed,
        findings=tuple(
            f
            for f in result.findings
            if (zones is None or f.zone in zones) and (paths is None or f.path in paths)
        ),
        problems=result.problems,
        waivers=weigh(policy, result.findings, day, rules=rules, is_partial=paths is not None),
        day=day,
        timings=clock.seconds,
        uses=result.uses,
        moves=result.moves,
    )


def codebase_of(
    repository: GitRepository,
    commit: Commit,
    policy: Policy,
    store: FactsStore,
    *,
    workers: int | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Codebase:
    """The modules of a commit, for questions that no rule asks. What could not be looked at is not in it.

    Raises ``GitError``. Equal input gives an equal codebase.
    """
    progress(Progress("Listing files", 0, 0))
    listing = Listing(repository, repository.tree(commit.sha), policy)
    with no_collector():
        facts, _ = _facts(
            repository, listing.sources, policy, store, workers or os.cpu_count() or 1, None, progress
        )
        return Codebase(Tree(facts, listing.paths, listing.texts), policy)


def _day(commit: Commit | Staged) -> date:
    """The day of a commit; what is staged would be committed now."""
    moment = datetime.now(UTC) if isinstance(commit, Staged) else commit.time.astimezone(UTC)
    return moment.date()


def _entries(repository: GitRepository, commit: Commit | Staged) -> Iterable[Entry]:
    return commit.entries if isinstance(commit, Staged) else repository.tree(commit.sha)


def changed_paths(repository: GitRepository, since: Commit, now: Commit | Staged) -> frozenset[str]:
    """The paths that are new or have other contents since the lines of development of two commits parted.

    For what is staged that is since ``since`` itself. Raises ``GitError``.
    """
    if isinstance(now, Staged):
        before = set(repository.tree(since.sha))
        return frozenset(entry.path for entry in now.entries if entry not in before)
    base = repository.merge_base(since.sha, now.sha) or ""
    return frozenset(path for path, (_, new) in repository.changes(base, now.sha).items() if new is not None)


@dataclass(frozen=True, slots=True)
class _Memory:
    """Results of whole audits: by a tree, and by what of it an audit looks at, which other trees may have as well."""

    results: ResultStore
    facts: FactsStore
    repository: GitRepository
    policy: Policy
    rules: tuple[str, ...]
    registry: Registry | None
    commit: Commit | Staged
    tree: str

    def of_tree(self) -> Result | None:
        return recalled(self.results, self._key(self.tree), self.repository)

    def of_listing(self, listing: Listing) -> Result | None:
        """That of a tree which differs in documents and data alone. It is this tree's from now on."""
        key = self._key(listing.digest)
        result = recalled(self.results, key, self.repository)
        if result is not None:
            self.results.put_result(self._key(self.tree), elsewhere(key))
        return result

    def keep(self, listing: Listing, result: Result) -> None:
        data = encoded(result) if result.is_lasting else None
        if data is not None:
            key = self._key(listing.digest)
            self.results.put_result(key, data)
            self.results.put_result(self._key(self.tree), elsewhere(key))

    def of_rules(self, listing: Listing) -> "_RuleMemory":
        judged = JudgedMemory(self.results, self.repository, self.policy, self.commit)
        return _RuleMemory(self.results, self.facts, listing, self.tree, self.policy, self.registry, judged)

    def _key(self, tree: str) -> str:
        return key_of(tree, self.policy, self.rules, self.registry)


@dataclass(frozen=True, slots=True)
class _Inspection:
    """An audit that looks for itself."""

    repository: GitRepository
    policy: Policy
    store: FactsStore
    registry: Registry | None
    memory: "_RuleMemory | None"
    workers: int
    share: Share | None
    progress: Callable[[Progress], None]

    def result(
        self, listing: Listing, rules: Sequence[Rule], paths: Collection[str] | None, clock: "_Clock"
    ) -> Result:
        with clock.phase("facts"):
            facts, problems = _facts(
                self.repository,
                listing.sources,
                self.policy,
                self.store,
                self.workers,
                self.share,
                self.progress,
            )
        absent = {listing.sources[p.path] for p in problems if p.kind is ProblemKind.MISSING_BLOB}
        with clock.phase("resolve"):
            self.progress(Progress("Resolving names", len(facts), len(facts)))
            codebase = Codebase(Tree(facts, listing.paths, listing.texts), self.policy, self.registry)
        if self.policy.registry and self.registry is None:
            words = "the policy names an enum of ID types, but no registry was given to compare it with"
            problems.append(Problem("", ProblemKind.NO_REGISTRY, words))
        findings: list[Finding] = []
        for rule in rules:
            with clock.phase(f"rule {rule.name}"):
                self.progress(Progress(f"Checking {rule.name}", len(facts), len(facts), len(findings)))
                try:
                    if self.memory is not None and rule.name in _READS:
                        findings.extend(self.memory.check(rule, codebase, problems))
                    else:
                        findings.extend(_check(rule, codebase, paths))
                except _BROKEN as error:
                    words = f"the rule {rule.name} failed: {type(error).__name__}: {error}"
                    problems.append(Problem("", ProblemKind.RULE_FAILED, words, rule.name))
        with clock.phase("uses"):
            found_uses = uses(codebase)
        with clock.phase("moves"):
            found_moves = moves(codebase)
        if self.memory is not None:
            with clock.phase("known"):
                self.memory.keep_judged()
        codebase.answers.close()
        return Result(
            findings=numbered(findings),
            problems=tuple(sorted([*listing.problems, *problems], key=lambda p: (p.path, p.kind, p.message))),
            read=len(listing.sources) - sum(1 for p in problems if p.kind in _UNREAD),
            parsed=sum(1 for f in facts.values() if f.error is None),
            absent=tuple(sorted({*listing.absent, *absent})),
            uses=found_uses,
            moves=found_moves,
        )


# What each rule reads of the policy beside what says which files there are. A rule that isn't here is always asked.
_READS: dict[str, tuple[str, ...]] = {
    "missing-member": (),
    "unresolved-import": (),
    "unparseable": (),
    "unique-definition": ("unique",),
    "name-family": ("family",),
    "forbidden-reference": ("forbidden", "zones"),
    "deprecated-symbol": ("deprecated",),
    "required-base": ("base", "zones"),
    "literal": ("literal", "zones"),
    "registry-drift": ("registry",),
}


@dataclass(slots=True)
class _RuleMemory:
    """Findings of single rules for a tree, by what they depend on: an edit of one of the policy's tables changes those
    of one rule, and an edit of its zones mostly only says another zone of each. Where a costly rule has to
    look, it leaves out the files in which it would find what it found in a tree before."""

    results: ResultStore
    facts: FactsStore
    listing: Listing
    tree: str
    policy: Policy
    registry: Registry | None
    judged: JudgedMemory
    _judgement: Judgement | None = None

    def check(self, rule: Rule, codebase: Codebase, problems: Sequence[Problem]) -> Sequence[Finding]:
        policy = self.policy
        read = {name: getattr(policy, name) for name in _READS[rule.name]}
        tables = [entries for name, entries in read.items() if name != "zones"]
        if tables and not any(tables):
            return tuple(rule.check(codebase))  # nothing to look for: that is quickly said
        shape = Policy(source_roots=policy.source_roots, exclude=policy.exclude, limits=policy.limits, **read)
        blind = sorted(f"{p.path}\0{p.kind}" for p in problems if p.path)
        key = key_of(
            self.listing.digest,
            shape,
            ["one", rule.name, *blind, "stopgaps", *self._stopgaps(codebase)],
            self.registry if "registry" in read else None,
        )
        data = self.results.get_result(key)
        known = decoded(data) if data is not None else None
        if known is not None:
            return in_zones(known.findings, self.policy)
        findings = tuple(self._look(rule, codebase))
        if data := encoded(Result(findings, (), 0, 0)):
            self.results.put_result(key, data)
        return findings

    def _look(self, rule: Rule, codebase: Codebase) -> Iterator[Finding]:
        if rule.name not in COSTLY_RULES:
            return rule.check(codebase)
        if self._judgement is None:
            self._judgement = Judgement(
                self.listing, codebase, self.judged.recall(), lambda shas: _kept(self.facts, shas)
            )
        return self._judgement.check(rule)

    def keep_judged(self) -> None:
        """To be called when all rules were asked; forgets the codebase."""
        judged = self._judgement.judged() if self._judgement is not None else None
        self._judgement = None
        if judged is not None:
            self.judged.keep(self.tree, judged)

    def _stopgaps(self, codebase: Codebase) -> list[str]:
        """The files for whose meaning it matters that they are tests: what they set on others counts in them alone."""
        return [
            path
            for path, facts in codebase.facts.items()
            if (facts.patches or facts.installed) and self.policy.zone(path) is Zone.TEST
        ]


def _check(rule: Rule, codebase: Codebase, paths: Collection[str] | None) -> Iterator[Finding]:
    if paths is None:
        yield from rule.check(codebase)
        return
    check_file = rule.checker(codebase)
    for path in sorted(paths):
        if path in codebase.facts:
            yield from check_file(path)


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
        self.seconds[name] = round(self.seconds.get(name, 0) + time.perf_counter() - start, 3)


def _facts(
    repository: GitRepository,
    sources: Mapping[str, str],
    policy: Policy,
    store: FactsStore,
    workers: int,
    share: Share | None,
    progress: Callable[[Progress], None],
) -> tuple[dict[str, Facts], list[Problem]]:
    """The facts of every source path, from the store or freshly parsed, and a problem for each path that has none."""
    wanted = list(dict.fromkeys(sources[path] for path in sorted(sources)))
    known = _kept(store, wanted)
    failures: dict[str, tuple[str, str]] = {}
    progress(Progress("Reading and parsing", len(known), len(wanted)))
    limits = policy.limits
    # What others were to parse and did not is left for the second round.
    for sharing in (share, None) if share else (None,):
        missing = [sha for sha in wanted if sha not in known and sha not in failures]
        if not missing:
            break
        with ParsePool(
            repository.path, file_bytes=limits.file_bytes, file_seconds=limits.file_seconds, workers=workers
        ) as pool:
            for part in sharing.parts(missing) if sharing else [missing]:
                for outcomes in pool.parse(part):
                    fresh = {o.sha: o.facts for o in outcomes if not o.problem}
                    store.put_many(fresh)
                    known.update((sha, decode(data)) for sha, data in fresh.items())
                    failures.update((o.sha, (o.problem, o.words)) for o in outcomes if o.problem)
                    done = len(known) + len(failures) + (sharing.elsewhere if sharing else 0)
                    progress(Progress("Reading and parsing", min(done, len(wanted)), len(wanted)))
        if sharing:
            known |= _kept(store, [sha for sha in missing if sha not in known and sha not in failures])
    facts = {path: known[sha] for path, sha in sorted(sources.items()) if sha in known}
    problems = [
        Problem(path, ProblemKind(failures[sha][0]), failures[sha][1])
        for path, sha in sorted(sources.items())
        if sha in failures
    ]
    return facts, problems


def _kept(store: FactsStore, shas: Sequence[str]) -> dict[str, Facts]:
    known: dict[str, Facts] = {}
    for sha, data in store.get_many(shas).items():
        try:
            known[sha] = decode(data)
        except (msgspec.DecodeError, zstandard.ZstdError):
            continue  # a damaged cache entry is as good as none
    return known
