"""Bodies of the API, read strictly: what two readers could understand in two ways is refused, in words."""

import json
from typing import Any, NoReturn, cast

from django.http import HttpRequest
from ninja.parser import Parser
from ninja.types import DictStrAny


class BodyError(ValueError):
    """A body that is no JSON, or is ambiguous. The message says why."""


class StrictParser(Parser):
    """UTF-8 alone, numbers that are ones, and each name once in an object; a byte order mark does no harm."""

    def parse_body(self, request: HttpRequest) -> DictStrAny:
        return cast(DictStrAny, read(request.body))


def read(data: bytes) -> Any:
    """The value that the bytes are. Raises BodyError, and nothing else."""
    try:
        return json.loads(data.decode("utf-8-sig"), object_pairs_hook=_object, parse_constant=_no_number)
    except UnicodeDecodeError as error:
        raise BodyError(f"The body is no UTF-8: byte {error.start:,}.") from error
    except json.JSONDecodeError as error:
        raise BodyError(f"The body is no JSON: line {error.lineno:,}, {error.msg}.") from error
    except RecursionError as error:
        raise BodyError("The body is nested too deeply.") from error
    except BodyError:
        raise
    except ValueError as error:  # Python's limit of digits
        raise BodyError("The body has a number of too many digits.") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise BodyError(f"The body has an object with the name {twice[:100]!r} twice.")
    return value


def _no_number(text: str) -> NoReturn:
    raise BodyError(f"The body has {text}, which is no number of JSON.")
