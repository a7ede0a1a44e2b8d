"""What no honest tree holds: what ``git fsck`` refuses because somebody's checkout could be led astray by it.

Nothing is ever checked out for an audit, so all this does no harm here; whoever clones the repository is to know.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

MODULES = ".gitmodules"

# Names that no entry may have. Windows and macOS take more than one name for ``.git``.
_NAMES = re.compile(r"(?:^|/)(?:\.{0,2}|(?:\.git|git~1)[ .]*(?::[^/]*|\\[^/]*)?)(?:/|$)", re.IGNORECASE)
# Characters that macOS leaves out when it compares names.
_IGNORED = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
_SECTION = re.compile(r'\s*\[submodule\s+"((?:\\.|[^"\\])*)"\s*\]')
_VALUE = re.compile(r'\s*(path|url|update)\s*=\s*"?(.*?)"?\s*$', re.IGNORECASE)


@lru_cache(maxsize=1 << 13)  # a history names the same paths again and again
def is_safe(path: str) -> bool:
    """Whether a path is one that an honest tree can hold."""
    return _NAMES.search(path if path.isascii() else _IGNORED.sub("", path)) is None


def unsafe_submodules(text: str) -> Iterator[tuple[int, str]]:
    """The lines of a ``.gitmodules`` that would write or run something elsewhere, each with what is wrong with it."""
    for number, line in enumerate(text.splitlines(), 1):
        if section := _SECTION.match(line):
            if not section[1] or ".." in re.split(r"[/\\]+", section[1]):
                yield number, "a submodule's name leads out of .git/modules"
        elif value := _VALUE.match(line):
            key = value[1].lower()
            if value[2].startswith("!" if key == "update" else "-"):
                yield number, f"a submodule's {key} is an order to git"
