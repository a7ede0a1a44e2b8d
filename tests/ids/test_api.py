"""The service over HTTP: everything once, keys that make a request safe to repeat, and bad input."""

import json
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from ids import client, formats, known, leasing, lookups
from ids.models import IdempotencyKey, IDLease, IDTally, IDType, IssuedID
from ids.refusals import DeprecatedTypeWarning
from ssot_dash import tokens
from ssot_dash.models import ApiToken
from tests.ids.conftest import seed_canonical_types

Call = Callable[..., Any]


@pytest.fixture
def ada(db: None) -> User:
    seed_canonical_types()
    return User.objects.create_superuser("ada", password="correct horse battery")


@pytest.fixture
def call(ada: User) -> Call:
    """``call("generate", {...}, 201)``: the answer to a POST, or to a GET where there is no body."""
    _, secret = tokens.create(ada, "a program", ["ids:read", "ids:write"])
    client = Client(headers={"Authorization": f"Bearer {secret}"})

    def send(path: str, body: object = None, status: int = 200, **headers: str) -> Any:
        address = f"/api/v1/{path}" if path.startswith("leases") else f"/api/v1/ids/{path}"
        if body is None:
            answer = client.get(address)
        else:
            data = body if isinstance(body, bytes) else json.dumps(body)
            answer = client.post(address, data, content_type="application/json", headers=headers)
        assert answer.status_code == status, answer.content
        return answer.json()

    return send


def test_an_id_lives_its_life_over_http(call: Call) -> None:
    thread = call("generate", {"type": "thread", "owner": "user-7"}, 201)["id"]
    run = call("generate", {"type": "run", "prefix": "eu", "parent": thread, "context": {"a": 1}}, 201)["id"]
    record = call(f"issued/{run}")
    assert (record["type"], record["state"], record["prefix"], record["parent"]) == (
        "run",
        "issued",
        "eu",
        thread,
    )
    assert record["issuer"].endswith(":ada") and record["context"] == {"a": 1}
    (found,) = call("validate", {"ids": [run], "type": "run"})
    assert [found[name]["holds"] for name in ("is_format", "is_type", "is_issued")] == [True] * 3
    (words,) = call("explain", {"ids": [run]})
    assert [part["name"] for part in words["parts"]] == ["prefix", "type", "counter", "random"]
    assert call("release", {"id": run, "owner": "user"}, 409)["code"] == "not-owner"
    assert call("release", {"id": run})["count"] == 1
    assert call("release", {"id": run}, 409)["code"] == "already-released"
    assert call(f"issued/{run}")["state"] == "released"
    assert call("count?owner=user-7")["count"] == 1
    assert call("release-owner", {"owner": "user-7"})["count"] == 1
    assert call("issued/run_1_00c0ffee", None, 404)["code"] == "not-issued"


def test_batches_over_http(call: Call) -> None:
    texts = call("generate-many", {"type": "run", "count": 10_000}, 201)["ids"]
    assert len(set(texts)) == 10_000 == IssuedID.objects.count()
    items = [{"id": f"user_{number}_00c0ffee", "owner": "bo"} for number in range(1, 101)]
    assert call("register-many", {"items": items}, 201)["types"] == ["user"] * 100
    error = call("register-many", {"items": [{"id": "user_900_00c0ffee"}, items[0]]}, 409)
    assert (error["code"], error["row"]) == ("already-issued", 1)
    assert call("release-many", {"ids": texts})["count"] == 10_000
    assert {row["type"]: row["active"] for row in call("stats")}["user"] == 100
    seen, cursor = [], ""
    while cursor is not None:
        page = call(f"issued?owner=bo&limit=30{'&cursor=' + cursor if cursor else ''}")
        seen += [row["id"] for row in page["items"]]
        cursor = page["next"]
    assert sorted(seen) == sorted(item["id"] for item in items)


def test_related_ids_spellings_and_uuids_over_http(call: Call) -> None:
    found = call("related", {"owner": "user-7", "context": {"user": "ada"}}, 201)
    assert lookups.parents(found["request"]) == [found["run"], found["thread"]]
    (spelling, wrong) = call("normalise", {"ids": [found["run"].upper(), "nope"]})
    assert spelling["normal"] == found["run"] and wrong["normal"] is None and wrong["problem"]
    (number,) = call("to-uuids", {"ids": [found["run"]]}, 201)
    assert call("from-uuids", {"uuids": [number], "type": "run"}, 201)["ids"] == [found["run"]]
    assert call("purge-preview") == []


def test_a_key_makes_a_request_safe_to_repeat(call: Call) -> None:
    body = {"type": "run", "count": 5}
    first = call("generate-many", body, 201, **{"Idempotency-Key": "k1"})
    assert call("generate-many", body, 201, **{"Idempotency-Key": "k1"}) == first
    assert call("generate-many", body, 201, **{"Idempotency-Key": "k2"}) != first
    assert call("generate-many", body, 201) != first
    assert IssuedID.objects.count() == 15
    error = call("generate-many", {**body, "count": 6}, 409, **{"Idempotency-Key": "k1"})
    assert error["code"] == "idempotency-key-reused"
    assert (
        call("generate", {"type": "run"}, 409, **{"Idempotency-Key": "k1"})["code"]
        == "idempotency-key-reused"
    )
    for key in ("", "x" * 201):
        assert call("generate", {"type": "run"}, 422, **{"Idempotency-Key": key})["code"].startswith(
            "invalid"
        )
    assert IssuedID.objects.count() == 15


def test_a_key_of_a_refused_request_may_be_used_again(call: Call) -> None:
    call("generate", {"type": "runn"}, 422, **{"Idempotency-Key": "k1"})
    call("generate", {"type": "run"}, 201, **{"Idempotency-Key": "k1"})


def test_keys_of_other_callers_are_other_keys(call: Call, ada: User) -> None:
    first = call("generate", {"type": "run"}, 201, **{"Idempotency-Key": "k1"})
    bo = User.objects.create_superuser("bo")
    _, secret = tokens.create(bo, "x", ["ids:write"])
    answer = Client().post(
        "/api/v1/ids/generate",
        {"type": "run"},
        content_type="application/json",
        headers={"Authorization": f"Bearer {secret}", "Idempotency-Key": "k1"},
    )
    assert answer.status_code == 201 and answer.json() != first


@pytest.mark.django_db(transaction=True)
def test_a_block_is_leased_and_its_use_reported(call: Call) -> None:
    block = call("leases", {"type": "run", "size": 100}, 201)
    assert (block["type"], block["size"], len(bytes.fromhex(block["seed"]))) == ("run", 100, 16)
    report = {"reports": [{"lease": block["lease"], "used": 10}]}
    assert call("leases/report", report)["count"] == 10
    assert call("leases/report", report)["count"] == 0
    assert IssuedID.objects.count() == 10 and IDLease.objects.get().used == 10
    following = call("generate", {"type": "run"}, 201)["id"]
    assert formats.parse(following).counter > 100  # type: ignore[union-attr]
    for size in (0, -1, 100_001, 10**9):
        error = call("leases", {"type": "run", "size": size}, 422)
        assert error["code"] == "invalid-count" and error["limit"] == 100_000 and error["received"] == size
    assert call("leases/report", {"reports": [{"lease": "x", "used": 1}]}, 404)["code"] == "unknown-lease"
    IDType.objects.filter(value="run").update(format="ulid")
    assert call("leases", {"type": "run"}, 422)["code"] == "not-counted"
    IDType.objects.filter(value="run").update(status="retired")
    assert call("leases", {"type": "run"}, 422)["code"] == "retired-type"


DEEP = b'{"type": "run", "context": {"a": ' + b"[" * 10_000 + b"]" * 10_000 + b"}}"
RUN = '{"type": "run", '
# operation, body, code, and what the words or the limit name
BAD: list[tuple[str, Any, str, str | int]] = [
    ("generate", {"type": "runn"}, "unknown-type", 'Did you mean "run"?'),
    ("generate", {"type": "<script>"}, "unknown-type", '"<script>"'),
    ("generate", {"type": "r" * 300}, "invalid", "at most 200 characters"),
    ("generate", {"type": "run\x00"}, "unknown-type", "\\u0000"),
    ("generate", {"type": "retired"}, "retired-type", '"retired" is retired'),
    ("generate", {"type": "run", "prefix": "a_b"}, "invalid-prefix", '"a_b"'),
    ("generate", {"type": "run", "prefix": "a\n"}, "invalid-prefix", '"a\\n"'),
    ("generate", {"type": "run", "prefix": "<script>"}, "invalid-prefix", '"<script>"'),
    ("generate", {"type": "run", "prefix": "p" * 300}, "invalid-prefix", 64),
    ("generate", {"type": "run", "prefix": "a\x00"}, "invalid-prefix", '"a\\u0000"'),
    ("generate", (RUN + '"prefix": "\\ud800"}').encode(), "invalid", "prefix"),
    ("generate", (RUN + '"context": {"a": "\\ud800"}}').encode(), "invalid-context", "surrogate"),
    ("generate", (RUN + '"context": {"\\ud800": 1}}').encode(), "invalid-context", "surrogate"),
    ("generate", (RUN + '"context": {"a\\u0000": 1}}').encode(), "invalid-context", "NUL"),
    ("generate", (RUN + '"context": {"a": NaN}}').encode(), "bad-request", "NaN"),
    ("generate", (RUN + '"context": {"a": 1e999}}').encode(), "invalid-context", "inf"),
    ("generate", (RUN + '"context": {"a": ' + "1" * 5_000 + "}}").encode(), "bad-request", "too many digits"),
    ("generate", {"type": "run", "context": {"a": "x" * 1_000_000}}, "invalid-context", 16 * 1024),
    ("generate", {"type": "run", "context": {"a": json.loads("[" * 40 + "]" * 40)}}, "invalid-context", 32),
    ("generate", DEEP, "bad-request", "nested too deeply"),
    ("generate", b"\xff", "bad-request", "byte 0"),
    ("generate", {"type": "run", "context": [1]}, "invalid", "context"),
    ("generate", {"type": "run", "owner": "x" * 101}, "invalid-owner", 100),
    ("generate", {"type": "run", "owner": "a\x00"}, "invalid-owner", "owner"),
    ("generate", {"type": "run", "parent": "thread_1_00c0ffee"}, "unknown-parent", "thread_1_00c0ffee"),
    ("generate", {"type": "run", "parent": "\x00"}, "invalid-id", "\\u0000"),
    ("generate", {"type": ["run"]}, "invalid", "type"),
    ("generate-many", {"type": "retired", "count": 5}, "retired-type", "retired"),
    ("generate-many", {"type": "run", "count": 0}, "invalid-count", 10_000),
    ("generate-many", {"type": "run", "count": -1}, "invalid-count", 10_000),
    ("generate-many", {"type": "run", "count": 10_001}, "invalid-count", 10_000),
    ("generate-many", {"type": "run", "count": 10**9}, "invalid-count", 10_000),
    ("generate-many", {"type": "run", "count": 10**30}, "invalid", "count"),
    ("generate-many", {"type": "run", "count": "many"}, "invalid", "count"),
    ("generate-many", {"type": "run", "count": 1.5}, "invalid", "count"),
    ("generate-many", {"type": "run", "count": 5, "prefix": "a_b"}, "invalid-prefix", '"a_b"'),
    ("generate-many", {"type": "run", "count": 5, "context": {"a": "\0"}}, "invalid-context", "NUL"),
    ("related", {"context": {"a": "x" * 1_000_000}}, "invalid-context", 16 * 1024),
    ("register", {"id": "not-an-id"}, "invalid-id", '"not-an-id"'),
    ("register", {"id": "<script>"}, "invalid-id", '"<script>"'),
    ("register", {"id": "run_1_00c0ffee\n"}, "invalid-id", "\\n"),
    ("register", {"id": "r" * 300}, "invalid-id", 126),
    ("register", {"id": "run_1_00c0ffee", "type": "user"}, "invalid-id", 'not of "user"'),
    ("register", {"id": "runn_1_00c0ffee"}, "unknown-type", 'Did you mean "run"?'),
    ("register-many", {"items": []}, "invalid-count", 10_000),
    ("register-many", {"items": [{"id": "run_1_00c0ffee"}] * 10_001}, "invalid-count", 10_000),
    ("release-many", {"ids": ["run_1_00c0ffee", "x\x00"]}, "invalid-id", "Row 1"),
    ("release-owner", {"owner": ""}, "invalid-owner", "owner"),
    ("validate", {"ids": ["x"] * 10_001}, "invalid-count", 10_000),
    ("explain", {"ids": ["x"] * 101}, "invalid-count", 100),
    ("from-uuids", {"uuids": ["nope"], "type": "run"}, "invalid-id", '"nope"'),
    ("leases", {"type": "runn"}, "unknown-type", 'Did you mean "run"?'),
    ("leases", {"type": "retired"}, "retired-type", "retired"),
    ("leases/report", {"reports": []}, "invalid-count", 1_000),
    ("leases/report", {"reports": [{"lease": "<script>", "used": 1}]}, "unknown-lease", '"<script>"'),
]


@pytest.mark.parametrize(("path", "body", "code", "named"), BAD, ids=range(len(BAD)))
def test_bad_input_is_refused_in_words_and_nothing_is_half_done(
    call: Call, path: str, body: Any, code: str, named: str | int
) -> None:
    IDType.objects.create(value="retired", description="Retired.", status="retired")
    said = call(path, body, {"bad-request": 400, "unknown-lease": 404}.get(code, 422))
    assert said["code"] == code and len(said["message"]) < 400, said
    assert said["limit"] == named if isinstance(named, int) else named in said["message"], said
    assert nothing_was_written()


def nothing_was_written() -> bool:
    return not any(model.objects.exists() for model in (IssuedID, IDTally, IDLease, IdempotencyKey))


@pytest.mark.parametrize(
    ("bad", "code", "status"),
    [
        ({"id": "nope"}, "invalid-id", 422),
        ({"id": "run_7_00c0ffee"}, "already-issued", 409),  # as row 7 is
        ({"id": "thread_1_00c0ffee", "context": {"a": "\0"}}, "invalid-context", 422),
        ({"id": "thread_1_00c0ffee", "parent": "thread_2_00c0ffee"}, "unknown-parent", 422),
        ({"id": "runn_1_00c0ffee"}, "unknown-type", 422),
    ],
)
def test_one_bad_row_of_ten_thousand_is_named_and_keeps_all_from_being_registered(
    call: Call, bad: dict[str, Any], code: str, status: int
) -> None:
    items: list[dict[str, Any]] = [{"id": f"run_{number}_00c0ffee"} for number in range(1, 10_001)]
    items[6_543] = bad
    said = call("register-many", {"items": items}, status, **{"Idempotency-Key": "k"})
    assert (said["code"], said["row"]) == (code, 6_543) and "Row 6543" in said["message"]
    assert nothing_was_written()


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "type=runn", "cursor=x&type=run", "", "owner=%00"]
)
def test_bad_questions_are_refused(call: Call, query: str) -> None:
    assert call(f"issued?{query}", None, 422)["message"]


def test_what_is_no_id_can_be_asked_about(call: Call) -> None:
    texts = ["", "<script>", "x" * 5_000, "\x00", "not-an-id", "\N{EURO SIGN}"]
    assert not any(row["is_format"]["holds"] for row in call("validate", {"ids": texts}))
    assert [row["record"] for row in call("explain", {"ids": texts[:2]})] == [None, None]
    assert call("issued/%00", None, 404)["code"] == "not-found"  # no address holds NUL
    assert call("issued/%C3%A9%20x", None, 404)["code"] == "not-issued"


def test_a_token_that_is_not_good_for_it_issues_nothing_and_is_told_why(ada: User) -> None:
    def made(*scopes: str, by: User = ada) -> tuple[ApiToken, str]:
        return tokens.create(by, "x", scopes)

    revoked, secret = made("ids:write")
    tokens.revoke(revoked)
    expired, old = made("ids:write")
    ApiToken.objects.filter(pk=expired.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    gone = User.objects.create_superuser("gone", is_active=False)
    for text, status in (
        (secret, 401),
        (old, 401),
        (made("ids:write", by=gone)[1], 401),
        ("ssot_" + "x" * 43, 401),
        ("ssot_\x00", 401),
        (made("ids:read")[1], 403),
        (made("audits:write")[1], 403),
        (made("ids:write", by=User.objects.create_user("nobody"))[1], 403),
    ):
        for path, body in (("ids/generate", {"type": "run"}), ("leases", {"type": "run"})):
            answer = Client().post(
                f"/api/v1/{path}",
                body,
                content_type="application/json",
                headers={"Authorization": f"Bearer {text}", "Idempotency-Key": "k"},
            )
            assert answer.status_code == status
            said = answer.json()
            assert said["code"] == {401: "unauthorized", 403: "forbidden"}[status]
            assert ("ids:write" if status == 403 else "token") in said["message"]
    assert nothing_was_written()


@pytest.mark.django_db(transaction=True)
def test_nobody_reports_the_use_of_another_callers_lease(call: Call) -> None:
    block = call("leases", {"type": "run", "size": 100}, 201)
    secret = tokens.create(User.objects.create_superuser("bo"), "x", ["ids:write"])[1]
    answer = Client().post(
        "/api/v1/leases/report",
        {"reports": [{"lease": block["lease"], "used": 10}]},
        content_type="application/json",
        headers={"Authorization": f"Bearer {secret}"},
    )
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown-lease")
    assert IDLease.objects.get().used == 0 and not IssuedID.objects.exists()


def test_a_deprecated_type_is_told_beside_its_ids(call: Call) -> None:
    assert "warning" not in call("generate", {"type": "run"}, 201)
    IDType.objects.filter(value="run").update(status=IDType.Status.DEPRECATED)
    known.forget()
    for path, body in (
        ("generate", {"type": "run"}),
        ("generate-many", {"type": "run", "count": 2}),
        ("related", {}),
        ("from-uuids", {"uuids": [str(uuid.uuid4())], "type": "run"}),
    ):
        with pytest.warns(DeprecatedTypeWarning):
            assert call(path, body, 201)["warning"] == 'The ID type "run" is deprecated.'


def test_uuids_become_ids_all_or_none(call: Call) -> None:
    first, second = str(uuid.uuid4()), str(uuid.uuid4())
    body = {"uuids": [second, first, second], "type": "run"}
    made = call("from-uuids", body, 201, **{"Idempotency-Key": "k"})["ids"]
    assert made[0] == made[2] != made[1] and IssuedID.objects.count() == 2
    assert call("from-uuids", body, 201, **{"Idempotency-Key": "k"})["ids"] == made
    assert call("from-uuids", body, 201)["ids"] == made
    for wrong in ("nope", first):  # that one is a run
        refused = call("from-uuids", {"uuids": [str(uuid.uuid4()), wrong], "type": "user"}, 422)
        assert (refused["code"], refused["row"]) == ("invalid-id", 1)
    assert call("from-uuids", {"uuids": [first] * 10_001, "type": "run"}, 422)["limit"] == 10_000
    assert IssuedID.objects.count() == 2


@pytest.mark.parametrize("operation", ["explain", "normalise"])
def test_a_list_is_explained_in_as_many_queries_as_one_id(call: Call, operation: str) -> None:
    thread = call("generate", {"type": "thread"}, 201)["id"]
    runs = call("generate-many", {"type": "run", "count": 80, "parent": thread}, 201)["ids"]
    others = ["nope", "runn_1_00c0ffee", "RUN_1_00C0FFEE", str(uuid.uuid4()), "\0", ""]
    call(operation, {"ids": ["x"]})  # notes that the token was used
    asked = []
    for texts in ([thread, *others], [thread, *others, *runs]):
        with CaptureQueriesContext(connection) as queries:
            found = call(operation, {"ids": texts})
        asked.append(len(queries))
        assert len(found) == len(texts)
    assert asked[1] == asked[0] <= 12
    if operation == "explain":
        assert found[0]["children"] == sorted(runs)[:20] and found[0]["record"]["id"] == thread
        assert [row["record"]["parent"] for row in found[7:]] == [thread] * 80
        assert [row["closest"] for row in found[1:4]] == [None, 'IDs of the type "run"', "run_1_00c0ffee"]
        assert all(row["says"] for row in found)


def test_how_many_questions_the_database_is_asked_does_not_grow_with_a_list(call: Call) -> None:
    block = leasing.lease("run", 50)
    randoms = client.random_parts(block.seed, 50)
    texts = [f"run_{block.start + n}_{randoms[8 * n : 8 * n + 8]}" for n in range(50)]
    asked = []
    for number in (1, 50):
        with CaptureQueriesContext(connection) as queries:
            found = call("validate", {"ids": [*texts[:number], f"run_{block.start}_00000000"]})
        asked.append(len(queries))
        assert [row["state"] for row in found] == ["leased"] * number + ["unknown"]
    assert asked[1] <= asked[0]  # the first one notes that the token was used
