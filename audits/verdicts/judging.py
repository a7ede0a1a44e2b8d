"""The whole: every claim beside its evidence, the state that an issue is in, and what a reader should know first."""

from collections.abc import Iterator, Sequence

from audits.trackers import STEPS
from audits.verdicts.claims import claim_of
from audits.verdicts.closure import closed
from audits.verdicts.discover import discovered
from audits.verdicts.dossier import REMEDIATE, Dossier
from audits.verdicts.header import stated
from audits.verdicts.judgement import Judged, Judgement, State, Verdict
from audits.verdicts.plan_remediation import planned
from audits.verdicts.plan_tests import planned_tests
from audits.verdicts.prove_stability import proved
from audits.verdicts.remediate import fixed_by, remediated
from audits.verdicts.words import accepted, are, last_part, many, many_places
from audits.verdicts.write_tests import wrote_tests


def judge(dossier: Dossier) -> Judgement:
    """Lay every claim of a dossier beside its evidence."""
    rules = (discovered, planned_tests, wrote_tests, planned, remediated, proved, closed)
    items = [*stated(dossier)]
    steps = []
    for number, rule in enumerate(rules):
        found = list(rule(dossier))
        items += found
        steps.append(_verdict(number, dossier, found))
    state = _state(dossier, steps)
    return Judgement(tuple(steps), tuple(items), state, tuple(_summary(dossier, steps, items)))


def _verdict(step: int, dossier: Dossier, items: Sequence[Judged]) -> Verdict:
    verdicts = {item.verdict for item in items}
    if Verdict.CONTRADICTED in verdicts:
        return Verdict.CONTRADICTED
    if verdicts == {Verdict.VERIFIED}:
        return Verdict.VERIFIED
    return Verdict.CLAIMED if claim_of(dossier, step) is not None else Verdict.UNCLAIMED


def _state(dossier: Dossier, steps: Sequence[Verdict]) -> State:
    if not dossier.is_audited:
        return State.UNKNOWN
    if dossier.open_now:
        return State.BACK if dossier.back is not None else State.OPEN
    if dossier.accepted:
        return State.ACCEPTED
    if not dossier.ever:
        return State.UNKNOWN
    return State.VERIFIED if all(verdict is Verdict.VERIFIED for verdict in steps) else State.FIXED


def _summary(dossier: Dossier, steps: Sequence[Verdict], items: Sequence[Judged]) -> Iterator[str]:
    if not dossier.is_audited:
        yield "The repository was not audited yet, so nothing can be said about its subjects."
    elif dossier.open_now:
        count = len(dossier.open_now)
        files = len({place.path for place in dossier.open_now})
        words = f"{many_places(count)} in {many(files, 'file')} {are(count)} open"
        if dossier.back is not None:
            words += f": it came back with {{commit:{dossier.back.sha}}} after it had been fixed"
        yield words + "."
        if dossier.accepted:
            yield accepted(dossier)
    elif dossier.accepted:
        yield accepted(dossier)
    elif dossier.fixed is not None:
        claim = claim_of(dossier, REMEDIATE)
        yield fixed_by(dossier, claim.at if claim else None)
    elif dossier.ever:
        yield "None of its violations is open at the audited commit."
    if dossier.cousins is not None and dossier.cousins.places:
        count, definition = dossier.cousins.places, last_part(dossier.cousins.definition)
        yield f"{many_places(count)} of {definition} {are(count)} still wrong in the same way."
    wrong = sum(item.verdict is Verdict.CONTRADICTED for item in items)
    claimed = sum(claim_of(dossier, step) is not None for step in range(len(STEPS)))
    verified = sum(verdict is Verdict.VERIFIED for verdict in steps)
    if claimed:
        yield f"{claimed} of {len(STEPS)} steps are said to be completed, {verified} {are(verified)} verified."
    else:
        yield f"Nobody has claimed a step yet; {verified} of {len(STEPS)} {are(verified)} verified."
    if wrong:
        yield f"{many(wrong, 'statement')} {'is' if wrong == 1 else 'are'} contradicted by evidence."
