"""One audit from a commit to a report: what narrows it, stops it, or breaks in it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from audits.engine import run
from audits.engine.cache import MemoryFactsStore
from audits.engine.codebase import Codebase
from audits.engine.findings import Finding, ProblemKind, Progress, Zone
from audits.engine.git import GitRepository
from audits.engine.policy import parse_policy
from audits.engine.rules import RULES
from tests.samples import commit_tree, init_repository

FILES = {
    "shop/__init__.py": "",
    "shop/kinds.py": "from enum import Enum\n\n\nclass Kind(Enum):\n    USER = 'user'\n",
    "shop/orders.py": "from shop.kinds import Kind\n\nprint(Kind.RUN)\n",
    "tests/test_orders.py": "from shop.gone import thing\n",
}


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    path = init_repository(tmp_path / "repo")
    commit_tree(path, FILES, "one", 1_700_000_000, [])
    return GitRepository(path)


def broken(error: Exception) -> object:
    def check_file(path: str) -> Iterator[Finding]:
        yield from ()
        raise error

    def check(codebase: Codebase) -> Callable[[str], Iterator[Finding]]:
        return check_file

    return check


def test_a_rule_that_fails_says_so_and_the_audit_goes_on(
    repository: GitRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = replace(RULES["unparseable"], checker=broken(TypeError("no such thing")))  # type: ignore[arg-type]
    monkeypatch.setitem(RULES, "unparseable", rule)
    report = run.audit(repository, repository.resolve(), parse_policy(""), MemoryFactsStore())
    assert {f.rule for f in report.findings} == {"missing-member", "unresolved-import"}
    (problem,) = report.problems
    assert problem.kind is ProblemKind.RULE_FAILED
    assert problem.message == "the rule unparseable failed: TypeError: no such thing"


def test_what_is_no_fault_of_a_rule_ends_the_audit(
    repository: GitRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    class TimeIsUp(Exception):
        pass

    monkeypatch.setitem(RULES, "unparseable", replace(RULES["unparseable"], checker=broken(TimeIsUp())))  # type: ignore[arg-type]
    with pytest.raises(TimeIsUp):
        run.audit(repository, repository.resolve(), parse_policy(""), MemoryFactsStore())


def test_rules_and_zones_narrow_what_is_reported(repository: GitRepository) -> None:
    commit, policy, store = repository.resolve(), parse_policy(""), MemoryFactsStore()
    tests = run.audit(repository, commit, policy, store, zones=[Zone.TEST])
    assert [f.path for f in tests.findings] == ["tests/test_orders.py"]
    members = run.audit(repository, commit, policy, store, rules=["missing-member"])
    assert [f.subject for f in members.findings] == ["shop.kinds.Kind.RUN"]
    with pytest.raises(KeyError):
        run.audit(repository, commit, policy, store, rules=["no-such-rule"])


def test_progress_counts_up_to_all_files_and_can_stop_the_audit(repository: GitRepository) -> None:
    seen: list[Progress] = []
    run.audit(repository, repository.resolve(), parse_policy(""), MemoryFactsStore(), progress=seen.append)
    reading = [p for p in seen if p.phase == "Reading and parsing"]
    assert (reading[0].done, reading[-1].done, reading[-1].total) == (0, 4, 4)

    def cancel(progress: Progress) -> None:
        if progress.done:
            raise run.Cancelled

    with pytest.raises(run.Cancelled):
        run.audit(repository, repository.resolve(), parse_policy(""), MemoryFactsStore(), progress=cancel)


def test_facts_known_from_another_commit_are_not_parsed_again(repository: GitRepository) -> None:
    store = MemoryFactsStore()
    first = run.audit(repository, repository.resolve(), parse_policy(""), store)
    stored: list[str] = []
    put = store.put_many
    store.put_many = lambda facts: (stored.extend(facts), put(facts))[1]  # type: ignore[method-assign,func-returns-value]
    assert run.audit(repository, repository.resolve(), parse_policy(""), store) == first
    assert stored == []


def test_damaged_facts_are_parsed_again(repository: GitRepository) -> None:
    store = MemoryFactsStore()
    first = run.audit(repository, repository.resolve(), parse_policy(""), store)
    blobs = [entry.sha for entry in repository.tree(first.commit)]
    store.put_many(dict.fromkeys(blobs, b"damaged"))
    assert run.audit(repository, repository.resolve(), parse_policy(""), store) == first
