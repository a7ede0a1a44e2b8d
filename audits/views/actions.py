"""What people can do to audits and repositories, each by POST, each with its permission."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from audits import access, auditing, fetching, tasks
from audits.models import Audit, Covers, Repository
from audits.models.audit import IN_FLIGHT
from audits.views.figures import unseen_in
from audits.views.pages import HtmxHttpRequest, wanted_text

_IN_FLIGHT = "Another audit of this repository is in flight. Start yours when it has ended."


@require_POST
def audit_now(request: HtmxHttpRequest, slug: str) -> HttpResponse:
    """Queue an audit of the branch's newest commit, or of ``rev``. 422 for text that is no revision."""
    repository = access.get_repository(request, slug, "audits.add_audit")
    rev = wanted_text(request.POST.get("rev"), 300)
    try:
        audit = _request(request, repository, rev)
    except fetching.LocationError as error:
        latest = repository.audits.select_related("same_as").first()
        context = {
            "repository": repository,
            "latest_audit": latest,
            "latest_unseen": unseen_in(latest),
            "rev": rev,
            "panel_error": str(error),
        }
        if request.htmx:
            return render(request, "audits/repository_detail.html#audit-panel", context, status=422)
        messages.error(request, str(error))
        return redirect(repository)
    if request.htmx:
        return _panel(request, audit, repository.get_absolute_url())
    return redirect(repository)


@require_POST
def audit_history(request: HtmxHttpRequest, slug: str) -> HttpResponse:
    """Queue an audit of the whole history, or of what is new since the last one, up to ``rev`` (empty: the branch)."""
    return _audit_all(request, slug, Covers.HISTORY, "audits:history")


@require_POST
def find_duplicates(request: HtmxHttpRequest, slug: str) -> HttpResponse:
    """Queue a search for possible duplicates at ``rev`` (empty: the branch's newest commit)."""
    return _audit_all(request, slug, Covers.DUPLICATES, "audits:duplicate-list")


def _audit_all(request: HtmxHttpRequest, slug: str, covers: Covers, page: str) -> HttpResponse:
    repository = access.get_repository(request, slug, "audits.add_audit")
    rev = wanted_text(request.POST.get("rev"), 300)
    try:
        audit, is_new = auditing.request(repository, rev, user=request.user, covers=covers)
    except fetching.LocationError as error:
        messages.error(request, str(error))
        return redirect(page, slug)
    if is_new:
        tasks.dispatch_after_commit(audit)
    elif audit.covers != covers:
        messages.info(request, _IN_FLIGHT)
    return redirect(audit)


@require_POST
def audit_retry(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    """Ask for the same again: a new audit of the same revision, because an ended one is final."""
    rows = Audit.objects.select_related("repository")
    ended = access.get_of_visible(request, rows, "audits.add_audit", pk=pk)
    return redirect(_request(request, ended.repository, ended.rev, Covers(ended.covers)))


@require_POST
def audit_cancel(request: HtmxHttpRequest, pk: int) -> HttpResponse:
    rows = Audit.objects.select_related("repository")
    audit = access.get_of_visible(request, rows, "audits.change_audit", pk=pk)
    auditing.cancel(audit)
    audit.refresh_from_db()
    if not request.htmx:
        return redirect(audit)
    if audit.in_flight:
        return _panel(request, audit, request.htmx.current_url_abs_path or audit.get_absolute_url())
    return HttpResponse(headers={"HX-Refresh": "true"})


@require_http_methods(["GET", "POST"])
def repository_delete(request: HtmxHttpRequest, slug: str) -> HttpResponse:
    """Ask first (GET), then delete (POST)."""
    repository = access.get_repository(request, slug, "audits.delete_repository")
    if request.method == "POST":
        tasks.remove(repository)
        messages.success(request, f"“{repository.name}” was deleted with its audits and violations.")
        return redirect("audits:overview")
    context = {
        "repository": repository,
        "audits": repository.audits.count(),
        "violations": repository.violations.count(),
        "audit_in_flight": repository.audits.filter(state__in=IN_FLIGHT).exists(),
    }
    return render(request, "audits/repository_confirm_delete.html", context)


def _request(
    request: HtmxHttpRequest, repository: Repository, rev: str, covers: Covers = Covers.COMMIT
) -> Audit:
    """The audit that is now in flight: a new one, or the one that was already. Raises ``LocationError``."""
    audit, is_new = auditing.request(repository, rev, user=request.user, covers=covers)
    if is_new:
        tasks.dispatch_after_commit(audit)
    elif audit.rev != rev:
        messages.info(request, _IN_FLIGHT)
    return audit


def _panel(request: HtmxHttpRequest, audit: Audit, url: str) -> HttpResponse:
    return render(request, "audits/_audit_panel.html", {"audit": audit, "panel_url": url})
