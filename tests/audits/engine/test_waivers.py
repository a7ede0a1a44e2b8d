"""Waivers: what they cover, until when, and what is said when they expired or have grown."""

import json
from argparse import ArgumentParser
from datetime import date
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sarif_pydantic import Sarif

from audits.engine import command
from audits.engine.cache import MemoryFactsStore
from audits.engine.findings import Finding, Report, Severity, Zone
from audits.engine.git import GitRepository
from audits.engine.policy import PolicyError, RuleName, parse_policy
from audits.engine.report import as_json, as_text
from audits.engine.rules import RULES
from audits.engine.run import audit
from audits.engine.sarif import as_sarif
from audits.engine.waivers import weigh
from tests.samples import commit_tree, init_repository

KINDS = "from enum import Enum\n\n\nclass Kind(Enum):\n    USER = 'user'\n"
USE = "from shop.kinds import Kind\n\n\ndef f():\n    return Kind.RUN\n"
FILES = {
    "shop/__init__.py": "",
    "shop/kinds.py": KINDS,
    "shop/new.py": USE,
    "old/__init__.py": "",
    "old/a.py": USE,
    "old/b.py": USE,
}
NOON_OF_2023_11_14 = 1_700_000_000
LEGACY = """version = 1

[[waiver]]
rule = "missing-member"
path = "old/**"
reason = "goes with the old shop"
owner = "shop team"
expires = 2023-11-14
"""


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    path = init_repository(tmp_path / "repo")
    commit_tree(path, FILES, "one", NOON_OF_2023_11_14, [])
    return GitRepository(path)


def report_of(repository: GitRepository, policy: str, today: date | None = None, **more: object) -> Report:
    return audit(
        repository,
        repository.resolve(),
        parse_policy(policy),
        MemoryFactsStore(),
        today=today,
        workers=1,
        **more,  # type: ignore[arg-type]
    )


def test_a_waiver_marks_the_findings_of_its_rule_in_its_paths_and_keeps_them(
    repository: GitRepository,
) -> None:
    report = report_of(repository, LEGACY)
    assert [f.path for f in report.findings] == ["old/a.py", "old/b.py", "shop/new.py"]
    assert [f.path for f in report.counting] == ["shop/new.py"]
    (waived,) = report.waivers
    assert len(waived.covered) == 2 and waived.line == 3 and not waived.fails


def test_a_waiver_by_fingerprint_is_about_one_finding(repository: GitRepository) -> None:
    first = report_of(repository, "").findings[0]
    policy = (
        f'version = 1\n[[waiver]]\nfingerprint = "{first.fingerprint}"\nreason = "x"\nowner = "y"\n'
        "expires = 2030-01-01"
    )
    assert [f.path for f in report_of(repository, policy).counting] == ["old/b.py", "shop/new.py"]


def test_it_holds_through_its_last_day_and_expires_with_the_next(repository: GitRepository) -> None:
    last, next_day = report_of(repository, LEGACY, date(2023, 11, 14)), date(2023, 11, 15)
    assert report_of(repository, LEGACY) == last, "the day of the commit is the default"
    expired = report_of(repository, LEGACY, next_day)
    assert len(expired.counting) == 3
    assert expired.waivers[0].is_expired and expired.waivers[0].fails
    assert "The waiver on line 3 of the policy expired on 2023-11-14 (shop team)" in as_text(expired)


def test_more_than_was_granted_is_said(repository: GitRepository) -> None:
    grown = report_of(repository, LEGACY + "count = 1\n")
    assert [f.path for f in grown.counting] == ["shop/new.py"], "which ones are new nobody can tell"
    assert grown.waivers[0].has_grown and grown.waivers[0].fails
    assert "has grown: 1 when it was granted, 2 now" in as_text(grown)
    assert not report_of(repository, LEGACY + "count = 2\n").waivers[0].fails


def test_a_narrowed_audit_says_that_it_cannot_tell_the_count(repository: GitRepository) -> None:
    narrowed = report_of(repository, LEGACY, paths={"old/a.py"})
    assert narrowed.waivers[0].is_partial and not narrowed.counting
    assert report_of(repository, LEGACY, rules=["unparseable"]).waivers[0].is_partial
    assert not report_of(repository, LEGACY, rules=["missing-member"]).waivers[0].is_partial
    assert not report_of(repository, LEGACY, zones=[Zone.TEST]).waivers[0].is_partial


def test_reports_tell_waived_findings_apart(repository: GitRepository) -> None:
    report = report_of(repository, LEGACY)
    value = json.loads(as_json(report))
    assert value["counts"] == {"counting": 1, "waived": 2}
    assert value["day"] == "2023-11-14"
    assert value["waivers"][0]["now"] == 2 and value["waivers"][0]["line"] == 3
    assert [f.get("waiver") for f in value["findings"]] == [0, 0, None]

    text = as_text(report)
    assert "Waived until 2023-11-14: 2 findings  [missing-member in old/**]" in text
    assert "1 finding: P1 1; prod 1; missing-member 1. 2 findings waived." in text

    data = as_sarif(report)
    Sarif.model_validate_json(data)
    results = json.loads(data)["runs"][0]["results"]
    assert [len(r["suppressions"]) for r in results] == [1, 1, 0]
    assert results[0]["suppressions"][0]["justification"] == "goes with the old shop"


def test_sarif_says_that_a_waiver_expired(repository: GitRepository) -> None:
    data = as_sarif(report_of(repository, LEGACY, date(2024, 1, 1)))
    Sarif.model_validate_json(data)
    run = json.loads(data)["runs"][0]
    assert [r["suppressions"] for r in run["results"]] == [[], [], []]
    assert (
        "expired on 2023-11-14"
        in run["invocations"][0]["toolConfigurationNotifications"][0]["message"]["text"]
    )


def test_a_policy_without_waivers_gives_the_reports_that_it_gave(repository: GitRepository) -> None:
    report = report_of(repository, "")
    assert not {"waivers", "counts", "day"} & json.loads(as_json(report)).keys()
    assert b"suppressions" not in as_sarif(report)


@pytest.fixture
def status(repository: GitRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setenv("SSOT_CACHE_DIR", str(tmp_path / "cache"))

    def run(policy: str, *options: str) -> int:
        file = tmp_path / "policy.toml"
        file.write_text(policy)
        parser = ArgumentParser()
        command.add_arguments(parser)
        path = str(tmp_path / "repo")
        output = str(tmp_path / "report")
        return command.run(parser.parse_args([path, "--policy", str(file), "--output", output, *options]))

    return run


EVERYWHERE = LEGACY.replace("old/**", "**")


def test_the_exit_status_counts_what_is_not_waived_and_waivers_that_expired_or_grew(status) -> None:  # type: ignore[no-untyped-def]
    assert status(LEGACY) == 1, "one finding is not waived"
    assert status(EVERYWHERE) == 0
    assert status(EVERYWHERE, "--today", "2023-11-15") == 1
    assert status(EVERYWHERE + "count = 2\n") == 1
    assert status(EVERYWHERE + "count = 3\n") == 0
    assert status(EVERYWHERE, "--today", "2023-11-15", "--fail-on", "P0") == 0, "none of them is as bad"
    assert status(EVERYWHERE, "--today", "2023-11-15", "--baseline", "HEAD") == 1, "although nothing is new"
    assert status(LEGACY, "--baseline", "HEAD") == 0


def test_an_expired_waiver_fails_although_it_covers_nothing(status) -> None:  # type: ignore[no-untyped-def]
    elsewhere = EVERYWHERE + LEGACY.removeprefix("version = 1\n").replace("old/**", "nowhere/**").replace(
        "2023", "2020"
    )
    assert status(elsewhere) == 1


@pytest.mark.parametrize(
    ("change", "line", "words"),
    [
        ('reason = "goes with the old shop"', 3, "reason"),
        ('owner = "shop team"', 3, "owner"),
        ("expires = 2023-11-14", 3, "expires"),
        ('path = "old/**"', 3, "`fingerprint`, or `rule` and `path`"),
    ],
)
def test_what_a_waiver_needs_is_asked_for(change: str, line: int, words: str) -> None:
    with pytest.raises(PolicyError, match=words) as caught:
        parse_policy(LEGACY.replace(change + "\n", ""))
    assert caught.value.line == line


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ('"missing-member"', '"missing-mamber"', 4, "missing-mamber"),
        ('"old/**"', '"/old/**"', 5, "glob"),
        ('"goes with the old shop"', '" "', 6, "1 to 500"),
        ("2023-11-14", '"tomorrow"', 8, "date"),
        ("2023-11-14", "2023-11-14\ncount = 0", 9, "from 1"),
        ("2023-11-14", '2023-11-14\nfingerprint = "abc"', 3, "`fingerprint`, or"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_line(old: str, new: str, line: int, words: str) -> None:
    with pytest.raises(PolicyError, match=words) as caught:
        parse_policy(LEGACY.replace(old, new))
    assert caught.value.line == line


def test_waivers_can_name_every_rule() -> None:
    assert set(get_args(RuleName)) - {""} == set(RULES)


def test_waivers_change_nothing_of_what_is_found() -> None:
    assert parse_policy(LEGACY).digest == parse_policy("version = 1").digest


def _finding(path: str) -> Finding:
    return Finding(
        rule="missing-member",
        subject="a.B.C",
        path=path,
        line=1,
        column=0,
        scope="",
        zone=Zone.PROD,
        severity=Severity.P1,
        message="",
    )


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sets(st.sampled_from(["old/a.py", "old/b.py", "new/a.py", "c.py"])), st.dates(), st.dates())
def test_every_finding_counts_or_is_waived_and_never_both(paths: set[str], day: date, other: date) -> None:
    findings = tuple(_finding(path) for path in sorted(paths))
    policy = parse_policy(LEGACY.replace("2023-11-14", other.isoformat()))
    waivers = weigh(policy, findings, day)
    report = Report(
        commit="", engine="", policy="", read=0, parsed=0, findings=findings, problems=(), waivers=waivers
    )
    waived = [f for f in findings if f.fingerprint in report.waived_by]
    assert sorted([*report.counting, *waived], key=lambda f: f.path) == list(findings)
    expected = [f for f in findings if f.path.startswith("old/")] if day <= other else []
    assert waived == expected
