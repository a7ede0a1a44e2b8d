"""Requests that are too large end in words, before anything of them is kept."""

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from audits.models import Repository
from ssot_dash import tokens
from ssot_dash.embedded import programs

pytestmark = pytest.mark.django_db
REPORTS = "/api/v1/repositories/x/test-runs"


@pytest.fixture
def program() -> Client:
    user = User.objects.create_superuser("ada")
    _, secret = tokens.create(user, "CI", ["test-runs:write"])
    return Client(headers={"Authorization": f"Bearer {secret}"})


def announce(client: Client, path: str, length: str) -> Any:
    """A request that says it is larger than what follows."""
    return client.post(path, b"", content_type="multipart/form-data; boundary=x", CONTENT_LENGTH=length)


def test_an_upload_of_300_megabytes_is_refused_unread(program: Client) -> None:
    answer = announce(program, REPORTS, str(300 * 1024**2))
    assert answer.status_code == 413
    assert answer.json()["code"] == "too-large"
    assert (answer.json()["limit"], answer.json()["received"]) == (31 * 1024**2, 300 * 1024**2)


@pytest.mark.parametrize("length", ["9" * 30, str(32 * 1024**2)])
def test_a_page_says_so_as_well(client: Client, length: str) -> None:
    client.force_login(User.objects.create_user("ada"))
    answer = announce(client, "/repositories/x/test-runs/upload/", length)
    assert answer.status_code == 413
    assert "SSOT_TEST_REPORT_BYTES" in answer.content.decode()


@pytest.mark.parametrize("length", ["", "-1", "many"])
def test_a_length_that_is_none_is_no_body(program: Client, length: str) -> None:
    assert announce(program, REPORTS, length).status_code in {400, 404, 422}


def test_too_many_fields_or_files_are_refused(program: Client) -> None:
    Repository.objects.create(name="x", slug="x", location="/")
    fields = {f"field-{number}": "x" for number in range(2_000)}
    files = {f"file-{number}": SimpleUploadedFile("a.xml", b"x") for number in range(200)}
    for values in (fields, files):
        answer = program.post(REPORTS, values)
        assert (answer.status_code, answer.json()["code"]) == (413, "too-large")


@pytest.fixture
def web_server(tmp_path: Path) -> Iterator[int]:
    """The port of a web server that was started as ``up`` starts it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        web = programs.web(os.environ, listening, tmp_path)
        with (
            (tmp_path / "web.log").open("wb") as log,
            subprocess.Popen(
                web.command, cwd=web.cwd, env=web.environment, pass_fds=web.pass_fds, stdout=log, stderr=log
            ) as server,
        ):
            yield listening.getsockname()[1]
            server.terminate()


def status_of(port: int, request: bytes) -> bytes:
    """The status line that a server answers with, however early it stops listening."""
    with socket.create_connection(("127.0.0.1", port), 120) as connection:
        try:
            connection.sendall(request)
            return connection.recv(64).split(b"\r\n")[0]
        except (BrokenPipeError, ConnectionResetError):
            return b"closed"


def test_headers_of_a_megabyte_are_refused_by_the_web_server_which_goes_on(web_server: int) -> None:
    healthy = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    assert status_of(web_server, healthy + b"\r\n") == b"HTTP/1.1 200 OK"
    too_large = {
        "one header": healthy + b"X-Large: " + b"x" * 1024**2 + b"\r\n\r\n",
        "many headers": healthy + b"".join(b"X-%d: y\r\n" % n for n in range(100_000)) + b"\r\n",
        "address": b"GET /" + b"x" * 1024**2 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "cookies": healthy + b"Cookie: " + b"a=b; " * 200_000 + b"\r\n\r\n",
    }
    for what, request in too_large.items():
        assert status_of(web_server, request) in {
            b"HTTP/1.1 400 Bad Request",
            b"HTTP/1.1 414 URI Too Long",
            b"HTTP/1.1 431 Request Header Fields Too Large",
            b"closed",
        }, what
    assert status_of(web_server, healthy + b"\r\n") == b"HTTP/1.1 200 OK"
