"""The page on which an administrator sees at three in the morning what is stuck, and mends it."""

from dataclasses import dataclass
from typing import Final

from django.contrib.auth.decorators import permission_required
from django.db import connection
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET
from django.views.decorators.vary import vary_on_headers

from audits import access, removing
from audits.models import Audit, Repository, State
from audits.models.audit import IN_FLIGHT
from ssot_dash import health, retention
from ssot_dash.models import Heartbeat

FAILED_SHOWN: Final = 20
IN_FLIGHT_SHOWN: Final = 50
TABLES_SHOWN: Final = 15

# Estimates of rows, as autovacuum left them: counting would read the tables.
_STORAGE = """
SELECT tables.relname, pg_total_relation_size(tables.oid), pg_indexes_size(tables.oid), nullif(tables.reltuples, -1)
  FROM pg_class AS tables JOIN pg_namespace AS spaces ON spaces.oid = tables.relnamespace
 WHERE tables.relkind = 'r' AND spaces.nspname = current_schema()
 ORDER BY 2 DESC LIMIT %s
"""


@dataclass(frozen=True, slots=True)
class Table:
    """How much room a table takes, in bytes: all of it, and of that its indexes.

    The rows are an estimate, None before the first.
    """

    name: str
    size: int
    indexes: int
    rows: int | None


def storage() -> list[Table]:
    """The largest tables, largest first. One query of the catalogue."""
    with connection.cursor() as cursor:
        cursor.execute(_STORAGE, [TABLES_SHOWN])
        return [
            Table(name, size, indexes, None if rows is None else round(rows))
            for name, size, indexes, rows in cursor.fetchall()
        ]


@require_GET
@never_cache
@vary_on_headers("HX-Request", "HX-Target")
@permission_required("ssot_dash.view_operations", raise_exception=True)
def operations(request: HttpRequest) -> HttpResponse:
    """Parts that the site needs, its processes and queues, audits in flight and failed, and storage."""
    audits = access.visible(request.user, Audit.objects.select_related("repository"))
    context = {
        "checks": health.checks(),
        "processes": Heartbeat.objects.all(),
        "queues": health.queues(),
        "in_flight": audits.filter(state__in=IN_FLIGHT).order_by("queued_at")[:IN_FLIGHT_SHOWN],
        "removals": _removals(request),
        "failed": audits.filter(state=State.FAILED).order_by("-pk")[:FAILED_SHOWN],
    }
    if request.headers.get("HX-Target") == "operations-live":
        return render(request, "operations.html#operations-live", context)
    days = _days(request.GET.get("days", ""))
    kept = retention.preview(timezone.now(), days)
    return render(request, "operations.html", context | {"tables": storage(), "kept": kept, "days": days})


def _removals(request: HttpRequest) -> QuerySet[Repository]:
    """The repositories whose rows are being deleted, as far as somebody could have known of them."""
    sees_all = request.user.has_perm("audits.view_private_repository")
    return removing.pending() if sees_all else removing.pending().filter(is_private=False)


def _days(text: str) -> int | None:
    """For how many days somebody asks; None for none or nonsense."""
    return int(text) if text.isascii() and text.isdecimal() and 0 < len(text) <= 5 and int(text) else None
