"""One try of a fault case: what the site accepted, and whether it kept its word."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ssot_dash.drill import repositories
from ssot_dash.drill.instance import Answer, Hung, Instance

RECLAIM_SECONDS: Final = 120  # after any fault, all that was accepted has to have ended
_ENDED: Final = ("succeeded", "failed", "cancelled")
# All that audits leave behind of a repository, without ids and times.
_LEFT: Final = """
SELECT r.slug, concat_ws(' ', c.commit_sha, c.counts::text, c.findings_count, c.problems_count, c.files_read,
    (SELECT md5(string_agg(concat_ws('|', v.fingerprint, v.subject, v.path, v.line, v.message, v.is_open, v.zone), ' '
                           ORDER BY v.fingerprint))
       FROM audits_violation AS v WHERE v.repository_id = r.id),
    (SELECT md5(string_agg(concat_ws('|', v.fingerprint, s.line, s.column), ' ' ORDER BY v.fingerprint))
       FROM audits_sighting AS s JOIN audits_violation AS v ON v.id = s.violation_id
      WHERE s.audit_id = coalesce(c.same_as_id, c.id)),
    (SELECT md5(string_agg(concat_ws('|', v.fingerprint, i.commit_sha, g.commit_sha), ' ' ORDER BY v.fingerprint))
       FROM audits_lifespan AS l JOIN audits_violation AS v ON v.id = l.violation_id
       JOIN audits_audit AS i ON i.id = l.introduced_in_id LEFT JOIN audits_audit AS g ON g.id = l.gone_in_id
      WHERE v.repository_id = r.id))
  FROM audits_repository AS r LEFT JOIN audits_audit AS c ON c.id = r.current_audit_id WHERE r.slug = ANY(%s)
"""


class Ground:
    """What all tries share: the running site, repositories, and what an undisturbed audit of each comes to."""

    def __init__(self, site: Instance) -> None:
        self.site = site
        self.large = repositories.large(site.directory / "large.git")
        self.small = repositories.small(site.directory / "small.git")
        self.greedy = repositories.greedy(site.directory / "greedy.git")
        self._undisturbed: dict[Path, str] = {}

    def undisturbed(self, location: Path) -> str:
        """What is left by an audit that nobody disturbs."""
        if location not in self._undisturbed:
            (slug,) = self.site.add_repositories(location)
            answer = self.site.audit(slug)
            if not answer.accepted:
                raise Hung(f"an undisturbed audit was answered with {answer.status}")
            number = answer.body["id"]
            self.site.until(lambda: self.states([number]).get(number, "") in _ENDED, 180, "undisturbed audit")
            if self.states([number])[number] != "succeeded":
                raise Hung(f"the undisturbed audit of {location.name} ended {self.states([number])[number]}")
            self._undisturbed[location] = self.left([slug])[slug]
        return self._undisturbed[location]

    def left(self, slugs: Sequence[str]) -> dict[str, str]:
        return dict(self.site.rows(_LEFT, list(slugs)))

    def states(self, audits: Sequence[int]) -> dict[int, str]:
        return dict(self.site.rows("SELECT id, state FROM audits_audit WHERE id = ANY(%s)", list(audits)))


@dataclass
class Trial:
    """A case tells it what was accepted (``audit``) and what it saw (``expect``); ``judge`` does the rest."""

    ground: Ground
    full: bool  # durations as the case names them, not shortened
    accepted: dict[int, str] = field(default_factory=dict)  # audit -> slug
    locations: dict[str, Path] = field(default_factory=dict)  # slug -> what it audits
    notes: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)  # what did not work
    lost: list[str] = field(
        default_factory=list
    )  # what was accepted and came to nothing, or to something else
    ends: str = "succeeded"  # how audits of this case have to end

    @property
    def site(self) -> Instance:
        return self.ground.site

    def repository(self, location: Path, number: int = 1, url: str = "") -> list[str]:
        """New repositories there; the undisturbed result of one like them is known by then. With a URL, they are to
        be fetched from it, and to be found equal."""
        self.ground.undisturbed(location)
        self.site.forget_facts()
        slugs = self.site.add_repositories(url or location, number)
        self.locations |= dict.fromkeys(slugs, location)
        return slugs

    def audit(self, slug: str) -> Answer:
        """Click on "audit": what is answered with success has to come to an end."""
        answer = self.site.audit(slug)
        if answer.accepted:
            self.accepted[answer.body["id"]] = slug
        else:
            self.broken.append(f"“audit” was answered with {answer.status}")
        return answer

    def expect(self, is_so: object, words: str) -> None:
        """Something that has to hold, and what to say when it does not."""
        if not is_so:
            self.broken.append(words)

    def attempts(self) -> list[int]:
        found = self.site.rows("SELECT attempts FROM audits_audit WHERE id = ANY(%s)", list(self.accepted))
        return [number for (number,) in found]

    def amount(self, full: int, short: int, of: str) -> int:
        """How many there are of something here, noted when they are fewer than the case says."""
        if not self.full:
            self.notes.append(f"{short} {of} instead of {full}")
        return full if self.full else short

    def pause(self, full: float, short: float) -> float:
        """How long a fault lasts here, noted when it is not as long as the case says."""
        if not self.full and short < full:
            self.notes.append(f"{short:g} s instead of {full:g} s")
        return full if self.full else short

    def have_ended(self) -> bool:
        states = self.ground.states(list(self.accepted))
        return len(states) == len(self.accepted) and all(state in _ENDED for state in states.values())

    def judge(self) -> None:
        """Wait for the end of everything, and compare."""
        try:
            self.site.until(self.have_ended, RECLAIM_SECONDS, f"not ended after {RECLAIM_SECONDS} s")
            self.site.until(self.site.is_well, RECLAIM_SECONDS, f"not well after {RECLAIM_SECONDS} s")
        except Hung as hung:
            self.broken.append(str(hung))
        self._compare()

    def _compare(self) -> None:
        rows = self.site.rows(
            "SELECT id, state, error_code, error_message FROM audits_audit WHERE id = ANY(%s)",
            list(self.accepted),
        )
        found = {number: rest for number, *rest in rows}
        for number in self.accepted:
            state, code, words = found.get(number, ("gone", "", ""))
            if state != self.ends:
                self.lost.append(f"an audit is {state} ({code}: {words})")
            elif state == "failed" and not words:
                self.lost.append("an audit failed without a word")
        if self.ends == "succeeded" and self.accepted:
            left = self.ground.left(list(set(self.accepted.values())))
            for slug in set(self.accepted.values()):
                if left.get(slug) != self.ground.undisturbed(self.locations[slug]):
                    self.lost.append(f"{slug} has other results than undisturbed")


@dataclass(frozen=True, slots=True)
class Case:
    """A fault: ``work`` brings it about. Its docstring says what, and what has to hold."""

    name: str
    work: Callable[[Trial], Any]
    alone: bool = False  # needs no running site

    @property
    def title(self) -> str:
        return (self.work.__doc__ or "").strip().partition("\n")[0].rstrip(".")


@dataclass(slots=True)
class Score:
    """What came of all tries of a case."""

    case: Case
    tries: int = 0
    survived: int = 0
    kept: int = 0
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)
    not_run: str = ""

    def note(self, words: str) -> None:
        if words not in self.notes:
            self.notes.append(words)


class NotRun(Exception):
    """A case that can't be tried here, and why."""


def attempt(case: Case, ground: Ground, score: Score, *, full: bool) -> None:
    """Try a case once."""
    trial = Trial(ground, full)
    began = time.monotonic()
    try:
        case.work(trial)
    except Hung as hung:
        trial.broken.append(str(hung))
    except NotRun as reason:
        score.not_run = str(reason)
        return
    trial.judge()
    score.tries += 1
    score.seconds += time.monotonic() - began
    score.survived += not trial.broken
    score.kept += not trial.lost
    for words in (*trial.notes, *trial.broken[:3], *trial.lost[:3]):
        score.note(words)
