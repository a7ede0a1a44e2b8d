"""A choice of violations and its query string are two forms of the same thing."""

from django.http import QueryDict
from hypothesis import given
from hypothesis import strategies as st

from audits.engine.findings import Annotation, Severity, Zone
from audits.views.violation_filter import GROUP_SORTS, PLACE_SORTS, STATES, ViolationFilter

words = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30).map(str.strip)
names = words.filter(lambda text: bool(text) and ":" not in text)


def some(values: list[str]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(values), unique=True, max_size=3).map(tuple)


@st.composite
def choices(draw: st.DrawFn) -> ViolationFilter:
    flat = draw(st.booleans())
    column = draw(st.sampled_from(["", *(PLACE_SORTS if flat else GROUP_SORTS)]))
    return ViolationFilter(
        state=draw(st.sampled_from(list(STATES))),
        rules=draw(st.lists(names, unique=True, max_size=3).map(tuple)),
        zones=draw(some(list(Zone))),
        severities=draw(some(list(Severity))),
        annotations=draw(some([*Annotation, "none"])),
        words=draw(words),
        subject=draw(words),
        flat=flat,
        sort=draw(st.sampled_from([column, f"-{column}"])) if column else "",
        opened=draw(st.lists(st.tuples(names, words), unique=True, max_size=3).map(tuple)),
        page=draw(st.integers(1, 10**6)),
    )


@given(choices())
def test_query_string_of_a_choice_reads_back_as_that_choice(choice: ViolationFilter) -> None:
    assert ViolationFilter.from_query(QueryDict(choice.query().removeprefix("?"))) == choice


@given(st.text(max_size=200))
def test_any_query_string_reads_as_some_choice_that_is_stable(text: str) -> None:
    choice = ViolationFilter.from_query(QueryDict(text))
    assert ViolationFilter.from_query(QueryDict(choice.query().removeprefix("?"))) == choice


def test_default_choice_has_an_empty_query_string() -> None:
    assert ViolationFilter().query() == "?"


def test_first_click_sorts_numbers_downwards_and_words_upwards_and_a_second_turns_it_round() -> None:
    choice = ViolationFilter()
    assert choice.sort_query("places") == "?sort=-places"
    assert choice.sort_query("subject") == "?sort=subject"
    assert ViolationFilter(sort="-places").sort_query("places") == "?sort=places"
    assert choice.sort_query("severity") == "?sort=-severity"  # the list is by severity already


def test_toggling_a_subject_twice_leads_back() -> None:
    group = ("missing-member", "app.ids.IDType.RUN")
    opened = ViolationFilter.from_query(QueryDict(ViolationFilter().toggle_query(group)[1:]))
    assert opened.opened == (group,)
    assert opened.toggle_query(group) == "?"
