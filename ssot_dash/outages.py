"""Answers to requests that met an error nobody expected: what the site leans on is away, full or busy, or it is our
own fault.

Django calls ``server_error`` for pages and for the API alike. A known outage is told apart, because it asks something
else of the reader: to try again in a moment, or to make room.
"""

import errno
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template import loader
from psycopg import errors

_PART = 1 << 16


@dataclass(frozen=True, slots=True)
class Outage:
    """What a reader is told. ``retry_after`` is in seconds; None: trying again does not help by itself."""

    status: int
    code: str
    title: str
    words: str
    retry_after: int | None = None


DISK_FULL: Final = Outage(
    507,
    "disk-full",
    "The disk is full",
    "The server has no room on its disk for this. Nothing of it was kept, and what was there before is unharmed. "
    "Try again when whoever operates the site has made room.",
)
DATABASE_FULL: Final = Outage(
    507,
    "database-full",
    "The database's disk is full",
    "The database has no room on its disk for this. Nothing of it was kept, and what was there before is unharmed. "
    "Try again when whoever operates the site has made room.",
)
DATABASE_BUSY: Final = Outage(
    503,
    "database-busy",
    "The database is busy",
    "The database did not get to this in time. Nothing was changed; try again in a moment.",
    retry_after=10,
)
DATABASE_AWAY: Final = Outage(
    503,
    "database-away",
    "The database does not answer",
    "The site can't reach its database, which may be restarting. Try again in a moment. If you sent something, look "
    "first whether it was kept.",
    retry_after=5,
)
UNEXPECTED: Final = Outage(
    500,
    "error",
    "Something broke",
    "The server met an error that it did not expect. Try again; if it stays, the server's log says what happened.",
)


def outage(error: BaseException | None) -> Outage:
    """What an error comes to for a reader.

    >>> outage(OSError(errno.ENOSPC, "no room")).code
    'disk-full'
    """
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return DISK_FULL
    if isinstance(error, OperationalError | InterfaceError):
        cause = error.__cause__
        if isinstance(cause, errors.DiskFull):
            return DATABASE_FULL
        if isinstance(cause, errors.QueryCanceled | errors.LockNotAvailable | errors.DeadlockDetected):
            return DATABASE_BUSY
        return DATABASE_AWAY
    return UNEXPECTED


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler of errors. JSON below ``/api/``, else a page that needs neither database nor session."""
    found = outage(sys.exception())
    _let_go(request)
    answer: HttpResponse
    if request.path_info.startswith("/api/"):
        answer = JsonResponse({"code": found.code, "message": found.words}, status=found.status)
    else:
        page = loader.render_to_string("500.html", {"outage": found})
        answer = HttpResponse(page, status=found.status)
    if found.retry_after is not None:
        answer.headers["Retry-After"] = str(found.retry_after)
    return answer


def _let_go(request: HttpRequest) -> None:
    """Give back the room that a half-read upload takes, and read the rest of it: a client that still sends doesn't
    look for an answer, and finds the connection cut instead. The size of requests is limited before this.
    """
    for handler in request.upload_handlers:
        if (file := getattr(handler, "file", None)) is not None:
            with suppress(OSError):  # closing it writes what there is no room for
                file.close()
    with suppress(OSError):
        while request.read(_PART):
            pass
