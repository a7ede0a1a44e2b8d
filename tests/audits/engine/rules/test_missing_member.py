"""The rule missing-member: each point of what an analyser must get right, alone and together."""

import pytest

from audits.engine.findings import Place
from tests.audits.engine.harness import findings_of, found

KINDS = """
from enum import Enum

class Kind(Enum):
    RED = 1
    GREEN = 2
"""


def missing(source: str, files: dict[str, str] | None = None) -> list[str]:
    """``line subject`` of each finding in app.py, beside a module ``kinds`` with Kind.RED and Kind.GREEN."""
    tree = {"kinds.py": KINDS, "app.py": source, **(files or {})}
    return [
        f"{place.removeprefix('app.py:')} {subject}" for _, place, subject, _ in found(tree, "missing-member")
    ]


def annotations(source: str, files: dict[str, str] | None = None) -> list[str]:
    tree = {"kinds.py": KINDS, "app.py": source, **(files or {})}
    return [marks for _, _, _, marks in found(tree, "missing-member")]


# --- the plain case -----------------------------------------------------------------------------------------


def test_a_member_that_the_enum_lacks_is_found() -> None:
    assert found(
        {"app/kinds.py": KINDS, "app/use.py": "from app.kinds import Kind\n\nprint(Kind.RED, Kind.BLUE)\n"}
    ) == [("missing-member", "app/use.py:3", "app.kinds.Kind.BLUE", "import_time")]


def test_a_finding_names_the_definition_the_member_and_the_scope() -> None:
    (finding,) = findings_of(
        {
            "app/kinds.py": KINDS,
            "app/use.py": """
                from app.kinds import Kind

                class User:
                    def paint(self):
                        return "é", Kind.BLUE
            """,
        },
        "missing-member",
    )
    assert finding.definition is not None
    assert (finding.definition.path, finding.definition.line) == ("app/kinds.py", 4)
    assert (finding.member, finding.scope) == ("BLUE", "User.paint")
    assert (finding.line, finding.column) == (6, 20)
    assert finding.message == "Kind has no member BLUE"


def test_of_several_enums_with_one_name_in_a_file_the_first_is_named() -> None:
    several = "".join(f"if x == {n}:\n    class Kind(enum.Enum):\n        RED = {n}\n" for n in range(8))
    tree = {"kinds.py": f"import enum\n{several}", "app.py": "from kinds import Kind\nKind.BLUE\n"}
    (finding,) = findings_of(tree, "missing-member")
    assert finding.definition == Place("kinds.py", 3, 4)


def test_members_that_exist_are_no_findings() -> None:
    assert missing("from kinds import Kind\nprint(Kind.RED.value, Kind.GREEN, Kind['RED'], list(Kind))") == []


def test_an_enum_is_checked_in_its_own_module_too() -> None:
    source = """
        from enum import Enum
        class Local(Enum):
            A = 1
        Local.A, Local.B
    """
    assert missing(source) == ["5 app.Local.B"]


@pytest.mark.parametrize(
    ("hint", "members", "read"),
    [
        ("Did you mean GREEN?", "GREEN = 1; RED = 2", "GREN"),
        ("Did you mean RED?", "GREEN = 1; RED = 2", "red"),
        ("It has A, B. Add WHOLLY_NEW there, or use one of these.", "A = 1; B = 2", "WHOLLY_NEW"),
    ],
)
def test_the_hint_helps(hint: str, members: str, read: str) -> None:
    source = f"from enum import Enum\nclass K(Enum):\n    {members}\nK.{read}"
    assert [f.hint for f in findings_of({"a.py": source}, "missing-member")] == [hint]


def test_the_hint_knows_the_enum_that_was_meant() -> None:
    (finding,) = findings_of(
        {
            "shop/state.py": "from enum import Enum\nclass Status(Enum):\n    OPEN = 1",
            "ship/state.py": "from enum import Enum\nclass Status(Enum):\n    SENT = 1",
            "ship/use.py": "from shop.state import Status\nStatus.SENT",
        },
        "missing-member",
    )
    assert finding.hint == "ship.state.Status has SENT: wrong import?"


# --- 1: enums that share a name -----------------------------------------------------------------------------


def test_enums_of_one_name_are_told_apart_by_module() -> None:
    tree = {
        "a/__init__.py": "",
        "a/states.py": "from enum import Enum\nclass Status(Enum):\n    OPEN = 1",
        "b/__init__.py": "",
        "b/states.py": "from enum import Enum\nclass Status(Enum):\n    SHUT = 1",
        "use_a.py": "from a.states import Status\nStatus.OPEN\nStatus.SHUT",
        "use_b.py": "from b.states import Status\nStatus.OPEN\nStatus.SHUT",
    }
    assert [(place, subject) for _, place, subject, _ in found(tree)] == [
        ("use_a.py:3", "a.states.Status.SHUT"),
        ("use_b.py:2", "b.states.Status.OPEN"),
    ]


def test_enums_of_one_name_in_one_module_are_told_apart_by_scope() -> None:
    source = """
        from enum import Enum
        class Order:
            class Status(Enum):
                OPEN = 1
        class Parcel:
            class Status(Enum):
                SENT = 1
        Order.Status.OPEN, Parcel.Status.SENT
        Order.Status.SENT
        Parcel.Status.OPEN
    """
    assert missing(source) == ["10 app.Order.Status.SENT", "11 app.Parcel.Status.OPEN"]


def test_a_class_of_the_same_name_that_is_no_enum_is_left_alone() -> None:
    source = "from other import Kind\nKind.BLUE"
    assert missing(source, {"other.py": "class Kind:\n    pass"}) == []


def test_a_later_class_of_the_same_name_replaces_the_earlier() -> None:
    source = """
        from enum import Enum
        class K(Enum):
            A = 1
        K.B
        class K(Enum):
            B = 1
        K.A
        K.B
    """
    assert missing(source) == ["5 app.K.B", "8 app.K.A"]


# --- 2: scopes ----------------------------------------------------------------------------------------------


def test_imports_inside_functions_bind_there_only() -> None:
    source = """
        def one():
            from kinds import Kind
            return Kind.BLUE
        def other():
            return Kind.BLUE
    """
    assert missing(source) == ["4 kinds.Kind.BLUE"]


def test_class_scope_is_invisible_in_methods() -> None:
    source = """
        from kinds import Kind as K
        class Other:
            class K:
                BLUE = 1
            inside = K.BLUE
            def method(self):
                return K.BLUE
    """
    assert missing(source) == ["8 kinds.Kind.BLUE"]


def test_class_scope_is_invisible_in_comprehensions_except_for_their_first_iterable() -> None:
    source = """
        from kinds import Kind
        class Other:
            class Kind:
                BLUE = [1]
            first = [x for x in Kind.BLUE]
            rest = [Kind.BLUE for x in ()]
    """
    assert missing(source) == ["7 kinds.Kind.BLUE"]


@pytest.mark.parametrize(
    "source",
    [
        "def f(Kind): return Kind.BLUE",
        "def f(*Kind): return Kind.BLUE",
        "def f(**Kind): return Kind.BLUE",
        "def f(*, Kind=None): return Kind.BLUE",
        "def f(x, /, Kind): return Kind.BLUE",
        "f = lambda Kind: Kind.BLUE",
        "[Kind.BLUE for Kind in ()]",
        "{Kind: Kind.BLUE for Kind in ()}",
        "list(Kind.BLUE for x, Kind in ())",
        "[Kind.BLUE for x in () if (Kind := x)]",
        "def f():\n    for Kind in (): Kind.BLUE",
        "def f():\n    with open('x') as Kind: Kind.BLUE",
        "def f():\n    try: pass\n    except OSError as Kind: Kind.BLUE",
        "def f(x):\n    match x:\n        case {'a': Kind}: Kind.BLUE",
        "def f(x):\n    match x:\n        case [*Kind]: Kind.BLUE",
        "def f(x):\n    match x:\n        case {**Kind}: Kind.BLUE",
        "def f():\n    Kind: object\n    Kind.BLUE",
        "def f():\n    def Kind(): pass\n    Kind.BLUE",
        "def f():\n    import other as Kind\n    Kind.BLUE",
        "def f():\n    (a, [Kind, *b]) = 1, 2\n    Kind.BLUE",
        "def f():\n    Kind += 1\n    Kind.BLUE",
    ],
)
def test_a_shadowed_name_is_something_else(source: str) -> None:
    assert missing(f"from kinds import Kind\n{source}") == []


@pytest.mark.parametrize(
    "source",
    [
        "def f(x=Kind.BLUE): pass",
        "def f(Kind=Kind.BLUE): pass",
        "f = lambda Kind=Kind.BLUE: 1",
        "@Kind.BLUE\ndef f(Kind): pass",
        "class A(Kind.BLUE): Kind = 1",
        "[1 for Kind in Kind.BLUE]",
        "def f(x: Kind.BLUE) -> None: Kind = 1",
    ],
)
def test_what_is_evaluated_outside_sees_the_outer_name(source: str) -> None:
    assert len(missing(f"from kinds import Kind\n{source}")) == 1


def test_nested_functions_see_the_names_of_those_around_them() -> None:
    source = """
        def outer():
            from kinds import Kind
            def inner():
                return lambda: Kind.BLUE
    """
    assert missing(source) == ["5 kinds.Kind.BLUE"]


def test_nonlocal_and_global_reach_outwards() -> None:
    source = """
        Kind = None
        def outer():
            Other = None
            def inner():
                global Kind
                nonlocal Other
                from kinds import Kind
                from kinds import Kind as Other
            inner()
            return Other.BLUE
        Kind.BLUE
    """
    assert [line.split()[0] for line in missing(source)] == ["11", "12"]


def test_a_function_sees_what_the_module_has_at_its_end() -> None:
    source = """
        def f():
            return Kind.BLUE
        from kinds import Kind
    """
    assert missing(source) == ["3 kinds.Kind.BLUE"]


# --- 3: the forms of imports --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        "from pkg.kinds import (\n    Kind,\n)\nKind.BLUE",
        "import pkg.kinds\npkg.kinds.Kind.BLUE",
        "import pkg.kinds as k\nk.Kind.BLUE",
        "from pkg import kinds\nkinds.Kind.BLUE",
        "from pkg import kinds as k\nk.Kind.BLUE",
        "import pkg\npkg.kinds.Kind.BLUE",
        "import pkg.kinds, sys\npkg.kinds.Kind.BLUE",
        "from pkg.kinds import Kind, Kind as K; K.BLUE",
    ],
)
def test_every_form_of_import_leads_to_the_enum(source: str) -> None:
    files = {"pkg/__init__.py": "from pkg import kinds", "pkg/kinds.py": KINDS}
    assert [line.split()[1] for line in missing(source, files)] == ["pkg.kinds.Kind.BLUE"]


@pytest.mark.parametrize(
    ("path", "statement"),
    [
        ("pkg/use.py", "from .kinds import Kind"),
        ("pkg/use.py", "from . import kinds; Kind = kinds.Kind"),
        ("pkg/sub/use.py", "from ..kinds import Kind"),
        ("pkg/sub/deep/use.py", "from ...kinds import Kind"),
        ("pkg/sub/__init__.py", "from ..kinds import Kind"),
        ("pkg/__init__.py", "from .kinds import Kind"),
    ],
)
def test_relative_imports_count_from_the_importing_file(path: str, statement: str) -> None:
    tree = {"pkg/__init__.py": "", "pkg/sub/__init__.py": "", "pkg/kinds.py": KINDS}
    tree[path] = f"{statement}\nKind.BLUE"
    assert found(tree) == [("missing-member", f"{path}:2", "pkg.kinds.Kind.BLUE", "import_time")]


def test_a_package_that_imports_its_own_part_hands_it_on() -> None:
    tree = {
        "pkg/__init__.py": "from . import kinds",
        "pkg/kinds.py": KINDS,
        "use.py": "from pkg import kinds\nkinds.Kind.BLUE",
    }
    assert [place for _, place, _, _ in found(tree)] == ["use.py:2"]


# --- 4: re-exports ------------------------------------------------------------------------------------------


def test_a_chain_of_re_exports_is_followed_to_its_end() -> None:
    files = {
        "pkg/__init__.py": "from .shim import Color",
        "pkg/shim.py": "from .inner import Kind as Color",
        "pkg/inner/__init__.py": "from kinds import Kind",
    }
    assert missing("from pkg import Color\nColor.BLUE", files) == ["2 kinds.Kind.BLUE"]


def test_re_exports_in_a_circle_end() -> None:
    files = {
        "a.py": "from b import Kind\nfrom b import Lost",
        "b.py": "from a import Lost\nfrom kinds import Kind",
    }
    assert missing("from a import Kind, Lost\nKind.BLUE\nLost.BLUE", files) == ["2 kinds.Kind.BLUE"]


def test_a_circle_is_resolved_whichever_way_it_is_entered() -> None:
    circle = {
        "a.py": "from b import Kind as Other\nfrom kinds import Kind",
        "b.py": "from a import Kind\nfrom a import Other",
    }
    for module, name in (("a", "Kind"), ("a", "Other"), ("b", "Kind"), ("b", "Other")):
        source = f"from {module} import {name} as K\nK.BLUE"
        assert missing(source, circle) == ["2 kinds.Kind.BLUE"], (module, name)


def test_a_submodule_and_a_name_of_the_same_spelling() -> None:
    files = {"pkg/__init__.py": "from .kind import kind", "pkg/kind.py": KINDS.replace("Kind", "kind")}
    assert missing("from pkg import kind\nkind.RED\nkind.BLUE", files) == ["3 pkg.kind.kind.BLUE"]


# --- 5: fallbacks -------------------------------------------------------------------------------------------

FALLBACK = """
    try:
        from first import Kind
    except ImportError:
        from second import Kind
    Kind.BLUE
    Kind.PINK
    Kind.RED
"""


def test_a_member_that_all_fallbacks_lack_is_missing_for_certain() -> None:
    files = {"first.py": KINDS, "second.py": KINDS.replace("GREEN", "BLUE")}
    assert [(line.split()[0], marks) for line, marks in zip(
        missing(FALLBACK, files), annotations(FALLBACK, files), strict=True
    )] == [("6", "import_time possible"), ("7", "import_time")]  # fmt: skip


def test_a_fallback_to_something_unknown_leaves_all_open() -> None:
    files = {"first.py": KINDS, "second.py": "Kind = make()"}
    assert missing(FALLBACK, files) == []


def test_a_fallback_to_none_is_no_candidate() -> None:
    source = """
        try:
            from kinds import Kind
        except ImportError:
            Kind = None
        if Kind:
            Kind.BLUE
    """
    assert annotations(source) == ["import_time"]


def test_a_fallback_that_does_not_exist_is_no_candidate() -> None:
    source = FALLBACK.replace("first", "pkg.first").replace("second", "pkg.second")
    files = {"pkg/__init__.py": "", "pkg/first.py": KINDS}
    assert annotations(source, files) == ["import_time", "import_time"]


def test_a_fallback_to_a_package_outside_makes_it_possible() -> None:
    source = """
        try:
            from elsewhere import Kind
        except ImportError:
            from kinds import Kind
        Kind.BLUE
    """
    assert annotations(source) == ["import_time possible"]


def test_a_fallback_class_in_the_handler_is_a_candidate() -> None:
    source = """
        from enum import Enum
        try:
            from kinds import Kind
        except ImportError:
            class Kind(Enum):
                BLUE = 1
        Kind.BLUE
        Kind.PINK
    """
    assert annotations(source) == ["import_time possible", "import_time"]


def test_branches_of_an_if_are_candidates_and_exclude_each_other() -> None:
    source = """
        if flag:
            from first import Kind
            Kind.BLUE
        else:
            from second import Kind
            Kind.BLUE
        Kind.BLUE
    """
    files = {"first.py": KINDS, "second.py": KINDS.replace("GREEN", "BLUE")}
    assert missing(source, files) == ["4 first.Kind.BLUE", "8 first.Kind.BLUE"]
    assert annotations(source, files) == ["import_time", "import_time possible"]


def test_what_a_loop_binds_later_counts_earlier() -> None:
    source = """
        from first import Kind
        for x in range(2):
            Kind.BLUE
            from second import Kind
    """
    files = {"first.py": KINDS, "second.py": KINDS.replace("GREEN", "BLUE")}
    assert annotations(source, files) == ["import_time possible"]


# --- 6: aliases ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        "from kinds import Kind as K\nK.BLUE",
        "from kinds import Kind\nK = Kind\nK.BLUE",
        "import kinds\nK = kinds.Kind\nK.BLUE",
        "import kinds as m\nn = m\nK = n.Kind\nL = M = K\nL.BLUE, M.RED",
        "from kinds import Kind\nK: type[Kind] = Kind\nK.BLUE",
        "from kinds import Kind\nif (K := Kind): K.BLUE",
        "from kinds import Kind\nclass Box:\n    kind = Kind\nBox.kind.BLUE",
        "from kinds import Kind\nclass Box:\n    kind = Kind\nclass Sub(Box): pass\nSub.kind.BLUE",
        "from kinds import Kind\ndef f():\n    K = Kind\n    return K.BLUE",
    ],
)
def test_aliases_are_followed(source: str) -> None:
    assert [line.split()[1] for line in missing(source)] == ["kinds.Kind.BLUE"]


def test_an_alias_is_what_it_was_when_it_was_bound() -> None:
    source = """
        from first import Kind
        K = Kind
        from second import Kind
        K.BLUE
        Kind.BLUE
    """
    files = {"first.py": KINDS, "second.py": KINDS.replace("GREEN", "BLUE")}
    assert missing(source, files) == ["5 first.Kind.BLUE"]


def test_an_alias_of_a_call_is_unknown() -> None:
    assert missing("from kinds import Kind\nK = wrap(Kind)\nK.BLUE\nL = Kind if x else y\nL.BLUE") == []


def test_an_alias_of_itself_ends() -> None:
    assert missing("Kind = Kind\nKind.BLUE\nA = B\nB = A\nA.X") == []


# --- 7: stars, lazy and dynamic modules, source roots -------------------------------------------------------


@pytest.mark.parametrize(
    "star",
    [
        "from enum import Enum\nclass Kind(Enum):\n    RED = 1",
        "from kinds import Kind\n__all__ = ['Kind']",
        "from kinds import Kind\n__all__ = []\n__all__ += ['Kind']",
        "from kinds import Kind\n__all__ = ('Other',)\n__all__.append('Kind')",
        "from kinds import Kind\n__all__ = make()",
        "from kinds import *",
    ],
)
def test_a_star_brings_public_names(star: str) -> None:
    assert len(missing("from star import *\nKind.BLUE", {"star.py": star})) == 1


@pytest.mark.parametrize(
    "star", ["from kinds import Kind\n__all__ = ['Other']", "from kinds import Kind as _Kind"]
)
def test_a_star_brings_nothing_else(star: str) -> None:
    assert missing("from star import *\nKind.BLUE\n_Kind.BLUE", {"star.py": star}) == []


def test_a_private_name_comes_through_a_star_when_all_names_it() -> None:
    star = "from kinds import Kind as _Kind\n__all__ = ['_Kind']"
    assert len(missing("from star import *\n_Kind.BLUE", {"star.py": star})) == 1


def test_a_star_and_a_fallback_after_it_are_both_candidates() -> None:
    source = """
        from first import *
        try:
            from second import Kind
        except ImportError:
            pass
        Kind.BLUE
    """
    files = {"first.py": KINDS, "second.py": KINDS.replace("GREEN", "BLUE")}
    assert annotations(source, files) == ["import_time possible"]


def test_a_name_bound_after_a_star_is_what_counts() -> None:
    files = {"first.py": KINDS.replace("GREEN", "BLUE"), "second.py": KINDS}
    assert missing("from first import *\nfrom second import Kind\nKind.BLUE", files) == ["3 second.Kind.BLUE"]


def test_a_star_from_outside_may_bring_anything() -> None:
    assert missing("from elsewhere import *\nKind.BLUE") == []


@pytest.mark.parametrize(
    "lazy",
    [
        "def __getattr__(name): return load(name)",
        "from lazy import __getattr__",
        "__getattr__ = lazy(__name__)",
        "__getattr__, __dir__, __all__ = attach(__name__)",
        "for n in names: globals()[n] = 1",
        "globals().update(make())",
        "import sys\nsys.modules[__name__] = make()",
        "import sys\nsys.modules[__name__].__class__ = Lazy",
        "import sys\nsetattr(sys.modules[__name__], 'Kind', 1)",
        "exec(open('x').read())",
        "vars()['Kind'] = 1",
    ],
)
def test_a_module_that_makes_names_as_it_runs_may_have_anything(lazy: str) -> None:
    assert missing("import lazy_one\nlazy_one.Kind.BLUE", {"lazy_one.py": lazy}) == []
    assert found({"lazy_one.py": lazy, "use.py": "from lazy_one import Kind\nKind.BLUE"}) == []


def test_a_dynamic_module_still_says_what_its_text_says() -> None:
    lazy = f"{KINDS}\ndef __getattr__(name): return load(name)"
    assert len(missing("from lazy_one import Kind\nKind.BLUE", {"lazy_one.py": lazy})) == 1


@pytest.mark.parametrize("read", ["globals()['x']", "globals().get('x')", "'x' in globals()", "dir()"])
def test_a_look_at_the_namespace_binds_nothing(read: str) -> None:
    files = {"looks.py": f"def f(): return {read}"}
    assert len(found({**files, "use.py": "from looks import Kind"}, "unresolved-import")) == 1


def test_source_roots_are_configurable_and_no_part_of_names() -> None:
    tree = {
        "python/lib/shop/__init__.py": "",
        "python/lib/shop/kinds.py": KINDS,
        "python/bin_/use.py": "from shop.kinds import Kind\nKind.BLUE",
    }
    assert found(tree) == []
    assert found(tree, policy='version = 1\nsource_roots = ["python/lib"]') == [
        ("missing-member", "python/bin_/use.py:2", "shop.kinds.Kind.BLUE", "import_time")
    ]


def test_src_is_a_source_root_by_default() -> None:
    tree = {
        "src/shop/__init__.py": "",
        "src/shop/kinds.py": KINDS,
        "tests/test_shop.py": "from shop.kinds import Kind\nKind.BLUE",
    }
    assert [subject for _, _, subject, _ in found(tree)] == ["shop.kinds.Kind.BLUE"]


def test_scripts_see_what_lies_beside_them() -> None:
    tree = {"tools/kinds.py": KINDS, "tools/run.py": "from kinds import Kind\nKind.BLUE"}
    assert [subject for _, _, subject, _ in found(tree)] == ["tools.kinds.Kind.BLUE"]


# --- 8: what an enum has beside its members -----------------------------------------------------------------


@pytest.mark.parametrize(
    "read",
    [
        "Kind.RED.value",
        "Kind.RED.name",
        "Kind.RED.anything_at_all",
        "Kind.__members__",
        "Kind._value2member_map_",
        "Kind._member_map_",
        "Kind._missing_(1)",
        "Kind.__name__",
        "Kind.__doc__",
        "Kind.mro()",
        "Kind.__private",
        "Kind.SCARLET",
        "Kind.shade",
        "Kind.parse('x')",
        "Kind.make()",
        "Kind.LIMIT",
        "Kind.key",
        "Kind.PAIR_A, Kind.PAIR_B",
        "Kind.Inner.x",
    ],
)
def test_what_an_enum_has_besides_members(read: str) -> None:
    source = f"""
        from enum import Enum, auto, member, nonmember
        class Kind(str, Enum):
            '''Kinds.'''
            _ignore_ = ['scratch']
            scratch = 0
            RED = auto()
            SCARLET = RED
            PAIR_A, PAIR_B = 'a', 'b'
            LIMIT = nonmember(3)
            key = lambda self: 1
            class Inner:
                x = 1
            @property
            def shade(self): return 1
            @classmethod
            def parse(cls, text): return cls(text)
            @staticmethod
            def make(): return 1
        {read}
    """
    assert missing(source) == []


@pytest.mark.parametrize("read", ["scratch", "PALE", "value", "name", "UNKNOWN"])
def test_what_an_enum_does_not_have(read: str) -> None:
    source = f"""
        from enum import Enum
        class Kind(Enum):
            _ignore_ = 'scratch other'
            scratch = 0
            PALE: int
            RED = 1
        Kind.{read}
    """
    assert missing(source) == [f"8 app.Kind.{read}"]


def test_mixins_bases_and_their_attributes_count() -> None:
    source = """
        from enum import Enum, IntEnum, IntFlag, Flag, StrEnum
        class Speaking:
            loud = True
            def speak(self): return 1
        class Base(Speaking, Enum):
            def describe(self): return 1
        class Kind(Base):
            RED = 1
        class Text(str, Enum):
            A = 'a'
        class Number(IntEnum):
            ONE = 1
        class Bits(IntFlag):
            R = 1
            RW = R | 2
        Kind.loud, Kind.speak, Kind.describe, Text.upper, Text.join, Number.from_bytes, Number.to_bytes, Bits.RW
        Kind.quiet
        Text.from_bytes
        Bits.X
    """
    assert missing(source) == ["18 app.Kind.quiet", "19 app.Text.from_bytes", "20 app.Bits.X"]


def test_members_are_inherited_from_a_base_of_another_module() -> None:
    files = {"base.py": "from enum import Enum\nclass Base(Enum):\n    def f(self): pass"}
    source = "from base import Base\nclass Kind(Base):\n    RED = 1\nKind.f, Kind.RED\nKind.g"
    assert missing(source, files) == ["5 app.Kind.g"]


def test_a_mixin_from_outside_leaves_all_open() -> None:
    source = """
        from enum import Enum
        from elsewhere import Mixin
        class Kind(Mixin, Enum):
            RED = 1
        Kind.BLUE
    """
    assert missing(source) == []


def test_choices_of_django_have_more() -> None:
    source = """
        from django.db import models
        class Kind(models.TextChoices):
            RED = 'r', 'Red'
            __empty__ = 'none'
        Kind.choices, Kind.labels, Kind.values, Kind.names, Kind.RED.label, Kind.upper, Kind.__empty__
        Kind.do_not_call_in_templates
        Kind.BLUE
        Kind.label
    """
    assert missing(source) == ["8 app.Kind.BLUE", "9 app.Kind.label"]


def test_a_member_whose_value_is_an_enum_is_a_member_and_no_enum() -> None:
    source = "from enum import Enum\nfrom kinds import Kind\nclass Box(Enum):\n    K = Kind\nBox.K.value\nBox.K.BLUE"
    assert missing(source) == []


def test_a_nested_enum_is_checked() -> None:
    source = """
        from enum import Enum
        class Outer(Enum):
            A = 1
            class Inner(Enum):
                B = 1
        Outer.Inner.B
        Outer.Inner.C
    """
    assert missing(source) == ["8 app.Outer.Inner.C"]


# --- 9: keys ------------------------------------------------------------------------------------------------


def test_an_absent_key_is_found() -> None:
    assert missing("from kinds import Kind\nKind['RED']\nKind['BLUE']\nKind['BLUE'].value") == [
        "3 kinds.Kind.BLUE",
        "4 kinds.Kind.BLUE",
    ]


@pytest.mark.parametrize(
    "read",
    ["getattr(Kind, 'BLUE')", "getattr(Kind, 'BLUE', None)", "hasattr(Kind, 'BLUE')", "Kind[name]", "Kind('BLUE')"],
)  # fmt: skip
def test_what_is_asked_by_name_is_never_a_finding(read: str) -> None:
    assert missing(f"from kinds import Kind\n{read}") == []


def test_a_method_is_no_key() -> None:
    source = "from enum import Enum\nclass K(Enum):\n    A = 1\n    def f(self): pass\nK.f\nK['f']"
    assert missing(source) == ["6 app.K.f"]


def test_a_key_of_a_member_is_something_else() -> None:
    assert (
        missing("from kinds import Kind\nKind.RED['BLUE']\n{'x': 1}['BLUE']\nkinds = {}\nkinds['BLUE']") == []
    )


# --- 10: guards ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        "try:\n    Kind.BLUE\nexcept AttributeError:\n    pass",
        "try:\n    Kind.BLUE\nexcept (TypeError, AttributeError):\n    pass",
        "try:\n    Kind.BLUE\nexcept Exception as error:\n    print(error)",
        "try:\n    Kind.BLUE\nexcept:\n    pass",
        "try:\n    if x:\n        Kind.BLUE\nexcept AttributeError:\n    pass",
        "try:\n    Kind['BLUE']\nexcept KeyError:\n    pass",
        "import contextlib\nwith contextlib.suppress(AttributeError):\n    Kind.BLUE",
        "import pytest\nwith pytest.raises(AttributeError):\n    Kind.BLUE",
        "if hasattr(Kind, 'BLUE'):\n    Kind.BLUE",
        "if x and hasattr(Kind, 'BLUE'):\n    Kind.BLUE.value",
        "x = Kind.BLUE if hasattr(Kind, 'BLUE') else 1",
        "x = hasattr(Kind, 'BLUE') and Kind.BLUE",
        "x = not hasattr(Kind, 'BLUE') or Kind.BLUE",
        "if not hasattr(Kind, 'BLUE'):\n    pass\nelse:\n    Kind.BLUE",
        "if 'BLUE' in Kind.__members__:\n    Kind.BLUE",
        "if 'BLUE' in Kind.__members__:\n    Kind['BLUE']",
        "if 'BLUE' not in dir(Kind):\n    raise SystemExit\nKind.BLUE",
        "if getattr(Kind, 'BLUE', None) is not None:\n    Kind.BLUE",
        "assert hasattr(Kind, 'BLUE')\nKind.BLUE",
        "[Kind.BLUE for x in () if hasattr(Kind, 'BLUE')]",
        "while hasattr(Kind, 'BLUE'):\n    Kind.BLUE",
    ],
)
def test_a_guarded_reading_is_annotated_and_stays(source: str) -> None:
    assert annotations(f"from kinds import Kind\n{source}") == ["guarded import_time"]


def test_leaving_early_guards_the_rest_of_the_block_only() -> None:
    source = """
        from kinds import Kind
        def f():
            if not hasattr(Kind, 'BLUE'):
                return None
            return Kind.BLUE
        def g():
            for x in ():
                if not hasattr(Kind, 'BLUE'):
                    continue
                Kind.BLUE
            return Kind.BLUE
    """
    assert annotations(source) == ["guarded", "guarded", ""]


@pytest.mark.parametrize(
    "source",
    [
        "if hasattr(other, 'BLUE'): Kind.BLUE",
        "hasattr(other, 'x'), Kind.BLUE",
        "if hasattr(Kind, 'PINK'): Kind.BLUE",
        "if not hasattr(Kind, 'BLUE'): Kind.BLUE",
        "if x or hasattr(Kind, 'BLUE'): Kind.BLUE",
        "try:\n    Kind.BLUE\nexcept KeyError:\n    pass",
        "try:\n    Kind['BLUE']\nexcept AttributeError:\n    pass",
        "try:\n    pass\nexcept AttributeError:\n    Kind.BLUE",
        "try:\n    pass\nexcept AttributeError:\n    pass\nelse:\n    Kind.BLUE",
        "try:\n    pass\nfinally:\n    Kind.BLUE",
        "try:\n    Kind.BLUE\nexcept AttributeError as error:\n    raise TypeError from error",
        "try:\n    Kind.BLUE\nexcept AttributeError:\n    raise\nexcept Exception:\n    pass",
        "try:\n    Kind.BLUE\nexcept AttributeError:\n    import sys\n    sys.exit(1)",
    ],
)
def test_what_guards_something_else_guards_nothing_here(source: str) -> None:
    assert annotations(f"from kinds import Kind\n{source}") == ["import_time"]


def test_a_guard_does_not_reach_into_a_function_that_is_only_defined_there() -> None:
    source = """
        from kinds import Kind
        try:
            def f():
                return Kind.BLUE
        except AttributeError:
            pass
    """
    assert annotations(source) == [""]


# --- 11: setting is not reading -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        "Kind.BLUE = 3",
        "Kind.BLUE: int = 3",
        "Kind.BLUE += 3",
        "del Kind.BLUE",
        "for Kind.BLUE in (): pass",
        "(a, Kind.BLUE) = 1, 2",
        "with open('x') as Kind.BLUE: pass",
        "setattr(Kind, 'BLUE', 1)",
        "def test(monkeypatch): monkeypatch.setattr(Kind, 'BLUE', 1)",
    ],
)
def test_setting_an_attribute_reads_none(source: str) -> None:
    assert missing(f"from kinds import Kind\n{source}") == []


@pytest.mark.parametrize(
    "patch",
    [
        "Kind.BLUE = 3",
        "setattr(Kind, 'BLUE', 3)",
        "def setup(): Kind.BLUE = 3",
        "def test(monkeypatch): monkeypatch.setattr(Kind, 'BLUE', 3, raising=False)",
        "from unittest.mock import patch\nwith patch.object(Kind, 'BLUE', create=True): pass",
        "for name in names: setattr(Kind, name, 3)",
    ],
)
def test_a_patch_counts_in_its_own_file(patch: str) -> None:
    assert missing(f"from kinds import Kind\n{patch}\nKind.BLUE") == []


def test_a_patch_in_a_test_mends_no_other_file() -> None:
    source = "from kinds import Kind\nKind.BLUE"
    for patch in ("Kind.BLUE = 3", "for name in names: setattr(Kind, name, 3)"):
        assert len(missing(source, {"tests/test_it.py": f"from kinds import Kind\n{patch}"})) == 1


def test_what_a_module_sets_on_its_own_enum_counts_everywhere() -> None:
    source = "from own import Own\nOwn.BLUE\nOwn.PINK"
    own = "from enum import Enum\nclass Own(Enum):\n    RED = 1\nOwn.BLUE = Own.RED"
    assert missing(source, {"own.py": own}) == ["3 own.Own.PINK"]


def test_members_that_another_module_registers_leave_the_enum_open() -> None:
    files = {
        "plugin.py": "from aenum import extend_enum\nfrom kinds import Kind\nextend_enum(Kind, 'BLUE', 3)"
    }
    assert missing("from kinds import Kind\nKind.BLUE", files) == []


# --- 12: type checking --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    Kind.BLUE",
        "import typing\nif typing.TYPE_CHECKING:\n    Kind.BLUE",
        "from typing import TYPE_CHECKING\nif not TYPE_CHECKING:\n    pass\nelse:\n    Kind.BLUE",
        "if False:\n    Kind.BLUE",
        "def f():\n    x: Kind.BLUE = 1",
    ],
)
def test_what_only_type_checkers_see_is_annotated(source: str) -> None:
    assert [m.replace("import_time ", "") for m in annotations(f"from kinds import Kind\n{source}")] == [
        "type_checking_only"
    ]


def test_an_import_for_type_checkers_leads_to_the_enum_too() -> None:
    source = """
        from __future__ import annotations
        from typing import TYPE_CHECKING
        if TYPE_CHECKING:
            from kinds import Kind
        def f(x: Kind.BLUE) -> Kind.RED:
            return 1
    """
    assert annotations(source) == ["type_checking_only"]


def test_annotations_are_evaluated_without_the_future_import() -> None:
    source = "from kinds import Kind\ndef f(x: Kind.BLUE) -> Kind.PINK: pass\ny: Kind.GREY = 1"
    assert annotations(source) == ["import_time"] * 3


# --- 13: what is no code ------------------------------------------------------------------------------------


def test_comments_strings_and_docstrings_never_count() -> None:
    source = '''
        """Kind.BLUE"""
        from kinds import Kind
        # Kind.BLUE
        x = "Kind.BLUE"
        y = b"Kind.BLUE"
        def f(a: "Kind.BLUE"):
            """Kind.BLUE"""
    '''
    assert missing(source) == []


def test_f_strings_count_with_their_place() -> None:
    source = 'from kinds import Kind\nx = f"é {Kind.BLUE} {{Kind.PINK}} {1:{Kind.GREY}}"\n'
    places = [
        (f.line, f.column) for f in findings_of({"kinds.py": KINDS, "app.py": source}, "missing-member")
    ]
    assert places == [(2, 9), (2, 38)]


# --- 14: names that are bound to nothing --------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        "Kind.BLUE",
        "def f(): return Kind.BLUE",
        "def f():\n    from kinds import Kind\ndef g(): return Kind.BLUE",
        "from kinds import Kind\ndel Kind\nKind.BLUE",
        "from kinds import Kind\ndel Kind\ndef f(): return Kind.BLUE",
        "[Kind for Kind in ()]\nKind.BLUE",
        "try: pass\nexcept OSError as Kind: pass\nKind.BLUE",
    ],
)
def test_a_name_bound_to_nothing_is_another_kind_of_error(source: str) -> None:
    assert missing(source) == []


def test_a_builtin_is_nobodys_enum() -> None:
    assert missing("str.BLUE\nint.X\nprint.Y") == []


# --- 15: import time and call time --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        "Kind.BLUE",
        "class A:\n    x = Kind.BLUE",
        "def f(x=Kind.BLUE): pass",
        "@register(Kind.BLUE)\ndef f(): pass",
        "if x:\n    for y in ():\n        Kind.BLUE",
        "[Kind.BLUE for x in ()]",
    ],
)
def test_what_runs_when_the_module_is_imported(source: str) -> None:
    assert annotations(f"from kinds import Kind\n{source}") == ["import_time"]


@pytest.mark.parametrize(
    "source",
    [
        "def f(): return Kind.BLUE",
        "async def f(): return Kind.BLUE",
        "f = lambda: Kind.BLUE",
        "class A:\n    def f(self):\n        return Kind.BLUE",
        "if __name__ == '__main__':\n    Kind.BLUE",
    ],
)
def test_what_runs_when_it_is_called(source: str) -> None:
    assert annotations(f"from kinds import Kind\n{source}") == [""]


def test_severity_follows_zone_and_time() -> None:
    use = "from kinds import Kind\nKind.BLUE\ndef f(): Kind.BLUE\nif hasattr(Kind, 'BLUE'): Kind.BLUE"
    tree = dict.fromkeys(("app.py", "tests/test_app.py", "scripts/run.py", "archive/old.py"), use)
    severities: dict[str, list[str]] = {}
    for finding in findings_of({"kinds.py": KINDS, **tree}, "missing-member"):
        severities.setdefault(finding.path, []).append(finding.severity)
    assert severities == {
        "app.py": ["P0", "P1", "P2"],
        "tests/test_app.py": ["P2", "P2", "P3"],
        "scripts/run.py": ["P2", "P2", "P3"],
        "archive/old.py": ["P3", "P3", "P3"],
    }


@pytest.mark.parametrize(
    "test", ["sys.platform == 'win32'", "sys.version_info >= (3, 12)", "os.name == 'nt'", "PY3", "HAS_KINDS"]
)
def test_what_runs_on_some_platforms_or_versions_only_is_possible(test: str) -> None:
    source = f"import sys, os\nfrom kinds import Kind\nif {test}:\n    Kind.BLUE\nelse:\n    Kind.PINK"
    assert annotations(source) == ["import_time possible"] * 2


# --- 16: enums that the text does not decide ----------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        "class Kind(Enum):\n    RED = 1\n    if flag:\n        BLUE = 2",
        "class Kind(Enum):\n    try:\n        RED = 1\n    except Exception:\n        BLUE = 2",
        "class Kind(Enum):\n    for x in names:\n        vars()[x] = x",
        "class Kind(Enum):\n    RED = 1\n    locals().update(more)",
        "class Kind(Enum):\n    RED = 1\n    exec(more)",
        "@extended\nclass Kind(Enum):\n    RED = 1",
        "@make(1)\nclass Kind(Enum):\n    RED = 1",
        "class Kind(Enum, metaclass=Meta):\n    RED = 1",
        "class Kind(Enum, **options):\n    RED = 1",
        "class Kind(base(), Enum):\n    RED = 1",
        "Kind = Enum('Kind', 'RED GREEN')",
        "Kind = Enum('Kind', {'RED': 1})",
        "class Base(Enum):\n    def __init_subclass__(cls): cls.BLUE = 1\nclass Kind(Base):\n    RED = 1",
        "class M(EnumMeta):\n    def __getattr__(cls, name): return 1\nclass Kind(Enum, metaclass=M):\n    RED = 1",
        "class Kind(Enum):\n    RED = 1\nfor name in more: setattr(Kind, name, 1)",
        "class Kind(Enum):\n    RED = 1\nKind._member_map_['BLUE'] = 1",
        "class Kind(Unknown, Enum):\n    RED = 1",
    ],
)
def test_an_enum_that_the_text_does_not_decide_is_left_alone(body: str) -> None:
    source = f"from enum import Enum, EnumMeta\n{body}\nKind.BLUE\nKind['BLUE']"
    assert missing(source) == []


@pytest.mark.parametrize("decorator", ["@unique", "@enum.verify(enum.UNIQUE)", "@functools.total_ordering"])
def test_decorators_that_change_no_member_are_known(decorator: str) -> None:
    source = (
        f"import enum, functools\nfrom enum import Enum, unique\n{decorator}\nclass K(Enum):\n    A = 1\nK.B"
    )
    assert len(missing(source)) == 1


def test_a_metaclass_of_the_tree_adds_its_own_attributes() -> None:
    source = """
        from enum import Enum, EnumMeta
        class Meta(EnumMeta):
            @property
            def all(cls): return list(cls)
        class Kind(Enum, metaclass=Meta):
            RED = 1
        Kind.all, Kind.RED
        Kind.BLUE
    """
    assert missing(source) == ["9 app.Kind.BLUE"]


def test_members_made_by_generate_next_value_are_members() -> None:
    source = """
        from enum import Enum, auto
        class Kind(str, Enum):
            @staticmethod
            def _generate_next_value_(name, start, count, last): return name
            RED = auto()
        Kind.RED
        Kind.BLUE
    """
    assert missing(source) == ["8 app.Kind.BLUE"]


# --- 17: zones ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "zone"),
    [
        ("app.py", "prod"),
        ("pkg/tests/x.py", "test"),
        ("pkg/test_x.py", "test"),
        ("pkg/x_test.py", "test"),
        ("conftest.py", "test"),
        ("scripts/x.py", "script"),
        ("setup.py", "script"),
        (".github/x.py", "script"),
        ("archive/tests/test_x.py", "archive"),
        ("pkg/backup/x.py", "archive"),
        ("pkg/x_backup.py", "archive"),
    ],
)
def test_zones_keep_kinds_of_code_apart(path: str, zone: str) -> None:
    (finding,) = findings_of({"kinds.py": KINDS, path: "from kinds import Kind\nKind.BLUE"}, "missing-member")
    assert finding.zone == zone


# --- together -----------------------------------------------------------------------------------------------


def test_everything_at_once() -> None:
    tree = {
        "src/shop/__init__.py": "from .shim import *",
        "src/shop/shim.py": """
            try:
                from .fast import Kind
            except ImportError:
                from .slow import Kind
            __all__ = ["Kind"]
        """,
        "src/shop/fast.py": KINDS,
        "src/shop/slow.py": KINDS.replace("GREEN = 2", "BLUE = 2"),
        "tests/test_shop.py": """
            import shop
            class TestKinds:
                Kind = shop.Kind
                def test_it(self):
                    try:
                        return f"{shop.Kind.BLUE} {shop.Kind['PINK']}"
                    except (KeyError, AttributeError):
                        return [shop.Kind.GREY for shop in ()]
        """,
    }
    assert found(tree) == [
        ("missing-member", "tests/test_shop.py:7", "shop.fast.Kind.BLUE", "guarded possible"),
        ("missing-member", "tests/test_shop.py:7", "shop.fast.Kind.PINK", "guarded"),
    ]


def test_equal_findings_of_a_scope_are_numbered_and_moving_them_changes_nothing() -> None:
    def prints(source: str) -> set[str]:
        return {
            f.fingerprint
            for f in findings_of({"kinds.py": KINDS, "a.py": source}, "missing-member")
        }  # fmt: skip

    source = "from kinds import Kind\ndef f():\n    Kind.BLUE\n    Kind.BLUE\ndef g(): Kind.BLUE\n"
    assert len(prints(source)) == 3
    assert prints(source) == prints("\n\n# moved\n" + source)
