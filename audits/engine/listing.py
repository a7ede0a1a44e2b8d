"""What a commit's tree holds for an audit, and where facts are kept: the input of every audit."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Protocol

import xxhash

from audits.engine.builds import BUILD_FILES, Builds
from audits.engine.findings import Problem, ProblemKind
from audits.engine.git import Entry, GitRepository
from audits.engine.policy import Policy
from audits.engine.roots import PROJECT_FILES
from audits.engine.safety import MODULES, is_safe, unsafe_submodules

# The texts that tell where sources lie and what a build makes; larger ones aren't read.
_TEXTS = BUILD_FILES | PROJECT_FILES
_TEXT_BYTES = 200_000


class FactsStore(Protocol):
    """Where encoded facts are kept, by blob id. Losing some only costs time."""

    def known(self, blob_shas: Sequence[str]) -> set[str]:
        """Those of the blobs whose facts are kept."""

    def get_many(self, blob_shas: Sequence[str]) -> dict[str, bytes]:
        """The encoded facts of those of the blobs that are known."""

    def put_many(self, facts: Mapping[str, bytes]) -> None:
        """Keeps encoded facts; those already known stay as they are."""


class ResultStore(Protocol):
    """Where results of whole audits are kept, by a digest of all that they depend on. Losing some only costs time."""

    def get_result(self, key: str) -> bytes | None:
        """What is known under a key."""

    def put_result(self, key: str, result: bytes) -> None:
        """Keeps a result."""


class Listing:
    """The entries of a tree: what is to be read, what exists beside it, and what can't be looked at.

    ``sources`` are blobs by path, ``texts`` contents by path. ``paths`` are those that a module's name can lead to or a
    build may start from; others (documents, data) change nothing for anybody.
    """

    def __init__(self, repository: GitRepository, entries: Iterable[Entry], policy: Policy) -> None:
        self.sources: dict[str, str] = {}
        self.absent: list[str] = []
        self.problems: list[Problem] = []
        self.texts: dict[str, str] = {}
        paths: set[str] = set()
        seen: set[str] = set()
        for entry in entries:
            if not is_safe(entry.path):
                self._problem(
                    entry, ProblemKind.UNSAFE_PATH, "a name that no honest tree holds; not looked at"
                )
                continue
            if entry.path in seen:
                words = "stands more than once in its directory; only the last one is looked at"
                self._problem(entry, ProblemKind.UNSAFE_PATH, words)
            seen.add(entry.path)
            if _matters(entry.path):
                paths.add(entry.path)
            if entry.path == MODULES:
                self._look_at_modules(repository, entry)
            if entry.kind == "submodule":
                continue
            is_source = entry.path.endswith(".py") and not policy.excludes(entry.path)
            if entry.kind == "link":
                if is_source:
                    self._problem(
                        entry,
                        ProblemKind.LINK,
                        "a symbolic link; the file it names is looked at in its own place",
                    )
            elif is_source:
                self.sources[entry.path] = entry.sha
            elif (text := read_text(repository, entry)) is not None:
                self.texts[entry.path] = text
            elif not repository.has(entry.sha):
                self.absent.append(entry.sha)
                words = "this copy of the repository lacks the file's contents (not Python source, so no rule needs it)"
                self._problem(entry, ProblemKind.MISSING_OTHER_BLOB, words)
        self.paths = frozenset(paths)

    @cached_property
    def digest(self) -> str:
        """The same for two trees in which every audit by one policy finds the same."""
        parts = (
            sorted(self.sources.items()),
            sorted(self.paths),
            sorted(self.texts.items()),
            self.absent,
            [(problem.path, problem.kind, problem.message) for problem in self.problems],
        )
        # Not every path has an encoding; what Python writes of it does.
        return xxhash.xxh3_128_hexdigest(repr(parts).encode("ascii", "backslashreplace"))

    def _look_at_modules(self, repository: GitRepository, entry: Entry) -> None:
        if entry.kind == "link":
            self._problem(entry, ProblemKind.UNSAFE_PATH, "is a symbolic link, which git refuses")
        elif entry.kind == "file":
            text = (repository.blob(entry.sha, _TEXT_BYTES) or b"").decode("utf-8", "replace")
            for line, words in unsafe_submodules(text):
                self._problem(
                    entry, ProblemKind.UNSAFE_PATH, f"line {line}: {words}; submodules are not read"
                )

    def _problem(self, entry: Entry, kind: ProblemKind, words: str) -> None:
        self.problems.append(Problem(entry.path, kind, words))


def _matters(path: str) -> bool:
    """Whether it matters to anybody that a path is there, whatever its contents."""
    return path.endswith(".py") or is_text(path) or Builds.cares_for(path)


def is_text(path: str) -> bool:
    """Whether a file's text tells where sources lie or what a build makes."""
    return path[path.rfind("/") + 1 :] in _TEXTS


def read_text(repository: GitRepository, entry: Entry) -> str | None:
    """The text of such a file; None for any other, and for one that is empty, absent or larger than anybody writes."""
    if not is_text(entry.path) or not _TEXT_BYTES >= (repository.size(entry.sha) or 0) > 0:
        return None
    return (repository.blob(entry.sha) or b"").decode("utf-8", "replace")
