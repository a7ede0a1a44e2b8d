"""Step 6, PR and closure: a pull request is named, and the violations have not come back."""

from collections.abc import Iterator

from audits.verdicts.claims import claim_of, judged
from audits.verdicts.dossier import CLOSE, Dossier
from audits.verdicts.judgement import Judged, Verdict
from audits.verdicts.words import accepted, are, many_places, numbers_of, places_of


def closed(dossier: Dossier) -> Iterator[Judged]:
    last = dossier.versions[-1].tracker if dossier.versions else None
    pulls = sorted(dossier.pulls | ({pull.number for pull in last.pulls} if last else set()))
    if pulls or dossier.has_links:
        words = f"Pull request {numbers_of(pulls)} is named" if pulls else "A pull request is linked"
        yield judged(
            dossier, CLOSE, "reference", Verdict.VERIFIED, f"{words}; whether it was merged isn’t known here."
        )
    else:
        yield judged(dossier, CLOSE, "reference", Verdict.CLAIMED, "No pull request is named.")
    claim = claim_of(dossier, CLOSE)
    if not dossier.is_audited:
        yield judged(dossier, CLOSE, "stays gone", Verdict.CLAIMED, "The repository was not audited yet.")
    elif dossier.open_now:
        count = len(dossier.open_now)
        words = f"{many_places(count)} {are(count)} open: {places_of(dossier.open_now)}."
        if dossier.back is not None:
            words = (
                f"It came back with {{commit:{dossier.back.sha}}}, {{time:{dossier.back.time.isoformat()}}}: "
                + words
            )
        verdict = Verdict.CONTRADICTED if claim else Verdict.UNCLAIMED
        yield judged(dossier, CLOSE, "stays gone", verdict, words)
    elif dossier.accepted:
        yield judged(dossier, CLOSE, "stays gone", Verdict.CLAIMED, accepted(dossier))
    elif dossier.ever:
        yield judged(
            dossier,
            CLOSE,
            "stays gone",
            Verdict.VERIFIED,
            "None of its violations is open at the newest audited commit.",
        )
    else:
        yield judged(
            dossier, CLOSE, "stays gone", Verdict.CLAIMED, "No violation of its subjects was ever seen."
        )
