"""The history of a repository: its trend, one commit of it, and where violations gather."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.db.models import Count, Exists, FloatField, Func, Min, OuterRef, Q, QuerySet, TextField, Value
from django.db.models.expressions import RawSQL
from django.db.models.functions import Extract, Substr
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET

from audits import access, fetching
from audits.engine.findings import Zone
from audits.engine.git import GitError, GitRepository
from audits.engine.rules import RULES
from audits.models import Commit, Event, History, Repository, Violation
from audits.models.violation import counting
from audits.views.choices import Choices, among, parameter
from audits.views.differences import DiffLine, difference
from audits.views.pages import HtmxHttpRequest, render_page, trail, wanted_text
from audits.views.trend import Drawing, Moment, draw

COMMITS_PER_PAGE = 40
SHOWN_VIOLATIONS = 200
SHOWN_FILES = 8
TRIED_FILES = 60
SHOWN_SPOTS = 40
SHOWN_SUBJECTS = 12
PERIODS = {"": "All", "90": "90 days", "30": "30 days", "7": "7 days", "1": "1 day"}


# --- The trend -------------------------------------------------------------------------------------------------


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class TrendChoices(Choices):
    """What of a history is shown: a rule, a zone, a period that ends at a day, over commits or over time, with or
    without the commits that changed nothing."""

    rule: str = among(RULES)
    zone: str = among({*Zone})
    days: str = among(PERIODS)
    until: str = parameter(accept=_is_day)
    over: str = among({"time"})
    commits: str = among({"all"})

    @property
    def zones(self) -> list[str]:
        return [self.zone] if self.zone else [str(zone) for zone in Zone]

    def value(self, counts: Mapping[str, Mapping[str, int]], zone: str) -> int:
        rules = (self.rule,) if self.rule else counts
        return sum(counts.get(rule, {}).get(zone, 0) for rule in rules)

    def summed(self) -> RawSQL:
        """The same of each zone, summed by the database: a list of numbers for each commit."""
        sums = ", ".join(["coalesce(sum((zones ->> %s)::bigint), 0)"] * len(self.zones))
        each = "jsonb_each(audits_commit.counts) AS counted (rule, zones)"
        only, rules = ("WHERE rule = %s", [self.rule]) if self.rule else ("", [])
        return RawSQL(f"(SELECT ARRAY[{sums}] FROM {each} {only})", [*self.zones, *rules])  # noqa: S608, S611 (no values)

    def period(self, last: datetime) -> tuple[datetime | None, datetime | None]:
        """The first and last moment that are shown; ``last`` is that of the history."""
        end = None
        if self.until and (day := date.fromisoformat(self.until)).year > 1:
            end = timezone.make_aware(datetime.combine(day, time.max))
        begin = (end or last) - timedelta(days=int(self.days)) if self.days else None
        return begin, end


@dataclass(frozen=True, slots=True)
class CommitRow:
    commit: Commit
    zones: tuple[tuple[str, int], ...]
    total: int


@require_GET
def history(request: HtmxHttpRequest, slug: str) -> HttpResponse:
    repository = access.get_repository(
        request, slug, rows=Repository.objects.select_related("history__audit")
    )
    chosen = TrendChoices.from_query(request.GET)
    context: dict[str, Any] = {
        "repository": repository,
        "history": getattr(repository, "history", None),
        "chosen": chosen,
        "audit_in_flight": repository.audits.filter(state__in=("queued", "running")).first(),
    }
    last = Commit.objects.filter(repository=repository).order_by("-position").first()
    if last is not None:
        context |= _trend(repository, chosen, last)
    return render_page(request, "audits/history.html", context, partials=("history-results",))


def _trend(repository: Repository, chosen: TrendChoices, last: Commit) -> dict[str, Any]:
    commits = Commit.objects.filter(repository=repository)
    begin, end = chosen.period(last.time)
    if begin is not None:
        commits = commits.filter(time__gte=begin)
    if end is not None:
        commits = commits.filter(time__lte=end)
    main = commits.filter(on_main=True).order_by("position")
    moments = [
        Moment(datetime.fromtimestamp(seconds, UTC), values, sha, subject)
        for seconds, values, sha, subject in main.values_list(
            # a number, because times are slow to read when there are many
            *(Extract("time", "epoch", output_field=FloatField()), chosen.summed(), "sha", "subject")
        )
    ]
    lines = _lines(chosen, moments)
    listed = commits if chosen.commits else commits.filter(Q(introduced__gt=0) | Q(gone__gt=0))
    page = Paginator(listed.order_by("-position"), COMMITS_PER_PAGE).get_page(chosen.page)
    drawing = _drawing(moments, lines, chosen)
    return {
        "drawing": drawing,
        "zone_paths": list(zip((zone for _, zone in lines), drawing.paths, strict=True)) if drawing else [],
        "lines": [(zone, moments[-1].values[index]) for index, zone in lines] if moments else [],
        "moments": len(moments),
        "commits_known": Commit.objects.filter(repository=repository).count(),
        "rows": [_row(commit, chosen) for commit in page.object_list],
        "page": page,
        "zones": chosen.zones,
        "last": last,
        "waived": repository.violations.waived().count(),
        "all_rules": list(RULES),
        "all_zones": [str(zone) for zone in Zone],
        "periods": chosen.options("days", PERIODS.items()),
        "over": chosen.options("over", [("", "Over commits"), ("time", "Over time")]),
        "which": chosen.options("commits", [("", "That changed something"), ("all", "All")]),
        **chosen.turns(page.number),
    }


def _lines(chosen: TrendChoices, moments: Sequence[Moment]) -> list[tuple[int, str]]:
    """The zones that have anything in the period, with their places in the values."""
    return [
        (index, zone)
        for index, zone in enumerate(chosen.zones)
        if any(moment.values[index] for moment in moments)
    ]


def _drawing(
    moments: Sequence[Moment], lines: Sequence[tuple[int, str]], chosen: TrendChoices
) -> Drawing | None:
    if len(moments) < 2 or not lines:
        return None
    shown = [Moment(m.time, tuple(m.values[index] for index, _ in lines), m.sha, m.subject) for m in moments]
    return draw(shown, by_time=bool(chosen.over))


def _row(commit: Commit, chosen: TrendChoices) -> CommitRow:
    zones = tuple((zone, chosen.value(commit.counts, zone)) for zone in chosen.zones)
    return CommitRow(commit, zones, sum(count for _, count in zones))


# --- One commit --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FileDiff:
    path: str
    lines: tuple[DiffLine, ...]
    is_cut: bool


@require_GET
def commit_detail(request: HtmxHttpRequest, slug: str, sha: str) -> HttpResponse:
    """What a commit introduced and removed, with the changes of the files concerned."""
    repository = access.get_repository(request, slug)
    commit = get_object_or_404(Commit.objects.select_related("repository"), repository=repository, sha=sha)
    events = list(
        Event.objects.filter(commit=commit)
        .select_related("violation")
        .order_by("kind", "violation__rule", "violation__subject", "violation__path", "violation__line")[
            : 2 * SHOWN_VIOLATIONS
        ]
    )
    neighbours = Commit.objects.filter(repository=commit.repository)
    changing = neighbours.filter(Q(introduced__gt=0) | Q(gone__gt=0))
    known = neighbours.filter(sha__in=commit.parents)
    first = next((parent for parent in known if commit.parents and parent.sha == commit.parents[0]), None)
    context = {
        "commit": commit,
        "repository": commit.repository,
        "introduced": [e.violation for e in events if e.kind == Event.Kind.INTRODUCED][:SHOWN_VIOLATIONS],
        "gone": [e.violation for e in events if e.kind == Event.Kind.GONE][:SHOWN_VIOLATIONS],
        "shown": SHOWN_VIOLATIONS,
        "parents": sorted(known, key=lambda parent: commit.parents.index(parent.sha)),
        "children": neighbours.filter(parents__contains=[commit.sha], position__gt=commit.position)[:10],
        "previous": changing.filter(position__lt=commit.position).order_by("-position").first(),
        "next": changing.filter(position__gt=commit.position).order_by("position").first(),
        "zones": _zone_changes(commit, first),
        **_diffs(
            commit, [event.violation.path for event in events] + [e.violation.definition_path for e in events]
        ),
    }
    return render_page(request, "audits/commit_detail.html", context)


def _zone_changes(commit: Commit, parent: Commit | None) -> list[tuple[str, int, int]]:
    """Zone, open before (at the first parent), open after."""
    chosen = TrendChoices()
    before = parent.counts if parent is not None else {}
    rows = [(z, chosen.value(before, z), chosen.value(commit.counts, z)) for z in chosen.zones]
    return [row for row in rows if row[1] or row[2]]


def _diffs(commit: Commit, paths: Sequence[str]) -> dict[str, Any]:
    wanted = [path for path in dict.fromkeys(paths) if path]
    try:
        git = GitRepository(fetching.path_of(commit.repository))
    except GitError as error:
        return {"diffs": [], "why_no_diffs": f"The changes can't be shown: {error}."}
    parent = commit.parents[0] if commit.parents else ""
    found: list[FileDiff] = []
    for path in wanted[:TRIED_FILES]:
        if len(found) < SHOWN_FILES and (diff := _diff(git, parent, commit.sha, path)) is not None:
            found.append(diff)
    why = (
        ""
        if found or not wanted
        else "The files concerned are the same as before: what changed lies elsewhere."
    )
    more = len(wanted) > TRIED_FILES or len(found) == SHOWN_FILES
    return {"diffs": found, "why_no_diffs": why, "more_files": more}


def _diff(git: GitRepository, old: str, new: str, path: str) -> FileDiff | None:
    before, after = _text(git, old, path), _text(git, new, path)
    if before == after:
        return None
    found = difference(before, after)
    return FileDiff(path, found.lines, found.is_cut)


def _text(git: GitRepository, commit: str, path: str) -> list[str]:
    data = git.read(commit, path) if commit else None
    return (data or b"").decode("utf-8", "replace").splitlines()


# --- Hot spots -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Spot:
    """A folder or file: its violations that are open and that ever were; a folder leads further in."""

    name: str
    is_folder: bool
    open: int
    ever: int
    query: str


@require_GET
def hot_spots(request: HtmxHttpRequest, slug: str) -> HttpResponse:
    """Where violations gather: folder by folder, which come back, which have been open for longest."""
    repository = access.get_repository(request, slug)
    folder = wanted_text(request.GET.get("in"), 1_000).strip("/")
    prefix = f"{folder}/" if folder else ""
    violations = Violation.objects.filter(repository=repository)
    inside = violations.filter(path__startswith=prefix) if prefix else violations
    context = {
        "repository": repository,
        "folder": folder,
        "trail": trail(folder),
        "spots": _spots(inside, prefix),
        "oldest": _oldest(repository, inside.counting()),
        "returning": _returning(repository, prefix),
        "has_history": History.objects.filter(repository=repository).exists(),
        "violations_url": reverse("audits:violation-list", args=[repository.slug]),
    }
    return render_page(request, "audits/hot_spots.html", context)


def _spots(violations: QuerySet[Violation], prefix: str) -> list[Spot]:
    """What stands right below a folder, the most open ones first. One query."""
    rest = Substr("path", len(prefix) + 1)
    name = Func(rest, Value("/"), Value(1), function="SPLIT_PART", output_field=TextField())
    rows = (
        violations.annotate(spot=name)
        .order_by()
        .values("spot")
        .annotate(
            ever=Count("pk"),
            open=Count("pk", filter=counting()),
            longest=Min("path"),
        )
        .order_by("-open", "-ever", "spot")[:SHOWN_SPOTS]
    )
    return [
        Spot(
            row["spot"],
            row["longest"] != prefix + row["spot"],
            row["open"],
            row["ever"],
            "?" + urlencode({"in": prefix + row["spot"]}),
        )
        for row in rows
    ]


def _oldest(repository: Repository, violations: QuerySet[Violation]) -> list[Violation]:
    """Those of some violations that were introduced first, with the time as ``since``."""
    # From the oldest commits on, until there are enough: to date all violations would read all events.
    events = (
        Event.objects.filter(
            commit__repository=repository, kind=Event.Kind.INTRODUCED, violation__in=violations
        )
        .order_by("commit__time", "violation")
        .values_list("violation", "commit__time")
    )
    since: dict[int, datetime] = {}
    start, step = 0, 2 * SHOWN_SUBJECTS
    while len(since) < SHOWN_SUBJECTS:
        some = list(events[start : start + step])
        for violation, moment in some:  # one that came back is there again
            since.setdefault(violation, moment)
        if len(some) < step:
            break
        start += step
    first = dict(list(since.items())[:SHOWN_SUBJECTS])
    found = violations.in_bulk(list(first))
    listed = []
    for key, moment in first.items():
        if key in found:
            found[key].since = moment  # type: ignore[attr-defined]
            listed.append(found[key])
    return listed


def _returning(repository: Repository, prefix: str) -> list[Any]:
    """Subjects with violations that were introduced again after they had gone. Two queries, one when there are none."""
    # By the repository of the commits, which are fewer than its violations.
    introduced = Event.objects.filter(commit__repository=repository, kind=Event.Kind.INTRODUCED).order_by()
    if prefix:
        introduced = introduced.filter(violation__path__startswith=prefix)
    # Whether it had gone between is asked of these few alone: of all violations it would read all events twice.
    twice = introduced.values("violation").annotate(times=Count("pk")).filter(times__gt=1)
    if not (keys := list(twice.values_list("violation", flat=True))):
        return []
    earlier_end = Event.objects.filter(
        violation=OuterRef("violation"),
        kind=Event.Kind.GONE,
        commit__position__lt=OuterRef("commit__position"),
    )
    again = Event.objects.filter(Exists(earlier_end), violation=OuterRef("pk"), kind=Event.Kind.INTRODUCED)
    return list(
        Violation.objects.filter(Exists(again), pk__in=keys)
        .order_by()
        .values("rule", "subject")
        .annotate(places=Count("pk"), open=Count("pk", filter=counting()))
        .order_by("-places", "subject")[:SHOWN_SUBJECTS]
    )
