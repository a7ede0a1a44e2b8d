"""Bytes -> syntax tree, or the reason why there is none."""

import ast
import io
import re
import tokenize
import warnings

import ast_serialize

from audits.engine.newer import in_older_syntax

# What CPython refuses in every version although other parsers don't.
_LIMITS = ("Exceeds the limit", "too many levels of indentation", "too many nested parentheses")
_LINE_END = re.compile(r"\r\n|\r|\n")
_STRING = re.compile(r"'[^']*'|\"[^\"]*\"")
_TEMPLATE_TAG = re.compile(r"\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}")


class UnparseableError(Exception):
    """No supported Python can parse the file. ``line`` is 1-based."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


class NewerSyntaxError(Exception):
    """The file is valid in a newer Python than the one that runs the audit."""


class NotSourceError(Exception):
    """The file is not Python source at all: a Git LFS pointer, a template."""


class Source:
    """A file that could be parsed: its tree, and columns in characters for the tree's columns in UTF-8 bytes."""

    def __init__(self, tree: ast.Module, data: bytes) -> None:
        self.tree = tree
        self._data = data
        self._lines: list[bytes] | None = [] if data.isascii() else None

    def count(self, text: bytes) -> int:
        """How often the file's bytes hold a text."""
        return self._data.count(text)

    def column(self, line: int, column: int) -> int:
        """The column in characters of a tree's (line, column)."""
        if column == 0 or self._lines == []:
            return column
        if self._lines is None:
            self._lines = [line.encode() for line in _LINE_END.split(_text_at_least(self._data))]
        text = self._lines[line - 1] if line <= len(self._lines) else b""
        return len(text[:column].decode("utf-8", "replace"))


def parse(data: bytes) -> Source:
    """The syntax tree of a file's bytes.

    Raises ``UnparseableError``, ``NewerSyntaxError`` or ``NotSourceError``, and lets ``RecursionError`` and
    ``MemoryError`` through for a file that is too complex.
    """
    if data.startswith(b"version https://git-lfs.github.com/spec/"):
        raise NotSourceError("a Git LFS pointer stands here instead of the file")
    try:
        return Source(_tree(data), data)
    except (SyntaxError, ValueError) as error:
        return _read_otherwise(data, error)


def _tree(data: bytes) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(data)


def _read_otherwise(data: bytes, error: SyntaxError | ValueError) -> Source:
    """What can be had of a file that our own parser refused."""
    message = (error.msg if isinstance(error, SyntaxError) else str(error)).encode(errors="replace").decode()
    line = max((error.lineno or 1) if isinstance(error, SyntaxError) else 1, 1)
    if _is_template(data, line):
        raise NotSourceError("a template for Python source, not Python itself")
    text = None if message.startswith(_LIMITS) else _valid_elsewhere(data)
    if text is None:
        raise UnparseableError(line, message)
    try:
        readable = in_older_syntax(text).encode()
        return Source(_tree(readable), readable)
    except (SyntaxError, ValueError):
        raise NewerSyntaxError(f"valid in a newer Python; this one says: {message} (line {line})") from error


def _valid_elsewhere(data: bytes) -> str | None:
    """The text, when ruff's parser (Python 3.14's grammar, by way of mypy's wheel) accepts it."""
    try:
        text = _text(data)
    except (LookupError, SyntaxError, ValueError):
        return None
    if "\0" in text or text.startswith("\ufeff"):
        return None
    return text if is_valid(text) else None


def is_valid(text: str) -> bool:
    """Whether ruff's parser finds no error in a text. Deeply nested text can end the process."""
    _, errors, *_ = ast_serialize.parse("file.py", text, python_version=(3, 14))
    return not errors


def _is_template(data: bytes, line: int) -> bool:
    """Whether a template's tag (Jinja, Django) stands outside strings where the parser stopped."""
    lines = data.splitlines()[max(line - 2, 0) : line]
    return any(_TEMPLATE_TAG.search(_STRING.sub("", text.decode("utf-8", "replace"))) for text in lines)


def _text_at_least(data: bytes) -> str:
    """The text of a file that was parsed: CPython lets bytes that are no text pass in comments, its decoder doesn't."""
    try:
        return _text(data)
    except (LookupError, SyntaxError, ValueError):
        return data.decode("utf-8", "replace")


def _text(data: bytes) -> str:
    """The text of a file's bytes, as Python decodes them. Raises as Python does when it can't."""
    encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    return data.decode(encoding)
