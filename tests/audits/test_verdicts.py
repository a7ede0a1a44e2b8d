"""Verdicts: what evidence makes of claims."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from audits import trackers, verdicts
from audits.testruns import Change, Comparison, Outcome, Result
from audits.verdicts import (
    Compared,
    Cousins,
    Dossier,
    FileFact,
    Judged,
    Moment,
    Place,
    Run,
    Said,
    State,
    Verdict,
    Version,
    judge,
)

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


def moment(minutes: int, subject: str = "") -> Moment:
    return Moment(f"{minutes:040x}", NOON + timedelta(minutes=minutes), subject)


def version(text: str, minutes: int = 0, **more: object) -> Version:
    return Version(minutes, moment(minutes), trackers.read(text), **more)  # type: ignore[arg-type]


def found(dossier: Dossier, topic: str) -> Judged:
    items = [item for item in judge(dossier).items if item.topic == topic]
    assert len(items) == 1, items
    return items[0]


AUDITED = Dossier(is_audited=True, is_known=True, ever=2, introduced=moment(-100), fixed=moment(30))
PLACES = (Place("app/a.py", 3), Place("app/b.py", 5))
STEP_0 = "# T\n\n## Step 0: Discover ✅\n"
STEP_2 = (
    "# T\n\n## Step 2: Write tests ✅\n\n- 3 tests in `tests/test_x.py`\n\nThey fail with AttributeError.\n"
)
STEP_4 = "# T\n\n## Step 4: Remediate ✅\n"
STEP_5 = "# T\n\n## Step 5: Prove stability ✅\n\nZero regressions.\n"


def test_without_claims_and_audits_nothing_is_said_to_be_so() -> None:
    result = judge(Dossier())
    assert set(result.steps) == {Verdict.UNCLAIMED}
    assert result.state is State.UNKNOWN and result.contradictions == 0


def test_a_discovery_is_verified_where_the_rule_fires_at_that_commit() -> None:
    dossier = replace(AUDITED, versions=(version(STEP_0, open_places=PLACES),))
    assert judge(dossier).steps[0] is Verdict.VERIFIED
    assert "2 places in 2 files" in found(dossier, "rule fires").evidence


def test_a_discovery_of_nothing_is_contradicted() -> None:
    dossier = replace(AUDITED, versions=(version(STEP_0, open_places=()),))
    assert judge(dossier).steps[0] is Verdict.CONTRADICTED


def test_a_claim_waits_where_nothing_was_audited() -> None:
    dossier = Dossier(versions=(version(STEP_0),))
    assert judge(dossier).steps[0] is Verdict.CLAIMED
    assert "not audited" in found(dossier, "rule fires").evidence


def test_counted_places_stand_beside_those_that_were_found_and_overlooked_ones_are_named() -> None:
    text = "# T\n\n## Step 1: Plan tests ✅\n\n- `app/a.py` (2 usage points)\n"
    places = (Place("app/a.py", 3), Place("app/a.py", 9), Place("app/c.py", 7))
    dossier = replace(AUDITED, versions=(version(text, open_places=places),))
    assert found(dossier, "counted places").verdict is Verdict.VERIFIED
    overlooked = found(dossier, "overlooked places")
    assert overlooked.verdict is Verdict.CONTRADICTED and "app/c.py:7" in overlooked.evidence


@pytest.mark.parametrize(("tests", "verdict"), [(3, Verdict.VERIFIED), (4, Verdict.CONTRADICTED)])
def test_claimed_tests_are_counted_in_the_files(tests: int, verdict: Verdict) -> None:
    files = {"tests/test_x.py": FileFact(exists=True, lines=9, tests=tests)}
    assert (
        found(replace(AUDITED, versions=(version(STEP_2, files=files),)), "counted tests").verdict is verdict
    )


def test_tests_that_never_existed_are_contradicted_and_ones_that_came_later_are_not() -> None:
    absent = {"tests/test_x.py": FileFact(exists=False)}
    there = {"tests/test_x.py": FileFact(exists=True, lines=9, tests=3)}
    never = replace(AUDITED, versions=(version(STEP_2, files=absent),))
    later = replace(AUDITED, versions=(version(STEP_2, files=absent), version(STEP_2, 5, files=there)))
    assert found(never, "new tests").verdict is Verdict.CONTRADICTED
    assert found(later, "new tests").verdict is Verdict.VERIFIED


def test_a_file_that_could_not_be_looked_at_is_not_called_absent() -> None:
    dossier = replace(AUDITED, versions=(version(STEP_2),))
    assert found(dossier, "new tests").verdict is Verdict.CLAIMED


def run(minutes: int, *results: Result) -> Run:
    return Run(minutes, moment(minutes), minutes < 30, {result.test: result for result in results})


FAILS = Result("t::one", Outcome.FAILED, reason="AttributeError")
SETUP = Result("t::two", Outcome.ERROR, phase="setup", reason="TypeError")
OTHER = Result("t::two", Outcome.FAILED, reason="KeyError")
PASSES = Result("t::one", Outcome.PASSED)


@pytest.mark.parametrize(
    ("results", "verdict"),
    [
        ((FAILS,), Verdict.VERIFIED),
        ((FAILS, SETUP), Verdict.CONTRADICTED),
        ((FAILS, OTHER), Verdict.CONTRADICTED),
        ((PASSES,), Verdict.CONTRADICTED),
    ],
)
def test_new_tests_must_fail_before_the_fix_in_their_own_words_for_the_stated_reason(
    results: tuple[Result, ...], verdict: Verdict
) -> None:
    dossier = replace(AUDITED, versions=(version(STEP_2),), runs=(run(10, *results),))
    assert found(dossier, "failing first").verdict is verdict


def test_missing_test_runs_are_asked_for() -> None:
    dossier = replace(AUDITED, versions=(version(STEP_2), version(STEP_5, 40)))
    before, after = found(dossier, "failing first"), found(dossier, "tests pass")
    assert before.verdict is after.verdict is Verdict.CLAIMED
    assert (
        "No test run before the fix" in before.evidence
        and "No test run at or after the fix" in after.evidence
    )


def test_the_fix_is_named_by_content_with_its_distance_to_the_claim_and_whom_it_names() -> None:
    dossier = replace(
        AUDITED,
        numbers=frozenset({883}),
        numbers_of_fix=frozenset({872}),
        versions=(version(STEP_4, 32, open_places=()),),
    )
    gone = found(dossier, "violations gone")
    assert gone.verdict is Verdict.VERIFIED
    assert gone.evidence.endswith("2 minutes before it was said; that commit names #872, not #883.")
    assert gone.evidence in judge(dossier).summary


def test_a_repair_that_was_said_too_early_is_contradicted() -> None:
    dossier = replace(AUDITED, versions=(version(STEP_4, 10, open_places=PLACES),))
    assert found(dossier, "violations gone").verdict is Verdict.CONTRADICTED


def test_a_repair_that_nobody_claims_is_verified_by_evidence_alone() -> None:
    assert judge(AUDITED).steps[4] is Verdict.VERIFIED


def test_what_came_back_contradicts_the_closure() -> None:
    text = STEP_4 + "\n## Step 6: PR and closure ✅\n\nPR #3\n"
    dossier = replace(
        AUDITED, back=moment(90), open_now=PLACES, versions=(version(text, 40, open_places=()),)
    )
    result = judge(dossier)
    assert result.state is State.BACK and result.steps[6] is Verdict.CONTRADICTED
    assert "came back" in found(dossier, "stays gone").evidence


def test_resolved_for_good_is_contradicted_by_what_is_left_of_the_same_definition() -> None:
    text = STEP_4 + "\nDefinitively resolved.\n"
    dossier = replace(
        AUDITED, versions=(version(text, 40, open_places=()),), cousins=Cousins("a.IDType", 58, 18, 58)
    )
    assert found(dossier, "resolved").verdict is Verdict.CONTRADICTED
    assert found(replace(dossier, cousins=Cousins("a.IDType", 0, 0)), "resolved").verdict is Verdict.VERIFIED


@pytest.mark.parametrize(
    ("created", "verdict"), [("2026-05-04", Verdict.VERIFIED), ("2025-05-04", Verdict.CONTRADICTED)]
)
def test_the_date_in_the_text_stands_beside_the_one_of_the_commit(created: str, verdict: Verdict) -> None:
    assert found(Dossier(versions=(version(f"# T\n\nCreated: {created}\n"),)), "created").verdict is verdict


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        ("DISCOVERED", Verdict.CONTRADICTED),
        ("COMPLETED", Verdict.VERIFIED),
    ],
)
def test_the_status_stands_beside_the_document_s_own_steps(status: str, verdict: Verdict) -> None:
    assert (
        found(Dossier(versions=(version(f"# T\n\nStatus: {status}\n{STEP_0[4:]}"),)), "status").verdict
        is verdict
    )


def compared(both: int = 1, **lists: tuple[Change, ...]) -> Compared:
    return Compared(1, 2, Comparison(**lists), both)


BROKEN = (Change("t::one", PASSES, FAILS),)
GONE = (Change("t::one", PASSES, None),)


@pytest.mark.parametrize(
    ("comparison", "verdict"),
    [
        (compared(), Verdict.VERIFIED),
        (compared(broken=BROKEN), Verdict.CONTRADICTED),
        (compared(vanished=GONE), Verdict.CLAIMED),
        (compared(0), Verdict.CLAIMED),
    ],
)
def test_no_regression_is_computed_never_taken_on_trust(comparison: Compared, verdict: Verdict) -> None:
    dossier = replace(AUDITED, versions=(version(STEP_5, 40),), compared=comparison)
    assert found(dossier, "no regression").verdict is verdict


def test_what_a_person_says_is_a_claim_like_any_other() -> None:
    dossier = Dossier(said=(Said(1, 3, NOON, "ada"),))
    assert judge(dossier).steps[3] is Verdict.CLAIMED


def test_an_issue_stands_at_the_first_step_that_is_not_verified() -> None:
    assert judge(AUDITED).stands_at == 1


def test_the_order_of_evidence_in_a_dossier_s_rows_gives_the_same_words_twice() -> None:
    dossier = replace(
        AUDITED, versions=(version(STEP_2), version(STEP_5, 40)), runs=(run(10, FAILS), run(50, PASSES))
    )
    assert verdicts.judge(dossier) == verdicts.judge(dossier)


ACCEPTED = Dossier(is_audited=True, is_known=True, ever=2, introduced=moment(-100), accepted=PLACES)


def test_accepted_places_are_neither_open_nor_gone() -> None:
    result = judge(ACCEPTED)
    assert result.state is State.ACCEPTED
    assert result.steps[4] is Verdict.UNCLAIMED and result.steps[6] is Verdict.UNCLAIMED
    assert result.summary[0] == "2 places are accepted for a while, not gone: app/a.py:3, app/b.py:5."


def test_a_claimed_repair_of_accepted_places_is_neither_verified_nor_contradicted() -> None:
    dossier = replace(ACCEPTED, versions=(version(STEP_4, open_places=PLACES),))
    assert judge(dossier).steps[4] is Verdict.CLAIMED
    assert "not gone" in found(dossier, "violations gone").evidence


def test_what_stands_beside_accepted_places_contradicts_a_claimed_repair() -> None:
    rest = replace(ACCEPTED, accepted=PLACES[:1], open_now=PLACES[1:])
    dossier = replace(rest, versions=(version(STEP_4, open_places=PLACES),))
    assert judge(dossier).state is State.OPEN
    words = found(dossier, "violations gone").evidence
    assert "app/b.py:5" in words and "app/a.py:3" not in words
    assert judge(dossier).steps[4] is Verdict.CONTRADICTED
