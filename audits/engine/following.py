"""From tree to tree: what is found at each of many commits, one after the other."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import attrgetter

import msgspec
import zstandard

from audits.engine.facts import Facts, decode
from audits.engine.findings import Finding
from audits.engine.git import Changes, Entry, GitRepository
from audits.engine.listing import is_text, read_text
from audits.engine.live import LiveAudit, TreeChange
from audits.engine.policy import Policy
from audits.engine.registry import Registry
from audits.engine.results import Result
from audits.engine.rules import Rule
from audits.engine.safety import is_safe

UNPARSEABLE = "unparseable"
# Facts that are kept decoded beside those of the tree at hand: a change of branch may want them again.
_MAX_DECODED = 8_000

# Both answer encoded facts by blob, of those that have any: known ones, and those of blobs that are parsed for it.
Known = Callable[[Sequence[str]], Mapping[str, bytes]]
Parse = Callable[[Sequence[str]], Mapping[str, bytes]]


class Step(msgspec.Struct, frozen=True, array_like=True):
    """What changes from one tree to the next: paths that come and go, the blobs of Python files by path (None: it is
    none any more) and the texts that say where sources lie or what is built."""

    added: frozenset[str]
    removed: frozenset[str]
    blobs: dict[str, str | None]
    texts: dict[str, str | None]


class Seen(msgspec.Struct, frozen=True, array_like=True):
    """What a step brought to light.

    ``judged`` are the paths that were judged again or are gone, ``findings`` those of the paths where they are others
    now. Of the step's files, ``read`` are Python files, ``blind`` those of them that can't be looked at, and ``gone``
    are none any more.
    """

    judged: frozenset[str]
    findings: dict[str, tuple[Finding, ...]]
    read: tuple[str, ...]
    blind: tuple[str, ...]
    gone: tuple[str, ...]


def _is_source(path: str, entry: Entry, policy: Policy) -> bool:
    """Whether a path holds Python that a policy looks at."""
    return entry.kind == "file" and path.endswith(".py") and is_safe(path) and not policy.excludes(path)


def step_of(repository: GitRepository, policy: Policy, changes: Changes) -> Step:
    """The step that the differences of two trees make."""
    added: set[str] = set()
    removed: set[str] = set()
    blobs: dict[str, str | None] = {}
    texts: dict[str, str | None] = {}
    for path, (was, now) in changes.items():
        if not is_safe(path):
            continue
        if was is None:
            added.add(path)
        elif now is None:
            removed.add(path)
        if now is not None and _is_source(path, now, policy):
            blobs[path] = now.sha
        elif was is not None and _is_source(path, was, policy):
            blobs[path] = None
        elif is_text(path):
            texts[path] = read_text(repository, now) if now is not None and now.kind == "file" else None
    return Step(frozenset(added), frozenset(removed), blobs, texts)


class Follower:
    """Judges the trees that steps lead to; the first one starts from nothing."""

    def __init__(
        self,
        policy: Policy,
        rules: Collection[Rule],
        registry: Registry | None,
        known: Known,
        unreadable: Iterable[str],
        parse: Parse,
    ) -> None:
        """``unreadable`` are blobs of which no facts can be had; ``parse`` is for those whose facts are damaged or
        lost."""
        self._live = LiveAudit(policy, rules, registry)
        self._known = known
        self._parse = parse
        self._decoded: dict[str, Facts | None] = dict.fromkeys(unreadable)
        self._sources: dict[str, str] = {}
        self._told: dict[str, tuple[Finding, ...]] = {}

    def follow(self, step: Step) -> Seen:
        """Goes to the next tree."""
        facts = self._facts({sha for sha in step.blobs.values() if sha is not None})
        found: dict[str, Facts | None] = {}
        read, blind, gone = [], [], []
        for path, sha in step.blobs.items():
            if sha is None:
                self._sources.pop(path, None)
                gone.append(path)
                found[path] = None
                continue
            self._sources[path] = sha
            known = found[path] = facts.get(sha)
            read.append(path)
            if known is None or known.error is not None:
                blind.append(path)
        judged = self._live.change(TreeChange(step.added, step.removed, found, step.texts))
        return Seen(frozenset(judged), self._news(judged), tuple(read), tuple(blind), tuple(gone))

    def close(self) -> None:
        """To be called in the end: frees the facts at once."""
        self._live.close()

    def _news(self, judged: Iterable[str]) -> dict[str, tuple[Finding, ...]]:
        """The findings of paths that have others now."""
        news = {}
        for path in judged:
            now = self._live.findings.get(path, ())
            if now is not self._told.get(path, ()):
                news[path] = now
                if now:
                    self._told[path] = now
                else:
                    self._told.pop(path, None)
        return news

    def _facts(self, shas: set[str]) -> dict[str, Facts | None]:
        unknown = [sha for sha in shas if sha not in self._decoded]
        if len(self._decoded) > len(self._sources) + _MAX_DECODED:
            kept = shas.union(self._sources.values())
            self._decoded = {
                sha: known for sha, known in self._decoded.items() if known is None or sha in kept
            }
            unknown = [sha for sha in shas if sha not in self._decoded]
        if unknown:
            for sha, data in self._known(unknown).items():
                try:
                    self._decoded[sha] = decode(data)
                except (msgspec.DecodeError, zstandard.ZstdError):
                    continue
            if lost := [sha for sha in unknown if sha not in self._decoded]:
                known = self._parse(lost)
                self._decoded.update((sha, decode(known[sha]) if sha in known else None) for sha in lost)
        return {sha: self._decoded.get(sha) for sha in shas}


def remembered(steps: Iterable[Step], results: Iterable[Result]) -> Iterator[Seen]:
    """The same from what audits found at the trees that the steps lead to."""
    before: dict[str, tuple[Finding, ...]] = {}
    for step, result in zip(steps, results, strict=True):
        read = tuple(path for path, sha in step.blobs.items() if sha is not None)
        unseen = {p.path for p in result.problems if p.kind.hides_findings}
        unseen.update(finding.path for finding in result.findings if finding.rule == UNPARSEABLE)
        now = {path: tuple(found) for path, found in groupby(result.findings, key=attrgetter("path"))}
        news = {p: now.get(p, ()) for p in before.keys() | now.keys() if before.get(p) != now.get(p)}
        yield Seen(
            frozenset((*news, *step.blobs)),  # as if those of the step had been judged
            news,
            read,
            tuple(path for path in read if path in unseen),
            tuple(path for path, sha in step.blobs.items() if sha is None),
        )
        before = now
