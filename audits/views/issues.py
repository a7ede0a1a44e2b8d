"""Remediation issues: the board and the list, and what of them is shown."""

from dataclasses import dataclass

from django.core.paginator import Paginator
from django.db.models import Count, F, Q, QuerySet, Window
from django.db.models.functions import RowNumber
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
CARDS_PER_COLUMN = 20
COLUMNS = (*STEPS, "verified")
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
    step: str = among({str(step) for step in range(len(COLUMNS))})
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
        if self.step:
            issues = issues.filter(stands_at=int(self.step))
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
            issues = issues.filter(pk__in=Issue.objects.filter(wanted).order_by().values("pk"))
        return issues


@dataclass(frozen=True, slots=True)
class Column:
    """The issues that stand at a step, ``count`` of them; ``step`` 7 is behind the last. ``query`` leads to all."""

    step: int
    name: str
    count: int
    issues: list[Issue]
    query: str

    @property
    def hidden(self) -> int:
        return self.count - len(self.issues)


@require_GET
def issue_list(request: HtmxHttpRequest) -> HttpResponse:
    chosen = IssueChoices.from_query(request.GET)
    repository = access.get_repository(request, chosen.repository) if chosen.repository else None
    issues = chosen.apply(access.visible(request.user, Issue.objects.select_related("repository", "owner")))
    page = Paginator(issues.order_by(*SORTS[chosen.sort]), ISSUES_PER_PAGE).get_page(chosen.page)
    context = {
        "repository": repository,
        "chosen": chosen,
        "page": page,
        "columns": [] if chosen.view else _columns(chosen, issues),
        "step_name": COLUMNS[int(chosen.step)] if chosen.step else "",
        "any_step_query": chosen.query(step=""),
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


def _columns(chosen: IssueChoices, issues: QuerySet[Issue]) -> list[Column]:
    """The board: of each step how many there are, and the first of them. Two queries."""
    columns = [(F(name.removeprefix("-")), name.startswith("-")) for name in SORTS[chosen.sort]]
    order = [column.desc() if descends else column.asc() for column, descends in columns]
    place = Window(RowNumber(), partition_by=F("stands_at"), order_by=order)
    shown: dict[int, list[Issue]] = {}
    for issue in issues.annotate(place=place).filter(place__lte=CARDS_PER_COLUMN).order_by("place"):
        shown.setdefault(issue.stands_at, []).append(issue)
    counts = dict(issues.order_by().values_list("stands_at").annotate(Count("pk")))
    return [
        Column(
            step,
            name,
            counts.get(step, 0),
            shown.get(step, []),
            chosen.query(view="list", step=str(step)),
        )
        for step, name in enumerate(COLUMNS)
    ]
