"""A policy to begin with: what in a tree has an evident owner already, as a commented TOML text.

Only what the tree itself shows is proposed: a definition that most of the code imports although others of its name
exist, a service that one module does for all while a few go around it, a family of classes with one that is used.
Entries whose owner is beyond doubt are ready to use; the others are commented out, for somebody who knows. Each says
what it rests on. Equal trees give equal texts.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from audits.engine.codebase import Codebase
from audits.engine.enums import Enums
from audits.engine.facts import CONSTANT, FROM, FUNCTION, Import
from audits.engine.findings import Progress, Zone
from audits.engine.policy import PolicyError, parse_policy
from audits.engine.symbols import Symbols
from audits.engine.targets import ClassTarget, ModuleTarget, Target

# A definition is canonical when so many files import it, and this share of all that import its name.
IMPORTING_FILES = 8
IMPORT_SHARE = 0.8
# An enum is worth an entry when so many files import it, even if it has no rival yet.
ENUM_FILES = 20
# A module owns a service when it has this share of the uses in production, or its name says so and it has some.
USE_SHARE = 0.5
USES = 4
# A module is well known when so many files import something of it.
WELL_KNOWN = 20
CLASSES_OF_FAMILY = 4
MOST_ENTRIES = 12
_SHOWN_PATHS = 4

# Services that code goes around, what the owner of each is called, and what kind of thing they are.
_SERVICES: tuple[tuple[str, str, str], ...] = (
    (
        "os.environ os.getenv os.putenv",
        "env environ environment settings config conf configuration",
        "the environment",
    ),
    ("uuid.uuid4 uuid.uuid1 uuid.uuid7", "id ids uuid uuids identifiers unified_id", "making IDs"),
    ("logging.getLogger logging.basicConfig", "log logs logger loggers logging logging_config", "loggers"),
    ("jwt.encode jwt.decode jose.jwt.encode jose.jwt.decode", "auth jwt token tokens security", "tokens"),
    (
        "redis.Redis redis.from_url redis.asyncio.Redis redis.asyncio.from_url redis.StrictRedis",
        "redis cache redis_client",
        "Redis",
    ),
    (
        (
            "sqlalchemy.create_engine sqlalchemy.ext.asyncio.create_async_engine psycopg.connect psycopg2.connect "
            "asyncpg.connect asyncpg.create_pool sqlite3.connect"
        ),
        "db database engine connection connections session",
        "database connections",
    ),
    (
        "requests httpx urllib.request.urlopen aiohttp.ClientSession",
        "http client http_client transport fetch fetching api_client",
        "HTTP requests",
    ),
    ("boto3.client boto3.resource boto3.Session", "aws s3 boto cloud storage", "AWS clients"),
    (
        "datetime.datetime.now datetime.datetime.utcnow datetime.datetime.today",
        "clock time timezone date dates timeutils time_utils",
        "the time of day",
    ),
    (
        "subprocess os.system os.popen",
        "subprocess process processes shell command commands exec runner",
        "child processes",
    ),
    (
        "pickle.loads pickle.load marshal.loads yaml.load yaml.unsafe_load",
        "serialization serializer serialize pickle yaml",
        "reading untrusted data",
    ),
    ("smtplib.SMTP smtplib.SMTP_SSL", "mail email smtp notification notifications", "mail"),
    ("builtins.print", "cli console output terminal printing echo", "writing to the terminal"),
)
# The last words of class names that stand for a responsibility.
_ROLES = {
    *(
        "Manager",
        "Engine",
        "Registry",
        "Factory",
        "Client",
        "Service",
        "Logger",
        "Provider",
        "Store",
        "Cache",
    ),
    *("Bus", "Dispatcher", "Validator", "Repository", "Coordinator", "Orchestrator", "Monitor", "Generator"),
    *("Executor", "Scheduler", "Controller", "Adapter", "Gateway", "Pool", "Connector", "Loader", "Tracker"),
    *("Resolver", "Broker", "Queue", "Builder"),
}
# Names that are defined again in every module by custom.
_CUSTOMARY = frozenset(
    {"main", "setup", "run", "Meta", "Config", "logger", "log", "app", "router", "T", "register"}
)
_VENDORED = re.compile(r"(?:^|/)(?:vendor|vendored|_vendor|third_party|node_modules|site-packages)/")
_WORDS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z][a-z0-9]+|[A-Z]+[0-9]*")


@dataclass(frozen=True, slots=True)
class Entry:
    """One table of the text: comment lines, TOML lines, and whether it is ready to use."""

    comments: tuple[str, ...]
    lines: tuple[str, ...]
    is_ready: bool


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A policy to begin with. ``ready`` and ``doubtful`` count the entries that are ready and commented out."""

    text: str
    ready: int
    doubtful: int


def suggest(codebase: Codebase, progress: Callable[[Progress], None] = lambda _: None) -> Suggestion:
    """A commented policy for a tree; ``parse_policy`` takes its text."""
    total = len(codebase.facts)
    progress(Progress("Reading imports", 0, total))
    imports = _Imports.of(codebase)
    sections: list[tuple[str, list[Entry]]] = []
    progress(Progress("Looking for owners", total // 3, total))
    sections.append(("Canonical definitions: each may exist once", list(_definitions(codebase, imports))))
    sections.append(("Families of classes with one responsibility", list(_families(codebase, imports))))
    progress(Progress("Looking for services", 2 * total // 3, total))
    sections.append(("Services that one module does for all", list(_services(codebase, imports))))
    sections.append(("Base classes of tests", list(_bases(codebase))))
    sections.append(
        ("Enums of ID types, compared with the registry of this site", list(_registries(codebase, imports)))
    )
    vendored = sorted({m[0].lstrip("/") for m in map(_VENDORED.search, codebase.facts) if m})
    sections = [(title, [entry for entry in found if _is_usable(entry)]) for title, found in sections]
    entries = [entry for _, found in sections for entry in found]
    ready = sum(entry.is_ready for entry in entries)
    return Suggestion(_text(sections, vendored), ready, len(entries) - ready)


def _is_usable(entry: Entry) -> bool:
    """Whether a policy can say so: a module in ``my-scripts/`` has no dotted name."""
    try:
        parse_policy("\n".join(("version = 1", *entry.lines)))
    except PolicyError:
        return False
    return True


# --- Who imports what -----------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Imports:
    """By definition, as (path, name): the files that import it; and the definitions of each name outside of tests."""

    files: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    by_name: dict[str, dict[tuple[str, str], str]] = field(default_factory=dict)

    @classmethod
    def of(cls, codebase: Codebase) -> "_Imports":
        result = cls()
        for path, facts in codebase.facts.items():
            if codebase.policy.zone(path) is Zone.PROD:
                for known in facts.classes:
                    if known.qualname == known.name:
                        result.by_name.setdefault(known.name, {})[path, known.name] = "class"
                for definition in facts.definitions:
                    kind = {FUNCTION: "function", CONSTANT: "constant"}[definition.kind]
                    result.by_name.setdefault(definition.name, {}).setdefault((path, definition.name), kind)
            for binding in facts.bindings:
                if binding.kind == FROM:
                    where = _origin(codebase, path, facts.imports[binding.index])
                    if where is not None and where[0] != path:
                        result.files.setdefault(where, set()).add(path)
        return result

    def of_files(self) -> Counter[str]:
        """By path: how many files import something that is defined there."""
        together: dict[str, set[str]] = {}
        for (path, _), files in self.files.items():
            together.setdefault(path, set()).update(files)
        return Counter({path: len(files) for path, files in together.items()})

    def count(self, where: tuple[str, str]) -> int:
        return len(self.files.get(where, ()))


def _origin(codebase: Codebase, path: str, item: Import) -> tuple[str, str] | None:
    """Where the one thing is defined that ``from module import name`` brings; None when that isn't plain."""
    module = codebase.imported_module(path, item)
    if item.name is None or not isinstance(module, ModuleTarget):
        return None
    for _ in range(5):  # through re-exports
        found = codebase.imported_name(path, item, module)
        if len(found) == 1 and isinstance(target := next(iter(found)), ClassTarget):
            known = codebase.class_facts(target)
            return (target.path, known.name) if known.qualname == known.name else None
        facts = codebase.facts.get(module.path)
        if facts is None:
            return None
        if any(definition.name == item.name for definition in facts.definitions):
            return module.path, item.name
        candidates = facts.names.get(item.name, ())
        if len(candidates) != 1 or candidates[0] < 0 or facts.bindings[candidates[0]].kind != FROM:
            return None
        path, item = module.path, facts.imports[facts.bindings[candidates[0]].index]
        inner = codebase.imported_module(path, item)
        if item.name is None or not isinstance(inner, ModuleTarget):
            return None
        module = inner
    return None


def _dotted(codebase: Codebase, where: tuple[str, str]) -> str:
    module = codebase.dotted(where[0])
    return f"{module}.{where[1]}" if module else where[1]


# --- Canonical definitions ------------------------------------------------------------------------------------


def _definitions(codebase: Codebase, imports: _Imports) -> Iterator[Entry]:
    enums = Enums(codebase)
    found: list[tuple[int, str, Entry]] = []
    for name, places in imports.by_name.items():
        if name.startswith("_") or name in _CUSTOMARY or len(name) < 3:
            continue
        owner = max(places, key=lambda where: (imports.count(where), where))
        files = imports.count(owner)
        kind = places[owner]
        rivals = sorted(where[0] for where in places if where != owner)
        is_enum = kind == "class" and _is_enum(codebase, enums, owner)
        if not rivals and not (is_enum and files >= ENUM_FILES):
            continue
        if files < IMPORTING_FILES or (kind == "constant" and not name.isupper()):
            continue
        share = files / sum(imports.count(where) for where in places)
        what = "enum" if is_enum else kind
        comments = [f"The {what} {name}: {_files(files)} import it."]
        if rivals:
            comments.append(f"Defined again in {_some(rivals)}.")
        kinds = f'kinds = ["{kind}"]'
        lines = ("[[unique]]", f'symbol = "{_dotted(codebase, owner)}"', kinds)
        is_telling = len(_WORDS.findall(name)) > 1 or "_" in name
        is_ready = not rivals or (share >= IMPORT_SHARE and is_telling)
        if rivals and not is_telling:
            comments.append("A name of one word may well stand for different things.")
        if share < IMPORT_SHARE:
            comments.append(
                f"Only {share:.0%} of what imports something of this name imports this one: is it canonical?"
            )
        weight = files * (2 if rivals else 1) * (2 if is_enum else 1)
        found.append((-weight, name, Entry(tuple(comments), lines, is_ready)))
    yield from (entry for _, _, entry in sorted(found, key=lambda row: row[:2])[:MOST_ENTRIES])


def _is_enum(codebase: Codebase, enums: Enums, where: tuple[str, str]) -> bool:
    return any(
        known.qualname == where[1] and enums.get(target) is not None
        for target, known in codebase.classes(where[0])
    )


# --- Families -------------------------------------------------------------------------------------------------


def _families(codebase: Codebase, imports: _Imports) -> Iterator[Entry]:
    """Classes whose names end in the same two words, the last one a role, where one is imported far more than the
    others; those that inherit from it, or share a base with it, belong together on purpose."""
    groups: dict[str, list[tuple[ClassTarget, str]]] = {}
    for path in codebase.facts:
        if codebase.policy.zone(path) is not Zone.PROD:
            continue
        for target, known in codebase.classes(path):
            words = _WORDS.findall(known.name)
            if known.qualname == known.name and len(words) >= 2 and words[-1] in _ROLES:
                groups.setdefault("".join(words[-2:]), []).append((target, known.name))
    found: list[tuple[int, str, Entry]] = []
    for stem, members in groups.items():
        entry = _family(codebase, imports, stem, members)
        if entry is not None:
            found.append((-len(members), stem, entry))
    yield from (entry for _, _, entry in sorted(found, key=lambda row: row[:2])[:MOST_ENTRIES])


def _family(
    codebase: Codebase, imports: _Imports, stem: str, members: Sequence[tuple[ClassTarget, str]]
) -> Entry | None:
    def files(target: ClassTarget, name: str) -> int:
        return imports.count((target.path, name))

    owner, owner_name = max(
        members, key=lambda member: (files(*member), member[1] == stem, member[1], member[0].path)
    )
    used = files(owner, owner_name)
    ancestry = set(codebase.mro(owner))
    strangers = []
    for target, name in members:
        line = set(codebase.mro(target))
        if owner not in line and target not in ancestry and not _related(line, ancestry):
            strangers.append((target.path, name))
    if len(strangers) + 1 < CLASSES_OF_FAMILY or used < IMPORTING_FILES:
        return None
    share = used / sum(files(*member) for member in members)
    kin = sorted(
        _dotted(codebase, (target.path, name))
        for target, name in members
        if target != owner and (target.path, name) not in strangers
    )
    owners = [_dotted(codebase, (owner.path, owner_name)), *kin][:20]
    others = sorted({name for _, name in strangers})
    comments = (
        f"{len(members)} classes are called …{stem}. {_files(used)} import {owner_name}: {share:.0%} of all imports.",
        f"Others: {_some(others)}.",
    )
    lines = (
        "[[family]]",
        f'name = "{stem}"',
        f"pattern = '.*{stem}'",
        "owners = [" + ", ".join(f'"{name}"' for name in owners) + "]",
    )
    return Entry(comments, lines, is_ready=share >= IMPORT_SHARE and len(kin) < 20)


def _related(one: set[Target], other: set[Target]) -> bool:
    """Whether two classes share a base of the tree."""
    return any(isinstance(base, ClassTarget) for base in one & other)


# --- Services -------------------------------------------------------------------------------------------------


def _services(codebase: Codebase, imports: _Imports) -> Iterator[Entry]:
    wanted = [symbol for symbols, _, _ in _SERVICES for symbol in symbols.split()]
    counts: dict[str, Counter[str]] = {}
    for path, places in _uses(codebase, wanted):
        for symbol, number in places.items():
            counts.setdefault(symbol, Counter())[path] += number
    for texts, names, words in _SERVICES:
        symbols = texts.split()
        together: Counter[str] = Counter()
        for symbol in symbols:
            together.update(counts.get(symbol, {}))
        owners, is_sure = _owners(together, names.split(), imports.of_files())
        if not owners:
            continue
        total = sum(together.values())
        inside = sum(together[path] for path in owners)
        rest = [path for path, _ in together.most_common() if path not in owners]
        comments = [
            f"Production code touches {words} in {total:,} places; {inside:,} of them in {_some(sorted(owners))}.",
            f"The other {total - inside:,} would be findings: {_some(rest)}."
            if rest
            else "Nothing else does.",
        ]
        module = codebase.dotted(owners[0]) if len(owners) == 1 else ""
        for symbol in symbols:
            if counts.get(symbol):
                allow = ", ".join(f'"{path}"' for path in owners)
                lines = [
                    "[[forbidden]]",
                    f'symbol = "{symbol}"',
                    *([f'instead = "{module}"'] if module else []),
                    f"allow = [{allow}]",
                    'zones = ["prod"]',
                ]
                yield Entry(tuple(comments), tuple(lines), is_sure)
                comments = []


def _uses(codebase: Codebase, wanted: Sequence[str]) -> Iterator[tuple[str, Counter[str]]]:
    """Of each file in production: how often it uses which of the symbols."""
    symbols = Symbols(codebase, wanted)
    for path in codebase.facts:
        if codebase.policy.zone(path) is Zone.PROD:
            places: Counter[str] = Counter()
            for use in symbols.uses(path):
                if use.reference is not None:
                    places[use.symbol] += len(use.reference.places)
            if places:
                yield path, places


def _owners(
    uses: Mapping[str, int], names: Sequence[str], importing: Mapping[str, int]
) -> tuple[list[str], bool]:
    """The files that own a service, and whether that is beyond doubt: most uses are in one file, or one that is called
    so is what everybody imports, or a few that are called so have a good part of the uses.

    ``importing`` says by how many files something of a file is imported.
    """
    total = sum(uses.values())
    if total < USES or len(uses) < 2:
        return [], False
    ranked = sorted(uses, key=lambda path: (-uses[path], path))
    called = re.compile(rf"(?:^|/|_)(?:{'|'.join(names)})(?:_\w+)?(?:/__init__)?\.py$")
    top = ranked[0]
    if uses[top] / total >= USE_SHARE and uses[top] >= USES:
        return [top], bool(called.search(top)) or uses[top] / total >= IMPORT_SHARE
    named = [path for path in ranked if called.search(path)]
    known = max(named, key=lambda path: (importing.get(path, 0), path), default="")
    others = max((importing.get(path, 0) for path in uses if path != known), default=0)
    if importing.get(known, 0) >= max(WELL_KNOWN, 2 * others):
        return [known], True
    named = named[:3]
    share = sum(uses[path] for path in named) / total
    if named and share >= 1 / 4:
        return named, share >= USE_SHARE and len(named) == 1
    return [], False


# --- Tests and registries -------------------------------------------------------------------------------------


def _bases(codebase: Codebase) -> Iterator[Entry]:
    """The base that most test classes of the tree inherit from, when it is one of the tree itself."""
    tests = 0
    with_base: Counter[ClassTarget] = Counter()
    for path in codebase.facts:
        if codebase.policy.zone(path) is not Zone.TEST:
            continue
        for target, known in codebase.classes(path):
            if known.qualname == known.name and known.name.startswith("Test"):
                tests += 1
                line = codebase.mro(target)
                with_base.update({t for t in line if isinstance(t, ClassTarget) and t.path != path})
    if not with_base:
        return
    base, count = max(with_base.items(), key=lambda row: (row[1], row[0].path, row[0].key))
    if count >= 20 and count / tests >= 1 / 4:
        comments = (
            f"{count:,} of {tests:,} test classes inherit from it; the other {tests - count:,} would be findings.",
        )
        lines = ("[[base]]", f'base = "{codebase.class_name(base)}"', "classes = 'Test.*'")
        yield Entry(comments, lines, is_ready=count / tests >= IMPORT_SHARE)


def _registries(codebase: Codebase, imports: _Imports) -> Iterator[Entry]:
    enums = Enums(codebase)
    for name in ("IDType", "IdType", "IDTypes", "IdTypes"):
        for where in sorted(imports.by_name.get(name, ())):
            if _is_enum(codebase, enums, where):
                symbol = _dotted(codebase, where)
                comments = (f"{_files(imports.count(where)).capitalize()} import it.",)
                yield Entry(comments, ("[[registry]]", f'enum = "{symbol}"'), is_ready=False)


# --- The text -------------------------------------------------------------------------------------------------


def _text(sections: Sequence[tuple[str, Sequence[Entry]]], vendored: Sequence[str]) -> str:
    lines = [
        "# A policy to begin with, proposed from what the tree shows. Read it, take away what isn't meant, and look at",
        "# what it finds before you save it. Entries that begin with #: are doubtful; take the marks away to use them.",
        "version = 1",
    ]
    if vendored:
        globs = ", ".join(f'"**/{folder}**"' for folder in vendored)
        lines += ["", "# Code of others?", f"#: exclude = [{globs}]"]
    if not any(entries for _, entries in sections):
        lines += [
            "",
            "# Nothing here has an owner that the tree itself shows. docs/policy.md says what can be declared.",
        ]
    for title, entries in sections:
        if not entries:
            continue
        lines += ["", f"# --- {title} ---"]
        for entry in entries:
            lines += ["", *(f"# {_plain(comment)}" for comment in entry.comments)]
            lines += entry.lines if entry.is_ready else [f"#: {line}" for line in entry.lines]
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """A comment as TOML takes it: without control characters."""
    return re.sub(r"[\x00-\x08\x0a-\x1f\x7f]|[\ud800-\udfff]", "?", text)


def _files(count: int) -> str:
    return f"{count:,} file" + ("" if count == 1 else "s")


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN_PATHS])
    more = len(names) - _SHOWN_PATHS
    return f"{shown} and {more:,} more" if more > 0 else shown
