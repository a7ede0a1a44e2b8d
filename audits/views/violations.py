"""Violations of a repository, grouped by what is wrong, and one of them with the code around it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.db.models import Count, F, Q, QuerySet, Window
from django.db.models.functions import RowNumber
from django.http import HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET

from audits import access, fetching, remediation, waiving
from audits.engine.findings import Zone
from audits.engine.git import GitError, GitRepository
from audits.mainline import reached
from audits.models import Audit, Commit, Covers, Event, Lifespan, Repository, Violation
from audits.models.violation import counting
from audits.remediation import Subject
from audits.views.code import Line, definition, excerpt
from audits.views.figures import Tally, unseen_in
from audits.views.pages import HtmxHttpRequest, render_page
from audits.views.violation_filter import GROUP_SORTS, PLACE_SORTS, ViolationFilter

GROUPS_PER_PAGE = 25
PLACES_PER_PAGE = 50
PLACES_PER_GROUP = 30
OTHER_PLACES = 12

Key = tuple[str, str]  # rule and subject


@dataclass(frozen=True, slots=True)
class SubjectGroup:
    """One row of the list: a subject that a rule objects to, its figures, and its places when they are shown."""

    rule: str
    subject: str
    places: int
    open_places: int
    waived_places: int
    files: int
    tally: Tally
    open_elsewhere: int  # open ones that the choice leaves out; counted when all listed are gone
    is_opened: bool
    toggle_query: str
    places_query: str
    violations: tuple[Violation, ...]

    @property
    def is_gone(self) -> bool:
        return self.open_places == 0 and self.waived_places == 0

    @property
    def hidden(self) -> int:
        return self.places - len(self.violations)


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    label: str
    query: str
    direction: str  # ascending, descending, or empty when the list is not ordered by this column
    is_number: bool = False


@require_GET
def violation_list(request: HtmxHttpRequest, slug: str) -> HttpResponse:
    rows = Repository.objects.select_related("current_audit__same_as")
    repository = access.get_repository(request, slug, rows=rows)
    choice = ViolationFilter.from_query(request.GET)
    violations = repository.violations.all()
    per_page = PLACES_PER_PAGE if choice.flat else GROUPS_PER_PAGE
    found = choice.listed(violations) if choice.flat else choice.grouped(violations)
    page = Paginator(found, per_page).get_page(choice.page)
    facets = choice.facets(violations)
    context = {
        "repository": repository,
        "choice": choice,
        "facets": facets,
        "places": sum(option.count for option in facets[0].options if option.active),
        "unseen": unseen_in(repository.current_audit) if not page.paginator.count else 0,
        "columns": _columns(choice),
        "page": page,
        "groups": []
        if choice.flat
        else _groups(choice, violations, choice.with_files(violations, page.object_list)),
        "previous_query": choice.page_query(page.number - 1) if page.has_previous() else "",
        "next_query": choice.page_query(page.number + 1) if page.has_next() else "",
    }
    response = render_page(request, "audits/violation_list.html", context, partials=("violation-results",))
    if request.htmx and not request.htmx.history_restore_request:
        # The address bar shows the short form of what was chosen, not every empty field of the form.
        response.headers["HX-Push-Url"] = request.path + choice.query().rstrip("?")
    return response


def _columns(choice: ViolationFilter) -> list[Column]:
    labels = {
        "severity": "Severity",
        "subject": "Subject",
        "rule": "Rule",
        "places": "Places",
        "files": "Files",
        "path": "Place",
        "zone": "Zone",
    }
    sorts = PLACE_SORTS if choice.flat else GROUP_SORTS
    current = choice.sort.removeprefix("-") or "severity"
    direction = "descending" if choice.sort.startswith("-") else "ascending"
    return [
        Column(
            name, labels[name], choice.sort_query(name), direction if name == current else "", sorts[name][1]
        )
        for name in sorts
    ]


def _groups(
    choice: ViolationFilter, violations: QuerySet[Violation], rows: list[dict[str, Any]]
) -> list[SubjectGroup]:
    """The rows of a page, those that are opened with their first places. One query when any is opened, and one when
    all listed places of a subject are gone: others, that the choice leaves out, may be open.
    """
    shown: dict[Key, list[Violation]] = {}
    if opened := [key for row in rows if (key := (row["rule"], row["subject"])) in choice.opened]:
        rank = Window(
            RowNumber(),
            partition_by=[F("rule"), F("subject")],
            order_by=[F("severity"), F("path"), F("line"), F("column"), F("pk")],
        )
        places = (
            choice.apply(violations)
            .filter(_any_of(opened))
            .annotate(rank=rank)
            .filter(rank__lte=PLACES_PER_GROUP)
        )
        for violation in places.order_by("rank"):
            shown.setdefault((violation.rule, violation.subject), []).append(violation)
    still_open: dict[Key, int] = {}
    if gone := [(row["rule"], row["subject"]) for row in rows if not row["open_places"]]:
        counts = violations.filter(_any_of(gone), counting()).order_by().values_list("rule", "subject")
        still_open = {(rule, subject): count for rule, subject, count in counts.annotate(Count("pk"))}
    return groups_of(choice, rows, shown, still_open)


def _any_of(keys: list[Key]) -> Q:
    wanted = Q()
    for rule, subject in keys:
        wanted |= Q(rule=rule, subject=subject)
    return wanted


def groups_of(
    choice: ViolationFilter,
    rows: list[dict[str, Any]],
    shown: Mapping[Key, list[Violation]],
    still_open: Mapping[Key, int],
) -> list[SubjectGroup]:
    """Rows of ``ViolationFilter.grouped`` as a template takes them.

    ``shown`` are the places of opened subjects, ``still_open`` the numbers for ``SubjectGroup.open_elsewhere``.
    """
    keys = [(row["rule"], row["subject"]) for row in rows]
    return [
        SubjectGroup(
            rule=key[0],
            subject=key[1],
            places=row["places"],
            open_places=row["open_places"],
            waived_places=row["waived_places"],
            files=row["files"],
            tally=Tally(tuple(row[zone] for zone in Zone), row["worst"]),
            open_elsewhere=still_open.get(key, 0),
            is_opened=key in choice.opened,
            toggle_query=choice.toggle_query(key),
            places_query=choice.places_query(key),
            violations=tuple(shown.get(key, ())),
        )
        for key, row in zip(keys, rows, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class Code:
    """A piece of a file at a commit. Without ``lines``, ``why_not`` says why it can't be shown."""

    path: str
    line: int
    lines: tuple[Line, ...]
    why_not: str = ""


@require_GET
def violation_detail(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    rows = Violation.objects.select_related("repository__current_audit", "latest_audit")
    violation = access.get_of_visible(request, rows, pk=pk)
    same_subject = violation.repository.violations.filter(rule=violation.rule, subject=violation.subject)
    others = same_subject.exclude(pk=pk).order_by("-is_open", "severity", "path", "line")
    events = list(
        Event.objects.filter(violation=violation).select_related("commit").order_by("commit__position", "pk")
    )
    seen_at = _seen_at(violation, events)
    source = _Source(violation.repository, seen_at.sha)
    lifespans = violation.lifespans.select_related("introduced_in", "gone_in").order_by(
        "introduced_in__commit_time"
    )
    context = {
        "violation": violation,
        "repository": violation.repository,
        "issues": remediation.covering(violation.repository, [Subject(violation.rule, violation.subject)]),
        "new_issue_url": _new_issue_url(violation),
        "waivers": waiving.covering(violation) if violation.is_open else [],
        "code": _code(source, violation.path, violation.line),
        "definition": _definition(source, violation),
        "seen_at": seen_at,
        "events": _with_arrival(violation.repository, events),
        "gone_by": events[-1].commit if events and events[-1].kind == Event.Kind.GONE else None,
        "lifespans": lifespans,
        "gone_in": _gone_in(violation, lifespans),
        "others": others[:OTHER_PLACES],
        "others_count": others.count(),
        "others_query": ViolationFilter(
            state="all", rules=(violation.rule,), subject=violation.subject, flat=True
        ).query(),
    }
    return render_page(request, "audits/violation_detail.html", context)


def _with_arrival(repository: Repository, events: list[Event]) -> list[tuple[Event, Commit | None]]:
    """Each event with the commit by which one of a side branch came to the branch's own line; None for those that
    happened there, or never came. Two queries for any number of them, none without side branches."""
    aside = [event.commit for event in events if not event.commit.on_main]
    if not aside:
        return [(event, None) for event in events]
    commits = Commit.objects.filter(
        repository=repository, position__gte=min(commit.position for commit in aside)
    ).order_by("position")
    line = reached(commits.values_list("sha", "parents", "on_main"))
    wanted = {line[commit.sha] for commit in aside if commit.sha in line}
    known = {commit.sha: commit for commit in Commit.objects.filter(repository=repository, sha__in=wanted)}
    return [
        (event, None if event.commit.on_main else known.get(line.get(event.commit.sha, "")))
        for event in events
    ]


def _new_issue_url(violation: Violation) -> str:
    query = urlencode({"rule": violation.rule, "subject": violation.subject})
    return f"{reverse('audits:issue-new', args=[violation.repository.slug])}?{query}"


@dataclass(frozen=True, slots=True)
class SeenAt:
    """The commit whose code is shown."""

    sha: str
    subject: str


def _seen_at(violation: Violation, events: list[Event]) -> SeenAt:
    """Where a violation was seen last; where it was introduced last, when only the history knows of it."""
    began = [event.commit for event in events if event.kind == Event.Kind.INTRODUCED]
    if violation.latest_audit.covers == Covers.HISTORY and began:
        return SeenAt(began[-1].sha, began[-1].subject)
    return SeenAt(violation.latest_audit.commit_sha, violation.latest_audit.commit_subject)


def _gone_in(violation: Violation, lifespans: Iterable[Lifespan]) -> Audit | None:
    """The audit of the newest commit that ended a violation; None for an open one, or when nothing says."""
    ends = [span.gone_in for span in lifespans if span.gone_in is not None]
    return ends[-1] if ends and not violation.is_open else None


class _Source:
    """The files of a repository at a commit, as far as this host can read them."""

    def __init__(self, repository: Repository, commit: str) -> None:
        self._commit = commit
        self._git: GitRepository | None = None
        self.why_not = "This file's content is absent from the repository's copy, or too large to be shown."
        try:
            self._git = GitRepository(fetching.path_of(repository))
        except GitError as error:
            self.why_not = f"The code can't be shown: {error}."

    def read(self, path: str) -> bytes | None:
        return self._git.read(self._commit, path) if self._git else None


def _code(source: _Source, path: str, line: int) -> Code:
    content = source.read(path)
    if content is None:
        return Code(path, line, (), source.why_not)
    return Code(path, line, excerpt(content, line), "The file has fewer lines than this at that commit.")


def _definition(source: _Source, violation: Violation) -> Code | None:
    path, line = violation.definition_path, violation.definition_line
    if not path or line is None:
        return None
    content = source.read(path)
    if content is None:
        return Code(path, line, (), source.why_not)
    return Code(path, line, definition(content, line), "The file has fewer lines than this at that commit.")
