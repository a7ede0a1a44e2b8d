"""How far the moves from deprecated symbols to new ones have come: in all, folder by folder, audit by audit."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self
from urllib.parse import urlencode

from django.http import HttpResponse
from django.views.decorators.http import require_GET

from audits import access
from audits.engine.policy import PolicyError, parse_policy
from audits.models import Audit, Covers, Repository, State
from audits.views.pages import HtmxHttpRequest, render_page, trail, wanted_text

SHOWN_AUDITS = 30
SHOWN_FOLDERS = 60


@dataclass(frozen=True, slots=True)
class Uses:
    """Uses of the old symbol and of the new one."""

    old: int
    new: int

    @property
    def percent(self) -> int:
        """How much of it has moved; never 100 while anything is left."""
        whole = self.old + self.new
        return 100 * self.new // whole if whole else 100

    def __add__(self, other: Self) -> "Uses":
        return Uses(self.old + other.old, self.new + other.new)


@dataclass(frozen=True, slots=True)
class Spot:
    """A folder right below the one that is shown."""

    name: str
    query: str
    uses: Uses


@dataclass(frozen=True, slots=True)
class Moment:
    """What an audit counted."""

    sha: str
    time: datetime | None
    subject: str
    uses: Uses


@dataclass(frozen=True, slots=True)
class Move:
    """One move: all uses, by zone, by folder, and what earlier audits counted."""

    old: str
    new: str
    deadline: Any
    uses: Uses
    zones: list[tuple[str, Uses]]
    spots: list[Spot]
    moments: list[Moment]


@require_GET
def move_list(request: HtmxHttpRequest, slug: str) -> HttpResponse:
    repository = access.get_repository(
        request, slug, rows=Repository.objects.select_related("current_audit__same_as", "policy")
    )
    folder = wanted_text(request.GET.get("in"), 1_000).strip("/")
    current = repository.current_audit
    rows = current.result.moves if current is not None else []
    earlier = _earlier(repository)
    deadlines = _deadlines(repository)
    inside = [row for row in rows if not folder or f"{row[3]}".startswith(f"{folder}/")]
    context = {
        "repository": repository,
        "audit": current,
        "folder": folder,
        "trail": trail(folder),
        "wanted": len(deadlines),
        "moves": [
            _move(old, [row for row in inside if row[0] == old], rows, folder, earlier, deadlines.get(old))
            for old in dict.fromkeys(row[0] for row in rows)
        ],
    }
    return render_page(request, "audits/move_list.html", context)


def _earlier(repository: Repository) -> list[Audit]:
    """The latest audits of different commits, the newest commit first."""
    audits = repository.audits.filter(covers=Covers.COMMIT, state=State.SUCCEEDED, same_as=None)
    found: dict[str, Audit] = {}
    for audit in audits.exclude(moves=[]).order_by("-commit_time", "-pk")[: 3 * SHOWN_AUDITS]:
        found.setdefault(audit.commit_sha, audit)
    return list(found.values())[:SHOWN_AUDITS]


def _deadlines(repository: Repository) -> dict[str, Any]:
    """The moves that the site's policy asks for, with their deadlines."""
    try:
        policy = parse_policy(repository.policy.text if repository.policy else "")
    except PolicyError:
        return {}
    return {entry.old: entry.deadline for entry in policy.deprecated if entry.new}


def _move(
    old: str, inside: list[Any], rows: list[Any], folder: str, earlier: Iterable[Audit], deadline: Any
) -> Move:
    zones: dict[str, Uses] = {}
    spots: dict[str, Uses] = {}
    start = len(folder) + 1 if folder else 0
    for _, _, zone, path, old_uses, new_uses in inside:
        uses = Uses(old_uses, new_uses)
        name = path[start:].partition("/")[0]
        zones[zone] = zones.get(zone, Uses(0, 0)) + uses
        spots[name] = spots.get(name, Uses(0, 0)) + uses
    most_left = sorted(spots.items(), key=lambda item: (-item[1].old, -item[1].new, item[0]))
    return Move(
        old=old,
        new=next(row[1] for row in rows if row[0] == old),
        deadline=deadline,
        uses=_sum(inside),
        zones=sorted(zones.items()),
        spots=[
            Spot(name, "?" + urlencode({"in": f"{folder}/{name}" if folder else name}) if name else "", uses)
            for name, uses in most_left[:SHOWN_FOLDERS]
        ],
        moments=[
            Moment(
                audit.commit_sha,
                audit.commit_time,
                audit.commit_subject,
                _sum([row for row in audit.moves if row[0] == old]),
            )
            for audit in earlier
            if any(row[0] == old for row in audit.moves)
        ],
    )


def _sum(rows: Iterable[Any]) -> Uses:
    total = Uses(0, 0)
    for row in rows:
        total += Uses(row[4], row[5])
    return total
