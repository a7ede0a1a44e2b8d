"""When violations were introduced and when they went: pure functions over audited commits and their ancestry.

Only some commits are audited, so each is compared with its nearest audited ancestors (of all its audited
ancestors those that are no ancestor of another one). A violation is *introduced* at an audited commit that
has it when no nearest audited ancestor has it, and *gone* at one that lacks it when every nearest audited
ancestor had it. So merges come out right: what a merged branch brought was introduced on that branch, what it
mended went there.

Nothing here depends on the order in which audits arrived.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

# A commit's id to the ids of its nearest audited ancestors.
Graph = Mapping[str, frozenset[str]]
IsAncestor = Callable[[str, str], bool]
# A commit's time and id: breaks ties between commits that aren't ancestors of each other.
Order = Callable[[str], tuple[datetime, str]]


@dataclass(frozen=True, slots=True)
class Lifespan:
    """Introduced at one commit, gone at another (None: still there at the branch's furthest audited commit)."""

    introduced: str
    gone: str | None


def ancestry(graph: Graph, commit: str) -> set[str]:
    """The commit and all its audited ancestors."""
    found = {commit}
    pending = [commit]
    while pending:
        new = graph[pending.pop()] - found
        found |= new
        pending.extend(new)
    return found


def insert(
    graph: Graph, commit: str, nearby: Sequence[str], is_ancestor: IsAncestor
) -> dict[str, frozenset[str]]:
    """What changes in ``graph`` when ``commit`` was audited: the new entry, and those of the commits next to it.

    ``nearby`` are all commits of the graph, best those first that are close to the new one in time: then few
    questions to ``is_ancestor(older, newer)``, which reads git, answer for all others.
    """
    children: dict[str, set[str]] = {known: set() for known in graph}
    for child, parents in graph.items():
        for parent in parents:
            children[parent].add(child)

    def closure(start: str, steps: Mapping[str, Collection[str]]) -> Iterator[str]:
        found, pending = {start}, [start]
        while pending:
            current = pending.pop()
            yield current
            new = [step for step in steps[current] if step not in found]
            found.update(new)
            pending.extend(new)

    older: dict[str, bool] = {}  # is an ancestor of the new commit
    newer: dict[str, bool] = {}  # is a descendant of it
    for known in nearby:
        if known not in older:
            older[known] = is_ancestor(known, commit)
            if older[known]:
                for each in closure(known, graph):
                    older[each], newer[each] = True, False
            else:
                older.update((each, False) for each in closure(known, children))
        if known not in newer:
            newer[known] = is_ancestor(commit, known)
            if newer[known]:
                for each in closure(known, children):
                    newer[each], older[each] = True, False
            else:
                newer.update((each, False) for each in closure(known, graph))

    ancestors = {known for known in graph if older[known]}
    descendants = {known for known in graph if newer[known]}
    changes = {commit: frozenset(known for known in ancestors if not children[known] & ancestors)}
    for known in descendants:
        if not graph[known] & descendants:
            changes[known] = (graph[known] - ancestors) | {commit}
    return changes


def furthest(graph: Graph, on_branch: Callable[[str], bool], order: Order) -> str | None:
    """The audited commit that is furthest along the branch; of several that aren't ancestors of each other,
    the last in order.

    ``on_branch`` tells whether a commit is the branch's tip or one of its ancestors; None when no audited
    commit is.
    """
    parents = {parent for each in graph.values() for parent in each}
    pending = [commit for commit in graph if commit not in parents]
    seen = set(pending)
    found: set[str] = set()
    while pending:
        commit = pending.pop()
        if on_branch(commit):
            found.add(commit)
            continue
        new = graph[commit] - seen
        seen |= new
        pending.extend(new)
    behind = {older for commit in found for older in ancestry(graph, commit) - {commit}}
    return max(found - behind, key=order, default=None)


class History:
    """The audited commits from the beginning to ``tip``, to be asked for the lifespans of many violations."""

    def __init__(self, graph: Graph, tip: str, order: Order) -> None:
        self.commits: tuple[str, ...] = tuple(_parents_first(graph, ancestry(graph, tip), order))
        self._position = {commit: position for position, commit in enumerate(self.commits)}
        self._parents = [self.mask(graph[commit]) for commit in self.commits]
        self._cache: dict[tuple[int, int], tuple[Lifespan, ...]] = {}

    def mask(self, commits: Collection[str]) -> int:
        """A set of commits as a number with one bit per commit; commits outside this history have none."""
        position = self._position
        return sum(1 << position[commit] for commit in set(commits) if commit in position)

    def latest(self, seen: int) -> str | None:
        """Of the commits in a mask the one that is furthest along."""
        return self.commits[seen.bit_length() - 1] if seen else None

    def lifespans(self, seen: int, unseen: int = 0) -> tuple[Lifespan, ...]:
        """The lifespans of a violation that the audits in mask ``seen`` saw.

        The audits in ``unseen`` could not look at its file: there it counts as present when it was present
        before, because "could not look" is not "found nothing". What a later merge undid doesn't count as
        gone. Violations with equal histories share the work.
        """
        unseen &= ~seen
        key = (seen, unseen)
        if key not in self._cache:
            self._cache[key] = tuple(self._pair(self._present(seen, unseen)))
        return self._cache[key]

    def _present(self, seen: int, unseen: int) -> int:
        present = seen
        if unseen:
            present = 0
            for position, parents in enumerate(self._parents):
                bit = 1 << position
                if seen & bit or (unseen & bit and parents & present):
                    present |= bit
        return present

    def _pair(self, present: int) -> Iterator[Lifespan]:
        for stretch in self._stretches(present):
            beginnings = [p for p in _bits(stretch) if not self._parents[p] & present]
            if stretch >> (len(self.commits) - 1):
                yield from (Lifespan(self.commits[p], None) for p in beginnings)
                continue
            ends = [p for p in self._after(stretch) if not self._descendants[p] & stretch]
            agreed = [p for p in ends if not self._parents[p] & ~present]
            for beginning in beginnings:
                follows = self._descendants[beginning]
                chosen = [p for p in agreed if follows >> p & 1] or self._first(
                    p for p in ends if follows >> p & 1
                )
                yield from (Lifespan(self.commits[beginning], self.commits[p]) for p in chosen)

    def _stretches(self, present: int) -> list[int]:
        """The connected parts of the commits in a mask, each as a mask, in order of their first commits."""
        stretches: list[int] = []
        for position in _bits(present):
            joined = 1 << position
            apart = []
            for stretch in stretches:
                if stretch & self._parents[position]:
                    joined |= stretch
                else:
                    apart.append(stretch)
            stretches = [*apart, joined]
        return sorted(stretches, key=lambda stretch: stretch & -stretch)

    def _after(self, stretch: int) -> list[int]:
        return [p for p, parents in enumerate(self._parents) if parents & stretch and not stretch >> p & 1]

    def _first(self, positions: Iterator[int]) -> list[int]:
        """Of some commits those that don't come after another one of them."""
        found = list(positions)
        return [p for p in found if not any(self._descendants[other] >> p & 1 for other in found)]

    @cached_property
    def _descendants(self) -> list[int]:
        """For each commit the mask of the commits that come after it."""
        descendants = [0] * len(self.commits)
        for position in range(len(self.commits) - 1, -1, -1):
            from_here = descendants[position] | 1 << position
            for parent in _bits(self._parents[position]):
                descendants[parent] |= from_here
        return descendants


def _bits(mask: int) -> Iterator[int]:
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def _parents_first(graph: Graph, commits: set[str], order: Order) -> Iterator[str]:
    """The commits so that each comes after its parents, and otherwise in the given order."""
    emitted: set[str] = set()
    for start in sorted(commits, key=order):
        pending = [start]
        while pending:
            commit = pending[-1]
            waiting = sorted(graph[commit] - emitted, key=order)
            if waiting:
                pending.extend(reversed(waiting))
            else:
                pending.pop()
                if commit not in emitted:
                    emitted.add(commit)
                    yield commit
