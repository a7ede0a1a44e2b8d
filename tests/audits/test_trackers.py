"""Tracker documents as people and agents write them, and what is read from them."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audits import trackers
from audits.trackers import File, StepState, Tracker

COMPLETED, STARTED, PENDING, MENTIONED = (
    StepState.COMPLETED,
    StepState.STARTED,
    StepState.PENDING,
    StepState.MENTIONED,
)


def states(text: str) -> dict[int, StepState]:
    return {step: mention.state for step, mention in trackers.read(text).steps.items()}


HEADER = """# SSOT-regression-two-clocks Progress Tracker

**GitHub Issue:** [#42](https://example.org/acme/app/issues/42)
**Priority:** P1 (HIGH)
**Status:** DISCOVERED
Created: 2025-01-14
*Last Updated*: September 3, 2025
PR: https://example.org/acme/app/pull/57
"""


def test_header_is_read_with_lines() -> None:
    tracker = trackers.read(HEADER)
    assert tracker.title is not None and tracker.title.words == "SSOT-regression-two-clocks Progress Tracker"
    assert tracker.issue == trackers.Reference(42, "https://example.org/acme/app/issues/42", 3)
    assert (tracker.priority, tracker.status) == (1, trackers.Text("DISCOVERED", 5))
    assert tracker.created == (date(2025, 1, 14), 6)
    assert tracker.updated == (date(2025, 9, 3), 7)
    assert [(p.number, p.line) for p in tracker.pulls] == [(57, 8)]
    assert tracker.is_unstructured


@pytest.mark.parametrize(
    ("line", "number"),
    [
        ("**Issue**: #7", 7),
        ("GitHub Issue: https://example.org/a/b/issues/8", 8),
        ("**GitHub Issue:** [#9](https://example.org/a/b/issues/9)", 9),
        ("- **Issue ID:** #10", 10),
    ],
)
def test_issue_line_in_its_spellings(line: str, number: int) -> None:
    issue = trackers.read(f"# T\n\n{line}\n").issue
    assert issue is not None and (issue.number, issue.line) == (number, 3)


@pytest.mark.parametrize(
    ("heading", "state"),
    [
        ("### ✅ STEP 2: WRITE TESTS - COMPLETED", COMPLETED),
        ("### Step 2: ✅ Write tests", COMPLETED),
        ("## **Step 2** - Write tests (DONE)", COMPLETED),
        ("### 🔄 Step 2: write tests (IN PROGRESS)", STARTED),
        ("## STEP 2 RESULTS: batch 1 partial completion", STARTED),
        ("### ⏳ STEP 2: WRITE TESTS", PENDING),
        ("### Step 2: write tests - not completed", PENDING),
        ("### Step 2 is incomplete", PENDING),
        ("## Tests that were written (Step 2)", MENTIONED),
        ("### Step 2: write tests", MENTIONED),
        ("- [x] **Step 2**: tests written", COMPLETED),
        ("- [x] **Step 2**: batch 1 partially complete", STARTED),
        ("- [ ] Step 2: tests", PENDING),
        ("* [ ] Step 2: tests 🔄 in progress", STARTED),
        ("2. **Step 2:** done", COMPLETED),
    ],
)
def test_state_of_a_step_from_words_emoji_and_boxes(heading: str, state: StepState) -> None:
    assert states(f"# T\n{heading}\n") == {2: state}


@pytest.mark.parametrize(
    ("boxes", "state"), [("xx", COMPLETED), ("x ", STARTED), ("  ", PENDING), ("", MENTIONED)]
)
def test_state_from_the_boxes_beneath_a_heading_that_says_nothing(boxes: str, state: StepState) -> None:
    text = "### Step 3: plan\n" + "".join(f"- [{box}] item\n" for box in boxes) + "### Notes\n- [x] other\n"
    assert states(text) == {3: state}


def test_most_advanced_mention_wins_and_keeps_its_line() -> None:
    tracker = trackers.read("- [ ] Step 4: remediate\n\n## STEP 4 - COMPLETED\n\n### Step 4 (pending)\n")
    assert tracker.steps[4].line == 3 and tracker.steps[4].state is COMPLETED
    assert [m.state for m in tracker.mentions] == [PENDING, COMPLETED, PENDING]


def test_part_of_a_step_is_a_start_and_all_parts_are_the_step() -> None:
    assert states("- [x] Step 1.1: discover\n") == {1: STARTED}
    assert states("- [x] Step 1.1: discover\n- [x] Step 1.2: plan\n") == {1: COMPLETED}
    assert states("- [x] Step 1.1: discover\n- [ ] Step 1.2: plan\n") == {1: STARTED}


def test_numbers_beyond_the_seven_steps_are_no_steps() -> None:
    assert states("## Step 7: party ✅\n## Step 12 ✅\n## Step 3-phase plan ✅\n") == {}


def test_code_fences_are_skipped() -> None:
    assert states(
        "```\n# Step 1 ✅\n- [x] Step 2\n```\n~~~~ python\n## Step 3 ✅\n~~~\n~~~~\n## Step 5 ✅\n"
    ) == {5: COMPLETED}


def test_phases_are_steps_only_where_there_is_no_step_and_the_words_agree() -> None:
    phases = (
        "## Phase 0: Discovery ✅\n## Phase 1: Test planning ✅\n## Phase 2: Test creation\n"
        "## Phase 3: Remediation planning\n## Phase 6: PR and closure (pending)\n"
    )
    assert states(phases) == {0: COMPLETED, 1: COMPLETED, 2: MENTIONED, 3: MENTIONED, 6: PENDING}
    assert states(phases + "## Step 4: remediate ✅\n") == {4: COMPLETED}
    assert states("## Phase 1: Import cleanup ✅\n## Phase 2: Removal ✅\n## Phase 3: Rollout ✅\n") == {}


def test_phases_that_are_counted_from_one() -> None:
    text = (
        "## Phase 1: Discovery audit ✅\n## Phase 4: Remediation planning ✅\n"
        "## Phase 5: Remediation execution 🔄\n## Phase 7: PR and closure (pending)\n"
    )
    assert states(text) == {0: COMPLETED, 3: COMPLETED, 4: STARTED, 6: PENDING}


def test_numbered_lists_are_steps_where_words_and_number_agree() -> None:
    text = "- [x] 0) DISCOVER the issue\n- [x] 1) DISCOVER AND PLAN TEST\n2) buy milk\n### 3. PLAN REMEDIATION ✅\n"
    assert states(text) == {0: COMPLETED, 1: COMPLETED, 3: COMPLETED}


def test_counts_carry_unit_and_step() -> None:
    text = (
        "## Step 2\n**4 test files with 26 test methods:**\n"
        "All 1,026 new tests pass; $500 tests; P0 tests\n## Other\n58 references\n"
    )
    found = [(c.number, c.unit, c.step, c.line) for c in trackers.read(text).counts]
    assert found == [
        (4, "test files", 2, 2),
        (26, "tests", 2, 2),
        (1026, "tests", 2, 3),
        (58, "places", None, 5),
    ]


def test_named_files_with_their_lines() -> None:
    text = "- `app/core/ids.py:20-32`\n- `/app/core/ids.py` line 33\n- `a b/c d.py`\n- `not_a_file` and `x.y.Z`\n"
    assert trackers.read(text).files == (
        File("app/core/ids.py", (20, 32), 1, None),
        File("app/core/ids.py", (33, 33), 2, None),
        File("a b/c d.py", None, 3, None),
    )


def test_damage_by_reading_utf8_as_windows_1252_is_undone() -> None:
    text = "### ✅ Step 1 – “done” … 🔄\n"
    # Editors keep the five bytes that Windows-1252 leaves undefined.
    damaged = "".join(
        bytes([b]).decode("cp1252") if b not in {0x81, 0x8D, 0x8F, 0x90, 0x9D} else chr(b)
        for b in text.encode()
    )
    assert trackers.text_of(damaged.encode()) == (text, True)
    assert trackers.text_of(text.encode()) == (text, False)
    assert trackers.text_of("Zoë – naïve".encode()) == ("Zoë – naïve", False)
    assert trackers.text_of(b"caf\xe9") == ("café", False)


@given(st.text())
def test_undamaged_text_stays_as_it_is(text: str) -> None:
    data = text.encode("utf-8", "surrogatepass")
    if "\0" in text:
        with pytest.raises(trackers.TrackerError):
            trackers.text_of(data)
    else:
        read, was_damaged = trackers.text_of(data)
        assert (
            was_damaged
            or read.encode("utf-8", "replace") == data.removeprefix(b"\xef\xbb\xbf")
            or not text.isprintable()
        )


@given(
    st.lists(
        st.sampled_from(
            ["#", "Step ", "0", "1", ")", "- [x] ", "✅", "\n", "```", "`a.py`", "Phase", ":", " 9 tests"]
        )
    )
)
def test_any_text_can_be_read_and_lines_lie_within_it(pieces: list[str]) -> None:
    text = "".join(pieces)
    tracker = trackers.read(text)
    last = text.count("\n") + 1
    assert all(1 <= m.line <= last and 0 <= m.step <= 6 for m in tracker.mentions)
    assert all(1 <= c.line <= last for c in (*tracker.counts, *tracker.files, *tracker.pulls))
    assert trackers.read(text) == tracker


def test_too_long_a_document_is_refused_with_the_limit() -> None:
    with pytest.raises(trackers.TrackerError, match="1,000,000"):
        trackers.read("x" * 1_000_001)


def test_statements_of_a_version_are_what_the_one_before_did_not_say() -> None:
    before = trackers.read("**Status:** DISCOVERED\n## Step 1\n- [ ] a\n12 tests\n")
    after = trackers.read("\n\n**Status:** DISCOVERED\n## Step 1 ✅\n- [ ] a\n12 tests\n26 tests\nPR #3\n")
    said = [(s.kind, s.words, s.line, s.step) for s in trackers.statements(before, after)]
    assert said == [("step", "completed", 4, 1), ("tests", "26 tests", 7, 1), ("pull", "#3", 8, None)]
    assert trackers.statements(after, after) == ()
    first = {s.kind for s in trackers.statements(None, after)}
    assert first == {"status", "step", "tests", "pull"}
    assert trackers.statements(None, Tracker()) == ()


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        # step -> the line that counts for it
        ("## Step 1 ✅\n\n## Step 1\n- [ ] a\n\n## Step 1 COMPLETED\n", {1: 1}),
        (
            "## Step 7 ✅\n## Step 99 ✅\n## Step -1 ✅\n## Step 10000000000000000000 ✅\n## Step 2 ✅\n",
            {2: 5},
        ),
        ("| Step | Status\n|---|\n| Step 1 | ✅ |\n| Step 2 ✅\n|||||\n## Step 3 ✅\n", {1: 3, 2: 4, 3: 6}),
        ("```\n## Step 1 ✅\n", {}),
        ("## Step 1 ✅\r## Step 2 ✅\r\n## Step 3 ✅", {1: 1, 2: 2, 3: 3}),
        ("## Step 0\n- [\n- [y] b\n- [x]\n[[[\n", {0: 1}),
    ],
    ids=["steps twice", "no such steps", "broken table", "fence without end", "line ends", "broken boxes"],
)
def test_of_a_broken_document_is_read_what_can_be_with_its_line(text: str, lines: dict[int, int]) -> None:
    assert {step: mention.line for step, mention in trackers.read(text).steps.items()} == lines


def test_dates_and_numbers_that_there_are_not_are_no_claims() -> None:
    tracker = trackers.read(
        "**Created:** 2025-13-45\n**Last Updated:** February 30, 2025\n**Issue:** #" + "9" * 30 + "\n"
        f"{'9' * 30} tests\n²³ tests\n-5 tests\n"
    )
    assert (tracker.created, tracker.updated, tracker.issue, tracker.counts) == (None, None, None, ())


@pytest.mark.long
@pytest.mark.parametrize(
    "piece",
    ["# Step 0\n", "## Step 1.1\n- [ ] a\n", "# Step 1.1 ✅ Step 1.2 ", "Step 0 ", "[`**(", "# "],
)
def test_the_largest_document_is_read_in_one_pass(piece: str) -> None:
    """In several, it would take minutes."""
    text = "# " + piece * ((trackers.MAX_CHARACTERS - 2) // len(piece))
    assert trackers.read(text).title is not None
