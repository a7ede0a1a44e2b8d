"""Documents of issues: what is exported reads back."""

from hypothesis import given
from hypothesis import strategies as st

from audits import documents, trackers
from audits.trackers import StepState

_NAMES = st.from_regex(r"SSOT-[a-z]{1,12}(-[a-z0-9]{1,12}){0,4}", fullmatch=True)


@given(
    title=_NAMES,
    priority=st.integers(0, 3),
    number=st.none() | st.integers(1, 999_999_999),
    with_url=st.booleans(),
    pulls=st.lists(st.integers(1, 999_999), unique=True, max_size=3),
    subjects=st.lists(st.from_regex(r"[a-z]{1,9}\.[A-Z]{1,9}", fullmatch=True), max_size=3),
    completed=st.lists(st.integers(0, 6), unique=True),
)
def test_a_tracker_document_is_read_back_to_the_same_claims(
    title: str,
    priority: int,
    number: int | None,
    with_url: bool,
    pulls: list[int],
    subjects: list[str],
    completed: list[int],
) -> None:
    url = f"https://example.org/o/n/issues/{number}" if with_url and number is not None else ""
    text = documents.tracker_text(
        title=title,
        priority=priority,
        issue=(number, url) if number is not None else None,
        pulls=pulls,
        subjects=subjects,
        completed=completed,
    )
    found = trackers.read(text)
    assert found.title is not None and found.title.words == title
    assert found.priority == priority
    assert (found.issue.number if found.issue is not None else None) == number
    assert {pull.number for pull in found.pulls} == set(pulls)
    expected = {n: StepState.COMPLETED if n in completed else StepState.PENDING for n in range(7)}
    assert {step: mention.state for step, mention in found.steps.items()} == expected


@given(st.text(max_size=300))
def test_text_from_elsewhere_cannot_become_markup(text: str) -> None:
    escaped = documents.escaped(text)
    assert "\n" not in escaped
    assert "<" not in escaped.replace("\\<", "") and "|" not in escaped.replace("\\|", "")


def test_marks_become_short_ids_and_times() -> None:
    text = "Fixed by {commit:" + "a" * 40 + "} at {time:2026-05-04T12:30:00+00:00}; {commit:<b>}"
    assert documents.plain(text) == "Fixed by aaaaaaaaa at 2026-05-04 12:30 UTC; {commit:<b>}"
