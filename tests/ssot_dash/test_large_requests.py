"""Requests that are too large end in words, before anything of them is kept."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from audits.models import Repository
from ssot_dash import tokens

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
