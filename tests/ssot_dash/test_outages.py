"""What a reader is told when something the site leans on is away, full or busy."""

import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import OperationalError, connection, transaction
from django.db.utils import DatabaseErrorWrapper
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.urls import path

from ssot_dash.outages import UNEXPECTED, outage, server_error
from ssot_dash.urls import handler500
from ssot_dash.urls import urlpatterns as site

__all__ = ["handler500"]


def full_disk(request: HttpRequest) -> HttpResponse:
    with open("/dev/full", "wb", buffering=0) as disk:
        os.write(disk.fileno(), b"x")
    return HttpResponse()


def no_database(request: HttpRequest) -> HttpResponse:
    with DatabaseErrorWrapper(connection):
        psycopg.connect("host=127.0.0.1 port=1 connect_timeout=2")
    return HttpResponse()


def slow_database(request: HttpRequest) -> HttpResponse:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 1; SELECT pg_sleep(10)")
    return HttpResponse()


def full_database(request: HttpRequest) -> HttpResponse:
    with DatabaseErrorWrapper(connection):
        raise psycopg.errors.DiskFull("could not extend file")


def our_fault(request: HttpRequest) -> HttpResponse:
    raise ZeroDivisionError


VIEWS: dict[str, tuple[Callable[[HttpRequest], HttpResponse], int, str, str]] = {
    "full-disk": (full_disk, 507, "disk-full", "no room on its disk"),
    "no-database": (no_database, 503, "database-away", "reach its database"),
    "slow-database": (slow_database, 503, "database-busy", "did not get to this in time"),
    "full-database": (full_database, 507, "database-full", "database has no room"),
    "our-fault": (our_fault, 500, "error", "did not expect"),
}


def _open(view: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    view.login_required = False  # type: ignore[attr-defined]
    return view


urlpatterns = [
    *site,
    *(path(f"{name}/", _open(view)) for name, (view, *_) in VIEWS.items()),
    *(path(f"api/v1/{name}", _open(view)) for name, (view, *_) in VIEWS.items()),
]


@pytest.mark.django_db
@pytest.mark.urls("tests.ssot_dash.test_outages")
@pytest.mark.parametrize("name", VIEWS)
def test_pages_and_programs_learn_what_is_ill(name: str) -> None:
    _, status, code, words = VIEWS[name]
    client = Client(raise_request_exception=False)
    page = client.get(f"/{name}/")
    assert page.status_code == status
    assert words in page.content.decode()
    told = client.get(f"/api/v1/{name}")
    assert (told.status_code, told.json()["code"]) == (status, code)
    assert words in told.json()["message"]
    assert ("Retry-After" in told.headers) == (status == 503)


def test_no_error_that_is_not_known_is_blamed_on_the_database() -> None:
    assert outage(OSError(13, "denied")) is UNEXPECTED
    assert outage(OperationalError("gone")).code == "database-away"


def test_half_an_upload_is_removed_and_the_rest_of_it_is_read(tmp_path: Path, settings: Any) -> None:
    settings.FILE_UPLOAD_TEMP_DIR = str(tmp_path)
    request = RequestFactory().post("/x/", {"report": SimpleUploadedFile("r.xml", bytes(4_000_000))})
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
    try:
        request.FILES  # noqa: B018
    except OSError:
        assert list(tmp_path.iterdir())
        assert server_error(request).status_code == 500
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    assert list(tmp_path.iterdir()) == []
    assert request.read(1) == b""
