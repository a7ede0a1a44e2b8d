"""Policy: what an audit looks at and how it judges paths. Typed TOML, errors with line numbers."""

import hashlib
import re
import tomllib
from datetime import date
from functools import cached_property, lru_cache
from typing import Literal, NoReturn

import msgspec

from audits.engine.findings import Zone
from audits.engine.globs import translate

MAX_POLICY_CHARACTERS = 200_000
MAX_GLOB_CHARACTERS = 500
MAX_PATTERN_CHARACTERS = 200
MAX_PATTERN_REPEATS = 3
MAX_WAIVER_CHARACTERS = 500
# Of so many paths a policy remembers the zones.
_MAX_ZONES = 100_000

# The rules that a waiver can name; none when it names a fingerprint.
RuleName = Literal[
    "",
    "deprecated-symbol",
    "forbidden-reference",
    "literal",
    "missing-member",
    "name-family",
    "registry-drift",
    "required-base",
    "unique-definition",
    "unparseable",
    "unresolved-import",
]


class PolicyError(ValueError):
    """A policy that can't be used. The message says what was expected; ``line`` is 1-based, 0 when it is the whole
    file."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(f"line {line}: {message}" if line else message)
        self.line = line


class Zones(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Globs per zone, asked in the order archive, test, script; a path that none matches is prod. ``**`` spans
    folders."""

    archive: tuple[str, ...] = (
        "**/archive/**",
        "**/archives/**",
        "**/archived/**",
        "**/backup/**",
        "**/backups/**",
        "**/*_backup/**",
        "**/*_backup.py",
        "**/*_backup_*.py",
        "**/*.bak.py",
    )
    test: tuple[str, ...] = (
        "**/test/**",
        "**/tests/**",
        "**/testing/**",
        "**/test_*/**",
        "**/*_tests/**",
        "**/test_*.py",
        "**/*_test.py",
        "**/tests.py",
        "**/conftest.py",
    )
    script: tuple[str, ...] = (
        "**/scripts/**",
        "**/script/**",
        "**/bin/**",
        "**/tools/**",
        "**/examples/**",
        "**/example/**",
        "**/benchmarks/**",
        "**/docs/**",
        "**/doc/**",
        "**/.*/**",
        "setup.py",
        "noxfile.py",
        "fabfile.py",
    )


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one file may cost: bytes of source, seconds of parsing."""

    file_bytes: int = 512 * 1024
    file_seconds: int = 30


class Unique(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A canonical definition that may exist once. ``symbol`` is its dotted name, module and all; ``kinds`` are the
    kinds of definition that count as another one; ``allow`` holds globs of paths that may have one."""

    symbol: str
    kinds: tuple[Literal["class", "function", "constant"], ...] = ("class", "function", "constant")
    allow: tuple[str, ...] = ()


class Family(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Classes of one responsibility. A class whose whole name matches ``pattern`` is a finding unless it is one of
    the ``owners`` (dotted names), or in a path that ``allow`` matches."""

    name: str
    pattern: str
    owners: tuple[str, ...]
    allow: tuple[str, ...] = ()


class Forbidden(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A symbol that goes around the canonical service: a dotted name of anything, ``builtins.print`` for a builtin.
    ``instead`` is what to use, ``allow`` holds globs of paths that may use it, ``zones`` are those that may not."""

    symbol: str
    instead: str = ""
    allow: tuple[str, ...] = ()
    zones: tuple[Zone, ...] = tuple(Zone)


class Deprecated(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An old symbol or module, the new one, and the day by which the old one shall be gone."""

    old: str
    new: str = ""
    deadline: date | None = None
    allow: tuple[str, ...] = ()


class Base(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A base class that classes must have. ``classes`` is a pattern for whole class names, ``paths`` holds globs
    (none: the test zone), ``base`` is a dotted name; ``forbid`` are symbols that must not be used there, mocks say."""

    base: str
    classes: str = "Test.*"
    paths: tuple[str, ...] = ()
    forbid: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()


class OwnedLiteral(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A value that has an owner: a string of 3 to 120 characters without blanks, or a whole number of three digits
    and more. ``owner`` is the dotted name that holds it."""

    value: str | int
    owner: str
    allow: tuple[str, ...] = ()
    zones: tuple[Zone, ...] = tuple(Zone)


class Registered(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An enum whose values are the ID types of the dashboard's registry. ``enum`` is its dotted name."""

    enum: str


class Waiver(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Findings that don't count for a while: that of a ``fingerprint``, or those of a ``rule`` in paths that match the
    glob ``path``. ``reason`` says why, ``owner`` who answers for it, ``expires`` is the last day (UTC) on which it
    holds. ``count`` is how many it was granted for: more than that fail."""

    reason: str
    owner: str
    expires: date
    fingerprint: str = ""
    rule: RuleName = ""
    path: str = ""
    count: int | None = None


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """A policy, version 1.

    ``source_roots`` are the folders that absolute imports start from, besides each file's own top package folder.
    ``exclude`` holds globs of paths that aren't looked at. The tables say what is canonical, one table a subject;
    a ``waiver`` lets some findings be for a while.
    """

    version: Literal[1] = 1
    source_roots: tuple[str, ...] = (".", "src")
    exclude: tuple[str, ...] = ()
    zones: Zones = Zones()
    limits: Limits = Limits()
    unique: tuple[Unique, ...] = ()
    family: tuple[Family, ...] = ()
    forbidden: tuple[Forbidden, ...] = ()
    deprecated: tuple[Deprecated, ...] = ()
    base: tuple[Base, ...] = ()
    literal: tuple[OwnedLiteral, ...] = ()
    registry: tuple[Registered, ...] = ()
    waiver: tuple[Waiver, ...] = ()

    @cached_property
    def digest(self) -> str:
        """32 hexadecimal digits; policies that find the same have equal digests, whatever their text looks like.

        Waivers don't enter it: they change what counts, not what is found.
        """
        value = msgspec.to_builtins(self)
        del value["waiver"]
        return hashlib.sha256(msgspec.json.encode(value)).hexdigest()[:32]

    @cached_property
    def waiver_lines(self) -> tuple[int, ...]:
        """Where each waiver stands in the text; zeros for a policy that was read from none."""
        return (0,) * len(self.waiver)

    def zone(self, path: str) -> Zone:
        """The zone of a path with forward slashes."""
        found = self._zones.get(path)
        if found is None:
            if len(self._zones) >= _MAX_ZONES:
                self._zones.clear()
            found = self._zones[path] = self._zone(path)
        return found

    @cached_property
    def _zones(self) -> dict[str, Zone]:
        """The zones of paths that were asked for: a history asks for the same ones at each commit."""
        return {}

    def _zone(self, path: str) -> Zone:
        for zone, globs in (
            (Zone.ARCHIVE, self.zones.archive),
            (Zone.TEST, self.zones.test),
            (Zone.SCRIPT, self.zones.script),
        ):
            if _matcher(globs).match(path):
                return zone
        return Zone.PROD

    def excludes(self, path: str) -> bool:
        return matches(self.exclude, path)


def matches(globs: tuple[str, ...], path: str) -> bool:
    """Whether one of the globs matches a path with forward slashes."""
    return bool(globs) and bool(_matcher(globs).match(path))


def parse_policy(text: str) -> Policy:
    """The policy that a TOML text states; an empty text is the default policy. Raises ``PolicyError``."""
    if len(text) > MAX_POLICY_CHARACTERS:
        raise PolicyError(
            f"a policy has at most {MAX_POLICY_CHARACTERS:,} characters, this one has {len(text):,}"
        )
    try:
        text.encode()
        data = tomllib.loads(text)
    except UnicodeEncodeError as error:
        line = text.count("\n", 0, error.start) + 1
        raise PolicyError(f"not text: half of a character, {error.object[error.start]!a}", line) from error
    except tomllib.TOMLDecodeError as error:
        message, line = _toml_position(str(error), text)
        raise PolicyError(f"not valid TOML: {message}", line) from error
    except RecursionError as error:
        raise PolicyError("not valid TOML: nested too deeply") from error
    except ValueError as error:  # Python's limit of digits
        raise PolicyError("not valid TOML: a number has too many digits") from error
    if data and "version" not in data:
        raise PolicyError("expected `version = 1` at the top", 1)
    if data and data["version"] != 1:
        raise PolicyError(f"expected `version = 1`, got {data['version']!r}", _line_of_key("version", text))
    try:
        policy = msgspec.convert(data, Policy)
    except msgspec.ValidationError as error:
        raise PolicyError(str(error), _line_of(str(error), text)) from error
    _check_globs(policy, text)
    _check_limits(policy, text)
    _check_tables(policy, text)
    _check_waivers(policy, text)
    lines = tuple(_line_in_table("waiver", index, "", text) for index in range(len(policy.waiver)))
    policy.__dict__["waiver_lines"] = lines  # what the cached property would say, from the text
    return policy


def _toml_position(message: str, text: str) -> tuple[str, int]:
    found = re.search(r"\s*\(at (?:line (\d+), column \d+|end of document)\)$", message)
    if found is None:
        return message, 0
    return message[: found.start()], int(found[1]) if found[1] else len(text.rstrip().splitlines()) or 1


def _line_of(message: str, text: str) -> int:
    """The line of the key that msgspec names: ``... `$.zones.test[0]```, or an unknown field of such a table."""
    unknown = re.search(r"unknown field `([^`]+)`", message)
    path = re.search(r"`\$\.?([^`]*)`$", message)
    keys = re.findall(r"[\w-]+|\[\d+\]", path[1]) if path else []
    if unknown:
        keys.append(unknown[1])
    if len(keys) > 1 and keys[1].startswith("["):
        return _line_in_table(
            keys[0], int(keys[1][1:-1]), next((k for k in keys[2:] if k[0] != "["), ""), text
        )
    names = [key for key in keys if not key.startswith("[")]
    return _line_of_key(names[-1], text) if names else 1


def _line_in_table(table: str, index: int, key: str, text: str) -> int:
    """The line of a key in the ``index``-th ``[[table]]``; that of the table itself when the key isn't there."""
    lines, starts = _lines(text), _starts(table, text)
    if index >= len(starts):  # written as an inline array
        return _line_of_key(table, text)
    start = starts[index]
    for number in range(start + 1, len(lines) + 1):
        line = lines[number - 1].lstrip()
        if line.startswith("["):
            break
        if key and re.match(rf"[\"']?{re.escape(key)}[\"']?\s*=", line):
            return number
    return start


# Each entry of a table asks for its lines, while somebody types: a text is taken apart once.
@lru_cache(maxsize=4)
def _lines(text: str) -> list[str]:
    return text.splitlines()


@lru_cache(maxsize=16)
def _starts(table: str, text: str) -> list[int]:
    """The lines of the headers ``[[table]]``."""
    header = re.compile(rf"\s*\[\[\s*{re.escape(table)}\s*\]\]")
    return [number for number, line in enumerate(_lines(text), 1) if header.match(line)]


@lru_cache(maxsize=64)
def _line_of_key(key: str, text: str) -> int:
    pattern = re.compile(rf"^\s*(\[+\s*)?([\w.-]+\.)?{re.escape(key)}\s*(\]|=|\.)")
    for number, line in enumerate(_lines(text), 1):
        if pattern.match(line):
            return number
    return 1


def _check_globs(policy: Policy, text: str) -> None:
    for key in ("archive", "test", "script"):
        for glob in getattr(policy.zones, key):
            _check_glob(glob, key, text)
    for glob in policy.exclude:
        _check_glob(glob, "exclude", text)
    for root in policy.source_roots:
        if root.startswith("/") or ".." in root.split("/"):
            raise PolicyError(
                f"source root {root!r} must be a folder inside the repository",
                _line_of_key("source_roots", text),
            )


def _check_glob(glob: str, key: str, text: str, line: int = 0) -> None:
    try:
        re.compile(translate(glob))
        usable = 0 < len(glob) <= MAX_GLOB_CHARACTERS and not glob.startswith("/")
    except re.error:
        usable = False
    if not usable:
        raise PolicyError(
            f"{key}: {glob[:60]!r} is no usable glob (relative, 1 to {MAX_GLOB_CHARACTERS} characters)",
            line or _line_of_key(key, text),
        )


def _check_limits(policy: Policy, text: str) -> None:
    for key, low, high in (("file_bytes", 1, 10 * 1024 * 1024), ("file_seconds", 1, 300)):
        value = getattr(policy.limits, key)
        if not low <= value <= high:
            raise PolicyError(f"{key}: expected {low:,} to {high:,}, got {value:,}", _line_of_key(key, text))


_SYMBOL = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")
# Where each table names symbols, patterns and globs.
_SYMBOL_KEYS = {
    "unique": ("symbol",),
    "family": ("owners",),
    "forbidden": ("symbol",),
    "deprecated": ("old",),
    "base": ("base", "forbid"),
    "literal": ("owner",),
    "registry": ("enum",),
}
_PATTERN_KEYS = {"family": "pattern", "base": "classes"}


def _check_tables(policy: Policy, text: str) -> None:
    for table, keys in _SYMBOL_KEYS.items():
        for index, entry in enumerate(getattr(policy, table)):
            for key in keys:
                _check_symbols(getattr(entry, key), key, _line_in_table(table, index, key, text))
            for key in ("allow", "paths"):
                for glob in getattr(entry, key, ()):
                    _check_glob(glob, key, text, _line_in_table(table, index, key, text))
            if pattern_key := _PATTERN_KEYS.get(table):
                line = _line_in_table(table, index, pattern_key, text)
                _check_pattern(getattr(entry, pattern_key), pattern_key, line)
    for index, literal in enumerate(policy.literal):
        _check_literal(literal.value, _line_in_table("literal", index, "value", text))


def _check_symbols(value: str | tuple[str, ...], key: str, line: int) -> None:
    for symbol in (value,) if isinstance(value, str) else value:
        if len(symbol) > MAX_GLOB_CHARACTERS or not _SYMBOL.fullmatch(symbol):
            raise PolicyError(
                f"{key}: expected a dotted name like app.core.ids.IDType, got {symbol[:60]!r}", line
            )


def _check_pattern(pattern: str, key: str, line: int) -> None:
    """Refuses patterns that could take longer than a class name is worth: only single characters may repeat."""
    reason = ""
    if not 0 < len(pattern) <= MAX_PATTERN_CHARACTERS:
        reason = f"expected 1 to {MAX_PATTERN_CHARACTERS} characters"
    elif re.search(r"[{}]|\(\?(?!:)|\)[*+]|\\(?![dw.])", pattern):
        reason = (
            "groups can't repeat; braces, lookarounds and escapes other than \\d \\w \\. aren't supported"
        )
    elif len(re.findall(r"[*+]", pattern)) > MAX_PATTERN_REPEATS:
        reason = f"at most {MAX_PATTERN_REPEATS} of * and + are supported"
    else:
        try:
            re.compile(pattern)
        except re.error as error:
            reason = str(error)
    if reason:
        raise PolicyError(f"{key}: {pattern[:60]!r} is no usable pattern: {reason}", line)


def _check_literal(value: str | int, line: int) -> None:
    if isinstance(value, str):
        usable = 3 <= len(value) <= 120 and not re.search(r"\s", value)
    else:
        usable = value >= 100 and value < 2**63
    if not usable:
        raise PolicyError(
            "value: expected a string of 3 to 120 characters without blanks, or a whole number of 100 or more,"
            f" got {str(value)[:60]!r}",
            line,
        )


def _check_waivers(policy: Policy, text: str) -> None:
    for index, waiver in enumerate(policy.waiver):

        def fail(key: str, words: str, index: int = index) -> NoReturn:
            raise PolicyError(words, _line_in_table("waiver", index, key, text))

        for key in ("reason", "owner"):
            if not 0 < len(getattr(waiver, key).strip()) <= MAX_WAIVER_CHARACTERS:
                fail(key, f"{key}: expected 1 to {MAX_WAIVER_CHARACTERS} characters")
        if bool(waiver.fingerprint) == bool(waiver.rule and waiver.path) or (
            waiver.fingerprint and (waiver.rule or waiver.path)
        ):
            fail("", "waiver: expected `fingerprint`, or `rule` and `path`")
        if waiver.fingerprint and not re.fullmatch(r"[0-9a-f]{32}", waiver.fingerprint):
            fail("fingerprint", "fingerprint: expected 32 hexadecimal digits, as reports and pages show them")
        if waiver.path:
            _check_glob(waiver.path, "path", text, _line_in_table("waiver", index, "path", text))
        if waiver.count is not None and waiver.count < 1:
            fail("count", f"count: expected a number from 1, got {waiver.count}")


@lru_cache(maxsize=256)
def _matcher(globs: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(translate, globs)) or r"(?!)")
