"""Pages of legacy formats: what is still accepted, until when, and how the uses of each one go down."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from ids.forms import LegacyFormatForm
from ids.models import LegacyFormat, LegacyHits

RECENT_DAYS: Final = 30
SHOWN_DAYS: Final = 90
_CHART_HEIGHT: Final = 120
_DAY_WIDTH: Final = 8


@dataclass(frozen=True, slots=True)
class Day:
    """The uses of one day, and where its bars stand in the chart (in units of its view box)."""

    day: date
    accepted: int
    refused: int
    x: int
    accepted_y: float
    accepted_height: float
    refused_y: float
    refused_height: float


@dataclass(frozen=True, slots=True)
class BurnDown:
    """The uses of a legacy format, day by day, oldest first; ``most`` is the highest of them."""

    days: tuple[Day, ...]
    most: int

    width: int = SHOWN_DAYS * _DAY_WIDTH
    height: int = _CHART_HEIGHT

    @property
    def busy(self) -> list[Day]:
        """The days with uses, newest first."""
        return [day for day in reversed(self.days) if day.accepted or day.refused]


@require_GET
def legacy_list(request: HttpRequest) -> HttpResponse:
    """All legacy formats, the next sunset first."""
    today = datetime.now(UTC).date()
    rows = LegacyFormat.objects.with_hits(today - timedelta(days=RECENT_DAYS - 1)).select_related("type")
    context = {
        "today": today,
        "rows": [(row, row.is_over(today), (row.sunset - today).days) for row in rows],
        "recent_days": RECENT_DAYS,
        "may_add": request.user.has_perm("ids.add_legacyformat"),
    }
    return render(request, "ids/legacy_list.html", context)


@require_GET
def legacy_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """One legacy format: its pattern, and its burn-down."""
    legacy = get_object_or_404(LegacyFormat.objects.select_related("type"), pk=pk)
    today = datetime.now(UTC).date()
    context = {
        "legacy": legacy,
        "is_over": legacy.is_over(today),
        "days_left": (legacy.sunset - today).days,
        "burn_down": _burn_down(legacy, today),
        "changes": legacy.history.select_related("history_user").order_by("-history_date", "-history_id")[
            :20
        ],
        "may_change": request.user.has_perm("ids.change_legacyformat"),
    }
    return render(request, "ids/legacy_detail.html", context)


@require_http_methods(["GET", "POST"])
def legacy_add(request: HttpRequest) -> HttpResponse:
    """A new legacy format."""
    if not request.user.has_perm("ids.add_legacyformat"):
        raise PermissionDenied
    form = LegacyFormatForm(request.POST or None, initial={"type": request.GET.get("type")})
    return _saved(request, form) or render(request, "ids/legacy_form.html", {"form": form})


@require_http_methods(["GET", "POST"])
def legacy_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """An edit of a legacy format: moving its sunset is the commonest."""
    if not request.user.has_perm("ids.change_legacyformat"):
        raise PermissionDenied
    legacy = get_object_or_404(LegacyFormat, pk=pk)
    form = LegacyFormatForm(request.POST or None, instance=LegacyFormat.objects.get(pk=pk))
    return _saved(request, form) or render(request, "ids/legacy_form.html", {"form": form, "legacy": legacy})


def _saved(request: HttpRequest, form: LegacyFormatForm) -> HttpResponse | None:
    if request.method != "POST" or not form.is_valid():
        return None
    legacy = form.save_edit()
    messages.success(request, f"The legacy format “{legacy.name}” was saved.")
    return redirect(legacy)


def _burn_down(legacy: LegacyFormat, today: date) -> BurnDown:
    first = today - timedelta(days=SHOWN_DAYS - 1)
    sums = (
        LegacyHits.objects.filter(format=legacy, day__gte=first)
        .values_list("day")
        .annotate(Sum("accepted"), Sum("refused"))
    )
    by_day = {day: (accepted, refused) for day, accepted, refused in sums}
    most = max((accepted + refused for accepted, refused in by_day.values()), default=0)
    return BurnDown(
        tuple(
            _day(
                first + timedelta(days=index), *by_day.get(first + timedelta(days=index), (0, 0)), index, most
            )
            for index in range(SHOWN_DAYS)
        ),
        most,
    )


def _day(day: date, accepted: int, refused: int, index: int, most: int) -> Day:
    scale = _CHART_HEIGHT / max(most, 1)
    return Day(
        day=day,
        accepted=accepted,
        refused=refused,
        x=index * _DAY_WIDTH,
        accepted_y=round(_CHART_HEIGHT - accepted * scale, 1),
        accepted_height=round(accepted * scale, 1),
        refused_y=round(_CHART_HEIGHT - (accepted + refused) * scale, 1),
        refused_height=round(refused * scale, 1),
    )
