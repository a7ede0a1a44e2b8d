"""The files that a tracker names for a step: whether they are there."""

from collections.abc import Iterable

from audits.verdicts.claims import Claim
from audits.verdicts.dossier import Dossier, FileFact, Version
from audits.verdicts.judgement import Judged, Verdict
from audits.verdicts.words import are, many, names_of


def nothing_named(dossier: Dossier, step: int) -> str:
    if not dossier.versions:
        return "No tracker names files for this step."
    return f"No version of the tracker has step {step} as completed."


def existing(
    dossier: Dossier, claim: Claim, version: Version, named: Iterable[str], step: int, topic: str
) -> Judged:
    """Whether files exist at the version that names them, or at a later one."""
    last = dossier.versions[-1]
    paths = list(dict.fromkeys(named))
    facts = {path: version.files.get(path, FileFact(None)) for path in paths}
    at = f"at {{commit:{version.moment.sha}}}"
    if any(fact.exists is None for fact in facts.values()):
        return claim.judged(topic, Verdict.CLAIMED, f"The files could not be looked at {at}.", step=step)
    absent = [path for path, fact in facts.items() if not fact.exists]
    if not absent:
        count = len(paths)
        words = (
            f"All {count:,} named files are there {at}." if count > 1 else f"The named file is there {at}."
        )
        return claim.judged(topic, Verdict.VERIFIED, words, step=step)
    later = [path for path in absent if (fact := last.files.get(path)) is not None and fact.exists]
    never = [path for path in absent if path not in later]
    if never:
        count = len(never)
        words = (
            f"{many(count, 'named file')} of {len(paths):,} {are(count)} not there {at}: {names_of(never)}."
        )
        return claim.judged(topic, Verdict.CONTRADICTED, words, step=step)
    words = f"Not there {at} yet, but at {{commit:{last.moment.sha}}}: {names_of(later)}."
    return claim.judged(topic, Verdict.VERIFIED, words, step=step)


def is_test(path: str) -> bool:
    name = path.rpartition("/")[2]
    return name.endswith(".py") and (name.startswith("test_") or name.removesuffix(".py").endswith("_test"))
