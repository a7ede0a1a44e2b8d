"""A repository with a story of three commits, audited for real; its rows as a worker would have written them."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from django.db import transaction
from django.utils import timezone

from audits import policies, recording, scoring
from audits.engine.findings import Report
from audits.engine.git import Commit, GitRepository
from audits.engine.policy import parse_policy
from audits.engine.run import audit as engine_audit
from audits.models import Audit, Repository, State, Violation
from tests.samples import commit_tree, init_repository

NASTY_PATH = "tests/<img src=x onerror=alert(1)>.py"
NASTY_MESSAGE = "Add RUN <script>alert(2)</script>"
POLICY = "version = 1\n[limits]\nfile_bytes = 4000\n"
IDS = '''"""The canonical IDs."""

import enum


class IDType(enum.Enum):
    """Every kind of ID."""

    USER = "user"
    THREAD = "thread"
'''
BEGAN = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def tree(*, fixed: bool = False, late: bool = False) -> dict[str, str]:
    files = {
        "app/__init__.py": "",
        "app/ids.py": IDS + ('    RUN = "run"\n' if fixed else ""),
        "app/runner.py": (
            "from app.ids import IDType\n\nKIND = IDType.RUN\n\n\ndef start():\n    return IDType.THREADS\n"
        ),
        "app/careful.py": (
            "from app.ids import IDType\n\n\ndef kind():\n    try:\n        return IDType.RUN\n"
            "    except AttributeError:\n        return None\n"
        ),
        "app/old_import.py": "from app.registry import lookup\n",
        "app/huge.py": "X = 1\n" * 1000,
        "scripts/migrate.py": "from app.ids import IDType\nprint(IDType.RUN)\n",
        NASTY_PATH: "from app.ids import IDType\n\n\ndef test_run():\n    assert IDType.RUN\n",
    }
    if late:
        files["app/late.py"] = "from app.ids import IDType\n\n\ndef late():\n    return IDType.RUN\n"
    return files


class NoStore:
    """Facts are not kept between the story's audits."""

    def get_many(self, blob_shas: object) -> dict[str, bytes]:
        return {}

    def put_many(self, facts: object) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Chapter:
    commit: Commit
    report: Report


def chapters_at(path: Path) -> list[Chapter]:
    """Make the git repository at ``path`` and say what the engine finds in its commits, the oldest first."""
    init_repository(path)
    first = commit_tree(path, tree(), "Name each run", BEGAN, [])
    second = commit_tree(path, tree(late=True), "One more", BEGAN + timedelta(minutes=10), [first])
    third = commit_tree(
        path, tree(late=True, fixed=True), NASTY_MESSAGE, BEGAN + timedelta(minutes=40), [second]
    )
    git = GitRepository(path)
    commits = [git.resolve(sha) for sha in (first, second, third)]
    policy = parse_policy(POLICY)
    return [Chapter(c, engine_audit(git, c, policy, NoStore(), workers=1)) for c in commits]


@dataclass(frozen=True, slots=True)
class Story:
    repository: Repository
    audits: list[Audit]

    def violation(self, **wanted: object) -> Violation:
        return self.repository.violations.get(**wanted)

    @property
    def url(self) -> str:
        return f"/repositories/{self.repository.slug}/"


def tell(path: Path, chapters: list[Chapter]) -> Story:
    """The rows of the repository with all its commits audited; ``RUN`` is gone at the last one."""
    repository = Repository.objects.create(name="Story", slug="story", location=str(path))
    policies.save(repository, POLICY)
    audits = [record(repository, chapter) for chapter in chapters]
    return Story(repository, audits)


def record(repository: Repository, chapter: Chapter) -> Audit:
    """A succeeded audit with all its rows, as the worker writes them."""
    report, commit = chapter.report, chapter.commit
    counts: dict[str, dict[str, int]] = {}
    for finding in report.findings:
        zones = counts.setdefault(finding.rule, {})
        zones[finding.zone] = zones.get(finding.zone, 0) + 1
    audit = Audit.objects.create(
        repository=repository,
        state=State.SUCCEEDED,
        attempts=1,
        started_at=timezone.now() - timedelta(seconds=5),
        finished_at=timezone.now(),
        commit_sha=commit.sha,
        commit_time=commit.time,
        commit_author=commit.author,
        commit_subject=commit.subject,
        policy_version=repository.policy,
        policy_digest=report.policy,
        engine_version=report.engine,
        files_read=report.read,
        files_parsed=report.parsed,
        findings_count=len(report.findings),
        problems_count=len(report.problems),
        counts=counts,
        timings=report.timings,
    )
    git = GitRepository(Path(repository.location))
    with transaction.atomic():
        recording.record_result(audit, report.findings, report.problems, git.is_ancestor, git.resolve().sha)
        scoring.renew(repository.pk)
    repository.refresh_from_db()
    return audit
