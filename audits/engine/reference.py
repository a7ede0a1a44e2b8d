"""The page about policies, made from the types of ``policy``: each table with its fields, their types and defaults."""

import types
from datetime import date
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from audits.engine import policy
from audits.engine.findings import Zone
from audits.engine.policy import Policy

WARNING = (
    "<!-- Written by `manage.py policy reference --write docs/policy.md`: change audits/engine/policy.py or"
    " audits/engine/reference.py. -->"
)
# The rule that reads a table; the others are about all rules.
RULES = {
    "unique": "unique-definition",
    "family": "name-family",
    "forbidden": "forbidden-reference",
    "deprecated": "deprecated-symbol",
    "base": "required-base",
    "literal": "literal",
    "registry": "registry-drift",
}

_INTRODUCTION = f"""\
# The policy of a repository

{WARNING}

A policy says what is canonical in a repository and what breaks it: a TOML text of version 1. An empty one is a good
start, because the first three [rules](rules.md) need none. Errors name the line and what was expected.

## Where it is kept

On the page *Policy* of a repository, who may change the repository edits it. Errors show while one types. *What would
it change?* has a worker judge the last audited commit by the draft, from what is known of its files, and shows what
that adds and removes for each rule and zone; nothing is saved by that. Every saved policy is a version with who, when
and why; versions can be compared and restored, which makes a new one. Saving has the last audited commit judged anew,
and the history after it. An audit names the version that it went by.

A repository can also say that its policy is `.ssot.toml` of the audited tree. Then each audited commit is judged by the
file in its own tree. A commit without the file, or with one that can't be used, fails its audit and names the line; the
default policy never takes its place. A history judges all of its commits by one measure, that of its newest commit:
else an edit of the policy would look as if a commit had brought violations. When the file changes, the history is
judged anew.

In a terminal:

```sh
python3 manage.py policy check FILE       # can it be used, and what does it declare? Exit status 2 when it can't
python3 manage.py policy suggest PATH     # one to begin with, from what a git repository shows of owners
python3 manage.py audit PATH              # by .ssot.toml of the audited commit, where it has one
python3 manage.py audit PATH --policy FILE
```

`audit`, `history` and the pre-commit hook go by `.ssot.toml` of what they audit when no `--policy` is named, and by the
default policy only where there is no such file. They don't know what is kept on the site.

`policy suggest` (and *Suggest a policy* on the page of a repository that has none) proposes what the tree itself shows:
definitions and enums that most of the code imports, families of classes with one that is used, services that one module
does for all while a few go around it, the base of most test classes. Each entry says what it rests on; doubtful ones
are commented out with `#:`.

## An example

```toml
version = 1

# Folders that absolute imports start from, besides each file's own top package folder.
source_roots = [".", "src"]
# Paths that aren't looked at.
exclude = ["vendor/**"]

[zones]                     # asked in the order archive, test, script; what none matches is prod
archive = ["**/archive/**"]
test = ["**/tests/**"]
script = ["scripts/**"]

[limits]
file_bytes = 524288
file_seconds = 30

[[unique]]
symbol = "app.core.ids.IDManager"
kinds = ["class"]
allow = ["migrations/**"]

[[family]]
name = "execution engines"
pattern = '.*ExecutionEngine(?:Factory)?'
owners = ["app.engine.UserExecutionEngine"]

[[forbidden]]
symbol = "os.environ"       # anything with a dotted name; a builtin is builtins.print
instead = "app.config.get"
allow = ["app/config.py"]
zones = ["prod"]

[[deprecated]]
old = "app.legacy.make_id"
new = "app.core.ids.new_id"
deadline = 2027-03-31

[[base]]
base = "tests.base.SafeTestCase"
classes = 'Test.*'
paths = ["tests/unit/**"]
forbid = ["unittest.mock.Mock"]

[[literal]]
value = "https://api.example/v1"
owner = "app.constants.API_URL"

[[registry]]
enum = "app.core.ids.IDType"

[[waiver]]                  # findings that don't count until a day, see waivers.md
rule = "missing-member"
path = "legacy/**"
reason = "goes with the old shop"
owner = "shop team"
expires = 2027-03-31
```

Paths have forward slashes; in a glob `**` spans folders. A symbol is found by what it means: through aliases,
re-exports, star imports and fallbacks. `symbol = "requests"` covers all that lies beneath it. Findings that can't be
mended today are let be with `[[waiver]]`, until a day: see [Waivers](waivers.md).
"""

_LIMITS = f"""\
## Limits

A policy has at most {policy.MAX_POLICY_CHARACTERS:,} characters, a glob or symbol {policy.MAX_GLOB_CHARACTERS:,}, a
pattern {policy.MAX_PATTERN_CHARACTERS:,}. Patterns match whole class names; only single characters may repeat in them
(`.*`, `\\w+`), at most {policy.MAX_PATTERN_REPEATS} times, and groups may be optional but not repeat, so that no
pattern can hang. A literal is a string of 3 to 120 characters without blanks, or a whole number of 100 or more.
`file_bytes` is 1 to 10,485,760, `file_seconds` 1 to 300.
"""


def reference() -> str:
    """The whole page, as Markdown."""
    hints = get_type_hints(Policy)
    tables: list[str] = []
    plain = []
    for field in msgspec.structs.fields(Policy):
        struct, is_list = _table(hints[field.name])
        if struct is None:
            plain.append(field)
        else:
            heading = f"`[[{field.name}]]`" if is_list else f"`[{field.name}]`"
            rule = RULES.get(field.name)
            about = f"Read by the rule [{rule}](rules/{rule}.md). " if rule else ""
            tables.append(f"### {heading}\n\n{about}{_prose(struct)}\n\n{_fields(struct)}")
    top = f"### At the top\n\n{_prose(Policy)}\n\n{_rows(plain, hints)}"
    return "\n".join((_INTRODUCTION, "## Every table\n", top, *tables, _LIMITS))


def _table(hint: Any) -> tuple[type[msgspec.Struct] | None, bool]:
    """The struct of a table, and whether there can be several."""
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return hint, False
    item = get_args(hint)[0] if get_origin(hint) is tuple else None
    return (item, True) if isinstance(item, type) and issubclass(item, msgspec.Struct) else (None, False)


def _prose(struct: type) -> str:
    """The docstring as Markdown, without its line ends."""
    paragraphs = (" ".join(part.split()) for part in (struct.__doc__ or "").split("\n\n"))
    return "\n\n".join(paragraph.replace("``", "`") for paragraph in paragraphs)


def _fields(struct: type[msgspec.Struct]) -> str:
    return _rows(msgspec.structs.fields(struct), get_type_hints(struct))


def _rows(fields: Any, hints: dict[str, Any]) -> str:
    lines = ["| field | holds | when absent |", "|---|---|---|"]
    lines += [f"| `{f.name}` | {_type_words(hints[f.name])} | {_default_words(f)} |" for f in fields]
    return "\n".join(lines) + "\n"


def _type_words(hint: Any) -> str:
    origin = get_origin(hint)
    if origin is Literal:
        return " or ".join(f"`{_toml(value)}`" for value in get_args(hint) if value != "")
    if origin is tuple:
        item = get_args(hint)[0]
        return "a list of strings" if item is str else f"a list of {_type_words(item)}"
    if origin in {Union, types.UnionType}:
        return " or ".join(_type_words(item) for item in get_args(hint) if item is not types.NoneType)
    words = {
        str: "a string",
        int: "a whole number",
        date: "a date",
        Zone: "`prod`, `test`, `script` or `archive`",
    }
    return words[hint]


def _default_words(field: Any) -> str:
    if field.required or field.name == "version":  # an empty text alone may lack it
        return "**required**"
    default = field.default
    if default is None or default in ("", ()):
        return "none"
    if isinstance(default, tuple) and set(default) == set(Zone):
        return "all of them"
    return f"`{_toml(default)}`"


def _toml(value: Any) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)
