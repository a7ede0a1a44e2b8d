"""Audits: all of them, one of them, and what can be done to one."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from django.core.paginator import Paginator
from django.db.models import Count
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_GET
from django_htmx.http import HttpResponseClientRedirect

from audits import access, recording, reports
from audits.models import Audit, Covers, Lifespan, State
from audits.views.choices import Choices, among
from audits.views.figures import HARMLESS, audit_rows, found_by_rule, merged
from audits.views.pages import HtmxHttpRequest, render_page
from audits.views.violation_filter import ViolationFilter

AUDITS_PER_PAGE = 30
PROBLEMS_PER_PAGE = 50
SHOWN_CHANGES = 8
SHOWN_NEW = 100
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
# Where the result of an audit is shown that has no page of its own.
RESULTS = {Covers.HISTORY: "audits:history", Covers.DUPLICATES: "audits:duplicate-list"}
WHOLE_AUDIT = "audit"  # the phase that is the sum of the engine's phases, which are listed


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditChoices(Choices):
    BESIDE = frozenset({"repository"})

    repository: str = ""
    state: str = among(State.values)


@require_GET
def audit_list(request: HtmxHttpRequest) -> HttpResponse:
    chosen = AuditChoices.from_query(request.GET)
    audits = access.visible(
        request.user, Audit.objects.select_related("repository", "requested_by", "same_as")
    )
    repository = access.get_repository(request, chosen.repository) if chosen.repository else None
    if repository is not None:
        audits = audits.filter(repository=repository)
    if chosen.state:
        audits = audits.filter(state=chosen.state)
    page = Paginator(audits, AUDITS_PER_PAGE).get_page(chosen.page)
    context = {
        "repository": repository,
        "chosen": chosen,
        "states": chosen.options("state", [("", "All"), *State.choices]),
        "page": page,
        "rows": audit_rows(page.object_list),
        "this_query": chosen.query(page=str(page.number)),
        **chosen.turns(page.number),
        "anything_in_flight": any(audit.in_flight for audit in page),
    }
    return render_page(request, "audits/audit_list.html", context, partials=("audit-results",))


@dataclass(frozen=True, slots=True)
class Phase:
    """Part of an audit's time; ``share`` is percent of the longest phase."""

    name: str
    seconds: float
    share: int


@dataclass(frozen=True, slots=True)
class Change:
    """How many violations of a subject an audit's commit introduced or ended."""

    subject: str
    count: int
    query: str


@require_GET
def audit_detail(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    rows = Audit.objects.select_related("repository", "same_as", "requested_by", "policy_version__repository")
    audit = access.get_of_visible(request, rows, pk=pk)
    if audit.state == State.SUCCEEDED and audit.covers in RESULTS:
        page = reverse(RESULTS[Covers(audit.covers)], args=[audit.repository.slug])
        # A panel that polls would follow a redirection and put the whole page into itself.
        return HttpResponseClientRedirect(page) if request.htmx else redirect(page)
    context: dict[str, Any] = {"audit": audit, "repository": audit.repository}
    if audit.state == State.SUCCEEDED:
        context |= _result(audit, request.GET.get("page"))
        against = request.GET.get("against", "")
        if not against and not (context["is_first"] or context["introduced"] or context["gone"]):
            # No lifespan begins or ends here. Unless nothing was changed, the commit is on a branch of its own.
            against = "" if recording.is_on_branch(audit) else audit.audited_parents[0]
        if against:
            context |= _beside(audit, against)
    response = render_page(request, "audits/audit_detail.html", context, partials=("audit-panel",))
    if request.htmx.target == "audit-panel" and not audit.in_flight:
        # It has ended: now the page has a result to show.
        response.headers["HX-Refresh"] = "true"
    return response


def _result(audit: Audit, page_number: str | None) -> dict[str, Any]:
    result = audit.result
    rules = found_by_rule(result.counts)
    introduced = _changes("introduced_in", audit)
    gone = _changes("gone_in", audit)
    kinds = list(result.problems.values_list("kind").annotate(count=Count("pk")).order_by("-count", "kind"))
    page = Paginator(result.problems.all(), PROBLEMS_PER_PAGE).get_page(page_number)
    return {
        "result": result,
        "rules": rules,
        "total": merged(row.tally for row in rules),
        "unparsed": result.files_read - result.files_parsed,
        "is_first": not audit.audited_parents,
        "introduced": introduced[:SHOWN_CHANGES] if audit.audited_parents else [],
        "introduced_count": sum(change.count for change in introduced),
        "gone": gone[:SHOWN_CHANGES],
        "gone_count": sum(change.count for change in gone),
        "more_changes": max(len(introduced), len(gone)) > SHOWN_CHANGES,
        "shown_changes": SHOWN_CHANGES,
        "violations_url": reverse("audits:violation-list", args=[audit.repository.slug]),
        "phases": _phases(result.timings),
        "problem_kinds": kinds,
        "unseen": sum(count for kind, count in kinds if kind not in HARMLESS),
        "page": page,
        "previous_query": f"?page={page.number - 1}#problems",
        "next_query": f"?page={page.number + 1}#problems",
    }


def _beside(audit: Audit, against: str) -> dict[str, Any]:
    """What a build of this commit is judged by: what it has that another audited commit, or the branch, has not."""
    if against != "branch" and not _COMMIT.fullmatch(against):
        return {"beside_refused": "A commit is named by its full id."}
    try:
        verdict = reports.verdict(audit, reports.base_of(audit, against.removeprefix("branch")))
    except reports.NoReportError as error:
        return {"beside_refused": str(error)}
    return {"beside": verdict, "new": verdict.first_new(SHOWN_NEW), "shown_new": SHOWN_NEW}


def _changes(end: Literal["introduced_in", "gone_in"], audit: Audit) -> list[Change]:
    """What began or ended at the audit's commit, the most places first. One query.

    By commit, because lifespans name the newest audit of a commit, which may be another one than this.
    """
    rows = (
        Lifespan.objects.filter(
            **{f"{end}__repository": audit.repository, f"{end}__commit_sha": audit.commit_sha}
        )
        .order_by()
        .values_list("violation__rule", "violation__subject")
        .annotate(count=Count("pk"))
        .order_by("-count", "violation__rule", "violation__subject")
    )
    return [
        Change(
            subject, count, ViolationFilter(state="all", rules=(rule,), subject=subject, flat=True).query()
        )
        for rule, subject, count in rows
    ]


def _phases(timings: Mapping[str, float]) -> list[Phase]:
    parts = {name: seconds for name, seconds in timings.items() if name != WHOLE_AUDIT}
    longest = max(parts.values(), default=0) or 1
    slowest_first = sorted(parts.items(), key=lambda item: -item[1])
    return [Phase(name, seconds, round(100 * seconds / longest)) for name, seconds in slowest_first]
