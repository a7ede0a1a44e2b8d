"""What must hold for every tree: told of generated ones."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from audits.engine.findings import Finding
from tests.audits.engine.harness import Files, findings_of

MEMBERS = ("RED", "GREEN", "BLUE", "GREY")
# Each form of reading: how the enum gets a name here, and how a member of it is read.
FORMS: dict[str, tuple[str, str]] = {
    "name": ("from {module} import {enum} as {alias}", "{alias}.{member}"),
    "value": ("from {module} import {enum} as {alias}", "print({alias}.{member}.value)"),
    "key": ("from {module} import {enum} as {alias}", '{alias}["{member}"]'),
    "format": ("from {module} import {enum} as {alias}", 'f"{{{alias}.{member}!r}} {{1:>{{3}}}}"'),
    "module": ("import {module} as {alias}", "{alias}.{enum}.{member}"),
    "dotted": ("import {module}", "{module}.{enum}.{member}"),
    "alias": ("import {module}\n{indent}{alias} = {module}.{enum}", "({alias}).{member}"),
    "shim": ("from shop.shim import {enum} as {alias}", "[{alias}.{member} for _ in ()]"),
    "star": ("from shop.shim import {enum}\n{indent}{alias} = {enum}", "x = {{1: {alias}.{member}}}"),
    "class": (
        "from {module} import {enum}\n{indent}class {alias}_box:\n{indent}    kind = {enum}",
        "{alias}_box.kind.{member}",
    ),
}


@dataclass(frozen=True)
class Reading:
    """One reading of a member in the file that uses enums."""

    form: str
    enum: str
    member: str
    function: bool
    local: bool
    alias: str


@dataclass(frozen=True)
class Shop:
    """A package with two enums, a shim and a user; a pure function of its fields gives its sources."""

    enums: dict[str, tuple[str, ...]]
    readings: tuple[Reading, ...]

    def files(self) -> dict[str, str]:
        definitions = {
            f"shop/{name.lower()}s.py": _definition(name, members) for name, members in self.enums.items()
        }
        shim = "\n".join(f"from .{name.lower()}s import *" for name in self.enums)
        return {"shop/__init__.py": "", "shop/shim.py": shim, **definitions, "use.py": self.user()[0]}

    def user(self) -> tuple[str, list[int]]:
        """The source that reads members, and on which line each reading stands."""
        lines: list[str] = []
        places = []
        for number, reading in enumerate(self.readings):
            indent = "    " if reading.function else ""
            words = {
                "module": f"shop.{reading.enum.lower()}s",
                "enum": reading.enum,
                "member": reading.member,
                "alias": reading.alias,
                "indent": indent if reading.local else "",
            }
            bind, read = (text.format(**words) for text in FORMS[reading.form])
            if not reading.local:
                lines.extend(bind.split("\n"))
            if reading.function:
                lines.append(f"def f{number}():")
            if reading.local:
                lines.extend((indent + bind).split("\n"))
            lines.append(indent + read)
            places.append(len(lines))
        return "\n".join(lines), places

    def expected(self, enum: str, member: str) -> list[tuple[int, str]]:
        """(line, subject) of all readings of a member."""
        subject = f"shop.{enum.lower()}s.{enum}.{member}"
        return [
            (line, subject)
            for reading, line in zip(self.readings, self.user()[1], strict=True)
            if (reading.enum, reading.member) == (enum, member)
        ]


def _definition(name: str, members: tuple[str, ...]) -> str:
    body = "".join(f"    {member} = {number}\n" for number, member in enumerate(members))
    return f"from enum import Enum\nclass {name}(Enum):\n    def shade(self): pass\n{body}"


@st.composite
def readings(draw: st.DrawFn) -> tuple[Reading, ...]:
    count = draw(st.integers(1, 8))
    return tuple(
        Reading(
            form=draw(st.sampled_from(sorted(FORMS))),
            enum=draw(st.sampled_from(["Kind", "Shape"])),
            member=draw(st.sampled_from(MEMBERS)),
            function=draw(st.booleans()),
            local=draw(st.booleans()),
            alias=f"a{number}",
        )
        for number in range(count)
    )


shops = st.builds(Shop, st.just({"Kind": MEMBERS, "Shape": MEMBERS}), readings())


def seen(files: Files) -> list[tuple[int, str]]:
    """(line, subject) of each finding in use.py; there are none elsewhere."""
    findings = findings_of(files)
    assert {f.path for f in findings} <= {"use.py"}
    return [(f.line, f.subject) for f in findings]


def meanings(files: Files) -> list[tuple[str, str, int, tuple[str, ...]]]:
    """The findings without their lines."""

    def meaning(finding: Finding) -> tuple[str, str, int, tuple[str, ...]]:
        return finding.subject, finding.scope, finding.ordinal, tuple(map(str, finding.annotations))

    return sorted(meaning(f) for f in findings_of(files))


@settings(max_examples=150, deadline=None)
@given(shops)
def test_a_complete_tree_has_no_findings(shop: Shop) -> None:
    assert seen(shop.files()) == []


@settings(max_examples=150, deadline=None)
@given(shops, st.sampled_from(["Kind", "Shape"]), st.sampled_from(MEMBERS))
def test_deleting_a_member_produces_exactly_its_readings(shop: Shop, enum: str, member: str) -> None:
    left = tuple(name for name in MEMBERS if name != member)
    smaller = replace(shop, enums={**shop.enums, enum: left})
    assert seen(smaller.files()) == shop.expected(enum, member)


@settings(max_examples=100, deadline=None)
@given(shops, st.sampled_from(["Kind", "Shape"]))
def test_deleting_a_module_produces_exactly_its_imports_and_no_member(shop: Shop, enum: str) -> None:
    files = shop.files()
    del files[f"shop/{enum.lower()}s.py"]
    findings = findings_of(files)
    assert {f.rule for f in findings} <= {"unresolved-import"}
    assert {f.subject for f in findings} == {f"shop.{enum.lower()}s"}
    direct = [r for r in shop.readings if r.enum == enum and r.form not in {"shim", "star"}]
    assert len(findings) == len(direct) + 1  # the shim's


Change = Callable[[Shop], Files]


def broken(shop: Shop) -> Shop:
    return replace(shop, enums={"Kind": ("RED",), "Shape": ("RED", "GREEN")})


@settings(max_examples=100, deadline=None)
@given(shops, st.sampled_from(["thing", "Kind_", "_hidden", "e"]))
def test_renaming_an_alias_changes_no_finding(shop: Shop, name: str) -> None:
    shop = broken(shop)
    renamed = replace(
        shop, readings=tuple(replace(r, alias=f"{name}{n}") for n, r in enumerate(shop.readings))
    )
    assert seen(renamed.files()) == seen(shop.files())


@settings(max_examples=100, deadline=None)
@given(shops)
def test_moving_imports_into_functions_changes_no_finding(shop: Shop) -> None:
    shop = broken(shop)
    inside = replace(shop, readings=tuple(replace(r, function=True, local=True) for r in shop.readings))
    outside = replace(shop, readings=tuple(replace(r, function=True, local=False) for r in shop.readings))
    assert meanings(inside.files()) == meanings(outside.files())


@settings(max_examples=100, deadline=None)
@given(
    shops,
    st.sampled_from(["from .impl import *", "from .impl import Kind", "from shop.kinds.impl import Kind"]),
)
def test_splitting_a_module_behind_a_re_export_changes_no_finding(shop: Shop, export: str) -> None:
    shop = broken(shop)
    files = shop.files()
    split = {**files, "shop/kinds/impl.py": files["shop/kinds.py"], "shop/kinds/__init__.py": export}
    del split["shop/kinds.py"]
    assert seen(split) == [(line, s.replace("kinds.Kind", "kinds.impl.Kind")) for line, s in seen(files)]


@settings(max_examples=60, deadline=None)
@given(shops, st.sampled_from(["src/", "python/lib/"]))
def test_moving_the_tree_below_a_source_root_changes_no_subject(shop: Shop, root: str) -> None:
    files = broken(shop).files()
    moved = {root + path: text for path, text in files.items()}
    policy = f'version = 1\nsource_roots = ["{root}"]'
    assert [(f.line, f.subject) for f in findings_of(moved, policy=policy)] == seen(files)


@settings(max_examples=60, deadline=None)
@given(shops, st.permutations(range(4)))
def test_the_order_of_files_changes_nothing(shop: Shop, order: list[int]) -> None:
    files = broken(shop).files()
    paths = sorted(files)
    shuffled = {paths[n % len(paths)]: files[paths[n % len(paths)]] for n in [*order, *range(len(paths))]}
    assert findings_of(shuffled) == findings_of(files)
