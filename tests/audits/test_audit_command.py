"""``manage.py audit``: what a person or a CI job sees of it."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command

from tests.samples import commit_tree, init_repository

KINDS = "from enum import Enum\n\n\nclass Kind(Enum):\n    USER = 'user'\n"
LATE = "from shop.kinds import Kind\n\n\ndef f():\n    return Kind.RUN\n"


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    path = init_repository(tmp_path / "a repository")
    first = commit_tree(path, {"shop/__init__.py": "", "shop/kinds.py": KINDS}, "one", 1_700_000_000, [])
    files = {"shop/__init__.py": "", "shop/kinds.py": KINDS, "shop/late.py": LATE, "tests/test_a.py": LATE}
    commit_tree(path, files, "two", 1_700_000_060, [first])
    return path


@dataclass(frozen=True, slots=True)
class Done:
    """What the command left, as a process of its own would have."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture(autouse=True)
def facts_of_these_tests(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSOT_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "facts"))


def run(*arguments: str | Path) -> Done:
    """The command in this process, which may ask no database here."""
    out, err = TextIOWrapper(BytesIO(), "utf-8"), StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
        call_command("audit", *map(str, arguments))
    assert isinstance(ended.value.code, int)
    out.seek(0)
    return Done(ended.value.code, out.read(), err.getvalue())


def run_alone(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, with a database address that nothing answers at."""
    return subprocess.run(
        [sys.executable, "-m", "django", "audit", *map(str, arguments)],
        cwd=settings.BASE_DIR,
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
            "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
            "DJANGO_SETTINGS_MODULE": "ssot_dash.settings",
        },
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def test_findings_exit_1_and_need_no_database(sample: Path) -> None:
    done = run_alone(sample)
    assert done.returncode == 1, done.stderr
    assert "shop.kinds.Kind.RUN  [missing-member]  2 places in 2 files" in done.stdout
    assert done.stderr == ""
    here = run(sample)
    assert (here.returncode, here.stdout, here.stderr) == (done.returncode, done.stdout, done.stderr)


def test_a_process_that_could_not_audit_exits_2_and_says_why(tmp_path: Path) -> None:
    done = run_alone(tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "is not a git repository" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_clean_commit_exits_0(sample: Path) -> None:
    done = run(sample, "--rev", "main~1")
    assert done.returncode == 0
    assert "No findings." in done.stdout


@pytest.mark.parametrize(("fail_on", "status"), [("P0", 0), ("P1", 1), ("P3", 1)])
def test_fail_on_names_the_mildest_severity_that_fails(sample: Path, fail_on: str, status: int) -> None:
    assert run(sample, "--fail-on", fail_on).returncode == status


def test_rule_and_zone_narrow_the_report(sample: Path) -> None:
    done = run(sample, "--zone", "test", "--rule", "missing-member", "--format", "json")
    assert [f["path"] for f in json.loads(done.stdout)["findings"]] == ["tests/test_a.py"]
    assert json.loads(run(sample, "--rule", "unparseable", "--format", "json").stdout)["findings"] == []


def test_output_goes_to_a_file(sample: Path, tmp_path: Path) -> None:
    target = tmp_path / "report.sarif"
    done = run(sample, "--format", "sarif", "--output", target)
    assert done.stdout == ""
    assert json.loads(target.read_text())["version"] == "2.1.0"


def test_a_git_directory_and_a_bare_copy_give_the_same_report(sample: Path, tmp_path: Path) -> None:
    bare = tmp_path / "copy.git"
    shutil.copytree(sample / ".git", bare)
    reports = {run(path, "--format", "json").stdout for path in (sample, sample / ".git", bare)}
    assert len(reports) == 1


def test_the_second_audit_reads_facts_from_the_cache(
    sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("SSOT_CACHE_DIR", str(cache))
    first = run(sample, "--format", "json")
    assert list(cache.glob("facts-*.sqlite3"))
    assert run(sample, "--format", "json").stdout == first.stdout


def test_a_policy_file_moves_zones(sample: Path, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text('version = 1\n[zones]\nscript = ["shop/**"]\n')
    done = run(sample, "--policy", policy, "--zone", "script", "--format", "json")
    assert [f["path"] for f in json.loads(done.stdout)["findings"]] == ["shop/late.py"]


def test_the_tree_brings_its_policy(tmp_path: Path) -> None:
    path = init_repository(tmp_path / "own")
    code = {"app/__init__.py": "", "app/use.py": "from app import gone\n"}
    first = commit_tree(path, code, "Without", 1_700_000_000, [])
    commit_tree(
        path,
        code | {".ssot.toml": 'version = 1\nexclude = ["app/use.py"]\n'},
        "With",
        1_700_000_100,
        [first],
    )
    default = tmp_path / "default.toml"
    default.write_text("version = 1\n")
    assert run(path).returncode == 0
    assert run(path, "--rev", "HEAD~1").returncode == 1
    assert run(path, "--policy", default).returncode == 1


def test_a_policy_in_the_tree_that_cant_be_used_is_no_default_policy(tmp_path: Path) -> None:
    path = init_repository(tmp_path / "own")
    commit_tree(path, {".ssot.toml": "version = 1\nzonse = 1\n"}, "With", 1_700_000_000, [])
    done = run(path)
    assert done.returncode == 2
    assert ".ssot.toml of commit" in done.stderr and "line 2" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{empty}"], "the repository has no commits yet"),
        (["{nothing}"], "is not a git repository"),
        (["{sample}", "--rev", "nope"], "there is no commit, tag or branch 'nope' here"),
        (["{sample}", "--policy", "{bad}"], "line 2: Object contains unknown field `zonse`"),
        (["{sample}", "--policy", "{nothing}/policy.toml"], "No such file"),
        (["{sample}", "--output", "{nothing}/absent/report"], "No such file"),
    ],
)
def test_what_cannot_be_audited_exits_2_and_says_why(
    sample: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text("version = 1\nzonse = 3\n")
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    places = {"sample": sample, "empty": init_repository(tmp_path / "empty"), "nothing": nothing, "bad": bad}
    done = run(*[argument.format(**places) for argument in arguments])
    assert done.returncode == 2
    assert message in done.stderr


def test_without_a_writable_cache_it_says_so_and_audits(
    sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("SSOT_CACHE_DIR", str(blocked / "cache"))
    done = run(sample)
    assert done.returncode == 1
    assert "Facts are not cached" in done.stderr
