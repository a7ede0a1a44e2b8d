"""Which files a commit renames: those with the same contents, and those that mostly have the same lines."""

from collections import Counter
from collections.abc import Callable, Collection, Container, Mapping

from audits.engine.git import Changes, GitRepository

# A renamed file keeps its identity when this share of its lines is the same, as git has it.
SIMILARITY = 0.5
_MAX_PAIRS = 10_000


def renamed(
    repository: GitRepository,
    changes: Changes,
    wanted: Container[str],
    matters: Callable[[Collection[str], Collection[str]], bool] = lambda _lost, _new: True,
) -> dict[str, str]:
    """New path -> old path, for wanted files of those that a commit takes away.

    ``matters`` says whether it makes a difference which of some new files some lost ones became, so that they have to
    be read.
    """
    lost = {
        p: was.sha for p, (was, now) in changes.items() if was is not None and now is None and p in wanted
    }
    new = {
        p: now.sha
        for p, (was, now) in changes.items()
        if was is None and now is not None and p.endswith(".py")
    }
    if not lost or not new:
        return {}
    found: dict[str, str] = {}
    by_sha: dict[str, list[str]] = {}
    for path, sha in sorted(new.items()):
        by_sha.setdefault(sha, []).append(path)
    for old, sha in sorted(lost.items()):
        if same := [path for path in by_sha.get(sha, ()) if path not in found]:
            found[min(same, key=lambda path: (path.rpartition("/")[2] != old.rpartition("/")[2], path))] = old
    lost = {path: sha for path, sha in lost.items() if path not in found.values()}
    new = {path: sha for path, sha in new.items() if path not in found}
    if lost and new and len(lost) * len(new) <= _MAX_PAIRS and matters(lost, new):
        _pair_similar(repository, lost, new, found)
    return found


def _pair_similar(
    repository: GitRepository, lost: Mapping[str, str], new: Mapping[str, str], found: dict[str, str]
) -> None:
    lengths = {sha: repository.size(sha) or 0 for sha in {*lost.values(), *new.values()}}
    # The larger one of two has more than the smaller one can give it: most needn't even be read.
    alike = [
        (old, path)
        for old, old_sha in lost.items()
        for path, sha in new.items()
        if min(lengths[old_sha], lengths[sha]) + 1 >= SIMILARITY * max(lengths[old_sha], lengths[sha])
    ]
    read = {lost[old] for old, _ in alike} | {new[path] for _, path in alike}
    lines = {sha: Counter((repository.blob(sha) or b"").splitlines()) for sha in read}
    sizes = {sha: _bytes(text) for sha, text in lines.items()}
    pairs = []
    for old, path in alike:
        one, other = lost[old], new[path]
        larger = max(sizes[one], sizes[other])
        score = _common(lines[one], lines[other]) / larger if larger else 1.0
        if score >= SIMILARITY:
            pairs.append((-score, old.rpartition("/")[2] != path.rpartition("/")[2], old, path))
    taken: set[str] = set()
    for _, _, old, path in sorted(pairs):
        if old not in taken and path not in found:
            found[path] = old
            taken.add(old)


def similarity(one: Counter[bytes], other: Counter[bytes]) -> float:
    """The share of bytes, in lines, that two texts have in common, of the larger one."""
    largest = max(_bytes(one), _bytes(other))
    return _common(one, other) / largest if largest else 1.0


def _common(one: Counter[bytes], other: Counter[bytes]) -> int:
    """The bytes, in lines, that two texts have in common."""
    return sum((len(line) + 1) * min(one[line], other[line]) for line in one.keys() & other.keys())


def _bytes(lines: Counter[bytes]) -> int:
    """How long lines are together, each with its end: one byte, as git counts it, also where it has two."""
    return sum((len(line) + 1) * count for line, count in lines.items())
