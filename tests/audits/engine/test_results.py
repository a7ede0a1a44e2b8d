"""Remembered results, narrowed audits, and that nothing but the input decides what a report says."""

import gc
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audits.engine import listing, run
from audits.engine.cache import FileFactsStore, MemoryFactsStore
from audits.engine.codebase import Codebase
from audits.engine.findings import Finding, ProblemKind, Report, Zone
from audits.engine.git import GitRepository
from audits.engine.policy import parse_policy
from audits.engine.registry import RegisteredType, Registry
from audits.engine.report import as_json
from audits.engine.results import Result, decoded, encoded
from audits.engine.rules import Rule
from tests.samples import commit_tree, init_repository

ROOT = Path(run.__file__).parent.parent.parent
POLICY = """version = 1
[[unique]]
symbol = "app.kinds.Kind"
[[forbidden]]
symbol = "uuid.uuid4"
[[deprecated]]
old = "app.old"
new = "app.kinds"
[[literal]]
value = "user-service"
owner = "app.kinds.NAME"
"""


def files(count: int = 60) -> dict[str, str]:
    """A tree in which modules depend on each other, in circles too, and rules of all kinds find something."""
    kinds = (
        "from enum import Enum\nNAME = 'user-service'\n\n\nclass Kind(Enum):\n    USER = 1\n    ORDER = 2\n"
    )
    tree = {"app/__init__.py": "from .kinds import *\n", "app/kinds.py": kinds, "app/old.py": "x = 1\n"}
    for number in range(count):
        other = (number * 7 + 3) % count
        tree[f"app/m{number}.py"] = (
            f"import uuid\nfrom app.m{other} import *\nfrom app.m{(other + 1) % count} import Kind as K{number}\n"
            f"from app.kinds import Kind\nfrom app.gone{number % 5} import nothing\n"
            f"def f():\n    return K{number}.ODER, Kind.M{number}, uuid.uuid4(), 'user-service'\n"
        )
    return tree | {"app/broken.py": "def (:\n", "app/copy.py": kinds, "setup.py": "import app.old\n"}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> GitRepository:
    path = init_repository(tmp_path_factory.mktemp("results") / "repo")
    first = commit_tree(path, files(), "one", 1_700_000_000, [])
    changed = files() | {"app/kinds.py": files()["app/kinds.py"].replace("ORDER", "ODER")}
    commit_tree(path, changed, "two", 1_700_000_060, [first])
    return GitRepository(path)


# Of the files here, each parsed once for all tests; it is never given as the store of results.
FACTS = MemoryFactsStore()


class Refusing(MemoryFactsStore):
    """A store that must not be asked."""

    def get_many(self, blob_shas: object) -> dict[str, bytes]:
        raise AssertionError("facts were read")


def test_the_same_audit_again_reads_no_facts(repository: GitRepository, tmp_path: Path) -> None:
    commit, policy, results = repository.resolve(), parse_policy(POLICY), FileFactsStore(tmp_path)
    first = run.audit(repository, commit, policy, MemoryFactsStore(), results=results)
    again = run.audit(repository, commit, policy, Refusing(), results=results)
    assert as_json(again) == as_json(first)
    assert again.findings


def test_another_policy_or_other_rules_are_another_result(repository: GitRepository) -> None:
    commit, results = repository.resolve(), MemoryFactsStore()
    run.audit(repository, commit, parse_policy(POLICY), MemoryFactsStore(), results=results)
    for policy, rules in (("", None), (POLICY, ["missing-member"])):
        with pytest.raises(AssertionError, match="facts were read"):
            run.audit(repository, commit, parse_policy(policy), Refusing(), rules=rules, results=results)


def test_an_edit_of_the_tables_gives_what_a_fresh_audit_gives(repository: GitRepository) -> None:
    commit, results = repository.resolve(), MemoryFactsStore()
    for policy in (
        POLICY,
        "",
        POLICY.replace("uuid.uuid4", "uuid.uuid1"),
        'version = 1\nexclude = ["app/m1*.py"]\n',
    ):
        warm = run.audit(repository, commit, parse_policy(policy), results, results=results)
        assert as_json(warm) == as_json(run.audit(repository, commit, parse_policy(policy), FACTS))


def test_an_edit_of_the_tables_asks_rules_without_tables_no_more(
    repository: GitRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = MemoryFactsStore()
    run.audit(repository, repository.resolve(), parse_policy(POLICY), results, results=results)
    for name in ("missing-member", "unresolved-import", "unparseable"):

        def fail(codebase: Codebase) -> None:
            raise ValueError("asked")

        monkeypatch.setitem(run.RULES, name, type(run.RULES[name])(name, "", "", fail))  # type: ignore[arg-type]
    report = run.audit(repository, repository.resolve(), parse_policy(""), results, results=results)
    assert not [p for p in report.problems if p.kind is ProblemKind.RULE_FAILED]
    assert {f.rule for f in report.findings} == {"missing-member", "unresolved-import", "unparseable"}


EDITABLE = """
[[unique]]
symbol = "app.kinds.Kind"
[[family]]
name = "kinds"
pattern = ".*Kind"
owners = ["app.kinds.Kind"]
[[forbidden]]
symbol = "uuid.uuid4"
[[deprecated]]
old = "app.kinds"
[[base]]
base = "app.kinds.Kind"
classes = ".*"
paths = ["**"]
[[literal]]
value = "a-literal"
owner = "app.kinds.TEXT"
[[registry]]
enum = "app.kinds.Kind"
""".strip().split("[[")[1:]


def test_an_edit_of_a_table_asks_its_rule_alone(
    repository: GitRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def noted(rule: Rule) -> Rule:
        def checker(codebase: Codebase) -> Callable[[str], Iterator[Finding]]:
            asked.append(rule.name)
            return rule.checker(codebase)

        return Rule(rule.name, "", "", checker)

    for name, rule in run.RULES.items():
        monkeypatch.setitem(run.RULES, name, noted(rule))
    results, registry = MemoryFactsStore(), Registry((RegisteredType("text"),))

    def audited(policy: str, memory: MemoryFactsStore | None) -> Report:
        return run.audit(
            repository, repository.resolve(), parse_policy(policy), results, results=memory, registry=registry
        )

    every = "version = 1\n" + "".join(f"[[{table}" for table in EDITABLE)
    audited(every, results)
    assert set(asked) == set(run.RULES)
    for dropped in EDITABLE:
        asked.clear()
        policy = "version = 1\n" + "".join(f"[[{table}" for table in EDITABLE if table != dropped)
        warm = audited(policy, results)
        assert len(asked) == 1, dropped
        assert as_json(warm) == as_json(audited(policy, None))
    asked.clear()
    other = Registry((*registry.types, RegisteredType("other")))
    run.audit(repository, repository.resolve(), parse_policy(every), results, results=results, registry=other)
    assert asked == ["registry-drift"]


def zoned(test: str, script: str = "nowhere/**") -> str:
    return f'version = 1\n[zones]\ntest = ["{test}"]\nscript = ["{script}"]\n'


def test_an_edit_of_the_zones_gives_what_a_fresh_audit_gives(tmp_path: Path) -> None:
    tree = files() | {
        "checks/stopgap.py": "import app.kinds\napp.kinds.extra = 1\n",
        "checks/plugin.py": "import sys\nsys.modules['app.made'] = object()\n",
        "app/reads.py": "from app.kinds import extra\nimport app.made\nfrom app.kinds import Kind\nKind.ODER\n",
    }
    path = init_repository(tmp_path / "repo")
    commit_tree(path, tree, "one", 1_700_000_000, [])
    repository, results = GitRepository(path), MemoryFactsStore()
    counts = set()
    for policy in (
        "",
        zoned("checks/**"),
        zoned("app/m1*.py", "app/m2*.py"),
        zoned("checks/plugin.py", "**"),
        zoned("**"),
        "",
    ):
        # A result of the very same policy would hide what this is about.
        warm = run.audit(
            repository, repository.resolve(), parse_policy(policy), results, results=OfRules(results)
        )
        fresh = run.audit(repository, repository.resolve(), parse_policy(policy), FACTS)
        assert as_json(warm) == as_json(fresh)
        counts.add(len(fresh.findings))
    assert len(counts) > 1, "what tests set from outside counts in them alone"


class OfRules:
    """A store of results that remembers those of single rules."""

    def __init__(self, store: MemoryFactsStore) -> None:
        self._store = store

    def get_result(self, key: str) -> bytes | None:
        data = self._store.get_result(key)
        known = decoded(data) if data is not None else None
        return data if known is not None and not known.read else None

    def put_result(self, key: str, result: bytes) -> None:
        self._store.put_result(key, result)


def test_an_edit_of_the_zones_asks_rules_without_tables_no_more(
    repository: GitRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = MemoryFactsStore()
    first = run.audit(repository, repository.resolve(), parse_policy(""), results, results=results)
    for name in ("missing-member", "unresolved-import", "unparseable"):

        def fail(codebase: Codebase) -> None:
            raise ValueError("asked")

        monkeypatch.setitem(run.RULES, name, type(run.RULES[name])(name, "", "", fail))  # type: ignore[arg-type]
    policy = parse_policy(zoned("app/m1*.py", "**"))
    report = run.audit(repository, repository.resolve(), policy, results, results=results)
    assert [f.fingerprint for f in report.findings] == [f.fingerprint for f in first.findings]
    assert {f.zone for f in first.findings} == {Zone.PROD}
    assert {f.zone for f in report.findings} == {Zone.TEST, Zone.SCRIPT}


def test_a_commit_of_documents_alone_is_known_without_reading_facts(tmp_path: Path) -> None:
    path = init_repository(tmp_path / "repo")
    results, policy = MemoryFactsStore(), parse_policy(POLICY)
    before: list[str] = []
    for number, extra in enumerate(
        ({}, {"README.md": "Hello", "docs/guide.rst": "x"}, {"README.md": "Bye", "data/ids.json": "{}"})
    ):
        before = [commit_tree(path, files(9) | extra, "one", 1_700_000_000 + number, before)]
        repository = GitRepository(path)
        store = MemoryFactsStore() if number == 0 else Refusing()
        report = run.audit(repository, repository.resolve(), policy, store, results=results)
        fresh = run.audit(repository, repository.resolve(), policy, MemoryFactsStore())
        assert as_json(report) == as_json(fresh)
    again = run.audit(repository, repository.resolve(), policy, Refusing(), results=results)
    assert again == report and "list" not in again.timings, "the tree itself is known from now on"


# Facts are by blob and the same for all; results are not kept here.
FACTS = MemoryFactsStore()
# What stands beside Python source and can change what it means.
BESIDE = {
    "a stub": {"app/gone0.pyi": "nothing: int\n"},
    "an extension": {"app/gone0.so": "\x7fELF"},
    "a source of one": {"app/gone0.pyx": "nothing = 1\n"},
    "what code is made from": {"app/gone0.proto": "message M {}\n"},
    "what has no suffix": {"app/gone0": "a program"},
    "a project": {"pyproject.toml": "[tool.setuptools.package-dir]\n'' = 'lib'\n"},
    "what git ignores": {".gitignore": "gone0.py\n"},
    "a package": {"other/app/__init__.py": "", "other/setup.cfg": ""},
    "a document": {"app/gone0.md": "Gone"},
}


@settings(max_examples=25)
@given(st.lists(st.sets(st.sampled_from(sorted(BESIDE)), max_size=3), min_size=2, max_size=4))
def test_what_is_remembered_is_what_a_fresh_audit_of_all_paths_finds(steps: list[set[str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = init_repository(Path(folder) / "repo")
        store, policy = MemoryFactsStore(), parse_policy("")
        before: list[str] = []
        for number, kinds in enumerate(steps):
            tree = files(6) | {path: text for kind in kinds for path, text in BESIDE[kind].items()}
            before = [commit_tree(path, tree, "step", 1_700_000_000 + number, before)]
            repository = GitRepository(path)
            warm = run.audit(repository, repository.resolve(), policy, store, results=store, workers=1)
            with mock.patch.object(listing, "_matters", return_value=True):
                fresh = run.audit(repository, repository.resolve(), policy, FACTS, workers=1)
            assert as_json(warm) == as_json(fresh)


def test_a_damaged_result_is_as_good_as_none(repository: GitRepository) -> None:
    class Damaged(MemoryFactsStore):
        def get_result(self, key: str) -> bytes | None:
            return b"damaged"

    policy = parse_policy("")
    plain = run.audit(repository, repository.resolve(), policy, MemoryFactsStore())
    assert run.audit(repository, repository.resolve(), policy, MemoryFactsStore(), results=Damaged()) == plain


def test_a_result_that_may_end_otherwise_is_not_kept(
    repository: GitRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = MemoryFactsStore()

    def fail(codebase: Codebase) -> None:
        raise ValueError("broken")

    rule = run.RULES["unparseable"]
    monkeypatch.setitem(run.RULES, "unparseable", type(rule)(rule.name, "", "", fail))  # type: ignore[arg-type]
    report = run.audit(
        repository, repository.resolve(), parse_policy(""), MemoryFactsStore(), results=results
    )
    (problem,) = (p for p in report.problems if p.kind is ProblemKind.RULE_FAILED)
    assert problem.rule == "unparseable"
    with pytest.raises(AssertionError, match="facts were read"):
        run.audit(repository, repository.resolve(), parse_policy(""), Refusing(), results=results)


def test_what_is_here_now_but_was_not_then_is_looked_at(tmp_path: Path) -> None:
    path = init_repository(tmp_path / "repo")
    commit_tree(path, {"a.py": "import os\n", "b.py": "x = 1\n"}, "one", 1_700_000_000, [])
    repository = GitRepository(path)
    (sha,) = (entry.sha for entry in repository.tree(repository.resolve().sha) if entry.path == "a.py")
    blob = path / ".git" / "objects" / sha[:2] / sha[2:]
    content = blob.read_bytes()
    blob.chmod(0o600)
    blob.unlink()
    results, policy = MemoryFactsStore(), parse_policy("")
    commit = repository.resolve()
    before = run.audit(GitRepository(path), commit, policy, MemoryFactsStore(), results=results)
    assert [p.kind for p in before.problems] == [ProblemKind.MISSING_BLOB]
    assert run.audit(GitRepository(path), commit, policy, Refusing(), results=results) == before
    blob.write_bytes(content)
    after = run.audit(GitRepository(path), commit, policy, MemoryFactsStore(), results=results)
    assert (after.problems, after.read) == ((), 2)


def test_results_survive_their_encoding_and_odd_texts_are_not_kept(repository: GitRepository) -> None:
    report = run.audit(repository, repository.resolve(), parse_policy(POLICY), MemoryFactsStore())
    result = Result(report.findings, report.problems, report.read, report.parsed, ("a",))
    data = encoded(result)
    assert data is not None
    assert decoded(data) == result
    assert encoded(Result((), (), 0, 0, ("\udc80",))) is None


def test_the_last_results_are_kept_and_older_ones_forgotten(tmp_path: Path) -> None:
    store = FileFactsStore(tmp_path)
    for number in range(510):
        store.put_result(f"key {number}", b"%d" % number)
    assert store.get_result("key 0") is None
    assert store.get_result("key 509") == b"509"
    store.put_result("key 509", b"again")
    assert store.get_result("key 509") == b"again"


def test_the_collector_is_as_it_was_before(repository: GitRepository) -> None:
    seen: list[bool] = []
    run.audit(
        repository,
        repository.resolve(),
        parse_policy(""),
        MemoryFactsStore(),
        progress=lambda _: seen.append(gc.isenabled()),
    )
    assert gc.isenabled()
    assert False in seen


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_some_files_of_an_audit_are_those_of_the_full_one(
    repository: GitRepository, data: st.DataObject
) -> None:
    policy, store = parse_policy(POLICY), FACTS
    commit = repository.resolve(data.draw(st.sampled_from(["HEAD", "HEAD~1"])))
    paths = data.draw(st.sets(st.sampled_from(sorted(files())), max_size=9)) | {"absent.py"}
    full = run.audit(repository, commit, policy, store)
    some = run.audit(repository, commit, policy, store, paths=paths)
    assert some.findings == tuple(f for f in full.findings if f.path in paths)
    assert some.problems == full.problems


@settings(max_examples=8, deadline=None)
@given(st.integers(1, 4), st.floats(0, 1), st.randoms(use_true_random=False))
def test_any_number_of_workers_and_any_facts_known_before_give_the_same_bytes(
    repository: GitRepository, workers: int, share: float, chance: random.Random
) -> None:
    policy, commit, full = parse_policy(POLICY), repository.resolve(), FACTS
    expected = as_json(run.audit(repository, commit, policy, full))
    shas = [entry.sha for entry in repository.tree(commit.sha)]
    known = list(full.get_many([sha for sha in shas if chance.random() < share]).items())
    chance.shuffle(known)
    partly = MemoryFactsStore()
    partly.put_many(dict(known))
    assert as_json(run.audit(repository, commit, policy, partly, workers=workers)) == expected


def test_hash_seeds_do_not_matter(repository: GitRepository, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(POLICY)
    outputs = {
        subprocess.run(
            [
                sys.executable,
                "-m",
                "audits.engine",
                "audit",
                repository.path,
                "--policy",
                policy,
                "--format",
                "json",
            ],
            env={**os.environ, "PYTHONHASHSEED": str(seed), "SSOT_CACHE_DIR": str(tmp_path / str(seed % 3))},
            cwd=ROOT,
            capture_output=True,
            timeout=600,
            check=False,
        ).stdout
        for seed in range(5)
    }
    assert len(outputs) == 1
    assert outputs != {b""}
