"""The dictionary that facts are kept with."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import zstandard

from audits.engine import dictionary
from audits.engine.extraction import extract
from audits.engine.facts import DICTIONARY, FORMAT, compressed, decode, encode, packed

FACTS = [extract(path.read_bytes()) for path in sorted(Path(dictionary.__file__).parent.glob("*.py"))]


def test_another_dictionary_is_another_format() -> None:
    # Whoever writes another dictionary raises FORMAT: facts that are kept with this one can't be read with that one.
    digest = hashlib.sha256(DICTIONARY.read_bytes()).hexdigest()[:16]
    assert (FORMAT, digest) == (6, "e78a38bedf5b0c1e")
    found = zstandard.ZstdCompressionDict(DICTIONARY.read_bytes())
    assert found.dict_id() == dictionary.dictionary_id()


def test_kept_facts_name_their_dictionary_and_come_back() -> None:
    for facts in FACTS:
        kept = encode(facts)
        assert zstandard.get_frame_parameters(kept).dict_id == dictionary.dictionary_id()
        assert decode(kept) == facts
        assert kept == compressed(packed(facts))


def test_threads_do_not_share_what_they_compress_with() -> None:
    expected = [encode(facts) for facts in FACTS]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(encode, FACTS * 3)) == expected * 3
        assert list(pool.map(decode, expected * 3)) == FACTS * 3


def test_facts_of_another_dictionary_are_an_error() -> None:
    samples = [packed(facts)[start : start + 400] for facts in FACTS for start in range(0, 4_000, 400)]
    other = zstandard.train_dictionary(4_096, samples, dict_id=dictionary.dictionary_id() - 1)
    kept = zstandard.ZstdCompressor(dict_data=other).compress(packed(FACTS[0]))
    with pytest.raises(zstandard.ZstdError):
        decode(kept)


def test_the_same_sources_make_the_same_dictionary(tmp_path: Path) -> None:
    for number in range(40):
        lines = [f"from shop.m{n} import name_{n * number}\nname_{n * number}.value_{n}()" for n in range(80)]
        (tmp_path / f"m{number}.py").write_text("\n".join(lines))
    (tmp_path / "broken.py").write_text("def f(:\n")
    (tmp_path / "no_text.py").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "site-packages").mkdir()
    made = dictionary.dictionary([tmp_path], [tmp_path])
    (tmp_path / "site-packages" / "other.py").write_text("import something_else\n" * 100)
    assert dictionary.dictionary([tmp_path], [tmp_path]) == made
    assert zstandard.ZstdCompressionDict(made).dict_id() == dictionary.dictionary_id()
