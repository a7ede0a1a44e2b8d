"""Badges: small pictures with a number."""

from dataclasses import dataclass

from django.template.loader import render_to_string

from audits.models import Issue, Repository

BADGES = {"open": "Open violations in production code", "issues": "Contradicted claims"}
# Widths of characters at the size of the picture, in pixels, near enough for the font of any reader.
_CHARACTER = 6.7
_PADDING = 10


@dataclass(frozen=True, slots=True)
class Badge:
    label: str
    value: str
    colour: str


def draw_badge(repository: Repository, what: str) -> str:
    """The picture as SVG."""
    found = _open(repository) if what == "open" else _issues(repository)
    left, right = (round(len(text) * _CHARACTER + _PADDING) for text in (found.label, found.value))
    context = {
        "badge": found,
        "left": left,
        "right": right,
        "width": left + right,
        "label_x": left / 2,
        "value_x": left + right / 2,
    }
    return render_to_string("audits/badge.svg", context)


def _open(repository: Repository) -> Badge:
    """Not audited is never zero."""
    if repository.current_audit is None:
        return Badge("SSOT", "not audited", "#6b7280")
    count = repository.violations.counting().filter(zone="prod").count()
    words = "no violation" if not count else f"{count:,} violation{'' if count == 1 else 's'}"
    return Badge("SSOT", words, "#b3261e" if count else "#17692f")


def _issues(repository: Repository) -> Badge:
    issues = Issue.objects.filter(repository=repository)
    if not issues.exists():
        return Badge("claims", "none", "#6b7280")
    wrong = sum(issues.values_list("contradictions", flat=True))
    return Badge(
        "claims",
        f"{wrong:,} contradicted" if wrong else "none contradicted",
        "#b3261e" if wrong else "#17692f",
    )
