"""Makes the dictionary that facts are compressed with, from the facts of Python's standard library and of this project.

``python -m audits.engine.dictionary`` writes it anew: the same bytes for the same sources. Raise ``FORMAT`` in
``facts.py`` first: facts that were kept with another dictionary can't be read.
"""

import sysconfig
from collections.abc import Iterator
from pathlib import Path

import zstandard

from audits.engine.extraction import extract
from audits.engine.facts import DICTIONARY, FORMAT, packed
from audits.engine.native_extraction import NativeExtractor
from audits.engine.syntax import NewerSyntaxError, NotSourceError

# A larger one gains less than a hundredth.
SIZE = 110 * 1024
_PROJECT = Path(__file__).resolve().parent.parent.parent
_OWN = ("audits", "ids", "ssot_dash", "tests")
_INSTALLED = {"site-packages", "dist-packages"}


def dictionary(libraries: list[Path], own: list[Path]) -> bytes:
    """A dictionary of the facts of all Python files of some folders, of which our ``own`` weigh twice: they are
    nearer to what people write today."""
    native = NativeExtractor()
    samples: list[bytes | bytearray | memoryview[int]] = []
    for folder in (*libraries, *own, *own):
        samples += _facts(folder, native)
    # With the parameters given, nothing is tried out: one thread and one result.
    return zstandard.train_dictionary(SIZE, samples, k=200, d=8, level=6, dict_id=dictionary_id()).as_bytes()


def dictionary_id() -> int:
    """The id of the dictionary of this format; kept facts name it. Ids below 32,768 are for private use."""
    return 100 * FORMAT


def _facts(folder: Path, native: NativeExtractor) -> Iterator[bytes]:
    for path in sorted(folder.rglob("*.py")):
        if _INSTALLED.isdisjoint(path.relative_to(folder).parts):
            data = path.read_bytes()
            facts = native.facts(data)
            if facts is None:
                try:
                    facts = packed(extract(data))
                except (NewerSyntaxError, NotSourceError, RecursionError):
                    continue
            yield facts


def main() -> None:
    DICTIONARY.write_bytes(
        dictionary([Path(sysconfig.get_path("stdlib"))], [_PROJECT / name for name in _OWN])
    )


if __name__ == "__main__":
    main()
