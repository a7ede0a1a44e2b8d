"""The API of IDs and leases, fuzzed from its own schema: whatever comes, an answer in words and never a 5xx."""

import json
import logging
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import schemathesis
from django.contrib.auth.models import User
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

from ids.models import IDType
from ssot_dash import tokens
from ssot_dash.api import api

SCHEMA: dict[str, Any] = json.loads(json.dumps(api.get_openapi_schema(), default=str))
OPERATIONS = [
    (method, path)
    for path, methods in SCHEMA["paths"].items()
    for method in methods
    if path.startswith(("/api/v1/ids", "/api/v1/leases"))
]


@pytest.fixture
def program(db: None) -> Iterator[Client]:
    IDType.objects.get_or_create(value="run", defaults={"description": "Fuzzed."})
    secret = tokens.create(User.objects.create_superuser("ada"), "x", ["ids:read", "ids:write"])[1]
    logging.disable(logging.WARNING)  # no line for each refusal
    yield Client(headers={"Authorization": f"Bearer {secret}"}, raise_request_exception=True)
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=lambda value: value)
@given(data=st.data())
@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
def test_whatever_comes_is_answered(program: Client, method: str, path: str, data: st.DataObject) -> None:
    operation = schemathesis.openapi.from_dict(SCHEMA)[path][method.upper()]
    mode = data.draw(st.sampled_from([GenerationMode.POSITIVE, GenerationMode.NEGATIVE]))
    try:
        case = data.draw(operation.as_strategy(generation_mode=mode))
    except Exception as error:
        if "Unsatisfiable" in type(error).__name__:  # nothing is wrong for an operation that takes nothing
            return
        raise
    address = path.format(
        **{name: quote(str(value), safe="") for name, value in case.path_parameters.items()}
    )
    if case.query:
        address += "?" + urlencode(
            {key: value for key, value in case.query.items() if isinstance(value, str | int | float)},
            errors="surrogatepass",
        )
    body: Any = case.body
    try:
        sent = json.dumps(body).encode() if isinstance(body, dict | list | str | int | float | bool) else b""
    except (TypeError, ValueError):
        sent = b"{"
    answer = program.generic(method.upper(), address, sent, content_type="application/json")
    assert answer.status_code < 500, (address, sent[:300], answer.content)
    if answer.status_code >= 400:
        said = answer.json()
        assert said["code"] and said["message"], answer.content
