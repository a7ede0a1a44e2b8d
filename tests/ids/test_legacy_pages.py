"""Pages of legacy formats: the list, the burn-down, the form, and who may use it."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from ids.models import IDType, LegacyFormat, LegacyHits


def today() -> date:
    return datetime.now(UTC).date()


@pytest.fixture
def reader(client: Client, canonical_types: None) -> Client:
    client.force_login(User.objects.create_user("reader"))
    return client


@pytest.fixture
def editor(client: Client, canonical_types: None) -> Client:
    user = User.objects.create_user("ada")
    user.user_permissions.set(
        Permission.objects.filter(codename__in=["add_legacyformat", "change_legacyformat"])
    )
    client.force_login(user)
    return client


@pytest.fixture
def old_runs(canonical_types: None) -> LegacyFormat:
    return LegacyFormat.objects.create(
        name="Runs of 2024",
        type=IDType.objects.get(value="run"),
        pattern=r"run-(?P<random>[0-9a-f]{8})",
        example="run-00c0ffee",
        sunset=today() + timedelta(days=10),
    )


def posted(**changes: Any) -> dict[str, Any]:
    sound = {
        "name": "Old users",
        "type": IDType.objects.get(value="user").pk,
        "pattern": "user-[0-9]+",
        "example": "user-17",
        "sunset": str(today() + timedelta(days=30)),
        "note": "",
        "change_reason": "Two services still send them.",
    }
    return {**sound, **changes}


def test_without_any_the_list_says_what_they_are_for(reader: Client) -> None:
    page = reader.get("/ids/legacy/")
    assert "No legacy format" in page.text and "/ids/legacy/add/" not in page.text


def test_the_list_shows_what_is_left_of_each(
    reader: Client, old_runs: LegacyFormat, django_assert_num_queries: Any
) -> None:
    LegacyHits.objects.create(format=old_runs, day=today(), accepted=1200, refused=0)
    with django_assert_num_queries(5):  # session, user, two of permissions, formats with hits
        page = reader.get("/ids/legacy/")
    assert "1,200" in page.text and "10 days left" in page.text


def test_the_burn_down_has_a_bar_and_a_row_for_each_day_of_use(
    reader: Client, old_runs: LegacyFormat
) -> None:
    for age, accepted, refused in ((0, 5, 0), (0, 2, 1), (3, 10, 0), (200, 99, 0)):
        LegacyHits.objects.create(
            format=old_runs, day=today() - timedelta(days=age), accepted=accepted, refused=refused
        )
    page = reader.get(old_runs.get_absolute_url())
    burn_down = page.context["burn_down"]
    assert [(day.accepted, day.refused) for day in burn_down.busy] == [(7, 1), (10, 0)]
    assert burn_down.most == 10
    assert page.text.count("<rect class=") == 3
    assert "run-(?P&lt;random&gt;[0-9a-f]{8})" in page.text.replace("<wbr>", "")


def test_past_its_sunset_the_page_says_so(reader: Client, old_runs: LegacyFormat) -> None:
    LegacyFormat.objects.update(sunset=today() - timedelta(days=1))
    assert "The sunset has passed" in reader.get(old_runs.get_absolute_url()).text
    assert "over: refused now" in reader.get("/ids/legacy/").text


def test_one_is_added_and_edited_with_who_and_why(editor: Client) -> None:
    answer = editor.post("/ids/legacy/add/", posted())
    legacy = LegacyFormat.objects.get()
    assert answer["Location"] == legacy.get_absolute_url()
    assert editor.get(f"/ids/legacy/{legacy.pk}/edit/").status_code == 200
    later = str(today() + timedelta(days=60))
    assert editor.post(f"/ids/legacy/{legacy.pk}/edit/", posted(sunset=later)).status_code == 302
    page = editor.get(legacy.get_absolute_url())
    assert "Two services still send them." in page.text
    assert [r.history_user.username for r in legacy.history.all()] == ["ada", "ada"]


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"pattern": "(?=x)"}, "pattern", "RE2"),
        ({"example": "other"}, "example", "does not match this example"),
        ({"sunset": "never"}, "sunset", "valid date"),
        ({"pattern": "run-.*|user-17"}, "pattern", "No text may be an ID of two types"),
        ({"type": 0}, "type", "valid choice"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(
    editor: Client, old_runs: LegacyFormat, changes: dict[str, Any], field: str, message: str
) -> None:
    page = editor.post("/ids/legacy/add/", posted(**changes))
    assert page.status_code == 200
    assert field in page.context["form"].errors and message in page.text
    assert LegacyFormat.objects.count() == 1


def test_an_edit_needs_a_reason(editor: Client, old_runs: LegacyFormat) -> None:
    page = editor.post(f"/ids/legacy/{old_runs.pk}/edit/", posted(change_reason=""))
    assert list(page.context["form"].errors) == ["change_reason"]


def test_who_may_not_gets_no_form_and_changes_nothing(reader: Client, old_runs: LegacyFormat) -> None:
    for address in ("/ids/legacy/add/", f"/ids/legacy/{old_runs.pk}/edit/"):
        assert reader.get(address).status_code == 403
        assert reader.post(address, posted()).status_code == 403
    assert LegacyFormat.objects.get() == old_runs


def test_the_admin_edits_them_with_a_history(client: Client, old_runs: LegacyFormat) -> None:
    client.force_login(User.objects.create_superuser("ada"))
    assert "Runs of 2024" in client.get("/admin/ids/legacyformat/").text
    answer = client.post(f"/admin/ids/legacyformat/{old_runs.pk}/change/", posted(name="Runs"))
    assert answer.status_code == 302
    page = client.get(f"/admin/ids/legacyformat/{old_runs.pk}/history/")
    assert "Two services still send them." in page.text and " style=" not in page.text
