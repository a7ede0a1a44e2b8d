"""Policy: what an audit looks at and how it judges paths. Typed TOML, errors with line numbers."""

import hashlib
import re
import tomllib
from functools import cached_property, lru_cache
from typing import Literal

import msgspec

from audits.engine.findings import Zone
from audits.engine.globs import translate

MAX_POLICY_CHARACTERS = 200_000
MAX_GLOB_CHARACTERS = 500


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


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """A policy, version 1.

    ``source_roots`` are the folders that absolute imports start from, besides each file's own top package folder.
    ``exclude`` holds globs of paths that aren't looked at.
    """

    version: Literal[1] = 1
    source_roots: tuple[str, ...] = (".", "src")
    exclude: tuple[str, ...] = ()
    zones: Zones = Zones()
    limits: Limits = Limits()

    @cached_property
    def digest(self) -> str:
        """32 hexadecimal digits; equal policies have equal digests, whatever their text looks like."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()[:32]

    def zone(self, path: str) -> Zone:
        """The zone of a path with forward slashes."""
        for zone, globs in (
            (Zone.ARCHIVE, self.zones.archive),
            (Zone.TEST, self.zones.test),
            (Zone.SCRIPT, self.zones.script),
        ):
            if _matcher(globs).match(path):
                return zone
        return Zone.PROD

    def excludes(self, path: str) -> bool:
        return bool(self.exclude) and bool(_matcher(self.exclude).match(path))


def parse_policy(text: str) -> Policy:
    """The policy that a TOML text states; an empty text is the default policy. Raises ``PolicyError``."""
    if len(text) > MAX_POLICY_CHARACTERS:
        raise PolicyError(
            f"a policy has at most {MAX_POLICY_CHARACTERS:,} characters, this one has {len(text):,}"
        )
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message, line = _toml_position(str(error), text)
        raise PolicyError(f"not valid TOML: {message}", line) from error
    except RecursionError as error:
        raise PolicyError("not valid TOML: nested too deeply") from error
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
    return policy


def _toml_position(message: str, text: str) -> tuple[str, int]:
    found = re.search(r"\s*\(at (?:line (\d+), column \d+|end of document)\)$", message)
    if found is None:
        return message, 0
    return message[: found.start()], int(found[1]) if found[1] else len(text.rstrip().splitlines()) or 1


def _line_of(message: str, text: str) -> int:
    """The line of the key that msgspec names: ``... `$.zones.test[0]``` or an unknown field's name."""
    unknown = re.search(r"unknown field `([^`]+)`", message)
    path = re.search(r"`\$\.?([^`]*)`$", message)
    keys = [k for k in re.split(r"[.\[]", path[1]) if k and not k.endswith("]")] if path else []
    if unknown:
        keys.append(unknown[1])
    return _line_of_key(keys[-1], text) if keys else 1


def _line_of_key(key: str, text: str) -> int:
    pattern = re.compile(rf"^\s*(\[+\s*)?([\w.-]+\.)?{re.escape(key)}\s*(\]|=|\.)")
    for number, line in enumerate(text.splitlines(), 1):
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


def _check_glob(glob: str, key: str, text: str) -> None:
    try:
        re.compile(translate(glob))
        usable = 0 < len(glob) <= MAX_GLOB_CHARACTERS and not glob.startswith("/")
    except re.error:
        usable = False
    if not usable:
        raise PolicyError(
            f"{key}: {glob[:60]!r} is no usable glob (relative, 1 to {MAX_GLOB_CHARACTERS} characters)",
            _line_of_key(key, text),
        )


def _check_limits(policy: Policy, text: str) -> None:
    for key, low, high in (("file_bytes", 1, 10 * 1024 * 1024), ("file_seconds", 1, 300)):
        value = getattr(policy.limits, key)
        if not low <= value <= high:
            raise PolicyError(f"{key}: expected {low:,} to {high:,}, got {value:,}", _line_of_key(key, text))


@lru_cache(maxsize=256)
def _matcher(globs: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(translate, globs)) or r"(?!)")
