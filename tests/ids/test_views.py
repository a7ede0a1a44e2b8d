"""The pages of the registry: what they show, for how many queries, in which order, and to whom."""

import re
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from ids import leasing, metrics, minting
from ids.metrics import start_of
from ids.models import Grain, IDCounter, IDType, TypeUse

LIST = "/ids/"
FRAGMENT = {"HX-Request": "true", "HX-Target": "idtype-table"}


@pytest.fixture
def reader(client: Client, canonical_types: None) -> Client:
    client.force_login(User.objects.create_user("reader"))
    return client


@pytest.fixture
def some_types(reader: Client) -> Client:
    """Three types: one in use, one deprecated, one retired."""
    IDType.objects.all().delete()
    run = IDType.objects.create(value="run", description="One pass.", owner="Agents")
    IDType.objects.create(value="web-hook", description="A call.", status="deprecated", owner="Platform")
    old = IDType.objects.create(value="batch", description="Was a set of jobs.", status="retired")
    IDCounter.objects.create(
        type=run, next_counter=9000, issued=1234, released=234, last_issued_at="2026-01-03T04:05Z"
    )
    now = timezone.now()
    for moment in (now, now - timedelta(minutes=1)):  # the clock may turn before the page is asked for
        used(run, Grain.MINUTE, moment, 40)
    used(run, Grain.DAY, now, 50)
    used(IDType.objects.get(value="web-hook"), Grain.DAY, now, 51)
    IDCounter.objects.create(
        type=old, next_counter=9, issued=5, released=5, last_issued_at="2025-01-03T04:05Z"
    )
    return reader


def used(
    id_type: IDType, grain: Grain, moment: datetime, count: int, kind: str = "generated", **more: Any
) -> None:
    TypeUse.objects.create(
        type=id_type, grain=grain, starts_at=start_of(grain, moment), kind=kind, count=count, **more
    )


def values(response: Any) -> list[str]:
    found = re.findall(r'href="/ids/([^/"]+)/"', response.text)
    return [value for value in found if value not in {"add", "explore", "legacy"}]


# --- the list ---------------------------------------------------------------------------------------------------------


def test_the_urls() -> None:
    assert reverse("ids:type-list") == LIST
    assert reverse("ids:type-detail", args=["run"]) == "/ids/run/"
    assert IDType(value="run").get_absolute_url() == "/ids/run/"


def test_the_list_shows_every_canonical_type(reader: Client) -> None:
    page = reader.get(LIST)
    assert page.status_code == 200
    assert len(values(page)) == 12
    for id_type in IDType.objects.all():
        assert f'href="/ids/{id_type.value}/"' in page.text
        assert f">{id_type.member}<" in page.text
    assert page.text.startswith("<!doctype html>")


def test_a_row_shows_the_figures(some_types: Client) -> None:
    text = some_types.get(LIST).text
    row = text[text.index('href="/ids/run/"') :].partition("</tr>")[0]
    assert "1,234" in row and "1,000" in row and "Agents" in row and "Active" in row
    assert '<time datetime="2026-01-03T04:05:00+00:00" data-local="relative">' in row
    row = text[text.index('href="/ids/web-hook/"') :].partition("</tr>")[0]
    assert "Deprecated" in row and "never" in row and "WEB_HOOK" in row


def test_the_list_takes_as_many_queries_however_many_types_there_are(
    reader: Client, django_assert_num_queries: Any
) -> None:
    IDType.objects.bulk_create(IDType(value=f"kind{n}", description="x") for n in range(120))
    for address in (LIST, LIST + "?q=kind&status=active&sort=-last&page=2"):
        # session, user, two of permissions, count, types with figures and rates, their last hour, types by status
        with django_assert_num_queries(8):
            reader.get(address)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["batch", "run", "web-hook"]),
        ("?status=active", ["run"]),
        ("?status=deprecated", ["web-hook"]),
        ("?status=retired", ["batch"]),
        ("?q=WEB_HOOK", ["web-hook"]),
        ("?q=platform", ["web-hook"]),
        ("?q=+run+", ["run"]),
        ("?q=a&status=retired", ["batch"]),
        ("?q=run&status=retired", []),
        ("?sort=value", ["batch", "run", "web-hook"]),
        ("?sort=-value", ["web-hook", "run", "batch"]),
        ("?sort=status", ["run", "web-hook", "batch"]),
        ("?sort=-owner", ["web-hook", "run", "batch"]),
        ("?sort=-issued", ["run", "batch", "web-hook"]),
        ("?sort=issued", ["web-hook", "batch", "run"]),
        ("?sort=-active", ["run", "batch", "web-hook"]),
        ("?sort=-last", ["run", "batch", "web-hook"]),
        ("?sort=last", ["batch", "run", "web-hook"]),
        ("?sort=-today", ["web-hook", "run", "batch"]),
        ("?sort=-rate", ["run", "batch", "web-hook"]),
    ],
)
def test_filter_search_and_sort_come_from_the_url(
    some_types: Client, query: str, expected: list[str]
) -> None:
    assert values(some_types.get(LIST + query)) == expected
    assert values(some_types.get(LIST + query, headers=FRAGMENT)) == expected


@pytest.mark.parametrize(
    "query",
    [
        "?status=asleep",
        "?sort=password",
        "?sort=--value",
        "?sort=member",
        "?sort=-",
        "?page=0",
        "?page=-1",
        "?page=99999999999999999999",
        "?page=x",
        "?q=%00",
        "?q=" + "x" * 101,
        "?status=%00&sort=%00&page=%00",
        "?q=%ff&status=%ff",
        "?status=active%0a",
    ],
)
def test_what_is_not_valid_in_the_url_counts_as_not_given(some_types: Client, query: str) -> None:
    page = some_types.get(LIST + query)
    assert page.status_code == 200
    assert page.context["given"] in ({}, {"q": "\ufffd"})


def test_the_search_word_is_kept_and_escaped(some_types: Client) -> None:
    word = '"><script>alert(1)</script>'
    page = some_types.get(LIST, {"q": word})
    assert values(page) == []
    assert "<script>alert" not in page.text
    assert 'value="&quot;&gt;&lt;script&gt;' in page.text
    assert "No ID type matches" in page.text


def test_headings_say_the_order_and_link_to_the_next_one(some_types: Client) -> None:
    text = some_types.get(LIST + "?q=a&sort=-issued").text
    assert text.count("aria-sort=") == 1
    assert 'aria-sort="descending"' in text
    assert 'href="?q=a&amp;sort=issued"' in text  # the other way round
    assert 'href="?q=a"' in text  # by value, which needs no word in the URL
    assert '<input type="hidden" form="idtype-search" name="sort" value="-issued">' in text


def test_each_status_says_how_many_types_of_the_search_it_has(some_types: Client) -> None:
    page = some_types.get(LIST + "?q=a&status=retired&sort=-issued&page=1")
    choices = [(choice.label, choice.count, choice.is_current) for choice in page.context["statuses"]]
    assert choices == [
        ("All", 3, False),
        ("Active", 1, False),
        ("Deprecated", 1, False),
        ("Retired", 1, True),
    ]
    assert 'href="?q=a&amp;status=active&amp;sort=-issued"' in page.text
    assert 'href="?q=a&amp;sort=-issued"' in page.text


def test_many_types_are_paged_and_keep_the_choice(reader: Client) -> None:
    IDType.objects.bulk_create(IDType(value=f"kind{n:03}", description="x") for n in range(60))
    first = reader.get(LIST + "?q=kind&sort=-value")
    assert len(values(first)) == 50
    assert "1–50 of 60" in first.text and 'href="?q=kind&amp;sort=-value&amp;page=2"' in first.text
    last = reader.get(LIST + "?q=kind&sort=-value&page=2")
    assert len(values(last)) == 10 and 'href="?q=kind&amp;sort=-value"' in last.text


def test_a_fragment_is_the_table_alone_and_puts_the_clean_address_into_the_bar(some_types: Client) -> None:
    answer = some_types.get(LIST + "?q=&status=active&sort=&page=1", headers=FRAGMENT)
    assert answer.text.lstrip().startswith('<div id="idtype-table">')
    assert "<html" not in answer.text
    assert answer["HX-Push-Url"] == "/ids/?status=active"
    assert {"HX-Request", "HX-Target"} <= {name.strip() for name in answer["Vary"].split(",")}
    whole = some_types.get(answer["HX-Push-Url"])
    assert values(whole) == values(answer)


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}, {"HX-Request": "true", "HX-Target": "main"}])
def test_any_other_request_gets_the_whole_page(some_types: Client, headers: dict[str, str]) -> None:
    page = some_types.get(LIST, headers=headers)
    assert page.text.startswith("<!doctype html>")
    assert "HX-Push-Url" not in page


def test_an_empty_registry_says_what_it_is_for(reader: Client) -> None:
    IDType.objects.all().delete()
    page = reader.get(LIST)
    assert "The registry is empty" in page.text and "Add a type" not in page.text


# --- one type ---------------------------------------------------------------------------------------------------------


def test_a_type_page_shows_figures_ids_and_history_in_a_bounded_number_of_queries(
    registry: type[IDType], client: Client, django_assert_num_queries: Any
) -> None:
    client.force_login(User.objects.create_user("reader"))
    issued = [minting.generate("run", context={"turn": turn}) for turn in range(25)]
    run = registry.objects.get(value="run")
    run.owner = "Agents <b>"
    run.save()
    # session, user, two of permissions, type with figures and rates, the chart, latest IDs, legacy formats, history,
    # the pace, who issues, one for its use in code, two of the counters' health
    with django_assert_num_queries(14):
        page = client.get("/ids/run/")
    assert page.status_code == 200
    assert all(identifier in page.text for identifier in issued[15:])
    assert not any(identifier in page.text for identifier in issued[:15])
    assert "The latest 10 of 25" in page.text
    assert "{&quot;turn&quot;: 24}" in page.text
    assert "Agents &lt;b&gt;" in page.text and "<b>" not in page.text
    assert "Seeded: one of the canonical ID types." in page.text
    assert "<code>[prefix_]run_counter_hex8</code>" in page.text


def test_a_counter_that_is_behind_is_the_first_thing_on_its_page(
    registry: type[IDType], client: Client
) -> None:
    client.force_login(User.objects.create_user("reader"))
    minting.generate("run")
    assert "No IDs of this type are issued" not in client.get("/ids/run/").text
    IDCounter.objects.filter(type__value="run").update(next_counter=1)
    page = client.get("/ids/run/").text
    assert "No IDs of this type are issued" in page and "repair_counters" in page
    assert "No IDs of this type are issued" not in client.get("/ids/user/").text


def test_a_long_context_is_cut(registry: type[IDType], client: Client) -> None:
    client.force_login(User.objects.create_user("reader"))
    minting.generate("run", context={"text": "x" * 10_000})
    page = client.get("/ids/run/")
    assert "x" * 100 in page.text and "x" * 130 not in page.text and "…" in page.text


def test_a_type_that_never_issued_says_so(reader: Client) -> None:
    page = reader.get("/ids/run/")
    assert "No ID was issued yet" in page.text and "never" in page.text


@pytest.mark.parametrize(("status", "words"), [("deprecated", "is deprecated"), ("retired", "is retired")])
def test_a_type_that_should_not_be_used_says_so(reader: Client, status: str, words: str) -> None:
    assert words not in reader.get("/ids/run/").text
    IDType.objects.filter(value="run").update(status=status)
    assert words in reader.get("/ids/run/").text


@pytest.mark.parametrize("value", ["nothing", "RUN", "run\x00", "run\n", "r%n", "\u0661", "x" * 500])
def test_an_unknown_type_is_not_found(reader: Client, value: str) -> None:
    assert reader.get(f"/ids/{quote(value)}/").status_code == 404


# --- live -------------------------------------------------------------------------------------------------------------


def test_the_rows_are_asked_for_again_without_touching_the_address(some_types: Client) -> None:
    page = some_types.get(LIST + "?sort=-issued&status=active")
    assert 'id="idtype-rows" hx-get="?status=active&amp;sort=-issued"' in page.text
    rows = some_types.get(
        LIST + "?sort=-issued&status=active", headers={"HX-Request": "true", "HX-Target": "idtype-rows"}
    )
    assert rows.text.lstrip().startswith('<tbody id="idtype-rows"') and values(rows) == ["run"]
    assert "HX-Push-Url" not in rows


def test_the_list_shows_what_each_type_does_now(some_types: Client) -> None:
    text = some_types.get(LIST).text
    row = text[text.index('href="/ids/run/"') :].partition("</tr>")[0]
    assert 'class="spark"' in row and "Issued in the last hour: 80, at most 40 a minute" in row
    assert '<td class="num" data-label="Today">50</td>' in row
    assert re.search(r'class="rate" title="In the last 60 seconds">[4-8]\d<', row)


def test_the_live_part_of_a_type_is_a_fragment_of_its_page(
    registry: type[IDType], client: Client, django_assert_num_queries: Any
) -> None:
    client.force_login(User.objects.create_user("reader"))
    issued = minting.generate("run")
    metrics.flush()
    address = "/ids/run/?per=hour"
    whole = client.get(address).text
    assert 'hx-get="?per=hour"' in whole and issued in whole
    with django_assert_num_queries(5):  # session, user, type with figures and rates, the chart, latest IDs
        part = client.get(address, headers={"HX-Request": "true", "HX-Target": "type-live"}).text
    assert part.lstrip().startswith('<div id="type-live"') and "<html" not in part
    assert issued in part and "Use per hour" in part and "Generated <strong>1</strong>" in part
    for text in (whole, part):
        assert f'<dd id="figure-next">{leasing.FIRST_BLOCK + 1}</dd>' in text
    registry.objects.filter(value="run").update(format="uuid4")
    assert "Next counters" not in client.get(address).text


def test_a_type_says_what_was_rejected_and_how_long_generating_took(reader: Client) -> None:
    run = IDType.objects.get(value="run")
    now = timezone.now()
    buckets = [0, 0, 0, 100, *[0] * 11]
    used(run, Grain.HOUR, now, 100, seconds=0.04, buckets=buckets)
    used(run, Grain.HOUR, now, 7, "rejected", reason="invalid-prefix")
    text = reader.get("/ids/run/?per=hour").text
    assert "<dt>p50</dt><dd>0.375 ms</dd>" in text and "<dt>p99</dt><dd>0.497 ms</dd>" in text
    assert "<code>invalid-prefix</code></dt><dd>7</dd>" in text
    assert '<title id="chart-title">Use of run per hour</title>' in text
    assert "Generated: 100 in all. Rejected: 7 in all." in text
    # the table behind the chart
    table = text[text.index("numbers as a table") :].partition("</table>")[0]
    assert table.count("<tr>") == 2 and 'data-label="Rejected">7<' in table


@pytest.mark.parametrize("per", ["", "year", "%00", "60"])
def test_another_step_than_there_is_counts_as_not_given(reader: Client, per: str) -> None:
    assert "in the last 60 minutes" in reader.get(f"/ids/run/?per={per}").text


@pytest.mark.parametrize(
    ("id_format", "words"),
    [
        ("structured", ["<strong>No.</strong>", "one chance in 4.3 billion"]),
        ("uuid4", ["122 random bits: 1 % is reached after 3.3 × 10^17 IDs", "Pace: 1.0 a day"]),
        ("ulid", ["80 random bits behind the millisecond", "Not in practice"]),
    ],
)
def test_a_type_says_whether_two_of_its_ids_can_be_the_same(
    reader: Client, id_format: str, words: list[str]
) -> None:
    IDType.objects.filter(value="run").update(format=id_format)
    run = IDType.objects.get(value="run")
    used(run, Grain.DAY, timezone.now() - timedelta(days=20), 20)
    text = reader.get("/ids/run/").text
    assert all(word in text for word in words)


@pytest.mark.parametrize("id_format", ["uuid4", "ulid"])
def test_a_types_first_day_is_no_pace_to_forecast_from(reader: Client, id_format: str) -> None:
    IDType.objects.filter(value="run").update(format=id_format)
    # the day may turn before the page is asked for
    used(IDType.objects.get(value="run"), Grain.DAY, timezone.now() + timedelta(minutes=5), 1_421)
    text = reader.get("/ids/run/").text
    assert "too short for a pace to reckon with" in text and "Pace:" not in text
    assert "Issued so far: 1,421, all of them today." in text


# --- who may ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", [LIST, "/ids/run/"])
def test_nobody_sees_a_page_without_signing_in(client: Client, canonical_types: None, address: str) -> None:
    answer = client.get(address)
    assert answer.status_code == 302
    assert answer["Location"] == f"/login/?next={address}"
    fragment = client.get(address, headers=FRAGMENT)
    assert "idtype-table" not in fragment.text and fragment.status_code in {302, 401}


@pytest.mark.parametrize("address", [LIST, "/ids/run/"])
@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_the_pages_are_read_only(reader: Client, address: str, method: str) -> None:
    assert getattr(reader, method)(address).status_code == 405


def sign_in(client: Client, *, staff: bool, permissions: tuple[str, ...] = ()) -> None:
    user = User.objects.create_user("somebody", is_staff=staff)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client.force_login(user)


@pytest.mark.parametrize(
    ("permissions", "edits", "adds"),
    [
        ((), False, False),
        (("view_idtype",), False, False),
        (("change_idtype",), True, False),
        (("add_idtype",), False, True),
    ],
)
def test_links_to_the_forms_are_for_those_who_may_use_them(
    client: Client, canonical_types: None, permissions: tuple[str, ...], edits: bool, adds: bool
) -> None:
    sign_in(client, staff=False, permissions=permissions)
    assert ("/ids/run/edit/" in client.get("/ids/run/").text) is edits
    assert ("/ids/add/" in client.get(LIST).text) is adds
    assert client.get("/ids/run/edit/").status_code == (200 if edits else 403)
    assert client.get("/ids/add/").status_code == (200 if adds else 403)
