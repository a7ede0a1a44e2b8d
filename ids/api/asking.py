"""What the registry knows: its types, its IDs, and what is true of a text."""

from typing import Annotated, Literal

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.cache import get_conditional_response
from ninja import Query, Router

from ids import explorer, exports, leasing, legacy, lookups, minting, purging, validation
from ids.api.shapes import (
    READ,
    CountOut,
    DueOut,
    ExplanationOut,
    FiguresOut,
    IdsIn,
    PageOut,
    PartOut,
    RecordOut,
    SpellingOut,
    Text,
    TypeOut,
    ValidateIn,
    ValidationOut,
    Whole,
    Word,
)
from ids.models import IDType, IssuedID

router = Router(tags=["ids"])


@router.get("/types/export", response=str, openapi_extra=READ)
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


@router.get("/types", response=list[TypeOut], openapi_extra=READ)
def list_types(request: HttpRequest) -> list[TypeOut]:
    """Every ID type of the registry."""
    return [TypeOut.from_orm(row) for row in IDType.objects.order_by("value")]


@router.get("/stats", response=list[FiguresOut], openapi_extra=READ)
def stats(request: HttpRequest) -> list[lookups.TypeFigures]:
    """How many IDs of each type there are: issued (or registered), active, released."""
    return lookups.stats()


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
def validate(request: HttpRequest, body: ValidateIn) -> list[validation.Validation]:
    """Three answers about each text: well formed, an ID of the type, issued and active."""
    return validation.validate_many(body.ids, body.type)


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
