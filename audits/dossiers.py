"""Gathers all that is known about an issue, from rows and from git objects, for ``audits.verdicts`` to judge."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import cached_property

import msgspec
import zstandard
from django.db.models import Q, QuerySet

from audits import comparisons, trackers
from audits.engine.facts import FUNCTION, Facts, decode
from audits.engine.git import GitRepository
from audits.engine.parsing import ParsePool
from audits.engine.policy import Limits
from audits.facts_store import PostgresFactsStore
from audits.models import (
    Commit,
    Event,
    History,
    Issue,
    IssueNote,
    IssueReference,
    IssueSubject,
    Repository,
    TestResult,
    TestRun,
    TrackerVersion,
    Violation,
)
from audits.testruns import Outcome, Result
from audits.trackers import Tracker, TrackerError
from audits.verdicts import (
    Compared,
    Cousins,
    Dossier,
    FileFact,
    Moment,
    Place,
    Run,
    Said,
    Version,
    new_test_files,
)

NUMBER = re.compile(r"(?<![\w/&])#(\d{1,9})\b")
# Commits that ended violations, from the last one back, that are looked at for the one after which none was left.
_FIXES = 300
_RUNS = 200


def violations_of(subjects: Iterable[IssueSubject], repository_id: int) -> QuerySet[Violation]:
    """The violations that an issue with these subjects covers."""
    wanted = Q(pk__in=[])
    for subject in subjects:
        wanted |= Q(rule=subject.rule, subject=subject.subject)
    return Violation.objects.filter(wanted, repository=repository_id)


@dataclass(slots=True)
class Graph:
    """The commits of a repository's history: who comes before whom. Loaded once, for all issues."""

    repository: Repository
    _parents: dict[str, list[str]] = field(default_factory=dict)
    position: dict[str, int] = field(default_factory=dict)
    _ancestors: dict[str, frozenset[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rows = Commit.objects.filter(repository=self.repository).order_by("position")
        for sha, position, parents in rows.values_list("sha", "position", "parents"):
            self._parents[sha] = parents
            self.position[sha] = position

    def ancestors(self, sha: str) -> frozenset[str]:
        """The commit and all before it; empty when it is not part of the known history."""
        if sha not in self._parents:
            return frozenset()
        if sha not in self._ancestors:
            found, pending = {sha}, [sha]
            while pending:
                for parent in self._parents[pending.pop()]:
                    if parent not in found and parent in self._parents:
                        found.add(parent)
                        pending.append(parent)
            if len(self._ancestors) > 64:
                self._ancestors.clear()
            self._ancestors[sha] = frozenset(found)
        return self._ancestors[sha]


@dataclass(frozen=True, slots=True)
class _Step:
    """An event of a violation: where in the history, and whether it began."""

    sha: str
    position: int
    begins: bool


@dataclass(slots=True)
class Lives:
    """Violations with their events, to be asked what was open at a commit."""

    graph: Graph
    rows: Sequence[Violation]
    steps: dict[int, list[_Step]] = field(default_factory=dict)

    @classmethod
    def of(cls, graph: Graph, violations: QuerySet[Violation]) -> "Lives":
        rows = list(violations.only("pk", "path", "line", "is_open", "waived_until", "rule", "subject"))
        lives = cls(graph, rows)
        events = Event.objects.filter(violation__in=rows).order_by("commit__position")
        for violation, sha, position, kind in events.values_list(
            "violation", "commit__sha", "commit__position", "kind"
        ):
            step = _Step(sha, position, kind == Event.Kind.INTRODUCED)
            lives.steps.setdefault(violation, []).append(step)
        return lives

    def open_at(self, sha: str) -> list[Violation]:
        """The violations that stood at a commit: those whose last event before it, or with it, began them.

        Where two lines of development disagree, that is the one that comes last in the order of commits.
        """
        before = self.graph.ancestors(sha)
        found = []
        for row in self.rows:
            last = next((step for step in reversed(self.steps.get(row.pk, ())) if step.sha in before), None)
            if last is not None and last.begins:
                found.append(row)
        return found

    def ended_by_merge(self) -> set[int]:
        """Violations that are gone although no commit says so: a merge brought their end from another line."""
        return {
            row.pk
            for row in self.rows
            if not row.is_open and (steps := self.steps.get(row.pk)) and steps[-1].begins
        }


class Gathering:
    """Gathers dossiers of one repository's issues. ``git`` is None when this host can't read its objects."""

    def __init__(self, repository: Repository, git: GitRepository | None) -> None:
        self.repository = repository
        self.git = git
        self.history = History.objects.filter(repository=repository).first()
        self._facts: dict[str, Facts | None] = {}
        self._trees: dict[str, dict[str, str]] = {}

    @cached_property
    def graph(self) -> Graph:
        return Graph(self.repository)

    def dossier(self, issue: Issue) -> Dossier:
        """All that is known about an issue now."""
        subjects = list(issue.subjects.all())
        lives = Lives.of(self.graph, violations_of(subjects, issue.repository_id))
        standing = [row for row in lives.rows if row.is_open]
        fixed = self._fixed(lives)
        back = self._back(lives, fixed) if standing and fixed is not None else None
        if standing and back is None:
            fixed = None  # on a side branch, perhaps; the branch itself still has some
        references = list(issue.references.all())
        versions = self._versions(issue, lives)
        runs, compared = self._runs(fixed, versions)
        return Dossier(
            numbers=_numbers(references, IssueReference.Kind.ISSUE) | _issues_of(versions),
            pulls=_numbers(references, IssueReference.Kind.PULL),
            has_links=any(r.kind == IssueReference.Kind.PULL for r in references),
            is_audited=self.history is not None or self.repository.current_audit_id is not None,
            is_known=self.history is not None,
            introduced=self._introduced(lives),
            fixed=self._moment(fixed) if fixed is not None else None,
            back=self._moment(back) if back is not None else None,
            numbers_of_fix=self._numbers_named(fixed) if fixed is not None else frozenset(),
            ever=len(lives.rows),
            open_now=_as_places(row for row in standing if row.counts),
            accepted=_as_places(row for row in standing if row.is_waived),
            cousins=self._cousins(subjects, fixed),
            versions=versions,
            said=tuple(
                _said(note) for note in issue.notes.filter(kind=IssueNote.Kind.CLAIM).select_related("author")
            ),
            runs=runs,
            compared=compared,
        )

    # --- Commits ---

    def _moment(self, sha: str) -> Moment:
        row = Commit.objects.get(repository=self.repository, sha=sha)
        return Moment(sha, row.time, row.subject)

    def _introduced(self, lives: Lives) -> Moment | None:
        began = {step.sha for steps in lives.steps.values() for step in steps if step.begins}
        row = (
            Commit.objects.filter(repository=self.repository, sha__in=began)
            .order_by("time", "position")
            .first()
        )
        return Moment(row.sha, row.time, row.subject) if row is not None else None

    def _fixed(self, lives: Lives) -> str | None:
        """The last commit that ended the last violation there was."""
        lost = lives.ended_by_merge()
        ends = {
            (step.position, step.sha) for steps in lives.steps.values() for step in steps if not step.begins
        }
        for _, sha in sorted(ends, reverse=True)[:_FIXES]:
            if all(row.pk in lost for row in lives.open_at(sha)):
                return sha
        return None

    def _back(self, lives: Lives, fixed: str | None) -> str | None:
        """The first commit after the fix that brought some of them again."""
        after = self.graph.position.get(fixed or "", -1)
        open_now = {row.pk for row in lives.rows if row.is_open}
        began = [
            step
            for violation, steps in lives.steps.items()
            if violation in open_now
            for step in steps
            if step.begins and step.position > after and fixed in self.graph.ancestors(step.sha)
        ]
        return min(began, key=lambda step: step.position).sha if began else None

    def _numbers_named(self, sha: str) -> frozenset[int]:
        text = self.git.message(sha) if self.git is not None else ""
        text = text or Commit.objects.values_list("subject", flat=True).get(
            repository=self.repository, sha=sha
        )
        return frozenset(int(number) for number in NUMBER.findall(text))

    def _cousins(self, subjects: Sequence[IssueSubject], fixed: str | None) -> Cousins | None:
        """Violations of the same definitions: a member that another enum member's issue doesn't cover."""
        owners = Counter(
            subject.subject.rpartition(".")[0] for subject in subjects if subject.rule == "missing-member"
        )
        if not owners:
            return None
        owner = owners.most_common(1)[0][0]
        rows = Violation.objects.filter(
            repository=self.repository, rule="missing-member", subject__startswith=f"{owner}."
        ).exclude(subject__in=[subject.subject for subject in subjects])
        lives = Lives.of(self.graph, rows)
        now = [row for row in lives.rows if row.counts]
        return Cousins(
            definition=owner,
            places=len(now),
            files=len({row.path for row in now}),
            at_fix=len(lives.open_at(fixed)) if fixed is not None else None,
        )

    # --- Trackers ---

    def _versions(self, issue: Issue, lives: Lives) -> tuple[Version, ...]:
        rows = TrackerVersion.objects.filter(tracker__issue=issue, error="").order_by(
            "time", "position", "pk"
        )
        found = []
        for row in rows:
            try:
                said = trackers.read(row.text)
            except TrackerError:
                continue
            zone = timezone(timedelta(minutes=row.utc_offset))
            moment = Moment(row.commit_sha, row.time.astimezone(zone), row.subject)
            known = row.commit_sha in self.graph.position
            places = _as_places(lives.open_at(row.commit_sha)) if known else None
            found.append(Version(row.pk, moment, said, places, {}))
        named = _paths([version.tracker for version in found])
        return tuple(
            Version(v.key, v.moment, v.tracker, v.open_places, self._files(v.moment.sha, named))
            for v in found
        )

    def _files(self, commit: str, paths: Iterable[str]) -> dict[str, FileFact]:
        if self.git is None or not commit:
            return {}
        return {path: self._file(commit, path) for path in paths}

    def _file(self, commit: str, path: str) -> FileFact:
        assert self.git is not None
        entry = self.git.entry(commit, path)
        sha = entry.sha if entry is not None else self._elsewhere(commit, path)
        if sha is None:
            return FileFact(exists=False)
        data = self.git.blob(sha)
        if data is None:
            return FileFact(exists=True)
        tests = self._tests(sha) if path.endswith(".py") else None
        return FileFact(exists=True, lines=data.count(b"\n") + (not data.endswith(b"\n")), tests=tests)

    def _elsewhere(self, commit: str, path: str) -> str | None:
        """A file that is named by the end of its path alone, when there is exactly one such file."""
        assert self.git is not None
        if commit not in self._trees:
            self._trees.clear()
            self._trees[commit] = {entry.path: entry.sha for entry in self.git.tree(commit)}
        tree = self._trees[commit]
        found = {sha for other, sha in tree.items() if other.endswith(f"/{path}")}
        return found.pop() if len(found) == 1 else None

    def _tests(self, sha: str) -> int | None:
        """How many test functions and methods a file holds; None when it can't be parsed."""
        if sha not in self._facts:
            self._facts[sha] = self._parsed(sha)
        facts = self._facts[sha]
        if facts is None or facts.error is not None:
            return None
        functions = sum(d.kind == FUNCTION and d.name.startswith("test") for d in facts.definitions)
        methods = sum(name.startswith("test") for cls in facts.classes for name in cls.names)
        return functions + methods

    def _parsed(self, sha: str) -> Facts | None:
        assert self.git is not None
        store = PostgresFactsStore()
        data = store.get_many([sha]).get(sha)
        if data is None:
            limits = Limits()
            with ParsePool(
                self.git.path, file_bytes=limits.file_bytes, file_seconds=limits.file_seconds, workers=1
            ) as pool:
                outcomes = [outcome for batch in pool.parse([sha]) for outcome in batch]
            data = next((o.facts for o in outcomes if not o.problem), None)
            if data is not None:
                store.put_many({sha: data})
        try:
            return decode(data) if data is not None else None
        except (msgspec.DecodeError, zstandard.ZstdError):
            return None

    # --- Test runs ---

    def _runs(
        self, fixed: str | None, versions: Sequence[Version]
    ) -> tuple[tuple[Run, ...], Compared | None]:
        """Test runs on either side of the fix, and the nearest two compared; before there is a fix, all are before."""
        rows = TestRun.objects.filter(repository=self.repository, state=TestRun.State.READ)
        sided = [(row, self._side(row.commit_sha, fixed)) for row in rows.order_by("-pk")[:_RUNS]]
        order = self.graph.position
        placed = sorted(
            ((row, side) for row, side in sided if side is not None),
            key=lambda pair: (order.get(pair[0].commit_sha, -1), pair[0].pk),
        )
        named = list(dict.fromkeys(path for v in versions for path in new_test_files(v.tracker)))
        results = self._results([row for row, _ in placed], named)
        runs = tuple(
            Run(
                row.pk,
                Moment(row.commit_sha, row.commit_time or row.received_at),
                side,
                results.get(row.pk, {}),
            )
            for row, side in placed
        )
        before = [row for row, side in placed if side]
        after = [row for row, side in placed if not side]
        if not before or not after:
            return runs, None
        found = comparisons.compare_runs(before[-1], after[-1])
        return runs, Compared(before[-1].pk, after[-1].pk, found.comparison, found.passed_in_both)

    def _side(self, commit: str, fixed: str | None) -> bool | None:
        """Whether a run's commit comes before the fix; None when it is neither before nor after it."""
        if fixed is None:
            return True
        if commit == fixed or fixed in self.graph.ancestors(commit):
            return False
        return True if commit in self.graph.ancestors(fixed) else None

    def _results(self, runs: Sequence[TestRun], files: Sequence[str]) -> Mapping[int, dict[str, Result]]:
        """By run: the last result of each test that stands in one of these files."""
        found: dict[int, dict[str, Result]] = {}
        if not runs or not files:
            return found
        wanted = Q(pk__in=[])
        for path in files:
            wanted |= Q(test__name__contains=path.rpartition("/")[2].removesuffix(".py"))
        modules = {path.removesuffix(".py").replace("/", ".") for path in files}
        rows = TestResult.objects.filter(wanted, run__in=runs).order_by("ordinal").select_related("test")
        for row in rows:
            if _is_in(row.test.name, modules):
                found.setdefault(row.run_id, {})[row.test.name] = Result(
                    row.test.name,
                    Outcome(row.outcome),
                    row.phase,
                    row.reason,
                    row.message,
                    row.seconds,
                    row.ordinal,
                )
        return found


def _is_in(test: str, modules: Iterable[str]) -> bool:
    """Whether a test stands in one of some modules, by its name: ``package.module.Class::test``.

    A report can leave out the folder that the tests were started in.
    """
    owner = test.partition("::")[0]
    for module in modules:
        parts = module.split(".")
        for start in range(len(parts)):
            tail = ".".join(parts[start:])
            if owner == tail or owner.startswith(f"{tail}."):
                return True
    return False


def _as_places(rows: Iterable[Violation]) -> tuple[Place, ...]:
    return tuple(sorted((Place(row.path, row.line) for row in rows), key=lambda p: (p.path, p.line)))


def _numbers(references: Iterable[IssueReference], kind: str) -> frozenset[int]:
    return frozenset(r.number for r in references if r.kind == kind and r.number is not None)


def _issues_of(versions: Iterable[Version]) -> frozenset[int]:
    return frozenset(v.tracker.issue.number for v in versions if v.tracker.issue is not None)


def _paths(documents: Iterable[Tracker]) -> list[str]:
    """The files that steps 1 to 3 name, once each."""
    return list(
        dict.fromkeys(f.path for document in documents for f in document.files if f.step in {1, 2, 3})
    )


def _said(note: IssueNote) -> Said:
    who = note.author.get_username() if note.author is not None else "somebody"
    return Said(note.pk, note.step or 0, note.at, who)


def newest(moments: Iterable[datetime | None]) -> datetime | None:
    """The latest of some times, None when there is none."""
    return max((moment for moment in moments if moment is not None), default=None)
