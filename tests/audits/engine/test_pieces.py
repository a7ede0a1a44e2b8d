"""A document that is written piece by piece."""

from typing import Any

import msgspec
import pytest

from audits.engine.pieces import Gap


@pytest.mark.parametrize("count", [0, 1, 2, 500, 501, 1_500])
def test_a_gap_that_is_filled_is_the_same_bytes_as_in_one_go(count: int) -> None:
    items = [{"n": n, "text": 'a\n"b"\\', "deep": [[], {}, [1, {"x": None}]]} for n in range(count)]
    gap = Gap()

    def document(items: Any) -> dict[str, Any]:
        return {"before": [1], "runs": [{"results": items, "after": "z"}], "last": {}}

    whole = msgspec.json.format(msgspec.json.encode(document(items)), indent=1) + b"\n"
    assert b"".join(gap.filled(document(gap.here), iter(items))) == whole


def test_no_item_is_read_before_it_is_written() -> None:
    gap, read = Gap(), []

    def items() -> Any:
        for n in range(2_000):
            read.append(n)
            yield n

    pieces = gap.filled({"items": gap.here}, items())
    next(pieces)
    assert not read
    next(pieces)
    assert len(read) < 1_000
