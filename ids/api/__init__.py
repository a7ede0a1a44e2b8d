"""The registry's side of the HTTP API, by subject."""

from ids.api import asking, issuing, leases

# What issues IDs comes first: addresses are tried in their order, and no other one is asked for as often.
routers = {"/ids": (issuing.router, asking.router), "/leases": (leases.router,)}

__all__ = ["routers"]
