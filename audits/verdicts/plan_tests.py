"""Step 1, plan tests: the named tests are there, and no place was overlooked."""

from collections import Counter
from collections.abc import Iterator

from audits.verdicts.claims import claim_of, judged
from audits.verdicts.dossier import PLAN_TESTS, Dossier, Version
from audits.verdicts.judgement import Judged, Verdict
from audits.verdicts.named_files import existing, is_test, nothing_named
from audits.verdicts.words import many, many_places, places_of, stand


def planned_tests(dossier: Dossier) -> Iterator[Judged]:
    claim = claim_of(dossier, PLAN_TESTS)
    version = claim.version if claim else None
    if claim is None or version is None:
        yield judged(dossier, PLAN_TESTS, "named tests", Verdict.CLAIMED, nothing_named(dossier, PLAN_TESTS))
        return
    named = [f.path for f in version.tracker.files if f.step == PLAN_TESTS and is_test(f.path)]
    if named:
        yield existing(dossier, claim, version, named, PLAN_TESTS, "named tests")
    else:
        yield judged(
            dossier,
            PLAN_TESTS,
            "named tests",
            Verdict.CLAIMED,
            "It names no file of tests: nothing to check.",
        )
    yield from _counted_places(version)


def _counted_places(version: Version) -> Iterator[Judged]:
    """Places that the tracker counts in files, beside those that the audit found there, and those that it lacks."""
    counted = [c for c in version.tracker.counts if c.unit == "places" and c.path and c.step in {0, 1, 3}]
    if not counted or version.open_places is None:
        return
    found = Counter(place.path for place in version.open_places)
    at = f"at {{commit:{version.moment.sha}}}"
    for count in counted:
        there = found[count.path]
        yield Judged(
            "counted places",
            Verdict.VERIFIED if there == count.number else Verdict.CONTRADICTED,
            f"{many(there, 'place')} {at}.",
            f"{count.words} in {count.path}",
            PLAN_TESTS,
            version.moment.time,
            version.key,
            count.line,
        )
    named = {file.path for file in version.tracker.files}
    missed = [place for place in version.open_places if place.path not in named]
    total = len(version.open_places)
    if missed:
        listed = places_of(missed)
        left = len(missed)
        words = f"{left:,} of the {many_places(total)} {at} {stand(left)} in files that it doesn’t name: {listed}."
        verdict = Verdict.CONTRADICTED
    else:
        words, verdict = f"All {many_places(total)} {at} stand in files that it names.", Verdict.VERIFIED
    yield Judged(
        "overlooked places",
        verdict,
        words,
        "the files that it lists",
        PLAN_TESTS,
        version.moment.time,
        version.key,
        counted[0].line,
    )
