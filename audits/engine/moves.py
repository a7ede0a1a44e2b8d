"""How far the moves from deprecated symbols to new ones have come: uses of either side, folder by folder."""

from collections import Counter
from collections.abc import Iterator

from audits.engine.codebase import Codebase
from audits.engine.findings import Move, Zone
from audits.engine.policy import matches
from audits.engine.symbols import Symbols, Use

# Uses of the old symbol are counted as the rule deprecated-symbol counts them, those of the new one likewise.


def moves(codebase: Codebase) -> tuple[Move, ...]:
    """For each entry of ``[[deprecated]]`` that names a new symbol, and each folder that uses either: how often.

    A use is an import, or a reference through a module or a class; what follows from a direct import isn't counted
    again. Files that the entry allows, and those in which either symbol lives, aren't counted.
    """
    entries = [entry for entry in codebase.policy.deprecated if entry.new]
    if not entries:
        return ()
    old = Symbols(codebase, {entry.old for entry in entries})
    new = Symbols(codebase, {entry.new for entry in entries})
    counts: Counter[tuple[str, Zone, str, bool]] = Counter()
    for path in codebase.facts:
        here = {(name, True): count for name, count in _counts(old, path).items()}
        here |= {(name, False): count for name, count in _counts(new, path).items()}
        if not here:
            continue
        module, folder = codebase.dotted(path), path[: path.rfind("/") + 1]
        for entry in entries:
            if matches(entry.allow, path):
                continue
            for symbol, is_old in ((entry.old, True), (entry.new, False)):
                if (symbol, is_old) in here and not is_within(module, symbol):
                    counts[entry.old, codebase.policy.zone(path), folder, is_old] += here[symbol, is_old]
    found = sorted({key[:3] for key in counts})
    news = {entry.old: entry.new for entry in entries}
    return tuple(
        Move(
            name,
            news[name],
            zone,
            folder,
            counts[name, zone, folder, True],
            counts[name, zone, folder, False],
        )
        for name, zone, folder in found
    )


def is_within(module: str, symbol: str) -> bool:
    """Whether a module is a symbol, a part of it, or where it is defined."""
    return module == symbol or module.startswith(f"{symbol}.") or symbol.rpartition(".")[0] == module


def _counts(symbols: Symbols, path: str) -> Counter[str]:
    counts: Counter[str] = Counter()
    for use in symbols.uses(path):
        counts[use.symbol] += sum(1 for _ in _places(use))
    return counts


def _places(use: Use) -> Iterator[object]:
    if use.item is not None:
        yield use.item
    elif use.reference is not None and not use.own:
        yield from use.reference.places
