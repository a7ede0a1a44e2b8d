"""The script of the CI recipes against a running site with a worker; what the API says of an audit beside another."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client

from audits import auditing, working
from audits.models import Audit, Repository
from ssot_dash import tokens
from tests.audits.conftest import AddRepository, Drifting, add_repository, drifting  # noqa: F401 (fixtures)

pytestmark = pytest.mark.django_db(transaction=True)
SCRIPT = Path(settings.BASE_DIR) / "docs/ci/ssot_ci.py"
GOOD = '<testsuite><testcase classname="t" name="test_a"/><testcase classname="t" name="test_b"/></testsuite>'
BAD = GOOD.replace('name="test_b"/>', 'name="test_b"><failure message="no"/></testcase>')


@pytest.fixture
def repository(drifting: Drifting, add_repository: AddRepository) -> Repository:  # noqa: F811
    return add_repository(drifting.path, branch="main")


def token_for(repository: Repository) -> str:
    user = User.objects.create_superuser("ci")
    return tokens.create(user, "CI", ["audits:read", "audits:write", "test-runs:write"], repository)[1]


def audited(repository: Repository, commit: str) -> Audit:
    audit, _ = auditing.request(repository, commit)
    working.run(audit.pk)
    audit.refresh_from_db()
    assert audit.state == "succeeded"
    return audit


@pytest.mark.celery
def test_a_job_fails_on_what_is_new_and_passes_on_what_was_there(
    repository: Repository,
    drifting: Drifting,  # noqa: F811
    live_server: Any,
    start_worker: Callable[..., object],
    tmp_path: Path,
) -> None:
    start_worker()
    secret = token_for(repository)

    def job(
        commit: str, against: str, report: str = "", token: str = secret
    ) -> subprocess.CompletedProcess[str]:
        arguments = ["--commit", commit, "--against", against, "--seconds", "600"]
        if report:
            (tmp_path / "report.xml").write_text(report)
            arguments += ["--report", str(tmp_path / "report.xml")]
        return subprocess.run(
            [sys.executable, "-I", str(SCRIPT), repository.slug, *arguments],
            env={"SSOT_URL": live_server.url, "SSOT_TOKEN": token, "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=False,
        )

    worse = job(drifting.second, drifting.first, GOOD)
    assert worse.returncode == 1, worse.stderr
    assert worse.stdout.count("NEW P1 app/runs.py:") == 2
    assert f"2 new, 0 gone since {drifting.first[:9]}" in worse.stdout
    assert "no earlier run to compare with" in worse.stdout

    same = job(drifting.second, drifting.second)
    assert (same.returncode, "0 new, 0 gone" in same.stdout) == (0, True)

    broken = job(drifting.third, drifting.second, BAD)
    assert broken.returncode == 1, broken.stderr
    assert f"0 new, 3 gone since {drifting.second[:9]}" in broken.stdout
    assert "BROKEN t::test_b" in broken.stdout
    assert "REGRESSIONS" in broken.stdout

    unknown = job("f" * 40, drifting.first)
    assert unknown.returncode == 2
    assert "the audit of fffffffff failed" in unknown.stderr
    stranger = job(drifting.first, drifting.first, token="ssot_none")
    assert (stranger.returncode, "401" in stranger.stderr) == (2, True)


def told(client: Client, path: str, **query: str) -> Any:
    answer = client.get(path, query)
    kind = "sarif+json" if query.get("format") == "sarif" else "json"
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, f"application/{kind}")
    return json.loads(b"".join(answer))


def test_findings_are_told_as_json_and_as_sarif_with_what_is_new(
    repository: Repository,
    drifting: Drifting,  # noqa: F811
) -> None:
    client = Client(headers={"Authorization": f"Bearer {token_for(repository)}"})
    first, second = (audited(repository, commit) for commit in (drifting.first, drifting.second))
    path = f"/api/v1/audits/{second.pk}/findings"
    plain = told(client, path)
    assert [finding["line"] for finding in plain["findings"]] == [5, 9, 9]
    assert plain["commit"] == drifting.second
    beside = told(client, path, against=drifting.first)
    assert [finding["baseline"] for finding in beside["findings"]] == ["unchanged", "new", "new"]
    sarif = told(client, path, format="sarif", against=drifting.first)
    assert [r["baselineState"] for r in sarif["runs"][0]["results"]] == ["unchanged", "new", "new"]
    verdict = client.get(f"/api/v1/audits/{second.pk}/verdict").json()
    assert (verdict["new_count"], verdict["base_audit"]) == (2, first.pk)
    assert verdict["url"].endswith(f"/audits/{second.pk}/?against={first.commit_sha}")
    assert client.get(f"/api/v1/audits/{first.pk}/verdict").json()["gone_count"] == 2


def test_what_is_accepted_is_not_new(repository: Repository, drifting: Drifting) -> None:  # noqa: F811
    client = Client(headers={"Authorization": f"Bearer {token_for(repository)}"})
    audited(repository, drifting.first)
    second = audited(repository, drifting.second)
    repository.violations.filter(line=9).update(waived_until="2100-01-01")
    verdict = client.get(f"/api/v1/audits/{second.pk}/verdict").json()
    assert verdict["new_count"] == 0


def test_an_audit_without_a_result_says_so(repository: Repository, drifting: Drifting) -> None:  # noqa: F811
    client = Client(headers={"Authorization": f"Bearer {token_for(repository)}"})
    waiting, _ = auditing.request(repository)
    answer = client.get(f"/api/v1/audits/{waiting.pk}/findings")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert "queued" in answer.json()["message"]
    working.run(waiting.pk)
    alone = client.get(f"/api/v1/audits/{waiting.pk}/verdict")
    assert (alone.status_code, "no earlier audit" in alone.json()["message"]) == (409, True)
    unknown = client.get(f"/api/v1/audits/{waiting.pk}/findings", {"against": "b" * 40})
    assert (unknown.status_code, "bbbbbbbbb" in unknown.json()["message"]) == (409, True)
    assert client.get(f"/api/v1/audits/{waiting.pk}/findings", {"format": "xml"}).status_code == 422
