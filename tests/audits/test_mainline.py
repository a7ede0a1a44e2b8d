"""How commits of side branches come to the branch's own line."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audits.mainline import reached


def test_a_side_branch_comes_with_its_merge() -> None:
    commits = [
        ("a", [], True),
        ("s", ["a"], False),
        ("b", ["a"], True),
        ("t", ["s"], False),
        ("m", ["b", "t"], True),
    ]
    assert reached(commits) == {"a": "a", "b": "b", "m": "m", "s": "m", "t": "m"}


def test_what_was_never_merged_is_absent() -> None:
    assert reached([("a", [], True), ("s", ["a"], False)]) == {"a": "a"}


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_it_is_the_first_of_the_line_that_has_it_among_its_ancestors(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 12))
    parents: list[list[int]] = [[]]
    parents += [
        data.draw(st.lists(st.integers(0, number - 1), min_size=1, max_size=2, unique=True))
        for number in range(1, count)
    ]
    main, current = set(), count - 1
    while True:
        main.add(current)
        if not parents[current]:
            break
        current = parents[current][0]

    def ancestors(number: int) -> set[int]:
        return {number}.union(*(ancestors(parent) for parent in parents[number]))

    found = reached((str(n), [str(p) for p in parents[n]], n in main) for n in range(count))
    for number in range(count):
        expected = next((str(m) for m in sorted(main) if number in ancestors(m)), None)
        assert found.get(str(number)) == expected
