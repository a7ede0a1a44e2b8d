"""The measurements of the ID service, in small: they run, and through kills and crashes no ID comes twice."""

import pytest

from ids import benchmarks
from ids.models import IssuedID
from ssot_dash import scratch


@pytest.mark.long
def test_no_id_comes_twice_through_a_kill_and_a_crash_of_the_database() -> None:
    with scratch.site() as site:
        found = scratch.crash(site, 6_000, processes=3, faults=2)
    assert found.logged >= 6_000 and (found.kills, found.crashes) == (1, 1)
    assert (found.duplicates, found.lost) == (0, 0)


def test_every_figure_is_measured_beside_a_peer(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmarks, "_TURNS", 1)
    figures = list(benchmarks.figures())
    assert len(figures) == 7 and all(figure.rate > 0 and figure.peer_rate > 0 for figure in figures)
    assert IssuedID.objects.filter(type__value=benchmarks.TYPE).exists()
