"""Step 0, discover: the rule fires at the commit that says so."""

from collections.abc import Iterator

from audits.verdicts.claims import claim_of, judged
from audits.verdicts.dossier import DISCOVER, Dossier
from audits.verdicts.judgement import Judged, Verdict
from audits.verdicts.words import many, many_places, when


def discovered(dossier: Dossier) -> Iterator[Judged]:
    if not dossier.is_audited:
        words = "The repository was not audited yet: audit it to see whether the rule fires."
        yield judged(dossier, DISCOVER, "rule fires", Verdict.CLAIMED, words)
        return
    claim = claim_of(dossier, DISCOVER)
    version = claim.version if claim else None
    if version is None or version.open_places is None:
        yield _discovered_ever(dossier)
        return
    count = len(version.open_places)
    at = f"at {{commit:{version.moment.sha}}}"
    if count:
        files = len({place.path for place in version.open_places})
        words = f"{many_places(count)} in {many(files, 'file')} had it {at}."
        if dossier.introduced is not None:
            words += f" The first came with {when(dossier.introduced)}."
        yield judged(dossier, DISCOVER, "rule fires", Verdict.VERIFIED, words)
    else:
        words = f"No place had it {at}."
        yield judged(dossier, DISCOVER, "rule fires", Verdict.CONTRADICTED, words)


def _discovered_ever(dossier: Dossier) -> Judged:
    if dossier.ever:
        words = f"{many_places(dossier.ever)} had it at some time"
        if dossier.introduced is not None:
            words += f"; the first came with {{commit:{dossier.introduced.sha}}}"
        return judged(dossier, DISCOVER, "rule fires", Verdict.VERIFIED, words + ".")
    if dossier.is_known:
        words = "No commit of the history has it."
        verdict = Verdict.CONTRADICTED if claim_of(dossier, DISCOVER) else Verdict.UNCLAIMED
        return judged(dossier, DISCOVER, "rule fires", verdict, words)
    words = "No audited commit has it. Audit the whole history to be sure."
    return judged(dossier, DISCOVER, "rule fires", Verdict.CLAIMED, words)
