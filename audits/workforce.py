"""How many processes of workers there are. Who hears their signs of life says so; nobody is taken for none."""

from collections.abc import Callable
from dataclasses import dataclass


def _nobody() -> int:
    return 0


@dataclass(frozen=True, slots=True)
class Workforce:
    """``auditing`` counts the processes that work on audits, over all workers of all hosts, ``helping`` those that
    could parse files for an audit of this process. 0 also where that can't be said now."""

    auditing: Callable[[], int] = _nobody
    helping: Callable[[], int] = _nobody


_known = Workforce()


def register(workforce: Workforce) -> None:
    """Have these be asked from now on."""
    global _known  # noqa: PLW0603 - told once, when a process starts
    _known = workforce


def known() -> Workforce:
    return _known
