"""Source code as highlighted lines. Pure: bytes in, escaped HTML out; the colours are in ``static/code.css``."""

import io
import re
import tokenize
from dataclasses import dataclass

from django.utils.safestring import SafeString
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers.python import PythonLexer

CONTEXT_LINES = 9
BLOCKS = ("class ", "def ", "async def ", "@")
MAX_DEFINITION_LINES = 60
MAX_LINES_ABOVE = 300
MAX_LINE_CHARACTERS = 300

# What could make a reader see other code than what runs: control characters, and those that turn the direction of text.
_VISIBLE: dict[int, str] = {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\t\n"}
_VISIBLE |= {
    code: f"[U+{code:04X}]" for code in (0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of source: 1-based number, highlighted and escaped HTML, whether it is the one that is meant."""

    number: int
    html: SafeString
    marked: bool


def excerpt(source: bytes, line: int) -> tuple[Line, ...]:
    """The lines around ``line`` (1-based), which is marked. Empty when the file has no such line."""
    lines = _lines(source)
    if not 1 <= line <= len(lines):
        return ()
    return _highlighted(lines, max(1, line - CONTEXT_LINES), min(len(lines), line + CONTEXT_LINES), line)


def definition(source: bytes, line: int) -> tuple[Line, ...]:
    """The block that begins at ``line``: a class or function with its body, cut at 60 lines; else the lines after it.

    The first line is marked. Empty when the file has no such line.
    """
    lines = _lines(source)
    if not 1 <= line <= len(lines):
        return ()
    if lines[line - 1].lstrip().startswith(BLOCKS):
        return _highlighted(lines, line, _end_of_block(lines, line), line)
    return _highlighted(lines, line, min(len(lines), line + 2 * CONTEXT_LINES), line)


def _lines(source: bytes) -> list[str]:
    """Lines as the parser counts them: only CR, LF and CRLF end one."""
    text = source.decode(_encoding(source), "replace").removeprefix("\ufeff")
    lines = re.split(r"\r\n|\r|\n", text)
    if len(lines) > 1 and not lines[-1]:
        lines.pop()  # what follows the last line's end is no line
    return [line if len(line) <= MAX_LINE_CHARACTERS else line[:MAX_LINE_CHARACTERS] + " …" for line in lines]


def _encoding(source: bytes) -> str:
    try:
        return tokenize.detect_encoding(io.BytesIO(source).readline)[0]
    except SyntaxError:
        return "utf-8"


def _end_of_block(lines: list[str], start: int) -> int:
    indent = _indent(lines[start - 1])
    end = start
    for number in range(start + 1, min(len(lines), start + MAX_DEFINITION_LINES - 1) + 1):
        text = lines[number - 1]
        if not text.strip():
            continue
        if _indent(text) <= indent and not text.lstrip().startswith((")", "]", "}")):
            break
        end = number
    return end


def _indent(line: str) -> int:
    expanded = line.expandtabs()
    return len(expanded) - len(expanded.lstrip())


def _highlighted(lines: list[str], first: int, last: int, marked: int) -> tuple[Line, ...]:
    """Lines ``first`` to ``last``, numbered from 1."""
    start = _lexing_start(lines, first)
    text = "\n".join(lines[start - 1 : last])
    html = highlight(text, PythonLexer(stripnl=False), HtmlFormatter(nowrap=True)).split("\n")
    return tuple(
        # Pygments escapes the text; _VISIBLE only adds characters that mean nothing in HTML.
        Line(number, SafeString(html[number - start].translate(_VISIBLE)), number == marked)
        for number in range(first, last + 1)
    )


def _lexing_start(lines: list[str], first: int) -> int:
    """Where to begin: at a definition far above, so that strings are known and a long file takes milliseconds."""
    for number in range(first - MAX_LINES_ABOVE, 1, -1):
        if lines[number - 1].startswith(BLOCKS):
            return number
    return 1
