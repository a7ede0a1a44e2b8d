"""Which classes of a tree are enums, and what may be asked of them.

The rules are those of the standard library's ``enum`` (Python 3.11 to 3.14) and of Django's ``Choices``. Whatever
the text does not decide makes a class *open*: nothing is said about the members of an open class.
"""

import builtins
import enum
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from audits.engine.codebase import Codebase
from audits.engine.facts import Expr
from audits.engine.targets import ClassTarget, External

_ENUM_BASES = frozenset(
    f"enum.{name}"
    for name in ("Enum", "IntEnum", "StrEnum", "Flag", "IntFlag", "ReprEnum")
)  # fmt: skip
_CHOICES_BASES = frozenset(
    f"django.db.models.{prefix}{name}"
    for prefix in ("", "enums.")
    for name in ("Choices", "TextChoices", "IntegerChoices")
)
_CHOICES_ATTRIBUTES = frozenset({"choices", "do_not_call_in_templates", "labels", "names", "values"})
# The metaclasses whose behaviour is built in here.
_ENUM_METACLASSES = frozenset({"enum.EnumMeta", "enum.EnumType"})
# What a metaclass may define that decides which attributes its classes have.
_DECIDING = frozenset(
    {"__call__", "__getattr__", "__getattribute__", "__getitem__", "__new__", "__init__", "__prepare__"}
)
# Decorators that leave an enum's members as they stand.
_PLAIN_DECORATORS = frozenset({"enum.unique", "enum.verify", "enum.global_enum", "functools.total_ordering"})
_MIXED_IN = {
    "enum.IntEnum": (int,),
    "enum.IntFlag": (int,),
    "enum.StrEnum": (str,),
    "django.db.models.TextChoices": (str,),
    "django.db.models.enums.TextChoices": (str,),
    "django.db.models.IntegerChoices": (int,),
    "django.db.models.enums.IntegerChoices": (int,),
}
# On the class ``name`` and ``value`` raise AttributeError: they exist on members only.
_ENUM_ATTRIBUTES = (frozenset(dir(enum.Enum)) | frozenset(dir(enum.EnumMeta))) - {"name", "value"}
_RESERVED = re.compile(r"__\w+__|_[^\W_]\w*_|__\w*[^\W_]")
_MAX_BASES = 200


@dataclass(frozen=True, slots=True)
class EnumClass:
    """An enum of the tree.

    ``members`` in the order of their definition; ``attributes`` all names that may be read from the class, members
    included. ``open`` says that the text doesn't decide what the class has.
    """

    target: ClassTarget
    name: str
    members: tuple[str, ...]
    attributes: frozenset[str]
    open: bool

    def lacks(self, attribute: str) -> bool:
        """Whether reading ``Enum.attribute`` raises AttributeError."""
        return not self.open and attribute not in self.attributes and not _RESERVED.fullmatch(attribute)

    def lacks_key(self, key: str) -> bool:
        """Whether ``Enum[key]`` raises KeyError."""
        return not self.open and key not in self.members


class Enums:
    """The enums of a codebase, each worked out once."""

    def __init__(self, codebase: Codebase) -> None:
        self._codebase = codebase
        codebase.answers.register("enum", self._get)

    def get(self, target: ClassTarget) -> EnumClass | None:
        """The enum that a class is; None when it is none, or may be none."""
        return self._get(target) or None

    def _get(self, target: ClassTarget) -> EnumClass | Literal[False]:
        answers = self._codebase.answers
        key = ("enum", target)
        found: EnumClass | Literal[False] | None = answers.recall(key)
        if found is None:
            outer = answers.begin()
            found = (self._codebase.has_class(target) and self._read(target)) or False
            answers.keep(outer, key, found)
        return found

    def named(self, name: str) -> list[EnumClass]:
        """All enums of the tree with a class name, ordered by path."""
        self._codebase.answers.use(f"={name}")
        return [found for target in self._by_name.get(name, ()) if (found := self.get(target)) is not None]

    @cached_property
    def _by_name(self) -> dict[str, list[ClassTarget]]:
        result: dict[str, list[ClassTarget]] = {}
        for path in sorted(self._codebase.facts):
            for target, cls in self._codebase.classes(path):
                result.setdefault(cls.name, []).append(target)
        return result

    def _read(self, target: ClassTarget) -> EnumClass | None:
        line = [t for _, t in zip(range(_MAX_BASES), self._codebase.mro(target), strict=False)]
        if not any(isinstance(t, External) and t.name in _ENUM_BASES | _CHOICES_BASES for t in line):
            return None
        members: dict[str, None] = {}
        attributes: set[str] = set()
        is_open = len(line) == _MAX_BASES
        for item in line:
            if isinstance(item, ClassTarget):
                is_open |= self._add_class(item, members, attributes)
            elif isinstance(item, External):
                known = _external_attributes(item.name)
                is_open |= known is None
                attributes |= known or frozenset()
            else:
                # A value, a module that isn't there, a base that isn't a dotted name.
                is_open = True
        return EnumClass(
            target,
            self._codebase.class_name(target),
            tuple(members),
            frozenset(attributes | set(members)),
            is_open,
        )

    def _add_class(self, target: ClassTarget, members: dict[str, None], attributes: set[str]) -> bool:
        """Adds what one class of the line has; returns whether it leaves the enum open."""
        cls = self._codebase.class_facts(target)
        patches = self._codebase.patches(target)
        attributes.update(n for n in cls.names if n not in cls.ignored)
        attributes.update(p for p in patches if p is not None)
        members.update(
            (n, None) for n in cls.values if n not in cls.ignored and _is_member_name(n) and n in cls.names
        )
        metaclass_open, metaclass_attributes = self._metaclass(target, cls.metaclass)
        attributes.update(metaclass_attributes)
        return (
            cls.dynamic
            or None in patches
            or "__init_subclass__" in cls.names
            or metaclass_open
            or not self._is_plainly_decorated(target)
        )

    def _is_plainly_decorated(self, target: ClassTarget) -> bool:
        for decorator in self._codebase.class_facts(target).decorators:
            if decorator is None:
                return False
            found = self._codebase.expr(target.path, decorator)
            if not found or not all(isinstance(t, External) and t.name in _PLAIN_DECORATORS for t in found):
                return False
        return True

    def _metaclass(self, target: ClassTarget, metaclass: Expr | None) -> tuple[bool, set[str]]:
        """Whether a metaclass leaves the enum open, and what it adds."""
        if metaclass is None:
            return False, set()
        attributes: set[str] = set()
        for found in self._codebase.expr(target.path, metaclass):
            if not isinstance(found, ClassTarget):
                if not (isinstance(found, External) and found.name in _ENUM_METACLASSES):
                    return True, attributes
                continue
            for item in self._codebase.mro(found):
                if isinstance(item, ClassTarget):
                    names = self._codebase.class_facts(item).names
                    attributes.update(names)
                    if not _DECIDING.isdisjoint(names):
                        return True, attributes
                elif not (isinstance(item, External) and item.name in _ENUM_METACLASSES):
                    return True, attributes
        return False, attributes


def _is_member_name(name: str) -> bool:
    return not _RESERVED.fullmatch(name)


def _external_attributes(name: str) -> frozenset[str] | None:
    """What a class outside the tree gives an enum that inherits from it; None when that isn't known."""
    if name in _ENUM_BASES:
        return _ENUM_ATTRIBUTES | _attributes_of(*_MIXED_IN.get(name, ()))
    if name in _CHOICES_BASES:
        return _ENUM_ATTRIBUTES | _CHOICES_ATTRIBUTES | _attributes_of(*_MIXED_IN.get(name, ()))
    module, _, attribute = name.rpartition(".")
    if module == "builtins":
        found = getattr(builtins, attribute, None)
        return _attributes_of(found) if isinstance(found, type) else None
    return frozenset() if name in {"typing.Generic", "abc.ABC"} else None


def _attributes_of(*types: type) -> frozenset[str]:
    return frozenset(name for cls in types for name in dir(cls))
