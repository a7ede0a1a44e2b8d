"""Python's cyclic garbage collector, off while facts are at work."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_collector() -> Iterator[None]:
    """Hundreds of thousands of facts make the collector's rounds long, and none of them ever forms a circle."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
