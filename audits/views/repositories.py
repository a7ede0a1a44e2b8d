"""One repository: its page, adding, editing, deleting, and starting an audit of it."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods

from audits import access, members
from audits.forms import RepositoryForm
from audits.models import Audit, Covers, Issue, Repository, Role, Waiver
from audits.views.figures import IssueTally, audit_rows, issues_by_repository, merged, open_by_rule, waived_in
from audits.views.pages import HtmxHttpRequest, render_page
from audits.views.scores import zone_scores
from audits.views.violation_filter import ViolationFilter
from audits.views.violations import groups_of

LATEST_AUDITS = 6
WORST_SUBJECTS = 6


@require_GET
def repository_detail(request: HtmxHttpRequest, slug: str) -> HttpResponse:
    rows = Repository.objects.select_related("current_audit__same_as", "policy")
    repository = access.get_repository(request, slug, rows=rows)
    audits = list(repository.audits.select_related("same_as")[:LATEST_AUDITS])
    response = render_page(
        request, "audits/repository_detail.html", _context(repository, audits), partials=("audit-panel",)
    )
    if request.htmx.target == "audit-panel" and not (audits and audits[0].in_flight):
        # The audit has ended: every figure of the page may be another.
        response.headers["HX-Refresh"] = "true"
    return response


def _context(repository: Repository, audits: list[Audit]) -> dict[str, Any]:
    in_flight = audits[0] if audits and audits[0].in_flight else None
    latest = in_flight or next((audit for audit in audits if audit.covers == Covers.COMMIT), None)
    seen = {row.audit.pk: row for row in audit_rows([*audits, *filter(None, [repository.current_audit])])}
    rules = open_by_rule(repository)
    worst = ViolationFilter()
    violations = repository.violations.all()
    rows = worst.with_files(violations, worst.grouped(violations)[:WORST_SUBJECTS])
    return {
        "repository": repository,
        "latest_audit": latest,
        "latest_unseen": seen[latest.pk].unseen if latest else 0,
        "latest_audits": audits,
        "current_unseen": seen[repository.current_audit.pk].unseen if repository.current_audit else 0,
        "audit_in_flight": in_flight,
        "rules": rules,
        "total": merged(row.tally for row in rules),
        "waived": waived_in(repository),
        "scores": zone_scores(repository),
        "issues": issues_by_repository(Issue.objects.filter(repository=repository)).get(
            repository.pk, IssueTally()
        ),
        "waivers_wanting": Waiver.objects.wanting().filter(repository=repository).count(),
        "subjects": groups_of(worst, rows, {}, {}),
        "violations_url": reverse("audits:violation-list", args=[repository.slug]),
    }


@require_http_methods(["GET", "POST"])
@permission_required("audits.add_repository", raise_exception=True)
def repository_add(request: HtmxHttpRequest) -> HttpResponse:
    return _edit(request, Repository(), "“%s” was added. Start its first audit when you like.")


@require_http_methods(["GET", "POST"])
def repository_edit(request: HtmxHttpRequest, slug: str) -> HttpResponse:
    return _edit(request, access.get_repository(request, slug, "audits.change_repository"), "“%s” was saved.")


def _edit(request: HtmxHttpRequest, repository: Repository, done: str) -> HttpResponse:
    saved = Repository.objects.get(pk=repository.pk) if repository.pk else None
    # Where the server reads is for those to say who may change every repository.
    may_move = request.user.has_perm("audits.change_repository" if saved else "audits.add_repository")
    form = RepositoryForm(request.POST or None, instance=repository, may_move=may_move)
    if request.method == "POST" and form.is_valid():
        try:
            with transaction.atomic():
                form.save()
                if saved is None and isinstance(request.user, User):
                    members.put(repository, request.user, Role.ADMIN)
        except IntegrityError:
            form.add_error("name", "Another repository has just been given this name. Choose another one.")
        else:
            messages.success(request, done % repository.name)
            return redirect(repository)
    form.focus_first_error()
    status = 422 if form.errors else 200
    return render(request, "audits/repository_form.html", {"form": form, "repository": saved}, status=status)
