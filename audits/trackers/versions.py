"""Two versions of a document -> what the later one says anew."""

from dataclasses import dataclass

from audits.trackers.claims import Tracker


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
