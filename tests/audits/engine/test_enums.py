"""Which classes are enums, and what they have."""

import pytest

from audits.engine.enums import EnumClass, Enums
from audits.engine.targets import ClassTarget
from tests.audits.engine.harness import codebase_of


def enum_of(source: str, name: str = "Kind", files: dict[str, str] | None = None) -> EnumClass | None:
    codebase = codebase_of({"mod.py": source, **(files or {})})
    (target,) = codebase.name("mod.py", name)
    assert isinstance(target, ClassTarget)
    return Enums(codebase).get(target)


@pytest.mark.parametrize(
    "source",
    [
        "from enum import Enum\nclass Kind(Enum): A = 1",
        "import enum\nclass Kind(enum.IntEnum): A = 1",
        "import enum as e\nclass Kind(str, e.Enum): A = 'a'",
        "from enum import Flag as F\nclass Kind(F): A = 1",
        "from enum import ReprEnum\nclass Kind(int, ReprEnum): A = 1",
        "from enum import Enum\nclass Base(Enum): pass\nclass Kind(Base): A = 1",
        "from django.db import models\nclass Kind(models.TextChoices): A = 'a'",
        "from django.db.models import IntegerChoices\nclass Kind(IntegerChoices): A = 1",
        "from django.db.models.enums import Choices\nclass Kind(Choices): A = 1",
        (
            "try:\n    from enum import StrEnum\nexcept ImportError:\n    from enum import Enum\n"
            "    class StrEnum(str, Enum): pass\nclass Kind(StrEnum): A = 'a'"
        ),
    ],
)
def test_what_an_enum_is(source: str) -> None:
    found = enum_of(source)
    assert found is not None
    assert found.members == ("A",)
    assert not found.open


@pytest.mark.parametrize(
    "source",
    [
        "class Kind: A = 1",
        "class Enum: pass\nclass Kind(Enum): A = 1",
        "from elsewhere import Enum\nclass Kind(Enum): A = 1",
        "from models import TextChoices\nclass Kind(TextChoices): A = 1",
        "class Kind(Enum): A = 1",
    ],
)
def test_what_only_looks_like_one(source: str) -> None:
    assert enum_of(source) is None


def test_members_stand_in_the_order_of_their_definition() -> None:
    source = """
        from enum import Enum, auto
        class Kind(Enum):
            B = auto()
            A: int = 2
            C, D = 3, 4
            B2 = B
            _E = 5
            __private = 6
            _sunder_ = 7
            bare: int
            def f(self): pass
            G = lambda self: 1
    """
    found = enum_of(source)
    assert found is not None
    assert found.members == ("B", "A", "C", "D", "B2", "_E")
    assert {"f", "G", "B"} <= found.attributes
    assert "bare" not in found.attributes


def test_what_it_lacks() -> None:
    found = enum_of("from enum import Enum\nclass Kind(Enum):\n    A = 1\n    def f(self): pass")
    assert found is not None
    assert found.lacks("B")
    assert not found.lacks("A")
    assert not found.lacks("f")
    assert not found.lacks("__members__")
    assert not found.lacks("_missing_")
    assert found.lacks_key("B")
    assert found.lacks_key("f")
    assert not found.lacks_key("A")


def test_an_open_enum_lacks_nothing() -> None:
    found = enum_of("from enum import Enum\nclass Kind(unknown(), Enum): A = 1")
    assert found is not None
    assert found.open
    assert not found.lacks("B")
    assert not found.lacks_key("B")


def test_enums_of_one_name_are_listed_by_path() -> None:
    codebase = codebase_of(
        dict.fromkeys(
            ("b.py", "a.py", "c/d.py"), "from enum import Enum\nclass Kind(Enum): A = 1\nclass K(Enum): A = 1"
        )
    )
    assert [e.name for e in Enums(codebase).named("Kind")] == ["a.Kind", "b.Kind", "c.d.Kind"]


@pytest.mark.parametrize("mixin", ["str", "int", "float", "bytes", "tuple", "object"])
def test_attributes_of_builtin_mixins_are_known(mixin: str) -> None:
    found = enum_of(f"from enum import Enum\nclass Kind({mixin}, Enum): A = 1")
    assert found is not None
    assert not found.open
    assert set(dir(eval(mixin))) <= found.attributes  # noqa: S307
