"""The structured format: what it accepts, what it refuses, and that reading undoes writing."""

import dataclasses
import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ids import formats
from ids.formats import FormatError, StructuredId, parse, render

LETTERS_AND_DIGITS = string.ascii_lowercase + string.digits


def words(first: str, max_length: int) -> st.SearchStrategy[str]:
    """Words of the grammar, drawn with an independent description of it."""
    inner = st.text(alphabet=LETTERS_AND_DIGITS + "-", max_size=max_length - 1)
    return st.builds(str.__add__, st.sampled_from(first), inner).filter(
        lambda word: "--" not in word and not word.endswith("-")
    )


type_values = words(string.ascii_lowercase, formats.TYPE_MAX_LENGTH)
prefixes = words(LETTERS_AND_DIGITS, formats.PREFIX_MAX_LENGTH)
structured_ids = st.builds(
    StructuredId,
    type=type_values,
    counter=st.integers(1, formats.COUNTER_MAX),
    random=st.text(alphabet="0123456789abcdef", min_size=8, max_size=8),
    prefix=st.none() | prefixes,
)
nearly_ids = st.lists(
    st.one_of(
        type_values,
        st.integers(-(2**70), 2**70).map(str),
        st.text(alphabet="0123456789abcdefABCDEF", max_size=10),
        st.text(max_size=5),
    ),
    max_size=6,
).map("_".join)


@given(structured_ids)
def test_parse_undoes_render(identifier: StructuredId) -> None:
    assert parse(render(identifier)) == identifier


@given(nearly_ids | st.text())
def test_render_undoes_parse_and_garbage_raises_only_the_named_error(text: str) -> None:
    try:
        identifier = parse(text)
    except FormatError as error:
        refusal = error
    else:
        assert render(identifier) == text
        return
    assert refusal.code in {"length", "shape", "prefix", "type", "counter", "random"}
    assert len(refusal.message) < 700


@given(st.none() | st.integers() | st.floats() | st.binary() | st.lists(st.text()) | st.booleans())
def test_a_value_that_is_not_text_raises_only_the_named_error(value: object) -> None:
    with pytest.raises(FormatError) as caught:
        parse(value)  # type: ignore[arg-type]
    assert caught.value.code == "text"


@given(structured_ids, type_values)
@example(StructuredId("run", 17, "9f86d081", prefix="user"), "user")
def test_no_id_parses_as_two_types(identifier: StructuredId, other: str) -> None:
    """Whatever other type one tries to read the text as, only the one that it was rendered with fits."""
    text = render(identifier)
    body = f"_{identifier.counter}_{identifier.random}"
    assert parse(text).type == identifier.type
    fits = [
        word for word in {other, identifier.type, identifier.prefix} if word and _reads_as(text, word, body)
    ]
    assert fits == [identifier.type]


def _reads_as(text: str, type_value: str, body: str) -> bool:
    return text == type_value + body or text.endswith("_" + type_value + body)


@given(type_values, type_values, st.integers(1, 999))
def test_a_prefix_that_is_a_type_word_is_still_the_prefix(prefix: str, type_value: str, counter: int) -> None:
    identifier = parse(f"{prefix}_{type_value}_{counter}_00c0ffee")
    assert (identifier.prefix, identifier.type) == (prefix, type_value)


@given(structured_ids)
def test_an_id_never_passes_the_stated_length(identifier: StructuredId) -> None:
    assert len(render(identifier)) <= formats.MAX_LENGTH


def test_the_longest_id_has_exactly_the_stated_length() -> None:
    longest = StructuredId("a" * 32, formats.COUNTER_MAX, "f" * 8, prefix="a" * 64)
    assert len(str(longest)) == formats.MAX_LENGTH
    assert parse(str(longest)) == longest


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "shape"),
        ("run", "shape"),
        ("run_1", "shape"),
        ("not-an-id", "shape"),
        ("drop-table-users", "shape"),
        ("a_b_run_1_00c0ffee", "shape"),
        ("my_agent_run_1_00c0ffee", "shape"),
        ("run_1_00c0ffee\n", "random"),
        ("\nrun_1_00c0ffee", "type"),
        ("run_1\n_00c0ffee", "counter"),
        (" run_1_00c0ffee", "type"),
        ("run_1_00c0ffe", "random"),
        ("run_1_00c0ffee0", "random"),
        ("run_1_00C0FFEE", "random"),
        ("run_1_00c0ffeg", "random"),
        ("run_1_00c0ffe\N{ARABIC-INDIC DIGIT ONE}", "random"),
        ("run__00c0ffee", "counter"),
        ("run_0_00c0ffee", "counter"),
        ("run_01_00c0ffee", "counter"),
        ("run_-1_00c0ffee", "counter"),
        ("run_+1_00c0ffee", "counter"),
        ("run_1.0_00c0ffee", "counter"),
        ("run_ 1_00c0ffee", "counter"),
        ("run_\N{ARABIC-INDIC DIGIT ONE}_00c0ffee", "counter"),
        ("run_\N{SUPERSCRIPT TWO}_00c0ffee", "counter"),
        (f"run_{2**63}_00c0ffee", "counter"),
        ("run_9999999999999999999_00c0ffee", "counter"),
        ("run_" + "9" * 60 + "_00c0ffee", "counter"),
        ("_1_00c0ffee", "type"),
        ("RUN_1_00c0ffee", "type"),
        ("Run_1_00c0ffee", "type"),
        ("1run_1_00c0ffee", "type"),
        ("-run_1_00c0ffee", "type"),
        ("run-_1_00c0ffee", "type"),
        ("ru--n_1_00c0ffee", "type"),
        ("r\N{LATIN SMALL LETTER U WITH DIAERESIS}n_1_00c0ffee", "type"),
        ("\N{FULLWIDTH LATIN SMALL LETTER R}un_1_00c0ffee", "type"),
        ("r" * 33 + "_1_00c0ffee", "type"),
        ("_run_1_00c0ffee", "prefix"),
        ("A_run_1_00c0ffee", "prefix"),
        ("a b_run_1_00c0ffee", "prefix"),
        ("<script>_run_1_00c0ffee", "prefix"),
        ("a\x00_run_1_00c0ffee", "prefix"),
        ("\ud800_run_1_00c0ffee", "prefix"),
        ("p" * 65 + "_run_1_00c0ffee", "prefix"),
        ("p" * 300 + "_run_1_00c0ffee", "length"),
        ("_" * 100_000, "length"),
    ],
)
def test_what_is_outside_the_grammar_is_refused_with_the_part_that_is_wrong(text: str, code: str) -> None:
    with pytest.raises(FormatError) as caught:
        parse(text)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "parts",
    [
        {"counter": 0},
        {"counter": -1},
        {"counter": 2**63},
        {"counter": True},
        {"counter": "1"},
        {"counter": 1.0},
        {"random": "00C0FFEE"},
        {"random": None},
        {"type": ""},
        {"type": None},
        {"prefix": ""},
        {"prefix": "a_b"},
        {"prefix": 1},
    ],
)
def test_parts_outside_the_grammar_make_no_id(parts: dict[str, object]) -> None:
    sound: dict[str, object] = {"type": "run", "counter": 1, "random": "00c0ffee", "prefix": None}
    with pytest.raises(FormatError) as caught:
        StructuredId(**{**sound, **parts})  # type: ignore[arg-type]
    assert caught.value.code == next(iter(parts))


def test_a_message_names_the_limit_and_quotes_what_is_wrong_on_one_line() -> None:
    with pytest.raises(FormatError, match="at most 64 characters, not 65") as caught:
        parse("p" * 65 + "_run_1_00c0ffee")
    assert caught.value.limit == formats.PREFIX_MAX_LENGTH
    with pytest.raises(FormatError) as caught:
        parse("a\n\x1b[31m\ud800_run_1_00c0ffee")
    assert caught.value.message.isascii() and caught.value.message.isprintable()


def test_an_id_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        parse("run_1_00c0ffee").counter = 2  # type: ignore[misc]
