"""Remediation issues: the board, one issue with its timeline, and what people can do to it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from audits import access, burndown, documents, remediation, tasks, timeline
from audits.forms import IssueForm, NoteForm
from audits.models import Issue, IssueNote, IssueReference, Judgement, Repository, Tracker, Violation
from audits.models.issue import STATES
from audits.remediation import Proposal, Subject
from audits.timeline import Happening
from audits.trackers import STEPS
from audits.verdicts import State, Verdict
from audits.views.choices import Choices, Option, among, parameter
from audits.views.pages import HtmxHttpRequest, render_page, wanted_text
from audits.views.trend import Moment, draw

ISSUES_PER_PAGE = 50
_MAX_SUBJECTS = 200
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


# --- Making one ---------------------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
def issue_new(request: HtmxHttpRequest, slug: str) -> HttpResponse:
    """A new issue: about a subject (``rule`` and ``subject``), from a ``tracker``, or from nothing."""
    repository = access.get_repository(request, slug, "audits.add_issue")
    values = request.POST if request.method == "POST" else request.GET
    tracker = _tracker(repository, values.get("tracker"))
    proposal = _proposal(repository, tracker, values)
    if request.method == "POST":
        form = IssueForm(request.POST)
        if form.is_valid():
            issue = _make(request, repository, form, proposal, tracker)
            tasks.keep_up_after_commit(repository.pk)
            return redirect(issue)
    else:
        form = IssueForm(initial=_initial(proposal, tracker))
    context = {
        "repository": repository,
        "form": form,
        "proposal": proposal,
        "tracker": tracker,
        "subjects": _chosen(request, proposal),
        "steps": STEPS,
    }
    status = 422 if request.method == "POST" else 200
    return render(request, "audits/issue_form.html", context, status=status)


def _tracker(repository: Repository, text: str | None) -> Tracker | None:
    if not text or not text.isdecimal() or len(text) > 15:
        return None
    return repository.trackers.filter(pk=int(text)).first()


def _proposal(repository: Repository, tracker: Tracker | None, values: Any) -> Proposal | None:
    if tracker is not None:
        return remediation.propose_from(tracker)
    subject = Subject(wanted_text(values.get("rule"), 40), wanted_text(values.get("subject"), 2_000))
    if not subject.rule or not subject.subject:
        return None
    return remediation.propose(repository, [subject])


def _initial(proposal: Proposal | None, tracker: Tracker | None) -> dict[str, Any]:
    if proposal is None:
        return {"kind": Issue.Kind.CUSTOM, "priority": 2}
    link = proposal.issue_url or (str(proposal.issue_number) if proposal.issue_number is not None else "")
    return {
        "title": proposal.title,
        "kind": proposal.kind,
        "priority": proposal.priority,
        "reference": link and (link if tracker is None else f"#{link}".replace("##", "#")),
    }


def _chosen(request: HtmxHttpRequest, proposal: Proposal | None) -> list[tuple[Subject, str, bool]]:
    """The proposed subjects, what each is called in the form, and whether it is chosen."""
    if proposal is None:
        return []
    posted = request.POST.getlist("covers") if request.method == "POST" else None
    keys = [f"{s.rule} {s.subject}" for s in proposal.subjects]
    return [(s, key, posted is None or key in posted) for s, key in zip(proposal.subjects, keys, strict=True)]


def _make(
    request: HtmxHttpRequest,
    repository: Repository,
    form: IssueForm,
    proposal: Proposal | None,
    tracker: Tracker | None,
) -> Issue:
    data = form.cleaned_data
    subjects = [subject for subject, _, is_chosen in _chosen(request, proposal) if is_chosen]
    number, url = data["reference"]
    return remediation.create(
        repository,
        title=data["title"],
        kind=data["kind"],
        priority=data["priority"],
        subjects=subjects,
        user=request.user,
        owner=data["owner"],
        due_on=data["due_on"],
        issue_number=number,
        issue_url=url,
        tracker=tracker,
    )


@require_http_methods(["GET", "POST"])
def issue_edit(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    rows = Issue.objects.select_related("repository")
    issue = access.get_of_visible(request, rows, "audits.change_issue", pk=pk)
    reference = issue.references.filter(kind=IssueReference.Kind.ISSUE).first()
    if request.method == "POST":
        form = IssueForm(request.POST)
        if form.is_valid():
            remediation.edit(issue, reference=form.cleaned_data.pop("reference"), **form.cleaned_data)
            tasks.keep_up_after_commit(issue.repository_id)
            return redirect(issue)
    else:
        form = IssueForm(
            initial={
                "title": issue.title,
                "kind": issue.kind,
                "priority": issue.priority,
                "owner": issue.owner_id,
                "due_on": issue.due_on,
                "reference": (reference.url or f"#{reference.number}") if reference else "",
            }
        )
    context = {"repository": issue.repository, "issue": issue, "form": form}
    return render(request, "audits/issue_form.html", context, status=422 if request.method == "POST" else 200)


@require_POST
def issue_subjects(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Cover one more subject (``rule`` and ``subject``), or one less (``remove``)."""
    rows = Issue.objects.select_related("repository")
    issue = access.get_of_visible(request, rows, "audits.change_issue", pk=pk)
    removed = request.POST.get("remove", "")
    if removed.isdecimal() and len(removed) < 16:
        remediation.remove_subject(issue, int(removed))
    else:
        subject = wanted_text(request.POST.get("subject"), 2_000)
        found = _find(issue, subject)
        if not found:
            messages.error(
                request, f"No violation of this repository has the subject {subject or '(empty)'}."
            )
            return redirect(issue)
        remediation.add_subjects(issue, found)
    tasks.keep_up_after_commit(issue.repository_id)
    return redirect(issue)


def _find(issue: Issue, text: str) -> list[Subject]:
    """The subjects of the repository that a text names: in full, or by its last parts."""
    if not text:
        return []
    rows = Violation.objects.filter(repository=issue.repository_id).order_by()
    for wanted in (Q(subject=text), Q(subject__endswith=f".{text}")):
        found = rows.filter(wanted).values_list("rule", "subject").distinct()[:_MAX_SUBJECTS]
        if found:
            return [Subject(rule, subject) for rule, subject in found]
    return []


@require_POST
@login_required
def issue_note(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """A comment or a piece of evidence by whoever is signed in; that a step is completed by who may edit."""
    issue = access.get_of_visible(request, Issue.objects.select_related("repository"), pk=pk)
    form = NoteForm(request.POST)
    if not form.is_valid():
        for errors in form.errors.values():
            for error in errors:
                messages.error(request, str(error))
        return redirect(f"{issue.get_absolute_url()}#say")
    data = form.cleaned_data
    if data["kind"] == IssueNote.Kind.CLAIM and not request.user.has_perm(
        "audits.change_issue", issue.repository
    ):
        messages.error(request, "Only those who may edit issues can say that a step is completed.")
        return redirect(f"{issue.get_absolute_url()}#say")
    made = remediation.note(
        issue, request.user, kind=data["kind"], text=data["text"], url=data["url"], step=data["step"]
    )
    tasks.keep_up_after_commit(issue.repository_id)
    return redirect(f"{issue.get_absolute_url()}#n{made.pk}")


@require_POST
def issue_judge(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Look at the evidence again now."""
    rows = Issue.objects.select_related("repository")
    issue = access.get_of_visible(request, rows, "audits.change_issue", pk=pk)
    remediation.mark(Issue.objects.filter(pk=issue.pk))
    tasks.keep_up_after_commit(issue.repository_id)
    return redirect(issue)


# --- The page -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StepCard:
    """A step on top of the page: its verdict, and what led to it."""

    number: int
    name: str
    verdict: str
    items: list[Judgement]

    @property
    def wrong(self) -> int:
        return sum(item.verdict == Verdict.CONTRADICTED for item in self.items)

    @property
    def gist(self) -> Judgement | None:
        """What a reader should know first: what is contradicted, else what is missing, else what is verified."""
        return min(self.items, key=lambda item: _URGENCY[Verdict(item.verdict)], default=None)


_URGENCY = {Verdict.CONTRADICTED: 0, Verdict.CLAIMED: 1, Verdict.UNCLAIMED: 1, Verdict.VERIFIED: 2}


@require_GET
def issue_detail(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    rows = Issue.objects.select_related(
        "repository__history", "repository__current_audit", "owner", "created_by"
    )
    issue = access.get_of_visible(request, rows, pk=pk)
    judgements = list(issue.judgements.all())
    happenings = timeline.timeline(issue, judgements)
    show = request.GET.get("show", "")
    show = show if show in timeline.FILTERS else ""
    shown = [h for h in happenings if not show or show in h.kinds]
    context = {
        "issue": issue,
        "repository": issue.repository,
        "has_history": hasattr(issue.repository, "history"),
        "steps": _step_cards(issue, judgements),
        "header": _header_card(judgements),
        "days": _by_day(shown),
        "shown": len(shown),
        "happenings": len(happenings),
        "filters": _filters(show, happenings),
        "show": show,
        "subjects": issue.subjects.all(),
        "references": issue.references.all(),
        "trackers": issue.trackers.all(),
        "burn_down": _burn_down(issue),
        "open_places": remediation.open_places(issue)[:12],
        "step_names": list(enumerate(STEPS)),
        "note_form": NoteForm(),
        "command": f"python3 manage.py import_tests {issue.repository.slug} REPORT.xml --commit COMMIT",
    }
    response = render_page(request, "audits/issue_detail.html", context, partials=("issue-verdicts",))
    if request.htmx.target == "issue-verdicts" and issue.stale_since is None:
        # It was looked at: the timeline below may have more to show, too.
        response.headers["HX-Refresh"] = "true"
    return response


def _step_cards(issue: Issue, judgements: Sequence[Judgement]) -> list[StepCard]:
    verdicts = [*issue.verdicts, *[str(Verdict.UNCLAIMED)] * len(STEPS)]
    return [
        StepCard(number, name, verdicts[number], [j for j in judgements if j.step == number])
        for number, name in enumerate(STEPS)
    ]


def _header_card(judgements: Sequence[Judgement]) -> StepCard:
    """What the tracker says of itself, as if it were a step."""
    items = [j for j in judgements if j.step is None]
    verdicts = {Verdict(item.verdict) for item in items}
    worst = min(verdicts, key=lambda verdict: _URGENCY[verdict], default=Verdict.UNCLAIMED)
    return StepCard(len(STEPS), "", str(worst), items)


def _filters(show: str, happenings: Sequence[Happening]) -> list[tuple[Option, int]]:
    labels = {
        "": "Everything",
        "contradictions": "Only contradictions",
        "claims": "Claims",
        "commits": "Commits",
        "tests": "Tests",
        "people": "People",
    }
    found = []
    for value, label in labels.items():
        count = sum(not value or value in happening.kinds for happening in happenings)
        query = f"?show={value}#timeline" if value else "?#timeline"
        found.append((Option(value=value, label=label, active=value == show, query=query), count))
    return found


def _by_day(happenings: Sequence[Happening]) -> list[tuple[str, list[Happening]]]:
    """Happenings with a gap of a day and more between groups, so that a page of minutes reads as minutes."""
    groups: list[tuple[str, list[Happening]]] = []
    for happening in happenings:
        if groups and happening.at - groups[-1][1][-1].at < timedelta(days=1):
            groups[-1][1].append(happening)
            continue
        gap = ""
        if groups:
            days = (happening.at - groups[-1][1][-1].at).days
            gap = f"{days} day{'' if days == 1 else 's'} later"
        groups.append((gap, [happening]))
    return groups


def _burn_down(issue: Issue) -> dict[str, Any]:
    """The drawing of what was left after each commit, if it ever changed, and how fast it goes."""
    lefts = burndown.burn_down(issue)
    moments = [Moment(each.commit.time, (each.left,), each.commit.sha, each.commit.subject) for each in lefts]
    return {
        "drawing": draw(moments, by_time=False, marks=60) if len(lefts) > 1 else None,
        "rows": list(reversed(lefts))[:30],
        "count": len(lefts),
        "pace": burndown.pace_of(issue, lefts) if lefts else None,
    }


# --- Taking it along ----------------------------------------------------------------------------------------


@require_GET
def issue_export(request: HtmxHttpRequest, pk: int, form: str) -> HttpResponse:
    """The issue as JSON, as a report in Markdown, or as a tracker document that the site reads back."""
    issue = access.get_of_visible(request, Issue.objects.select_related("repository", "owner"), pk=pk)
    judgements = list(issue.judgements.all())
    happenings = timeline.timeline(issue, judgements)
    base = request.build_absolute_uri("/").rstrip("/")
    if form == "json":
        return JsonResponse(
            documents.as_json(issue, judgements, happenings, base), json_dumps_params={"indent": 1}
        )
    text = (
        documents.as_tracker(issue)
        if form == "tracker"
        else documents.as_report(issue, judgements, happenings, base)
    )
    response = HttpResponse(text, content_type="text/markdown; charset=utf-8")
    name = f"{issue.title if form == 'tracker' else f'issue-{issue.pk}'}.md"
    response.headers["Content-Disposition"] = f'inline; filename="{_file_name(name)}"'
    return response


def _file_name(name: str) -> str:
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in name)[:120]
