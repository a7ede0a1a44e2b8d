"""The sidebar says in which part of the site a page is."""

from types import SimpleNamespace

import pytest
from django.contrib.auth.models import AnonymousUser
from django.template.loader import render_to_string
from django.test import RequestFactory
from django.urls import URLPattern

from audits import urls as audits_urls
from ids import urls as ids_urls

# Addresses that only take a form in, or answer with something else than a page of their own.
NO_PAGES = {
    "audit-now",
    "push-hook",
    "push-secret",
    "badge",
    "badges",
    "channel-add",
    "channel-change",
    "delivery-replay",
}
PAGES = [
    f"{module.app_name}:{pattern.name}"
    for module in (audits_urls, ids_urls)
    for pattern in module.urlpatterns
    if isinstance(pattern, URLPattern) and pattern.name not in NO_PAGES
]


@pytest.mark.parametrize("name", PAGES)
def test_every_page_is_in_one_part(name: str) -> None:
    request = RequestFactory().get("/")
    request.user = AnonymousUser()
    request.resolver_match = SimpleNamespace(view_name=name)  # type: ignore[assignment]
    page = render_to_string("base.html", {}, request)
    sidebar = page[page.index('class="sidebar-nav"') : page.index('class="sidebar-foot"')]
    assert sidebar.count('aria-current="page"') == 1
