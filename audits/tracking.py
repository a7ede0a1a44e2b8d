"""Follows tracker documents through git history: the only writer of trackers, their versions and claims."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import connection, transaction
from django.utils import timezone

from audits import recording, trackers
from audits.engine.git import Changes, Commit, Entry, GitRepository
from audits.engine.renames import SIMILARITY, similarity
from audits.models import Claim, Repository, Tracker, TrackerScan, TrackerVersion
from audits.trackers import Statement, TrackerError

Change = tuple[Entry | None, Entry | None]

_LOOKS_UP_EVERY = 200  # commits


class GaveWayError(Exception):
    """Somebody waits for what a scan holds until its end: for the repository to be deleted, say."""


def matches(pattern: str, path: str) -> bool:
    """Whether a file is a tracker by its repository's pattern: of the name alone, or of the path if it has a slash."""
    return fnmatchcase(path if "/" in pattern else path.rpartition("/")[2], pattern)


@transaction.atomic
def scan(
    repository: Repository,
    git: GitRepository,
    head: str,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Take in all versions of a repository's trackers up to a commit. Answers how many are new.

    Only commits after those that were looked through already are read; all of them when the branch was rewritten or
    the pattern is another one now. ``progress`` is told of commits done and in total. Nothing is done while somebody
    else is at it. Raises ``GitError``, and ``GaveWayError`` when somebody waits for it, who goes first: nothing was
    taken in.
    """
    TrackerScan.objects.get_or_create(repository=repository)
    state = free_scan(repository)
    if state is None:
        return 0
    pattern = repository.tracker_pattern
    extends = bool(state.head_sha) and state.pattern == pattern and git.is_ancestor(state.head_sha, head)
    issues = {} if extends else _forget(repository)
    found = _Following(repository, git, pattern, _standing(repository))
    commits = git.log(head, [state.head_sha] if extends else []) if pattern else []
    steps = [(commit.parents[0] if commit.parents else "", commit.sha) for commit in commits]
    with closing(git.all_changes(steps)) as listed:
        for number, (commit, changes) in enumerate(zip(commits, listed, strict=True)):
            if number % _LOOKS_UP_EVERY == 0:
                if _is_waited_for():
                    raise GaveWayError
                progress(number, len(commits))
            found.take(commit, changes)
    for tracker in found.by_path.values():
        if not extends and tracker.path in issues:
            tracker.issue_id = issues[tracker.path]
        tracker.save()
    state.head_sha, state.pattern, state.error, state.attempts = head, pattern, "", 0
    state.save()
    return found.versions


def free_scan(repository: Repository) -> TrackerScan | None:
    """How far a repository's trackers are taken in, locked until the transaction ends; None where another process has
    locked it, which is not waited for: that may take minutes."""
    rows = TrackerScan.objects.select_for_update(skip_locked=True, of=("self",))
    return rows.filter(repository=repository).first()


def scanned_now(repository_ids: Iterable[int]) -> set[int]:
    """Of some repositories those whose trackers somebody takes in at this moment."""
    rows = TrackerScan.objects.filter(repository__in=repository_ids)
    with transaction.atomic():
        free = set(
            rows.select_for_update(skip_locked=True, of=("self",)).values_list("repository", flat=True)
        )
    return set(rows.values_list("repository", flat=True)) - free


def _is_waited_for() -> bool:
    """Whether another session waits for a lock of this one's."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_locks"
            " WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid)))"
        )
        (waited_for,) = cursor.fetchone() or (False,)
    return bool(waited_for)


def _forget(repository: Repository) -> dict[str, int]:
    """Remove what was found in git; answers which issues its trackers belonged to, by path."""
    old = Tracker.objects.filter(repository=repository, is_pasted=False)
    issues = {path: issue for path, issue in old.values_list("path", "issue") if issue is not None}
    old.delete()
    return issues


def _standing(repository: Repository) -> dict[str, Tracker]:
    return {tracker.path: tracker for tracker in repository.trackers.filter(is_pasted=False)}


@dataclass(slots=True)
class _Following:
    """Commits, parents before children, that add versions to trackers by path."""

    repository: Repository
    git: GitRepository
    pattern: str
    by_path: dict[str, Tracker]
    versions: int = 0
    _positions: dict[int, int] = field(default_factory=dict)

    def take(self, commit: Commit, changes: Changes) -> None:
        """``changes`` are those beside its first parent."""
        lost = {p: was for p, (was, now) in changes.items() if was and not now and self._is_followed(p)}
        new = {
            p: now
            for p, (was, now) in changes.items()
            if now and not was and self._may_be(p, lost=bool(lost))
        }
        renamed = self._renames(lost, new)
        for path, (was, now) in sorted(changes.items()):
            old = renamed.get(path)
            if now is None or now.kind != "file":
                continue
            if old is None and not matches(self.pattern, path) and not self._is_followed(path):
                continue
            if self._is_merged(commit, path, now):
                continue
            if old is not None:
                self._rename(old, path)
            self._add(commit, path, was if old is None else lost[old], now)
        for path in lost.keys() - set(renamed.values()):
            if path in self.by_path:
                self.by_path[path].is_gone = True

    def _is_followed(self, path: str) -> bool:
        return path in self.by_path

    def _may_be(self, path: str, *, lost: bool) -> bool:
        return matches(self.pattern, path) or (lost and path.endswith(".md"))

    def _is_merged(self, commit: Commit, path: str, now: Entry) -> bool:
        """Whether another parent of a merge has the very same file: then it says nothing new."""
        others = (self.git.entry(parent, path) for parent in commit.parents[1:])
        return any(entry is not None and entry.sha == now.sha for entry in others)

    def _renames(self, lost: Mapping[str, Entry], new: Mapping[str, Entry]) -> dict[str, str]:
        """New path -> old path, for followed files that a commit renames: the most similar ones first."""
        if not lost or not new:
            return {}
        lines = {e.sha: self._lines(e.sha) for e in (*lost.values(), *new.values())}
        scores = sorted(
            (-similarity(lines[was.sha], lines[now.sha]), old, path)
            for old, was in lost.items()
            for path, now in new.items()
        )
        found: dict[str, str] = {}
        for score, old, path in scores:
            if -score >= SIMILARITY and path not in found and old not in found.values():
                found[path] = old
        return found

    def _lines(self, sha: str) -> Counter[bytes]:
        return Counter((self.git.blob(sha) or b"").splitlines())

    def _rename(self, old: str, new: str) -> None:
        if new not in self.by_path:
            tracker = self.by_path.pop(old)
            tracker.path = new
            self.by_path[new] = tracker

    def _add(self, commit: Commit, path: str, was: Entry | None, now: Entry) -> None:
        tracker = self.by_path.get(path)
        if tracker is None:
            tracker = Tracker.objects.create(repository=self.repository, path=path)
            self.by_path[path] = tracker
        tracker.is_gone = False
        version = TrackerVersion(
            tracker=tracker,
            position=self._next_position(tracker),
            commit_sha=commit.sha,
            time=commit.time,
            utc_offset=_minutes_east(commit),
            author=recording.clean(commit.author, 200),
            subject=recording.clean(commit.subject, 300),
            path=recording.clean(path),
            blob_sha=now.sha,
        )
        before = self.git.blob(was.sha) if was is not None else None
        _store(version, self.git.blob(now.sha), before)
        self.versions += 1

    def _next_position(self, tracker: Tracker) -> int:
        if tracker.pk not in self._positions:
            last = tracker.versions.order_by("-position").values_list("position", flat=True).first()
            self._positions[tracker.pk] = -1 if last is None else last
        self._positions[tracker.pk] += 1
        return self._positions[tracker.pk]


def _minutes_east(commit: Commit) -> int:
    offset = commit.time.utcoffset()
    return int(offset.total_seconds() // 60) if offset is not None else 0


def paste(
    repository: Repository,
    data: bytes,
    name: str,
    user: AbstractBaseUser | AnonymousUser,
) -> Tracker:
    """Take in a tracker that is in no repository, as a version of now. Raises ``TrackerError``."""
    trackers.text_of(data)
    with transaction.atomic():
        tracker = Tracker.objects.create(
            repository=repository, path=recording.clean(name, 200) or "pasted text", is_pasted=True
        )
        version = TrackerVersion(
            tracker=tracker,
            position=0,
            time=timezone.now(),
            author=recording.clean(user.get_username(), 200),
            path=tracker.path,
            original=data,
        )
        _store(version, data, None)
        tracker.save()
    return tracker


def _store(version: TrackerVersion, data: bytes | None, before: bytes | None) -> None:
    """Save a version with its claims; what can't be read is kept as that."""
    if data is None:
        version.error = "The repository’s copy lacks this version’s content, or it is too large to be read."
        version.save()
        return
    try:
        text, version.was_damaged = trackers.text_of(data)
        said = trackers.read(text)
    except TrackerError as error:
        words = str(error)
        version.error = f"{words[:1].upper()}{words[1:]}."
        version.save()
        return
    version.text = recording.clean(text, trackers.MAX_CHARACTERS)
    version.save()
    if said.title is not None:
        version.tracker.title = recording.clean(said.title.words, 300)
    Claim.objects.bulk_create(_claims(version, trackers.statements(_read(before), said)))


def _read(data: bytes | None) -> trackers.Tracker | None:
    """What an earlier version says; None when there is none, or it can't be read: then all is said anew."""
    try:
        return trackers.read(trackers.text_of(data)[0]) if data is not None else None
    except TrackerError:
        return None


def _claims(version: TrackerVersion, statements: Iterable[Statement]) -> list[Claim]:
    return [
        Claim(
            version=version,
            kind=statement.kind,
            step=statement.step,
            words=recording.clean(statement.words, 500),
            line=statement.line,
            number=statement.number,
            path=recording.clean(statement.path),
        )
        for statement in statements
    ]
