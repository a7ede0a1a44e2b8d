"""What all operations share: who asks, and an answer that is given once."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from pydantic import BaseModel

from ids import idempotency


def issuer(request: HttpRequest) -> str:
    """Who asks, for the record: the user of the token. The key comes first, so that two never read alike."""
    user = request.user
    return f"{user.pk}:{user.get_username()}"[:100]


def once(
    request: HttpRequest, key: str | None, body: BaseModel, work: Callable[[], BaseModel]
) -> HttpResponse:
    """The answer of ``work`` with status 201, once for each key."""
    sent = f"{request.path}\n{body.model_dump_json()}".encode() if key is not None else b""
    answer = idempotency.once(issuer(request), key, sent, lambda: work().model_dump_json(exclude_none=True))
    return HttpResponse(answer, content_type="application/json; charset=utf-8", status=201)
