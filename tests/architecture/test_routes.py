"""Every address of the site is listed with what it takes to use it, and so tried by tests/ssot_dash/test_routes.py."""

from collections.abc import Iterator

from django.contrib import admin
from django.urls import URLPattern, URLResolver, get_resolver

from ssot_dash.api import api
from tests.ssot_dash.routes import ADMIN_TABLES, EMPTY, FOR_STRANGERS, OPEN, OPERATIONS, PAGES, PERSONAL


def routes(resolver: URLResolver, namespaces: tuple[str, ...] = ()) -> Iterator[str]:
    """The names of all patterns."""
    for entry in resolver.url_patterns:
        if isinstance(entry, URLResolver):
            inner = (*namespaces, entry.namespace) if entry.namespace else namespaces
            yield from routes(entry, inner)
        else:
            assert isinstance(entry, URLPattern)
            yield ":".join([*namespaces, entry.name or f"(no name: {entry.pattern})"])


ALL = set(routes(get_resolver()))
SCHEMA = {
    f"{method.upper()} {path}"
    for path, methods in api.get_openapi_schema()["paths"].items()
    for method in methods
}
ADVICE = "say in tests/ssot_dash/routes.py who may use it"


def test_every_page_is_listed() -> None:
    names = {name for name in ALL if not name.startswith(("admin:", "api:"))} | {"api:openapi-json"}
    names -= OPEN | EMPTY | PERSONAL | FOR_STRANGERS
    assert sorted(names - set(PAGES)) == [], ADVICE
    assert sorted(set(PAGES) - names) == [], "listed, but there is no such route"


def test_every_operation_of_the_api_is_listed() -> None:
    assert sorted(SCHEMA - set(OPERATIONS)) == [], ADVICE
    assert sorted(set(OPERATIONS) - SCHEMA) == [], "listed, but there is no such operation"


def test_every_table_of_the_admin_is_listed() -> None:
    assert {model._meta.label_lower for model in admin.site._registry} == ADMIN_TABLES, ADVICE
