"""Whose request it is, by address. What a proxy says counts only when the request came from one that is configured."""

from ipaddress import ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest

# How SSOT_PROXIES names a proxy that comes over a unix socket, which has no address.
UNIX = "unix"


def is_proxy(address: str) -> bool:
    """Whether an address is that of a configured proxy; "" is the other end of a unix socket."""
    if not address:
        return UNIX in settings.SSOT_PROXIES
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    return any(ip in ip_network(entry, strict=False) for entry in settings.SSOT_PROXIES if entry != UNIX)


def client_address(request: HttpRequest) -> str:
    """The address of whoever asks: of what proxies say, the last that none of ours has said of another one of ours.

    ``X-Forwarded-For`` grows at its end, and its beginning is whatever the client made up: so it is read backwards.
    """
    address = str(request.META.get("REMOTE_ADDR") or "")
    if not is_proxy(address):
        return address[:45]
    for part in reversed(request.headers.get("X-Forwarded-For", "").split(",")):
        said = part.strip()
        try:
            said = str(ip_address(said))
        except ValueError:
            break
        address = said
        if not is_proxy(said):
            break
    return address[:45]
