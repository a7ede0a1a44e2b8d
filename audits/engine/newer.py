"""Lets an older Python read newer syntax: source of Python 3.12 to 3.14 becomes source that means the same to us.

Every name keeps its line and column. What is lost are type parameters (PEP 695) and how pieces of f-strings go
together; ``type X = ...`` becomes an assignment, ``except A, B:`` (PEP 758) gets its brackets.
"""

import io
import tokenize
from collections.abc import Iterator, Sequence

from audits.engine.fstrings import without_fstrings

_OPEN, _CLOSE = frozenset("([{"), frozenset(")]}")
_BLANK = frozenset(
    {tokenize.NL, tokenize.COMMENT, tokenize.INDENT, tokenize.DEDENT, tokenize.NEWLINE, tokenize.ENCODING}
)


def in_older_syntax(source: str) -> str:
    """The source in the syntax of Python 3.11, as far as that can be done.

    Meant for source that a newer Python accepts. Other source gives something of no use, but never an error.
    """
    plain = without_fstrings(source)
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(plain).readline))
    except (tokenize.TokenError, SyntaxError):
        return plain
    lines = [list(line) for line in io.StringIO(plain)]
    for statement in _statements(tokens):
        _rewrite(statement, lines)
    return "".join("".join(line) for line in lines)


def _statements(tokens: Sequence[tokenize.TokenInfo]) -> Iterator[list[tokenize.TokenInfo]]:
    """The tokens of each statement: up to the line's end, a semicolon or the colon that opens a block."""
    statement: list[tokenize.TokenInfo] = []
    depth = 0
    for token in tokens:
        depth += (token.string in _OPEN) - (token.string in _CLOSE) if token.type == tokenize.OP else 0
        if token.type not in _BLANK:
            statement.append(token)
        if token.type == tokenize.NEWLINE or (not depth and token.string in {";", ":"}):
            if statement:
                yield statement
            statement = []
    if statement:
        yield statement


def _rewrite(statement: list[tokenize.TokenInfo], lines: list[list[str]]) -> None:
    words = [token.string for token in statement]
    if words[0] == "async":
        statement, words = statement[1:], words[1:]
    if words[:1] in (["def"], ["class"]) and words[2:3] == ["["]:
        _blank(lines, statement[2:], _closing(words, 2) - 2)
    elif words[:1] == ["type"] and len(words) > 3 and words[1].isidentifier() and words[2] in {"=", "["}:
        # ``type X = ...`` as ``type;X = ...``: an expression, and an assignment at the same place.
        line, column = statement[0].end
        lines[line - 1][column] = ";"
        if words[2] == "[":
            _blank(lines, statement[2:], _closing(words, 2) - 2)
    elif words[:1] == ["except"] and _has_bare_comma(words):
        opening = statement[2] if words[1] == "*" else statement[1]
        _bracket(lines, opening.start, statement[-1].start)


def _has_bare_comma(words: list[str]) -> bool:
    depth = 0
    for word in words:
        depth += (word in _OPEN) - (word in _CLOSE)
        if word == "," and not depth:
            return True
    return False


def _closing(words: list[str], opening: int) -> int:
    depth = 0
    for index in range(opening, len(words)):
        depth += (words[index] in _OPEN) - (words[index] in _CLOSE)
        if not depth:
            return index
    return len(words) - 1


def _blank(lines: list[list[str]], tokens: list[tokenize.TokenInfo], last: int) -> None:
    """Blanks the text from the first of the tokens to the one at ``last``, and joins its lines."""
    (line, column), (end_line, end_column) = tokens[0].start, tokens[last].end
    for number in range(line, end_line + 1):
        text = lines[number - 1]
        stop = end_column if number == end_line else len(text)
        start = column if number == line else 0
        blank = [character if character in "\r\n" else " " for character in text[start:stop]]
        ending = next((i for i, character in enumerate(blank) if character in "\r\n"), None)
        if ending is not None:
            blank[max(ending - 1, 0) : ending] = ["\\"]
        text[start:stop] = blank


def _bracket(lines: list[list[str]], opening: tuple[int, int], colon: tuple[int, int]) -> None:
    """Brackets around what stands between ``except`` and its colon: in blanks, where there are any, so that what
    follows stays in its place."""
    text, column = lines[colon[0] - 1], colon[1]
    end = column + 2 if text[column + 1 : column + 2] == [" "] else column + 1
    text[column:end] = [")", ":"]
    text, column = lines[opening[0] - 1], opening[1]
    start = column - 1 if text[column - 1] == " " else column
    text[start:column] = ["("]
