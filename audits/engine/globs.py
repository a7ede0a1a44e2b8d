"""Globs over paths with forward slashes, as regular expressions that take time in proportion to the path.

Globs come from policies and from audited repositories, so none may be able to make matching slow: what stands between
two stars is looked for once, from the left, and never again (an atomic group), which is all that a glob needs.
"""

import re

# An escaped character, a set, stars, a question mark, any other character.
_TOKEN = re.compile(r"\\(.)|\[([!^]?)(\]?[^\]]*)\]|(\*+)|(\?)|(.)", re.DOTALL)


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
    pieces = [""]  # what stands between stars
    for escaped, negation, members, stars, any_one, character in _TOKEN.findall(part):
        if stars:
            pieces.append("")
        elif members:
            quoted = re.sub(r"[\\\[\]^&~|]", r"\\\g<0>", members)
            pieces[-1] += f"(?!/)[{'^' if negation else ''}{quoted}]"
        else:
            pieces[-1] += "[^/]" if any_one else re.escape(escaped or character)
    first, *middle = pieces
    if not middle:
        return first
    last = middle.pop()
    return first + "".join(f"(?>[^/]*?{piece})" for piece in middle) + "[^/]*" + last
