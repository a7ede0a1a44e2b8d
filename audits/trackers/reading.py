"""The text of a document -> all that it claims."""

import re

from audits.trackers.claims import Text, Tracker
from audits.trackers.details import assertions, counts, files, pulls
from audits.trackers.header import date_of, fields_of, issue_of
from audits.trackers.steps import mentions
from audits.trackers.structure import lines_of, without_markup
from audits.trackers.text import MAX_CHARACTERS, TrackerError

_PRIORITY = re.compile(r"\bP([0-3])\b")


def read(text: str) -> Tracker:
    """The claims of a tracker's text. Raises ``TrackerError`` for a text that is too long."""
    if len(text) > MAX_CHARACTERS:
        raise TrackerError(f"a tracker has at most {MAX_CHARACTERS:,} characters, this one has {len(text):,}")
    lines = list(lines_of(text))
    title = next(
        (Text(without_markup(line.text).strip(), line.number) for line in lines if line.level == 1), None
    )
    fields = fields_of(lines)
    issue = fields.get("issue")
    priority = fields.get("priority")
    found = _PRIORITY.search(priority.words) if priority else None
    return Tracker(
        title=title,
        issue=issue_of(issue, lines),
        priority=int(found[1]) if found else None,
        priority_text=priority,
        status=fields.get("status"),
        created=date_of(fields.get("created")),
        updated=date_of(fields.get("updated")),
        mentions=mentions(lines),
        counts=tuple(counts(lines)),
        files=tuple(files(lines)),
        pulls=tuple(pulls(lines)),
        assertions=tuple(assertions(lines, text)),
    )
