"""What a document counts, names and asserts."""

import re
from collections.abc import Iterator, Sequence

from audits.trackers.claims import Assertion, Count, File, Reference
from audits.trackers.steps import in_steps
from audits.trackers.structure import MAX_LINE, Line, without_markup

_WRITE_TESTS = 2
_PULL = re.compile(
    r"(?P<url>https?://\S+/pull/(?P<n1>\d{1,9}))|\b(?:PR|pull request)\s*#(?P<n2>\d{1,9})\b", re.IGNORECASE
)
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


def counts(lines: Sequence[Line]) -> Iterator[Count]:
    for line, step in in_steps(lines):
        named = {match["path"].strip().removeprefix("/") for match in _NAMED_FILE.finditer(line.raw)}
        path = named.pop() if len(named) == 1 else ""
        for match in _COUNT.finditer(without_markup(line.text)):
            number = int(match["number"].replace(",", ""))
            yield Count(number, _unit(match["unit"]), match[0], line.number, step, path)


def _unit(noun: str) -> str:
    noun = noun.lower()
    if "file" in noun:
        return "test files" if "test" in noun else "files"
    return "tests" if "test" in noun else "places"


def files(lines: Sequence[Line]) -> Iterator[File]:
    for line, step in in_steps(lines):
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


def assertions(lines: Sequence[Line], text: str) -> Iterator[Assertion]:
    """What the document asserts; the exceptions that it says tests fail with may stand in code fences, too."""
    step_of = {line.number: step for line, step in in_steps(lines)}
    for line in lines:
        plain = without_markup(line.text)
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


def pulls(lines: Sequence[Line]) -> Iterator[Reference]:
    seen = set()
    for line in lines:
        for match in _PULL.finditer(line.raw):
            number = int(match["n1"] or match["n2"])
            if number not in seen:
                seen.add(number)
                yield Reference(number, match["url"] or "", line.number)
