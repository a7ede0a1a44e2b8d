"""What every template may use."""

from django.http import HttpRequest

from ssot_dash import __version__


def csp_nonce(request: HttpRequest) -> dict[str, object]:
    """django-htmx reads ``csp_nonce``; django-csp offers the same value as ``request.csp_nonce``."""
    return {"csp_nonce": getattr(request, "csp_nonce", None)}


def version(request: HttpRequest) -> dict[str, object]:
    """The site's version, for the footer."""
    return {"version": __version__}
