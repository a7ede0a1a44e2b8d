"""What of a list a page shows: read from a query string, and written back to one, so that the address says it all."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Self
from urllib.parse import urlencode

from audits.views.pages import wanted_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One value of a choice: where a click on it leads, and how many rows it would show where they are counted."""

    value: str
    label: str
    active: bool
    query: str
    title: str = ""
    count: int = 0


@dataclass(frozen=True, slots=True)
class Facet:
    """The choice of one property, with its values as links."""

    name: str
    label: str
    options: tuple[Option, ...]


def parameter(name: str = "", accept: Callable[[str], bool] = bool) -> Any:
    """A field of ``Choices``: the parameter's name in the address where it isn't the field's, and what it may be."""
    return field(default="", metadata={"name": name, "accept": accept})


def among(values: Collection[str]) -> Any:
    """A field of ``Choices`` that is one of these values, or empty."""
    return parameter(accept=lambda value: value in values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """The parameters of a list, each a text that is empty when nothing is chosen.

    A list's own are the fields of a subclass. What a field doesn't accept counts as not chosen, so any query string
    makes a page. ``BESIDE`` names the fields that narrow nothing: which repository, order, view.
    """

    BESIDE: ClassVar[frozenset[str]] = frozenset()

    page: str = parameter(accept=lambda page: page != "1")  # the first page has no number in its address

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> Self:
        found = {}
        for each in fields(cls):
            value = wanted_text(query.get(each.metadata.get("name") or each.name))
            if value and each.metadata.get("accept", bool)(value):
                found[each.name] = value
        return cls(**found)

    @property
    def _pairs(self) -> dict[str, str]:
        """Field -> value, without the page: another choice begins at the first one."""
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name != "page"}

    def query(self, **changes: str) -> str:
        """The query string, "?" included, with ``changes`` of fields or further parameters; without the page."""
        names = {each.name: each.metadata.get("name") or each.name for each in fields(self)}
        pairs = {names.get(name, name): value for name, value in (self._pairs | changes).items() if value}
        if pairs.get("page") == "1":
            del pairs["page"]
        return "?" + urlencode(pairs)

    def options(self, name: str, values: Iterable[tuple[str, str]]) -> list[Option]:
        """The values of a field, each with its label, as links."""
        chosen = getattr(self, name)
        return [
            Option(value=value, label=label, active=value == chosen, query=self.query(**{name: value}))
            for value, label in values
        ]

    def turns(self, page: int) -> dict[str, str]:
        """For the template of the pager: the addresses of the pages before and after."""
        return {
            "previous_query": self.query(page=str(page - 1)),
            "next_query": self.query(page=str(page + 1)),
        }

    @property
    def is_narrowed(self) -> bool:
        return any(value for name, value in self._pairs.items() if name not in self.BESIDE)

    @property
    def widest_query(self) -> str:
        """The same list, narrowed by nothing."""
        return self.query(**dict.fromkeys(self._pairs.keys() - self.BESIDE, ""))
