"""No page or list of the registry reads all issued IDs: each query names, by an index, those that it wants.

Told from the columns that a query compares and orders by, beside those of the table's indexes, never from a plan: of
few rows the planner reads all anyway.
"""

import re

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from ids import minting, purging
from ids.models import IDType, IssuedID
from ids.registering import register
from ssot_dash import tokens
from tests.ids.conftest import seed_canonical_types

pytestmark = pytest.mark.django_db

TABLE = IssuedID._meta.db_table


def indexes() -> list[list[str]]:
    """The columns of each index, in their order, as the database has them."""
    with connection.cursor() as cursor:
        constraints = connection.introspection.get_constraints(cursor, TABLE)
    return [found["columns"] for found in constraints.values() if found["index"] or found["unique"]]


def compared(sql: str) -> set[str]:
    """The columns of issued IDs that a query compares with one value or a list of them."""
    columns = "|".join(field.column for field in IssuedID._meta.fields)
    return set(re.findall(rf'"?\b({columns})"? (?:=|IN|= ANY)\W', sql))


def ordered(sql: str) -> list[str]:
    """The columns that a query is ordered by, if it also ends after some rows."""
    found = re.search(r"ORDER BY (.*?) LIMIT", sql)
    return re.findall(rf'"{TABLE}"\."(\w+)"', found[1]) if found else []


def goes_by_index(sql: str) -> bool:
    return any(
        columns[:1] and (columns[0] in compared(sql) or ordered(sql)[: len(columns)] == columns)
        for columns in indexes()
    )


@pytest.mark.parametrize(
    ("rest", "is_good"),
    [
        ('WHERE "{0}"."type_id" = 7', True),
        ('WHERE "{0}"."id" IN (\'a\')', True),
        ('ORDER BY "{0}"."type_id" ASC, "{0}"."issued_at" DESC LIMIT 3', True),
        ('ORDER BY "{0}"."type_id" ASC, "{0}"."issued_at" DESC', False),
        ('ORDER BY "{0}"."issued_at" DESC LIMIT 3', False),
        ('WHERE "{0}"."state" = \'issued\'', False),
        ('WHERE "{0}"."type_id" > 7', False),
    ],
)
def test_what_goes_by_an_index_is_told_from_the_words_of_a_query(rest: str, is_good: bool) -> None:
    assert goes_by_index(rest.format(TABLE)) == is_good


def test_every_page_and_list_finds_issued_ids_by_an_index() -> None:
    seed_canonical_types()
    user = User.objects.create_superuser("ada")
    related = minting.generate_related(owner="user-7", issuer="token:CI")
    register(registered := "eu_run_7_0123abcd", owner="user-7")
    IDType.objects.filter(value="run").update(retention_days=1)
    run, thread = related.run, related.thread
    _, secret = tokens.create(user, "a program", ["ids:read"])
    person, program = Client(), Client(headers={"Authorization": f"Bearer {secret}"})
    person.force_login(user)
    api, admin = "/api/v1/ids/", "/admin/ids/issuedid/"
    addresses = [
        *("/ids/", "/ids/?sort=-active&q=run", "/ids/run/", "/ids/run/?per=day"),
        *("/ids/run/edit/", f"/ids/explore/?id={run}", f"/ids/explore/?id={registered}"),
        *("/metrics", "/operations/", admin, f"{admin}?q={run}", f"{admin}{run}/change/"),
        *(f"{api}{path}" for path in ("stats", "count", "count?owner=user-7", "count?type=run&owner=user-7")),
        *(
            f"{api}issued?{q}"
            for q in ("type=run", "owner=user-7", f"parent={thread}", "type=run&owner=user-7")
        ),
        f"{api}issued/{run}",
    ]
    with CaptureQueriesContext(connection) as captured:
        for address in addresses:
            answer = (program if address.startswith(api) else person).get(address)
            assert answer.status_code == 200, (address, answer.content[:300])
        assert person.post("/ids/explore/", {"ids": f"{run}\n{thread}\nno"}).status_code == 200
        page = program.get(f"{api}issued?type=run&limit=1").json()
        assert program.get(f"{api}issued", {"type": "run", "cursor": page["next"]}).status_code == 200
        purging.preview(timezone.now())
    asked = {query["sql"] for query in captured.captured_queries if TABLE in query["sql"]}
    assert len(asked) > 15
    assert [sql for sql in asked if not goes_by_index(sql)] == []
