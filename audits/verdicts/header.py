"""What a document says about itself as a whole: when it was made, its status, that all is resolved."""

import re
from collections.abc import Iterator
from datetime import timedelta

from audits.trackers import Assertion, StepState
from audits.verdicts.claims import short
from audits.verdicts.dossier import Dossier, Version
from audits.verdicts.judgement import Judged, Verdict
from audits.verdicts.words import accepted, are, last_part, many, many_places

_DAY = timedelta(days=1)

_BEGINNING = re.compile(
    r"\b(?:discover(?:ed|ing|y)|identified|new|open|reported|not started|todo|pending|planned|draft)\b",
    re.IGNORECASE,
)

_ENDED = re.compile(r"\b(?:completed?|resolved|closed|done|fixed|accomplished)\b|✅", re.IGNORECASE)


def stated(dossier: Dossier) -> Iterator[Judged]:
    if not dossier.versions:
        return
    first, last = dossier.versions[0], dossier.versions[-1]
    if first.tracker.created is not None and first.moment.sha:
        day, line = first.tracker.created
        there = first.moment.time.date()
        right = abs(there - day) <= _DAY
        words = f"The first version was committed on {there.isoformat()}: {{commit:{first.moment.sha}}}."
        yield Judged(
            "created",
            Verdict.VERIFIED if right else Verdict.CONTRADICTED,
            words,
            f"created {day.isoformat()}",
            at=first.moment.time,
            version=first.key,
            line=line,
        )
    yield from _status(last)
    yield from _resolved(dossier)


def _status(version: Version) -> Iterator[Judged]:
    """The status in the header beside the document's own steps."""
    status, steps = version.tracker.status, version.tracker.steps
    if status is None or not steps:
        return
    done = sum(mention.state is StepState.COMPLETED for mention in steps.values())
    ended = _ENDED.search(status.words) is not None
    began = not ended and _BEGINNING.search(status.words) is not None
    if not ended and not began:
        return
    words = f"The same document has {done} of its {len(steps)} steps as completed."
    right = done == len(steps) if ended else done < len(steps)
    yield Judged(
        "status",
        Verdict.VERIFIED if right else Verdict.CONTRADICTED,
        words,
        f"status: {short(status.words)}",
        at=version.moment.time,
        version=version.key,
        line=status.line,
    )


def _resolved(dossier: Dossier) -> Iterator[Judged]:
    """That it is resolved for good, beside what is left of the same definition."""
    found = _first_assertion(dossier, "resolved")
    if found is None or not dossier.is_audited:
        return
    version, assertion = found
    cousins, now = dossier.cousins, len(dossier.open_now)
    links: list[tuple[str, str, str]] = []
    if now:
        verdict, words = Verdict.CONTRADICTED, f"{many_places(now)} of its subjects {are(now)} open."
    elif cousins is not None and cousins.places:
        verdict = Verdict.CONTRADICTED
        words = (
            f"{many_places(cousins.places)} of {last_part(cousins.definition)} in {many(cousins.files, 'file')}"
            f" {are(cousins.places)} still wrong in the same way"
        )
        if cousins.at_fix is not None:
            words += f" ({cousins.at_fix:,} when this one was fixed)"
        words += "."
        links.append(("the places that are left", "definition", cousins.definition))
    elif dossier.accepted:
        verdict, words = Verdict.CLAIMED, accepted(dossier)
    else:
        verdict, words = Verdict.VERIFIED, "Nothing of it is left."
    yield Judged(
        "resolved",
        verdict,
        words,
        f"“{assertion.words}”",
        at=version.moment.time,
        version=version.key,
        line=assertion.line,
        links=tuple(links),
    )


def _first_assertion(dossier: Dossier, kind: str) -> tuple[Version, Assertion] | None:
    for version in dossier.versions:
        for assertion in version.tracker.assertions:
            if assertion.kind == kind:
                return version, assertion
    return None
