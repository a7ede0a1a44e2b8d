"""Builds the sample repository in git objects, and has it audited, so that a first visitor sees every page alive."""

import shutil
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

import pygit2
from django.utils import timezone
from pygit2.enums import FileMode

from audits import auditing, fetching, ingesting, policies, remediation, working
from audits.models import Covers, History, Repository, SampleRemoval, State, TestRun, Trigger
from audits.sample_story import FIRST_COMMIT, POLICY, STORY, Step

NAME, SLUG, BRANCH = "Tidepool", "tidepool", "main"
# A quarter: long enough to look around, and within the year that a waiver may last.
_WAIVED_FOR = timedelta(days=90)
_MAIL = "{}@tidepool.example"


def load(*, unless_removed: bool = False) -> Repository | None:
    """The sample repository, built and audited; what is there already stays as it is.

    With ``unless_removed``, None when somebody removed it before. Audits run here and now, one after the other.
    """
    if unless_removed and SampleRemoval.objects.exists():
        return None
    commits = build(fetching.sample_path())
    repository, _ = Repository.objects.get_or_create(
        slug=SLUG,
        is_sample=True,
        defaults={"name": NAME, "location": str(fetching.sample_path()), "branch": BRANCH},
    )
    SampleRemoval.objects.all().delete()
    if repository.policy is None:
        expires = (timezone.now() + _WAIVED_FOR).date().isoformat()
        policies.save(repository, POLICY.format(expires=expires), reason="What is canonical in the sample")
    for step in STORY:
        if step.audited:
            _audit(repository, commits[step.name])
    if not History.objects.filter(repository=repository).exists():
        audit, created = auditing.request(repository, trigger=Trigger.SAMPLE, covers=Covers.HISTORY)
        if created:
            working.run(audit.pk)
    _take_in_reports(repository, commits)
    remediation.keep_up(repository.pk)
    _make_issue(repository)
    return repository


def _take_in_reports(repository: Repository, commits: Mapping[str, str]) -> None:
    """The test reports that the story's commits bring, as if each had been uploaded then."""
    for step in STORY:
        for path, text in step.files.items():
            if path.startswith("reports/") and text is not None:
                run, _ = ingesting.receive(
                    repository,
                    text.encode(),
                    name=path.rpartition("/")[2],
                    commit=commits[step.name],
                    branch=BRANCH,
                    source=TestRun.Source.SAMPLE,
                )
                ingesting.read(run.pk)


def _make_issue(repository: Repository) -> None:
    """The issue that the story's tracker is about, once."""
    tracker = repository.trackers.filter(issue=None, is_pasted=False).first()
    if tracker is None or repository.issues.exists():
        return
    proposal = remediation.propose_from(tracker)
    remediation.create(
        repository,
        title=proposal.title,
        kind=proposal.kind,
        priority=proposal.priority,
        subjects=proposal.subjects,
        issue_number=proposal.issue_number,
        tracker=tracker,
    )
    remediation.keep_up(repository.pk)


def _audit(repository: Repository, commit: str) -> None:
    if repository.audits.filter(commit_sha=commit, state=State.SUCCEEDED).exists():
        return
    audit, created = auditing.request(repository, commit, Trigger.SAMPLE)
    if created:
        working.run(audit.pk)


def build(path: Path) -> dict[str, str]:
    """The story as a bare repository at ``path``: the commit id of each step. The same ids wherever it is built.

    Built beside its place and then moved there, so that a half-built one is never seen.
    """
    draft = path.with_name(f"{path.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    git = pygit2.init_repository(str(draft), bare=True, initial_head=BRANCH)
    commits: dict[str, str] = {}
    trees: dict[str, dict[str, str]] = {}
    before: tuple[str, ...] = ()
    for step in STORY:
        parents = step.parents or before
        files: dict[str, str] = dict(trees[parents[0]]) if parents else {}
        # A merged branch is one step in this story, so merging it is making its change again.
        for changes in (*(_step(parent).files for parent in parents[1:]), step.files):
            _apply(files, changes)
        trees[step.name] = files
        commits[step.name] = _commit(git, step, files, [commits[parent] for parent in parents])
        before = (step.name,)
    git.references.create(f"refs/heads/{BRANCH}", commits[STORY[-1].name], force=True)
    if _has(path, commits[STORY[-1].name]):
        shutil.rmtree(draft)
    else:
        shutil.rmtree(path, ignore_errors=True)
        draft.rename(path)
    return commits


def _has(path: Path, commit: str) -> bool:
    """Whether the repository at ``path`` tells this story: an earlier release told another one."""
    return path.exists() and commit in pygit2.Repository(str(path))


def _step(name: str) -> Step:
    return next(step for step in STORY if step.name == name)


def _apply(files: dict[str, str], changes: Mapping[str, str | None]) -> None:
    for path, text in changes.items():
        if text is None:
            del files[path]
        else:
            files[path] = text


def _commit(git: pygit2.Repository, step: Step, files: dict[str, str], parents: list[str]) -> str:
    index = pygit2.Index()
    for name, text in files.items():
        index.add(pygit2.IndexEntry(name, git.create_blob(text.encode()), FileMode.BLOB))
    time = datetime.fromisoformat(FIRST_COMMIT) + timedelta(minutes=step.at)
    mail = _MAIL.format(step.author.split()[0].lower())
    signature = pygit2.Signature(step.author, mail, int(time.timestamp()), 0)
    oid = git.create_commit(None, signature, signature, step.message, index.write_tree(git), list(parents))
    return str(oid)
