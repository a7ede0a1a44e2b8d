"""The graph of audited commits and the lifespans on it, against definitions written out naively."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from audits.lifespans import Graph, History, Lifespan, ancestry, furthest, insert

START = datetime(2026, 1, 1, tzinfo=UTC)


class Commits:
    """A commit graph: the commits are c0, c1, ... in an order in which parents come first."""

    def __init__(self, parents: list[set[int]], minutes: list[int] | None = None) -> None:
        self.parents = {f"c{n}": {f"c{p}" for p in each} for n, each in enumerate(parents)}
        self.minutes = dict(zip(self.parents, minutes or range(len(parents)), strict=True))
        self.above: dict[str, set[str]] = {}
        for commit, each in self.parents.items():
            self.above[commit] = {commit}.union(*(self.above[parent] for parent in each))

    def is_ancestor(self, older: str, newer: str) -> bool:
        return older in self.above[newer]

    def order(self, commit: str) -> tuple[datetime, str]:
        return (START + timedelta(minutes=self.minutes[commit]), commit)

    def audited_in(self, arrival: list[str]) -> Graph:
        graph: dict[str, frozenset[str]] = {}
        for commit in arrival:
            nearby = sorted(graph, key=lambda known: abs(self.minutes[known] - self.minutes[commit]))
            graph.update(insert(graph, commit, nearby, self.is_ancestor))
        return graph


@st.composite
def commit_graphs(draw: st.DrawFn) -> Commits:
    size = draw(st.integers(1, 9))
    parents = [draw(st.sets(st.integers(0, n - 1), max_size=2)) if n else set() for n in range(size)]
    return Commits(parents, draw(st.lists(st.integers(0, 12), min_size=size, max_size=size)))


@st.composite
def arrivals(draw: st.DrawFn) -> tuple[Commits, list[str]]:
    commits = draw(commit_graphs())
    audited = draw(st.lists(st.sampled_from(sorted(commits.parents)), min_size=1, unique=True))
    return commits, audited


def nearest(commits: Commits, audited: list[str], commit: str) -> set[str]:
    above = {other for other in audited if other != commit and commits.is_ancestor(other, commit)}
    return {
        one for one in above if not any(one != other and commits.is_ancestor(one, other) for other in above)
    }


@given(arrivals())
def test_every_order_of_arrival_gives_the_nearest_audited_ancestors(case: tuple[Commits, list[str]]) -> None:
    commits, audited = case
    graph = commits.audited_in(audited)
    assert graph == {commit: nearest(commits, audited, commit) for commit in audited}
    for commit in audited:
        assert ancestry(graph, commit) == {o for o in audited if commits.is_ancestor(o, commit)}


@given(arrivals(), st.data())
def test_the_furthest_commit_is_no_ancestor_of_another_one_on_the_branch(
    case: tuple[Commits, list[str]], data: st.DataObject
) -> None:
    commits, audited = case
    tip = data.draw(st.sampled_from(sorted(commits.parents)))
    on_branch = [commit for commit in audited if commits.is_ancestor(commit, tip)]
    last = [one for one in on_branch if not any(one != o and commits.is_ancestor(one, o) for o in on_branch)]
    found = furthest(
        commits.audited_in(audited), lambda commit: commits.is_ancestor(commit, tip), commits.order
    )
    assert found == max(last, key=commits.order, default=None)


def naive_lifespans(
    commits: Commits, audited: list[str], tip: str, seen: set[str], unseen: set[str]
) -> set[Lifespan]:
    """The definitions of the module's docstring, word by word, with sets."""
    known = [
        c
        for c in sorted(commits.parents, key=lambda c: int(c[1:]))
        if c in audited and commits.is_ancestor(c, tip)
    ]
    parents = {commit: nearest(commits, known, commit) for commit in known}
    present: set[str] = set()
    for commit in known:
        if commit in seen or (commit in unseen and parents[commit] & present):
            present.add(commit)

    def stretch_of(commit: str) -> set[str]:
        found = {commit}
        while True:
            more = {o for o in present - found if parents[o] & found or any(o in parents[f] for f in found)}
            if not more:
                return found
            found |= more

    def after(one: str, other: str) -> bool:
        return one != other and commits.is_ancestor(other, one)

    spans: set[Lifespan] = set()
    for beginning in (c for c in present if not parents[c] & present):
        stretch = stretch_of(beginning)
        if tip in stretch:
            spans.add(Lifespan(beginning, None))
            continue
        ends = {
            c
            for c in known
            if c not in present
            and parents[c] & stretch
            and after(c, beginning)
            and not any(after(s, c) for s in stretch)
        }
        gone = {c for c in ends if parents[c] <= present}
        gone = gone or {c for c in ends if not any(after(c, other) for other in ends)}
        spans |= {Lifespan(beginning, c) for c in gone}
    return spans


@given(arrivals(), st.data())
def test_lifespans_follow_their_definition_in_every_order_of_arrival(
    case: tuple[Commits, list[str]], data: st.DataObject
) -> None:
    commits, audited = case
    tip = data.draw(st.sampled_from(audited))
    seen = data.draw(st.sets(st.sampled_from(audited)))
    unseen = data.draw(st.sets(st.sampled_from(audited))) - seen
    history = History(commits.audited_in(audited), tip, commits.order)
    spans = history.lifespans(history.mask(seen), history.mask(unseen))
    assert len(spans) == len(set(spans))
    assert set(spans) == naive_lifespans(commits, audited, tip, seen, unseen)
    counted = {c for c in seen if commits.is_ancestor(c, tip)}
    assert bool(spans) == bool(counted)
    last = history.latest(history.mask(seen))
    assert (
        last in counted and not any(last != c and commits.is_ancestor(last, c) for c in counted)
    ) or not counted


def spans(parents: list[set[int]], seen: str, unseen: str = "") -> set[tuple[str, str | None]]:
    commits = Commits(parents)
    graph = commits.audited_in(sorted(commits.parents, reverse=True))
    history = History(graph, f"c{len(parents) - 1}", commits.order)
    return {
        (span.introduced, span.gone)
        for span in history.lifespans(history.mask(seen.split()), history.mask(unseen.split()))
    }


LINE: list[set[int]] = [set(), {0}, {1}, {2}]
DIAMOND: list[set[int]] = [set(), {0}, {0}, {1, 2}]


def test_a_straight_line() -> None:
    assert spans(LINE, "c1 c2") == {("c1", "c3")}
    assert spans(LINE, "c0 c1 c2 c3") == {("c0", None)}
    assert spans(LINE, "c0 c2 c3") == {("c0", "c1"), ("c2", None)}


def test_what_a_merged_branch_mended_went_on_that_branch() -> None:
    assert spans(DIAMOND, "c0 c2") == {("c0", "c1")}


def test_what_a_merged_branch_brought_was_introduced_on_that_branch() -> None:
    assert spans(DIAMOND, "c1 c3") == {("c1", None)}


def test_a_fix_that_the_merge_threw_away_does_not_count() -> None:
    assert spans(DIAMOND, "c0 c2 c3") == {("c0", None)}


def test_what_got_lost_in_a_merge_went_there() -> None:
    assert spans(DIAMOND, "c1") == {("c1", "c3")}


def test_an_audit_that_could_not_look_ends_nothing() -> None:
    assert spans(LINE, "c0 c2 c3", unseen="c1") == {("c0", None)}
    assert spans(LINE, "c0", unseen="c1 c2 c3") == {("c0", None)}
    assert spans(LINE, "c0", unseen="c1") == {("c0", "c2")}
    assert spans(LINE, "", unseen="c1") == set()


def test_few_questions_to_git_place_a_commit_among_a_thousand() -> None:
    commits = Commits([set(), *({n} for n in range(1001))])
    asked = []

    def is_ancestor(older: str, newer: str) -> bool:
        asked.append((older, newer))
        return commits.is_ancestor(older, newer)

    known = [c for c in commits.parents if c != "c500"]
    graph = {c: frozenset(commits.parents[c]) for c in known} | {"c501": frozenset({"c499"})}
    nearby = sorted(known, key=lambda c: abs(commits.minutes[c] - 500))
    assert insert(graph, "c500", nearby, is_ancestor) == {"c500": {"c499"}, "c501": {"c500"}}
    assert len(asked) <= 6
