"""Tracker documents: those of a repository, and one with its versions and what each claims."""

from dataclasses import dataclass

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count, Exists, Max, Min, OuterRef
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from audits import access, remediation, tasks, tracking
from audits.forms import PasteForm
from audits.models import Claim, Issue, Tracker, TrackerVersion
from audits.trackers import TrackerError
from audits.views.pages import HtmxHttpRequest, render_page, wanted_text

TRACKERS_PER_PAGE = 50


@require_GET
def tracker_list(request: HtmxHttpRequest, slug: str) -> HttpResponse:
    repository = access.get_repository(request, slug)
    words = wanted_text(request.GET.get("q"))
    show = request.GET.get("show", "")
    rows = repository.trackers.select_related("issue").annotate(
        version_count=Count("versions"),
        first=Min("versions__time"),
        last=Max("versions__time"),
        names_steps=Exists(Claim.objects.filter(version__tracker=OuterRef("pk"), kind="step")),
    )
    if words:
        rows = rows.filter(path__icontains=words) | rows.filter(title__icontains=words)
    if show == "loose":
        rows = rows.filter(issue=None)
    elif show == "unstructured":
        rows = rows.filter(names_steps=False)
    else:
        show = ""
    page = Paginator(rows.order_by("-last", "pk"), TRACKERS_PER_PAGE).get_page(request.GET.get("page"))
    query = f"?q={words}&show={show}" if words or show else "?"
    scan = getattr(repository, "tracker_scan", None)
    # asked for by the first audit, and neither ended nor given up
    is_first = repository.current_audit_id is not None and (scan is None or not scan.head_sha)
    context = {
        "repository": repository,
        "is_searched": is_first and bool(repository.tracker_pattern) and not (scan and scan.error),
        "page": page,
        "words": words,
        "show": show,
        "scan": scan,
        "previous_query": f"{query}&page={page.number - 1}",
        "next_query": f"{query}&page={page.number + 1}",
        "form": PasteForm(),
    }
    return render_page(request, "audits/tracker_list.html", context, partials=("tracker-results",))


@require_http_methods(["POST"])
def tracker_paste(request: HtmxHttpRequest, slug: str) -> HttpResponse:
    """Take in a tracker that is in no repository."""
    repository = access.get_repository(request, slug, "audits.add_tracker")
    form = PasteForm(request.POST, request.FILES)
    if form.is_valid():
        file = form.cleaned_data["file"]
        data = file.read() if file else form.cleaned_data["text"].encode("utf-8", "surrogateescape")
        name = form.cleaned_data["name"] or (file.name if file else "")
        try:
            tracker = tracking.paste(repository, data, name, request.user)
        except TrackerError as error:
            words = str(error)
            form.add_error(None, f"{words[:1].upper()}{words[1:]}.")
        else:
            return redirect(tracker)
    context = {"repository": repository, "form": form}
    return render(request, "audits/tracker_paste.html", context, status=422)


@dataclass(frozen=True, slots=True)
class TextLine:
    """A line of a version, and what it claims anew."""

    number: int
    text: str
    claims: tuple[Claim, ...]


@require_GET
def tracker_detail(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    tracker = access.get_of_visible(request, Tracker.objects.select_related("repository", "issue"), pk=pk)
    versions = list(tracker.versions.defer("text", "original").annotate(claim_count=Count("claims")))
    shown = _shown(tracker, request.GET.get("version"))
    claims: dict[int, list[Claim]] = {}
    for claim in shown.claims.order_by("line", "pk") if shown is not None else ():
        claims.setdefault(claim.line, []).append(claim)
    lines = [
        TextLine(number, text, tuple(claims.get(number, ())))
        for number, text in enumerate(shown.text.splitlines() if shown is not None else (), 1)
    ]
    context = {
        "tracker": tracker,
        "repository": tracker.repository,
        "versions": versions,
        "shown": shown,
        "lines": lines,
        "issues": tracker.repository.issues.order_by("-pk")[:200],
    }
    return render_page(request, "audits/tracker_detail.html", context)


def _shown(tracker: Tracker, text: str | None) -> TrackerVersion | None:
    """The version that is asked for, else the last one."""
    if text and text.isdecimal() and len(text) < 16:
        found = tracker.versions.filter(pk=int(text)).first()
        if found is not None:
            return found
    return tracker.versions.order_by("-position").first()


@require_POST
def tracker_issue(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Have the tracker's claims be those of an existing issue."""
    rows = Tracker.objects.select_related("repository")
    tracker = access.get_of_visible(request, rows, "audits.change_issue", pk=pk)
    text = request.POST.get("issue", "")
    issue = Issue.objects.filter(
        pk=int(text) if text.isdecimal() and len(text) < 16 else 0, repository=tracker.repository_id
    ).first()
    if issue is None:
        messages.error(request, "Choose an issue of the same repository.")
        return redirect(tracker)
    remediation.follow(issue, tracker)
    tasks.keep_up_after_commit(tracker.repository_id)
    return redirect(issue)
