"""How every view answers: the whole page, or the one partial of it that htmx asked for."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django_htmx.middleware import HtmxDetails


class HtmxHttpRequest(HttpRequest):
    """The request as ``HtmxMiddleware`` leaves it."""

    htmx: HtmxDetails


def render_page(
    request: HtmxHttpRequest, template: str, context: Mapping[str, Any], *, partials: tuple[str, ...] = ()
) -> HttpResponse:
    """Render ``template``, or its partial when htmx will put the answer into the element of that id.

    A partial and the element that it makes share a name, so the target alone says what is wanted. Anything else,
    also a strange target, gets the page.
    """
    wanted = request.htmx.target if request.htmx else None
    name = f"{template}#{wanted}" if wanted in partials else template
    response = render(request, name, dict(context))
    patch_vary_headers(response, ["HX-Request", "HX-Target"])
    return response


def wanted_text(value: str | None, limit: int = 200) -> str:
    """A text parameter of a query string, without what PostgreSQL refuses (NUL) and no longer than ``limit``."""
    return (value or "").replace("\0", "").strip()[:limit]


def trail(folder: str) -> list[tuple[str, str]]:
    """A folder and those above it, the outermost first: the name of each, and the query string that leads there."""
    parts = folder.split("/") if folder else []
    return [(part, "?" + urlencode({"in": "/".join(parts[:end])})) for end, part in enumerate(parts, 1)]
