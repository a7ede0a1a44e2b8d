"""What the database itself refuses, the canonical types that it starts with, and the figures and history of a type."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import IntegrityError, connection, models, transaction
from django.db.models import ProtectedError

from ids import minting
from ids.models import IDCounter, IDTally, IDType, IssuedID
from tests.ids.conftest import CANONICAL, seed_canonical_types, unseed_canonical_types


@pytest.fixture
def run(canonical_types: None) -> IDType:
    return IDType.objects.get(value="run")


# --- what the database refuses ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", ["", "Run", "a_b", "1a", "-a", "a-", "a--b", "a b", "a\n", "\u00e4", "\uff41", "a.b", "<script>"]
)
def test_a_value_outside_the_grammar_is_refused_by_form_and_database(run: IDType, value: str) -> None:
    with pytest.raises(ValidationError):
        IDType(value=value, description="x").full_clean()
    with pytest.raises(IntegrityError, match="idtype_value_in_grammar"), transaction.atomic():
        IDType.objects.create(value=value, description="x")


def test_a_value_exists_once(run: IDType) -> None:
    with pytest.raises(ValidationError, match="There is an ID type with this value already"):
        IDType(value="run", description="x").full_clean()
    with pytest.raises(IntegrityError), transaction.atomic():
        IDType.objects.create(value="run", description="x")


@pytest.mark.parametrize(
    ("row", "changes", "constraint"),
    [
        (IDType, {"status": "asleep"}, "idtype_status_known"),
        (IDType, {"format": "uuid9"}, "idtype_format_known"),
        (IDCounter, {"next_counter": 0}, "idcounter_next_positive"),
        (IDCounter, {"issued": -1}, "idcounter_figures_not_negative"),
        (IDCounter, {"released": -1}, "idcounter_figures_not_negative"),
        (IssuedID, {"counter": 0}, "issuedid_counter_positive"),
        (IssuedID, {"state": "lost"}, "issuedid_state_known"),
    ],
)
def test_a_row_outside_its_bounds_is_refused_by_the_database(
    run: IDType, row: type[models.Model], changes: dict[str, Any], constraint: str
) -> None:
    IDCounter.objects.create(type=run, next_counter=9)
    IssuedID.objects.create(id="run_1_00c0ffee", type=run, counter=1)
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        row._default_manager.update(**changes)


def test_one_counter_of_a_type_stands_in_one_id(run: IDType) -> None:
    IssuedID.objects.create(id="run_1_00c0ffee", type=run, counter=1)
    with pytest.raises(IntegrityError, match="issuedid_type_counter_once"), transaction.atomic():
        IssuedID.objects.create(id="run_1_deadbeef", type=run, counter=1)
    IssuedID.objects.create(id="user_1_00c0ffee", type=IDType.objects.get(value="user"), counter=1)


def test_the_value_can_be_changed_until_the_first_lease_and_never_again(run: IDType) -> None:
    IDType.objects.filter(pk=run.pk).update(value="pass")
    IDType.objects.filter(pk=run.pk).update(value="run")
    IDCounter.objects.create(type=run, next_counter=9)
    with pytest.raises(IntegrityError, match='The value of ID type "run" is fixed'), transaction.atomic():
        IDType.objects.filter(pk=run.pk).update(value="pass")
    run.description, run.status = "Edited.", IDType.Status.RETIRED
    run.save()
    assert IDType.objects.get(pk=run.pk).description == "Edited."


def test_a_type_is_deleted_only_while_nothing_was_leased(run: IDType) -> None:
    IDType.objects.get(value="user").delete()
    IDCounter.objects.create(type=run, next_counter=9)
    assert run.has_leased
    with pytest.raises(ProtectedError):
        run.delete()
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        with (
            pytest.raises(IntegrityError, match="stays, because IDs of it were issued"),
            transaction.atomic(),
        ):
            cursor.execute("DELETE FROM ids_idtype WHERE id = %s", [run.pk])
    assert IDType.objects.filter(value="run").exists() and not IDType.objects.filter(value="user").exists()


# --- the seed ---------------------------------------------------------------------------------------------------------


def test_the_twelve_canonical_types_are_seeded_with_a_first_history_entry(canonical_types: None) -> None:
    types = list(IDType.objects.all())
    assert {id_type.value for id_type in types} == {
        *("user", "session", "request", "agent", "tool", "transaction"),
        *("websocket", "execution", "trace", "metric", "thread", "run"),
    }
    assert len({id_type.description for id_type in types}) == 12
    for id_type in types:
        id_type.full_clean()
        assert id_type.status == "active"
        (change,) = id_type.changes(5)
        assert (change.who, change.kind, change.reason) == ("", "Created", CANONICAL.REASON)


def test_seeding_again_leaves_edited_types_alone(run: IDType) -> None:
    run.description = "Ours."
    run.save()
    IDType.objects.get(value="user").delete()
    seed_canonical_types()
    assert IDType.objects.get(value="run").description == "Ours."
    assert IDType.objects.filter(value="user").exists()
    assert IDType.objects.count() == 12


def test_undoing_the_seed_keeps_types_in_use_and_types_of_others(run: IDType) -> None:
    IDCounter.objects.create(type=run, next_counter=9)
    IDType.objects.create(value="ours", description="Not seeded.")
    unseed_canonical_types()
    assert set(IDType.objects.values_list("value", flat=True)) == {"run", "ours"}
    assert run.history.count() == 1
    assert IDType.history.count() == 2
    seed_canonical_types()
    assert IDType.objects.count() == 13


def test_models_and_migrations_agree(db: None) -> None:
    call_command("makemigrations", "ids", check=True, dry_run=True)


# --- names, figures, search, history ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "member"), [("run", "RUN"), ("web-hook", "WEB_HOOK"), ("a1-b2", "A1_B2")])
def test_the_member_is_the_value_in_capitals(value: str, member: str) -> None:
    assert IDType(value=value).member == member


def test_figures_add_what_was_folded_and_what_was_not(run: IDType, django_assert_num_queries: Any) -> None:
    IDCounter.objects.create(
        type=run, next_counter=200, issued=100, released=7, last_issued_at="2026-01-01T00:00Z"
    )
    IDTally.objects.create(type=run, issued=3, last_issued_at="2026-01-03T00:00Z")
    IDTally.objects.create(type=run, issued=2, released=1, last_issued_at="2026-01-02T00:00Z")
    user = IDType.objects.get(value="user")
    IDTally.objects.create(type=user, issued=1, last_issued_at="2026-01-04T00:00Z")
    with django_assert_num_queries(1):
        figures = {row.value: row for row in IDType.objects.with_figures()}
    assert (figures["run"].issued_total, figures["run"].active_total) == (105, 97)
    assert f"{figures['run'].last_issued_at:%d}" == "03"
    assert (figures["user"].issued_total, figures["user"].active_total) == (1, 1)
    assert (figures["tool"].issued_total, figures["tool"].active_total, figures["tool"].last_issued_at) == (
        0,
        0,
        None,
    )


def test_figures_and_latest_ids_never_scan_the_issued_ids(run: IDType) -> None:
    assert "ids_issuedid" not in str(IDType.objects.with_figures().query)
    rows = [
        IssuedID(id=f"{kind.value}_{n}_00c0ffee", type=kind, counter=n)
        for kind in IDType.objects.all()
        for n in range(1, 400)
    ]
    IssuedID.objects.bulk_create(rows)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE ids_issuedid")
    plan = run.latest_issued(20).explain()
    assert "issuedid_latest_of_type" in plan and "Seq Scan" not in plan


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("run", {"run"}),
        ("RUN", {"run"}),
        ("web_hook", {"web-hook"}),
        ("WEB_HOOK", {"web-hook"}),
        ("web-hook", {"web-hook"}),
        ("platform", {"web-hook"}),
        ("elsewhere", {"web-hook"}),
        ("%", set()),
        ("\\", set()),
        ("'", set()),
    ],
)
def test_search_looks_at_value_member_description_and_owner(db: None, text: str, found: set[str]) -> None:
    IDType.objects.all().delete()
    IDType.objects.create(value="run", description="One pass.")
    IDType.objects.create(value="web-hook", description="A call elsewhere.", owner="Platform")
    assert set(IDType.objects.matching(text).values_list("value", flat=True)) == found


def test_the_history_says_who_changed_what_from_what_to_what_and_why(
    run: IDType, django_assert_num_queries: Any
) -> None:
    run._history_user = User.objects.create_user("ada")  # type: ignore[attr-defined]
    run._change_reason = "Nobody makes these any more."
    run.status, run.owner = IDType.Status.DEPRECATED, "Platform"
    run.save()
    with django_assert_num_queries(1):
        newest, first = run.changes(10)
    assert (newest.who, newest.kind, newest.reason) == ("ada", "Changed", "Nobody makes these any more.")
    assert [(field.label, field.old, field.new) for field in newest.fields] == [
        ("status", "Active", "Deprecated"),
        ("owner", "", "Platform"),
    ]
    assert first.kind == "Created" and first.fields == ()


def test_a_type_that_came_without_a_record_has_no_changes(db: None) -> None:
    (bulk,) = IDType.objects.bulk_create([IDType(value="bulk", description="By a program.")])
    assert bulk.changes(5) == []


def test_the_history_is_bounded_and_its_last_entry_still_knows_what_changed(run: IDType) -> None:
    for number in range(5):
        run.owner = f"owner {number}"
        run.save()
    changes = run.changes(3)
    assert [change.fields[0].new for change in changes] == ["owner 4", "owner 3", "owner 2"]
    assert changes[-1].fields[0].old == "owner 1"


@pytest.mark.usefixtures("registry")
def test_only_the_start_of_a_context_is_read_for_the_latest_ids() -> None:
    minting.generate("run", context={"text": "x" * 5000})
    (issued,) = IDType.objects.get(value="run").latest_issued(5)
    assert issued.get_deferred_fields() == {"context"}
    assert len(issued.context_start) == 120
