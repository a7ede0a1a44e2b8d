"""The log of who did what, for administrators: filtered by address, and to take along as CSV or JSON."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.contrib.auth.decorators import permission_required
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.views.decorators.http import require_GET

from audits.models import Repository
from audits.views.choices import Choices
from ssot_dash.activity import words_of
from ssot_dash.models import Activity

LINES_PER_PAGE = 100
MOST_EXPORTED = 200_000
FIELDS = (
    "id",
    "at",
    "user",
    "token",
    "address",
    "verb",
    "words",
    "refused",
    "repository",
    "object",
    "url",
    "details",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityChoices(Choices):
    user: str = ""
    verb: str = ""
    repository: str = ""
    since: str = ""
    until: str = ""
    refused: str = ""

    def apply(self, rows: QuerySet[Activity]) -> QuerySet[Activity]:
        for name in ("user", "verb", "repository"):
            if value := getattr(self, name):
                rows = rows.filter(**{name: value})
        if since := _day(self.since):
            rows = rows.filter(at__date__gte=since)
        if until := _day(self.until):
            rows = rows.filter(at__date__lte=until)
        return rows.filter(is_refused=True) if self.refused else rows


def _day(text: str) -> date | None:
    try:
        return parse_date(text)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Line:
    row: Activity
    words: str


def lines_for(request: HttpRequest) -> QuerySet[Activity]:
    """What a reader may know of: nothing of repositories that they don't see, unless they see all."""
    rows = Activity.objects.all()
    if request.user.has_perm("audits.view_private_repository"):
        return rows
    seen = Repository.objects.visible_to(request.user).values("pk")
    return rows.filter(Q(repository="") | Q(repository_id__in=seen))


@require_GET
@permission_required("ssot_dash.view_activity", raise_exception=True)
def activity_list(request: HttpRequest) -> HttpResponseBase:
    """The newest first. ``?format=csv`` or ``json`` answers all that the filter lets through."""
    chosen = ActivityChoices.from_query(request.GET)
    rows = chosen.apply(lines_for(request))
    if request.GET.get("format") in {"csv", "json"}:
        return _export(rows, request.GET["format"])
    page = Paginator(rows, LINES_PER_PAGE).get_page(chosen.page)
    lately = Activity.objects.filter(at__gt=timezone.now() - timedelta(days=90)).order_by()
    context = {
        "chosen": chosen,
        "page": page,
        "lines": [Line(row, words_of(row.verb)) for row in page.object_list],
        "verbs": sorted(
            ((verb, words_of(verb)) for verb in lately.values_list("verb", flat=True).distinct()),
            key=lambda pair: pair[1],
        ),
        "csv_query": chosen.query(format="csv"),
        "json_query": chosen.query(format="json"),
        **chosen.turns(page.number),
    }
    return render(request, "activity.html", context)


def _values(row: Activity) -> dict[str, Any]:
    return {
        "id": row.pk,
        "at": row.at.isoformat(),
        "user": row.user,
        "token": row.token,
        "address": row.address,
        "verb": row.verb,
        "words": words_of(row.verb),
        "refused": row.is_refused,
        "repository": row.repository,
        "object": row.object,
        "url": row.url,
        "details": row.details,
    }


class _Echo:
    """What csv writes to: gives each line back."""

    def write(self, value: str) -> str:
        return value


def _export(rows: QuerySet[Activity], form: str) -> HttpResponseBase:
    found = rows[:MOST_EXPORTED].iterator(chunk_size=2_000)

    def as_csv() -> Iterator[str]:
        writer = csv.writer(_Echo())
        yield writer.writerow(FIELDS)
        for row in found:
            values = _values(row) | {"details": json.dumps(row.details, ensure_ascii=False)}
            yield writer.writerow([_harmless(str(values[name])) for name in FIELDS])

    def as_json() -> Iterator[str]:
        before = "[\n"
        for row in found:
            yield before + json.dumps(_values(row), ensure_ascii=False)
            before = ",\n"
        yield "[]\n" if before == "[\n" else "\n]\n"

    is_csv = form == "csv"
    response: HttpResponse | StreamingHttpResponse = StreamingHttpResponse(
        as_csv() if is_csv else as_json(),
        content_type="text/csv; charset=utf-8" if is_csv else "application/json",
    )
    response.headers["Content-Disposition"] = f'attachment; filename="activity.{form}"'
    return response


def _harmless(text: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
