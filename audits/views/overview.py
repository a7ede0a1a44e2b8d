"""All repositories at a glance."""

from dataclasses import dataclass
from typing import Any

from django.db.models import Count, OuterRef, Subquery
from django.http import HttpResponse
from django.views.decorators.http import require_GET

from audits.models import Audit, Issue, Repository, Waiver
from audits.views.figures import (
    AuditRow,
    IssueTally,
    OpenTally,
    Tally,
    audit_rows,
    issues_by_repository,
    merged,
    open_by_repository,
)
from audits.views.pages import HtmxHttpRequest, render_page
from audits.views.scores import ZoneScore, zone_scores


@dataclass(frozen=True, slots=True)
class RepositoryRow:
    repository: Repository
    tally: Tally
    latest: AuditRow | None
    waived: int
    waivers_wanting: int
    score: ZoneScore | None  # of production code
    issues: IssueTally


def repository_rows(user: Any) -> list[RepositoryRow]:
    """What somebody may know of: violations and latest audit of each repository, by name. Five queries, one
    more where no audit by this version has kept how much is open."""
    latest = Audit.objects.filter(repository=OuterRef("pk")).order_by("-id").values("pk")[:1]
    repositories = list(
        Repository.objects.visible_to(user)
        .select_related("current_audit")
        .defer("canonical")
        .annotate(latest_id=Subquery(latest))
    )
    audits = Audit.objects.select_related("same_as").filter(
        pk__in=[r.latest_id for r in repositories if r.latest_id]
    )
    latest_rows = {row.audit.repository_id: row for row in audit_rows(audits)}
    standing = open_by_repository(repositories)
    issues = issues_by_repository(Issue.objects.all())
    wanting = dict(
        Waiver.objects.wanting().order_by().values_list("repository_id").annotate(count=Count("pk"))
    )
    return [
        RepositoryRow(
            repository,
            standing.get(repository.pk, OpenTally()).tally,
            latest_rows.get(repository.pk),
            standing.get(repository.pk, OpenTally()).waived,
            wanting.get(repository.pk, 0),
            next(iter(zone_scores(repository)), None),
            issues.get(repository.pk, IssueTally()),
        )
        for repository in repositories
    ]


@require_GET
def overview(request: HtmxHttpRequest) -> HttpResponse:
    rows = repository_rows(request.user)
    context = {
        "rows": rows,
        "total": merged(row.tally for row in rows),
        "anything_in_flight": any(row.latest and row.latest.audit.in_flight for row in rows),
        "sample": next((row.repository for row in rows if row.repository.is_sample), None),
    }
    return render_page(request, "audits/overview.html", context, partials=("repository-list",))
