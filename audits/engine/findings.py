"""The engine's results: findings, problems and the report of one audit. Plain frozen values, no behaviour of rules."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from functools import cached_property, lru_cache

import msgspec
import xxhash


class Zone(StrEnum):
    """What kind of code a path holds. Counts are always shown per zone."""

    PROD = "prod"
    TEST = "test"
    SCRIPT = "script"
    ARCHIVE = "archive"


class Severity(StrEnum):
    """P0 breaks production at import, P3 can wait. Computed from zone and annotations, never taken from prose."""

    P0 = "P0"
    P1 = "P1"
    P2 = "P2"
    P3 = "P3"


class Annotation(StrEnum):
    """What is special about the place of a finding. An annotation never hides a finding."""

    GUARDED = "guarded"
    IMPORT_TIME = "import_time"
    TYPE_CHECKING_ONLY = "type_checking_only"
    POSSIBLE = "possible"


class ProblemKind(StrEnum):
    """Why the audit could not look at something. A problem is never the same as "found nothing"."""

    MISSING_BLOB = "missing-blob"
    MISSING_OTHER_BLOB = "missing-other-blob"
    TOO_LARGE = "too-large"
    TOO_COMPLEX = "too-complex"
    NEWER_SYNTAX = "newer-syntax"
    NOT_TEXT = "not-text"
    UNSAFE_PATH = "unsafe-path"
    LINK = "link"
    NO_REGISTRY = "no-registry"
    RULE_FAILED = "rule-failed"

    @property
    def hides_findings(self) -> bool:
        """Whether there may be findings that the report doesn't have because of it.

        A link's target is looked at in its own place, and what isn't Python source no rule reads.
        """
        return self not in {ProblemKind.MISSING_OTHER_BLOB, ProblemKind.LINK, ProblemKind.UNSAFE_PATH}


@lru_cache(maxsize=512)  # there are few different ones
def severity_of(zone: Zone, annotations: tuple[Annotation, ...]) -> Severity:
    """The severity of a finding.

    Production code that breaks at import is P0 and production code that breaks when called is P1; what only may
    break (guarded, type checking only, possible) is one worse than nothing (P2). Tests and scripts are P2, or P3
    when softened. Archives are always P3.
    """
    marks = set(annotations)
    softened = bool(marks & {Annotation.GUARDED, Annotation.TYPE_CHECKING_ONLY, Annotation.POSSIBLE})
    if zone is Zone.ARCHIVE:
        return Severity.P3
    if zone is Zone.PROD:
        if softened:
            return Severity.P2
        return Severity.P0 if Annotation.IMPORT_TIME in marks else Severity.P1
    return Severity.P3 if softened else Severity.P2


class Place(msgspec.Struct, frozen=True, gc=False):
    """A position in a tree: path, 1-based line, 0-based column in characters."""

    path: str
    line: int
    column: int = 0


class Finding(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One place that breaks a rule.

    ``subject`` is what is wrong apart from where (``app.ids.IDType.RUN``), ``member`` its last part for member
    rules. ``scope`` is the dotted enclosing scope in the file (empty for module level), ``ordinal`` counts equal
    findings of that scope from 0 in source order; together they identify the finding without its line.
    ``definition`` is where the canonical definition stands, where there is one.
    """

    rule: str
    subject: str
    path: str
    line: int
    column: int
    scope: str
    zone: Zone
    severity: Severity
    message: str
    hint: str = ""
    annotations: tuple[Annotation, ...] = ()
    member: str | None = None
    definition: Place | None = None
    ordinal: int = 0

    @property
    def fingerprint(self) -> str:
        """32 hexadecimal digits (XXH3-128) over rule, subject, path, scope and ordinal; never the line."""
        parts = (self.rule, self.subject, self.path, self.scope, str(self.ordinal))
        return xxhash.xxh3_128_hexdigest("\0".join(parts).encode("utf-8", "surrogateescape"))

    @property
    def order(self) -> tuple[str, int, int, str, str]:
        """Sort key: by place, then by rule and subject, so that a report is the same bytes for the same tree."""
        return (self.path, self.line, self.column, self.rule, self.subject)


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that could not be looked at: a file, or a rule that failed (then the path is empty); the kind, and
    words for a person."""

    path: str
    kind: ProblemKind
    message: str
    rule: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waived:
    """A waiver of the policy on a given day, and the findings that it covers (their fingerprints).

    It is about one ``fingerprint``, or about a ``rule`` in paths that match the glob ``path``. ``line`` is the one
    where it stands in the policy's text, ``granted`` how many findings it was granted for (None: not stated),
    ``severity`` the worst one of those that it covers. ``is_partial`` says that the audit was narrowed so that it
    may cover more.
    """

    line: int
    fingerprint: str
    rule: str
    path: str
    reason: str
    owner: str
    expires: date
    granted: int | None
    covered: tuple[str, ...]
    is_expired: bool
    is_partial: bool
    severity: Severity

    @property
    def has_grown(self) -> bool:
        return self.granted is not None and len(self.covered) > self.granted

    @property
    def fails(self) -> bool:
        """Whether it is itself something to act on: it has expired, or covers more than it was granted for."""
        return self.is_expired or self.has_grown


# In the place of a commit's id.
STAGED = "staged"


@dataclass(frozen=True, slots=True, order=True)
class Use:
    """A place that names a member of a registered enum, or that defines it. ``value`` is the ID type's."""

    value: str
    path: str
    line: int
    column: int
    scope: str
    zone: Zone
    enum: str
    member: str
    is_definition: bool


@dataclass(frozen=True, slots=True)
class Move:
    """How often a folder (with a trailing slash, "" for the root; without its subfolders) uses a deprecated symbol and
    the one that takes its place."""

    old: str
    new: str
    zone: Zone
    folder: str
    old_uses: int
    new_uses: int


@dataclass(frozen=True, kw_only=True)
class Report:
    """What one audit saw.

    ``commit`` is the full object id, ``STAGED`` for what is staged; ``engine`` the engine's version, ``policy`` the
    digest of the policy. ``read`` counts Python files in the tree whose bytes were read, ``parsed`` those whose facts
    are known. ``waivers`` are those of the policy, as they stand on ``day``. ``timings`` are seconds by phase.
    ``uses`` are those of the enums of ID types that the policy names, ``moves`` how far its deprecated symbols are
    replaced.
    """

    commit: str
    engine: str
    policy: str
    read: int
    parsed: int
    findings: tuple[Finding, ...]
    problems: tuple[Problem, ...]
    waivers: tuple[Waived, ...] = ()
    day: date | None = None
    timings: dict[str, float] = field(default_factory=dict, compare=False)
    uses: tuple[Use, ...] = ()
    moves: tuple[Move, ...] = ()

    @cached_property
    def waived_by(self) -> dict[str, Waived]:
        """By fingerprint: the waiver under which a finding doesn't count; of several the one that lasts longest."""
        lasting = sorted((w for w in self.waivers if not w.is_expired), key=lambda w: w.expires)
        return {fingerprint: waived for waived in lasting for fingerprint in waived.covered}

    @property
    def counting(self) -> tuple[Finding, ...]:
        """The findings that no waiver covers."""
        return (
            tuple(f for f in self.findings if f.fingerprint not in self.waived_by)
            if self.waivers
            else self.findings
        )


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an audit is: a phase in words, files done of files total, findings so far."""

    phase: str
    done: int
    total: int
    findings: int = 0


def numbered(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """The findings in report order, each with its ordinal among equals (same rule, subject, path and scope)."""
    seen: dict[tuple[str, str, str, str], int] = {}
    result = []
    for finding in sorted(findings, key=lambda f: f.order):
        key = (finding.rule, finding.subject, finding.path, finding.scope)
        ordinal = seen.get(key, 0)
        seen[key] = ordinal + 1
        result.append(finding if ordinal == 0 else msgspec.structs.replace(finding, ordinal=ordinal))
    return tuple(result)
