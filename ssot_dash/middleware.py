"""Middleware of this site."""

from collections.abc import Callable
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import resolve_url


def htmx_sign_in(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Answer 401 with ``HX-Redirect`` where an HTMX request would be redirected to the sign-in page.

    A browser follows the redirect inside the request, so that HTMX would put the whole sign-in page into a table.
    After signing in, the reader comes back to the page that was open, not to the fragment that was asked for.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        if response.status_code != 302 or request.headers.get("HX-Request") != "true":
            return response
        sign_in = resolve_url(settings.LOGIN_URL)
        if urlsplit(response.headers["Location"]).path != urlsplit(sign_in).path:
            return response
        page = urlsplit(request.headers.get("HX-Current-URL", ""))
        back = f"{page.path}?{page.query}" if page.query else page.path
        target = f"{sign_in}?{urlencode({'next': back})}" if back.startswith("/") else sign_in
        return HttpResponse(status=401, headers={"HX-Redirect": target})

    return middleware
