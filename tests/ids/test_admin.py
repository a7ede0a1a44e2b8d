"""The admin: types are edited with a reason, what is in use is kept, issued IDs are only looked at."""

from typing import Any

import pytest
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from ids import minting
from ids.admin import BoundedPaginator
from ids.models import IDCounter, IDType, IssuedID

ADD = "/admin/ids/idtype/add/"


@pytest.fixture
def admin(client: Client, canonical_types: None) -> Client:
    client.force_login(User.objects.create_superuser("ada"))
    return client


@pytest.fixture
def run(canonical_types: None) -> IDType:
    return IDType.objects.get(value="run")


@pytest.fixture
def leased_run(run: IDType) -> IDType:
    IDCounter.objects.create(type=run, next_counter=9, issued=3, last_issued_at="2026-01-03T04:05Z")
    return run


def address(row: IDType | IssuedID, page: str = "change") -> str:
    return reverse(f"admin:{row._meta.label_lower.replace('.', '_')}_{page}", args=[quote(row.pk)])


def posted(**changes: str) -> dict[str, str]:
    sound = {
        "value": "run",
        "description": "One pass.",
        "status": "active",
        "format": "structured",
        "owner": "",
        "is_tracked": "on",
    }
    return {**sound, "change_reason": "Because.", **changes}


def errors(page: Any) -> dict[str, list[str]]:
    return dict(page.context["adminform"].form.errors)


# --- editing a type ---------------------------------------------------------------------------------------------------


def test_a_type_is_added_and_its_history_begins_with_who_and_why(admin: Client) -> None:
    answer = admin.post(ADD, posted(value="web-hook", change_reason="Calls to others need IDs."))
    assert answer.status_code == 302
    (change,) = IDType.objects.get(value="web-hook").changes(5)
    assert (change.who, change.kind, change.reason) == ("ada", "Created", "Calls to others need IDs.")


def test_a_new_type_needs_no_reason(admin: Client) -> None:
    assert admin.post(ADD, posted(value="web-hook", change_reason="")).status_code == 302


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"value": "web_hook"}, "value", "lower-case letters, digits and single inner hyphens"),
        ({"value": "Run"}, "value", "lower-case letters"),
        ({"value": "9lives"}, "value", "start with a letter"),
        ({"value": "x" * 33}, "value", "at most 32 characters"),
        ({"value": "a\x00"}, "value", "Null characters"),
        ({"value": ""}, "value", "required"),
        ({"value": "run"}, "value", "There is an ID type with this value already"),
        ({"value": "new", "description": ""}, "description", "required"),
        ({"value": "new", "description": "x" * 501}, "description", "at most 500 characters"),
        ({"value": "new", "status": "asleep"}, "status", "not one of the available choices"),
        ({"value": "new", "format": "uuid9"}, "format", "not one of the available choices"),
        ({"value": "new", "change_reason": "x" * 501}, "change_reason", "at most 500 characters"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(
    admin: Client, changes: dict[str, str], field: str, message: str
) -> None:
    before = IDType.objects.count()
    page = admin.post(ADD, posted(**changes))
    assert page.status_code == 200
    assert list(errors(page)) == [field]
    assert message in " ".join(errors(page)[field])
    assert IDType.objects.count() == before


def test_an_edit_is_saved_with_who_what_and_why(admin: Client, run: IDType) -> None:
    answer = admin.post(
        address(run), posted(status="deprecated", owner="Agents", description=run.description)
    )
    assert answer.status_code == 302
    change = IDType.objects.get(pk=run.pk).changes(1)[0]
    assert (change.who, change.reason) == ("ada", "Because.")
    assert [field.label for field in change.fields] == ["status", "owner"]


def test_an_edit_needs_a_reason(admin: Client, run: IDType) -> None:
    page = admin.post(address(run), posted(owner="Agents", change_reason="  "))
    assert list(errors(page)) == ["change_reason"]
    run.refresh_from_db()
    assert run.owner == "" and len(run.changes(5)) == 1


def test_the_value_can_be_corrected_while_nothing_was_issued(admin: Client, run: IDType) -> None:
    assert admin.post(address(run), posted(value="pass")).status_code == 302
    run.refresh_from_db()
    assert run.value == "pass"


def test_the_value_of_a_type_in_use_is_read_only_and_the_page_says_why(
    admin: Client, leased_run: IDType
) -> None:
    page = admin.get(address(leased_run))
    assert 'name="value"' not in page.text
    assert "IDs of this type were issued. Its value is fixed" in page.text
    assert admin.post(address(leased_run), posted(value="pass", owner="Agents")).status_code == 302
    leased_run.refresh_from_db()
    assert (leased_run.value, leased_run.owner) == ("run", "Agents")


def test_going_back_to_a_version_does_not_bring_an_old_value_to_a_type_in_use(
    admin: Client, run: IDType
) -> None:
    admin.post(address(run), posted(value="pass"))
    IDCounter.objects.create(type=run, next_counter=9, issued=3)
    first = run.history.earliest()
    version = reverse("admin:ids_idtype_simple_history", args=[run.pk, first.pk])
    assert admin.get(version).status_code == 200
    page = admin.post(version, posted())
    assert page.status_code == 200
    assert "The value stays &quot;pass&quot;" in page.text
    run.refresh_from_db()
    assert run.value == "pass"


def test_going_back_to_a_version_is_an_edit_with_a_reason(admin: Client, run: IDType) -> None:
    admin.post(address(run), posted(owner="Agents"))
    first = run.history.earliest()
    version = reverse("admin:ids_idtype_simple_history", args=[run.pk, first.pk])
    answer = admin.post(version, posted(owner="", change_reason="That was a mistake."))
    assert answer.status_code == 302
    run.refresh_from_db()
    assert run.owner == ""
    assert (run.changes(1)[0].who, run.changes(1)[0].reason) == ("ada", "That was a mistake.")


def test_the_admins_history_page_shows_the_reason_and_has_no_inline_style(admin: Client, run: IDType) -> None:
    admin.post(address(run), posted(owner="Agents", change_reason="Agents took it over."))
    page = admin.get(address(run, "history"))
    assert "Agents took it over." in page.text and "Seeded" in page.text
    assert "2 versions" in page.text
    assert " style=" not in page.text


def test_the_list_of_types_takes_a_bounded_number_of_queries(
    admin: Client, leased_run: IDType, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(5):  # session, user, two counts, types with figures
        page = admin.get("/admin/ids/idtype/?q=u")
    assert "run" in page.text


# --- deleting a type --------------------------------------------------------------------------------------------------


def test_a_type_that_never_issued_can_be_deleted(admin: Client, run: IDType) -> None:
    assert admin.post(address(run, "delete"), {"post": "yes"}).status_code == 302
    assert not IDType.objects.filter(pk=run.pk).exists()


def test_a_type_in_use_cannot_be_deleted(admin: Client, leased_run: IDType) -> None:
    assert address(leased_run, "delete") not in admin.get(address(leased_run)).text
    assert admin.get(address(leased_run, "delete")).status_code == 403
    assert admin.post(address(leased_run, "delete"), {"post": "yes"}).status_code == 403
    assert IDType.objects.filter(pk=leased_run.pk).exists()


def test_deleting_many_at_once_stops_at_one_in_use(admin: Client, leased_run: IDType) -> None:
    chosen = [row.pk for row in IDType.objects.filter(value__in=["run", "user"])]
    action = {"action": "delete_selected", "_selected_action": chosen, "post": "yes"}
    admin.post("/admin/ids/idtype/", action)
    assert IDType.objects.filter(pk__in=chosen).count() == 2
    admin.post("/admin/ids/idtype/", {**action, "_selected_action": [IDType.objects.get(value="user").pk]})
    assert not IDType.objects.filter(value="user").exists()


# --- issued IDs -------------------------------------------------------------------------------------------------------


def test_issued_ids_are_listed_and_found_by_the_whole_id(registry: type[IDType], client: Client) -> None:
    client.force_login(User.objects.create_superuser("ada"))
    first, second = minting.generate("run", context={"why": "<b>"}), minting.generate("user")
    page = client.get("/admin/ids/issuedid/")
    assert first in page.text and second in page.text
    found = client.get("/admin/ids/issuedid/", {"q": first})
    assert first in found.text and second not in found.text
    one = client.get(address(IssuedID(id=first)))
    assert one.status_code == 200
    assert "<b>" not in one.text and 'name="_save"' not in one.text


def test_issued_ids_cannot_be_added_changed_or_deleted_by_anybody(admin: Client, run: IDType) -> None:
    issued = IssuedID.objects.create(id="run_1_00c0ffee", type=run, counter=1)
    assert admin.get("/admin/ids/issuedid/add/").status_code == 403
    assert admin.post(address(issued), {"prefix": "x"}).status_code == 403
    assert admin.post(address(issued, "delete"), {"post": "yes"}).status_code == 403
    admin.post(
        "/admin/ids/issuedid/",
        {"action": "delete_selected", "_selected_action": [issued.pk], "post": "yes"},
    )
    assert IssuedID.objects.get(pk=issued.pk).prefix == ""


def test_the_list_of_issued_ids_counts_no_further_than_its_bound(
    admin: Client, run: IDType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BoundedPaginator, "MOST", 60)
    IssuedID.objects.bulk_create(IssuedID(id=f"run_{n}_00c0ffee", type=run, counter=n) for n in range(1, 100))
    page = admin.get("/admin/ids/issuedid/")
    assert page.context["cl"].paginator.count == 60
    assert len(page.context["cl"].result_list) == 50


# --- who may ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", ["/admin/ids/idtype/", ADD, "/admin/ids/issuedid/"])
@pytest.mark.parametrize("signed_in", [False, True])
def test_the_admin_is_closed_to_those_who_are_not_staff(
    client: Client, canonical_types: None, page: str, signed_in: bool
) -> None:
    if signed_in:
        client.force_login(User.objects.create_user("reader"))
    answer = client.get(page)
    login = "/admin/login/" if signed_in else "/login/"
    assert answer.status_code == 302 and answer["Location"].startswith(login)
    assert client.post(page, posted(value="mine")).status_code == 302
    assert not IDType.objects.filter(value="mine").exists()


def test_staff_without_the_permission_can_neither_see_nor_edit(client: Client, run: IDType) -> None:
    client.force_login(User.objects.create_user("staff", is_staff=True))
    for page in (address(run), address(run, "history"), address(run, "delete"), ADD, "/admin/ids/issuedid/"):
        assert client.get(page).status_code == 403
        assert client.post(page, posted(owner="me")).status_code == 403
    run.refresh_from_db()
    assert run.owner == ""


def test_staff_who_may_view_can_read_the_history_and_not_edit(client: Client, run: IDType) -> None:
    user = User.objects.create_user("staff", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_idtype"))
    client.force_login(user)
    assert client.get(address(run)).status_code == 200
    assert client.get(address(run, "history")).status_code == 200
    version = reverse("admin:ids_idtype_simple_history", args=[run.pk, run.history.earliest().pk])
    assert client.post(address(run), posted(owner="me")).status_code == 403
    assert client.get(version).status_code == 200
    assert client.post(version, posted(owner="me")).status_code == 403
    run.refresh_from_db()
    assert run.owner == ""
