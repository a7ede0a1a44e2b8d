"""Counters leased to clients, which make IDs by themselves, and what they report of them."""

from django.http import HttpRequest
from ninja import Router

from ids import client, leasing, minting
from ids.api.answering import issuer, once
from ids.api.shapes import WRITE, CountOut, LeaseIn, LeaseOut, ReportsIn

router = Router(tags=["leases"])


@router.post("", response={201: LeaseOut}, openapi_extra=WRITE)
@once
def lease(request: HttpRequest, body: LeaseIn) -> LeaseOut:
    """Lease a block of counters to hand out without asking again. Whatever isn't used is a gap."""
    block = leasing.lease(body.type, body.size, issuer(request))
    return LeaseOut(
        lease=block.lease,
        type=block.type,
        start=block.start,
        size=block.size,
        seed=block.seed.hex(),
        deprecated=block.deprecated,
    )


@router.post("/report", response=CountOut, openapi_extra=WRITE)
def report(request: HttpRequest, body: ReportsIn) -> CountOut:
    """Say what was used of leases. Sent twice, it counts once; ``count`` is how many IDs were new."""
    reports = [
        client.Report(
            entry.lease,
            entry.used,
            [
                client.Detail(detail.counter, detail.prefix, detail.context, detail.owner, detail.parent)
                for detail in entry.details
            ],
        )
        for entry in body.reports
    ]
    return CountOut(count=minting.record_use(reports, issuer(request)))
