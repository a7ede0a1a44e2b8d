"""Lets an older Python read newer f-strings (PEP 701, Python 3.12): quotes, backslashes and comments inside ``{...}``.

The text of each f-string is blanked out in place and only its expressions stay, so that every line and column keeps
its position: ``f"a{x["k"]}b{y!r}"`` becomes ``( (x["k"]) (y  ))``, which an older parser reads as a call. What the
pieces mean to each other is lost, what they refer to is not.
"""

import re

_STRING = re.compile(r"(?P<prefix>[A-Za-z]{0,2})(?P<quote>\"\"\"|'''|\"|')")
_OPEN, _CLOSE = "([{", ")]}"


class _Reader:
    def __init__(self, source: str) -> None:
        self.source = source
        self.out = list(source)
        self.position = 0

    def blank(self, start: int, end: int) -> None:
        """Blanks a stretch, except line ends."""
        for index in range(start, end):
            if self.out[index] not in "\r\n":
                self.out[index] = " "

    def string_here(self) -> re.Match[str] | None:
        """The string that starts here, if one does: its prefix must not be the tail of a name."""
        found = _STRING.match(self.source, self.position)
        if found is None or not set(found["prefix"].lower()) <= set("rbuft"):
            return None
        before = self.source[self.position - 1] if self.position else ""
        return None if found["prefix"] and (before.isalnum() or before == "_") else found

    def code(self, closing: str = "") -> None:
        """Reads code up to the end of the source, or up to ``!``, ``:``, ``=`` or ``}`` of a replacement field."""
        depth = 0
        after_fstring = False
        while self.position < len(self.source):
            character = self.source[self.position]
            if closing and not depth and self._ends_field(character):
                return
            found = self.string_here()
            if found is not None:
                after_fstring = self._string(found, after_fstring)
                continue
            if character == "#":
                self._comment(blank=bool(closing))
                continue
            after_fstring = after_fstring and character in " \t\r\n\\"
            if closing:
                depth += (character in _OPEN) - (character in _CLOSE)
            self.position += 1

    def _ends_field(self, character: str) -> bool:
        following = self.source[self.position + 1 : self.position + 2]
        before = self.source[self.position - 1]
        if character == "!":
            return following != "="
        if character == "=":
            return following != "=" and before not in "=!<>"
        return character in "}:"

    def _comment(self, *, blank: bool) -> None:
        end = self.source.find("\n", self.position)
        end = len(self.source) if end < 0 else end
        if blank:
            self.blank(self.position, end)
        self.position = end

    def _string(self, found: re.Match[str], after_fstring: bool) -> bool:
        """Reads a string; answers whether it was blanked, so that strings joined to it are blanked as well."""
        start = self.position
        is_fstring = bool(set(found["prefix"].lower()) & set("ft"))
        self.position = found.end()
        if is_fstring:
            self._fstring(found["quote"], start, is_raw="r" in found["prefix"].lower())
            return True
        self._plain(found["quote"])
        if after_fstring:
            self._as_brackets(start, self.position)
        return after_fstring

    def _as_brackets(self, start: int, end: int) -> None:
        self.blank(start, end)
        self.out[start], self.out[end - 1] = "(", ")"

    def _plain(self, quote: str) -> None:
        while self.position < len(self.source):
            if self.source.startswith(quote, self.position):
                self.position += len(quote)
                return
            self.position += 2 if self.source[self.position] == "\\" else 1

    def _fstring(self, quote: str, start: int, *, is_raw: bool) -> None:
        self.blank(start, self.position)
        self.out[start] = "("
        self._text(quote, is_raw=is_raw)
        self.blank(self.position - len(quote), self.position)
        self.out[self.position - 1] = ")"

    def _text(self, end: str, *, is_raw: bool) -> None:
        """Blanks text up to ``end`` and reads the replacement fields in it."""
        while self.position < len(self.source):
            character = self.source[self.position]
            if self.source.startswith(end, self.position):
                self.position += len(end)
                return
            if character == "{" and self.source.startswith("{{", self.position) and end != "}":
                self.blank(self.position, self.position + 2)
                self.position += 2
            elif character == "{":
                self._field(is_raw=is_raw)
            elif character == "\\":
                self._escape(is_raw=is_raw)
            else:
                self.blank(self.position, self.position + 1)
                self.position += 1

    def _escape(self, *, is_raw: bool) -> None:
        """Blanks a backslash and what belongs to it: never a brace, but the name of ``\\N{...}``."""
        length = 1 if self.source[self.position + 1 : self.position + 2] in {"{", "}"} else 2
        if not is_raw and self.source.startswith("\\N{", self.position):
            length = self.source.find("}", self.position) + 1 - self.position
        end = min(self.position + max(length, 1), len(self.source))
        self.blank(self.position, end)
        self.position = end

    def _field(self, *, is_raw: bool) -> None:
        self.out[self.position] = "("
        self.position += 1
        self.code(closing="}")
        if self.position < len(self.source) and self.source[self.position] == "=":
            self.blank(self.position, self.position + 1)
            self.position += 1
            while self.source[self.position : self.position + 1].isspace():
                self.position += 1
        if self.source.startswith("!", self.position):
            self.blank(self.position, self.position + 2)
            self.position += 2
            while self.source[self.position : self.position + 1].isspace():
                self.position += 1
        if self.source.startswith(":", self.position):
            self.blank(self.position, self.position + 1)
            self.position += 1
            self._text("}", is_raw=is_raw)
            self.out[self.position - 1] = ")"
        elif self.position < len(self.source):
            self.out[self.position] = ")"
            self.position += 1


def without_fstrings(source: str) -> str:
    """The source with each f-string replaced by its expressions in brackets; same length, same lines and columns.

    Meant for source that a newer Python accepts. Other source gives something of no use, but never an error.
    """
    reader = _Reader(source)
    reader.code()
    return "".join(reader.out)
