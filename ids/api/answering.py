"""What all operations share: who asks, and an answer that is given once."""

from collections.abc import Callable
from functools import wraps
from inspect import Parameter, signature
from typing import TypeVar

from django.http import HttpRequest, HttpResponse
from pydantic import BaseModel

from ids import idempotency
from ids.api.shapes import Key

Body = TypeVar("Body", bound=BaseModel)


def issuer(request: HttpRequest) -> str:
    """Who asks, for the record: the user of the token. The key comes first, so that two never read alike."""
    user = request.user
    return f"{user.pk}:{user.get_username()}"[:100]


def once(
    operation: Callable[[HttpRequest, Body], BaseModel],
) -> Callable[[HttpRequest, Body, str | None], HttpResponse]:
    """The operation with an ``Idempotency-Key``: what it answers, with status 201, once for each key."""

    @wraps(operation)
    def answer(request: HttpRequest, body: Body, idempotency_key: str | None) -> HttpResponse:
        sent = f"{request.path}\n{body.model_dump_json()}".encode() if idempotency_key is not None else b""
        text = idempotency.once(
            issuer(request),
            idempotency_key,
            sent,
            lambda: operation(request, body).model_dump_json(exclude_none=True),
        )
        return HttpResponse(text, content_type="application/json; charset=utf-8", status=201)

    # ninja takes from it what an operation is sent
    its = signature(operation)
    key = Parameter("idempotency_key", Parameter.POSITIONAL_OR_KEYWORD, annotation=Key)
    answer.__signature__ = its.replace(parameters=[*its.parameters.values(), key])  # type: ignore[attr-defined]
    return answer
