"""Possible duplicates of a repository: what was found, one group of it, and the search itself."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.views.decorators.http import require_GET

from audits import access, discoveries, fetching
from audits.engine.duplicates import Definition, Group, Relation, declaration, zone_counts
from audits.engine.findings import Zone
from audits.engine.git import GitError, GitRepository
from audits.models import Covers, DuplicateReport, Repository
from audits.views.choices import Choices, Facet, among, parameter
from audits.views.pages import HtmxHttpRequest, render_page

GROUPS_PER_PAGE = 30
SHOWN_DEFINITIONS = 60
SHOWN_LINES = 200
MAX_LINE = 300
RELATIONS = {
    Relation.IDENTICAL: ("Identical", "Their bodies are the same in everything that counts."),
    Relation.SIMILAR: ("Similar", "Their bodies share at least three quarters, by estimate."),
    Relation.SAME_NAME: ("Same name", "They share a name; their bodies differ."),
}
KINDS = {"class": "Classes", "function": "Functions", "method": "Methods and inner ones"}


# --- What was found ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicateChoices(Choices):
    """Which groups are shown: by relation, kind, a zone that all but one of their definitions may be outside of, and
    words of a name or path."""

    relation: str = among({*Relation})
    kind: str = among(KINDS)
    zone: str = among({*Zone})
    words: str = parameter("q")

    def takes(self, group: Group) -> bool:
        return (
            (not self.relation or group.relation == self.relation)
            and (not self.kind or kind_of(group) == self.kind)
            and (not self.zone or sum(d.zone == self.zone for d in group.definitions) > 1)
            and all(any(w in f"{d.path} {d.name}".casefold() for d in group.definitions) for w in self._parts)
        )

    @property
    def _parts(self) -> list[str]:
        return self.words.casefold().split()


def kind_of(group: Group) -> str:
    return "method" if group.nested else group.kind


@dataclass(frozen=True, slots=True)
class Row:
    """A group in the list; ``places`` are all its definitions, of which it may hold the first only."""

    key: str
    places: int
    group: Group
    relation: str
    relation_words: str
    kind: str
    names: str
    files: list[Definition]
    zones: dict[Zone, int]


@require_GET
def duplicate_list(request: HtmxHttpRequest, slug: str) -> HttpResponse:
    repository = access.get_repository(request, slug)
    report = _report(repository)
    chosen = DuplicateChoices.from_query(request.GET)
    groups = discoveries.groups_of(report) if report is not None else []
    rows = [_row(key, places, group) for key, places, group in groups if chosen.takes(group)]
    page = Paginator(rows, GROUPS_PER_PAGE).get_page(chosen.page)
    context = {
        "repository": repository,
        "report": report,
        "audit_in_flight": repository.audits.filter(state__in=("queued", "running")).first(),
        "last_failure": _last_failure(repository, report),
        "chosen": chosen,
        "facets": _facets(chosen),
        "page": page,
        **chosen.turns(page.number),
    }
    return render_page(request, "audits/duplicate_list.html", context)


def _report(repository: Repository) -> DuplicateReport | None:
    return DuplicateReport.objects.select_related("audit").filter(repository=repository).first()


def _last_failure(repository: Repository, report: DuplicateReport | None) -> Any:
    """The newest search, if it failed."""
    newest = repository.audits.filter(covers=Covers.DUPLICATES).order_by("-pk").first()
    return newest if newest is not None and newest.state == "failed" else None


def _facets(chosen: DuplicateChoices) -> list[Facet]:
    relations = [
        replace(option, title=RELATIONS[Relation(option.value)][1] if option.value else "")
        for option in chosen.options(
            "relation", [("", "All"), *((k, label) for k, (label, _) in RELATIONS.items())]
        )
    ]
    zones = [("", "All"), *((str(zone), str(zone).capitalize()) for zone in Zone)]
    return [
        Facet("relation", "Relation", tuple(relations)),
        Facet("kind", "Kind", tuple(chosen.options("kind", [("", "All"), *KINDS.items()]))),
        Facet("zone", "Within zone", tuple(chosen.options("zone", zones))),
    ]


def _row(key: str, places: int, group: Group) -> Row:
    label, words = RELATIONS[group.relation]
    names = group.names
    return Row(
        key=key,
        places=places,
        group=group,
        relation=label,
        relation_words=words,
        kind=kind_of(group),
        names=", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else ""),
        files=list(group.definitions[:3]),
        zones=zone_counts(group),
    )


# --- One group -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DiffLine:
    """A line of a difference: "+", "-", " " or "@" for where it stands, and the text."""

    sign: str
    text: str


@dataclass(frozen=True, slots=True)
class Place:
    """A definition of a group, with the addresses that make it the owner or compare it with the owner."""

    number: int
    definition: Definition
    percent: int | None
    is_owner: bool
    is_compared: bool
    owner_query: str
    compare_query: str


@require_GET
def group(request: HtmxHttpRequest, slug: str, key: str) -> HttpResponse:
    """One group: its definitions, what differs between two of them, and the entry that declares one the owner."""
    repository = access.get_repository(request, slug)
    report = _report(repository)
    found = {k: (places, g) for k, places, g in (discoveries.groups_of(report) if report else [])}
    if report is None or key not in found:
        raise Http404("The newest report of possible duplicates has no such group.")
    places, chosen = found[key]
    owner = _number(request.GET.get("owner"), len(chosen.definitions), 0)
    other = _number(request.GET.get("with"), len(chosen.definitions), 0 if owner else 1)
    lines, why = _difference(report, chosen.definitions[owner], chosen.definitions[other])
    context = {
        "repository": repository,
        "report": report,
        "row": _row(key, places, chosen),
        "places": [
            _place(number, definition, owner, other)
            for number, definition in enumerate(chosen.definitions[:SHOWN_DEFINITIONS])
        ],
        "hidden": places - min(len(chosen.definitions), SHOWN_DEFINITIONS),
        "owner": chosen.definitions[owner],
        "other": chosen.definitions[other],
        "entry": declaration(chosen, owner),
        "rule": "unique-definition" if len(chosen.names) == 1 else "name-family",
        "lines": lines,
        "why_no_lines": why,
    }
    return render_page(request, "audits/duplicate_group.html", context)


def _number(text: str | None, end: int, otherwise: int) -> int:
    """The number of a definition that an address names."""
    number = int(text) if text and text.isascii() and text.isdigit() and len(text) < 5 else otherwise
    return number if number < end else otherwise


def _place(number: int, definition: Definition, owner: int, other: int) -> Place:
    likeness = definition.likeness
    return Place(
        number=number,
        definition=definition,
        percent=None if likeness is None else round(100 * likeness),
        is_owner=number == owner,
        is_compared=number == other,
        owner_query="?" + urlencode({"owner": number, "with": owner if number == other else other}),
        compare_query="?" + urlencode({"owner": owner, "with": number}),
    )


def _difference(
    report: DuplicateReport, one: Definition, other: Definition
) -> tuple[Sequence[DiffLine], str]:
    """What differs between the texts of two definitions; none, and why."""
    try:
        git = GitRepository(fetching.path_of(report.repository))
    except GitError as error:
        return [], f"The code can't be shown: {error}."
    before, after = (_lines(git, report.audit.commit_sha, d) for d in (one, other))
    if not before or not after:
        return [], "The code can't be shown: the repository no longer has it."
    if before == after:
        return [
            DiffLine(" ", line[:MAX_LINE]) for line in before[:SHOWN_LINES]
        ], "The two texts are the same."
    lines = list(difflib.unified_diff(before, after, lineterm="", n=SHOWN_LINES))[3:]
    why = f"The first {SHOWN_LINES} lines are shown." if len(lines) > SHOWN_LINES else ""
    return [DiffLine(line[:1], line[1:][:MAX_LINE]) for line in lines[:SHOWN_LINES]], why


def _lines(git: GitRepository, commit: str, definition: Definition) -> list[str]:
    data = git.read(commit, definition.path) or b""
    lines = data.decode("utf-8", "replace").replace("\r\n", "\n").split("\n")
    return lines[definition.line - 1 : definition.end_line][: 2 * SHOWN_LINES]
