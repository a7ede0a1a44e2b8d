"""All repositories at a glance."""

from dataclasses import dataclass

from django.db.models import OuterRef, Subquery
from django.http import HttpResponse
from django.views.decorators.http import require_GET

from audits.models import Audit, Repository
from audits.views.figures import Tally, merged, open_by_repository
from audits.views.pages import HtmxHttpRequest, render_page


@dataclass(frozen=True, slots=True)
class RepositoryRow:
    repository: Repository
    tally: Tally
    latest_audit: Audit | None


def repository_rows() -> list[RepositoryRow]:
    """Every repository with its open violations and its latest audit, by name. Three queries."""
    latest = Audit.objects.filter(repository=OuterRef("pk")).order_by("-id").values("pk")[:1]
    repositories = list(
        Repository.objects.select_related("current_audit").annotate(latest_id=Subquery(latest))
    )
    audits = Audit.objects.in_bulk([r.latest_id for r in repositories if r.latest_id])
    tallies = open_by_repository()
    return [
        RepositoryRow(repository, tallies.get(repository.pk, Tally()), audits.get(repository.latest_id or 0))
        for repository in repositories
    ]


@require_GET
def overview(request: HtmxHttpRequest) -> HttpResponse:
    rows = repository_rows()
    context = {
        "rows": rows,
        "total": merged(row.tally for row in rows),
        "anything_in_flight": any(row.latest_audit and row.latest_audit.in_flight for row in rows),
        "sample": next((row.repository for row in rows if row.repository.is_sample), None),
    }
    return render_page(request, "audits/overview.html", context, partials=("repository-list",))
