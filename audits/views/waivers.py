"""What doesn't count for a while: the waivers of a repository, accepting a violation, taking that back."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from audits import access, remediation, scoring, tasks, waiving
from audits.forms import AcceptForm
from audits.models import Repository, Violation, Waiver
from audits.views.pages import HtmxHttpRequest, render_page

WAIVERS_PER_PAGE = 50
STATES = {"live": "In force or expired", "wanting": "To act on", "ended": "Ended"}


@dataclass(frozen=True, slots=True)
class WaiverRow:
    """A waiver, the violation that it is about if it is about one, and where the violations of its kind are listed."""

    waiver: Waiver
    violation: Violation | None
    violations_url: str


@require_GET
def waiver_list(request: HtmxHttpRequest, slug: str) -> HttpResponse:
    repository = access.get_repository(request, slug)
    rows = Waiver.objects.filter(repository=repository).select_related("created_by", "ended_by")
    chosen = {
        "live": rows.live().order_by("expires_on", "pk"),
        "wanting": rows.wanting().order_by("expires_on", "pk"),
        "ended": rows.exclude(ended_at=None).order_by("-ended_at", "-pk"),
    }
    state = request.GET.get("state", "live")
    state = state if state in STATES else "live"
    counts = {value: listed.count() for value, listed in chosen.items()}
    page = Paginator(chosen[state], WAIVERS_PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "repository": repository,
        "state": state,
        "states": [
            (
                value,
                label,
                counts[value],
                "?" + urlencode({"state": value} if value != "live" else {}),
            )
            for value, label in STATES.items()
        ],
        "wanting": counts["wanting"],
        "page": page,
        "rows": waiver_rows(repository, page.object_list),
        "previous_query": "?" + urlencode({"state": state, "page": page.number - 1}),
        "next_query": "?" + urlencode({"state": state, "page": page.number + 1}),
    }
    return render_page(request, "audits/waiver_list.html", context)


def waiver_rows(repository: Repository, waivers: Iterable[Waiver]) -> list[WaiverRow]:
    """The waivers in their order, with the violations that they are about. One query."""
    listed = list(waivers)
    wanted = [waiver.fingerprint for waiver in listed if waiver.fingerprint]
    known = {
        row.fingerprint: row
        for row in Violation.objects.filter(repository=repository, fingerprint__in=wanted)
    }
    base = reverse("audits:violation-list", args=[repository.slug])
    return [
        WaiverRow(waiver, known.get(waiver.fingerprint), f"{base}?{urlencode(_query(waiver))}")
        for waiver in listed
    ]


def _query(waiver: Waiver) -> dict[str, str]:
    query = {"state": "all", "rule": waiver.rule}
    return query | {"subject": waiver.subject, "view": "places"} if waiver.subject else query


@require_http_methods(["GET", "POST"])
def violation_accept(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Accept an open violation, or all of its subject, until a day: ask (GET), do it (POST). 422 for bad input."""
    rows = Violation.objects.select_related("repository")
    violation = access.get_of_visible(request, rows, "audits.add_waiver", pk=pk)
    form = AcceptForm(request.POST or None)
    if request.method == "POST" and not violation.is_open:
        messages.info(request, "This violation is gone: there is nothing to accept.")
        return redirect(violation)
    if request.method == "POST" and form.is_valid():
        waiver = waiving.accept(
            violation,
            kind=form.cleaned_data["kind"],
            reason=form.cleaned_data["reason"],
            expires_on=form.cleaned_data["expires_on"],
            whole_subject=form.cleaned_data["covers"] == "subject",
            user=request.user,
        )
        _judge_anew(violation.repository_id)
        messages.success(request, f"Accepted until {waiver.expires_on.isoformat()}.")
        return redirect(violation)
    context: dict[str, Any] = {
        "violation": violation,
        "repository": violation.repository,
        "form": form,
        "places": violation.repository.violations.filter(
            Q(rule=violation.rule, subject=violation.subject), is_open=True
        ).count(),
    }
    return render(request, "audits/violation_accept.html", context, status=422 if form.errors else 200)


@require_POST
def waiver_end(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Take an acceptance back. One of the policy ends where the policy is edited."""
    rows = Waiver.objects.select_related("repository")
    waiver = access.get_of_visible(request, rows, "audits.change_waiver", pk=pk)
    try:
        if waiving.end(waiver, request.user):
            _judge_anew(waiver.repository_id)
            messages.success(request, "Taken back: it counts again.")
    except waiving.NotYoursError:
        messages.error(request, "This waiver stands in the policy. Take it out there.")
    return redirect("audits:violation-waivers", waiver.repository.slug)


def _judge_anew(repository_id: int) -> None:
    scoring.renew(repository_id)
    remediation.arrived(repository_id)
    tasks.keep_up_after_commit(repository_id)
