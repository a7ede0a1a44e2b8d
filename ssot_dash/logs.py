"""Log lines that say what they belong to: a request, or a task and the row that it works on; as text or as JSON."""

import json
import logging
import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest, HttpResponseBase

_about: ContextVar[dict[str, str] | None] = ContextVar("about", default=None)
# An id that a proxy gave to a request, if it can stand in a log as it is.
_GIVEN = re.compile(r"[A-Za-z0-9_.-]{8,64}")


@contextmanager
def about(**values: object) -> Iterator[None]:
    """Have what is logged meanwhile say what it is about, such as ``request=`` or ``task=``."""
    token = _about.set({**(_about.get() or {}), **{name: str(value) for name, value in values.items()}})
    try:
        yield
    finally:
        _about.reset(token)


def begin(**values: object) -> None:
    """Something else begins: log lines are about it from here on, and about nothing that was before."""
    _about.set({name: str(value) for name, value in values.items()} or None)


def turn_to(**values: object) -> None:
    """What has begun is about something else than it seemed: the named ones of its values change, if it has them."""
    now = _about.get() or {}
    _about.set({**now, **{name: str(value) for name, value in values.items() if name in now}} or None)


class AboutFilter(logging.Filter):
    """Gives each record ``about``, {name: value}, and ``about_words`` for a line of text."""

    def filter(self, record: logging.LogRecord) -> bool:
        values = _about.get() or {}
        record.about = values
        record.about_words = "".join(f" {name}={value}" for name, value in values.items())
        return True


class NoProbes(logging.Filter):
    """Leaves out that a probe was answered with 503: an answer and no error, and probes ask every few seconds."""

    def filter(self, record: logging.LogRecord) -> bool:
        return getattr(getattr(record, "request", None), "path", "") != "/readyz"


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON: time (UTC), level, logger, message, what it is about, and the traceback if any."""

    def format(self, record: logging.LogRecord) -> str:
        value: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "about", {}),
        }
        if record.exc_info:
            value["traceback"] = self.formatException(record.exc_info)
        return json.dumps(value, ensure_ascii=False)


def request_id(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Middleware: each request has an id, its proxy's or one of its own; log lines and the answer bear it."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        given = request.headers.get("X-Request-ID", "")
        key = given if _GIVEN.fullmatch(given) else uuid.uuid4().hex[:16]
        with about(request=key):
            response = get_response(request)
        response.headers["X-Request-ID"] = key
        return response

    return middleware
