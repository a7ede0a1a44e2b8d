"""What a document says about the seven steps."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from audits.trackers.claims import Mention, StepState
from audits.trackers.structure import Line, without_markup

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


def state_in(text: str) -> StepState | None:
    """What words or emoji say about the state of a step; None when they say nothing."""
    plain = without_markup(text)
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


STEP = re.compile(r"\bstep\s*#?\s*([0-6])\b(?!\s*[-–]\s*\d|-\w)(?P<part>\.\d+)?(?!\d)", re.IGNORECASE)
_LEADING_STEP = re.compile(r"\W*" + STEP.pattern + r"(?!\w)", re.IGNORECASE)
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


def mentions(lines: Sequence[Line]) -> tuple[Mention, ...]:
    """What the document says about steps, in the way of counting that it uses itself."""
    parts: dict[int, tuple[set[str], set[str]]] = {}
    found = []
    for index in range(len(lines)):
        for mention, part in _step_mentions(lines, index):
            found.append(_with_parts(mention, part, *parts.setdefault(mention.step, (set(), set()))))
    found = found or [mention for index in range(len(lines)) for mention in _numbered_mentions(lines, index)]
    return tuple(found or _phase_mentions(lines))


def _with_parts(mention: Mention, part: str, known: set[str], completed: set[str]) -> Mention:
    """The mention of a part (``Step 1.2``) as one of the step: completed with the last of several parts."""
    if not part:
        return mention
    known.add(part)
    if mention.state is StepState.COMPLETED:
        completed.add(part)
    is_whole = len(known) > 1 and len(completed) == len(known)
    state = mention.state if is_whole else min(mention.state, StepState.STARTED)
    return replace(mention, state=state)


def _step_mentions(lines: Sequence[Line], index: int) -> Iterator[tuple[Mention, str]]:
    """What a heading, a checkbox or an item says about steps that it names, with the number of the step's part."""
    line = lines[index]
    plain = without_markup(line.text)
    if line.level:
        if found := list(STEP.finditer(plain)):
            of_all = _state_of_heading(lines, index, plain)
            for named in found:
                yield Mention(int(named[1]), of_all, line.text, line.number), named["part"] or ""
        return
    match = _LEADING_STEP.match(plain)
    if match is None:
        return
    state = _state_of_box(line) if line.box is not None else state_in(plain)
    if state is not None:
        yield Mention(int(match[1]), state, line.text, line.number), match["part"] or ""


def _state_of_heading(lines: Sequence[Line], index: int, plain: str) -> StepState:
    state = state_in(plain)
    if state is not None:
        return state
    # The boxes beneath are the step's own only where the heading begins with it.
    return _state_of_boxes(lines, index) if _LEADING_STEP.match(plain) else StepState.MENTIONED


def _state_of_box(line: Line) -> StepState:
    if line.box:
        return StepState.STARTED if state_in(line.text) is StepState.STARTED else StepState.COMPLETED
    return max(state_in(line.text) or StepState.PENDING, StepState.PENDING)


def _state_of_boxes(lines: Sequence[Line], index: int) -> StepState:
    """The state that the checkboxes beneath a heading give."""
    boxes = []
    for place in range(index + 1, len(lines)):
        line = lines[place]
        if line.level and line.level <= lines[index].level:
            break
        if line.box is not None:
            boxes.append(line.box)
    if not boxes:
        return StepState.MENTIONED
    if all(boxes):
        return StepState.COMPLETED
    return StepState.STARTED if any(boxes) else StepState.PENDING


def _numbered_mentions(lines: Sequence[Line], index: int) -> Iterator[Mention]:
    """``0) Discover`` or a heading ``1. Plan tests``, where the words agree with the number."""
    line = lines[index]
    match = _NUMBERED.match(without_markup(line.text if line.level or line.box is not None else line.raw))
    if match is None or (match["mark"] == "." and not line.level):
        return
    if not _MEANINGS[int(match[1])].search(match["words"]):
        return
    state = _state_of_box(line) if line.box is not None else state_in(match["words"])
    if state is None:
        state = _state_of_boxes(lines, index) if line.level else StepState.MENTIONED
    yield Mention(int(match[1]), state, line.text, line.number)


def _phase_mentions(lines: Sequence[Line]) -> Iterator[Mention]:
    """Phases as steps: only in documents without steps, and only where the words bear the numbers out.

    Some count phases from one. The words of all headings together decide; without a clear answer there are no steps.
    """
    headings = []
    for index, line in enumerate(lines):
        match = _PHASE.match(without_markup(line.text)) if line.level else None
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
        state = state_in(line.text)
        state = _state_of_boxes(lines, index) if state is None else state
        yield Mention(number - offset, state, line.text, line.number)


def in_steps(lines: Sequence[Line]) -> Iterator[tuple[Line, int | None]]:
    """Each line with the step whose section it stands in."""
    step: int | None = None
    level = 0
    for line in lines:
        if line.level:
            match = STEP.search(without_markup(line.text))
            if match:
                step, level = int(match[1]), line.level
            elif line.level <= level:
                step, level = None, 0
        yield line, step
