"""Middleware of this site."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

from csp.middleware import CSPMiddleware
from django.conf import settings
from django.contrib.auth.middleware import (
    AuthenticationMiddleware,
    LoginRequiredMiddleware,
    RemoteUserMiddleware,
)
from django.contrib.auth.models import AnonymousUser
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render, resolve_url

from ssot_dash.addresses import is_proxy

# What a form holds besides its file.
_FORM_BYTES = 1024**2


class ForPages:
    """A middleware that requests of the API with a token pass by: no cookie of theirs is looked at, so they are nobody
    until their token is found, and what they are answered is no page.
    """

    get_response: Any

    def __call__(self, request: HttpRequest) -> Any:
        if not brings_token(request):
            return super().__call__(request)  # type: ignore[misc]
        return self.passed_by(request)

    def passed_by(self, request: HttpRequest) -> Any:
        return self.get_response(request)


def brings_token(request: HttpRequest) -> bool:
    """Whether a request is for the API and says who it is by ``Authorization: Bearer``."""
    return request.path_info.startswith("/api/v1/") and request.META.get("HTTP_AUTHORIZATION", "").startswith(
        "Bearer "
    )


class ContentSecurityPolicy(ForPages, CSPMiddleware):
    """The policy of pages is worked out for each; an answer of the API may load nothing, whoever shows it."""

    def passed_by(self, request: HttpRequest) -> Any:
        response = self.get_response(request)
        response.headers["Content-Security-Policy"] = "default-src 'none'; frame-ancestors 'none'"
        return response


class Sessions(ForPages, SessionMiddleware):
    """Those of browsers."""


class SignedIn(ForPages, AuthenticationMiddleware):
    """Who is signed in by a session."""

    def passed_by(self, request: HttpRequest) -> Any:
        request.user = AnonymousUser()
        return self.get_response(request)


class Messages(ForPages, MessageMiddleware):
    """What the next page tells its reader."""


# The parts of the site that may be opened to readers who don't sign in.
OPEN_NAMESPACES = {"audits", "ids"}


class SignInRequired(LoginRequiredMiddleware):
    """Every view needs somebody who is signed in, except for reading where ``SSOT_OPEN_READING`` allows that.

    A stranger whom a view refuses is sent to sign in: that may be all that they lack.
    """

    def process_view(
        self, request: HttpRequest, view_func: Any, view_args: Any, view_kwargs: Any
    ) -> HttpResponseBase | None:
        if settings.SSOT_OPEN_READING and request.method in {"GET", "HEAD"}:
            match = request.resolver_match
            if match is not None and match.namespaces and match.namespaces[0] in OPEN_NAMESPACES:
                return None
        return super().process_view(request, view_func, view_args, view_kwargs)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponseBase | None:
        if isinstance(exception, PermissionDenied) and not request.user.is_authenticated:
            assert request.resolver_match is not None  # a view has raised it
            return self.handle_no_permission(request, request.resolver_match.func)
        return None


class UserOfProxy(ForPages, RemoteUserMiddleware):
    """Signs in whom a configured proxy names in ``SSOT_USER_HEADER``; from anywhere else that header is nothing."""

    header = "HTTP_" + settings.SSOT_USER_HEADER.upper().replace("-", "_")

    def process_request(self, request: HttpRequest) -> None:
        if not is_proxy(str(request.META.get("REMOTE_ADDR") or "")):
            request.META.pop(self.header, None)
        super().process_request(request)


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


def refuse_large_requests(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Answer 413 to a request that says it is larger than anything that is taken in, before any of it is read.

    A request that doesn't say how large it is has no body here: WSGI servers read as much as was announced.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        limit = settings.SSOT_TEST_REPORT_BYTES + _FORM_BYTES
        length = request.META.get("CONTENT_LENGTH") or "0"
        if not length.isdecimal() or int(length[:20]) <= limit:
            return get_response(request)
        if request.path.startswith("/api/"):
            message = "The request is larger than any that is taken in (SSOT_TEST_REPORT_BYTES)."
            body = {"code": "too-large", "message": message, "limit": limit, "received": int(length[:20])}
            return JsonResponse(body, status=413)
        return render(request, "413.html", {"limit": limit, "received": int(length[:20])}, status=413)

    return middleware


def refuse_nul_in_addresses(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Answer 404 to an address with a NUL: nothing has one in its name, and PostgreSQL refuses to look for it."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if "\0" not in request.path_info:
            return get_response(request)
        if request.path_info.startswith("/api/"):
            body = {"code": "not-found", "message": "No address has a NUL character."}
            return JsonResponse(body, status=404)
        return render(request, "404.html", status=404)

    return middleware
