"""The pages of the ID registry. Each fragment's URL is a page as well."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from django.core.paginator import Paginator
from django.db.models import F, OrderBy
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.http import urlencode
from django.views.decorators.http import require_GET
from django.views.decorators.vary import vary_on_headers
from django_htmx.http import push_url
from django_htmx.middleware import HtmxDetails

from ids.forms import TypeFilterForm
from ids.models import CONTEXT_START_LENGTH, IDType

TYPES_PER_PAGE: Final = 50
LATEST_ISSUED: Final = 20
LATEST_CHANGES: Final = 50


class HtmxHttpRequest(HttpRequest):
    """The request as ``HtmxMiddleware`` leaves it."""

    htmx: HtmxDetails


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table of types: what it sorts by, and the links and words of its heading."""

    name: str
    label: str
    field: str = ""
    descends_first: bool = False

    def is_sorted(self, sort: str) -> bool:
        return bool(self.field) and sort.removeprefix("-") == self.name

    def next_sort(self, sort: str) -> str:
        """What a click on the heading sorts by: the other way round when it is already the order."""
        descends = not sort.startswith("-") if self.is_sorted(sort) else self.descends_first
        return f"-{self.name}" if descends else self.name


COLUMNS: Final = (
    Column("value", "Type", "value"),
    Column("member", "Member"),
    Column("status", "Status", "status"),
    Column("description", "Description"),
    Column("owner", "Owner", "owner"),
    Column("format", "Format"),
    Column("issued", "Issued", "issued_total", descends_first=True),
    Column("active", "Active", "active_total", descends_first=True),
    Column("last", "Last issued", "last_issued_at", descends_first=True),
)
DEFAULT_SORT: Final = "value"


@require_GET
@vary_on_headers("HX-Request", "HX-Target")
def type_list(request: HtmxHttpRequest) -> HttpResponse:
    """All ID types: filter, search, sort and page are in the URL."""
    given = TypeFilterForm(request.GET).given()
    sort = request.GET.get("sort", "")
    if any(column.is_sorted(sort) for column in COLUMNS):
        given["sort"] = sort
    else:
        sort = DEFAULT_SORT
    types = IDType.objects.matching(given["q"]) if "q" in given else IDType.objects.all()
    if "status" in given:
        types = types.filter(status=given["status"])
    pages = Paginator(types.with_figures().order_by(_ordering(sort), "value"), TYPES_PER_PAGE)
    page = pages.get_page(request.GET.get("page"))
    context = {
        "page": page,
        "given": given,
        "narrowed": "q" in given or "status" in given,
        "headings": [
            (
                column,
                _query(given, sort=column.next_sort(sort)) if column.field else "",
                _aria_sort(column, sort),
            )
            for column in COLUMNS
        ],
        "previous_query": _query(given, page=str(page.number - 1)),
        "next_query": _query(given, page=str(page.number + 1)),
        "statuses": IDType.Status.choices,
        "may_add": _may(request, "ids.add_idtype"),
    }
    if request.htmx.target != "idtype-table":
        return render(request, "ids/idtype_list.html", context)
    fragment = render(request, "ids/idtype_list.html#idtype-table", context)
    return push_url(fragment, request.path + _query(given, page=str(page.number)))


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


def _ordering(sort: str) -> OrderBy:
    field = F(next(column.field for column in COLUMNS if column.is_sorted(sort)))
    # a type that never issued comes last either way
    return field.desc(nulls_last=True) if sort.startswith("-") else field.asc(nulls_last=True)


def _aria_sort(column: Column, sort: str) -> str:
    if not column.is_sorted(sort):
        return ""
    return "descending" if sort.startswith("-") else "ascending"


def _query(given: Mapping[str, str], **changes: str) -> str:
    """The query string of a choice, without what is the default anyway; never empty, so that it is a link."""
    choice = {**given, **changes}
    if choice.get("sort") == DEFAULT_SORT:
        del choice["sort"]
    if choice.get("page") == "1":
        del choice["page"]
    return "?" + urlencode(choice)


def _may(request: HttpRequest, permission: str) -> bool:
    """Whether the admin lets this user do it."""
    return request.user.is_staff and request.user.has_perm(permission)
