"""Facts in PostgreSQL: many at a time, kept apart by version, and two writers never in each other's way."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from audits import facts_store
from audits.engine.facts import FACTS_VERSION, FORMAT
from audits.facts_store import PostgresFactsStore, forget_old_facts
from audits.models import BlobFacts


def facts_of(numbers: range, data: bytes = b"\x00facts\xff") -> dict[str, bytes]:
    return {f"{number:040x}": data for number in numbers}


@pytest.mark.django_db
def test_what_was_put_is_got() -> None:
    store = PostgresFactsStore()
    many = facts_of(range(5_000))
    store.put_many(many)
    assert store.get_many(["f" * 40, *many]) == many


@pytest.mark.django_db
def test_nothing_is_put_and_got() -> None:
    store = PostgresFactsStore()
    store.put_many({})
    assert store.get_many([]) == {}


@pytest.mark.django_db
def test_what_is_known_stays_as_it_is() -> None:
    store = PostgresFactsStore()
    store.put_many(facts_of(range(2), b"old"))
    store.put_many(facts_of(range(1, 3), b"new"))
    assert set(store.get_many(list(facts_of(range(3)))).values()) == {b"old", b"new"}
    assert store.get_many([f"{1:040x}"]) == {f"{1:040x}": b"old"}


@pytest.mark.django_db
def test_versions_do_not_mix() -> None:
    PostgresFactsStore(1).put_many(facts_of(range(2)))
    assert PostgresFactsStore(2).get_many(list(facts_of(range(2)))) == {}


@pytest.mark.django_db(transaction=True)
def test_writers_of_the_same_facts_do_not_deadlock() -> None:
    many = facts_of(range(3_000))
    backwards = dict(reversed(many.items()))
    barrier = threading.Barrier(4)

    def write(facts: dict[str, bytes]) -> None:
        try:
            barrier.wait()
            PostgresFactsStore().put_many(facts)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        for written in [pool.submit(write, facts) for facts in (many, backwards, many, backwards)]:
            written.result()
    assert BlobFacts.objects.count() == 3_000


# --- Results ------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_the_last_results_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts_store, "RESULTS", 3)
    store = PostgresFactsStore()
    for number in range(5):
        store.put_result(str(number), bytes([number]))
    store.put_result("2", b"new")
    assert [store.get_result(str(number)) for number in range(6)] == [None, None, b"new", b"\3", b"\4", None]
    store.put_result("5", b"\5")
    assert [store.get_result(str(number)) for number in range(6)] == [None, None, b"new", None, b"\4", b"\5"]


@pytest.mark.django_db
def test_results_take_a_bounded_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts_store, "RESULT_BYTES", 10)
    store = PostgresFactsStore()
    for key, size in (("a", 3), ("b", 4), ("c", 6), ("too large", 11)):
        store.put_result(key, bytes(size))
    assert [store.get_result(key) for key in ("a", "b", "c", "too large")] == [None, bytes(4), bytes(6), None]


@pytest.mark.django_db
def test_facts_of_former_formats_go_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts_store, "TIDY_CHUNK", 100)
    facts = {f"{number:02x}" * 20: b"x" for number in range(0, 240, 4)}
    old, now, other = (PostgresFactsStore(v) for v in (100 * FORMAT - 1, FACTS_VERSION, 100 * FORMAT + 99))
    for store in (old, now, other):
        store.put_many(facts)
    forget_old_facts()
    assert BlobFacts.objects.filter(version__lt=100 * FORMAT).count() >= 60 - 34
    for _ in range(200):
        forget_old_facts()
    assert not BlobFacts.objects.filter(version__lt=100 * FORMAT).exists()
    assert now.get_many(list(facts)) == other.get_many(list(facts)) == facts


@pytest.mark.django_db
def test_any_place_may_be_where_former_facts_are_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts_store.secrets, "choice", lambda places: places[1])
    PostgresFactsStore(100 * FORMAT - 1).put_many({"f" * 40: b"x"})
    forget_old_facts()
    assert not BlobFacts.objects.exists()
