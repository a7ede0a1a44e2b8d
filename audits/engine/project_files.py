"""What project files hold, as far as they can be read: nothing where they are no valid TOML or INI."""

import configparser
import tomllib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any


@lru_cache(maxsize=256)  # the same text means the same at every commit, and in every folder
def read_toml(text: str) -> dict[str, Any]:
    """The tables of a text. They are shared: nobody may change them."""
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return {}


@lru_cache(maxsize=256)
def read_ini(text: str) -> configparser.RawConfigParser:
    """The sections of a text. They are shared: nobody may change them."""
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text)
    except configparser.Error:
        return configparser.RawConfigParser()  # without what stands before the fault
    return parser


def at(data: Any, keys: str) -> Any:
    """The value at dotted keys, None where there is none."""
    for key in keys.split("."):
        data = data.get(key) if isinstance(data, dict) else None
    return data


def table_at(data: Any, keys: str) -> dict[str, Any]:
    """The table at dotted keys, empty where there is none."""
    value = at(data, keys)
    return value if isinstance(value, dict) else {}


def list_at(data: Any, keys: str) -> list[Any]:
    """The list at dotted keys, empty where there is none."""
    value = at(data, keys)
    return value if isinstance(value, list) else []


def strings(values: Iterable[Any]) -> Iterator[str]:
    """Those of some values that are strings."""
    return (value for value in values if isinstance(value, str))
