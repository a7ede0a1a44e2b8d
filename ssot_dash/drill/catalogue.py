"""All fault cases, by their names."""

from typing import Final

from ssot_dash.drill import cases, fetches, hosts, scarcity
from ssot_dash.drill.trial import Case

_WORK = (
    *(fetches.f1, cases.f2, cases.f3, cases.f4, cases.f5, cases.f6, cases.f7, cases.f8, cases.f9, cases.f10),
    *(cases.f11, cases.f12, cases.f13, scarcity.f14, scarcity.f15, scarcity.f16, fetches.f17, cases.f18),
    *(scarcity.f19, scarcity.f20, hosts.h1, hosts.h2, hosts.h3, hosts.h4),
)

CASES: Final = {work.__name__.upper(): Case(work.__name__.upper(), work) for work in _WORK}
