"""Who said that a step is completed, first, and that claim beside its evidence."""

from dataclasses import dataclass
from datetime import datetime

from audits.trackers import StepState
from audits.verdicts.dossier import Dossier, Version
from audits.verdicts.judgement import Judged, Verdict


@dataclass(frozen=True, slots=True)
class Claim:
    """Who first said that a step is completed: a tracker's version, or a person."""

    words: str
    at: datetime
    version: Version | None = None
    line: int | None = None

    def judged(self, topic: str, verdict: Verdict, evidence: str, **more: object) -> Judged:
        values: dict[str, object] = {
            "claim": self.words,
            "at": self.at,
            "version": self.version.key if self.version else None,
            "line": self.line,
            **more,
        }
        return Judged(topic, verdict, evidence, **values)  # type: ignore[arg-type]


def claim_of(dossier: Dossier, step: int) -> Claim | None:
    claims = []
    for version in dossier.versions:
        mention = version.tracker.steps.get(step)
        if mention is not None and mention.state is StepState.COMPLETED:
            claims.append(Claim(short(mention.words), version.moment.time, version, mention.line))
            break
    claims += [
        Claim(f"{said.who} says that this step is completed", said.at)
        for said in dossier.said
        if said.step == step
    ]
    return min(claims, key=lambda claim: claim.at, default=None)


def short(words: str) -> str:
    return words if len(words) <= 160 else words[:159] + "…"


def judged(
    dossier: Dossier, step: int, topic: str, verdict: Verdict, evidence: str, **more: object
) -> Judged:
    """A judgement of the claim that a step is completed; one without a claim when nobody said so."""
    claim = claim_of(dossier, step)
    if claim is not None:
        return claim.judged(topic, verdict, evidence, step=step, **more)
    verdict = Verdict.UNCLAIMED if verdict is Verdict.CLAIMED else verdict
    return Judged(topic, verdict, evidence, step=step, **more)  # type: ignore[arg-type]
