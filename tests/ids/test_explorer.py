"""The explorer: every kind of text gets a verdict, a reason and its parts; looking changes nothing."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from ids import client, diagnosis, formats, leasing, validation
from ids.explorer import MOST_TEXTS, VERDICTS, Reading, read_all, read_one
from ids.models import IDType, IssuedID, LegacyFormat, LegacyHits

PAGE = "/ids/explore/"
TYPEID = "web_hook_01h455vb4pex5vsknk084sn02q"


@pytest.fixture
def some_ids(canonical_types: None) -> None:
    run = IDType.objects.get(value="run")
    IDType.objects.create(value="web-hook", description="A call.", format="typeid", owner="Platform")
    context = {"thread": "thread_1_00c0ffee", "note": "<b>"}
    IssuedID.objects.create(id="user_run_1_00c0ffee", type=run, counter=1, prefix="user", context=context)
    IssuedID.objects.create(id="run_2_00c0ffee", type=run, counter=2, state="released")
    IssuedID.objects.create(id="01JDZ2XQ0PFQGRB4V5V7X0A3KC", type=run)
    today = datetime.now(UTC).date()
    for name, pattern, example, value, days in (
        ("Old runs", "run-(?P<random>[0-9a-f]{4})", "run-00ff", "run", 9),
        ("Older runs", "r[0-9]{3}", "r001", "run", -9),
        ("Users", "[a-z]0{3}", "u000", "user", 9),
        ("Agents", "[t-z]0{3}", "z000", "agent", 9),
    ):
        LegacyFormat.objects.create(
            name=name,
            pattern=pattern,
            example=example,
            type=IDType.objects.get(value=value),
            sunset=today + timedelta(days=days),
        )


def read(text: str) -> Reading:
    (reading,) = read_all([text])
    return reading


@pytest.mark.parametrize(
    ("text", "verdict", "reason", "type_value"),
    [
        ("user_run_1_00c0ffee", "active", "It was issued here", "run"),
        ("run_2_00c0ffee", "released", "never issued again", "run"),
        ("run_3_00c0ffee", "unrecorded", "no record of it", "run"),
        ("01JDZ2XQ0PFQGRB4V5V7X0A3KC", "active", "It was issued here", "run"),
        ("01JDZ2XQ0PFQGRB4V5V7X0A3KD", "unrecorded", "says nothing of its type", None),
        (TYPEID, "unrecorded", "no record of it", "web-hook"),
        ("web-hook_7_00c0ffee", "unrecorded", "are written as TypeID now", "web-hook"),
        ("rum_3_00c0ffee", "unknown-type", 'The nearest is "run"', None),
        ("6f1c2b8e-4a53-4c0e-9d5f-0b7a3f0f4a11", "unrecorded", "A UUIDv4 says nothing", None),
        ("run-00ff", "legacy", 'in the legacy format "Old runs", which is accepted until', "run"),
        ("r123", "legacy-over", "whose last day was", "run"),
        ("u000", "ambiguous", '"Users" of user', None),
        ("not-an-id", "invalid", "has the shape of no ID", None),
        ("drop-table-users", "invalid", "has the shape of no ID", None),
        ("run_0_00c0ffee", "invalid", "without a leading zero", None),
        ("", "invalid", "has the shape of no ID", None),
        ("x" * 10_000, "invalid", "at most 126 characters", None),
        ("\x00", "invalid", "shape of no ID", None),
        ("\ud800", "invalid", "shape of no ID", None),
    ],
)
def test_each_text_gets_a_verdict_and_the_reason(
    some_ids: None, text: str, verdict: str, reason: str, type_value: str | None
) -> None:
    reading = read(text)
    assert (reading.verdict, reading.id_type.value if reading.id_type else None) == (verdict, type_value)
    assert reason in reading.reason
    assert reading.verdict in VERDICTS


def test_a_former_format_that_is_kept_is_legacy_and_any_other_isnt_of_the_type(some_ids: None) -> None:
    text = "web-hook_7_00c0ffee"
    before = validation.validate(text)
    assert before.is_format.holds and not before.is_type.holds
    assert "are written as TypeID" in before.is_type.says
    LegacyFormat.objects.create(
        name="Structured hooks",
        type=IDType.objects.get(value="web-hook"),
        pattern=formats.FORMATS["structured"].pattern_of("web-hook"),
        example=formats.example("structured", "web-hook"),
        sunset=datetime.now(UTC).date(),
    )
    assert read(text).verdict == "legacy"
    after = validation.validate(text)
    assert (after.is_type.holds, after.format, after.type) == (True, "legacy", "web-hook")
    assert LegacyHits.objects.get().accepted == 1
    LegacyFormat.objects.filter(name="Structured hooks").update(sunset="2020-01-01")
    assert not validation.validate(text).is_format.holds
    assert read(text).verdict == "legacy-over"


def test_what_has_a_record_stays_valid_in_a_former_format(some_ids: None) -> None:
    IDType.objects.filter(value="run").update(format="typeid")
    assert validation.validate("user_run_1_00c0ffee", "run").is_type.holds
    assert read("user_run_1_00c0ffee").verdict == "active"


@pytest.mark.django_db(transaction=True)
def test_an_id_in_a_clients_block_is_known_as_such(registry: Any) -> None:
    block = leasing.lease("run", 10)
    text = f"run_{block.start}_{client.random_parts(block.seed, 10)[:8]}"
    assert read_one(text).verdict == "leased"
    assert [row.verdict for row in read_all([text, "run_900_00c0ffee", "x"])] == [
        "leased",
        "unrecorded",
        "invalid",
    ]
    assert read_one(f"run_{block.start}_00000000").verdict == "unrecorded"


def test_relations_lead_to_the_other_ids(some_ids: None) -> None:
    run = IDType.objects.get(value="run")
    IssuedID.objects.create(
        id="run_9_00c0ffee", type=run, counter=9, parent_id="user_run_1_00c0ffee", owner="ada"
    )
    IssuedID.objects.filter(pk="user_run_1_00c0ffee").update(parent_id="thread_1_00c0ffee")
    inner = read_one("run_9_00c0ffee")
    assert inner.parents == ("user_run_1_00c0ffee", "thread_1_00c0ffee")
    assert read_one("user_run_1_00c0ffee").children == ("run_9_00c0ffee",)


def test_parts_are_named_in_words(some_ids: None) -> None:
    def parts(text: str) -> dict[str, str]:
        return {part.name: part.text for part in read(text).parts}

    assert parts("user_run_1_00c0ffee") == {
        "prefix": "user", "type": "run", "counter": "1", "random": "00c0ffee",
    }  # fmt: skip
    assert parts(TYPEID)["type"] == "web-hook"
    assert parts(TYPEID)["time"].startswith("2023-06-30")
    assert parts("017f22e2-79b0-7cc3-98c4-dc0c0c07398f")["time"] == "2022-02-22 19:22:22.000 UTC"
    assert parts("7ZZZZZZZZZZZZZZZZZZZZZZZZZ")["time"] == "after the year 9999"
    assert parts("run-00ff") == {"random": "00ff"}


def test_a_list_takes_a_bounded_number_of_queries(some_ids: None, django_assert_max_num_queries: Any) -> None:
    texts = [f"run_{n}_00c0ffee" for n in range(500)] + ["r123", "rum_1_00c0ffee", "nonsense", "run-00ff"]
    with django_assert_max_num_queries(5):
        assert len(read_all(texts)) == 504


def test_looking_counts_and_changes_nothing(some_ids: None) -> None:
    read_all(["run-00ff", "user_run_1_00c0ffee"])
    assert not LegacyHits.objects.exists()
    assert IssuedID.objects.count() == 3


# --- what it comes closest to -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "closest"),
    [
        (" run_17_9f86d081\n", "run_17_9f86d081"),
        ('"run_17_9f86d081",', "run_17_9f86d081"),
        ("RUN_17_9F86D081", "run_17_9f86d081"),
        ("run-17-9f86d081", "run_17_9f86d081"),
        ("run_0017_9f86d081", "run_17_9f86d081"),
        ("my_agent_run_17_9f86d081", "my-agent-run_17_9f86d081"),
        ("6F1C2B8E-4A53-4C0E-9D5F-0B7A3F0F4A11", "6f1c2b8e-4a53-4c0e-9d5f-0b7a3f0f4a11"),
        ("6f1c2b8e4a534c0e9d5f0b7a3f0f4a11", "6f1c2b8e-4a53-4c0e-9d5f-0b7a3f0f4a11"),
        ("{6f1c2b8e-4a53-4c0e-9d5f-0b7a3f0f4a11}", "6f1c2b8e-4a53-4c0e-9d5f-0b7a3f0f4a11"),
        ("urn:uuid:6f1c2b8e-4a53-4c0e-9d5f-0b7a3f0f4a11", "6f1c2b8e-4a53-4c0e-9d5f-0b7a3f0f4a11"),
        ("01jdz2xq0pfqgrb4v5v7x0a3kc", "01JDZ2XQ0PFQGRB4V5V7X0A3KC"),
        ("O1JDZ2XQOPFQGRB4V5V7X0A3KC", "01JDZ2XQ0PFQGRB4V5V7X0A3KC"),
        ("web-hook_01h455vb4pex5vsknk084sn02q", TYPEID),
    ],
)
def test_a_text_that_is_nearly_an_id_leads_to_it(text: str, closest: str) -> None:
    assert closest in [guess.text for guess in diagnosis.closest(text)]


def test_what_is_near_to_nothing_leads_nowhere() -> None:
    for text in ("not-an-id", "", "drop-table-users", "_" * 300, "x" * 100_000):
        assert diagnosis.closest(text) == []


@given(st.text(max_size=200))
def test_every_guess_is_an_id_and_another_text(text: str) -> None:
    for guess in diagnosis.closest(text):
        assert guess.text != text
        formats.parse(guess.text)


# --- the page ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def reader(client: Client, some_ids: None) -> Client:
    client.force_login(User.objects.create_user("reader"))
    return client


def test_the_page_explains_an_id_from_the_url(reader: Client) -> None:
    page = reader.get(PAGE, {"id": "user_run_1_00c0ffee"})
    assert "Issued and active" in page.text
    assert "&lt;b&gt;" in page.text and "thread_1_00c0ffee" in page.text
    assert 'href="/ids/run/"' in page.text
    assert "What the caller put before it" in page.text


def test_without_an_id_the_page_asks_for_one(reader: Client) -> None:
    page = reader.get(PAGE)
    assert page.status_code == 200 and page.context["readings"] == []


def test_a_list_is_posted_and_each_line_is_judged(reader: Client) -> None:
    page = reader.post(PAGE, {"ids": "run_2_00c0ffee\r\n\r\n  nonsense \nrun-17-9f86d081\n"})
    assert [r.verdict for r in page.context["readings"]] == ["released", "invalid", "invalid"]
    assert "run_17_9f86d081" in page.text


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", "\x00", "é" * 500, "%00", "run_1_00c0ffee\n", "'; DROP TABLE x"]
)
def test_whatever_is_asked_for_is_answered_and_escaped(reader: Client, text: str) -> None:
    page = reader.get(PAGE, {"id": text})
    assert page.status_code == 200
    assert "<script>alert(1)" not in page.text
    assert reader.post(PAGE, {"ids": text}).status_code == 200


def test_too_much_is_refused_with_the_limit(reader: Client) -> None:
    page = reader.post(PAGE, {"ids": "a\n" * (MOST_TEXTS + 1)})
    assert page.status_code == 400 and "1,000 are looked at together" in page.text
    assert reader.get(PAGE, {"id": "a" * 2_001}).status_code == 400
    assert reader.post(PAGE, {"ids": "a" * 500_000}).status_code == 400


def test_the_page_takes_a_bounded_number_of_queries(
    reader: Client, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(9):
        reader.get(PAGE, {"id": "user_run_1_00c0ffee"})


def test_an_id_of_each_format_is_explained_on_its_page(reader: Client) -> None:
    for name in formats.FORMATS:
        text = formats.example(name, "web-hook")
        assert reader.get(PAGE, {"id": text}).status_code == 200
    assert str(uuid.UUID("01890a5d-ac96-774b-bcce-b302099a8057")) in reader.get(PAGE, {"id": TYPEID}).text
