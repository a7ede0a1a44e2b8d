"""Step 2, write tests: the new tests are there, as many as said, and failed before the fix for the stated reason."""

from collections.abc import Iterator, Sequence

from audits.testruns import Outcome
from audits.trackers import Tracker
from audits.verdicts.claims import Claim, claim_of, judged
from audits.verdicts.dossier import WRITE_TESTS, Dossier, FileFact, Run, Version
from audits.verdicts.judgement import Judged, Verdict
from audits.verdicts.named_files import existing, is_test, nothing_named
from audits.verdicts.runs import fits, no_run, outcomes, run_link
from audits.verdicts.words import many


def wrote_tests(dossier: Dossier) -> Iterator[Judged]:
    claim = claim_of(dossier, WRITE_TESTS)
    version = claim.version if claim else None
    if claim is None or version is None:
        yield judged(dossier, WRITE_TESTS, "new tests", Verdict.CLAIMED, nothing_named(dossier, WRITE_TESTS))
        return
    named = new_test_files(version.tracker)
    if not named:
        words = "It names no file of tests: nothing to check."
        yield claim.judged("new tests", Verdict.CLAIMED, words, step=WRITE_TESTS)
    else:
        yield existing(dossier, claim, version, named, WRITE_TESTS, "new tests")
        yield from _counted_tests(dossier, version, named)
    yield _failing_first(dossier, claim, version)


def new_test_files(tracker: Tracker) -> list[str]:
    """The files of tests that a tracker names for step 2, once each."""
    return list(dict.fromkeys(f.path for f in tracker.files if f.step == WRITE_TESTS and is_test(f.path)))


def _counted_tests(dossier: Dossier, version: Version, named: Sequence[str]) -> Iterator[Judged]:
    """How many tests there are said to be, in all and in each file, beside those that the files hold."""
    facts = _facts_of_tests(dossier, version, named)
    at = f"at {{commit:{version.moment.sha}}}"
    counts = [c for c in version.tracker.counts if c.unit == "tests" and c.step == WRITE_TESTS]
    total = sum(fact.tests or 0 for fact in facts.values())
    is_known = all(fact.tests is not None for fact in facts.values())
    whole = next((c for c in counts if not c.path), None)
    if whole is not None:
        each = ", ".join(f"{fact.tests} in {path.rpartition('/')[2]}" for path, fact in facts.items())
        words = (
            f"The files hold {many(total, 'test')} {at}: {each}."
            if is_known
            else f"The files could not all be read {at}."
        )
        yield _counted(version, whole.words, whole.line, _compare(whole.number, total, known=is_known), words)
    for count in counts:
        fact = facts.get(count.path)
        if count.path and fact is not None and fact.tests is not None:
            words = f"{many(fact.tests, 'test')} {at}."
            verdict = _compare(count.number, fact.tests, known=True)
            yield _counted(version, f"{count.words} in {count.path}", count.line, verdict, words)


def _facts_of_tests(dossier: Dossier, version: Version, named: Sequence[str]) -> dict[str, FileFact]:
    """What the files are at a version, or at the last one where they weren't there yet."""
    last = dossier.versions[-1].files
    found = {}
    for path in named:
        fact = version.files.get(path, FileFact(None))
        found[path] = fact if fact.exists else last.get(path, fact)
    return found


def _compare(claimed: int, found: int, *, known: bool) -> Verdict:
    if not known:
        return Verdict.CLAIMED
    return Verdict.VERIFIED if claimed == found else Verdict.CONTRADICTED


def _counted(version: Version, words: str, line: int, verdict: Verdict, evidence: str) -> Judged:
    return Judged(
        "counted tests", verdict, evidence, words, WRITE_TESTS, version.moment.time, version.key, line
    )


def _failing_first(dossier: Dossier, claim: Claim, version: Version) -> Judged:
    """The new tests must fail before the fix, in their own words, for the reason that is stated."""
    stated = next((a for a in version.tracker.assertions if a.kind == "reason"), None)
    words = f"they fail with {stated.words}" if stated else "they fail before the fix"
    more: dict[str, object] = {"step": WRITE_TESTS, "claim": words}
    if stated:
        more["line"] = stated.line
    run = _new_tests_before(dossier)
    if run is None:
        return claim.judged("failing first", Verdict.CLAIMED, no_run(dossier, before=True), **more)
    results = list(run.results.values())
    failing = [r for r in results if r.outcome is Outcome.FAILED and fits(r, stated.words if stated else "")]
    words = outcomes(results, stated.words if stated else "")
    verdict = Verdict.VERIFIED if len(failing) == len(results) else Verdict.CONTRADICTED
    evidence = f"In the run at {{commit:{run.moment.sha}}}, before the fix: {words}."
    return claim.judged("failing first", verdict, evidence, links=(run_link(run),), **more)


def _new_tests_before(dossier: Dossier) -> Run | None:
    return next((run for run in reversed(dossier.runs) if run.is_before and run.results), None)
