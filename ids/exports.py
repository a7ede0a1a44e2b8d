"""The registry as code: an enum for Python, a constant for TypeScript, a JSON schema. Pure functions of its types.

Equal registries give equal bytes, so that a file can be compared and an ETag kept. Retired types have no member: no
more IDs of them are issued. The audit rule ``registry-drift`` finds no difference between the Python file and the
registry, which it can read in a terminal from the fourth target, ``registry``.
"""

import hashlib
import json
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ids import formats

_WIDTH: Final = 88
_ORIGIN: Final = (
    "Written by SSOT Dash from its registry of ID types. Don't edit it: change the registry, export again."
)


@dataclass(frozen=True, slots=True)
class ExportedType:
    """One type, as the exports need it. ``member`` is its name in code, ``status`` active, deprecated or retired."""

    value: str
    member: str
    status: str
    description: str
    format: str

    @property
    def words(self) -> str:
        """The description on one line, and whether the type is on its way out."""
        printable = "".join(letter if letter.isprintable() else " " for letter in self.description)
        text = " ".join(printable.split())
        return f"Deprecated. {text}" if self.status == "deprecated" else text


@dataclass(frozen=True, slots=True)
class Export:
    """A file's contents, the name and media type that suit it, and the ETag of its bytes."""

    text: str
    file_name: str
    media_type: str

    @property
    def etag(self) -> str:
        return f'"{hashlib.sha256(self.text.encode()).hexdigest()[:32]}"'


def export(target: str, types: Iterable[ExportedType]) -> Export:
    """The registry as one of ``TARGETS``. Raises KeyError for another one."""
    write, file_name, media_type = _TARGETS[target]
    ordered = sorted(types, key=lambda entry: entry.value)
    return Export(write(ordered), file_name, media_type)


def _python(types: Sequence[ExportedType]) -> str:
    lines = [
        f'"""The ID types of the canonical registry.\n\n{_ORIGIN}\n"""',
        "",
        "from enum import Enum, unique",
        "",
        "",
    ]
    lines += ["@unique", "class IDType(Enum):", '    """What an ID may identify."""']
    for entry in _living(types):
        lines.append("")
        # With the colon no comment can be read as "type: ignore", whatever a description says.
        lines += textwrap.wrap(entry.words, _WIDTH, initial_indent="    #: ", subsequent_indent="    #: ")
        lines.append(f'    {entry.member} = "{entry.value}"')
    return "\n".join(lines) + "\n"


def _typescript(types: Sequence[ExportedType]) -> str:
    lines = [f"// {_ORIGIN}", "", "/** What an ID may identify. */", "export const IDType = {"]
    for entry in _living(types):
        words = entry.words.removeprefix("Deprecated. ").replace("*/", "*\u200b/")
        tag = "@deprecated " if entry.status == "deprecated" else ""
        lines.append(f"  /** {tag}{words} */")
        lines.append(f'  {entry.member}: "{entry.value}",')
    lines += ["} as const;", "", "export type IDType = (typeof IDType)[keyof typeof IDType];"]
    return "\n".join(lines) + "\n"


def _json_schema(types: Sequence[ExportedType]) -> str:
    """A value of an ID type; ``$defs`` holds a schema of each type's IDs, of retired ones, too: theirs stay valid."""
    living = [
        {"const": entry.value, "title": entry.member, "description": entry.words}
        | ({"deprecated": True} if entry.status == "deprecated" else {})
        for entry in _living(types)
    ]
    ids: dict[str, Any] = {
        entry.value: {
            "type": "string",
            "description": f"An ID of the type {entry.value}: {formats.FORMATS[entry.format].reading(entry.value)}",
            # named groups are written otherwise in JSON schemas
            "pattern": "^(?:" + _unnamed(formats.FORMATS[entry.format].pattern_of(entry.value)) + ")$",
        }
        | ({} if entry.status == "active" else {"deprecated": True})
        for entry in types
    }
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "IDType",
        "description": f"What an ID may identify. {_ORIGIN}",
        "type": "string",
        # an empty list is no schema
        **({"oneOf": living} if living else {"enum": []}),
        "$defs": ids,
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _registry(types: Sequence[ExportedType]) -> str:
    """What ``audit --registry FILE`` reads."""
    rows = [{"value": entry.value, "status": entry.status} for entry in types]
    return json.dumps({"schema": 1, "types": rows}, indent=2) + "\n"


def _living(types: Sequence[ExportedType]) -> list[ExportedType]:
    return [entry for entry in types if entry.status != "retired"]


def _unnamed(pattern: str) -> str:
    return pattern.replace("(?P<prefix>", "(").replace("(?P<counter>", "(").replace("(?P<random>", "(")


_TARGETS: Final[dict[str, tuple[Callable[[Sequence[ExportedType]], str], str, str]]] = {
    "python": (_python, "id_types.py", "text/x-python; charset=utf-8"),
    "typescript": (_typescript, "id-types.ts", "text/plain; charset=utf-8"),
    "json-schema": (_json_schema, "id-types.schema.json", "application/schema+json"),
    "registry": (_registry, "id-registry.json", "application/json"),
}
TARGETS: Final = tuple(_TARGETS)
