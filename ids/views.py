"""The pages of the ID registry. Each fragment's URL is a page as well."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from django.core.paginator import Paginator
from django.db.models import Count, F, OrderBy
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.utils.cache import get_conditional_response
from django.utils.http import urlencode
from django.views.decorators.http import require_GET
from django.views.decorators.vary import vary_on_headers
from django_htmx.http import push_url
from django_htmx.middleware import HtmxDetails

from ids import exports
from ids.forms import TypeFilterForm
from ids.models import CONTEXT_START_LENGTH, IDType, IDTypeQuerySet

TYPES_PER_PAGE: Final = 50
LATEST_ISSUED: Final = 20
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


COLUMNS: Final = (
    Column("value", "Type", "value"),
    Column("status", "Status", "status"),
    Column("description", "Description"),
    Column("owner", "Owner", "owner"),
    Column("format", "Format"),
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
    pages = Paginator(types.with_figures().order_by(_ordering(sort), "value"), TYPES_PER_PAGE)
    page = pages.get_page(request.GET.get("page"))
    context = {
        "page": page,
        "given": given,
        "headings": [_heading(column, sort, given) for column in COLUMNS],
        "statuses": _status_choices(found, given),
        "previous_query": _query(given, page=str(page.number - 1)),
        "next_query": _query(given, page=str(page.number + 1)),
        "may_add": _may(request, "ids.add_idtype"),
    }
    if request.htmx.target != "idtype-table":
        return render(request, "ids/idtype_list.html", context)
    fragment = render(request, "ids/idtype_list.html#idtype-table", context)
    # The address bar shows the short form of what was chosen, not every empty field of the form.
    return push_url(fragment, request.path + _query(given, page=str(page.number)).rstrip("?"))


@require_GET
def type_detail(request: HttpRequest, value: str) -> HttpResponse:
    """One ID type: its figures, latest issued IDs and change history."""
    id_type = get_object_or_404(IDType.objects.with_figures(), value=value)
    context = {
        "type": id_type,
        "latest": id_type.latest_issued(LATEST_ISSUED),
        "changes": id_type.changes(LATEST_CHANGES),
        "latest_limit": LATEST_ISSUED,
        "context_start_length": CONTEXT_START_LENGTH,
        "changes_limit": LATEST_CHANGES,
        "may_change": _may(request, "ids.change_idtype"),
    }
    return render(request, "ids/idtype_detail.html", context)


# The names under which the registry can be fetched as code: what comes after "registry." -> the export.
REGISTRY_FILES: Final = {"py": "python", "ts": "typescript", "schema.json": "json-schema", "json": "registry"}


@require_GET
def registry_file(request: HttpRequest, suffix: str) -> HttpResponseBase:
    """The registry as code, with an ETag, so that whoever has it already is told so."""
    if suffix not in REGISTRY_FILES:
        raise Http404
    export = exports.export(REGISTRY_FILES[suffix], IDType.objects.exported())
    file = HttpResponse(export.text, content_type=export.media_type)
    file["Content-Disposition"] = f'attachment; filename="{export.file_name}"'
    file["Cache-Control"] = "private, no-cache"
    file["ETag"] = export.etag
    return get_conditional_response(request, etag=export.etag, response=file) or file


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


def _may(request: HttpRequest, permission: str) -> bool:
    """Whether the admin lets this user do it."""
    return request.user.is_staff and request.user.has_perm(permission)
