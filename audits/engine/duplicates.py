"""Possible duplicates: definitions that share a name or look alike, in several modules of one tree.

A report to discover from, never a list of violations: until somebody declares an owner in the policy, two things of
one name are nobody's fault. The work grows with the number of definitions, not with its square: each body is compared
with the few that share one of its smallest grams.
"""

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain

import msgspec

from audits.engine.findings import Problem, ProblemKind, Progress, Zone
from audits.engine.git import Commit, GitRepository
from audits.engine.listing import FactsStore, Listing
from audits.engine.modules import Modules, Tree
from audits.engine.parsing import ParsePool
from audits.engine.policy import Policy
from audits.engine.sketches import KEPT, MIN_TOKENS, SKETCH_VERSION, Sketch, decode_sketches

CHILD = ("-m", "audits.engine.sketch_child")
# Bodies are called similar from here on.
SIMILAR = 0.75
# A name that more modules than this define is a convention, no competition for one responsibility.
MAX_CLASSES_OF_A_NAME, MAX_FUNCTIONS_OF_A_NAME = 40, 12
# Of names alone a part of the code would go, of copies all of it.
_SAME_NAME = 0.3
_WEIGHTS = {Zone.PROD: 1.0, Zone.SCRIPT: 0.4, Zone.TEST: 0.3, Zone.ARCHIVE: 0.1}
_ZONES = list(Zone)
# A body is looked for under so many of its grams, and compared with those that share three of them: of the pairs that
# are just similar enough, one in two hundred shares fewer.
_BANDS, _SHARED = 8, 3
_MAX_LEADERS = 16  # of which so many known bodies are asked
_CONVENTIONS = frozenset(
    {"main", "run", "setup", "teardown", "handle", "upgrade", "downgrade", "Migration", "Command"}
)


class Relation(StrEnum):
    """Why definitions stand in one group, the strongest reason first."""

    IDENTICAL = "identical"
    SIMILAR = "similar"
    SAME_NAME = "same-name"


@dataclass(frozen=True, slots=True)
class Definition:
    """A class or function of a tree. ``name`` has the names of the definitions around it; ``symbol`` is its dotted
    name, module and all. ``likeness`` is how much of its body it shares with the first of its group, from 0 to 1; None
    where a body is too short to tell."""

    path: str
    name: str
    symbol: str
    zone: Zone
    line: int
    end_line: int
    tokens: int
    likeness: float | None


@dataclass(frozen=True, slots=True)
class Group:
    """Definitions that may be duplicates. The first is the one that the tree suggests as owner.

    ``kind`` is class or function, ``nested`` says that they are methods or stand inside of something else. ``score``
    is what they are ranked by: about the tokens that would go if one of them were left, those of production code first.
    """

    relation: Relation
    kind: str
    nested: bool
    score: int
    definitions: tuple[Definition, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names without what is around them, each once."""
        return tuple(dict.fromkeys(d.name.rpartition(".")[2] for d in self.definitions))


@dataclass(frozen=True, slots=True)
class Duplicates:
    """The report of one commit: ``files`` were read, which have ``definitions``."""

    commit: str
    files: int
    definitions: int
    groups: tuple[Group, ...]
    problems: tuple[Problem, ...]


def duplicates(
    repository: GitRepository,
    commit: Commit,
    policy: Policy,
    store: FactsStore,
    *,
    zones: Collection[Zone] | None = None,
    workers: int | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Duplicates:
    """The possible duplicates of a commit's tree, the most worthwhile ones first.

    ``zones`` are those whose definitions are compared (None: all). ``store`` keeps sketches by blob, under keys of
    their own. ``progress`` is called often and may raise to stop. Raises ``GitError``. Equal input gives an equal
    report, whatever the number of workers.
    """
    progress(Progress("Listing files", 0, 0))
    listing = Listing(repository, repository.tree(commit.sha), policy)
    wanted = {
        path: sha
        for path, sha in sorted(listing.sources.items())
        if zones is None or policy.zone(path) in zones
    }
    sketches, problems = _sketches(
        repository, wanted, policy, store, workers or os.cpu_count() or 1, progress
    )
    progress(Progress("Comparing definitions", len(sketches), len(sketches)))
    naming = Modules(Tree({}, listing.paths, listing.texts), policy)
    groups = grouped(sketches, policy, naming.dotted)
    others = [p for p in listing.problems if p.kind is not ProblemKind.MISSING_OTHER_BLOB]
    return Duplicates(
        commit=commit.sha,
        files=len(wanted),
        definitions=sum(map(len, sketches.values())),
        groups=groups,
        problems=tuple(sorted([*others, *problems], key=lambda p: (p.path, p.kind))),
    )


def _sketches(
    repository: GitRepository,
    sources: Mapping[str, str],
    policy: Policy,
    store: FactsStore,
    workers: int,
    progress: Callable[[Progress], None],
) -> tuple[dict[str, tuple[Sketch, ...]], list[Problem]]:
    """The sketches of each path, from the store or freshly made, and a problem for each path that has none."""
    wanted = list(dict.fromkeys(sources.values()))
    known: dict[str, tuple[Sketch, ...]] = {}
    for key, data in store.get_many([_key(sha) for sha in wanted]).items():
        try:
            known[key.partition(":")[2]] = decode_sketches(data)
        except msgspec.DecodeError:
            continue  # a damaged cache entry is as good as none
    missing = [sha for sha in wanted if sha not in known]
    failures: dict[str, tuple[str, str]] = {}
    progress(Progress("Reading definitions", len(known), len(wanted)))
    limits = policy.limits
    if missing:
        with ParsePool(
            repository.path,
            file_bytes=limits.file_bytes,
            file_seconds=limits.file_seconds,
            workers=workers,
            command=CHILD,
        ) as pool:
            for outcomes in pool.parse(missing):
                fresh = {o.sha: o.facts for o in outcomes if not o.problem}
                store.put_many({_key(sha): data for sha, data in fresh.items()})
                known.update((sha, decode_sketches(data)) for sha, data in fresh.items())
                failures.update((o.sha, (o.problem, o.words)) for o in outcomes if o.problem)
                progress(Progress("Reading definitions", len(known) + len(failures), len(wanted)))
    sketches = {path: known[sha] for path, sha in sources.items() if sha in known}
    problems = [
        Problem(path, ProblemKind(failures[sha][0]), failures[sha][1])
        for path, sha in sources.items()
        if sha in failures
    ]
    return sketches, problems


def _key(sha: str) -> str:
    """Under what a blob's sketches are kept: facts are kept under its bare id."""
    return f"sketch-{SKETCH_VERSION}:{sha}"


# --- Grouping --------------------------------------------------------------------------------------------------------


class _Place(msgspec.Struct, eq=False, gc=False):
    """A definition of the tree while groups are formed. ``cluster`` numbers those whose bodies are alike."""

    path: str
    zone: Zone
    sketch: Sketch
    around: "_Place | None"
    cluster: int = -1

    @property
    def name(self) -> str:
        return f"{self.around.name}.{self.sketch.name}" if self.around else self.sketch.name

    @property
    def order(self) -> tuple[int, int, str, int]:
        """The best owner first: production code, then what stands nearest to the root."""
        return (_ZONES.index(self.zone), self.path.count("/"), self.path, self.sketch.line)


def grouped(
    sketches: Mapping[str, Sequence[Sketch]], policy: Policy, dotted: Callable[[str], str]
) -> tuple[Group, ...]:
    """The groups of possible duplicates among the definitions of files, by path; the most worthwhile first.

    ``dotted`` gives the dotted name of a path's module.
    """
    places = list(_places(sketches, policy))
    clusters = [c for c in map(_outermost, _clusters(places)) if len({place.path for place in c}) > 1]
    for number, cluster in enumerate(clusters):
        for place in cluster:
            place.cluster = number
    named = [group for group in _named(places) if not _is_one_cluster(group)]
    in_named = {id(place) for group in named for place in group}
    groups = [_group(group, dotted) for group in named]
    for cluster in clusters:
        if _is_covered(cluster) or all(id(place) in in_named for place in cluster):
            continue
        groups.append(_group(cluster, dotted))
    return tuple(sorted(groups, key=_rank))


def _rank(group: Group) -> tuple[float, str, int]:
    first = group.definitions[0]
    return (-group.score, first.path, first.line)


def _places(sketches: Mapping[str, Sequence[Sketch]], policy: Policy) -> Iterator[_Place]:
    for path in sorted(sketches):
        zone = policy.zone(path)
        here: list[_Place] = []
        for sketch in sketches[path]:
            here.append(_Place(path, zone, sketch, here[sketch.parent] if sketch.parent >= 0 else None))
        yield from here


def _clusters(places: Iterable[_Place]) -> list[list[_Place]]:
    """Definitions with equal or similar bodies, each at most once.

    The first of each cluster leads it, and others join the leader that they are most like: a chain of ever so slightly
    different bodies doesn't make its ends alike.
    """
    equal: dict[tuple[str, int], list[_Place]] = {}
    for place in places:
        if place.sketch.grams:
            equal.setdefault((place.sketch.kind, place.sketch.digest), []).append(place)
    clusters: list[list[_Place]] = []
    under: dict[tuple[str, int], list[int]] = defaultdict(list)
    for (kind, _), same in equal.items():
        sketch = same[0].sketch
        keys = [(kind, gram) for gram in sketch.grams[:_BANDS]]
        best, best_likeness = -1, SIMILAR
        shared = Counter(chain.from_iterable(under.get(key, ()) for key in keys))
        for number in (number for number, count in shared.items() if count >= min(_SHARED, len(keys))):
            likeness = likeness_of(sketch, clusters[number][0].sketch)
            if likeness > best_likeness or (likeness == best_likeness and not 0 <= best < number):
                best, best_likeness = number, likeness
        if best >= 0:
            clusters[best].extend(same)
            continue
        for key in keys:
            if len(under[key]) < _MAX_LEADERS:
                under[key].append(len(clusters))
        clusters.append(list(same))
    return clusters


def _outermost(cluster: Sequence[_Place]) -> list[_Place]:
    """Without what stands inside of another one: a function that only wraps another is as long as that."""
    inside = {id(place) for place in cluster}
    return [place for place in cluster if place.around is None or id(place.around) not in inside]


def likeness_of(one: Sketch, other: Sketch) -> float:
    """How much of two bodies is the same, from 0 to 1: an estimate from their smallest grams."""
    if one.digest == other.digest:
        return 1.0
    if not one.grams or not other.grams or not 0.5 <= one.tokens / other.tokens <= 2:
        return 0.0
    mine, theirs = set(one.grams), set(other.grams)
    smallest = sorted(mine | theirs)[:KEPT]
    return len(mine.intersection(theirs).intersection(smallest)) / len(smallest)


def _named(places: Iterable[_Place]) -> Iterator[list[_Place]]:
    """Definitions on the top level of several modules that share a name; conventions are left out."""
    by_name: dict[tuple[str, str], list[_Place]] = {}
    for place in places:
        if place.around is None and _may_compete(place):
            by_name.setdefault((place.sketch.kind, place.sketch.name), []).append(place)
    for (kind, _), found in by_name.items():
        paths = len({place.path for place in found})
        if 1 < paths <= (MAX_CLASSES_OF_A_NAME if kind == "class" else MAX_FUNCTIONS_OF_A_NAME):
            yield found


def _is_one_cluster(places: Sequence[_Place]) -> bool:
    return len({place.cluster for place in places} | {-1}) == 2 and all(p.cluster >= 0 for p in places)


def _may_compete(place: _Place) -> bool:
    name = place.sketch.name
    if name in _CONVENTIONS or name.startswith("__"):
        return False
    if place.sketch.kind == "class":
        return not (place.zone is Zone.TEST and name.startswith("Test"))
    return place.zone is Zone.PROD and not name.startswith("_") and place.sketch.tokens >= MIN_TOKENS // 2


def _is_covered(cluster: Sequence[_Place]) -> bool:
    """Whether what is around them is alike already: the methods of a copied class say nothing new."""
    around = {place.around.cluster if place.around else -1 for place in cluster}
    return len(around) == 1 and -1 not in around


def _group(places: Iterable[_Place], dotted: Callable[[str], str]) -> Group:
    ordered = sorted(places, key=lambda place: place.order)
    first = ordered[0].sketch
    definitions = tuple(_definition(place, first, dotted) for place in ordered)
    digests = {place.sketch.digest for place in ordered}
    if len(digests) == 1 and first.grams:
        relation = Relation.IDENTICAL
    elif _is_one_cluster(ordered):
        relation = Relation.SIMILAR
    else:
        relation = Relation.SAME_NAME
    return Group(relation, first.kind, ordered[0].around is not None, round(_score(ordered)), definitions)


def _score(places: Sequence[_Place]) -> float:
    """Tokens that would go: of each cluster all but its largest body, of those that are left a part."""
    clusters: dict[int, list[float]] = defaultdict(list)
    for number, place in enumerate(places):
        weight = _WEIGHTS[place.zone] * place.sketch.tokens
        clusters[place.cluster if place.cluster >= 0 else -2 - number].append(weight)
    largest = [max(weights) for weights in clusters.values()]
    copies = sum(sum(weights) - max(weights) for weights in clusters.values())
    return copies + _SAME_NAME * (sum(largest) - max(largest))


def _definition(place: _Place, first: Sketch, dotted: Callable[[str], str]) -> Definition:
    sketch, name = place.sketch, place.name
    module = dotted(place.path)
    tells = bool(sketch.grams and first.grams) or sketch.digest == first.digest
    return Definition(
        path=place.path,
        name=name,
        symbol=f"{module}.{name}" if module else name,
        zone=place.zone,
        line=sketch.line,
        end_line=sketch.end_line,
        tokens=sketch.tokens,
        likeness=round(likeness_of(sketch, first), 2) if tells else None,
    )


def zone_counts(group: Group) -> dict[Zone, int]:
    """How many definitions of a group each zone has."""
    counts = Counter(definition.zone for definition in group.definitions)
    return {zone: counts[zone] for zone in Zone if counts[zone]}


# --- Declaring an owner ----------------------------------------------------------------------------------------------


def declaration(group: Group, owner: int = 0) -> str:
    """A table for the policy that declares one of the definitions the owner, as TOML; empty when no rule has a table
    for it (methods, functions of different names) or the name is a convention.

    Once it stands in the policy, the others are violations: of ``unique-definition`` when they share the name, else of
    ``name-family``.
    """
    if group.nested or _CONVENTIONS.intersection(group.names):
        return ""
    chosen = group.definitions[owner]
    if len(group.names) == 1:
        return f'[[unique]]\nsymbol = {_quoted(chosen.symbol)}\nkinds = ["{group.kind}"]\n'
    if group.kind != "class":
        return ""
    name = group.names[0] if owner == 0 else chosen.name
    pattern = "|".join(sorted(group.names))
    return f"[[family]]\nname = {_quoted(name)}\npattern = {_quoted(pattern)}\nowners = [{_quoted(chosen.symbol)}]\n"


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()
