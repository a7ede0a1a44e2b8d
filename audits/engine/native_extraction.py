"""The native extractor: the same facts as ``extraction.py`` gives, several times sooner.

``native/facts.c`` is a parser and a port of the walk, compiled to WebAssembly: no memory but its own, no system call,
a bounded size, so that hostile bytes can spoil nothing but their own answer. Whatever it will not answer for (it says
so by a trap), and whatever a complete parser finds an error in, is left to ``extraction.py``, which stays the
reference.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from audits.engine.syntax import is_valid

try:
    import wasmtime
except ImportError:  # no wheel for this platform
    wasmtime = None  # type: ignore[assignment]

MODULE = Path(__file__).parent / "native" / "facts.wasm"
# Addresses that an instance's memory may come to take; the module's own limit (build.sh) is lower.
RESERVATION = 1024**3
# Larger files are rare, and their tree may not fit into the memory.
MAX_BYTES = 4 * 1024**2
# An instance whose memory has grown beyond this is replaced: WebAssembly's memory never shrinks.
_MEMORY_TO_KEEP = 128 * 1024**2
_STACK_BYTES = 2 * 1024**2  # the most that wasmtime allows
_BOM = b"\xef\xbb\xbf"
# A declared encoding other than UTF-8, in one of the first two lines.
_ENCODING = re.compile(rb"\A(?:[^\n]*\n)?[ \t\f]*#.*?coding[:=][ \t]*+(?!(?:utf-8|utf8|UTF-8)(?![-\w.]))")


def compiled() -> bytes:
    """The module as machine code, for ``NativeExtractor`` in another process of this machine; 0.3 MB, and a quarter of
    a second. Raises ``OSError`` where it can't run."""
    with _running():
        return bytes(wasmtime.Module(_engine(), MODULE.read_bytes()).serialize())


class NativeExtractor:
    """One instance of the module, which answers for one file after the other. Raises ``OSError`` where it can't run."""

    def __init__(self, code: bytes | None = None) -> None:
        """``code`` is what ``compiled`` gave, to this program and nobody else: it is run as it is. None: the module is
        compiled here."""
        with _running():
            self._engine = _engine()
            self._module = (
                wasmtime.Module(self._engine, MODULE.read_bytes())
                if code is None
                else wasmtime.Module.deserialize(self._engine, code)
            )
            self._start()

    def _start(self, before: "wasmtime.Store | None" = None) -> None:
        if before is not None:
            before.close()  # its addresses, without waiting for a collector that may be off
        self._store = wasmtime.Store(self._engine)
        exports = wasmtime.Instance(self._store, self._module, []).exports(self._store)
        memory = exports["memory"]
        assert isinstance(memory, wasmtime.Memory)
        self._memory = memory
        self._source, self._extract, self._result = (
            _function(exports[name]) for name in ("source", "extract", "result")
        )

    def facts(self, data: bytes) -> bytes | None:
        """The facts of a file's bytes as ``facts.packed`` gives them; None when the reference is to read them."""
        source = data.removeprefix(_BOM)
        text = _readable(source)
        if text is None:
            return None
        # In this order: what is nested so deeply that it could break the other parser has ended here.
        packed = self._run(source)
        return packed if packed is not None and is_valid(text) else None

    def _run(self, source: bytes) -> bytes | None:
        store = self._store
        try:
            self._memory.write(store, source, self._source(store, len(source)))
            size = self._extract(store, len(source))
            start = self._result(store)
            packed = bytes(self._memory.read(store, start, start + size))
        except (wasmtime.Trap, wasmtime.WasmtimeError):
            self._start(store)
            return None
        if self._memory.data_len(store) > _MEMORY_TO_KEEP:
            self._start(store)
        return packed


@contextmanager
def _running() -> Iterator[None]:
    if wasmtime is None:
        raise OSError("wasmtime is not installed")
    try:
        yield
    except wasmtime.WasmtimeError as error:
        raise OSError(f"{MODULE.name} can't run: {error}") from error


def _engine() -> "wasmtime.Engine":
    config = wasmtime.Config()
    config.memory_reservation = RESERVATION
    config.memory_guard_size = 64 * 1024
    config.memory_init_cow = False  # it would write a file, which a parsing child may not
    config.signals_based_traps = False  # no signal handlers: what crashes a child is to end it
    config.max_wasm_stack = _STACK_BYTES
    config.parallel_compilation = False
    return wasmtime.Engine(config)


def _function(export: object) -> Callable[..., int]:
    assert isinstance(export, wasmtime.Func)
    return export


def _readable(source: bytes) -> str | None:
    """The text of UTF-8 source, None for anything else."""
    if len(source) > MAX_BYTES or b"\0" in source or _ENCODING.match(source):
        return None
    try:
        return source.decode()
    except UnicodeDecodeError:
        return None
