"""The words of an audit as people read them: subjects, commits, severities, annotations, kinds of problems."""

import re
from datetime import UTC, datetime, timedelta
from typing import TypedDict

from django import template
from django.urls import reverse
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe

from audits import documents, pace
from audits.engine.findings import Annotation, ProblemKind, Severity, Zone
from audits.engine.rules import RULES
from audits.models import Audit, Claim, NoticeEvent
from audits.trackers import STEPS

register = template.Library()

_MARK = re.compile(r"\{(commit|time):([0-9a-fA-FTZ:+.-]{7,64})\}")

SEVERITIES: dict[str, str] = {
    Severity.P0: "Production code that breaks as soon as it is imported.",
    Severity.P1: "Production code that breaks when this line runs.",
    Severity.P2: "Production code that may break, or a test or script that does.",
    Severity.P3: "Can wait: a test or script that only may break, or archived code.",
}
ZONES: dict[str, str] = {
    Zone.PROD: "Production",
    Zone.TEST: "Tests",
    Zone.SCRIPT: "Scripts",
    Zone.ARCHIVE: "Archive",
}
ANNOTATIONS: dict[str, tuple[str, str]] = {
    Annotation.GUARDED: (
        "Guarded",
        "Stands inside a try/except or a check that may catch the failure: it may be on purpose. Lowers the severity.",
    ),
    Annotation.IMPORT_TIME: (
        "At import",
        "Runs while the module is imported: everything that imports this module fails with it.",
    ),
    Annotation.TYPE_CHECKING_ONLY: (
        "Type checking only",
        "Stands under TYPE_CHECKING: only type checkers see it, it never runs. It lowers the severity.",
    ),
    Annotation.POSSIBLE: (
        "Possible",
        "The name may stand for one of several definitions and only some of them lack it. It lowers the severity.",
    ),
}
PROBLEMS: dict[str, tuple[str, str]] = {
    ProblemKind.MISSING_BLOB: (
        "Content is absent",
        "The repository's copy lacks this file's content. Fetch it completely.",
    ),
    ProblemKind.MISSING_OTHER_BLOB: (
        "Other content is absent",
        "The repository's copy lacks content that is not Python source; nothing was to be found there.",
    ),
    ProblemKind.TOO_LARGE: ("Too large", "The file is over the size limit, so it was not read."),
    ProblemKind.TOO_COMPLEX: ("Too complex", "Parsing took too much time, memory or depth and was stopped."),
    ProblemKind.NEWER_SYNTAX: ("Newer syntax", "Written for a newer Python than the one that audits."),
    ProblemKind.NOT_TEXT: ("Not text", "The bytes are not text in the encoding that the file declares."),
    ProblemKind.UNSAFE_PATH: (
        "Unsafe for a clone",
        "What git’s own check (fsck) refuses: it could lead whoever clones it astray. Here it does nothing.",
    ),
    ProblemKind.LINK: ("Link", "A symbolic link or submodule; what it points to is not part of this commit."),
    ProblemKind.NO_REGISTRY: (
        "No registry",
        "The policy names an enum of ID types, but there was no registry to compare it with.",
    ),
    ProblemKind.RULE_FAILED: (
        "A rule failed",
        "A rule stopped with an error; its findings are missing from this audit.",
    ),
}


class SubjectParts(TypedDict):
    where: str
    name: str


@register.filter
def subject_parts(subject: str) -> SubjectParts:
    """Split ``app.core.ids.IDType.RUN`` into where it is (``app.core.ids``) and its name (``IDType.RUN``)."""
    if "/" in subject or " " in subject:
        return {"where": "", "name": subject}
    parts = subject.split(".")
    keep = 2 if len(parts) > 1 and parts[-2][:1].isupper() else 1
    return {"where": ".".join(parts[:-keep]), "name": ".".join(parts[-keep:])}


@register.filter
def short_sha(sha: str) -> str:
    """The first nine digits of a commit's id."""
    return sha[:9]


@register.filter
def severity_words(severity: str) -> str:
    return SEVERITIES.get(severity, "")


@register.filter
def zone_words(zone: str) -> str:
    return ZONES.get(zone, zone)


@register.filter
def annotation_name(annotation: str) -> str:
    return ANNOTATIONS.get(annotation, (annotation, ""))[0]


@register.filter
def annotation_words(annotation: str) -> str:
    return ANNOTATIONS.get(annotation, ("", ""))[1]


@register.filter
def problem_name(kind: str) -> str:
    return PROBLEMS.get(kind, (kind, ""))[0]


@register.filter
def problem_words(kind: str) -> str:
    return PROBLEMS.get(kind, ("", ""))[1]


@register.filter
def rule_summary(rule: str) -> str:
    """One line about a rule, from the rule itself; empty for a rule that this version no longer has."""
    return RULES[rule].summary if rule in RULES else ""


@register.filter
def rule_description(rule: str) -> str:
    return RULES[rule].description if rule in RULES else ""


@register.filter
def took(audit: Audit) -> float | None:
    """Seconds from start to end, None while it has not ended."""
    if audit.started_at is None or audit.finished_at is None:
        return None
    return (audit.finished_at - audit.started_at).total_seconds()


@register.simple_tag
def evidence(text: str, slug: str) -> SafeString:
    """A text of evidence with its marks as links to commits and as times in the reader's zone."""
    parts = []
    position = 0
    for match in _MARK.finditer(text):
        parts.append(escape(text[position : match.start()]))
        parts.append(_commit_link(match[2], slug) if match[1] == "commit" else _time(match[2]))
        position = match.end()
    parts.append(escape(text[position:]))
    return mark_safe("".join(parts))  # noqa: S308 (every part is escaped)


@register.filter
def plain_evidence(text: str) -> str:
    """A text of evidence where no link may stand: short ids of commits, times in UTC."""
    return documents.plain(text)


def _commit_link(sha: str, slug: str) -> SafeString:
    return format_html(
        '<a href="{}"><code>{}</code></a>', reverse("audits:commit-detail", args=[slug, sha]), sha[:9]
    )


def _time(text: str) -> SafeString:
    try:
        utc = datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return escape(text)
    # As the tag ``when`` of the site writes it, which apps don't know of.
    return format_html(
        '<time datetime="{}" data-local="absolute">{}</time>',
        utc.isoformat(timespec="seconds"),
        utc.strftime("%d %b %Y, %H:%M UTC"),
    )


@register.filter
def step_name(step: int) -> str:
    return STEPS[step] if 0 <= step < len(STEPS) else ""


CLAIMS = {
    "title": "title",
    "issue": "issue",
    "priority": "priority",
    "status": "status",
    "created": "created",
    "updated": "updated",
    "pull": "pull request",
    "reason": "fails with",
    "resolved": "says",
    "stable": "says",
}


@register.filter
def claim_words(claim: Claim) -> str:
    """A claim in words: ``status: DISCOVERED``, ``26 test methods``."""
    if claim.kind == "step":
        return f"step {claim.step} {claim.words}"
    label = CLAIMS.get(claim.kind, "")
    words = f"{label}: {claim.words}" if label else claim.words
    return f"{words} in {claim.path}" if claim.path else words


@register.simple_tag
def comparison_query(key: str) -> str:
    """The query of the page that compares two runs, from a link's ``before:after``."""
    before, _, after = key.partition(":")
    return f"before={before}&after={after}"


@register.filter
def spoken(span: timedelta | None) -> str:
    """A span of time as people say it; empty for none."""
    return pace.spoken(span) if span is not None else ""


@register.filter
def notice_words(event: str) -> str:
    """What a channel is told of, in words that stand within a list."""
    words = str(NoticeEvent(event).label)
    return words[:1].lower() + words[1:]
