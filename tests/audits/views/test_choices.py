"""Choices of a list: from a query string and back."""

from dataclasses import dataclass

from django.http import QueryDict
from hypothesis import given
from hypothesis import strategies as st

from audits.views.choices import Choices, among, parameter


@dataclass(frozen=True, slots=True, kw_only=True)
class Fish(Choices):
    BESIDE = frozenset({"sort"})

    water: str = among({"salt", "fresh"})
    words: str = parameter("q")
    sort: str = among({"name", "size"})


def chosen(query: str) -> Fish:
    return Fish.from_query(QueryDict(query.removeprefix("?")))


def test_an_address_is_read_and_written_back() -> None:
    fish = chosen("?water=salt&q=eel&sort=name&page=3")
    assert fish == Fish(water="salt", words="eel", sort="name", page="3")
    assert fish.query() == "?water=salt&q=eel&sort=name"
    assert fish.query(page="4") == "?water=salt&q=eel&sort=name&page=4"


def test_what_a_parameter_does_not_accept_is_not_chosen() -> None:
    assert chosen("?water=lava&sort=&unknown=1") == Fish()


@given(
    query=st.dictionaries(
        st.sampled_from(["water", "q", "sort", "page", "x"]),
        st.sampled_from(["salt", "fresh", "name", "size"]) | st.text(max_size=60),
    )
)
def test_any_query_string_makes_choices_that_come_back_the_same(query: dict[str, str]) -> None:
    fish = Fish.from_query(query)
    assert chosen(fish.query(page=fish.page)) == fish


def test_another_choice_begins_at_the_first_page() -> None:
    options = chosen("?water=salt&q=eel&page=3").options(
        "water", [("", "All"), ("salt", "Salt"), ("fresh", "Fresh")]
    )
    assert [(o.label, o.query, o.active) for o in options] == [
        ("All", "?q=eel", False),
        ("Salt", "?water=salt&q=eel", True),
        ("Fresh", "?water=fresh&q=eel", False),
    ]


def test_order_narrows_nothing_and_stays_in_the_widest_list() -> None:
    assert not chosen("?sort=name&page=2").is_narrowed
    fish = chosen("?water=salt&q=eel&sort=name")
    assert fish.is_narrowed
    assert fish.widest_query == "?sort=name"


def test_pages_before_and_after_keep_the_choice() -> None:
    turns = chosen("?water=salt&page=2").turns(2)
    assert turns == {"previous_query": "?water=salt", "next_query": "?water=salt&page=3"}
