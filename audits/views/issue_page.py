"""One issue: its steps, its timeline, how its places burn down, and the same as a document to take along."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.http import HttpResponse, JsonResponse
from django.views.decorators.http import require_GET

from audits import access, burndown, documents, remediation, timeline
from audits.forms import NoteForm
from audits.models import Issue, Judgement
from audits.timeline import Happening
from audits.trackers import STEPS
from audits.verdicts import Verdict
from audits.views.choices import Option
from audits.views.pages import HtmxHttpRequest, render_page
from audits.views.trend import Moment, draw


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


def _filters(show: str, happenings: Sequence[Happening]) -> list[Option]:
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
        found.append(Option(value=value, label=label, active=value == show, query=query, count=count))
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
