"""IDs issued, registered, converted and released.

A POST that makes something takes an ``Idempotency-Key``: sent again with the same body it gets the same answer.
"""

import uuid

from django.http import HttpRequest
from ninja import Router, Status

from ids import conversion, minting
from ids.api.answering import issuer, once
from ids.api.shapes import (
    WRITE,
    CountOut,
    FromUuidIn,
    GenerateIn,
    GenerateManyIn,
    IdsIn,
    IdsOut,
    IssuedOut,
    OwnerIn,
    RegisteredOut,
    RegisterIn,
    RegisterManyIn,
    RelatedIn,
    RelatedOut,
    ReleaseIn,
    ReleaseManyIn,
)

router = Router(tags=["ids"])


@router.post("/generate", response={201: IssuedOut}, openapi_extra=WRITE)
@once
def generate(request: HttpRequest, body: GenerateIn) -> IssuedOut:
    """Issue one ID; it is committed when this answers."""
    return IssuedOut.model_construct(
        id=minting.generate(
            body.type,
            body.prefix,
            body.context,
            owner=body.owner,
            issuer=issuer(request),
            parent=body.parent,
        ),
        warning=minting.warning_of(body.type),
    )


@router.post("/generate-many", response={201: IdsOut}, openapi_extra=WRITE)
@once
def generate_many(request: HttpRequest, body: GenerateManyIn) -> IdsOut:
    """Issue up to 10,000 IDs of one type: all, in one transaction, or none."""
    return IdsOut.model_construct(
        ids=minting.generate_many(
            body.type,
            body.count,
            body.prefix,
            body.context,
            owner=body.owner,
            issuer=issuer(request),
            parent=body.parent,
        ),
        warning=minting.warning_of(body.type),
    )


@router.post("/related", response={201: RelatedOut}, openapi_extra=WRITE)
@once
def generate_related(request: HttpRequest, body: RelatedIn) -> RelatedOut:
    """Issue a run and a request inside it, in a new thread or a given one."""
    return RelatedOut(
        **minting.generate_related(
            body.context, owner=body.owner, issuer=issuer(request), thread=body.thread
        )._asdict(),
        warning=minting.warning_of(*minting.RelatedIDs._fields),
    )


@router.post("/register", response={201: RegisteredOut}, openapi_extra=WRITE)
@once
def register(request: HttpRequest, body: RegisterIn) -> RegisteredOut:
    """Record an ID that was made elsewhere."""
    return RegisteredOut(
        types=[
            minting.register(
                body.id,
                body.type,
                body.context,
                owner=body.owner,
                issuer=issuer(request),
                parent=body.parent,
            )
        ]
    )


@router.post("/register-many", response={201: RegisteredOut}, openapi_extra=WRITE)
@once
def register_many(request: HttpRequest, body: RegisterManyIn) -> RegisteredOut:
    """Record up to 10,000 IDs that were made elsewhere: all or none."""
    items = [
        minting.Registration(item.id, item.type, item.context, item.owner, item.parent) for item in body.items
    ]
    return RegisteredOut(types=minting.register_many(items, issuer=issuer(request)))


@router.post("/from-uuids", response={201: IdsOut}, openapi_extra=WRITE)
@once
def from_uuids(request: HttpRequest, body: FromUuidIn) -> IdsOut:
    """The IDs that mean the same as these UUIDs, at most 10,000: found, or made at the first time; all or none."""
    return IdsOut(
        ids=conversion.from_uuids(body.uuids, body.type, owner=body.owner, issuer=issuer(request)),
        warning=minting.warning_of(body.type),
    )


@router.post("/to-uuids", response={201: list[uuid.UUID]}, openapi_extra=WRITE)
def to_uuids(request: HttpRequest, body: IdsIn) -> Status[list[uuid.UUID]]:
    """The UUIDs that mean the same as these IDs, at most 10,000: found, or made at the first time; all or none."""
    return Status(201, conversion.to_uuids(body.ids))


@router.post("/release", response=CountOut, openapi_extra=WRITE)
def release(request: HttpRequest, body: ReleaseIn) -> CountOut:
    """Release an ID: a tombstone, never used again."""
    minting.release(body.id, owner=body.owner)
    return CountOut(count=1)


@router.post("/release-many", response=CountOut, openapi_extra=WRITE)
def release_many(request: HttpRequest, body: ReleaseManyIn) -> CountOut:
    """Release up to 10,000 IDs: all or none."""
    minting.release_many(body.ids, owner=body.owner)
    return CountOut(count=len(body.ids))


@router.post("/release-owner", response=CountOut, openapi_extra=WRITE)
def release_owner(request: HttpRequest, body: OwnerIn) -> CountOut:
    """Release every ID of an owner, whose name is compared whole."""
    return CountOut(count=minting.release_owner(body.owner))
