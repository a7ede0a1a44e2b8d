"""Tracker documents -> claims. Pure: Markdown text in, frozen values with line numbers out.

Trackers are written by people and by coding agents, each in a way of its own, so the reader is tolerant about form
and strict about meaning: a step needs its number, a count needs its noun. What can't be read so is left out, and a
document that names no step is *unstructured*; nothing is ever guessed.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import IntEnum

STEPS = (
    "discover",
    "plan tests",
    "write tests",
    "plan remediation",
    "remediate",
    "prove stability",
    "PR and closure",
)
_WRITE_TESTS = 2
MAX_CHARACTERS = 1_000_000
MAX_LINE = 2_000


class TrackerError(ValueError):
    """A document that can't be read at all: too large, or no text."""


class StepState(IntEnum):
    """How far a step is said to be. The most advanced mention counts."""

    MENTIONED = 0
    PENDING = 1
    STARTED = 2
    COMPLETED = 3


@dataclass(frozen=True, slots=True)
class Text:
    """Something stated in words: the words as they stand, and their 1-based line."""

    words: str
    line: int


@dataclass(frozen=True, slots=True)
class Reference:
    """A number of an issue or a pull request, with its address where the text has one."""

    number: int
    url: str
    line: int


@dataclass(frozen=True, slots=True)
class Mention:
    """One place that names a step and, perhaps, says how far it is."""

    step: int
    state: StepState
    words: str
    line: int


@dataclass(frozen=True, slots=True)
class Count:
    """A counted noun: ``26 test methods``. ``unit`` is tests, files or places; ``step`` is the step under whose
    heading it stands, ``path`` the file that the same line names."""

    number: int
    unit: str
    words: str
    line: int
    step: int | None
    path: str = ""


@dataclass(frozen=True, slots=True)
class Assertion:
    """Something that is said to be so. ``kind`` is reason (the exception that tests are said to fail with, in
    ``words``), resolved (for good, or altogether) or stable (nothing else broke)."""

    kind: str
    words: str
    line: int
    step: int | None


@dataclass(frozen=True, slots=True)
class File:
    """A file that is named, with the lines that are named with it (first and last, None for none)."""

    path: str
    lines: tuple[int, int] | None
    line: int
    step: int | None


@dataclass(frozen=True, slots=True)
class Tracker:
    """All that a document claims. ``priority`` is 0 to 3 where the text has P0 to P3; ``created`` and ``updated`` are
    the dates that the text itself states."""

    title: Text | None = None
    issue: Reference | None = None
    priority: int | None = None
    priority_text: Text | None = None
    status: Text | None = None
    created: tuple[date, int] | None = None
    updated: tuple[date, int] | None = None
    mentions: tuple[Mention, ...] = ()
    counts: tuple[Count, ...] = ()
    files: tuple[File, ...] = ()
    pulls: tuple[Reference, ...] = ()
    assertions: tuple[Assertion, ...] = ()

    @property
    def steps(self) -> dict[int, Mention]:
        """Each step that is named, by number: its most advanced mention, of equals the first."""
        best: dict[int, Mention] = {}
        for mention in self.mentions:
            known = best.get(mention.step)
            if known is None or mention.state > known.state:
                best[mention.step] = mention
        return dict(sorted(best.items()))

    @property
    def is_unstructured(self) -> bool:
        """Whether the document names no step."""
        return not self.mentions


# --- Bytes -> text ------------------------------------------------------------------------------------------

# What a byte becomes when it is read as Windows-1252, as browsers and editors do it: its five undefined bytes stay.
_AS_CP1252 = {
    (bytes([byte]).decode("cp1252") if byte not in {0x81, 0x8D, 0x8F, 0x90, 0x9D} else chr(byte)): byte
    for byte in range(256)
}


def text_of(data: bytes) -> tuple[str, bool]:
    """The text of a document's bytes, and whether it had been damaged by reading UTF-8 as Windows-1252.

    Damage is undone only when every character goes back to a byte and the bytes are UTF-8: then nothing is lost.
    Raises ``TrackerError``.
    """
    if len(data) > MAX_CHARACTERS * 4:
        raise TrackerError(f"a tracker has at most {MAX_CHARACTERS:,} characters")
    if b"\0" in data:
        raise TrackerError("the document holds NUL bytes: it is no text")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace"), False
    if len(text) > MAX_CHARACTERS:
        raise TrackerError(f"a tracker has at most {MAX_CHARACTERS:,} characters, this one has {len(text):,}")
    restored = _undamaged(text)
    return (restored, True) if restored is not None else (text, False)


def _undamaged(text: str) -> str | None:
    if text.isascii():
        return None
    try:
        return bytes(_AS_CP1252[character] for character in text).decode()
    except (KeyError, UnicodeDecodeError):
        return None


# --- Text -> lines of meaning -------------------------------------------------------------------------------

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_HEADING = re.compile(r" {0,3}(#{1,6})\s+(.*?)\s*#*\s*$")
_ITEM = re.compile(r"\s*(?:[-*+]|\d{1,3}[.)])\s+(?:\[(?P<box>[ xX✓✔~/-])\]\s*)?(?P<text>.*)$")
_MARKUP = re.compile(r"[*`~]{1,3}|(?<!\w)_{1,3}|_{1,3}(?!\w)")


@dataclass(frozen=True, slots=True)
class _Line:
    """A line outside of code fences. ``level`` is that of a heading, 0 else; ``box`` tells of a checkbox."""

    number: int
    raw: str
    text: str
    level: int
    box: bool | None


def _lines(text: str) -> Iterator[_Line]:
    fence = ""
    for number, raw in enumerate(text.splitlines(), 1):
        raw = raw[:MAX_LINE]  # noqa: PLW2901
        found = _FENCE.match(raw)
        if fence:
            if (
                found
                and found[1][0] == fence[0]
                and len(found[1]) >= len(fence)
                and not raw[found.end() :].strip()
            ):
                fence = ""
            continue
        if found:
            fence = found[1]
            continue
        heading = _HEADING.match(raw)
        if heading:
            yield _Line(number, raw, heading[2], len(heading[1]), None)
            continue
        item = _ITEM.match(raw)
        box = None if item is None or item["box"] is None else item["box"] in "xX✓✔"
        yield _Line(number, raw, item["text"] if item is not None else raw.strip(), 0, box)


def _plain(text: str) -> str:
    return _MARKUP.sub("", text)


# --- States -------------------------------------------------------------------------------------------------

_COMPLETED = re.compile(
    r"✅|☑|✔|🎉|(?<!not )(?<!in)\b(?:completed?|done|finished|accomplished|resolved|successful(?:ly)?)\b",
    re.IGNORECASE,
)
_STARTED = re.compile(
    r"🔄|🚧|⚠|🟡|\b(?:in[ -]progress|ongoing|started|partial(?:ly)?|current|active|working|wip)\b",
    re.IGNORECASE,
)
_PENDING = re.compile(
    r"⏳|📋|⏸|❌|⭕|🔲|⬜|🔜|\b(?:pending|to[ -]?do|next|not (?:yet )?started|planned|upcoming|waiting|blocked"
    r"|incomplete|not (?:yet )?(?:completed?|done))\b",
    re.IGNORECASE,
)


def _state(text: str) -> StepState | None:
    """What words or emoji say about the state of a step; None when they say nothing."""
    plain = _plain(text)
    if re.search(
        r"\bnot (?:yet )?(?:completed?|done|started|finished)\b|\bincomplete\b", plain, re.IGNORECASE
    ):
        return StepState.PENDING
    if _STARTED.search(plain) and not re.search("[✅☑✔]", plain):
        return StepState.STARTED
    if _COMPLETED.search(plain):
        return StepState.COMPLETED
    if _PENDING.search(plain):
        return StepState.PENDING
    return None


# --- Steps --------------------------------------------------------------------------------------------------

_STEP = re.compile(r"\bstep\s*#?\s*([0-6])\b(?!\s*[-–]\s*\d|-\w)(?P<part>\.\d+)?(?!\d)", re.IGNORECASE)
_LEADING_STEP = re.compile(r"\W*" + _STEP.pattern + r"(?!\w)", re.IGNORECASE)
_PHASE = re.compile(r"^\W*phase\s*#?\s*([0-7])\b(?!\.\d)", re.IGNORECASE)
_NUMBERED = re.compile(r"\W*([0-6])(?P<mark>[.)])\s*(?P<words>[^\W\d].*)")
# Words that belong to one step alone, to check the numbers of phases by them.
_MEANINGS = tuple(
    re.compile(words, re.IGNORECASE)
    for words in (
        r"\b(?:audit|discover(?:y|ed)?(?! and plan| & plan))\b",
        r"\btest (?:discovery|plan(?:ning)?)|plan(?:ning)? (?:of )?tests?\b|\bdiscover(?:y)? (?:and|&) plan",
        (
            r"\b(?:execut\w+|creat\w+|writ\w+|implement\w+) (?:the |of )?(?:new )?(?:ssot )?tests?\b"
            r"|\btest (?:execution|creation|implementation)"
        ),
        r"\bplan(?:ning)? (?:of |the )?(?:ssot )?remediation|\bremediation plan",
        (
            r"\b(?:execut\w+|implement\w+) (?:of |the )?(?:ssot )?remediation"
            r"|\bremediation (?:execution|implementation)"
        ),
        r"\btest fix|stability|\btest validation",
        r"\b(?:pr|pull request)s?\b|\bclosure\b",
    )
)


def _mentions(lines: Sequence[_Line]) -> tuple[Mention, ...]:
    """What the document says about steps, in the way of counting that it uses itself."""
    parts: dict[int, dict[str, StepState]] = {}
    found = []
    for index in range(len(lines)):
        for mention, part in _step_mentions(lines, index):
            found.append(_with_parts(mention, part, parts.setdefault(mention.step, {})))
    found = found or [mention for index in range(len(lines)) for mention in _numbered_mentions(lines, index)]
    return tuple(found or _phase_mentions(lines))


def _with_parts(mention: Mention, part: str, known: dict[str, StepState]) -> Mention:
    """The mention of a part (``Step 1.2``) as one of the step: completed with the last of several parts."""
    if not part:
        return mention
    known[part] = max(mention.state, known.get(part, mention.state))
    is_whole = len(known) > 1 and all(state is StepState.COMPLETED for state in known.values())
    state = mention.state if is_whole else min(mention.state, StepState.STARTED)
    return replace(mention, state=state)


def _step_mentions(lines: Sequence[_Line], index: int) -> Iterator[tuple[Mention, str]]:
    """What a heading, a checkbox or an item says about steps that it names, with the number of the step's part."""
    line = lines[index]
    plain = _plain(line.text)
    if line.level:
        for named in _STEP.finditer(plain):
            state = _state(plain)
            if state is None:  # the boxes beneath are the step's own only where the heading begins with it
                leads = _LEADING_STEP.match(plain) is not None
                state = _state_of_boxes(lines, index) if leads else StepState.MENTIONED
            yield Mention(int(named[1]), state, line.text, line.number), named["part"] or ""
        return
    match = _LEADING_STEP.match(plain)
    if match is None:
        return
    state = _state_of_box(line) if line.box is not None else _state(plain)
    if state is not None:
        yield Mention(int(match[1]), state, line.text, line.number), match["part"] or ""


def _state_of_box(line: _Line) -> StepState:
    if line.box:
        return StepState.STARTED if _state(line.text) is StepState.STARTED else StepState.COMPLETED
    return max(_state(line.text) or StepState.PENDING, StepState.PENDING)


def _state_of_boxes(lines: Sequence[_Line], index: int) -> StepState:
    """The state that the checkboxes beneath a heading give."""
    boxes = []
    for line in lines[index + 1 :]:
        if line.level and line.level <= lines[index].level:
            break
        if line.box is not None:
            boxes.append(line.box)
    if not boxes:
        return StepState.MENTIONED
    if all(boxes):
        return StepState.COMPLETED
    return StepState.STARTED if any(boxes) else StepState.PENDING


def _numbered_mentions(lines: Sequence[_Line], index: int) -> Iterator[Mention]:
    """``0) Discover`` or a heading ``1. Plan tests``, where the words agree with the number."""
    line = lines[index]
    match = _NUMBERED.match(_plain(line.text if line.level or line.box is not None else line.raw))
    if match is None or (match["mark"] == "." and not line.level):
        return
    if not _MEANINGS[int(match[1])].search(match["words"]):
        return
    state = _state_of_box(line) if line.box is not None else _state(match["words"])
    if state is None:
        state = _state_of_boxes(lines, index) if line.level else StepState.MENTIONED
    yield Mention(int(match[1]), state, line.text, line.number)


def _phase_mentions(lines: Sequence[_Line]) -> Iterator[Mention]:
    """Phases as steps: only in documents without steps, and only where the words bear the numbers out.

    Some count phases from one. The words of all headings together decide; without a clear answer there are no steps.
    """
    headings = []
    for index, line in enumerate(lines):
        match = _PHASE.match(_plain(line.text)) if line.level else None
        if match:
            headings.append((int(match[1]), index))
    votes = {
        offset: sum(
            0 <= number - offset <= 6 and bool(_MEANINGS[number - offset].search(lines[index].text))
            for number, index in headings
        )
        for offset in (0, 1)
    }
    if votes[0] == votes[1] or max(votes.values()) < 2:
        return
    offset = max(votes, key=lambda o: votes[o])
    for number, index in headings:
        if not 0 <= number - offset <= 6:
            continue
        line = lines[index]
        state = _state(line.text)
        state = _state_of_boxes(lines, index) if state is None else state
        yield Mention(number - offset, state, line.text, line.number)


# --- The header, counts, files ------------------------------------------------------------------------------

_FIELD = re.compile(
    r"^\W*(?P<name>(?:github )?issue(?: number| id| url| link)?|tracking issue|priority|severity"
    r"|(?:current |overall |issue )?status|created(?: at| on| date)?|date created|discovered"
    r"|(?:last )?updated(?: at| on)?|date)\W*?\s*[:\uFF1A]\s*(?P<value>.+)$",
    re.IGNORECASE,
)
_ISSUE = re.compile(r"(?P<url>https?://\S+/issues/(?P<n1>\d{1,9}))|(?<![\w/])#(?P<n2>\d{1,9})\b")
_PULL = re.compile(
    r"(?P<url>https?://\S+/pull/(?P<n1>\d{1,9}))|\b(?:PR|pull request)\s*#(?P<n2>\d{1,9})\b", re.IGNORECASE
)
_PRIORITY = re.compile(r"\bP([0-3])\b")
_DATE = re.compile(r"\b(\d{4})-(\d{2})-(\d{2})\b")
_LONG_DATE = re.compile(r"\b([A-Z][a-z]+ \d{1,2}, \d{4})\b")
_COUNT = re.compile(
    r"(?<![\w.$#:/-])(?P<number>\d{1,3}(?:,\d{3})+|\d{1,7})\+?\s+(?:[\w/-]+\s+){0,3}?"
    r"(?P<unit>test (?:methods?|cases?|functions?)|tests?(?! (?:files?|suites?|director|categor))|test files?|files?"
    r"|violations?|references?|usage points?|usages?|places?|instances?|occurrences?)\b",
    re.IGNORECASE,
)
_NAMED_FILE = re.compile(
    r"`(?P<path>/?[\w.@ /+-]{0,200}?[\w-]{1,100}\.(?:py|md|toml|cfg|ini|ya?ml|json|sql|ts|tsx|js|txt|xml))"
    r"(?::(?P<a>\d{1,6})(?:-(?P<b>\d{1,6}))?)?`"
)
_LINES_AFTER = re.compile(r"^[^`]{0,12}?\blines?\s+~?(\d{1,6})(?:\s*[-–]\s*(\d{1,6}))?", re.IGNORECASE)


def read(text: str) -> Tracker:
    """The claims of a tracker's text. Raises ``TrackerError`` for a text that is too long."""
    if len(text) > MAX_CHARACTERS:
        raise TrackerError(f"a tracker has at most {MAX_CHARACTERS:,} characters, this one has {len(text):,}")
    lines = list(_lines(text))
    title = next((Text(_plain(line.text).strip(), line.number) for line in lines if line.level == 1), None)
    fields = _fields(lines)
    issue = fields.get("issue")
    priority = fields.get("priority")
    found = _PRIORITY.search(priority.words) if priority else None
    return Tracker(
        title=title,
        issue=_issue(issue, lines),
        priority=int(found[1]) if found else None,
        priority_text=priority,
        status=fields.get("status"),
        created=_date(fields.get("created")),
        updated=_date(fields.get("updated")),
        mentions=_mentions(lines),
        counts=tuple(_counts(lines)),
        files=tuple(_files(lines)),
        pulls=tuple(_pulls(lines)),
        assertions=tuple(_assertions(lines, text)),
    )


def _fields(lines: Sequence[_Line]) -> dict[str, Text]:
    """The header's fields by kind; of each the first."""
    fields: dict[str, Text] = {}
    for line in lines:
        match = _FIELD.match(_plain(line.text)) if not line.level or line.level > 1 else None
        if match is None:
            continue
        name = match["name"].lower()
        kind = next((k for k in ("issue", "priority", "status", "created", "updated") if k in name), None)
        if kind == "issue" and "status" in name:
            kind = "status"
        kind = {
            "severity": "priority",
            "discovered": "created",
            "date": "created",
            "date created": "created",
        }.get(name, kind)
        if kind:
            fields.setdefault(kind, Text(match["value"].strip().strip("*_ "), line.number))
    return fields


def _issue(field: Text | None, lines: Sequence[_Line]) -> Reference | None:
    """The issue of the header's line; else of the title."""
    places = [field] if field else []
    places += [Text(line.text, line.number) for line in lines if line.level == 1][:1]
    for place in places:
        found = sorted(_ISSUE.finditer(place.words), key=lambda match: not match["url"])
        if found:
            return Reference(int(found[0]["n1"] or found[0]["n2"]), found[0]["url"] or "", place.line)
    return None


def _date(field: Text | None) -> tuple[date, int] | None:
    if field is None:
        return None
    try:
        if match := _DATE.search(field.words):
            return date(int(match[1]), int(match[2]), int(match[3])), field.line
        if match := _LONG_DATE.search(field.words):
            return datetime.strptime(match[1], "%B %d, %Y").date(), field.line  # noqa: DTZ007 (a date alone)
    except ValueError:
        pass
    return None


def _in_steps(lines: Sequence[_Line]) -> Iterator[tuple[_Line, int | None]]:
    """Each line with the step whose section it stands in."""
    step: int | None = None
    level = 0
    for line in lines:
        if line.level:
            match = _STEP.search(_plain(line.text))
            if match:
                step, level = int(match[1]), line.level
            elif line.level <= level:
                step, level = None, 0
        yield line, step


def _counts(lines: Sequence[_Line]) -> Iterator[Count]:
    for line, step in _in_steps(lines):
        named = {match["path"].strip().removeprefix("/") for match in _NAMED_FILE.finditer(line.raw)}
        path = named.pop() if len(named) == 1 else ""
        for match in _COUNT.finditer(_plain(line.text)):
            number = int(match["number"].replace(",", ""))
            yield Count(number, _unit(match["unit"]), match[0], line.number, step, path)


def _unit(noun: str) -> str:
    noun = noun.lower()
    if "file" in noun:
        return "test files" if "test" in noun else "files"
    return "tests" if "test" in noun else "places"


def _files(lines: Sequence[_Line]) -> Iterator[File]:
    for line, step in _in_steps(lines):
        for match in _NAMED_FILE.finditer(line.raw):
            named = (match["a"], match["b"])
            if named[0] is None and (after := _LINES_AFTER.match(line.raw[match.end() :])):
                named = (after[1], after[2])
            lines_named = (int(named[0]), int(named[1] or named[0])) if named[0] else None
            yield File(match["path"].strip().removeprefix("/"), lines_named, line.number, step)


_REASON = re.compile(r"\b(?:[A-Za-z_]\w*\.)*([A-Z]\w*(?:Error|Exception))\b")
_ASSERTIONS = {
    "resolved": re.compile(
        r"\b(?:definitively|completely|fully|entirely|permanently) (?:resolved|fixed|eliminated|migrated)"
        r"|mission accomplished|100\s?% (?:complete|compliant|compliance|migrated)",
        re.IGNORECASE,
    ),
    "stable": re.compile(
        r"\b(?:zero|no) (?:test )?(?:regressions?|breaking changes?)\b(?! (?:testing|tests?|suites?|checks?)\b)",
        re.IGNORECASE,
    ),
}


def _assertions(lines: Sequence[_Line], text: str) -> Iterator[Assertion]:
    """What the document asserts; the exceptions that it says tests fail with may stand in code fences, too."""
    step_of = {line.number: step for line, step in _in_steps(lines)}
    for line in lines:
        plain = _plain(line.text)
        for kind, pattern in _ASSERTIONS.items():
            # An open box, or a heading that plans it, asserts nothing yet.
            if (found := pattern.search(plain)) and line.box is not False:
                yield Assertion(kind, found[0], line.number, step_of[line.number])
    step: int | None = None
    for number, raw in enumerate(text.splitlines(), 1):
        step = step_of.get(number, step)
        if step == _WRITE_TESTS:
            for reason in _REASON.finditer(raw[:MAX_LINE]):
                yield Assertion("reason", reason[1], number, step)


def _pulls(lines: Sequence[_Line]) -> Iterator[Reference]:
    seen = set()
    for line in lines:
        for match in _PULL.finditer(line.raw):
            number = int(match["n1"] or match["n2"])
            if number not in seen:
                seen.add(number)
                yield Reference(number, match["url"] or "", line.number)


# --- Two versions of a document -> what was said anew -------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Statement:
    """Something that one version of a document says and the version before it didn't.

    ``kind`` is title, issue, priority, status, created, updated, step, tests, files, places, pull, or the kind of an
    assertion; ``step`` the step that it is about; ``line`` the line in the newer version; ``number`` what it counts or
    refers to; ``path`` the file that it counts in.
    """

    kind: str
    words: str
    line: int
    step: int | None = None
    number: int | None = None
    path: str = ""


def statements(before: Tracker | None, after: Tracker) -> tuple[Statement, ...]:
    """What ``after`` claims that ``before`` (None: there was no version before) didn't."""
    known = set(_keys(before)) if before is not None else set()
    return tuple(statement for key, statement in _keys(after).items() if key not in known)


def _keys(tracker: Tracker) -> dict[tuple[object, ...], Statement]:
    """A document's statements by what they say, without the line: moving a paragraph states nothing new."""
    found: dict[tuple[object, ...], Statement] = {}
    texts = {"title": tracker.title, "priority": tracker.priority_text, "status": tracker.status}
    for kind, text in texts.items():
        if text is not None:
            found[kind, text.words] = Statement(kind, text.words, text.line)
    if tracker.issue is not None:
        found["issue", tracker.issue.number] = Statement(
            "issue", f"#{tracker.issue.number}", tracker.issue.line, number=tracker.issue.number
        )
    for kind, dated in (("created", tracker.created), ("updated", tracker.updated)):
        if dated is not None:
            found[kind, dated[0]] = Statement(kind, dated[0].isoformat(), dated[1])
    for step, mention in tracker.steps.items():
        words = mention.state.name.lower()
        found["step", step, mention.state] = Statement("step", words, mention.line, step)
    for count in tracker.counts:
        kind = "tests" if count.unit == "tests" else "places" if count.unit == "places" else "files"
        statement = Statement(kind, count.words, count.line, count.step, count.number, count.path)
        found.setdefault((kind, count.unit, count.number, count.step, count.path), statement)
    for assertion in tracker.assertions:
        statement = Statement(assertion.kind, assertion.words, assertion.line, assertion.step)
        found.setdefault((assertion.kind, assertion.words.lower(), assertion.step), statement)
    for pull in tracker.pulls:
        found["pull", pull.number] = Statement("pull", f"#{pull.number}", pull.line, number=pull.number)
    return found
