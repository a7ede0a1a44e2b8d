"""The canonical subjects of a repository: which have no open violation, and how that went."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.http import HttpResponse
from django.views.decorators.http import require_GET

from audits import access, scoring
from audits.engine.findings import Zone
from audits.models import Repository
from audits.scoring import Level, Standing
from audits.views.pages import HtmxHttpRequest, render_page, wanted_text
from audits.views.trend import Drawing, Moment, draw

SUBJECTS_PER_PAGE = 50
SHOWN_LEVELS = 50
SHOWS = {"": "All", "open": "With open violations", "clean": "Without"}


@dataclass(frozen=True, slots=True)
class Choice:
    label: str
    count: int
    query: str
    active: bool


@dataclass(frozen=True, slots=True)
class ZoneScore:
    """Of a zone: canonical subjects without open violations, of all; and where those of either kind are listed."""

    zone: str
    clean: int
    subjects: int

    @property
    def open(self) -> int:
        return self.subjects - self.clean


def zone_scores(repository: Repository) -> list[ZoneScore]:
    """The score as it is kept with the repository; nothing without canonical subjects, or before anybody looked."""
    subjects = repository.score.get("subjects", 0) if repository.current_audit_id is not None else 0
    clean = repository.score.get("clean", {})
    return [ZoneScore(str(zone), clean.get(zone, 0), subjects) for zone in Zone] if subjects else []


@require_GET
def repository_score(request: HtmxHttpRequest, slug: str) -> HttpResponse:
    rows = Repository.objects.select_related("current_audit")
    repository = access.get_repository(request, slug, rows=rows)
    zone = request.GET.get("zone", "")
    zone = zone if zone in {*Zone} else ""
    show = request.GET.get("show", "")
    show = show if show in SHOWS else ""
    words = wanted_text(request.GET.get("q"))
    found = scoring.standings(repository)
    scores = [ZoneScore(str(z), sum(not each.open[z] for each in found), len(found)) for z in Zone]
    matching = [each for each in found if words.lower() in each.name.lower()]
    chosen = [each for each in matching if _is_shown(each, show, zone)]
    page = Paginator(chosen, SUBJECTS_PER_PAGE).get_page(request.GET.get("page"))

    def query(**changes: Any) -> str:
        values = {"zone": zone, "show": show, "q": words, **changes}
        return "?" + urlencode({name: value for name, value in values.items() if value})

    levels = scoring.over_history(repository)
    context = {
        "repository": repository,
        "scores": scores,
        "subjects": len(found) if repository.current_audit_id is not None else 0,
        "zone": zone,
        "show": show,
        "words": words,
        "page": page,
        "shows": [
            Choice(label, sum(_is_shown(s, key, zone) for s in matching), query(show=key), key == show)
            for key, label in SHOWS.items()
        ],
        "zones": [
            Choice(value, sum(_is_shown(s, show, value) for s in matching), query(zone=value), value == zone)
            for value in ("", *map(str, Zone))
        ],
        "previous_query": query(page=page.number - 1),
        "next_query": query(page=page.number + 1),
        **_trend(levels),
    }
    return render_page(request, "audits/repository_score.html", context)


def _is_shown(standing: Standing, show: str, zone: str) -> bool:
    count = standing.open[zone] if zone else standing.total
    return not show or (count > 0) == (show == "open")


def _trend(levels: Sequence[Level]) -> dict[str, Any]:
    lines = [index for index in range(len(Zone)) if any(level.values[index] for level in levels)]
    zones = [str(zone) for zone in Zone]
    drawing: Drawing | None = None
    if len(levels) > 1 and lines:
        moments = [
            Moment(each.time, tuple(each.values[index] for index in lines), each.sha, each.subject)
            for each in levels
        ]
        drawing = draw(moments, by_time=False)
    return {
        "drawing": drawing,
        "zone_paths": list(zip((zones[i] for i in lines), drawing.paths, strict=True)) if drawing else [],
        "levels": list(reversed(levels[-SHOWN_LEVELS:])),
        "levels_count": len(levels),
    }
