"""Accepting a violation, taking that back, the page of waivers, and counts that tell waived violations apart."""

import re
from datetime import date, timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from audits import waiving
from audits.engine.policy import parse_policy
from audits.models import Issue, Violation, Waiver
from audits.models.waiver import today
from audits.remediation import Subject, create
from audits.views.badges import draw_badge
from tests.audits.story import Story
from tests.audits.views.conftest import SignIn

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


@pytest.fixture
def violation(story: Story) -> Violation:
    """One of those that are open at the last commit."""
    return story.violation(subject="app.ids.IDType.THREADS")


def form(day: date | None = None, **changed: str) -> dict[str, str]:
    day = day or today() + 30 * DAY
    values = {"kind": "risk", "covers": "place", "reason": "until the port", "expires_on": day.isoformat()}
    return values | changed


def plain(client: Client, path: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", client.get(path).content.decode()).split())


def test_who_may_accept_does_and_the_page_says_so(sign_in: SignIn, violation: Violation) -> None:
    client = sign_in("add_waiver")
    assert 'id="accept"' in client.get(violation.get_absolute_url()).content.decode()
    answer = client.post(f"/violations/{violation.pk}/accept/", form())
    assert answer.status_code == 302 and answer.headers["Location"] == violation.get_absolute_url()
    page = plain(client, violation.get_absolute_url())
    assert "Accepted risk until" in page and "until the port" in page
    assert " Open " not in page.partition("Accepted risk until")[2].partition("The place")[0]


def test_who_may_not_accept_is_refused(viewer: Client, violation: Violation) -> None:
    assert viewer.get(f"/violations/{violation.pk}/accept/").status_code == 403
    assert viewer.post(f"/violations/{violation.pk}/accept/", form()).status_code == 403
    assert 'id="accept"' not in viewer.get(violation.get_absolute_url()).content.decode()
    assert not Waiver.objects.exists()


def test_the_right_to_take_back_is_another_one(sign_in: SignIn, boss: Client, violation: Violation) -> None:
    boss.post(f"/violations/{violation.pk}/accept/", form())
    waiver = Waiver.objects.get()
    assert sign_in("add_waiver").post(f"/waivers/{waiver.pk}/end/").status_code == 403
    assert Waiver.objects.live().exists()
    answer = sign_in("change_waiver").post(f"/waivers/{waiver.pk}/end/")
    assert answer.headers["Location"] == "/repositories/story/waivers/"
    violation.refresh_from_db()
    assert violation.counts and not Waiver.objects.live().exists()


@pytest.mark.parametrize("method", ["get", "post"])
def test_what_does_not_exist_is_not_found(boss: Client, method: str) -> None:
    assert getattr(boss, method)("/violations/99999999/accept/").status_code == 404
    assert boss.post("/waivers/99999999/end/").status_code == 404
    assert boss.get("/repositories/none/waivers/").status_code == 404


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"kind": ""}, "Choose one of the two"),
        ({"kind": "policy"}, "Nothing was accepted"),
        ({"covers": "everything"}, "Nothing was accepted"),
        ({"reason": " "}, "Say why"),
        ({"reason": "x" * 2_001}, "at most 2000 characters"),
        ({"reason": "a\0b"}, "Null characters"),
        ({"expires_on": ""}, "Choose a day"),
        ({"expires_on": "tomorrow"}, "Enter a valid date"),
    ],
)
def test_bad_input_accepts_nothing_and_says_why(
    boss: Client, violation: Violation, changed: dict[str, str], words: str
) -> None:
    answer = boss.post(f"/violations/{violation.pk}/accept/", form(**changed))
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert not Waiver.objects.exists()


@pytest.mark.parametrize(("days", "words"), [(-1, "This day has passed"), (367, "more than a year")])
def test_a_day_that_has_passed_or_is_too_far_accepts_nothing(
    boss: Client, violation: Violation, days: int, words: str
) -> None:
    answer = boss.post(f"/violations/{violation.pk}/accept/", form(today() + days * DAY))
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert not Waiver.objects.exists()


def test_a_year_can_be_had(boss: Client, violation: Violation) -> None:
    assert boss.post(f"/violations/{violation.pk}/accept/", form(today() + 366 * DAY)).status_code == 302


def test_what_is_gone_cannot_be_accepted(boss: Client, story: Story) -> None:
    gone = story.violation(path="app/late.py")
    assert not gone.is_open
    assert "there is nothing to accept" in plain(boss, f"/violations/{gone.pk}/accept/")
    boss.post(f"/violations/{gone.pk}/accept/", form())
    assert not Waiver.objects.exists()


def test_accepting_has_the_issues_judged_anew(boss: Client, story: Story, violation: Violation) -> None:
    issue = create(
        story.repository,
        title="x",
        kind="custom",
        priority=1,
        subjects=[Subject(violation.rule, violation.subject)],
    )
    Issue.objects.update(stale_since=None)
    boss.post(f"/violations/{violation.pk}/accept/", form())
    issue.refresh_from_db()
    assert issue.stale_since is not None


def test_every_page_counts_waived_violations_apart(boss: Client, story: Story, violation: Violation) -> None:
    before = story.repository.violations.counting().count()
    prod = story.repository.violations.counting().filter(zone="prod").count()
    boss.post(f"/violations/{violation.pk}/accept/", form())
    overview = boss.get("/").content.decode()
    assert f'?zone=prod">{prod - 1}</a>' in overview and ">1 waived</a>" in overview
    assert "1 violation stands in the code and is waived, not counted here" in plain(boss, story.url).replace(
        " ,", ","
    )
    badge = draw_badge(story.repository, "open")
    assert (f"{prod - 1} violation" if prod > 1 else "no violation") in badge
    listed = boss.get(f"{story.url}violations/")
    assert f"{before - 1} open place" in plain(boss, f"{story.url}violations/")
    assert "?state=waived" in listed.content.decode()
    waived = plain(boss, f"{story.url}violations/?state=waived&view=places")
    assert "1 waived place" in waived and "THREADS" in waived
    assert "waived until" in plain(boss, f"{story.url}violations/?state=all&view=places")

    Waiver.objects.update(expires_on=today() - DAY)
    Violation.objects.filter(pk=violation.pk).update(waived_until=today() - DAY)
    assert f"{before} open place" in plain(boss, f"{story.url}violations/")
    assert "1 waiver expired or grown" in plain(boss, story.url)
    assert "1 waiver expired or grown" in plain(boss, "/")
    assert "expired on" in plain(boss, violation.get_absolute_url())


def test_each_place_of_an_accepted_subject_tells_how_it_has_grown(boss: Client, violation: Violation) -> None:
    boss.post(f"/violations/{violation.pk}/accept/", form(covers="subject"))
    waiver = Waiver.objects.get()
    words = f"It covered {waiver.granted} place{'' if waiver.granted == 1 else 's'} when it was granted"
    page = plain(boss, violation.get_absolute_url())
    assert f"{words}, {waiver.covered} now." in page and "+2" not in page
    Waiver.objects.update(covered=waiver.covered + 2)
    assert f"{words}, {waiver.covered + 2} now. +2" in plain(boss, violation.get_absolute_url())


def test_the_page_of_waivers_shows_grant_and_now_the_day_and_who(
    boss: Client, story: Story, violation: Violation
) -> None:
    boss.post(f"/violations/{violation.pk}/accept/", form(kind="false-positive", covers="subject"))
    text = (
        'version = 1\n[[waiver]]\nrule = "unresolved-import"\npath = "app/**"\nreason = "<b>old</b>"\n'
        f'owner = "app team"\nexpires = {(today() - DAY).isoformat()}\ncount = 7\n'
    )
    waiving.take_over(story.repository.pk, parse_policy(text))
    page = boss.get(f"{story.url}waivers/").content.decode()
    assert "<b>old</b>" not in page and "&lt;b&gt;old&lt;/b&gt;" in page
    said = plain(boss, f"{story.url}waivers/")
    assert "2 waivers" in said and "1 waiver to act on" in said
    assert "In the policy, line 2" in said and "app team" in said and "expired" in said
    assert "False positive" in said and "the whole subject" in said and "boss" in said
    assert "1 waiver to act on" in plain(boss, f"{story.url}waivers/?state=wanting")
    mine = Waiver.objects.exclude(kind="policy").get()
    boss.post(f"/waivers/{mine.pk}/end/")
    assert "1 waiver that ended" in plain(boss, f"{story.url}waivers/?state=ended")
    policy = Waiver.objects.live().get()
    boss.post(f"/waivers/{policy.pk}/end/")
    assert Waiver.objects.live().get() == policy, "it is ended in the policy"


def test_a_page_without_waivers_says_what_they_are(viewer: Client, story: Story) -> None:
    assert "Every violation counts" in plain(viewer, f"{story.url}waivers/")
    assert "None ended yet" in plain(viewer, f"{story.url}waivers/?state=ended&page=x")


def test_saving_a_policy_takes_its_waivers_over(boss: Client, story: Story) -> None:
    text = (
        'version = 1\n[[waiver]]\nrule = "missing-member"\npath = "**"\nreason = "x"\nowner = "y"\n'
        f"expires = {(today() + DAY).isoformat()}\n"
    )
    values = {"source": "site", "text": text, "reason": "A while", "based_on": "1"}
    assert boss.post(f"{story.url}policy/", values).status_code == 302
    assert not story.repository.violations.counting().filter(rule="missing-member").exists()
    assert Waiver.objects.get().kind == Waiver.Kind.POLICY


def test_the_page_of_waivers_needs_the_same_queries_for_many(
    boss: Client, story: Story, violation: Violation, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    user = User.objects.get(username="boss")
    for number in range(5):
        waiving.accept(
            violation,
            kind="risk",
            reason="x",
            expires_on=today() + number * DAY,
            user=user,
            whole_subject=number == 4,
        )
    # session, user, repository, three counts, the page's own count, its rows, their violations
    with django_assert_num_queries(9):
        boss.get(f"{story.url}waivers/")


def test_a_private_repository_keeps_its_waivers_to_its_members(
    sign_in: SignIn, boss: Client, story: Story, violation: Violation
) -> None:
    boss.post(f"/violations/{violation.pk}/accept/", form())
    story.repository.is_private = True
    story.repository.save()
    outsider = sign_in("add_waiver", "change_waiver")
    assert outsider.get(f"{story.url}waivers/").status_code == 404
    assert outsider.post(f"/violations/{violation.pk}/accept/", form()).status_code == 404
    assert outsider.post(f"/waivers/{Waiver.objects.get().pk}/end/").status_code == 404
    assert Waiver.objects.live().count() == 1
