"""Notices: what is told to whom, once, and what becomes of a receiver that doesn't answer."""

import hashlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.test import Client
from django.utils import timezone

from audits import auditing, notifying, outbound, working
from audits.models import Audit, Channel, Delivery, Issue, Notice, NoticeEvent, Repository
from audits.outbound import OutboundError
from audits.verdicts import State as IssueState
from tests.audits.conftest import AddRepository, Drifting

pytestmark = pytest.mark.django_db
ALL = list(NoticeEvent.values)


@dataclass
class Receiver:
    """A web server that remembers what it was sent and answers as it is told."""

    port: int = 0
    status: int = 200
    location: str = ""
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/secret-path?a=1"


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.got.append((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(found.status)
            if found.location:
                self.send_header("Location", found.location)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    found.port = server.server_port
    settings.SSOT_WEBHOOK_HOSTS = [f"127.0.0.1:{found.port}"]
    settings.SSOT_BASE_URL = "https://ssot.example.org"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield found
    server.shutdown()
    server.server_close()


@pytest.fixture
def boss() -> User:
    return User.objects.create_superuser("boss")


@pytest.fixture
def repository(drifting: Drifting, add_repository: AddRepository) -> Repository:
    return add_repository(drifting.path, branch="main")


def channel_to(receiver: Receiver, repository: Repository | None, user: User, **fields: Any) -> Channel:
    values = {"kind": "webhook", "target": receiver.url, "events": ALL, "minutes": 5, **fields}
    return notifying.add_channel(repository, user, **values)


def happen(
    repository: Repository, key: str, event: NoticeEvent = NoticeEvent.BACK, title: str = "It"
) -> None:
    Notice.objects.create(repository=repository, event=event, key=key, title=title, path="/issues/1/")


def deliver() -> list[Delivery]:
    """One beat: gather, then try what is due."""
    notifying.gather()
    for key in notifying.to_send():
        notifying.send(key)
    return list(Delivery.objects.order_by("made_at"))


def hurry() -> None:
    """As if what waits had waited long enough."""
    past = timezone.now() - timedelta(seconds=1)
    Delivery.objects.filter(state="pending").update(next_try_at=past)
    Channel.objects.update(next_at=past)


# --- Deliveries ---


def test_a_signed_delivery_can_be_checked_by_its_receiver(
    repository: Repository, receiver: Receiver, boss: User
) -> None:
    channel = channel_to(receiver, repository, boss)
    happen(repository, "one")
    (delivery,) = deliver()
    assert delivery.state == "sent"
    ((headers, body),) = receiver.got
    signed = f"{headers['X-SSOT-Timestamp']}.".encode() + body
    expected = hmac.new(notifying.secret_of(channel).encode(), signed, hashlib.sha256).hexdigest()
    assert headers["X-SSOT-Signature"] == f"sha256={expected}"
    told = json.loads(body)
    assert told["id"] == headers["X-SSOT-Id"] == str(delivery.pk)
    (notice,) = told["notices"]
    assert (notice["event"], notice["url"]) == ("back", "https://ssot.example.org/issues/1/")


def test_notices_that_come_together_go_together_and_none_twice(
    repository: Repository, receiver: Receiver, boss: User
) -> None:
    channel_to(receiver, repository, boss)
    for number in range(60):
        happen(repository, f"n{number}")
    deliver()
    happen(repository, "later")
    deliver()
    assert len(receiver.got) == 1
    told = json.loads(receiver.got[0][1])
    assert (len(told["notices"]), told["more"]) == (50, 10)
    hurry()
    deliver()
    deliver()
    assert [len(json.loads(body)["notices"]) for _, body in receiver.got] == [50, 1]


def test_a_channel_hears_what_it_asked_for_of_its_repository_since_it_was_made(
    repository: Repository, receiver: Receiver, boss: User, add_repository: AddRepository, drifting: Drifting
) -> None:
    other = add_repository(drifting.path)
    happen(repository, "before")
    channel_to(receiver, repository, boss, events=["back"])
    happen(repository, "verified", NoticeEvent.VERIFIED)
    happen(other, "other")
    assert deliver() == []
    happen(repository, "wanted")
    deliver()
    assert [n["title"] for n in json.loads(receiver.got[0][1])["notices"]] == ["It"]


def test_private_repositories_are_told_of_in_their_own_channels_only(
    repository: Repository, receiver: Receiver, boss: User
) -> None:
    Repository.objects.update(is_private=True)
    channel_to(receiver, None, boss)
    own = channel_to(receiver, repository, boss)
    happen(repository, "one")
    assert [delivery.channel_id for delivery in deliver()] == [own.pk]


def test_a_receiver_that_fails_five_times_gets_it_once_with_the_same_id(
    repository: Repository, receiver: Receiver, boss: User
) -> None:
    channel_to(receiver, repository, boss)
    happen(repository, "one")
    receiver.status = 500
    for _ in range(5):
        (delivery,) = deliver()
        assert (delivery.state, "answered 500" in delivery.last_error) == ("pending", True)
        hurry()
    receiver.status = 200
    (delivery,) = deliver()
    assert (delivery.state, delivery.attempts, delivery.last_error) == ("sent", 6, "")
    assert len({headers["X-SSOT-Id"] for headers, _ in receiver.got}) == 1
    hurry()
    deliver()
    assert len(receiver.got) == 6


def test_each_try_waits_longer_and_the_eighth_is_the_last_until_somebody_asks(
    repository: Repository, receiver: Receiver, boss: User, client: Client
) -> None:
    channel_to(receiver, repository, boss)
    happen(repository, "one")
    receiver.status = 503
    waits = []
    for _ in range(8):
        (delivery,) = deliver()
        waits.append(delivery.next_try_at)
        hurry()
    assert (delivery.state, waits[-1], len(receiver.got)) == ("dead", None, 8)
    minutes = [round((at - timezone.now()).total_seconds() / 60) for at in waits[:-1] if at is not None]
    assert minutes == [2, 4, 8, 16, 32, 64, 128]
    receiver.status = 200
    client.force_login(boss)
    page = client.get(f"/repositories/{repository.slug}/connections/").content.decode()
    assert "Given up" in page and "secret-path" not in page
    client.post(f"/deliveries/{delivery.pk}/replay/")
    (delivery,) = deliver()
    assert delivery.state == "sent"


def test_a_delivery_whose_sender_dies_again_and_again_is_given_up(
    repository: Repository, receiver: Receiver, boss: User
) -> None:
    channel_to(receiver, repository, boss)
    happen(repository, "one")
    notifying.gather()
    Delivery.objects.update(attempts=notifying.MAX_ATTEMPTS)
    (delivery,) = deliver()
    assert (delivery.state, receiver.got) == ("dead", [])


def test_what_is_being_sent_is_not_handed_out_again(
    repository: Repository, receiver: Receiver, boss: User
) -> None:
    channel_to(receiver, repository, boss)
    happen(repository, "one")
    notifying.gather()
    assert len(notifying.to_send()) == 1
    assert notifying.to_send() == []


def test_slack_gets_text_whose_characters_mean_nothing(
    repository: Repository, receiver: Receiver, boss: User
) -> None:
    channel_to(receiver, repository, boss, kind="slack")
    happen(repository, "one", title="<!channel> a|b & c")
    deliver()
    text = json.loads(receiver.got[0][1])["text"]
    assert text == "*<https://ssot.example.org/issues/1/|&lt;!channel&gt; a¦b &amp; c>*"


def test_mail_is_sent_where_the_site_has_a_server(repository: Repository, boss: User, settings: Any) -> None:
    values = {"kind": "mail", "target": "team@example.org", "events": ALL, "minutes": 5}
    settings.EMAIL_HOST = ""
    with pytest.raises(OutboundError, match="EMAIL_HOST"):
        notifying.add_channel(repository, boss, **values)
    settings.EMAIL_HOST = "mail.example.org"
    notifying.add_channel(repository, boss, **values)
    happen(repository, "one", title="It came back\nBcc: x@example.org")
    happen(repository, "two")
    deliver()
    (message,) = mail.outbox
    assert message.to == ["team@example.org"]
    assert message.subject == "It came back Bcc: x@example.org, and 1 more"
    assert "/issues/1/" in message.body


# --- Where it may go ---


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/hook",
        "https://[::1]/hook",
        "https://10.0.0.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://localhost/",
        "https://[::ffff:127.0.0.1]/",
        "https://0.0.0.0/",
    ],
)
def test_internal_addresses_are_not_talked_to(url: str) -> None:
    with pytest.raises(OutboundError, match="internal address"):
        outbound.post(url, b"", {})


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/",
        "ftp://example.org/",
        "https://u:p@example.org/",
        "x",
        "https://",
        "https://a b/",
    ],
)
def test_other_urls_are_refused_in_words(url: str) -> None:
    with pytest.raises(OutboundError):
        outbound.check_url(url)


def test_a_name_that_changes_its_address_leads_nowhere_else(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([[(2, 1, 6, "", ("93.184.215.14", 443))], [(2, 1, 6, "", ("127.0.0.1", receiver.port))]])
    asked: list[str] = []
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: next(answers))

    def connect(address: tuple[str, int], *_: object) -> None:
        asked.append(address[0])
        raise OSError("nobody there")

    monkeypatch.setattr("socket.create_connection", connect)
    with pytest.raises(OutboundError, match="nobody there"):
        outbound.post("https://rebinding.example.org/", b"", {})
    assert asked == ["93.184.215.14"]


def test_redirects_are_not_followed(receiver: Receiver) -> None:
    receiver.status, receiver.location = 302, "http://169.254.169.254/"
    with pytest.raises(OutboundError, match="redirects"):
        outbound.post(receiver.url, b"x", {}, frozenset({f"127.0.0.1:{receiver.port}"}))


@contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """The address of a server that reads a request and answers one connection as it likes, until that has ended."""

    def serve() -> None:
        with server.accept()[0] as connection:
            connection.recv(65_536)
            with suppress(OSError):
                answer(connection)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        thread.join(300)
        assert not thread.is_alive(), "the connection was not closed"


def send_a_gigabyte(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")
    for _ in range(1024):
        connection.sendall(bytes(1024**2))
    pytest.fail("all of it was taken")


def drip(head: bytes) -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(b"x")
            time.sleep(0.05)

    return answer


def test_of_a_gigabyte_that_a_receiver_answers_next_to_nothing_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outbound, "SECONDS", 60)
    with answering(send_a_gigabyte) as host:
        outbound.post(f"http://{host}/", b"x", {}, frozenset({host}))


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 O", b"HTTP/1.1 200 OK\r\nX-Y: "])
def test_a_receiver_that_answers_a_byte_at_a_time_is_given_up(
    head: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbound, "SECONDS", 0.5)
    with answering(drip(head)) as host, pytest.raises(OutboundError, match="no answer within"):
        outbound.post(f"http://{host}/", b"x", {}, frozenset({host}))


def test_a_receiver_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "SECONDS", 0.5)
    with (
        answering(lambda connection: [*iter(lambda: connection.recv(1), b"")].clear()) as host,
        pytest.raises(OutboundError, match="could not be talked to"),
    ):
        outbound.post(f"http://{host}/", b"x", {}, frozenset({host}))


@pytest.mark.parametrize("answer", [b"X-Y: 1\r\n", b"x" * 1_000])
def test_headers_without_end_are_refused(answer: bytes) -> None:
    def send(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            connection.sendall(answer * 100)

    with answering(send) as host, pytest.raises(OutboundError, match="could not be talked to"):
        outbound.post(f"http://{host}/", b"x", {}, frozenset({host}))


# --- What is told ---


def ended(repository: Repository, state: str, **fields: Any) -> Audit:
    return Audit.objects.create(repository=repository, state=state, finished_at=timezone.now(), **fields)


def titles() -> list[str]:
    notifying.announce_audits()
    notifying.announce_audits()
    return [notice.title for notice in Notice.objects.all()]


@pytest.mark.django_db(transaction=True)
def test_new_severe_violations_are_told_but_not_those_of_the_first_audit(
    repository: Repository, drifting: Drifting
) -> None:
    for commit, expected in [(drifting.first, 0), (drifting.second, 1), (drifting.third, 1)]:
        audit, _ = auditing.request(repository, commit)
        working.run(audit.pk)
        assert len(titles()) == expected
    notice = Notice.objects.get()
    assert notice.title == f"{repository.name}: 2 new severe violations at {drifting.second[:9]}"
    assert "app.ids.IDType.THREAD in app/runs.py:9" in notice.text


def test_failing_audits_are_told_once_when_they_have_become_three(repository: Repository) -> None:
    ended(repository, "succeeded", commit_sha="a" * 40)
    for expected in (0, 0, 1, 1, 1):
        ended(repository, "failed", error_message="No such branch.")
        assert len(titles()) == expected
    assert Notice.objects.get().text == "No such branch."
    ended(repository, "succeeded", commit_sha="b" * 40)
    for _ in range(3):
        ended(repository, "failed")
        titles()
    assert Notice.objects.count() == 2


def test_an_issue_tells_what_a_judgement_changed(repository: Repository) -> None:
    issue = Issue.objects.create(repository=repository, title="SSOT-x", state="open", contradictions=1)
    notifying.issue_judged(issue, IssueState.OPEN, 1)
    assert not Notice.objects.exists()
    notifying.issue_judged(issue, IssueState.OPEN, 3)
    notifying.issue_judged(issue, IssueState.VERIFIED, 0)
    notifying.issue_judged(issue, IssueState.BACK, 0)
    assert [notice.title for notice in Notice.objects.all()] == [
        "SSOT-x: 3 contradictions",
        "SSOT-x is verified",
        "SSOT-x came back",
    ]


# --- The page ---


def test_channels_are_made_tested_switched_and_removed_by_who_may(
    repository: Repository, receiver: Receiver, boss: User, client: Client
) -> None:
    page = f"/repositories/{repository.slug}/connections/"
    values = {"kind": "webhook", "target": receiver.url, "events": ["back"], "minutes": "5"}
    client.force_login(User.objects.create_user("viewer"))
    assert client.post(f"{page}channels/", values).status_code == 403
    client.force_login(boss)
    bad = client.post(f"{page}channels/", values | {"target": "https://", "events": []})
    assert bad.status_code == 422
    assert client.post(f"{page}channels/", values).status_code == 302
    channel = Channel.objects.get()
    assert receiver.url not in client.get(page).content.decode()
    change = f"/channels/{channel.pk}/"
    client.post(change, {"do": "test"})
    assert len(receiver.got) == 1
    client.post(change, {"do": "off"})
    happen(repository, "one")
    assert deliver() == []
    stranger = Client()
    stranger.force_login(User.objects.create_user("stranger"))
    assert stranger.post(change, {"do": "remove"}).status_code == 403
    client.post(change, {"do": "remove"})
    assert not Channel.objects.exists()
