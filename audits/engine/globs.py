"""Globs over paths with forward slashes, as regular expressions that take time in proportion to the path.

Globs come from policies and from audited repositories, so none may be able to make matching slow: what stands between
two stars is looked for once, from the left, and never again (an atomic group), which is all that a glob needs.
"""

import re

_STARS = re.compile(r"\*+")
_TOKEN = re.compile(r"\\(.)|\[([!^]?)(\]?[^\]]*)\]|(\?)|(.)", re.DOTALL)


def translate(glob: str) -> str:
    """A pattern that matches whole paths.

    ``**`` between slashes spans any number of folders, none included, ``*`` and ``?`` stay within one name, ``[...]``
    is a set of characters and a backslash takes the meaning from the next character. A glob that ends in ``**``
    matches all that lies beneath.
    """
    chunks: list[list[str]] = [[]]
    parts = glob.split("/")
    for part in parts:
        if part == "**":
            chunks.append([])
        else:
            chunks[-1].append(_name(part))
    last = chunks.pop() if len(chunks) > 1 else None
    first, *middle = ["/".join(chunk) for chunk in chunks]
    pattern = first
    if last is not None:
        pattern += "/" if first else ""
        pattern += "".join(f"(?>(?:[^/]+/)*?{chunk}/)" for chunk in middle if chunk)
        pattern += "(?:[^/]+/)*" + "/".join(last) if last else ".+"
    return rf"(?:{pattern})\Z"


def _name(part: str) -> str:
    """The pattern for one name of a path."""
    first, *rest = [_fixed(piece) for piece in _STARS.split(part)]
    if not rest:
        return first
    *middle, last = rest
    return first + "".join(f"(?>[^/]*?{piece})" for piece in middle) + "[^/]*" + last


def _fixed(piece: str) -> str:
    pattern = ""
    for escaped, negation, members, any_one, character in _TOKEN.findall(piece):
        if members:
            quoted = members.replace("\\", "\\\\").replace("[", "\\[").replace("^", "\\^").replace("]", "\\]")
            pattern += f"(?!/)[{'^' if negation else ''}{quoted}]"
        elif any_one:
            pattern += "[^/]"
        else:
            pattern += re.escape(escaped or character)
    return pattern
