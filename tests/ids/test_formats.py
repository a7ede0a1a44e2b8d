"""The formats: what they accept, what they refuse, that reading undoes writing, and that no text is in two of them."""

import dataclasses
import re
import string
import uuid
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ids import formats
from ids.formats import FORMATS, FormatError, StructuredId, TypeId, UlidId, Uuid4Id, Uuid7Id, parse, render
from ids.models import IDType

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


def uuids(version: int) -> st.SearchStrategy[uuid.UUID]:
    return st.integers(0, 2**128 - 1).map(
        lambda bits: uuid.UUID(
            int=bits & ~(0xF << 76) & ~(0x3 << 62) | version << 76 | 0x2 << 62,
        )
    )


typeid_types = words(string.ascii_lowercase, formats.TYPE_MAX_LENGTH).filter(
    lambda word: not set(word) & set(string.digits)
)
typeids = st.builds(TypeId, typeid_types, uuids(7))
ulids = st.builds(UlidId, st.integers(0, 2**128 - 1))
identifiers = structured_ids | typeids | ulids | st.builds(Uuid7Id, uuids(7)) | st.builds(Uuid4Id, uuids(4))
nearly_ids = st.lists(
    st.one_of(
        type_values,
        st.integers(-(2**70), 2**70).map(str),
        st.text(alphabet="0123456789abcdefABCDEF", max_size=10),
        st.text(max_size=5),
    ),
    max_size=6,
).map("_".join)


@given(identifiers)
def test_parse_undoes_render(identifier: formats.Identifier) -> None:
    assert parse(render(identifier)) == identifier
    assert type(parse(render(identifier))) is type(identifier)


@st.composite
def damaged_ids(draw: st.DrawFn) -> str:
    """An ID with one character replaced, added or taken away."""
    text = render(draw(identifiers))
    place = draw(st.integers(0, len(text)))
    kept = draw(st.sampled_from([0, 1]))
    put = draw(st.sampled_from(["", "_", "-", "0", "z", "Z", "\n", "\N{KELVIN SIGN}"]) | st.characters())
    return text[:place] + put + text[place + kept :]


@given(nearly_ids | st.text() | damaged_ids())
def test_render_undoes_parse_and_garbage_raises_only_the_named_error(text: str) -> None:
    try:
        identifier = parse(text)
    except FormatError as error:
        refusal = error
    else:
        assert render(identifier) == text
        return
    assert refusal.code in {
        "length", "shape", "prefix", "type", "counter", "random", "base32", "version",
    }  # fmt: skip
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


@given(identifiers, identifiers)
def test_each_pattern_is_exactly_the_grammar(
    identifier: formats.Identifier, other: formats.Identifier
) -> None:
    """The patterns, which legacy formats and the exports are made of, say of each text what parsing says."""
    text, value = render(identifier), other.type or "run"
    for form in FORMATS.values():
        fits = form.name == identifier.format and identifier.type in (None, value)
        assert bool(re.fullmatch(form.pattern_of(value), text)) == fits
    if identifier.type:
        assert re.fullmatch(FORMATS[identifier.format].pattern_of(identifier.type), text)


@given(identifiers)
def test_an_id_never_passes_the_stated_length(identifier: formats.Identifier) -> None:
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
        ("run_01jdz2xq0pfqgrb4v5v7x0a3kC", "base32"),
        ("run_81jdz2xq0pfqgrb4v5v7x0a3kc", "base32"),
        ("run_01jdz2xq0pfqgrb4v5v7x0a3ku", "base32"),
        ("run_00000000000000000000000000", "version"),
        ("run2_01jdz2xq0pfqgrb4v5v7x0a3kc", "type"),
        ("web-hook_01jdz2xq0pfqgrb4v5v7x0a3kc", "type"),
        ("web__hook_01jdz2xq0pfqgrb4v5v7x0a3kc", "type"),
        ("_01jdz2xq0pfqgrb4v5v7x0a3kc", "type"),
        ("a" * 33 + "_01jdz2xq0pfqgrb4v5v7x0a3kc", "type"),
        ("01jdz2xq0pfqgrb4v5v7x0a3kc", "base32"),
        ("81JDZ2XQ0PFQGRB4V5V7X0A3KC", "base32"),
        ("01JDZ2XQ0PFQGRB4V5V7X0A3KI", "base32"),
        ("01JDZ2XQ0PFQGRB4V5V7X0A3K\n", "base32"),
        ("6F1C2B8E-4A53-4C0E-9D5F-0B7A3F0F4A11", "shape"),
        ("6f1c2b8e-4a53-1c0e-9d5f-0b7a3f0f4a11", "version"),
        ("6f1c2b8e-4a53-4c0e-cd5f-0b7a3f0f4a11", "version"),
        ("00000000-0000-0000-0000-000000000000", "version"),
        ("6f1c2b8e4a534c0e9d5f0b7a3f0f4a11", "shape"),
        ("{6f1c2b8e-4a53-4c0e-9d5f-0b7a3f0f4a11}", "shape"),
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


# --- formats without a counter ----------------------------------------------------------------------------------------

# Taken from the descriptions of TypeID, ULID and RFC 9562, so that other programs read the same.
OTHERS_SPELLING = [
    ("prefix_0123456789abcdefghjkmnpqrs", "0110c853-1d09-52d8-d73e-1194e95b5f19"),
    ("01ARZ3NDEKTSV4RRFFQ69G5FAV", "01563e3a-b5d3-d676-4c61-efb99302bd5b"),
    ("7ZZZZZZZZZZZZZZZZZZZZZZZZZ", "ffffffff-ffff-ffff-ffff-ffffffffffff"),
]


def test_ulids_read_as_other_programs_write_them() -> None:
    for text, number in OTHERS_SPELLING[1:]:
        assert parse(text) == UlidId(uuid.UUID(number).int)
        assert render(UlidId(uuid.UUID(number).int)) == text


def test_a_typeid_reads_as_other_programs_write_it() -> None:
    typeid = TypeId("web-hook", uuid.UUID("01890a5d-ac96-774b-bcce-b302099a8057"))
    assert str(typeid) == "web_hook_01h455vb4pex5vsknk084sn02q"
    assert parse("web_hook_01h455vb4pex5vsknk084sn02q") == typeid


def test_a_typeid_of_another_uuid_version_is_refused_by_name() -> None:
    with pytest.raises(FormatError, match="has to be of version 7") as caught:
        parse(OTHERS_SPELLING[0][0])
    assert caught.value.code == "version"


def test_ordered_formats_tell_when_an_id_was_made() -> None:
    # the example of RFC 9562, made at 19:22:22 on the twenty-second of the second month in 2022
    number = uuid.UUID("017f22e2-79b0-7cc3-98c4-dc0c0c07398f")
    made_at = datetime(2022, 2, 22, 19, 22, 22, tzinfo=UTC)
    assert Uuid7Id(number).made_at == TypeId("run", number).made_at == UlidId(number.int).made_at == made_at
    assert UlidId(2**128 - 1).made_at is None  # past the last year that Python knows


def test_a_type_with_digits_has_no_typeids_and_the_message_says_why() -> None:
    with pytest.raises(FormatError, match="letters and hyphens only"):
        formats.check_type_for("typeid", "k8s-pod")
    formats.check_type_for("ulid", "k8s-pod")
    with pytest.raises(FormatError, match="known are structured, typeid, ulid, uuid7, uuid4"):
        formats.check_type_for("uuid9", "run")


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (UlidId, -1),
        (UlidId, 2**128),
        (UlidId, True),
        (UlidId, "1"),
        (Uuid4Id, "x"),
        (Uuid7Id, uuid.UUID(int=1)),
    ],
)
def test_what_is_no_number_of_a_format_makes_no_id(kind: type, value: object) -> None:
    with pytest.raises(FormatError):
        kind(value)


def test_the_registry_offers_exactly_the_formats() -> None:
    assert dict(IDType.Format.choices) == {form.name: form.label for form in FORMATS.values()}


def test_a_reading_shows_how_ids_of_a_type_are_written() -> None:
    assert FORMATS["structured"].reading("web-hook") == "[prefix_]web-hook_counter_hex8"
    assert FORMATS["typeid"].reading("web-hook") == "web_hook_base32"
