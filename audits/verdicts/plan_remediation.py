"""Step 3, plan remediation: the named files and lines are there."""

from collections.abc import Iterator

from audits.verdicts.claims import claim_of, judged
from audits.verdicts.dossier import PLAN, Dossier
from audits.verdicts.judgement import Judged, Verdict
from audits.verdicts.named_files import existing, nothing_named
from audits.verdicts.words import many


def planned(dossier: Dossier) -> Iterator[Judged]:
    claim = claim_of(dossier, PLAN)
    version = claim.version if claim else None
    if claim is None or version is None:
        yield judged(dossier, PLAN, "named places", Verdict.CLAIMED, nothing_named(dossier, PLAN))
        return
    named = [file for file in version.tracker.files if file.step == PLAN]
    if not named:
        words = "It names no file: nothing to check."
        yield claim.judged("named places", Verdict.CLAIMED, words, step=PLAN)
        return
    yield existing(dossier, claim, version, (file.path for file in named), PLAN, "named places")
    for file in named:
        fact = version.files.get(file.path)
        if (
            file.lines is not None
            and fact is not None
            and fact.lines is not None
            and file.lines[1] > fact.lines
        ):
            words = f"The file has {many(fact.lines, 'line')} at {{commit:{version.moment.sha}}}."
            claimed = f"{file.path}, line {file.lines[1]:,}"
            yield claim.judged(
                "named places", Verdict.CONTRADICTED, words, step=PLAN, claim=claimed, line=file.line
            )
