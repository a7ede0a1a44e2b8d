"""The pages on which types are added and edited: what an edit would break is said and confirmed before it is saved."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError
from django.test import Client
from django.utils import timezone

from ids import editing, leasing, minting, usage
from ids.metrics import start_of
from ids.models import Grain, IDCounter, IDTally, IDType, IssuedID, Kind, LegacyFormat, TypeUse
from ids.usage import CodeUse, Place, Unseen, Usage

ADD = "/ids/add/"
EDIT = "/ids/run/edit/"


@pytest.fixture
def editor(client: Client, canonical_types: None) -> Client:
    user = User.objects.create_user("ada")
    user.user_permissions.set(Permission.objects.filter(codename__in=["add_idtype", "change_idtype"]))
    client.force_login(user)
    return client


@pytest.fixture
def run(canonical_types: None) -> IDType:
    return IDType.objects.get(value="run")


@pytest.fixture
def busy_run(run: IDType) -> IDType:
    """Three IDs of the last days, one of a year ago, and a rate."""
    now = timezone.now()
    for counter, age in enumerate((1, 2, 3, 400), 1):
        IssuedID.objects.create(
            id=f"run_{counter}_00c0ffee", type=run, counter=counter, issued_at=now - timedelta(days=age)
        )
    IDCounter.objects.create(type=run, next_counter=9, issued=4, last_issued_at=now)
    TypeUse.objects.create(
        type=run, grain=Grain.DAY, kind=Kind.GENERATED, starts_at=now - timedelta(days=10), count=25_000
    )
    return run


@pytest.fixture
def used_in_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def source(value: str, user: Any) -> Usage:
        if value != "run":
            return Usage()
        place = Place("app/<work>.py", 7, "begin", "prod")
        use = CodeUse(
            "Shop", "/repositories/shop/", "app.ids.IDType", "c0ffee" * 7, None, place, 3,
            (("prod", 2), ("test", 1)), (place,), 1, "/repositories/shop/violations/?q=RUN",
        )  # fmt: skip
        return Usage((use,), (Unseen("Old shop", "/repositories/old/", "it was not audited yet"),))

    monkeypatch.setattr(usage, "_sources", [source])


def posted(**changes: str) -> dict[str, str]:
    sound = {
        "value": "run",
        "description": IDType.objects.get(value="run").description,
        "status": "active",
        "format": "structured",
        "owner": "",
        "is_tracked": "on",
        "retention_days": "",
        "change_reason": "Because.",
    }
    return {name: text for name, text in {**sound, **changes}.items() if text != "off"}


def breaks(page: Any) -> list[str]:
    assert page.status_code == 200, page.status_code
    return [consequence.text for consequence in page.context["form"].consequences]


# --- adding -----------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_type_that_is_added_can_be_issued_and_exported_at_once(client: Client, registry: Any) -> None:
    client.force_login(User.objects.create_superuser("ada"))
    answer = client.post(
        ADD, posted(value="web-hook", description="A call.", change_reason="We call others.")
    )
    assert (answer.status_code, answer["Location"]) == (302, "/ids/web-hook/")
    assert minting.generate("web-hook").startswith("web-hook_1_")
    assert 'WEB_HOOK = "web-hook"' in client.get("/ids/registry.py").text
    (change,) = IDType.objects.get(value="web-hook").changes(5)
    assert (change.who, change.kind, change.reason) == ("ada", "Created", "We call others.")


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"value": "Web_Hook"}, "value", "Perhaps &quot;web-hook&quot;?"),
        ({"value": "9_lives"}, "value", "that start with a letter."),
        ({"value": "explore"}, "value", "the address of another page"),
        ({"value": "legacy"}, "value", "the address of another page"),
        ({"value": "run"}, "value", "already"),
        ({"value": "k8s", "format": "typeid"}, "format", "letters and hyphens only"),
        ({"value": "new", "retention_days": "0"}, "retention_days", "greater than or equal to 1"),
        ({"value": "new", "retention_days": "36501"}, "retention_days", "less than or equal to 36500"),
        ({"value": "new", "format": "uuid9"}, "format", "not one of the available choices"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(
    editor: Client, changes: dict[str, str], field: str, message: str
) -> None:
    page = editor.post(ADD, posted(**changes))
    assert page.status_code == 200
    assert list(page.context["form"].errors) == [field]
    assert message in page.text
    assert IDType.objects.count() == 12


# --- what an edit would break -----------------------------------------------------------------------------------------


def test_the_form_shows_what_hangs_on_the_type(editor: Client, busy_run: IDType, used_in_code: None) -> None:
    page = editor.get(EDIT)
    impact = page.context["impact"]
    assert (impact.issued, impact.rate) == (4, "about 2,500 a day")
    assert "3 places name it" in page.text and "app/&lt;work&gt;" in page.text.replace("<wbr>", "")
    assert "1 open violation" in page.text
    assert "Not looked at: 1 repository" in page.text


def test_the_rate_of_a_first_day_is_what_it_brought_so_far(editor: Client, run: IDType) -> None:
    TypeUse.objects.create(
        type=run,
        grain=Grain.DAY,
        kind=Kind.GENERATED,
        starts_at=start_of(Grain.DAY, timezone.now() + timedelta(minutes=5)),  # the day may turn meanwhile
        count=421,
    )
    assert breaks(editor.post(EDIT, posted(status="retired"))) == [
        "IDs of it are being issued, 421 so far, all of them today: every such call will be refused."
    ]


def test_a_harmless_edit_is_saved_at_once_with_who_what_and_why(editor: Client, busy_run: IDType) -> None:
    assert editor.post(EDIT, posted(owner="Agents")).status_code == 302
    change = busy_run.changes(1)[0]
    assert (change.who, change.reason) == ("ada", "Because.")
    assert [(field.label, field.new) for field in change.fields] == [("owner", "Agents")]


def test_an_edit_needs_a_reason(editor: Client, run: IDType) -> None:
    page = editor.post(EDIT, posted(owner="Agents", change_reason=" "))
    assert list(page.context["form"].errors) == ["change_reason"]


def test_retiring_says_which_calls_and_code_break_and_waits_for_a_yes(
    editor: Client, busy_run: IDType, used_in_code: None
) -> None:
    page = editor.post(EDIT, posted(status="retired"))
    assert breaks(page) == [
        "IDs of it are being issued, about 2,500 a day: every such call will be refused.",
        (
            "Shop: app.ids.IDType.RUN is named in 3 places (2 in prod, 1 in test). The next audit finds "
            "registry-drift, and the exported enum no longer has the member."
        ),
    ]
    assert "Nothing was saved yet" in page.text and 'name="confirmed"' in page.text
    busy_run.refresh_from_db()
    assert busy_run.status == "active"
    assert editor.post(EDIT, posted(status="retired", confirmed="on")).status_code == 302
    busy_run.refresh_from_db()
    assert busy_run.status == "retired"


def test_a_type_that_nobody_uses_is_retired_at_once(editor: Client, run: IDType) -> None:
    assert editor.post(EDIT, posted(status="retired")).status_code == 302


def test_what_an_edit_breaks_is_said_beside_a_reason_that_lacks(editor: Client, busy_run: IDType) -> None:
    page = editor.post(EDIT, posted(status="retired", change_reason=""))
    assert breaks(page) and set(page.context["form"].errors) == {"change_reason", "confirmed"}
    busy_run.refresh_from_db()
    assert busy_run.status == "active"


def test_a_new_value_says_which_code_and_legacy_formats_follow(
    editor: Client, run: IDType, used_in_code: None
) -> None:
    LegacyFormat.objects.create(
        name="Old runs",
        type=run,
        pattern="r[0-9]+",
        example="r1",
        sunset=datetime(2030, 1, 1, tzinfo=UTC).date(),
    )
    texts = " ".join(breaks(editor.post(EDIT, posted(value="pass"))))
    assert "The registry would know it as PASS" in texts
    assert 'would become IDs of "pass"' in texts


def test_the_value_of_a_type_in_use_stays_whatever_is_posted(editor: Client, busy_run: IDType) -> None:
    page = editor.get(EDIT)
    assert "it stays. Make a new type" in page.text
    editor.post(EDIT, posted(value="pass", owner="Agents"))
    busy_run.refresh_from_db()
    assert (busy_run.value, busy_run.owner) == ("run", "Agents")


def test_a_new_format_says_what_becomes_of_the_old_ids(editor: Client, busy_run: IDType) -> None:
    texts = breaks(editor.post(EDIT, posted(format="uuid7")))
    assert "4 IDs were issued as Structured ([prefix_]run_counter_hex8)" in texts[0]
    assert "no longer says that it is a run" in texts[1]
    assert texts[2] == "Callers that give a prefix will be refused."


def test_the_former_format_can_stay_accepted_until_a_day(editor: Client, busy_run: IDType) -> None:
    until = (timezone.now() + timedelta(days=30)).date()
    change = posted(format="typeid", keep_until=f"{until}", confirmed="on")
    assert editor.post(EDIT, change).status_code == 302
    legacy = LegacyFormat.objects.get()
    assert (legacy.type, legacy.sunset) == (busy_run, until)
    assert legacy.example == "run_17_9f86d081"
    assert legacy.history.get().history_change_reason == "Because."


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"keep_until": "2040-01-01"}, "there is no former one"),
        ({"keep_until": "2020-01-01", "format": "typeid", "confirmed": "on"}, "has passed already"),
        ({"keep_until": "tomorrow", "format": "typeid"}, "Enter a valid date"),
    ],
)
def test_a_day_that_makes_no_sense_is_refused(
    editor: Client, busy_run: IDType, changes: dict[str, str], message: str
) -> None:
    page = editor.post(EDIT, posted(**changes))
    assert page.status_code == 200 and message in page.text
    assert not LegacyFormat.objects.exists()


def test_a_shorter_retention_says_how_many_records_go(editor: Client, busy_run: IDType) -> None:
    assert breaks(editor.post(EDIT, posted(retention_days="30"))) == [
        "1 record of IDs older than 30 days will be purged, and can't be looked up any more."
    ]
    assert editor.post(EDIT, posted(retention_days="1000")).status_code == 302


def test_no_longer_recording_is_said(editor: Client, busy_run: IDType) -> None:
    assert "can no longer be looked up" in breaks(editor.post(EDIT, posted(is_tracked="off")))[0]


def test_what_hangs_on_a_type_takes_a_bounded_number_of_queries(
    busy_run: IDType, django_assert_max_num_queries: Any
) -> None:
    user = User.objects.create_user("nobody")
    with django_assert_max_num_queries(7):
        editing.impact_of(busy_run, user)


# --- who may ----------------------------------------------------------------------------------------------------------


def test_who_may_not_edit_changes_nothing(client: Client, run: IDType) -> None:
    client.force_login(User.objects.create_user("reader"))
    assert client.post(EDIT, posted(owner="Me")).status_code == 403
    assert client.post(ADD, posted(value="new")).status_code == 403
    run.refresh_from_db()
    assert run.owner == "" and IDType.objects.count() == 12


def test_a_form_of_another_site_is_refused(run: IDType) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.create_superuser("ada"))
    assert strict.post(EDIT, posted(owner="Me")).status_code == 403


# --- types without counters, and the admin ----------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("tracked", [True, False])
def test_a_type_without_counters_is_as_fixed_once_an_id_was_issued(registry: Any, tracked: bool) -> None:
    hook = IDType.objects.create(value="web-hook", description="A call.", format="typeid", is_tracked=tracked)
    minting.generate("web-hook")
    assert hook.has_leased
    with pytest.raises(IntegrityError):
        IDType.objects.filter(pk=hook.pk).update(value="hook")
    with pytest.raises(ProtectedError):
        hook.delete()


@pytest.mark.django_db(transaction=True)
def test_the_tallies_of_a_type_without_counters_stay_few(
    registry: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leasing, "FOLDED_EVERY", 5)
    hook = IDType.objects.create(value="web-hook", description="A call.", format="ulid")
    for _ in range(23):
        minting.generate("web-hook")
    assert IDTally.objects.filter(type=hook).count() <= 5
    figures: Any = IDType.objects.with_figures().get(pk=hook.pk)
    assert (figures.issued_total, figures.active_total, figures.next_counter) == (23, 23, 1)


def test_a_type_with_a_registered_id_alone_is_kept(client: Client, run: IDType) -> None:
    IssuedID.objects.create(id="run-of-others", type=run, state="registered")
    assert run.has_leased
    with pytest.raises(IntegrityError), transaction.atomic():
        run.delete()
    client.force_login(User.objects.create_superuser("ada"))
    client.post(
        "/admin/ids/idtype/", {"action": "delete_selected", "_selected_action": [run.pk], "post": "yes"}
    )
    assert IDType.objects.filter(pk=run.pk).exists()


def test_the_admin_waits_for_a_yes_too(client: Client, busy_run: IDType) -> None:
    client.force_login(User.objects.create_superuser("ada"))
    address = f"/admin/ids/idtype/{busy_run.pk}/change/"
    page = client.post(address, posted(status="retired"))
    assert page.status_code == 200
    assert "every such call will be refused" in page.text
    assert client.post(address, posted(status="retired", confirmed="on")).status_code == 302
    busy_run.refresh_from_db()
    assert busy_run.status == "retired"


def test_the_admin_keeps_a_former_format_as_well(client: Client, busy_run: IDType) -> None:
    client.force_login(User.objects.create_superuser("ada"))
    until = str((timezone.now() + timedelta(days=30)).date())
    change = posted(format="typeid", keep_until=until, confirmed="on")
    assert client.post(f"/admin/ids/idtype/{busy_run.pk}/change/", change).status_code == 302
    assert LegacyFormat.objects.get().type == busy_run
