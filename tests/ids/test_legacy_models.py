"""Legacy formats: what may be one, and that no text is an ID of two types by them."""

import datetime

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.db.models import ProtectedError

from ids.models import IDType, IssuedID, LegacyFormat, LegacyHits

SUNSET = datetime.date(2026, 6, 30)


@pytest.fixture
def old_runs(canonical_types: None) -> LegacyFormat:
    return LegacyFormat.objects.create(
        name="the runs of 2024",
        type=IDType.objects.get(value="agent"),
        pattern=r"agent-(?P<random>[0-9a-f]{8})",
        example="agent-00c0ffee",
        sunset=SUNSET,
    )


def legacy(**changes: object) -> LegacyFormat:
    sound: dict[str, object] = {
        "name": "old users",
        "type": IDType.objects.get(value="user"),
        "pattern": "user-[0-9]+",
        "example": "user-17",
        "sunset": SUNSET,
    }
    return LegacyFormat(**{**sound, **changes})  # type: ignore[misc]


def test_a_sound_legacy_format_is_accepted_through_its_last_day(old_runs: LegacyFormat) -> None:
    new = legacy()
    new.full_clean()
    assert not new.is_over(SUNSET)
    assert new.is_over(SUNSET + datetime.timedelta(days=1))


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"example": "agent-x"}, "example", "does not match this example"),
        ({"pattern": "("}, "pattern", "RE2"),
        ({"pattern": "[a-z]+-[0-9a-f]+"}, "pattern", 'an ID of "agent" by the legacy format'),
        (
            {"pattern": "agent-00c0fff[0-9a-f]", "example": "agent-00c0fff0"},
            "example",
            'matches this example as an ID of "agent"',
        ),
        ({"name": "the runs of 2024"}, "name", "already"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(
    old_runs: LegacyFormat, changes: dict[str, object], field: str, message: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        legacy(**changes).full_clean()
    assert list(caught.value.message_dict) == [field]
    assert message in caught.value.message_dict[field][0]


def test_a_type_with_legacy_formats_stays(old_runs: LegacyFormat) -> None:
    with pytest.raises(ProtectedError):
        old_runs.type.delete()


def test_the_hits_of_a_day_add_up_over_rows(old_runs: LegacyFormat) -> None:
    for day, accepted in ((SUNSET, 2), (SUNSET, 3), (SUNSET - datetime.timedelta(days=40), 7)):
        LegacyHits.objects.create(format=old_runs, day=day, accepted=accepted, refused=1)
    found = LegacyFormat.objects.with_hits(SUNSET - datetime.timedelta(days=30)).get()
    assert (found.hits, found.late) == (5, 2)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("fields", "constraint"),
    [
        ({"format": "typeid", "value": "k8s"}, "idtype_value_in_format"),
        ({"format": "uuid9"}, "idtype_format_known"),
        ({"retention_days": 0}, "idtype_retention_in_range"),
        ({"retention_days": 36_501}, "idtype_retention_in_range"),
    ],
)
def test_the_database_refuses_what_no_form_lets_through(
    db: None, fields: dict[str, object], constraint: str
) -> None:
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        IDType.objects.create(**{"value": "new", "description": "New.", **fields})


def test_ids_without_a_counter_stand_beside_each_other(canonical_types: None) -> None:
    run = IDType.objects.get(value="run")
    for text in ("01JDZ2XQ0PFQGRB4V5V7X0A3KC", "01JDZ2XQ0PFQGRB4V5V7X0A3KD"):
        IssuedID.objects.create(id=text, type=run)
    assert IssuedID.objects.filter(type=run, counter=None).count() == 2
    with pytest.raises(IntegrityError), transaction.atomic():
        IssuedID.objects.create(id="01JDZ2XQ0PFQGRB4V5V7X0A3KD", type=run)


def test_rows_written_without_the_new_columns_are_tracked_for_ever(db: None) -> None:
    """As a process of the version before writes them, while a deployment runs."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO ids_idtype (value, description, status, format, owner, created_at, updated_at) "
            "VALUES ('old', 'Old.', 'active', 'structured', '', now(), now())"
        )
    row = IDType.objects.get(value="old")
    assert row.is_tracked and row.retention_days is None
