"""Step 4, remediate: the violations are gone, and which commit did it, whatever its message says."""

from collections.abc import Iterator
from datetime import datetime

from audits.pace import spoken
from audits.verdicts.claims import claim_of, judged
from audits.verdicts.dossier import REMEDIATE, Dossier
from audits.verdicts.judgement import Judged, Verdict
from audits.verdicts.words import accepted, are, many_places, numbers_of, places_of, were


def remediated(dossier: Dossier) -> Iterator[Judged]:
    if not dossier.is_audited:
        words = "The repository was not audited yet."
        yield judged(dossier, REMEDIATE, "violations gone", Verdict.CLAIMED, words)
        return
    claim = claim_of(dossier, REMEDIATE)
    at = claim.version if claim else None
    left = [place for place in (at.open_places if at else None) or () if place not in dossier.accepted]
    if at is not None and left:
        count = len(left)
        where = f"at {{commit:{at.moment.sha}}}: {places_of(left)}"
        words = f"{many_places(count)} {were(count)} still there {where}."
        if dossier.fixed is not None and not dossier.open_now:
            words += f" {fixed_by(dossier)}"
        yield judged(dossier, REMEDIATE, "violations gone", Verdict.CONTRADICTED, words)
    elif dossier.fixed is not None and (not dossier.open_now or dossier.back is not None):
        words = fixed_by(dossier, claim.at if claim else None)
        links = ((f"{{commit:{dossier.fixed.sha}}}", "commit", dossier.fixed.sha),)
        yield judged(dossier, REMEDIATE, "violations gone", Verdict.VERIFIED, words, links=links)
    elif dossier.open_now:
        count = len(dossier.open_now)
        words = f"{many_places(count)} {are(count)} open: {places_of(dossier.open_now)}."
        verdict = Verdict.CONTRADICTED if claim else Verdict.UNCLAIMED
        yield judged(dossier, REMEDIATE, "violations gone", verdict, words)
    elif dossier.accepted:
        yield judged(dossier, REMEDIATE, "violations gone", Verdict.CLAIMED, accepted(dossier))
    elif dossier.ever:
        words = "None is open at the audited commit. Audit the whole history to know which commit did it."
        yield judged(dossier, REMEDIATE, "violations gone", Verdict.VERIFIED, words)
    else:
        words = "No violation of its subjects was ever seen: nothing that could be gone."
        yield judged(dossier, REMEDIATE, "violations gone", Verdict.CLAIMED, words)


def fixed_by(dossier: Dossier, claimed: datetime | None = None) -> str:
    fix = dossier.fixed
    assert fix is not None
    words = f"Fixed by {{commit:{fix.sha}}} at {{time:{fix.time.isoformat()}}}"
    if claimed is not None:
        words += f", {_apart(fix.time, claimed)}"
    others = dossier.numbers_of_fix - dossier.numbers - dossier.pulls
    if others and not dossier.numbers_of_fix & dossier.numbers:
        words += f"; that commit names {numbers_of(others)}"
        if dossier.numbers:
            words += f", not {numbers_of(dossier.numbers)}"
    return words + "."


def _apart(fix: datetime, claim: datetime) -> str:
    if claim >= fix:
        return f"{spoken(claim - fix)} before it was said"
    return f"{spoken(fix - claim)} after it was said"
