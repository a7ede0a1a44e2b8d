"""New IDs without a counter: in order where that is promised, and never the same in a parent and its forked child."""

import os
import threading
from collections.abc import Callable

import pytest

from ids import formats, generators

UNCOUNTED = [form.name for form in formats.FORMATS.values() if not form.is_counted]
ORDERED = [form.name for form in formats.FORMATS.values() if form.is_ordered]


def texts(format_name: str, count: int) -> list[str]:
    return [str(generators.new(format_name, "web-hook")) for _ in range(count)]


@pytest.mark.parametrize("format_name", UNCOUNTED)
def test_a_new_id_reads_back_as_its_format(format_name: str) -> None:
    made = generators.new(format_name, "web-hook")
    assert formats.parse(str(made)) == made
    assert made.format == format_name
    assert made.type == ("web-hook" if formats.FORMATS[format_name].carries_type else None)


@pytest.mark.parametrize("format_name", ORDERED)
def test_ids_of_an_ordered_format_sort_in_the_order_of_their_making(format_name: str) -> None:
    made = texts(format_name, 20_000)
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_the_order_holds_when_the_clock_is_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    first = str(generators.new("ulid", "run"))
    monkeypatch.setattr(generators.time, "time_ns", lambda: 1_000_000_000)
    later = texts("ulid", 10)
    assert [first, *later] == sorted({first, *later})


@pytest.mark.parametrize("format_name", UNCOUNTED)
def test_threads_share_no_id_and_each_sees_its_own_in_order(format_name: str) -> None:
    made: list[list[str]] = []
    threads = [threading.Thread(target=lambda: made.append(texts(format_name, 2_000))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({text for each in made for text in each}) == 16_000
    if format_name in ORDERED:
        assert all(each == sorted(each) for each in made)


def _in_child(work: Callable[[], list[str]]) -> list[str]:
    reader, writer = os.pipe()
    if os.fork() == 0:
        try:
            os.write(writer, "\n".join(work()).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as lines:
        answer = lines.read().split()
    os.wait()
    return answer


@pytest.mark.parametrize("format_name", UNCOUNTED)
def test_a_forked_child_makes_none_of_its_parents_ids(
    format_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # all within one millisecond, where a copied state would go on alike
    now = generators.time.time_ns() + 10_000_000_000
    monkeypatch.setattr(generators.time, "time_ns", lambda: now)
    texts(format_name, 1)
    children = [_in_child(lambda: texts(format_name, 500)) for _ in range(3)]
    made = [*texts(format_name, 500), *(text for child in children for text in child)]
    assert len(made) == len(set(made)) == 2_000


def test_a_lock_that_a_thread_holds_during_a_fork_does_not_stop_the_child() -> None:
    with generators._ulids._lock:
        assert len(_in_child(lambda: texts("ulid", 1))) == 1


def test_what_is_not_made_here_is_refused_by_name() -> None:
    with pytest.raises(formats.FormatError, match="typeid, ulid, uuid7, uuid4"):
        generators.new("structured", "run")
    with pytest.raises(formats.FormatError, match="letters and hyphens only"):
        generators.new("typeid", "k8s")
    with pytest.raises(formats.FormatError):
        generators.new("ulid", "no_type")
