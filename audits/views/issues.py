"""Remediation issues: the board and the list, and what of them is shown."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpResponse
from django.views.decorators.http import require_GET

from audits import access
from audits.models import Issue, Repository
from audits.models.issue import STATES
from audits.trackers import STEPS
from audits.verdicts import State
from audits.views.choices import Choices, among, parameter
from audits.views.pages import HtmxHttpRequest, render_page

ISSUES_PER_PAGE = 50
SORTS = {
    "": ("priority", "-contradictions", "pk"),
    "newest": ("-pk",),
    "open": ("-open_places", "pk"),
    "due": ("due_on", "pk"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueChoices(Choices):
    BESIDE = frozenset({"repository", "sort", "view"})

    repository: str = ""
    state: str = among({str(state) for state in State})
    priority: str = among({"0", "1", "2", "3"})
    owner: str = ""
    contradicted: str = ""
    words: str = parameter("q")
    sort: str = among(SORTS)
    view: str = among({"list"})

    def apply(self, issues: QuerySet[Issue]) -> QuerySet[Issue]:
        if self.repository:
            issues = issues.filter(repository__slug=self.repository)
        if self.state:
            issues = issues.filter(state=self.state)
        if self.priority:
            issues = issues.filter(priority=int(self.priority))
        if self.owner == "none":
            issues = issues.filter(owner=None)
        elif self.owner:
            issues = issues.filter(owner__username=self.owner)
        if self.contradicted:
            issues = issues.filter(contradictions__gt=0)
        if self.words:
            wanted = Q(title__icontains=self.words) | Q(subjects__subject__icontains=self.words)
            number = self.words.removeprefix("#")
            if number.isdecimal() and len(number) < 10:
                wanted |= Q(references__number=int(number))
            issues = issues.filter(wanted).distinct()
        return issues


@dataclass(frozen=True, slots=True)
class Column:
    """The issues that stand at a step; ``step`` 7 is behind the last."""

    step: int
    name: str
    issues: list[Issue]


@require_GET
def issue_list(request: HtmxHttpRequest) -> HttpResponse:
    chosen = IssueChoices.from_query(request.GET)
    repository = access.get_repository(request, chosen.repository) if chosen.repository else None
    issues = chosen.apply(access.visible(request.user, Issue.objects.select_related("repository", "owner")))
    is_board = not chosen.view
    page = Paginator(issues.order_by(*SORTS[chosen.sort]), 400 if is_board else ISSUES_PER_PAGE).get_page(
        chosen.page
    )
    context = {
        "repository": repository,
        "chosen": chosen,
        "page": page,
        "columns": _columns(page.object_list) if is_board else [],
        "states": chosen.options("state", [("", "All"), *STATES]),
        "priorities": chosen.options("priority", [("", "Any"), *((str(n), f"P{n}") for n in range(4))]),
        "owners": chosen.options("owner", _owners(request, repository)),
        "sorts": chosen.options(
            "sort", [("", "Priority"), ("newest", "Newest"), ("open", "Most places"), ("due", "Due first")]
        ),
        "contradicted_query": chosen.query(contradicted="" if chosen.contradicted else "1"),
        "board_query": chosen.query(view=""),
        "list_query": chosen.query(view="list"),
        **chosen.turns(page.number),
    }
    return render_page(request, "audits/issue_list.html", context, partials=("issue-results",))


def _owners(request: HtmxHttpRequest, repository: Repository | None) -> list[tuple[str, str]]:
    issues = access.visible(request.user, Issue.objects.exclude(owner=None))
    if repository is not None:
        issues = issues.filter(repository=repository)
    names = issues.order_by("owner__username").values_list("owner__username", flat=True).distinct()[:20]
    return [("", "Anybody"), ("none", "Nobody"), *((name, name) for name in names)] if names else []


def _columns(issues: Iterable[Issue]) -> list[Column]:
    columns = [Column(step, name, []) for step, name in enumerate((*STEPS, "verified"))]
    for issue in issues:
        columns[issue.stands_at].issues.append(issue)
    return columns
