"""The registry's side of the HTTP API."""

from typing import Annotated, Any, Literal

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response
from ninja import Query, Router, Schema, Status
from pydantic import Field

from ids import exports, minting
from ids.models import IDType

router = Router(tags=["ids"])


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


class GenerateIn(Schema):
    """``context`` is a JSON object of at most 16 kB that is kept with the ID."""

    type: Annotated[str, Field(max_length=200)]
    prefix: Annotated[str, Field(max_length=1_000)] | None = None
    context: dict[str, Any] | None = None


class IssuedOut(Schema):
    id: str


@router.get("/types", response=list[TypeOut], openapi_extra={"x-scope": "ids:read"})
def list_types(request: HttpRequest) -> list[TypeOut]:
    """Every ID type of the registry."""
    return [TypeOut.from_orm(row) for row in IDType.objects.order_by("value")]


@router.post("/generate", response={201: IssuedOut}, openapi_extra={"x-scope": "ids:write"})
def generate(request: HttpRequest, body: GenerateIn) -> Status[IssuedOut]:
    """Issue one ID; it is committed when this answers."""
    return Status(201, IssuedOut(id=minting.generate(body.type, prefix=body.prefix, context=body.context)))
