"""Facts in PostgreSQL: many at a time, kept apart by version, and two writers never in each other's way."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from audits.facts_store import PostgresFactsStore
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
