"""When two IDs of a type could be the same, from the bits of its format and the rate at which it issues. Pure."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ids.formats import Format

RISK: Final = 0.01
_LATEST_YEAR: Final = 9999
_SECONDS_OF_YEAR: Final = 365.25 * 86_400
_TIMED_BITS_ARE_PER_SECOND: Final = 1_000  # ULIDs and UUIDs of version 7 start with the millisecond


@dataclass(frozen=True, slots=True)
class Forecast:
    """When the risk of one duplicate among all IDs of a type reaches 1 %, if it issues on as it did.

    ``ids_at_risk`` is how many IDs that takes (None where only those of the same millisecond can collide), ``reached``
    the day, ``years`` the time until then. Without a day it is past the year 9999, or there is no pace to reckon with.
    """

    bits: int
    is_counted: bool
    is_timed: bool
    ids_at_risk: float | None = None
    years: float | None = None
    reached: datetime | None = None
    is_reached: bool = False


def birthday_bound(bits: int, risk: float = RISK) -> float:
    """How many random numbers of so many bits may be drawn until the risk that two are the same reaches ``risk``.

    n = sqrt(2 H ln(1 / (1 - p))) with H = 2**bits: the inverse of p = 1 - exp(-n² / 2H), the usual approximation of the
    birthday problem (W. Feller, An Introduction to Probability Theory and Its Applications, volume 1, II.3; also
    "Birthday attack" in Wikipedia, section "Mathematics"). Of 32 bits 9,292 numbers reach 1 %.
    """
    return math.sqrt(2 * 2.0**bits * -math.log1p(-risk))


def seconds_until_timed_risk(bits: int, per_second: float, risk: float = RISK) -> float:
    """The same for IDs that start with the millisecond: how long issuing at a steady rate takes to reach ``risk``.

    Only IDs of one millisecond can be the same. At r IDs a second r²/2000 pairs a second share one (arrivals of a
    Poisson process), each being equal with the odds 2**-bits, so the risk is 1 - exp(-t r² / (2000 * 2**bits)). Within
    one process the generators count up and never repeat, so that this is an upper bound.
    """
    pairs_a_second = per_second**2 / (2 * _TIMED_BITS_ARE_PER_SECOND)
    return -math.log1p(-risk) * 2.0**bits / pairs_a_second


def forecast(id_format: Format, issued: int, per_day: float | None, now: datetime) -> Forecast:
    """The forecast of a type that has issued ``issued`` IDs and goes on with ``per_day`` a day; None: nobody knows."""
    bits = id_format.random_bits
    if id_format.is_counted:
        return Forecast(bits, is_counted=True, is_timed=False)
    if id_format.is_ordered:
        if not per_day:
            return Forecast(bits, is_counted=False, is_timed=True)
        seconds = seconds_until_timed_risk(bits, per_day / 86_400)
        return _at(Forecast(bits, is_counted=False, is_timed=True), seconds, now)
    limit = birthday_bound(bits)
    known = Forecast(bits, is_counted=False, is_timed=False, ids_at_risk=limit, is_reached=issued >= limit)
    if not per_day or known.is_reached:
        return known
    return _at(known, (limit - issued) / per_day * 86_400, now)


def _at(known: Forecast, seconds: float, now: datetime) -> Forecast:
    years = seconds / _SECONDS_OF_YEAR
    reached = now + timedelta(seconds=seconds) if now.year + years < _LATEST_YEAR - 1 else None
    return Forecast(
        known.bits,
        is_counted=False,
        is_timed=known.is_timed,
        ids_at_risk=known.ids_at_risk,
        years=years,
        reached=reached,
    )
