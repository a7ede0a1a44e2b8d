"""History follows commits and says at each what a full audit of its tree says; lives begin and end where they do."""

import gc
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audits.engine import followers, git_executable, live
from audits.engine import history as engine_history
from audits.engine.cache import MemoryFactsStore
from audits.engine.codebase import Codebase
from audits.engine.facts import Class, Facts, Import
from audits.engine.findings import Progress
from audits.engine.follow_child import Given, Portion, Task
from audits.engine.following import Seen, Step
from audits.engine.frames import read_frame, write_frame
from audits.engine.git import Commit, GitRepository
from audits.engine.history import Change, history
from audits.engine.policy import parse_policy
from audits.engine.run import audit
from tests.samples import commit_tree, init_repository

POLICY = """
version = 1
[[unique]]
symbol = "pkg.a.Kind"
[[forbidden]]
symbol = "uuid.uuid4"
[[deprecated]]
old = "pkg.b"
[[family]]
name = "kinds"
pattern = '.*Kind'
owners = ["pkg.a.Kind"]
[[base]]
base = "pkg.a.Kind"
classes = "Test.*"
"""
KIND = "import enum\nclass Kind(enum.Enum):\n    RED = 1\n"
USE = "from kinds import Kind\ndef paint():\n    return Kind.{}\n"
WHEN = 1_700_000_000


# Of the few texts, read once: examples that read them again would spend their time on starting readers.
KNOWN = MemoryFactsStore()  # of facts alone: each file is parsed once for all examples


class Story:
    """A repository that a test writes, commit by commit."""

    def __init__(self, path: Path) -> None:
        self.path = init_repository(path)
        self.count = 0

    def commit(self, files: Mapping[str, str], parents: Sequence[str] = ()) -> str:
        self.count += 1
        when = WHEN + 60 * self.count
        return commit_tree(self.path, dict(files), f"Commit {self.count}", when, list(parents))

    def changes(
        self,
        head: str,
        since: Sequence[str] = (),
        policy: str = "",
        store: MemoryFactsStore | None = None,
    ) -> dict[str, Change]:
        repository = GitRepository(self.path)
        found = history(
            repository,
            repository.resolve(head),
            parse_policy(policy),
            store or MemoryFactsStore(),
            since=since,
            workers=1,
        )
        return {change.commit.sha: change for change in found}


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return Story(tmp_path / "repository")


def said(change: Change) -> tuple[list[str], int]:
    """The subjects that a commit introduced, and how many violations it removed."""
    return [finding.subject for _, finding in change.introduced], len(change.gone)


def test_a_life_begins_and_ends_at_its_commits(story: Story) -> None:
    clean = {"kinds.py": KIND, "use.py": USE.format("RED")}
    one = story.commit(clean)
    two = story.commit({**clean, "use.py": USE.format("BLUE")}, [one])
    three = story.commit({**clean, "use.py": "# moved down\n" + USE.format("BLUE")}, [two])
    four = story.commit({**clean, "kinds.py": KIND + "    BLUE = 2\n", "use.py": USE.format("BLUE")}, [three])
    changes = story.changes(four)
    assert [said(changes[c]) for c in (one, two, three, four)] == [
        ([], 0),
        (["kinds.Kind.BLUE"], 0),
        ([], 0),
        ([], 1),
    ]
    assert [sum(changes[c].open.values()) for c in (one, two, three, four)] == [0, 1, 1, 0]


def test_merges_introduce_nothing_that_a_parent_has(story: Story) -> None:
    clean = {"kinds.py": KIND, "use.py": USE.format("RED")}
    broken = {**clean, "use.py": USE.format("BLUE")}
    root = story.commit(clean)
    side = story.commit(broken, [root])
    main = story.commit({**clean, "other.py": "x = 1\n"}, [root])
    merge = story.commit({**broken, "other.py": "x = 1\n"}, [main, side])
    mended = story.commit(clean, [side])
    last = story.commit({**clean, "other.py": "x = 1\n"}, [merge, mended])
    changes = story.changes(last)
    assert said(changes[side]) == (["kinds.Kind.BLUE"], 0)
    assert said(changes[merge]) == ([], 0)
    assert said(changes[mended]) == ([], 1)
    assert said(changes[last]) == ([], 0), "it had gone on one side before"


def test_a_violation_that_every_parent_has_goes_with_the_merge(story: Story) -> None:
    broken = {"kinds.py": KIND, "use.py": USE.format("BLUE")}
    root = story.commit(broken)
    one, two = story.commit({**broken, "a.py": ""}, [root]), story.commit({**broken, "b.py": ""}, [root])
    merge = story.commit({"kinds.py": KIND, "a.py": "", "b.py": ""}, [one, two])
    assert said(story.changes(merge)[merge]) == ([], 1)


def test_what_was_introduced_on_two_branches_has_two_beginnings(story: Story) -> None:
    clean = {"kinds.py": KIND}
    broken = {**clean, "use.py": USE.format("BLUE")}
    root = story.commit(clean)
    one, two = story.commit(broken, [root]), story.commit({**broken, "b.py": ""}, [root])
    merge = story.commit({**broken, "b.py": ""}, [one, two])
    changes = story.changes(merge)
    assert [said(changes[c])[0] for c in (one, two, merge)] == [["kinds.Kind.BLUE"], ["kinds.Kind.BLUE"], []]
    assert changes[one].introduced[0][0] == changes[two].introduced[0][0]


def test_a_renamed_file_takes_its_violations_along(story: Story) -> None:
    text = USE.format("BLUE") + "".join(f"# line {n}\n" for n in range(20))
    one = story.commit({"kinds.py": KIND, "use.py": text})
    two = story.commit({"kinds.py": KIND, "moved/use.py": text}, [one])
    three = story.commit({"kinds.py": KIND, "moved/again.py": text + "# edited\n"}, [two])
    four = story.commit({"kinds.py": KIND, "moved/again.py": "x = 1\n"}, [three])
    changes = story.changes(four)
    identity = changes[one].introduced[0][0]
    for commit, path in ((two, "moved/use.py"), (three, "moved/again.py")):
        assert said(changes[commit]) == ([], 0)
        assert [(i, f.path) for i, f in changes[commit].moved] == [(identity, path)]
    assert changes[four].gone == (identity,)


def test_another_file_where_a_renamed_one_stood_gets_identities_of_its_own(story: Story) -> None:
    text = USE.format("BLUE")
    one = story.commit({"kinds.py": KIND, "use.py": text})
    two = story.commit({"kinds.py": KIND, "old.py": text}, [one])
    three = story.commit({"kinds.py": KIND, "old.py": text, "use.py": text}, [two])
    changes = story.changes(three)
    (identity, _), (other, finding) = changes[one].introduced[0], changes[three].introduced[0]
    assert identity != other and finding.path == "use.py"
    assert sum(changes[three].open.values()) == 2


def test_what_cannot_be_looked_at_is_not_gone(story: Story) -> None:
    broken = {"kinds.py": KIND, "use.py": USE.format("BLUE")}
    one = story.commit(broken)
    two = story.commit({**broken, "use.py": "def (:\n"}, [one])
    three = story.commit({**broken, "kinds.py": "class (:\n"}, [two])
    four = story.commit(broken, [three])
    changes = story.changes(four)
    assert said(changes[two]) == (["use"], 0) and changes[two].unseen == 1
    assert said(changes[three]) == (["kinds"], 1), (
        "the syntax error of use.py is gone, the member still missing"
    )
    assert said(changes[four]) == ([], 1)
    assert sum(changes[four].open.values()) == 1


def test_what_was_kept_while_nobody_could_look_goes_when_it_is_seen_to_be_mended(story: Story) -> None:
    use = "from kinds import shade\n"
    one = story.commit({"kinds.py": KIND, "use.py": use})
    two = story.commit({"kinds.py": "class (:\n", "use.py": use}, [one])
    three = story.commit({"kinds.py": KIND + "def shade(): pass\n", "use.py": use}, [two])
    changes = story.changes(three)
    assert said(changes[one]) == (["kinds.shade"], 0)
    assert said(changes[two]) == (["kinds"], 0)
    assert said(changes[three]) == ([], 2)
    assert not changes[three].open


def test_new_commits_extend_what_is_known(story: Story) -> None:
    clean = {"kinds.py": KIND, "use.py": USE.format("RED")}
    root = story.commit(clean)
    known = story.commit({**clean, "use.py": USE.format("BLUE")}, [root])
    from_root = story.commit({**clean, "more.py": USE.format("GREEN")}, [root])
    merge = story.commit(
        {**clean, "more.py": USE.format("GREEN"), "use.py": USE.format("BLUE")}, [known, from_root]
    )
    changes = story.changes(merge, since=[known])
    assert [said(changes[c]) for c in (from_root, merge)] == [(["kinds.Kind.GREEN"], 0), ([], 0)]
    assert list(changes) == [from_root, merge]
    everything = story.changes(merge)
    assert changes[merge].open == everything[merge].open


def test_damaged_and_lost_facts_are_read_from_the_file_again(story: Story) -> None:
    class Losing(MemoryFactsStore):
        """Knows facts of everything, and has few of them whole."""

        def known(self, blob_shas: Sequence[str]) -> set[str]:
            return set(blob_shas)

    one = story.commit({"kinds.py": KIND, "use.py": USE.format("RED"), "odd.py": "x = '\x00'\n"})
    two = story.commit({"kinds.py": KIND, "use.py": USE.format("BLUE")}, [one])
    repository = GitRepository(story.path)
    store = Losing()
    store.put_many({entry.sha: b"damaged" for entry in repository.tree(one) if entry.path == "kinds.py"})
    found = history(repository, repository.resolve(two), parse_policy(""), store, workers=1)
    wanted = history(repository, repository.resolve(two), parse_policy(""), MemoryFactsStore(), workers=1)
    assert list(found) == list(wanted)
    assert said(story.changes(two)[two]) == (["kinds.Kind.BLUE"], 1)


class Forgetful(MemoryFactsStore):
    """A store that may not be asked for facts."""

    def get_many(self, blob_shas: Sequence[str]) -> dict[str, bytes]:
        raise AssertionError("nothing is to be judged")


def extended(
    story: Story, head: str, since: str, results: MemoryFactsStore | None, store: MemoryFactsStore
) -> object:
    """What is said of the commits after one. Hints are left out: only audits give all of them."""
    repository = GitRepository(story.path)
    found = history(
        repository,
        repository.resolve(head),
        parse_policy(POLICY),
        store,
        since=[since],
        workers=1,
        results=results,
    )
    return [
        (
            change.commit.sha,
            [
                (identity, msgspec.structs.replace(finding, hint=""))
                for identity, finding in change.introduced
            ],
            change.gone,
            [(identity, msgspec.structs.replace(finding, hint="")) for identity, finding in change.moved],
            change.open,
            change.unseen,
        )
        for change in found
    ]


def test_commits_that_were_all_audited_are_not_judged_again(story: Story) -> None:
    clean = {"kinds.py": KIND, "use.py": USE.format("RED")}
    text = USE.format("BLUE") + "".join(f"# line {n}\n" for n in range(20))
    trees = [
        clean,
        {**clean, "use.py": text, "broken.py": "class (:\n"},
        {**clean, "moved/use.py": text, "kinds.py": "class (:\n"},
        {**clean, "moved/use.py": text},
    ]
    commits: list[str] = []
    for tree in trees:
        commits.append(story.commit(tree, commits[-1:]))
    repository, results = GitRepository(story.path), MemoryFactsStore()
    for sha in commits[:-1]:
        audit(
            repository,
            repository.resolve(sha),
            parse_policy(POLICY),
            MemoryFactsStore(),
            workers=1,
            results=results,
        )
    wanted = extended(story, commits[-2], commits[0], None, MemoryFactsStore())
    assert extended(story, commits[-2], commits[0], results, Forgetful()) == wanted
    with pytest.raises(AssertionError):
        extended(story, commits[-1], commits[0], results, Forgetful())


def test_a_merge_keeps_what_one_parent_had_while_its_definition_cannot_be_looked_at(story: Story) -> None:
    one = story.commit({"pkg/a.py": KIND})
    two = story.commit({"pkg/a.py": KIND, "pkg/__init__.py": KIND}, [one])
    merge = story.commit({"pkg/a.py": "class (:\n", "pkg/__init__.py": ""}, [one, two])
    assert story.changes(two, policy=POLICY)[two].open[("unique-definition", "prod")] == 1
    assert story.changes(merge, policy=POLICY)[merge].open[("unique-definition", "prod")] == 1
    results = MemoryFactsStore()
    repository = GitRepository(story.path)
    for sha in (one, two, merge):
        audit(repository, repository.resolve(sha), parse_policy(POLICY), KNOWN, workers=1, results=results)
    assert extended(story, merge, two, results, Forgetful()) == extended(story, merge, two, None, KNOWN)


def in_parts(story: Story, head: str) -> list[Change]:
    """A history that several processes follow."""
    repository = GitRepository(story.path)
    found = history(repository, repository.resolve(head), parse_policy(POLICY), KNOWN, workers=3)
    return list(found)


def branches(story: Story) -> str:
    """Some commits with changes of branch, a renamed file, and one that nobody can look at for a while."""
    clean = {"kinds.py": KIND, "use.py": USE.format("RED"), "pyproject.toml": "[project]\nname = 'x'\n"}
    text = USE.format("BLUE") + "".join(f"# line {n}\n" for n in range(20))
    one = story.commit(clean)
    two = story.commit({**clean, "use.py": text}, [one])
    side = story.commit({**clean, "more.py": USE.format("GREEN")}, [one])
    three = story.commit({"kinds.py": KIND, "moved/use.py": text, "odd.py": "x = '\x00'\n"}, [two])
    four = story.commit({"kinds.py": "class (:\n", "moved/use.py": text}, [three])
    merge = story.commit(
        {"kinds.py": KIND, "moved/use.py": text, "more.py": USE.format("GREEN")}, [four, side]
    )
    return story.commit({"kinds.py": KIND + "    BLUE = 2\n", "moved/use.py": text}, [merge])


def test_several_processes_say_what_one_says(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    head = branches(story)
    alone = list(story.changes(head, policy=POLICY, store=KNOWN).values())
    assert any(change.moved for change in alone) and any(change.unseen for change in alone)
    monkeypatch.setattr(followers, "PART", 1)
    monkeypatch.setattr(followers, "_PORTION", 1)
    begun: list[range] = []
    split = followers.parts_of
    monkeypatch.setattr(followers, "parts_of", lambda *args: begun.extend(split(*args)) or split(*args))
    assert in_parts(story, head) == alone
    assert len(begun) == 3


def test_a_finding_names_the_canonical_definition_that_its_own_tree_has(story: Story) -> None:
    other = {"pkg/b.py": KIND}
    root = story.commit({"pkg/__init__.py": ""})
    without = story.commit(other, [root])
    found = story.commit({**other, "pkg/a.py": KIND}, [root])
    head = story.commit(other, [found, without])
    changes = story.changes(head, policy=POLICY)
    definitions = {
        sha: [
            f.definition and f.definition.path
            for _, f in changes[sha].introduced
            if f.rule == "unique-definition"
        ]
        for sha in (without, found)
    }
    assert definitions == {without: [None], found: ["pkg/a.py"]}


def test_a_package_of_which_a_stub_alone_is_left_gives_its_importers_nothing(story: Story) -> None:
    around = {"pkg/__init__.py": "", "pkg/__init__.pyi": "", "pkg/use.py": "from . import a\n"}
    one = story.commit({**around, "pkg/__init__.py": "a = 1\n"})
    two = story.commit({path: text for path, text in around.items() if path != "pkg/__init__.py"}, [one])
    three = story.commit(around | {"pkg/a.py": ""}, [two])
    changes = story.changes(three)
    assert [said(changes[commit]) for commit in (one, two, three)] == [([], 0), (["pkg.a"], 0), ([], 1)]


ONE_ANSWER = """
from itertools import islice
from audits.engine import follow_child
followed = follow_child.followed
follow_child.followed = lambda *given: islice(followed(*given), 1)
follow_child.main()
"""


@pytest.mark.parametrize(
    "child",
    [
        ("-c", "raise SystemExit(1)"),
        ("-c", ONE_ANSWER),
    ],
    ids=["at once", "in the middle"],
)
def test_a_part_whose_process_is_lost_is_followed_here(
    story: Story, monkeypatch: pytest.MonkeyPatch, child: tuple[str, ...]
) -> None:
    head = branches(story)
    alone = list(story.changes(head, policy=POLICY, store=KNOWN).values())
    monkeypatch.setattr(followers, "PART", 1)
    monkeypatch.setattr(followers, "CHILD", child)
    assert in_parts(story, head) == alone


def test_a_process_ends_when_nobody_waits_for_it_any_more(tmp_path: Path) -> None:
    task = Task(parse_policy(""), ("unparseable",), None, ())
    nothing = Step(frozenset(), frozenset(), {}, {})
    given = tmp_path / "given"
    with given.open("wb") as file:
        for value in (task, Portion({}, (nothing,) * 100)):
            write_frame(file, msgspec.msgpack.encode(value))
    stranger = "0"
    with given.open("rb") as file:
        answered = subprocess.run(
            [sys.executable, *followers.CHILD, stranger], stdin=file, capture_output=True, check=True
        ).stdout
    assert len(answered) == 4 + len(msgspec.msgpack.encode(Seen(frozenset(), {}, (), (), ())))


def test_progress_counts_what_others_have_followed(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    head = branches(story)
    monkeypatch.setattr(followers, "PART", 1)
    told: list[tuple[int, int]] = []

    def show(progress: Progress) -> None:
        if progress.phase == "Following commits":
            told.append((progress.done, progress.total))

    repository = GitRepository(story.path)
    found = list(
        history(repository, repository.resolve(head), parse_policy(""), KNOWN, workers=2, progress=show)
    )
    assert told == sorted(told), "it never goes back"
    assert told[0] == (0, len(found)) and told[-1] == (len(found) - 1, len(found))


def test_a_history_that_is_stopped_leaves_no_process_behind(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = branches(story)
    monkeypatch.setattr(followers, "PART", 1)
    monkeypatch.setattr(followers, "CHILD", ("-c", "import time; time.sleep(600)"))
    begun: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen
    monkeypatch.setattr(
        subprocess, "Popen", lambda *args, **more: begun.append(popen(*args, **more)) or begun[-1]
    )
    repository = GitRepository(story.path)

    def stop(progress: Progress) -> None:
        if progress.phase == "Following commits" and progress.done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(
            history(
                repository,
                repository.resolve(head),
                parse_policy(POLICY),
                KNOWN,
                workers=3,
                progress=stop,
            )
        )
    assert begun and all(process.poll() is not None for process in begun)


@pytest.fixture
def without_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def codebases() -> list[Codebase]:
    return [known for known in gc.get_objects() if isinstance(known, Codebase)]


@pytest.mark.usefixtures("without_collector")
@pytest.mark.parametrize("asked", [1, None], ids=["not read to the end", "nothing asked after the last"])
@pytest.mark.parametrize(
    "child", [None, ("-c", ONE_ANSWER)], ids=["followed here", "taken over from a child"]
)
def test_a_history_leaves_no_codebase_behind(
    story: Story, monkeypatch: pytest.MonkeyPatch, asked: int | None, child: tuple[str, ...] | None
) -> None:
    head = branches(story)
    if child is not None:
        monkeypatch.setattr(followers, "PART", 1)
        monkeypatch.setattr(followers, "CHILD", child)
    before = codebases()
    repository = GitRepository(story.path)
    commits = len(repository.log(head))
    found = history(repository, repository.resolve(head), parse_policy(POLICY), KNOWN, workers=2)
    for _ in range(asked or commits):
        next(found)
    del found
    assert [known for known in codebases() if known not in before] == []


def test_progress_is_told_and_can_stop_it(story: Story) -> None:
    head = story.commit({"kinds.py": KIND})
    repository = GitRepository(story.path)
    phases: list[str] = []

    def show(progress: Progress) -> None:
        phases.append(progress.phase)
        if progress.phase == "Following commits":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(
            history(
                repository,
                repository.resolve(head),
                parse_policy(""),
                MemoryFactsStore(),
                workers=1,
                progress=show,
            )
        )
    assert list(dict.fromkeys(phases)) == ["Reading commits", "Reading and parsing", "Following commits"]


# --- at every commit of any story: what a full audit says -------------------------------------------------------

MODULES = (
    "pkg/__init__.py",
    "pkg/a.py",
    "pkg/b.py",
    "pkg/sub/__init__.py",
    "pkg/sub/c.py",
    "use.py",
    "tests/test_x.py",
    "__init__.py",
    "pkg/__init__.pyi",
    "pkg/sub/__init__.pyi",
)
TEXTS = (
    KIND,
    KIND + "    BLUE = 2\n",
    "from pkg.a import Kind\nKind.BLUE\n",
    "from pkg.b import *\nKind.GREEN\n",
    "from .a import Kind\n",
    "from . import a, b\nb.Kind.BLUE\n",
    "from pkg import Kind, a\na.Kind.BLUE; Kind['GREEN']\n",
    "import pkg.a as m\nfrom uuid import uuid4\nm.Kind.RED, m.Nothing, uuid4()\nm.Kind.BLUE = 3\n",
    "from pkg.sub.c import Kind\nfrom pkg.sub import c, d\nclass TestIt(Kind): pass\n",
    "try:\n    from pkg.a import Kind\nexcept ImportError:\n    from pkg.b import Kind\nKind.BLUE\n",
    "from pkg.b import Kind as K\nKind = K\n__all__ = ['Kind']\n",
    "def __getattr__(name): return 1\n",
    "import sys\nsys.modules['pkg.b'] = None\n",
    "import use\nuse.Kind.BLUE\nimport pkg.b.deep\n",
    "class OwnKind: pass\n",
    "class (:\n",
    "",
)
TREES = st.dictionaries(st.sampled_from(MODULES), st.sampled_from(TEXTS), min_size=1)
OTHERS = st.dictionaries(
    st.sampled_from(["pyproject.toml", "pkg/.gitignore", "pkg/b.pyi", "Makefile"]),
    st.sampled_from(["", "b.py\n", "[tool.pytest.ini_options]\npythonpath = ['pkg']\n"]),
    max_size=1,
)


def drawn(data: st.DataObject, story: Story, trees: Sequence[Mapping[str, str]]) -> list[str]:
    """A commit of each tree, with one or two of the commits before it as parents."""
    commits: list[str] = []
    for tree in trees:
        parents = st.lists(st.sampled_from(commits), unique=True, min_size=1, max_size=2)
        commits.append(story.commit(tree, data.draw(parents) if commits else []))
    return commits


@pytest.mark.long
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(data=st.data(), trees=st.lists(st.tuples(TREES, OTHERS), min_size=2, max_size=7))
def test_each_commit_says_what_a_full_audit_of_it_says(
    tmp_path_factory: pytest.TempPathFactory,
    data: st.DataObject,
    trees: list[tuple[dict[str, str], dict[str, str]]],
) -> None:
    story = Story(tmp_path_factory.mktemp("story") / "repository")
    commits = drawn(data, story, [{**tree, **others} for tree, others in trees])
    head = story.commit(
        trees[0][0], [commits[-1], *(c for c in commits[:-1] if data.draw(st.booleans()))][:3]
    )
    with pytest.MonkeyPatch.context() as patch:
        if data.draw(st.booleans()):
            patch.setattr(git_executable, "executable", lambda: None)
        changes = story.changes(head, policy=POLICY, store=KNOWN)
    repository = GitRepository(story.path)
    for sha, change in changes.items():
        report = audit(repository, repository.resolve(sha), parse_policy(POLICY), KNOWN, workers=1)
        wanted = Counter((f.rule, str(f.zone)) for f in report.findings)
        blind = {f.path for f in report.findings if f.rule == "unparseable"}
        if not blind:
            came_blind = any(_has_error(text) for text, _ in trees)
            if not came_blind:
                assert Counter(change.open) == wanted, sha
        assert not wanted - Counter(change.open), "nothing is missed, whatever could not be looked at"


@pytest.mark.long
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(data=st.data(), trees=st.lists(TREES, min_size=3, max_size=7))
def test_it_does_not_matter_in_which_order_lines_are_followed(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, trees: list[dict[str, str]]
) -> None:
    story = Story(tmp_path_factory.mktemp("story") / "repository")
    commits = drawn(data, story, trees)
    head = story.commit(trees[0], commits[::-1])
    with pytest.MonkeyPatch.context() as patch:
        # An identity that a rename took along may be given to another one on a line that is followed later.
        patch.setattr(engine_history, "renamed", lambda *_: {})
        in_lines = story.changes(head, policy=POLICY, store=KNOWN)
        patch.setattr(engine_history, "_in_lines", lambda commits, _: list(commits))
        assert story.changes(head, policy=POLICY, store=KNOWN) == in_lines


@pytest.mark.long
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(data=st.data(), trees=st.lists(TREES, min_size=2, max_size=5))
def test_what_audits_remember_says_the_same_as_judging_again(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, trees: list[dict[str, str]]
) -> None:
    story = Story(tmp_path_factory.mktemp("story") / "repository")
    commits = drawn(data, story, trees)
    repository, results = GitRepository(story.path), MemoryFactsStore()
    for sha in commits:
        audit(repository, repository.resolve(sha), parse_policy(POLICY), KNOWN, workers=1, results=results)
    for since in commits[:-1]:
        wanted = extended(story, commits[-1], since, None, KNOWN)
        assert extended(story, commits[-1], since, results, KNOWN) == wanted


def _has_error(tree: Mapping[str, str]) -> bool:
    return "class (:\n" in tree.values()


UNSEEN_OF_FILE = {"error", "scopes", "packed_references", "patches", "packed_definitions", "literals"}
COMPARED_APART = {"imports", "classes"}
UNSEEN_OF_IMPORT = {"line", "column", "scope", "flags", "statement", "fallback"}
UNSEEN_OF_CLASS = {"name", "line", "column", "end_line", "texts"}


def test_of_each_part_of_facts_it_is_said_whether_other_modules_see_it() -> None:
    """A new part that is forgotten would leave files that depend on it unjudged, without a word."""
    assert set(Facts.__struct_fields__) == {*live.SEEN_OF_FILE} | UNSEEN_OF_FILE | COMPARED_APART
    assert set(Import.__struct_fields__) == {*live.SEEN_OF_IMPORT} | UNSEEN_OF_IMPORT
    assert set(Class.__struct_fields__) == {*live.SEEN_OF_CLASS} | UNSEEN_OF_CLASS


def test_a_frame_is_read_whole_while_it_is_still_being_written(tmp_path: Path) -> None:
    path = tmp_path / "given"
    pieces = [b"\0\0", b"\0\5he", b"l", b"lo\0\0", b"\0\0"]
    with path.open("wb", buffering=0) as written, path.open("rb") as read:

        def is_written() -> bool:
            return bool(pieces) and bool(written.write(pieces.pop(0)))

        stream = Given(read.fileno(), is_written)
        assert [read_frame(stream) for _ in range(3)] == [b"hello", b"", None]


@pytest.mark.parametrize(("heavy", "light"), [("b", "c"), ("c", "b")])
def test_of_lines_that_part_the_lightest_is_followed_first(heavy: str, light: str) -> None:
    lines = {"a": "", "b": "a", "c": "a", "b2": "b", "c2": "c", "m": "b2 c2"}
    when = datetime(2026, 1, 1, tzinfo=UTC)
    log = [Commit(sha, when, "", "", tuple(parents.split())) for sha, parents in lines.items()]
    sizes = dict.fromkeys(lines, 1) | {f"{heavy}2": 9, "m": 99}
    order = [commit.sha for commit in engine_history._in_lines(log, sizes)]
    assert order == ["a", light, f"{light}2", heavy, f"{heavy}2", "m"]
