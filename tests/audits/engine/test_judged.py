"""An audit that leaves out what no change reaches says what one says that judges every file."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audits.engine import judged as memory
from audits.engine import run
from audits.engine.cache import MemoryFactsStore
from audits.engine.codebase import Codebase
from audits.engine.findings import Finding, ProblemKind
from audits.engine.git import GitRepository, Staged
from audits.engine.policy import parse_policy
from audits.engine.report import as_json
from audits.engine.rules import RULES, Rule
from tests.audits.engine.edits import BASE, EDIT, KIND, PATHS, REACHES, SOURCES, edited
from tests.samples import commit_tree, init_repository

WHEN = 1_700_000_000


class Line:
    """A line of commits in a repository of its own, each audited with what was remembered of those before."""

    def __init__(self, folder: Path) -> None:
        self.path = init_repository(folder / "repository")
        self.results = MemoryFactsStore()
        self.commits: list[str] = []

    def commit(self, tree: Mapping[str, str], *parents: str, links: Mapping[str, str] | None = None) -> str:
        before = list(parents) or self.commits[-1:]
        self.commits.append(
            commit_tree(self.path, tree, "step", WHEN + len(self.commits), before, links=links)
        )
        return self.commits[-1]

    def check(self, policy: str = "") -> tuple[Finding, ...]:
        """The findings at the last commit, which must be those of an audit that remembers nothing."""
        repository = GitRepository(self.path)
        commit, parsed = repository.resolve(), parse_policy(policy)
        warm = run.audit(repository, commit, parsed, KNOWN, results=self.results, workers=1)
        fresh = run.audit(repository, commit, parsed, KNOWN, workers=1)
        assert as_json(warm) == as_json(fresh)
        assert warm == fresh
        return warm.findings


# Of facts alone: each file is parsed once for all tests.
KNOWN = MemoryFactsStore()


@pytest.fixture
def line(tmp_path: Path) -> Line:
    return Line(tmp_path)


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths in which missing members were looked for, in the order of audits."""
    paths: list[str] = []
    rule = RULES["missing-member"]

    def checker(codebase: Codebase) -> Callable[[str], Iterator[Finding]]:
        check_file = rule.checker(codebase)

        def noted(path: str) -> Iterator[Finding]:
            paths.append(path)
            return check_file(path)

        return noted

    monkeypatch.setitem(RULES, rule.name, Rule(rule.name, "", "", checker))
    return paths


def tree(**changed: str) -> dict[str, str]:
    """Files that use each other; an argument replaces the file of that name."""
    files = {
        "kinds": KIND,
        "again": "from kinds import *\n",
        "uses": "from again import Kind\nKind.RED\n",
        "other": "import os\nprint(os.sep)\n",
        "wrong": "from kinds import Kind\nKind.GREEN\n",
    }
    return {f"{name}.py": text for name, text in (files | changed).items()}


def audit_of(line: Line, judged: list[str], files: Mapping[str, str], policy: str = "") -> set[str]:
    """The paths that were judged although something was remembered."""
    line.commit(files)
    repository = GitRepository(line.path)
    judged.clear()
    run.audit(repository, repository.resolve(), parse_policy(policy), KNOWN, results=line.results, workers=1)
    return set(judged)


def test_what_nothing_reaches_is_not_judged_again(line: Line, judged: list[str]) -> None:
    assert audit_of(line, judged, tree()) == set(tree())
    body = "import os\n\n\ndef f():\n    return os.sep\n"
    assert audit_of(line, judged, tree(other=body)) == {"other.py"}
    more = KIND + "    GREEN = 3\n"
    assert audit_of(line, judged, tree(kinds=more, other=body)) == {"kinds.py", "uses.py", "wrong.py"}


def test_hints_and_places_follow_what_they_tell_of(line: Line) -> None:
    wrong = "from kinds import Kind\nfrom other import lost\nimport pkg.gone\nKind.BLEU, Kind.MAUVE\n"
    files = tree(wrong=wrong, uses="") | {"pkg/__init__.py": ""}

    def said(**changed: str) -> list[tuple[str, int | None]]:
        files.update((f"{name}.py", text) for name, text in changed.items())
        line.commit(files)
        return [(f.hint, f.definition.line if f.definition else None) for f in line.check()]

    lost, gone, close = "Nothing in this tree defines that name.", "", "Did you mean BLUE?"
    mauve = "It has RED, BLUE. Add MAUVE there, or use one of these."
    assert said() == [(lost, 1), (gone, None), (close, 2), (mauve, 2)]
    lost = "lost is defined in another."
    assert said(another="lost = 1\n") == [(lost, 1), (gone, None), (close, 2), (mauve, 2)]
    gone = "There is gone: moved?"
    assert said(gone="") == [(lost, 1), (gone, None), (close, 2), (mauve, 2)]
    mauve = "gone.Kind has MAUVE: wrong import?"
    assert said(gone=KIND + "    MAUVE = 3\n") == [(lost, 1), (gone, None), (close, 2), (mauve, 2)]
    lost = "Did you mean LOST?"
    assert said(other="LOST = 1\n") == [(lost, 1), (gone, None), (close, 2), (mauve, 2)]


def test_places_follow_a_definition_that_moves(line: Line) -> None:
    for before, expected in (("", 2), ("\n\n", 4), ("\n", 3)):
        line.commit(tree(kinds=before + KIND, wrong="from kinds import Kind\nKind.BLEU\n"))
        assert [f.definition.line for f in line.check() if f.definition] == [expected]


@pytest.mark.parametrize("kind", REACHES)
def test_whatever_reaches_a_file_has_it_judged_again(line: Line, kind: str) -> None:
    before, coming = REACHES[kind]
    found = []
    for files in (before, before | coming, before | {"another.py": ""}):
        line.commit(files)
        found.append(line.check())
    assert found[0] != found[1]
    assert found[2] == found[0]


def test_an_audit_goes_on_from_the_nearest_of_its_ancestors(line: Line, judged: list[str]) -> None:
    audit_of(line, judged, tree())
    line.commit(tree(other="x = 1\n"))
    line.commit(tree(other="x = 2\n"))
    assert audit_of(line, judged, tree(other="x = 3\n")) == {"other.py"}
    line.commit(tree(again="from kinds import Kind\n"), line.commits[0])
    repository = GitRepository(line.path)
    judged.clear()
    run.audit(repository, repository.resolve(), parse_policy(""), KNOWN, results=line.results, workers=1)
    assert set(judged) == {"again.py", "uses.py", "other.py", "wrong.py"}, "the record is of a later tree"


def test_what_is_staged_goes_on_from_the_head(line: Line, judged: list[str]) -> None:
    audit_of(line, judged, tree())
    repository = GitRepository(line.path)
    line.commit(tree(other="x = 1\n"))
    entries = tuple(repository.tree(line.commits[-1]))
    staged = Staged(entries, repository.tree_id(line.commits[-1]))
    judged.clear()
    run.audit(repository, staged, parse_policy(""), KNOWN, results=line.results, workers=1)
    assert set(judged) == {"other.py"}


def test_another_policy_that_reads_the_same_files_goes_on_too(line: Line, judged: list[str]) -> None:
    audit_of(line, judged, tree())
    zones = 'version = 1\n[zones]\ntest = ["wrong.py"]\n'
    assert audit_of(line, judged, tree(other="x = 1\n"), zones) == {"other.py"}
    roots = 'version = 1\nsource_roots = ["src"]\n'
    assert audit_of(line, judged, tree(other="x = 2\n"), roots) == set(tree())


def test_one_record_serves_a_line_of_commits(line: Line) -> None:
    def records() -> int:
        return sum(memory.decoded(data) is not None for data in line.results._results.values())

    for number in range(3):
        line.commit(tree(other=f"x = {number}\n"))
        line.check()
    assert records() == 1


def test_a_lost_or_damaged_record_costs_time_alone(line: Line) -> None:
    line.commit(tree())
    line.check()
    for key, data in list(line.results._results.items()):
        if memory.decoded(data) is not None:
            line.results._results[key] = data[:-9]
    line.commit(tree(kinds=KIND.replace("RED", "ROT")))
    assert {f.path for f in line.check()} == {"uses.py", "wrong.py"}


def test_facts_that_were_lost_meanwhile_count_as_changed(line: Line, judged: list[str]) -> None:
    store = MemoryFactsStore()
    line.commit(tree())
    repository = GitRepository(line.path)
    run.audit(repository, repository.resolve(), parse_policy(""), store, results=line.results, workers=1)
    line.commit(tree(kinds=KIND + "# a word\n"))
    judged.clear()
    again = MemoryFactsStore()
    run.audit(repository, repository.resolve(), parse_policy(""), again, results=line.results, workers=1)
    assert set(judged) == {"kinds.py", "uses.py", "wrong.py"}


def test_hints_do_not_tell_of_a_file_whose_facts_were_lost_before_it_went(line: Line) -> None:
    files = {"one.py": "", "use.py": "from one import lost\n"}
    line.commit(files | {"other.py": "lost = 1\n"})
    (finding,) = line.check()
    assert finding.hint == "lost is defined in other."
    line.commit(files)
    repository, policy, store = GitRepository(line.path), parse_policy(""), MemoryFactsStore()
    report = run.audit(repository, repository.resolve(), policy, store, results=line.results, workers=1)
    assert [f.hint for f in report.findings] == ["Nothing in this tree defines that name."]


def test_what_was_absent_and_came_back_is_judged(line: Line) -> None:
    line.commit(tree(kinds="import enum\nclass Kind(enum.Enum):\n    ROT = 1\n"))
    repository = GitRepository(line.path)
    (sha,) = (entry.sha for entry in repository.tree(line.commits[-1]) if entry.path == "kinds.py")
    blob = line.path / ".git" / "objects" / sha[:2] / sha[2:]
    content = blob.read_bytes()
    blob.chmod(0o600)
    blob.unlink()
    report = run.audit(
        GitRepository(line.path),
        repository.resolve(),
        parse_policy(""),
        MemoryFactsStore(),
        results=line.results,
    )
    assert [p.kind for p in report.problems] == [ProblemKind.MISSING_BLOB]
    assert not [f for f in report.findings if f.rule == "missing-member"]
    blob.write_bytes(content)
    assert {f.path for f in line.check() if f.rule == "missing-member"} == {"uses.py", "wrong.py"}


def test_a_rule_that_fails_keeps_nothing(
    line: Line, judged: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(codebase: Codebase) -> Callable[[str], Iterator[Finding]]:
        def check_file(path: str) -> Iterator[Finding]:
            raise ValueError(path)

        return check_file

    with monkeypatch.context() as broken:
        broken.setitem(RULES, "unresolved-import", Rule("unresolved-import", "", "", fail))
        audit_of(line, judged, tree())
    assert audit_of(line, judged, tree(other="x = 1\n")) == set(tree())


# --- after any edits ------------------------------------------------------------------------------------------------

POLICIES = (
    "",
    'version = 1\n[zones]\ntest = ["pkg/b.py", "lib/**"]\n',
    'version = 1\nexclude = ["pkg/b.py"]\n',
)


@pytest.mark.long
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    files=st.dictionaries(st.sampled_from(PATHS), st.sampled_from(SOURCES), max_size=4),
    steps=st.lists(
        st.tuples(
            st.lists(EDIT, min_size=1, max_size=3),
            st.sampled_from((*POLICIES[:1] * 3, *POLICIES)),
            st.booleans(),
        ),
        min_size=1,
        max_size=6,
    ),
)
def test_after_any_edits_an_audit_says_what_one_says_that_judges_every_file(
    files: dict[str, str], steps: list[tuple[list[tuple[str, str | None]], str, bool]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        line = Line(Path(folder))
        files = BASE | files
        line.commit(files)
        line.check()
        for edits, policy, is_audited in steps:
            files = edited(files, edits)
            line.commit(files)
            if is_audited:
                line.check(policy)
        line.commit(
            edited(files, [("README.md", "The end"), ("use.py", "from pkg.a import Kind\nKind.RED\n")])
        )
        line.check()
