"""From a push to the page that shows what it brought: a repository of its own, and one commit after the other."""

import contextlib
import hashlib
import hmac
import http.client
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pygit2
from django.urls import reverse
from django.utils import timezone
from pygit2.enums import FileMode

from audits import pushing, removing
from audits.models import Audit, Repository
from ssot_dash.load.measuring import Visitor
from ssot_dash.load.pages import Page

NAME: Final = "Pushed to by load"
SLUG: Final = "pushed-to-by-load"
_BRANCH: Final = "refs/heads/main"
_FILE: Final = "pushed_by_load.py"
_POLL_SECONDS: Final = 0.2


class PushFailed(Exception):
    """No push could be made, or a page does not show in time what was pushed."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """Seconds of one push: until the hook had answered, the audit began, it had ended, and the page showed a new
    violation; each from the message on. ``phases`` are those of the audit, as its row has them."""

    answered: float
    began: float
    ended: float
    shown: float
    phases: Mapping[str, float]


@contextlib.contextmanager
def borrowed(source: Path, rev: str, folder: Path) -> Iterator[Repository]:
    """A repository of the site that begins with a revision of another one, whose objects it borrows, for as long as
    the block lasts. Raises ``PushFailed`` where there is no such repository or commit.
    """
    try:
        theirs = pygit2.Repository(str(source))
        head = theirs.revparse_single(rev).peel(pygit2.Commit).id
    except (pygit2.GitError, KeyError) as error:
        raise PushFailed(f"{source} at {rev} can't be read: {error}") from error
    ours = pygit2.init_repository(str(folder), bare=True)
    (folder / "objects" / "info" / "alternates").write_text(f"{Path(theirs.path).absolute() / 'objects'}\n")
    ours = pygit2.Repository(str(folder))
    ours.references.create(_BRANCH, head)
    for left in Repository.objects.filter(slug=SLUG):
        removing.remove(left)
    repository = Repository.objects.create(name=NAME, slug=SLUG, location=str(folder), branch="main")
    try:
        yield repository
    finally:
        removing.remove(repository)


def push(visitor: Visitor, repository: Repository, number: int, seconds: float) -> Pushed:
    """Commits a file with another missing member, tells the site of it as a git server does, and asks for the list of
    violations until it is there. Raises ``PushFailed`` after some seconds."""
    commit = _commit(repository, number)
    body = json.dumps({"ref": _BRANCH, "after": commit}).encode()
    signature = hmac.new(pushing.secret_of(repository).encode(), body, hashlib.sha256).hexdigest()
    headers = {
        "Content-Type": "application/json",
        "X-GitHub-Event": "push",
        "X-Hub-Signature-256": f"sha256={signature}",
    }
    sent_at, sent = timezone.now(), time.perf_counter()
    status, answer = _ask(visitor, "POST", reverse("audits:push-hook", args=[SLUG]), headers, body)
    answered = time.perf_counter() - sent
    if status != http.HTTPStatus.ACCEPTED:
        raise PushFailed(f"the hook answers {status}: {answer.decode(errors='replace')[:200]}")
    page = f"{reverse('audits:violation-list', args=[SLUG])}?q={_member(number)}&view=places"
    while _member(number).encode() not in _shown(visitor, page):
        if time.perf_counter() - sent > seconds:
            raise PushFailed(f"{page} does not show it after {seconds:.0f} s; are there workers?")
        time.sleep(_POLL_SECONDS)
    shown = time.perf_counter() - sent
    audit = Audit.objects.filter(repository=repository, commit_sha=commit).latest("pk")
    began, ended = audit.started_at or sent_at, audit.finished_at or sent_at
    return Pushed(
        answered,
        (began - sent_at).total_seconds(),
        (ended - sent_at).total_seconds(),
        shown,
        audit.timings,
    )


def _commit(repository: Repository, number: int) -> str:
    """A commit upon the branch's; answers its id."""
    git = pygit2.Repository(repository.location)
    parent = git.references[_BRANCH].peel(pygit2.Commit)
    members = "".join(f"print(Pushed.{_member(n)})\n" for n in range(number + 1))
    text = f"import enum\n\n\nclass Pushed(enum.Enum):\n    ONE = 1\n\n\n{members}"
    tree = git.TreeBuilder(parent.tree)
    tree.insert(_FILE, git.create_blob(text.encode()), FileMode.BLOB)
    author = pygit2.Signature("load", "load@ssot-dash.example", int(time.time()), 0)
    return str(git.create_commit(_BRANCH, author, author, f"Push {number}", tree.write(), [parent.id]))


def _member(number: int) -> str:
    return f"PUSHED{number:04}"


def _shown(visitor: Visitor, page: str) -> bytes:
    """The table of a page: what was looked for is said elsewhere on it."""
    status, answer = _ask(visitor, "GET", page, visitor.headers(Page("", page)))
    return answer.partition(b"<tbody")[2] if status == http.HTTPStatus.OK else b""


def _ask(
    visitor: Visitor, method: str, path: str, headers: dict[str, str], body: bytes | None = None
) -> tuple[int, bytes]:
    with contextlib.closing(http.client.HTTPConnection(visitor.host, visitor.port, timeout=60)) as one:
        one.request(method, path, body, headers)
        answer = one.getresponse()
        return answer.status, answer.read()
