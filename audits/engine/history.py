"""Commits -> when each violation was introduced and when it went, exactly, over the whole graph of commits.

The findings at a commit are those of a full audit of its tree. A violation is introduced at a commit that has it when
no parent has it, and gone at a commit that lacks it when every parent had it; so merges and side branches come out
right. Its identity is the fingerprint that it was introduced under: rule, subject, path, scope and ordinal, never the
line. When a commit renames a file, the violations in it keep their identity.

A file that can't be looked at (its contents are missing, it can't be parsed) keeps the violations that it had, and so
does whatever refers to a definition in such a file: "could not look" is not "gone".
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence, Set
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

import xxhash

from audits.engine.collector import no_collector
from audits.engine.findings import Finding, Progress
from audits.engine.follow_child import Task
from audits.engine.followers import Tour
from audits.engine.following import UNPARSEABLE, Seen, Step, remembered, step_of
from audits.engine.frames import Outcome
from audits.engine.git import Changes, Commit, GitRepository
from audits.engine.listing import FactsStore, ResultStore
from audits.engine.parsing import ParsePool, Share
from audits.engine.policy import Policy
from audits.engine.registry import Registry
from audits.engine.renames import renamed
from audits.engine.results import Result, key_of, recalled
from audits.engine.rules import RULES, Rule

_CHUNK = 2_000
# How many commits of a line are looked at to tell how heavy it is.
_LOOK_AHEAD = 100
# Of how many commits an extended history looks for remembered results: longer ones hardly have them all.
_MAX_REMEMBERED = 20

Counts = Mapping[tuple[str, str], int]


@dataclass(frozen=True, slots=True)
class Change:
    """What a commit did to the violations.

    ``introduced`` and ``gone`` are by identity; ``moved`` are those that a renamed file took along, each with its
    finding at the new place. ``open`` counts violations by (rule, zone) at this commit; ``unseen`` the files that
    could not be looked at.
    """

    commit: Commit
    introduced: tuple[tuple[str, Finding], ...]
    gone: tuple[str, ...]
    moved: tuple[tuple[str, Finding], ...]
    open: Counts
    unseen: int = 0


@dataclass(frozen=True)
class _Placed:
    """The findings of a path at a commit, and the identity of each."""

    findings: tuple[Finding, ...]
    identities: tuple[str, ...]

    @cached_property
    def definitions(self) -> frozenset[str]:
        """The paths of the definitions that the findings are about."""
        return frozenset(f.definition.path for f in self.findings if f.definition is not None)


@dataclass
class _State:
    """The violations at a commit, by path; ``touched`` are the paths where they differ from the first parent's."""

    placed: dict[str, _Placed]
    open: Counter[tuple[str, str]] = field(default_factory=Counter)
    touched: Sequence[str] = ()

    def has(self, identity: str, path: str) -> bool:
        """Whether a violation stands at this commit; ``path`` is where that is likely."""
        likely = self.placed.get(path)
        return (likely is not None and identity in likely.identities) or identity in self._identities

    @cached_property
    def _identities(self) -> set[str]:
        return {identity for placed in self.placed.values() for identity in placed.identities}


_NOWHERE = _State({})


def history(
    repository: GitRepository,
    head: Commit,
    policy: Policy,
    store: FactsStore,
    *,
    rules: Collection[str] | None = None,
    since: Sequence[str] = (),
    workers: int = 2,
    registry: Registry | None = None,
    results: ResultStore | None = None,
    share: Share | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Iterator[Change]:
    """What each commit up to ``head`` did, parents before children.

    ``since`` are commits whose history is known: it begins after them, and what stands there counts as known under
    its present fingerprints. ``results`` remembers whole audits: where all of the few commits after ``since`` were
    audited, nothing is judged again. ``share`` has others parse some of the files. ``progress`` may raise to stop.
    Raises ``GitError`` and ``KeyError`` for an unknown rule.
    """
    progress(Progress("Reading commits", 0, 0))
    log = repository.log(head.sha, since)
    chosen = [RULES[name] for name in (RULES if rules is None else sorted(set(rules)))]
    walk = _Walk(repository, policy, chosen, store, registry)
    boundary = sorted({p for commit in log for p in commit.parents} - {commit.sha for commit in log})
    with no_collector():
        commits = walk.plan(log, boundary, progress)
        if results is not None and since:
            walk.remember([*boundary, *(commit.sha for commit in commits)], results)
        walk.parse(workers, share, progress)
        yield from walk.follow(commits, boundary, workers, progress)


def _in_lines(commits: Sequence[Commit], sizes: Mapping[str, int]) -> list[Commit]:
    """Parents before children, so that the tree of one is near the tree of the one before.

    Where lines part, the lightest comes first (``sizes``: how many files a commit changes): going back from its end
    undoes what it changed, and the merge does that again. In a history of 10,897 commits and 104,000 changes from
    parent to child, 115,900 are followed so, 124,800 when what is merged into another line comes first, and 162,400
    the other way round.
    """
    inside = {commit.sha for commit in commits}
    waiting = {c.sha: sum(parent in inside for parent in dict.fromkeys(c.parents)) for c in commits}
    children: dict[str, list[Commit]] = {}
    for commit in commits:
        for parent in dict.fromkeys(commit.parents):
            children.setdefault(parent, []).append(commit)
    ready = [commit for commit in reversed(commits) if not waiting[commit.sha]]
    result: dict[str, Commit] = {}

    def weight(commit: Commit | None) -> int:
        """What is changed from a commit on, as far as nothing else has to come first."""
        line: dict[str, Commit] = {}
        while commit is not None and len(line) < _LOOK_AHEAD:
            line[commit.sha] = commit
            freed = (
                c for c in children.get(commit.sha, ()) if all(p in result or p in line for p in c.parents)
            )
            commit = next(freed, None)
        # From here a merge changes what its other parents bring, which is known already.
        return sum(sizes[sha] for sha, c in line.items() if len(c.parents) < 2)

    while ready:
        commit = ready.pop()
        result[commit.sha] = commit
        freed = []
        for child in children.get(commit.sha, ()):
            waiting[child.sha] -= 1
            if not waiting[child.sha]:
                freed.append(child)
        ready += sorted(freed, key=weight, reverse=True) if len(freed) > 1 else freed
    return list(result.values())


class _Walk:
    """One walk over commits."""

    def __init__(
        self,
        repository: GitRepository,
        policy: Policy,
        rules: Collection[Rule],
        store: FactsStore,
        registry: Registry | None,
    ) -> None:
        self._repository = repository
        self._policy = policy
        self._rules = rules
        self._store = store
        self._registry = registry
        # What audits found at the stations of the walk; nothing where not all of them were audited.
        self._remembered: list[Result] = []
        # What each commit changes beside its first parent.
        self._changes: dict[tuple[str, str], Changes] = {}
        self._steps: dict[tuple[str, str], Step] = {}
        self._blobs: dict[str, None] = {}
        self._unreadable: set[str] = set()
        # Of the commit at hand: findings and Python files by path, and those that can't be looked at.
        self._findings: dict[str, tuple[Finding, ...]] = {}
        self._sources: set[str] = set()
        self._blind: set[str] = set()
        # The files of all definitions that findings were ever about: hardly one of them can't be looked at.
        self._defining: set[str] = set()
        # Identities that a rename took away from where their fingerprint stands.
        self._moved: set[str] = set()

    def remember(self, stations: Sequence[str], results: ResultStore) -> None:
        """Takes what audits of all these commits found, if it is known: then nothing is judged again."""
        names = [rule.name for rule in self._rules]
        if len(stations) > _MAX_REMEMBERED or UNPARSEABLE not in names:
            return  # only that rule says which files can't be looked at
        found: list[Result] = []
        for sha in stations:
            key = key_of(self._repository.tree_id(sha), self._policy, names, self._registry)
            result = recalled(results, key, self._repository)
            if result is None:
                return
            found.append(result)
        self._remembered = found

    # --- what is to be read ------------------------------------------------------------------------------------

    def plan(
        self, commits: Sequence[Commit], boundary: Sequence[str], progress: Callable[[Progress], None]
    ) -> list[Commit]:
        """Lists what each commit changes beside its first parent, and all blobs that this brings. Answers the commits
        in the order in which they are best followed."""
        sizes: dict[str, int] = {}
        pairs = [("", sha) for sha in boundary]
        pairs += [(commit.parents[0] if commit.parents else "", commit.sha) for commit in commits]
        with closing(self._repository.all_changes(pairs)) as listed:
            for number, (pair, changes) in enumerate(zip(pairs, listed, strict=True)):
                if number % 200 == 0:
                    progress(Progress("Reading commits", number, len(pairs)))
                step = step_of(self._repository, self._policy, changes)
                self._blobs.update((sha, None) for sha in step.blobs.values() if sha is not None)
                self._steps[pair] = step
                if number >= len(boundary):
                    self._changes[pair] = changes
                    sizes[pair[1]] = len(step.blobs)
        return _in_lines(commits, sizes)

    def parse(self, workers: int, share: Share | None, progress: Callable[[Progress], None]) -> None:
        """Parses what no facts are known of; facts go to the store, so that another attempt goes on from there."""
        wanted = list(self._blobs) if not self._remembered else []
        # What others were to parse and did not is left for the second round.
        for sharing in (share, None) if share else (None,):
            missing = self._unknown(wanted)
            done = len(wanted) - len(missing)
            progress(Progress("Reading and parsing", done, len(wanted)))
            for outcomes in self._parsed(missing, workers, sharing):
                done += len(outcomes)
                now = done + (sharing.elsewhere if sharing else 0)
                progress(Progress("Reading and parsing", min(now, len(wanted)), len(wanted)))

    def _unknown(self, shas: Sequence[str]) -> list[str]:
        """Those of which neither facts are kept nor a problem is known."""
        known = set(self._unreadable)
        in_order = sorted(shas)  # as stores have them, so neighbours are found together
        for start in range(0, len(shas), _CHUNK):
            known |= self._store.known(in_order[start : start + _CHUNK])
        return [sha for sha in shas if sha not in known]

    def _parsed(
        self, missing: Sequence[str], workers: int, share: Share | None = None
    ) -> Iterator[list[Outcome]]:
        """Parses blobs, those of them that nobody else parses, and keeps what came of them, batch by batch."""
        if not missing:
            return
        limits = self._policy.limits
        with ParsePool(
            self._repository.path,
            file_bytes=limits.file_bytes,
            file_seconds=limits.file_seconds,
            workers=workers,
        ) as pool:
            for part in share.parts(missing) if share else [missing]:
                for outcomes in pool.parse(part):
                    self._store.put_many({o.sha: o.facts for o in outcomes if not o.problem})
                    self._unreadable.update(o.sha for o in outcomes if o.problem)
                    yield outcomes

    def _parse_again(self, shas: Sequence[str]) -> dict[str, bytes]:
        """For facts that are damaged, or that somebody deleted since they were seen."""
        return {o.sha: o.facts for outcomes in self._parsed(shas, 1) for o in outcomes if not o.problem}

    # --- from commit to commit ---------------------------------------------------------------------------------

    def follow(
        self,
        commits: Sequence[Commit],
        boundary: Sequence[str],
        workers: int,
        progress: Callable[[Progress], None],
    ) -> Iterator[Change]:
        """What each commit did. ``workers`` is how many processes follow parts of the commits."""
        stations = ["", *boundary, *(commit.sha for commit in commits)]
        steps = self._all_steps(list(pairwise(stations)), progress, len(commits))
        if self._remembered:
            yield from self._lives(commits, boundary, remembered(steps, self._remembered))
            return
        task = Task(
            self._policy, tuple(r.name for r in self._rules), self._registry, tuple(sorted(self._unreadable))
        )

        def report() -> None:
            progress(Progress("Following commits", max(tour.done - len(boundary), 0), len(commits)))

        def tree_before(number: int) -> Step:
            changes = self._repository.changes("", stations[number])
            return step_of(self._repository, self._policy, changes)

        with Tour(task, steps, tree_before, self._store, self._parse_again, workers) as tour:
            yield from self._lives(commits, boundary, tour.seen(report))

    def _all_steps(
        self, moves: Sequence[tuple[str, str]], progress: Callable[[Progress], None], commits: int
    ) -> list[Step]:
        """From each station to the next: where that is no child of it, what differs is listed now."""
        leaps = [move for move in moves if move not in self._steps]
        steps = []
        with closing(self._repository.all_changes(leaps)) as listed:
            for number, move in enumerate(moves):
                if number % 200 == 0:
                    progress(Progress("Following commits", 0, commits))
                step = self._steps.pop(move, None)
                steps.append(step or step_of(self._repository, self._policy, next(listed)))
        self._steps.clear()
        return steps

    def _lives(
        self, commits: Sequence[Commit], boundary: Sequence[str], seen: Iterator[Seen]
    ) -> Iterator[Change]:
        states: dict[str, _State] = {}
        waiting = Counter(parent for commit in commits for parent in commit.parents)
        at = ""
        for at in boundary:
            self._take(next(seen))
            states[at] = self._state(at, [], {}, self._all_paths([]))
        for commit in commits:
            was_blind = self._blind.copy()
            judged = self._take(next(seen))
            first = commit.parents[0] if commit.parents else ""
            changes = self._changes.pop((first, commit.sha))
            renames = self._renames(changes, states.get(first, _NOWHERE).placed)
            parents = [states[parent] for parent in commit.parents if parent in states]
            if parents and at == first:
                touched = judged | _held_by(was_blind ^ self._blind, parents[0])
            else:
                touched = self._all_paths(parents) | changes.keys()
            for other in parents[1:]:
                touched |= _held_by(self._blind & self._defining, other)
            state = self._state(commit.sha, parents, renames, touched)
            yield _change(commit, parents, state, len(self._blind))
            at = commit.sha
            states[at] = state
            for parent in commit.parents:
                waiting[parent] -= 1
                if not waiting[parent]:
                    states.pop(parent, None)

    def _renames(self, changes: Changes, before: Mapping[str, _Placed]) -> dict[str, str]:
        """The renamed files whose violations keep their identity: some were there, and are found at the new path."""

        def matters(lost: Collection[str], new: Collection[str]) -> bool:
            had = {_key(finding) for path in lost for finding in before[path].findings}
            return any(_key(finding) in had for path in new for finding in self._findings.get(path, ()))

        return renamed(self._repository, changes, before, matters)

    def _take(self, seen: Seen) -> Set[str]:
        """Takes over what was seen at the next commit; answers the paths that were judged again or are gone."""
        for path, findings in seen.findings.items():
            if findings:
                self._findings[path] = findings
                self._defining.update(f.definition.path for f in findings if f.definition is not None)
            else:
                self._findings.pop(path, None)
        self._sources.difference_update(seen.gone)
        self._sources.update(seen.read)
        self._blind.difference_update(seen.gone, seen.read)
        self._blind.update(seen.blind)
        return seen.judged

    def _all_paths(self, parents: Sequence[_State]) -> Set[str]:
        """The paths with violations here or at the first parent."""
        return {*self._findings, *(parents[0].placed if parents else ())}

    # --- identities ----------------------------------------------------------------------------------------------

    def _state(
        self, sha: str, parents: Sequence[_State], renames: Mapping[str, str], paths: Collection[str]
    ) -> _State:
        """The violations at the commit at hand; ``paths`` are those that can differ from the first parent."""
        first = parents[0] if parents else _NOWHERE
        placed = dict(first.placed)
        counts = Counter(first.open)
        touched = []
        for path in paths:
            old = first.placed.get(path)
            if old is not None and path not in renames and old.findings == self._findings.get(path):
                continue  # each of them is known by its identity
            new = self._placed(path, sha, parents, renames.get(path))
            if new == old:
                continue
            touched.append(path)
            for side, step in ((old, -1), (new, 1)):
                for finding in side.findings if side is not None else ():
                    counts[finding.rule, str(finding.zone)] += step
            if new is None:
                placed.pop(path, None)
            else:
                placed[path] = new
        return _State(placed, counts, sorted(touched))

    def _placed(
        self, path: str, sha: str, parents: Sequence[_State], renamed_from: str | None
    ) -> _Placed | None:
        findings = self._findings.get(path, ())
        before = [p for parent in parents for p in (parent.placed.get(path),) if p is not None]
        if renamed_from is not None and parents and (old := parents[0].placed.get(renamed_from)) is not None:
            before.append(old)
        if path in self._sources and before:
            findings = self._with_unseen(path, findings, before[0])
        if not findings:
            return None
        known: dict[tuple[str, str, str, int], str] = {}
        for side in before:
            for finding, identity in zip(side.findings, side.identities, strict=True):
                known.setdefault(_key(finding), identity)
        identities = tuple(known.get(_key(f)) or self._identity(f, sha) for f in findings)
        if renamed_from is not None:
            self._moved.update(i for f, i in zip(findings, identities, strict=True) if i != f.fingerprint)
        return _Placed(findings, identities)

    def _identity(self, finding: Finding, sha: str) -> str:
        """The identity of a violation that nobody had before: its fingerprint, unless that moved elsewhere."""
        if finding.fingerprint not in self._moved:
            return finding.fingerprint
        return xxhash.xxh3_128_hexdigest(f"{finding.fingerprint}\0{sha}".encode())

    def _with_unseen(self, path: str, findings: tuple[Finding, ...], before: _Placed) -> tuple[Finding, ...]:
        """Beside what was found, what was there before and could not be looked at now."""
        here = path in self._blind
        kept = tuple(
            f
            for f in before.findings
            if f.path == path
            and f.rule != UNPARSEABLE
            and (here or (f.definition is not None and f.definition.path in self._blind))
        )
        if not kept:
            return findings
        seen = {_key(f) for f in findings}
        return (*findings, *(f for f in kept if _key(f) not in seen))


def _held_by(definitions: set[str], state: _State) -> Set[str]:
    """The files with violations that are kept while the definition's file, one of some, can't be looked at."""
    if not definitions:
        return set()
    return {path for path, placed in state.placed.items() if not placed.definitions.isdisjoint(definitions)}


def _key(finding: Finding) -> tuple[str, str, str, int]:
    """What a finding is within its file."""
    return (finding.rule, finding.subject, finding.scope, finding.ordinal)


def _change(commit: Commit, parents: Sequence[_State], state: _State, unseen: int) -> Change:
    first = parents[0] if parents else _NOWHERE
    now: dict[str, Finding] = {}
    was: dict[str, Finding] = {}
    for path in state.touched:
        for side, placed in ((now, state.placed.get(path)), (was, first.placed.get(path))):
            if placed is not None:
                side.update(zip(placed.identities, placed.findings, strict=True))
    others = parents[1:]
    introduced = [
        (identity, finding)
        for identity, finding in now.items()
        if identity not in was and not any(other.has(identity, finding.path) for other in others)
    ]
    gone = [
        identity
        for identity, finding in was.items()
        if identity not in now and all(other.has(identity, finding.path) for other in others)
    ]
    moved = [(i, finding) for i, finding in now.items() if i in was and was[i].path != finding.path]
    return Change(
        commit,
        tuple(sorted(introduced, key=lambda pair: pair[1].order)),
        tuple(sorted(gone)),
        tuple(sorted(moved, key=lambda pair: pair[1].order)),
        {key: count for key, count in sorted(state.open.items()) if count},
        unseen,
    )
