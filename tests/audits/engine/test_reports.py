"""Reports of one audit: text for people, JSON and SARIF for programs."""

import dataclasses
import json
from pathlib import Path

import pytest
from sarif_pydantic import Sarif

from audits.engine.cache import MemoryFactsStore
from audits.engine.findings import Problem, ProblemKind, Report
from audits.engine.git import GitRepository
from audits.engine.policy import parse_policy
from audits.engine.report import as_json, as_text
from audits.engine.run import audit
from audits.engine.sarif import as_sarif
from tests.samples import commit_tree, init_repository

FILES = {
    "shop/__init__.py": "",
    "shop/kinds.py": "from enum import Enum\n\n\nclass Kind(Enum):\n    USER = 'user'\n    ORDER = 'order'\n",
    "shop/orders.py": (
        "from shop.kinds import Kind\n\n\ndef place():\n    names = 'é', Kind.ODER\n    return names, Kind.ODER\n"
    ),
    "shop/broken file.py": "def (:\n",
    "tests/test_orders.py": "from shop.gone import thing\n",
}


@pytest.fixture
def report(tmp_path: Path) -> Report:
    path = init_repository(tmp_path / "repo")
    commit_tree(path, FILES, "one", 1_700_000_000, [])
    repository = GitRepository(path)
    return audit(repository, repository.resolve(), parse_policy(""), MemoryFactsStore())


def test_json_holds_every_finding_with_its_place_and_reason(report: Report) -> None:
    value = json.loads(as_json(report))
    assert value["schema"] == 1
    assert value["commit"] == report.commit
    assert value["files"] == {"read": 5, "parsed": 4, "problems": 0}
    first = next(f for f in value["findings"] if f["rule"] == "missing-member")
    assert first == {
        "rule": "missing-member",
        "subject": "shop.kinds.Kind.ODER",
        "member": "ODER",
        "path": "shop/orders.py",
        "line": 5,
        "column": 18,
        "scope": "place",
        "zone": "prod",
        "severity": "P1",
        "message": "Kind has no member ODER",
        "hint": "Did you mean ORDER?",
        "annotations": [],
        "fingerprint": report.findings[1].fingerprint,
    }
    assert {f["rule"] for f in value["findings"]} == {"missing-member", "unresolved-import", "unparseable"}


def test_json_is_the_same_bytes_for_the_same_tree_whatever_the_number_of_workers(tmp_path: Path) -> None:
    path = init_repository(tmp_path / "repo")
    many = {f"pkg/m{i}.py": f"from pkg.gone{i % 7} import x\n" for i in range(120)} | FILES
    commit_tree(path, many, "one", 1_700_000_000, [])
    repository = GitRepository(path)
    commit = repository.resolve()
    outputs = {
        as_json(audit(repository, commit, parse_policy(""), MemoryFactsStore(), workers=workers))
        for workers in (1, 2, 5)
    }
    assert len(outputs) == 1


def test_equal_findings_of_one_scope_have_different_fingerprints(report: Report) -> None:
    fingerprints = [f.fingerprint for f in report.findings]
    assert len(set(fingerprints)) == len(fingerprints)


def test_a_finding_keeps_its_fingerprint_when_lines_move(tmp_path: Path, report: Report) -> None:
    path = init_repository(tmp_path / "moved")
    moved = FILES | {"shop/orders.py": "# a new first line\n\n" + FILES["shop/orders.py"]}
    commit_tree(path, moved, "two", 1_700_000_000, [])
    repository = GitRepository(path)
    after = audit(repository, repository.resolve(), parse_policy(""), MemoryFactsStore())
    assert {f.fingerprint for f in after.findings} == {f.fingerprint for f in report.findings}


def test_sarif_follows_the_standard_and_keeps_fingerprints_and_columns(report: Report) -> None:
    data = as_sarif(report)
    Sarif.model_validate_json(data)
    run = json.loads(data)["runs"][0]
    results = run["results"]
    assert [r["partialFingerprints"]["ssotDash/v1"] for r in results] == [
        f.fingerprint for f in report.findings
    ]
    assert all(run["tool"]["driver"]["rules"][r["ruleIndex"]]["id"] == r["ruleId"] for r in results)
    broken = next(r for r in results if r["ruleId"] == "unparseable")
    assert broken["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "shop/broken%20file.py"
    assert run["columnKind"] == "unicodeCodePoints"


def test_sarif_reports_problems_as_notifications(report: Report) -> None:
    problem = Problem("a.py", ProblemKind.TOO_LARGE, "too large")
    failed = Problem("", ProblemKind.RULE_FAILED, "the rule x failed")
    data = as_sarif(dataclasses.replace(report, problems=(problem, failed)))
    Sarif.model_validate_json(data)
    invocation = json.loads(data)["runs"][0]["invocations"][0]
    assert [n["descriptor"]["id"] for n in invocation["toolExecutionNotifications"]] == [
        "too-large",
        "rule-failed",
    ]
    assert invocation["executionSuccessful"] is False


def test_text_groups_places_by_subject_and_says_the_sums(report: Report) -> None:
    text = as_text(report)
    assert "shop.kinds.Kind.ODER  [missing-member]  2 places in 1 file" in text
    assert "hint: Did you mean ORDER?" in text
    assert "shop/orders.py:5:18: Kind has no member ODER" in text
    assert "4 findings: P0 1, P1 2, P2 1; prod 3, test 1;" in text


def test_text_never_shows_could_not_look_as_found_nothing(report: Report) -> None:
    problem = Problem("a.py", ProblemKind.MISSING_BLOB, "gone")
    text = as_text(dataclasses.replace(report, findings=(), problems=(problem,)))
    assert "Could not look at 1 thing:\n  a.py: missing-blob: gone" in text
    assert "No findings. But see what could not be looked at." in text
