"""The registry's side of the HTTP API: IDs issued, registered, released, told about, and leased to clients.

A POST that makes something takes an ``Idempotency-Key``: sent again with the same body it gets the same answer.
"""

import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.cache import get_conditional_response
from ninja import Header, Query, Router, Schema, Status
from pydantic import Field

from ids import (
    client,
    conversion,
    explorer,
    exports,
    idempotency,
    known,
    leasing,
    legacy,
    lookups,
    minting,
    purging,
)
from ids.models import IDType, IssuedID

router = Router(tags=["ids"])
leases_router = Router(tags=["leases"])

READ = {"x-scope": "ids:read"}
WRITE = {"x-scope": "ids:write"}

# Wide bounds, for a short answer to nonsense; the services say which narrower ones hold, and why.
Word = Annotated[str, Field(max_length=200)]
Text = Annotated[str, Field(max_length=1_000)]
Whole = Annotated[int, Field(ge=-(2**63), lt=2**63)]
Key = Annotated[str | None, Header(None, alias="Idempotency-Key", max_length=1_000)]


class TypeOut(Schema):
    value: str
    status: str
    description: str


@router.get("/types/export", response=str, openapi_extra={"x-scope": "ids:read"})
def export_types(
    request: HttpRequest,
    target: Annotated[
        Literal["python", "typescript", "json-schema", "registry"], Query("python", alias="format")
    ],
) -> HttpResponseBase:
    """The registry as code. Send the ETag as If-None-Match to be told with 304 that nothing changed."""
    export = exports.export(target, IDType.objects.exported())
    file = HttpResponse(export.text, content_type=export.media_type)
    file["ETag"] = export.etag
    return get_conditional_response(request, etag=export.etag, response=file) or file


class KeptIn(Schema):
    """What is kept with an ID: a JSON object of at most 16 kB, whose it is, and which ID it is inside of."""

    context: dict[str, Any] | None = None
    owner: Text = ""
    parent: Text | None = None


class GenerateIn(KeptIn):
    type: Word
    prefix: Text | None = None


class GenerateManyIn(GenerateIn):
    """``count`` is at most 10,000."""

    count: Whole


class RelatedIn(Schema):
    context: dict[str, Any] | None = None
    owner: Text = ""
    thread: Text | None = None


class RegisterIn(KeptIn):
    """``type`` may be left out where the ID says it."""

    id: Text
    type: Word | None = None


class RegisterManyIn(Schema):
    """At most 10,000, all or none: the error's ``row`` is the place of the first one that is refused, from 0."""

    items: list[RegisterIn]


class ReleaseIn(Schema):
    """With ``owner`` only an ID of exactly that owner is released."""

    id: Text
    owner: Text | None = None


class ReleaseManyIn(Schema):
    ids: list[Text]
    owner: Text | None = None


class OwnerIn(Schema):
    owner: Text


class IdsIn(Schema):
    ids: list[Text]


class ValidateIn(Schema):
    """With ``type`` each is asked to be an ID of that type; at most 10,000."""

    ids: list[str]
    type: Word | None = None


class FromUuidIn(Schema):
    uuids: list[Text]
    type: Word
    owner: Text = ""


class WarnedOut(Schema):
    """``warning`` is there when the type is deprecated: its IDs are issued still, and will be refused some day."""

    warning: str | None = None


class IssuedOut(WarnedOut):
    id: str


class IdsOut(WarnedOut):
    ids: list[str]


class RelatedOut(WarnedOut):
    thread: str
    run: str
    request: str


class RegisteredOut(Schema):
    """The type of each ID, in the order of the IDs."""

    types: list[str]


class CountOut(Schema):
    count: int


class RecordOut(Schema):
    """What the registry knows of an ID. ``issuer`` is who asked for it."""

    id: str
    type: str
    state: str
    prefix: str
    owner: str
    issuer: str
    parent: str | None
    issued_at: datetime
    released_at: datetime | None
    context: dict[str, Any]


class PageOut(Schema):
    """``next`` is the cursor of the next page, None after the last."""

    items: list[RecordOut]
    next: str | None


class AnswerOut(Schema):
    holds: bool
    says: str


class ValidationOut(Schema):
    """Three answers: well formed; an ID of the type; issued and active.

    ``state`` is issued, registered, released, leased (genuine, of a client's block, not reported yet) or unknown.
    """

    id: str
    type: str | None
    format: str | None
    state: str
    is_format: AnswerOut
    is_type: AnswerOut
    is_issued: AnswerOut


class PartOut(Schema):
    name: str
    text: str
    says: str


class ExplanationOut(Schema):
    validation: ValidationOut
    parts: list[PartOut]
    record: RecordOut | None
    children: list[str]
    closest: str | None
    says: str


class SpellingOut(Schema):
    """``normal`` is the one spelling, None where the text is no ID; then ``problem`` says why."""

    id: str
    normal: str | None
    problem: str | None


class FiguresOut(Schema):
    type: str
    status: str
    issued: int
    active: int
    released: int
    last_issued_at: datetime | None


class DueOut(Schema):
    type: str
    before: datetime
    records: int
    is_more: bool


class LeaseIn(Schema):
    """``size`` is at most 100,000."""

    type: Word
    size: Whole = 100


class LeaseOut(Schema):
    """``size`` counters from ``start`` on. The n-th's random part is the n-th 8 digits of SHAKE-128 of the seed."""

    lease: str
    type: str
    start: int
    size: int
    seed: str
    deprecated: bool


class DetailIn(KeptIn):
    counter: Whole
    prefix: Text | None = None


class ReportIn(Schema):
    """The first ``used`` counters of the lease were handed out; ``details`` are of those of which something is kept."""

    lease: Word
    used: Whole
    details: list[DetailIn] = []


class ReportsIn(Schema):
    reports: list[ReportIn]


def _issuer(request: HttpRequest) -> str:
    """Who asks, for the record: the user of the token. The key comes first, so that two never read alike."""
    user = request.user
    return f"{user.pk}:{user.get_username()}"[:100]


def _once(request: HttpRequest, key: str | None, body: Schema, work: Callable[[], Schema]) -> HttpResponse:
    """The answer of ``work`` with status 201, once for each key."""
    sent = f"{request.path}\n{body.model_dump_json()}".encode() if key is not None else b""
    answer = idempotency.once(_issuer(request), key, sent, lambda: work().model_dump_json(exclude_none=True))
    return HttpResponse(answer, content_type="application/json; charset=utf-8", status=201)


def _record(row: IssuedID) -> RecordOut:
    return RecordOut(
        id=row.pk,
        type=row.type.value,
        state=row.state,
        prefix=row.prefix,
        owner=row.owner,
        issuer=row.issuer,
        parent=row.parent_id,
        issued_at=row.issued_at,
        released_at=row.released_at,
        context=row.context,
    )


@router.get("/types", response=list[TypeOut], openapi_extra={"x-scope": "ids:read"})
def list_types(request: HttpRequest) -> list[TypeOut]:
    """Every ID type of the registry."""
    return [TypeOut.from_orm(row) for row in IDType.objects.order_by("value")]


@router.get("/stats", response=list[FiguresOut], openapi_extra=READ)
def stats(request: HttpRequest) -> list[lookups.TypeFigures]:
    """How many IDs of each type there are: issued (or registered), active, released."""
    return lookups.stats()


# --- made -------------------------------------------------------------------------------------------------------------


@router.post("/generate", response={201: IssuedOut}, openapi_extra=WRITE)
def generate(request: HttpRequest, body: GenerateIn, idempotency_key: Key) -> HttpResponse:
    """Issue one ID; it is committed when this answers."""
    return _once(
        request,
        idempotency_key,
        body,
        lambda: IssuedOut(
            id=minting.generate(
                body.type,
                body.prefix,
                body.context,
                owner=body.owner,
                issuer=_issuer(request),
                parent=body.parent,
            ),
            warning=minting.warning_of(body.type),
        ),
    )


@router.post("/generate-many", response={201: IdsOut}, openapi_extra=WRITE)
def generate_many(request: HttpRequest, body: GenerateManyIn, idempotency_key: Key) -> HttpResponse:
    """Issue up to 10,000 IDs of one type: all, in one transaction, or none."""
    return _once(
        request,
        idempotency_key,
        body,
        lambda: IdsOut.model_construct(
            ids=minting.generate_many(
                body.type,
                body.count,
                body.prefix,
                body.context,
                owner=body.owner,
                issuer=_issuer(request),
                parent=body.parent,
            ),
            warning=minting.warning_of(body.type),
        ),
    )


@router.post("/related", response={201: RelatedOut}, openapi_extra=WRITE)
def generate_related(request: HttpRequest, body: RelatedIn, idempotency_key: Key) -> HttpResponse:
    """Issue a run and a request inside it, in a new thread or a given one."""
    return _once(
        request,
        idempotency_key,
        body,
        lambda: RelatedOut(
            **minting.generate_related(
                body.context, owner=body.owner, issuer=_issuer(request), thread=body.thread
            )._asdict(),
            warning=minting.warning_of(*minting.RelatedIDs._fields),
        ),
    )


@router.post("/register", response={201: RegisteredOut}, openapi_extra=WRITE)
def register(request: HttpRequest, body: RegisterIn, idempotency_key: Key) -> HttpResponse:
    """Record an ID that was made elsewhere."""
    return _once(
        request,
        idempotency_key,
        body,
        lambda: RegisteredOut(
            types=[
                minting.register(
                    body.id,
                    body.type,
                    body.context,
                    owner=body.owner,
                    issuer=_issuer(request),
                    parent=body.parent,
                )
            ]
        ),
    )


@router.post("/register-many", response={201: RegisteredOut}, openapi_extra=WRITE)
def register_many(request: HttpRequest, body: RegisterManyIn, idempotency_key: Key) -> HttpResponse:
    """Record up to 10,000 IDs that were made elsewhere: all or none."""
    items = [
        minting.Registration(item.id, item.type, item.context, item.owner, item.parent) for item in body.items
    ]
    return _once(
        request,
        idempotency_key,
        body,
        lambda: RegisteredOut(types=minting.register_many(items, issuer=_issuer(request))),
    )


@router.post("/from-uuids", response={201: IdsOut}, openapi_extra=WRITE)
def from_uuids(request: HttpRequest, body: FromUuidIn, idempotency_key: Key) -> HttpResponse:
    """The IDs that mean the same as these UUIDs, at most 10,000: found, or made at the first time; all or none."""
    return _once(
        request,
        idempotency_key,
        body,
        lambda: IdsOut(
            ids=conversion.from_uuids(body.uuids, body.type, owner=body.owner, issuer=_issuer(request)),
            warning=minting.warning_of(body.type),
        ),
    )


@router.post("/to-uuids", response={201: list[uuid.UUID]}, openapi_extra=WRITE)
def to_uuids(request: HttpRequest, body: IdsIn) -> Status[list[uuid.UUID]]:
    """The UUIDs that mean the same as these IDs, at most 100."""
    leasing.check_count(len(body.ids), lookups.MOST_EXPLAINED, "number of IDs")
    return Status(201, [conversion.to_uuid(text) for text in body.ids])


# --- released ---------------------------------------------------------------------------------------------------------


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


# --- told about -------------------------------------------------------------------------------------------------------


@router.get("/issued", response=PageOut, openapi_extra=READ)
def list_active(
    request: HttpRequest,
    type: Annotated[Word | None, Query(None)],  # noqa: A002 - the name in the address
    owner: Annotated[Text | None, Query(None)],
    parent: Annotated[Text | None, Query(None)],
    cursor: Annotated[Text | None, Query(None)],
    limit: Annotated[Whole, Query(100)],
) -> PageOut:
    """The active IDs of a type, of an owner, or inside of an ID, at most 1,000 at a time."""
    page = lookups.active(type_value=type, owner=owner, parent=parent, cursor=cursor, limit=limit)
    return PageOut(items=[_record(row) for row in page.rows], next=page.next)


@router.get("/count", response=CountOut, openapi_extra=READ)
def count_active(
    request: HttpRequest,
    type: Annotated[Word | None, Query(None)],  # noqa: A002 - the name in the address
    owner: Annotated[Text | None, Query(None)],
) -> CountOut:
    """How many IDs are active, of a type, of an owner or of all."""
    return CountOut(count=lookups.count_active(type, owner))


@router.get("/issued/{identifier}", response=RecordOut, openapi_extra=READ)
def look_up(request: HttpRequest, identifier: str) -> RecordOut:
    """What the registry knows of one ID."""
    return _record(lookups.look_up(identifier))


@router.post("/validate", response=list[ValidationOut], openapi_extra=READ)
def validate(request: HttpRequest, body: ValidateIn) -> list[lookups.Validation]:
    """Three answers about each text: well formed, an ID of the type, issued and active."""
    return lookups.validate_many(body.ids, body.type)


@router.post("/explain", response=list[ExplanationOut], openapi_extra=READ)
def explain(request: HttpRequest, body: IdsIn) -> list[ExplanationOut]:
    """Every part of up to 100 IDs in words, and what the registry knows of them."""
    return [
        ExplanationOut(
            validation=ValidationOut.from_orm(found.validation),
            parts=[
                PartOut(name=part.name, text=part.text, says=part.meaning) for part in found.reading.parts
            ],
            record=_record(found.reading.issued) if found.reading.issued is not None else None,
            children=list(found.reading.children),
            closest=found.closest,
            says=found.says,
        )
        for found in explorer.explain_many(body.ids)
    ]


@router.post("/normalise", response=list[SpellingOut], openapi_extra=READ)
def normalise(request: HttpRequest, body: IdsIn) -> list[SpellingOut]:
    """The one spelling of each of up to 100 IDs."""
    leasing.check_count(len(body.ids), lookups.MOST_EXPLAINED, "number of IDs")
    found, shapes = [], legacy.Shapes()
    for text in body.ids:
        try:
            found.append(SpellingOut(id=text, normal=lookups.normalise(text, shapes), problem=None))
        except minting.InvalidID as error:
            found.append(SpellingOut(id=text, normal=None, problem=error.message))
    return found


@router.get("/purge-preview", response=list[DueOut], openapi_extra=READ)
def purge_preview(request: HttpRequest) -> list[purging.Due]:
    """What the retention of the types would delete now: ``manage.py purge_ids`` does it."""
    return purging.preview(timezone.now())


# --- leased -----------------------------------------------------------------------------------------------------------


@leases_router.post("", response={201: LeaseOut}, openapi_extra=WRITE)
def lease(request: HttpRequest, body: LeaseIn, idempotency_key: Key) -> HttpResponse:
    """Lease a block of counters to hand out without asking again. Whatever isn't used is a gap."""

    def work() -> LeaseOut:
        kind = known.usable(known.refreshed(body.type))
        block = leasing.lease(kind, body.size, _issuer(request))
        return LeaseOut(
            lease=block.lease,
            type=block.type,
            start=block.start,
            size=block.size,
            seed=block.seed.hex(),
            deprecated=block.deprecated,
        )

    return _once(request, idempotency_key, body, work)


@leases_router.post("/report", response=CountOut, openapi_extra=WRITE)
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
    return CountOut(count=minting.record_use(reports, _issuer(request)))
