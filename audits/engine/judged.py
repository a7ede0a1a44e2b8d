"""What rules found in the files of a tree, and whether a later tree can have changed that.

While a file is judged, it is noted which *inputs* of the tree that depends on (see ``Modules``, and below). They are
kept beside the findings, and the next audit compares its tree with the one that they were noted in: what was found in a
file that no changed input reaches is found again without a look, hints and the lines of definitions included.

What a finding says depends on inputs of its own: ``#path`` (all that a file's text says), ``=name`` (which files bind a
name, or have a class that is called so) and ``.name`` (which modules are called so).
"""

from array import array
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import count

import msgspec
import xxhash

from audits.engine.builds import BUILD_FILES, Builds
from audits.engine.codebase import Codebase
from audits.engine.facts import Facts
from audits.engine.findings import Finding, severity_of
from audits.engine.git import Commit, GitError, GitRepository, Staged
from audits.engine.listing import Listing, ResultStore
from audits.engine.live import look_alike
from audits.engine.modules import IMPORTABLE, folders_of
from audits.engine.policy import Policy
from audits.engine.results import decoded_by, elsewhere, encoded, followed, key_of
from audits.engine.rules import Rule
from audits.engine.targets import ClassTarget, ModuleTarget

# The rules that ask every file what its names mean, whatever the policy says. They note all that they depend on.
RULES = ("missing-member", "unresolved-import")
# Of so many changed files the old facts are read to see what others see of them; beyond, all files are judged.
_MAX_CHANGED = 2_000
# Among so many commits before one it is looked for a tree that was judged.
_MAX_BACK = 50

# Facts by blob, of those that are known.
FactsOf = Callable[[Sequence[str]], Mapping[str, Facts]]


class Outlook(msgspec.Struct, frozen=True):
    """What a whole tree decides together, in values to be compared with those of another tree.

    ``projects`` are the roots that all files see, ``roots`` those of a folder's project; ``distributions`` are those
    that project files name, own and needed ones; ``installed`` is by reach;
    ``confirmed`` are the modules known to be ours; ``patched`` is a digest of what is set on a module and its classes,
    by the module's path, ``stopgaps`` one of what a file sets for itself alone, by the file's.
    """

    projects: tuple[str, ...]
    roots: dict[str, tuple[str, ...]]
    distributions: tuple[tuple[str, ...], tuple[str, ...]]
    installed: dict[str, tuple[str, ...]]
    confirmed: tuple[str, ...]
    patched: dict[str, str]
    stopgaps: dict[str, str]


class Judged(msgspec.Struct, frozen=True):
    """What ``RULES`` found in a tree.

    ``sources`` are the blobs of all Python files by path, ``unread`` those that could not be looked at; ``others`` are
    the rest of the paths that matter, ``texts`` digests by path. ``findings`` aren't numbered, and only
    those of one rule in one file are in order. ``needs`` holds, for each file, the numbers of the ``inputs`` that what
    was found there depends on, as 32-bit integers.
    """

    sources: dict[str, str]
    unread: tuple[str, ...]
    others: tuple[str, ...]
    texts: dict[str, str]
    outlook: Outlook
    findings: tuple[Finding, ...]
    inputs: tuple[str, ...]
    needs: dict[str, bytes]


_decoder = msgspec.msgpack.Decoder(Judged)


def decoded(data: bytes) -> Judged | None:
    """The value of kept bytes; None when they are damaged."""
    return decoded_by(_decoder, data)


class JudgedMemory:
    """What was found in the trees that were judged last, one record for a line of commits: each audit replaces that
    which it went on from, and the trees of both lead to it."""

    def __init__(
        self, results: ResultStore, repository: GitRepository, policy: Policy, commit: Commit | Staged
    ) -> None:
        self._results = results
        self._repository = repository
        # Zones decide which patches count where, and that is compared.
        self._policy = Policy(source_roots=policy.source_roots, exclude=policy.exclude, limits=policy.limits)
        self._commit = commit
        self._line = ""

    def recall(self) -> Judged | None:
        """What is known of the commit, or of one of those before it; None where nothing is."""
        try:
            for tree in self._trees():
                key, data = followed(self._results, self._key("judged", tree))
                found = decoded(data) if data is not None else None
                if found is not None:
                    self._line = key
                    return found
        except GitError:
            pass  # a shallow clone ends somewhere
        return None

    def keep(self, tree: str, judged: Judged) -> None:
        data = encoded(judged, level=1)
        if data is not None:
            line = self._line or self._key("judged since", tree)
            self._results.put_result(line, data)
            self._results.put_result(self._key("judged", tree), elsewhere(line))

    def _trees(self) -> Iterator[str]:
        """The trees of the commit and of those before it, the nearest first."""
        if isinstance(self._commit, Staged):
            yield self._commit.tree
        pending = [self._repository.resolve() if isinstance(self._commit, Staged) else self._commit]
        seen: set[str] = set()
        while pending and len(seen) < _MAX_BACK:
            commit = pending.pop(0)
            if commit.sha not in seen:
                seen.add(commit.sha)
                yield self._repository.tree_id(commit.sha)
                pending += [self._repository.resolve(parent) for parent in commit.parents]

    def _key(self, kind: str, tree: str) -> str:
        return key_of(tree, self._policy, [kind, *RULES], None)


class Judgement:
    """One judging of a tree by ``RULES``, which leaves out the files in which they would find the same as before."""

    def __init__(
        self, listing: Listing, codebase: Codebase, before: Judged | None, facts_of: FactsOf
    ) -> None:
        self._listing = listing
        self._codebase = codebase
        self._outlook = _outlook(codebase)
        # The numbers of inputs, and of those that matter to the files that aren't judged again.
        known = before.inputs if before is not None else ()
        self._numbers = defaultdict(count(len(known)).__next__, zip(known, count(), strict=False))
        self._needs: dict[str, bytes] = {}
        # By rule and path.
        self._findings: dict[tuple[str, str], list[Finding]] = {}
        if before is not None:
            self._needs = _Comparison(before, listing, codebase, self._outlook, facts_of).unreached()
            for finding in in_zones(before.findings, codebase.policy):
                if finding.path in self._needs:
                    self._findings.setdefault((finding.rule, finding.path), []).append(finding)
        # Of the files that are judged now, what that depends on.
        self._inputs: dict[str, set[str]] = {p: set() for p in codebase.facts if p not in self._needs}
        self._asked: set[str] = set()

    def check(self, rule: Rule) -> Iterator[Finding]:
        """The findings of one of ``RULES``, as ``Rule.check`` gives them."""
        answers = self._codebase.answers
        check_file = rule.checker(self._codebase)
        for path in self._codebase.facts:
            if path in self._inputs:
                with answers.inputs_noted(self._inputs[path]):
                    self._findings[rule.name, path] = list(check_file(path))
            yield from self._findings.get((rule.name, path), ())
        self._asked.add(rule.name)

    def judged(self) -> Judged | None:
        """What is known now; None when not all of the rules were asked."""
        if self._asked != {*RULES}:
            return None
        needs = dict(self._needs)
        for path, inputs in self._inputs.items():
            needs[path] = array("I", map(self._numbers.__getitem__, inputs)).tobytes()
        names, needs = _compact(tuple(self._numbers), needs)
        listing = self._listing
        return Judged(
            sources=listing.sources,
            unread=tuple(path for path in listing.sources if path not in self._codebase.facts),
            others=tuple(listing.paths - listing.sources.keys()),
            texts=_digests(listing.texts),
            outlook=self._outlook,
            findings=tuple(finding for found in self._findings.values() for finding in found),
            inputs=names,
            needs=needs,
        )


def in_zones(findings: Sequence[Finding], policy: Policy) -> list[Finding]:
    """The findings as a policy's zones have them, which may be another one's; nothing else of them depends on zones."""
    zones = {path: policy.zone(path) for path in {finding.path for finding in findings}}
    return [
        f
        if f.zone is zones[f.path]
        else msgspec.structs.replace(
            f, zone=zones[f.path], severity=severity_of(zones[f.path], f.annotations)
        )
        for f in findings
    ]


def _numbers(data: bytes) -> Sequence[int]:
    return memoryview(data).cast("I")


def _compact(names: tuple[str, ...], needs: dict[str, bytes]) -> tuple[tuple[str, ...], dict[str, bytes]]:
    """The same without names that nobody needs any more, when these are half of all."""
    used: set[int] = set()
    for data in needs.values():
        used.update(_numbers(data))
    if 2 * len(used) > len(names):
        return names, needs
    kept = sorted(used)
    numbers = {old: new for new, old in enumerate(kept)}
    return tuple(names[number] for number in kept), {
        path: array("I", [numbers[number] for number in _numbers(data)]).tobytes()
        for path, data in needs.items()
    }


def _outlook(codebase: Codebase) -> Outlook:
    modules = codebase.modules
    named = modules.roots.distributions
    patched: dict[str, list[str]] = {}
    for target, attributes in codebase.patched.items():
        if isinstance(target, ModuleTarget | ClassTarget):  # nothing else can be patched
            patched.setdefault(target.path, []).append(_shown(target, attributes))
    return Outlook(
        projects=modules.roots.projects,
        roots=modules.roots.by_folder,
        distributions=(tuple(sorted(named.own)), tuple(sorted(named.needed))),
        installed={reach: tuple(sorted(names)) for reach, names in modules.installed.items()},
        confirmed=tuple(modules.confirmed),
        patched={path: _digest(*sorted(patches)) for path, patches in patched.items()},
        stopgaps={
            path: _digest(*sorted(_shown(target, attributes) for target, attributes in patches.items()))
            for path, patches in codebase.stopgaps.items()
        },
    )


def _shown(target: object, attributes: Collection[str | None]) -> str:
    return f"{target!r} {sorted(map(repr, attributes))}"


def _digests(texts: Mapping[str, str]) -> dict[str, str]:
    return {path: _digest(text) for path, text in texts.items()}


def _digest(*texts: str) -> str:
    return xxhash.xxh3_128_hexdigest(repr(texts).encode("ascii", "backslashreplace"))


class _Comparison:
    """A tree beside the one that was judged before."""

    def __init__(
        self, before: Judged, listing: Listing, codebase: Codebase, outlook: Outlook, facts_of: FactsOf
    ) -> None:
        self._before = before
        self._listing = listing
        self._codebase = codebase
        self._outlook = outlook
        self._facts_of = facts_of
        self._changed = self._changed_files()
        paths = {*before.sources, *before.others}
        # Paths that came or went.
        self._moved = paths ^ listing.paths
        self._old_paths = paths
        # The inputs that changed, and the folders whose files see other roots or packages now.
        self._inputs: set[str] = set()
        self._folders: set[str] = set()

    def unreached(self) -> dict[str, bytes]:
        """What those files need that no change reaches; nothing where one may reach all of them."""
        was, now = self._before.outlook, self._outlook
        if was.projects != now.projects or len(self._changed) > _MAX_CHANGED:
            return {}
        self._compare_paths()
        self._compare_outlooks()
        if "" in self._folders:
            return {}
        is_built_alike = self._compare_files()
        if not is_built_alike or self._is_built_otherwise():
            self._inputs.add("builds")
        facts = self._codebase.facts
        dirty = self._changed | _differing(was.stopgaps, now.stopgaps)
        if self._folders:
            moved = {path for path in facts if path.startswith(tuple(self._folders))}
            dirty |= moved
            self._inputs |= moved
        numbers = {number for number, name in enumerate(self._before.inputs) if name in self._inputs}
        return {
            path: data
            for path, data in self._before.needs.items()
            if path in facts and path not in dirty and numbers.isdisjoint(_numbers(data))
        }

    def _changed_files(self) -> set[str]:
        """The Python files that are new or gone, have other contents, or were looked at in one of the trees alone."""
        before, sources = self._before.sources, self._listing.sources
        seen = self._codebase.facts.keys()
        changed = {path for path, _ in before.items() ^ sources.items()}
        changed.update(path for path in self._before.unread if path in seen)
        changed.update((sources.keys() - seen).difference(self._before.unread))
        return changed

    def _compare_paths(self) -> None:
        """Which stems may stand for another file, and which folders became packages or ceased to be."""
        for path in self._moved:
            stem, dot, _ = path.rpartition(".")
            folder = path[: path.rfind("/") + 1]
            self._inputs.add(f"?{stem if dot else path}")
            if path[len(folder) :] in {"__init__.py", "__init__.pyi"}:
                self._inputs.add(f"?{folder[:-1]}")
                self._folders.add(folder)
        if any(path.endswith(IMPORTABLE) for path in self._moved):
            _, before = folders_of(self._old_paths)
            _, now = folders_of(self._listing.paths)
            self._inputs.update(f"?{folder[:-1]}" for folder in before ^ now)

    def _compare_outlooks(self) -> None:
        was, now = self._before.outlook, self._outlook
        self._folders |= _differing(was.roots, now.roots)
        self._inputs.update(f"!{path}" for path in set(was.confirmed) ^ set(now.confirmed))
        self._inputs.update(f"@{path}" for path in _differing(was.patched, now.patched))
        if (was.distributions, was.roots) != (now.distributions, now.roots):
            self._inputs.add("distributions")
        if was.installed != now.installed:
            self._inputs.add("installed")

    def _compare_files(self) -> bool:
        """Takes down the files in which others can see a change; answers whether all have the same built."""
        before = self._before.sources
        unread = set(self._before.unread)
        old = self._facts_of(
            [before[path] for path in sorted(self._changed) if path in before and path not in unread]
        )
        is_built_alike = True
        for path in self._changed:
            self._inputs.add(f"#{path}")
            new = self._codebase.facts.get(path)
            was_read = path in before and path not in unread
            known = old.get(before[path]) if was_read else None
            if (was_read and known is None) or not look_alike(known, new):
                self._inputs.add(path)
            for facts in (known, new):
                if facts is not None:
                    self._inputs.update(f"={name}" for name in facts.names)
                    self._inputs.update(f"={cls.name}" for cls in facts.classes)
            if was_read != (new is not None):
                self._inputs.add(f".{self._codebase.dotted(path).rpartition('.')[2]}")
            if was_read and known is None:
                # Nobody knows what it built, and which names it bound.
                is_built_alike = False
                self._inputs.update(name for name in self._before.inputs if name.startswith("="))
            elif (known.built if known is not None else ()) != (new.built if new is not None else ()):
                is_built_alike = False
        return is_built_alike

    def _is_built_otherwise(self) -> bool:
        """Whether paths or texts that came, went or changed may say that something else is built."""
        texts = _differing(self._before.texts, _digests(self._listing.texts))
        if any(path[path.rfind("/") + 1 :] in BUILD_FILES for path in texts):
            return True
        if any(Builds.cares_for(path) for path in self._moved):
            return True
        moved = {path[: path.rfind("/") + 1] for path in self._moved if path.endswith(".py")}
        builds = self._codebase.modules.builds
        return builds.ignores and any(builds.may_ignore(folder) for folder in moved)


def _differing(one: Mapping[str, object], other: Mapping[str, object]) -> set[str]:
    """The keys that only one of two has, or that have other values."""
    return {key for key in one.keys() | other.keys() if one.get(key) != other.get(key)}
