"""The fields at the head of a document: its issue, priority, status and dates."""

import re
from collections.abc import Sequence
from datetime import date, datetime

from audits.trackers.claims import Reference, Text
from audits.trackers.structure import Line, without_markup

_FIELD = re.compile(
    r"^\W*(?P<name>(?:github )?issue(?: number| id| url| link)?|tracking issue|priority|severity"
    r"|(?:current |overall |issue )?status|created(?: at| on| date)?|date created|discovered"
    r"|(?:last )?updated(?: at| on)?|date)\W*?\s*[:\uFF1A]\s*(?P<value>.+)$",
    re.IGNORECASE,
)
_ISSUE = re.compile(r"(?P<url>https?://\S+/issues/(?P<n1>\d{1,9}))|(?<![\w/])#(?P<n2>\d{1,9})\b")
_DATE = re.compile(r"\b(\d{4})-(\d{2})-(\d{2})\b")
_LONG_DATE = re.compile(r"\b([A-Z][a-z]+ \d{1,2}, \d{4})\b")


def fields_of(lines: Sequence[Line]) -> dict[str, Text]:
    """The header's fields by kind; of each the first."""
    fields: dict[str, Text] = {}
    for line in lines:
        match = _FIELD.match(without_markup(line.text)) if not line.level or line.level > 1 else None
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


def issue_of(field: Text | None, lines: Sequence[Line]) -> Reference | None:
    """The issue of the header's line; else of the title."""
    places = [field] if field else []
    places += [Text(line.text, line.number) for line in lines if line.level == 1][:1]
    for place in places:
        found = sorted(_ISSUE.finditer(place.words), key=lambda match: not match["url"])
        if found:
            return Reference(int(found[0]["n1"] or found[0]["n2"]), found[0]["url"] or "", place.line)
    return None


def date_of(field: Text | None) -> tuple[date, int] | None:
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
