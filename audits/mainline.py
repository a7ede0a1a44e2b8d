"""How commits of side branches come to the branch's own line. Pure functions over commits, parents first."""

from collections.abc import Iterable, Sequence


def reached(commits: Iterable[tuple[str, Sequence[str], bool]]) -> dict[str, str]:
    """By commit: the first one of the branch's own line that has it among its ancestors, itself for one of that line.

    ``commits`` are (id, ids of the parents, whether it is on the line), parents before children. Those that the line
    doesn't have, or that aren't given, are absent.
    """
    parents: dict[str, Sequence[str]] = {}
    found: dict[str, str] = {}
    for sha, its_parents, on_main in commits:
        parents[sha] = its_parents
        if not on_main:
            continue
        pending = [sha]
        while pending:
            commit = pending.pop()
            if commit in parents and commit not in found:
                found[commit] = sha
                pending.extend(parents[commit])
    return found
