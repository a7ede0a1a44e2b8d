"""The pages of the ID registry. Each fragment's URL is a page as well."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.core.paginator import Paginator
from django.db.models import Count, F, OrderBy
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_GET
from django.views.decorators.vary import vary_on_headers
from django_htmx.http import push_url
from django_htmx.middleware import HtmxDetails

from ids import figures, leasing
from ids.charts import draw
from ids.forecast import forecast
from ids.formats import FORMATS
from ids.forms import TypeFilterForm
from ids.models import CONTEXT_START_LENGTH, Grain, IDType, IDTypeQuerySet
from ids.usage import usage_of

TYPES_PER_PAGE: Final = 50
LATEST_ISSUED: Final = 10
LATEST_CHANGES: Final = 50


class HtmxHttpRequest(HttpRequest):
    """The request as ``HtmxMiddleware`` leaves it."""

    htmx: HtmxDetails


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table of types, and the annotation or field that it sorts by, if any."""

    name: str
    label: str
    field: str = ""
    is_number: bool = False


@dataclass(frozen=True, slots=True)
class Heading:
    """A column's heading: where a click leads, and which way it is sorted now (empty: not by this column)."""

    name: str
    label: str
    is_number: bool
    direction: str
    query: str


@dataclass(frozen=True, slots=True)
class StatusChoice:
    """One choice of the status filter, with the number of types that it would show."""

    value: str
    label: str
    count: int
    is_current: bool
    query: str


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a type's chart: what it counts, and the sum of what is drawn."""

    kind: str
    label: str
    total: int
    is_drawn: bool


PERIODS: Final = {grain.label: grain for grain in (Grain.MINUTE, Grain.HOUR, Grain.DAY)}
_LABELS: Final = {Grain.MINUTE: "%H:%M", Grain.HOUR: "%d %b, %H:%M", Grain.DAY: "%d %b %Y"}

COLUMNS: Final = (
    Column("value", "Type", "value"),
    Column("status", "Status", "status"),
    Column("owner", "Owner", "owner"),
    Column("rate", "Issued a minute", "per_minute", is_number=True),
    Column("today", "Today", "today", is_number=True),
    Column("issued", "IDs issued", "issued_total", is_number=True),
    Column("active", "IDs active", "active_total", is_number=True),
    Column("last", "Last issued", "last_issued_at", is_number=True),
)
SORT_FIELDS: Final = {column.name: column.field for column in COLUMNS if column.field}
DEFAULT_SORT: Final = "value"


@require_GET
@vary_on_headers("HX-Request", "HX-Target")
def type_list(request: HtmxHttpRequest) -> HttpResponse:
    """All ID types: filter, search, sort and page are in the URL."""
    given = TypeFilterForm(request.GET).given()
    sort = request.GET.get("sort", "")
    if sort.removeprefix("-") in SORT_FIELDS:
        given["sort"] = sort
    else:
        sort = DEFAULT_SORT
    found = IDType.objects.matching(given["q"]) if "q" in given else IDType.objects.all()
    types = found.filter(status=given["status"]) if "status" in given else found
    now = timezone.now()
    listed = figures.with_rates(types.with_figures(), now)
    pages = Paginator(listed.order_by(_ordering(sort), "value"), TYPES_PER_PAGE)
    page = pages.get_page(request.GET.get("page"))
    minutes = figures.last_hour([id_type.pk for id_type in page], now)
    context = {
        "page": page,
        "rows": [(id_type, minutes[id_type.pk]) for id_type in page],
        "this_query": _query(given, page=str(page.number)),
        "given": given,
        "headings": [_heading(column, sort, given) for column in COLUMNS],
        "statuses": _status_choices(found, given),
        "previous_query": _query(given, page=str(page.number - 1)),
        "next_query": _query(given, page=str(page.number + 1)),
        "may_add": request.user.has_perm("ids.add_idtype"),
    }
    if request.htmx.target == "idtype-rows":
        return render(request, "ids/idtype_list.html#idtype-rows", context)
    if request.htmx.target != "idtype-table":
        return render(request, "ids/idtype_list.html", context)
    fragment = render(request, "ids/idtype_list.html#idtype-table", context)
    # The address bar shows the short form of what was chosen, not every empty field of the form.
    return push_url(fragment, request.path + _query(given, page=str(page.number)).rstrip("?"))


@require_GET
@vary_on_headers("HX-Request", "HX-Target")
def type_detail(request: HtmxHttpRequest, value: str) -> HttpResponse:
    """One ID type: its use over time, latest issued IDs, where code uses it, its forecast and change history."""
    now = timezone.now()
    id_type: Any = get_object_or_404(figures.with_rates(IDType.objects.with_figures(), now), value=value)
    grain = PERIODS.get(request.GET.get("per", ""), Grain.MINUTE)
    period = figures.period(id_type.pk, grain, now)
    lines = _lines(period)
    drawing = draw(period.lines, [f"{slot.starts_at:{_LABELS[grain]}}" for slot in period.slots])
    id_format = FORMATS[id_type.format]
    context: dict[str, Any] = {
        "type": id_type,
        "format": id_format,
        "latest": id_type.latest_issued(LATEST_ISSUED),
        "latest_limit": LATEST_ISSUED,
        "context_start_length": CONTEXT_START_LENGTH,
        "period": period,
        "lines": lines,
        "drawing": drawing,
        "drawn": [(line, path) for line, path in zip(lines, drawing.paths, strict=True) if line.is_drawn],
        "busy_slots": period.busy_slots,
        "periods": [(name, f"?per={name}", choice == grain) for name, choice in PERIODS.items()],
        "this_query": f"?per={grain.label}",
    }
    if request.htmx.target == "type-live":
        return render(request, "ids/idtype_detail.html#type-live", context)
    pace = figures.pace(id_type.pk, now)
    context |= {
        "changes": id_type.changes(LATEST_CHANGES),
        "changes_limit": LATEST_CHANGES,
        "may_change": request.user.has_perm("ids.change_idtype"),
        "table_slots": [
            {"starts_at": slot.starts_at, "cells": list(zip(lines, slot.counts, strict=True))}
            for slot in period.busy_slots
        ],
        "reading": id_format.reading(id_type.value),
        "guesses": 2**id_format.random_bits,
        "pace": pace,
        "forecast": forecast(id_format, id_type.issued_total, pace.per_day, now),
        "issuers": figures.issuers(id_type),
        "issuers_limit": figures.LATEST_OF_ISSUERS,
        "usage": usage_of(id_type.value, request.user),
        "behind": next((row for row in leasing.health().behind if row.type == id_type.value), None),
    }
    return render(request, "ids/idtype_detail.html", context)


def _lines(period: figures.Period) -> list[Line]:
    """What the legend lists: generated in any case, the others where there are any."""
    return [
        Line(kind.value, kind.label, total, any(line))
        for kind, total, line in zip(figures.CHARTED, period.totals, period.lines, strict=True)
    ]


def _ordering(sort: str) -> OrderBy:
    field = F(SORT_FIELDS[sort.removeprefix("-")])
    # a type that never issued comes last either way
    return field.desc(nulls_last=True) if sort.startswith("-") else field.asc(nulls_last=True)


def _heading(column: Column, sort: str, given: Mapping[str, str]) -> Heading:
    direction = ""
    descends_next = column.is_number  # the largest and the latest first
    if column.name == sort.removeprefix("-"):
        direction = "descending" if sort.startswith("-") else "ascending"
        descends_next = direction == "ascending"
    query = _query(given, sort="-" * descends_next + column.name) if column.field else ""
    return Heading(column.name, column.label, column.is_number, direction, query)


def _status_choices(found: IDTypeQuerySet, given: Mapping[str, str]) -> list[StatusChoice]:
    counts = dict(found.order_by().values_list("status").annotate(Count("pk")))
    current = given.get("status", "")
    return [
        StatusChoice(value, label, count, value == current, _query(given, status=value))
        for value, label, count in (
            ("", "All", sum(counts.values())),
            *((value, label, counts.get(value, 0)) for value, label in IDType.Status.choices),
        )
    ]


def _query(given: Mapping[str, str], **changes: str) -> str:
    """The query string of a choice, without what is the default anyway; it has the "?" even when nothing is left."""
    defaults = {"sort": DEFAULT_SORT, "page": "1", "status": ""}
    choice = {**given, **changes}
    return "?" + urlencode({name: value for name, value in choice.items() if value != defaults.get(name)})
