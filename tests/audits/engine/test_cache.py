"""The facts cache of terminal audits."""

from pathlib import Path

import pytest

from audits.engine.cache import FileFactsStore, MemoryFactsStore, cache_folder
from audits.engine.facts import FACTS_VERSION


def test_facts_outlive_the_process_that_stored_them(tmp_path: Path) -> None:
    first = FileFactsStore(tmp_path)
    first.put_many({f"{i:040x}": bytes([i % 256]) for i in range(1_500)})
    first.close()
    found = FileFactsStore(tmp_path).get_many([f"{i:040x}" for i in range(1_400, 1_600)])
    assert found == {f"{i:040x}": bytes([i % 256]) for i in range(1_400, 1_500)}


def test_two_processes_may_store_the_same_facts(tmp_path: Path) -> None:
    one, other = FileFactsStore(tmp_path), FileFactsStore(tmp_path)
    one.put_many({"a": b"1"})
    other.put_many({"a": b"1", "b": b"2"})
    assert one.get_many(["a", "b"]) == {"a": b"1", "b": b"2"}


def test_a_damaged_cache_is_replaced(tmp_path: Path) -> None:
    store = FileFactsStore(tmp_path)
    store.put_many({"a": b"1"})
    store.close()
    for leftover in tmp_path.glob("*-wal"):
        leftover.unlink()
    store.path.write_bytes(b"no database at all" * 100)
    assert FileFactsStore(tmp_path).get_many(["a"]) == {}


def test_a_cache_that_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    (tmp_path / f"facts-{FACTS_VERSION}.sqlite3").mkdir()
    with pytest.raises(OSError, match="facts-"):
        FileFactsStore(tmp_path)


def test_the_memory_store_answers_only_what_it_knows() -> None:
    store = MemoryFactsStore()
    store.put_many({"a": b"1"})
    assert store.get_many(["a", "b"]) == {"a": b"1"}


def test_the_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SSOT_CACHE_DIR", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("SSOT_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_folder() == Path("/somewhere/ssot-dash")
