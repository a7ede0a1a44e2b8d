"""Step 5, prove stability: the new tests pass, and nothing that passed before the fix fails after it."""

from collections.abc import Iterator

from audits.verdicts.claims import claim_of, judged
from audits.verdicts.dossier import PROVE, Dossier, Run
from audits.verdicts.judgement import Judged, Verdict
from audits.verdicts.runs import no_run, outcomes, run_link
from audits.verdicts.words import are, many, tests_of


def _new_tests_after(dossier: Dossier) -> Run | None:
    """The last run: whoever claims that all pass claims it of what there is."""
    return next((run for run in reversed(dossier.runs) if not run.is_before and run.results), None)


def proved(dossier: Dossier) -> Iterator[Judged]:
    yield _passing(dossier)
    yield _without_regressions(dossier)


def _passing(dossier: Dossier) -> Judged:
    topic = "tests pass"
    count = _claimed_count(dossier)
    more: dict[str, object] = {"claim": f"{count} pass"} if count else {}
    run = _new_tests_after(dossier)
    if run is None:
        return judged(dossier, PROVE, topic, Verdict.CLAIMED, no_run(dossier, before=False))
    results = list(run.results.values())
    bad = [result for result in results if not result.outcome.is_good]
    words = f"In the run at {{commit:{run.moment.sha}}}: {outcomes(results, '')}."
    if claim_of(dossier, PROVE) is None:
        more = {}
    if bad:
        words += f" Not passed: {tests_of(result.test for result in bad)}."
        verdict = Verdict.CONTRADICTED if claim_of(dossier, PROVE) else Verdict.UNCLAIMED
        return judged(dossier, PROVE, topic, verdict, words, links=(run_link(run),), **more)
    return judged(dossier, PROVE, topic, Verdict.VERIFIED, words, links=(run_link(run),), **more)


def _claimed_count(dossier: Dossier) -> str:
    claim = claim_of(dossier, PROVE)
    if claim is None or claim.version is None:
        return ""
    return next(
        (
            c.words
            for c in claim.version.tracker.counts
            if c.unit == "tests" and c.step == PROVE and not c.path
        ),
        "",
    )


def _without_regressions(dossier: Dossier) -> Judged:
    topic = "no regression"
    claim = claim_of(dossier, PROVE)
    more: dict[str, object] = {}
    if claim is not None and claim.version is not None:
        stated = next(
            (a for a in claim.version.tracker.assertions if a.kind == "stable" and a.step == PROVE), None
        )
        if stated is not None:
            more = {"claim": f"“{stated.words}”", "line": stated.line}
    if dossier.compared is None:
        if dossier.fixed is None:
            words = "There is no fix yet to compare test runs around."
        else:
            words = f"Upload a test run before {{commit:{dossier.fixed.sha}}} and one from it on, to compare them."
        return judged(dossier, PROVE, topic, Verdict.CLAIMED, words, **more)
    found = dossier.compared.comparison
    links = (("the comparison", "comparison", f"{dossier.compared.before}:{dossier.compared.after}"),)
    worse = [*found.broken, *(c for c in found.silenced if c.before is not None and c.before.outcome.is_good)]
    vanished = [c for c in found.vanished if c.before is not None and c.before.outcome.is_good]
    if worse:
        listed = tests_of(change.test for change in worse)
        words = f"{many(len(worse), 'test')} passed before the fix and not after it: {listed}."
        verdict = Verdict.CONTRADICTED if claim else Verdict.UNCLAIMED
    elif vanished:
        # A later run of fewer tests proves nothing about the others.
        count = len(vanished)
        words = f"{many(count, 'test')} that passed before the fix {are(count)} not in the run after it."
        verdict = Verdict.CLAIMED
    elif not dossier.compared.passed_in_both:
        words = "No test passed in the run before the fix, so none could break: upload a run of more tests."
        verdict = Verdict.CLAIMED
    else:
        count = dossier.compared.passed_in_both
        words = f"{many(count, 'test')} passed before the fix and after it, none broke; {len(found.fixed):,} fixed."
        verdict = Verdict.VERIFIED
    return judged(dossier, PROVE, topic, verdict, words, links=links, **more)
