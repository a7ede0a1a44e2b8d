"""Sketches: what counts in a body and what doesn't, and where definitions begin and end."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audits.engine.duplicates import likeness_of
from audits.engine.sketches import Sketch, decode_sketches, encode_sketches, sketches_of

BODY = '''
def total(orders, rate):
    """What they come to."""
    result = 0
    for order in orders:
        if order.is_open and order.kind != Kind.GIFT:
            result += order.price * rate  # in cents
        else:
            logger.info("skipped %s", order.name)
            audit.record(order, reason="gift", level=3)
    return round(result, 2)
'''


def only(source: str) -> Sketch:
    (found,) = sketches_of(source.encode())
    return found


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  # in cents", ""),
        ("result", "amount"),
        ("total", "sum_of"),
        ('"skipped %s"', "'left out: %s'"),
        ("level=3", "level=77"),
        ("(order, reason", "(\n                order,\n\n                reason"),
        ('"""What they come to."""', '"""What\n\n    def this(comes): to"""'),
    ],
)
def test_what_does_not_count_in_a_body(old: str, new: str) -> None:
    assert old in BODY
    assert only(BODY.replace(old, new)).digest == only(BODY).digest


@pytest.mark.parametrize(
    ("old", "new"),
    [("round(", "floor("), ("Kind.GIFT", "Kind.LOAN"), ("order.price", "order.cost"), ("not", "")],
)
def test_what_counts_in_a_body(old: str, new: str) -> None:
    changed = BODY.replace("order.is_open and", "not order.is_open and").replace(old, new)
    original = BODY.replace("order.is_open and", "not order.is_open and")
    assert only(changed).digest != only(original).digest
    assert 0.6 < likeness_of(only(changed), only(original)) < 1


def test_where_definitions_begin_and_end_and_what_is_around_them() -> None:
    source = b'''import os
class A(
    Base,
):
    x = """
def no(): pass
"""
    @property
    async def first(self):
        def inner(): return 1
        return inner

    def second(self): pass
# def neither(): pass
def last(): pass'''
    found = [(s.kind, s.name, s.parent, s.line, s.end_line) for s in sketches_of(source)]
    assert found == [
        ("class", "A", -1, 2, 13),
        ("function", "first", 0, 9, 11),
        ("function", "inner", 1, 10, 10),
        ("function", "second", 0, 13, 13),
        ("function", "last", -1, 15, 15),
    ]


def test_a_copied_line_break_changes_nothing() -> None:
    assert sketches_of(BODY.replace("\n", "\r\n").encode()) == sketches_of(BODY.encode())


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300) | st.text("def clas():\n '\"#\\[]{}x=1", max_size=200).map(str.encode))
def test_any_bytes_have_sketches_that_survive_being_kept(data: bytes) -> None:
    found = sketches_of(data)
    assert decode_sketches(encode_sketches(found)) == found
    assert all(-1 <= s.parent < number and s.line <= s.end_line for number, s in enumerate(found))
