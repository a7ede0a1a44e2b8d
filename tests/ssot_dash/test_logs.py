"""Log lines say what they belong to."""

import json
import logging
from collections.abc import Callable

import pytest
from django.test import Client

from audits import auditing
from audits.tasks import run_audit
from ssot_dash import logs
from ssot_dash.embedded import processes
from ssot_dash.embedded.supervisor import Program
from tests.audits.conftest import AddRepository, Drifting, add_repository, drifting  # noqa: F401 (fixtures)


def record(text: str = "It’s done: %s", *arguments: object) -> logging.LogRecord:
    made = logging.LogRecord("audits", logging.INFO, "x.py", 1, text, arguments or ("yes",), None)
    logs.AboutFilter().filter(made)
    return made


def test_a_record_says_what_it_is_about_while_that_lasts() -> None:
    with logs.about(request="abc"), logs.about(audit=17):
        made = record()
    assert made.about_words == " request=abc audit=17"
    assert record().about_words == ""


def test_json_is_one_object_a_line_whatever_the_message() -> None:
    with logs.about(request="abc"):
        line = logs.JsonFormatter().format(record("two\nlines “%s”", {"a": 1}))
    assert "\n" not in line
    value = json.loads(line)
    assert (value["message"], value["request"], value["level"]) == ("two\nlines “{'a': 1}”", "abc", "INFO")
    assert value["time"].endswith("+00:00")


def test_json_holds_the_traceback() -> None:
    made = record()
    try:
        raise ValueError("no")
    except ValueError as error:
        made.exc_info = (ValueError, error, error.__traceback__)
    assert "ValueError: no" in json.loads(logs.JsonFormatter().format(made))["traceback"]


@pytest.mark.parametrize(
    ("given", "kept"), [("abcd-1234", True), ("short", False), ("x" * 65, False), ("a b c d e f", False)]
)
def test_a_request_has_an_id_its_proxy_s_or_its_own(client: Client, given: str, kept: bool) -> None:
    answer = client.get("/login/", headers={"X-Request-ID": given})
    assert (answer.headers["X-Request-ID"] == given) is kept
    assert len(answer.headers["X-Request-ID"]) >= 8


@pytest.mark.celery
@pytest.mark.django_db(transaction=True)
def test_lines_of_a_worker_name_the_task_and_its_row(
    add_repository: AddRepository,  # noqa: F811
    drifting: Drifting,  # noqa: F811
    start_worker: Callable[..., Program],
) -> None:
    worker = start_worker(LOG_FORMAT="json")
    audit, _ = auditing.request(add_repository(drifting.path))
    run_audit.delay(audit.pk)

    def about() -> list[dict[str, str]]:
        lines = [line for line in worker.log.read_text().splitlines() if line.startswith("{")]
        return [value for value in map(json.loads, lines) if value.get("row") == str(audit.pk)]

    assert processes.wait_until(lambda: bool(about()), 300), worker.log.read_text()
    assert {value["task"] for value in about()} == {"run_audit"}
