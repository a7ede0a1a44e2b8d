"""All fault cases, by their names."""

from typing import Final

from ssot_dash.drill import cases
from ssot_dash.drill.trial import Case

_WORK = (cases.f2, cases.f3, cases.f4, cases.f6, cases.f7, cases.f18)

CASES: Final = {work.__name__.upper(): Case(work.__name__.upper(), work) for work in _WORK}
