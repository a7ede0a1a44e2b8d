"""The canonical subjects of a repository: which have no open violation, and how that went."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.core.paginator import Paginator
from django.http import HttpResponse
from django.views.decorators.http import require_GET

from audits import access, scoring
from audits.engine.findings import Zone
from audits.models import Repository
from audits.scoring import Level, Standing
from audits.views.choices import Choices, Option, among, parameter
from audits.views.pages import HtmxHttpRequest, render_page
from audits.views.trend import Drawing, Moment, draw

SUBJECTS_PER_PAGE = 50
SHOWN_LEVELS = 50
SHOWS = {"": "All", "open": "With open violations", "clean": "Without"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectChoices(Choices):
    zone: str = among({*Zone})
    show: str = among(SHOWS)
    words: str = parameter("q")

    def shows(self, standing: Standing) -> bool:
        count = standing.open[self.zone] if self.zone else standing.total
        return not self.show or (count > 0) == (self.show == "open")

    def counted(
        self, name: str, values: Iterable[tuple[str, str]], standings: Sequence[Standing]
    ) -> list[Option]:
        """The values of a field as links, with how many of these subjects each would show."""
        changes: list[dict[str, Any]] = [{name: value} for value, _ in values]
        counts = [sum(map(replace(self, **change).shows, standings)) for change in changes]
        return [
            replace(option, count=n) for option, n in zip(self.options(name, values), counts, strict=True)
        ]


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
    chosen = SubjectChoices.from_query(request.GET)
    found = scoring.standings(repository)
    scores = [ZoneScore(str(z), sum(not each.open[z] for each in found), len(found)) for z in Zone]
    matching = [each for each in found if chosen.words.lower() in each.name.lower()]
    page = Paginator(list(filter(chosen.shows, matching)), SUBJECTS_PER_PAGE).get_page(chosen.page)
    levels = scoring.over_history(repository)
    context = {
        "repository": repository,
        "scores": scores,
        "subjects": len(found) if repository.current_audit_id is not None else 0,
        "chosen": chosen,
        "page": page,
        "shows": chosen.counted("show", list(SHOWS.items()), matching),
        "zones": chosen.counted("zone", [(value, value) for value in ("", *map(str, Zone))], matching),
        **chosen.turns(page.number),
        **_trend(levels),
    }
    return render_page(request, "audits/repository_score.html", context)


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
