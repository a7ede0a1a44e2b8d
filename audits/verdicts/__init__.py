"""Claims beside evidence -> verdicts. Pure: a dossier in, judgements out.

Nothing here depends on the order in which evidence arrived, and nothing is taken on trust: a step that is said to be
completed is *verified* only when the evidence for it is there and agrees, *contradicted* when any of it disagrees, and
else it is *claimed*, with words for what is missing. Each of the seven steps has a room of its own.
"""

from audits.verdicts.dossier import Compared, Cousins, Dossier, FileFact, Moment, Place, Run, Said, Version
from audits.verdicts.judgement import Judged, Judgement, State, Verdict
from audits.verdicts.judging import judge
from audits.verdicts.write_tests import new_test_files

__all__ = [
    "Compared",
    "Cousins",
    "Dossier",
    "FileFact",
    "Judged",
    "Judgement",
    "Moment",
    "Place",
    "Run",
    "Said",
    "State",
    "Verdict",
    "Version",
    "judge",
    "new_test_files",
]
