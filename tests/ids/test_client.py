"""The client: leased ahead, reported in batches, through outages, threads and forks."""

import os
import signal
import threading
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections

from ids import formats, lookups, validation
from ids.client import Block, Client, ClientError, HttpSource, Refused, Report, Unavailable, random_parts
from ids.models import IDType, IssuedID
from ssot_dash import tokens
from ssot_dash.embedded import processes, programs, sockets
from ssot_dash.embedded.supervisor import Program
from tests.ports import free_port


class Blocks:
    """A source in memory that can be away."""

    def __init__(self) -> None:
        self.next, self.away = 1, False
        self.leased: dict[str, Block] = {}
        self.used: dict[str, int] = {}
        self.details: list[Any] = []
        self._lock = threading.Lock()

    def lease(self, type_value: str, size: int) -> Block:
        if self.away:
            raise Unavailable("away")
        with self._lock:
            block = Block(f"lease-{self.next}", type_value, self.next, size, os.urandom(16))
            self.next += size
            self.leased[block.lease] = block
        return block

    def report(self, reports: Sequence[Report]) -> None:
        if self.away:
            raise Unavailable("away")
        for report in reports:
            self.used[report.lease] = max(report.used, self.used.get(report.lease, 0))
            self.details += report.details


@pytest.fixture
def blocks() -> Blocks:
    return Blocks()


def counter(text: str) -> int:
    return formats.parse(text).counter  # type: ignore[union-attr]


def test_ids_come_in_order_with_the_random_parts_of_their_block(blocks: Blocks) -> None:
    client = Client(source=blocks, first_block=1_000)
    texts = [client.generate("run") for _ in range(700)] + client.generate_many("run", 700)
    assert [counter(text) for text in texts] == list(range(1, 1_401))
    block = blocks.leased["lease-1"]
    assert texts[41].endswith(random_parts(block.seed, 1_000)[8 * 41 : 8 * 42])
    client.close()
    assert sum(blocks.used.values()) == 1_400
    with pytest.raises(ClientError, match="closed"):
        client.generate("run")


def test_what_is_kept_with_an_id_is_told_with_it(blocks: Blocks) -> None:
    client = Client(source=blocks)
    texts = [client.generate("run", prefix="eu", context={"n": n}, owner="ada") for n in range(3)]
    assert [formats.parse(text).prefix for text in texts] == ["eu"] * 3  # type: ignore[union-attr]
    client.flush()
    assert [(one.counter, one.prefix, one.context, one.owner) for one in blocks.details] == [
        (n + 1, "eu", {"n": n}, "ada") for n in range(3)
    ]
    for prefix in ("a_b", "", "A", "p" * 65, "a\n"):
        with pytest.raises(ValueError, match="prefix"):
            client.generate("run", prefix=prefix)
    client.close()


def test_threads_get_each_counter_once(blocks: Blocks) -> None:
    client = Client(source=blocks, first_block=50, report_seconds=0.01)
    with ThreadPoolExecutor(8) as pool:
        batches = list(pool.map(lambda _: [client.generate("run") for _ in range(2_000)], range(8)))
    texts = [text for batch in batches for text in batch]
    assert len({counter(text) for text in texts}) == 16_000
    client.close()
    assert sum(blocks.used.values()) == 16_000


def test_an_outage_is_survived_until_the_blocks_are_empty(blocks: Blocks) -> None:
    client = Client(source=blocks, first_block=100)
    client.generate("run")
    blocks.away = True
    texts = [client.generate("run") for _ in range(99)]
    # a second block may have been leased before the outage
    while client._pools["run"]._spare is not None or client._pools["run"].ready:
        texts.append(client.generate("run"))
    with pytest.raises(Unavailable):
        client.generate("run")
    with pytest.raises(Unavailable):
        client.flush()
    blocks.away = False
    client._pools["run"]._failed = None  # as if a second had passed
    following = client.generate("run")
    assert following not in texts
    client.close()
    assert sum(blocks.used.values()) == len(texts) + 2


def test_a_child_of_a_fork_has_blocks_of_its_own(blocks: Blocks) -> None:
    client = Client(source=blocks, first_block=100)
    client.generate("run")
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        blocks.next = 10_000  # the server's counter, which a copy in memory doesn't share
        os.write(write, client.generate("run").encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert counter(os.read(read, 100).decode()) == 10_000
    assert counter(client.generate("run")) == 2
    client.close()


@pytest.fixture
def secret(registry: type[IDType]) -> str:
    return tokens.create(User.objects.create_superuser("ada"), "x", ["ids:read", "ids:write"])[1]


def test_a_client_of_a_site_leases_and_reports(secret: str, live_server: Any) -> None:
    client = Client(live_server.url, secret, first_block=20)
    texts = [client.generate("run") for _ in range(50)]
    thread = client.generate("thread", owner="user-7")
    client.flush()
    run = client.generate("run", "eu", {"a": 1}, owner="user-7", parent=thread)
    before = validation.validate(run.removeprefix("eu_"))
    assert before.state == "leased"
    client.close()
    assert set(IssuedID.objects.values_list("id", flat=True)) == {*texts, thread, run}
    row = lookups.look_up(run)
    assert (row.owner, row.parent_id, row.context, row.prefix) == ("user-7", thread, {"a": 1}, "eu")
    assert lookups.count_active("run") == 51
    connections.close_all()


def test_a_site_that_says_no_is_quoted(secret: str, live_server: Any) -> None:
    client = Client(live_server.url, secret)
    with pytest.raises(Refused, match='Did you mean "run"') as caught:
        client.generate("runn")
    assert (caught.value.code, caught.value.status) == ("unknown-type", 422)
    with pytest.raises(Refused) as caught:
        Client(live_server.url, "ssot_wrong").generate("run")
    assert caught.value.status == 401
    with pytest.raises(Unavailable):
        Client("http://127.0.0.1:9", secret, timeout=1).generate("run")
    with pytest.raises(ValueError, match="http"):
        Client("file:///etc/passwd", secret)


class WebServer:
    """The site's own web server on this test's database; its port is closed while it is dead."""

    def __init__(self, environment: dict[str, str], logs: Path) -> None:
        self._environment, self._logs, self._port = environment, logs, free_port()
        self._program: Program | None = None

    def start(self) -> None:
        with sockets.listen("127.0.0.1", self._port) as listening:
            self._program = programs.web(self._environment, listening, self._logs)
            self._program.launch()

    def kill(self) -> None:
        """At once, with all its processes, in the midst of whatever they do."""
        assert self._program is not None and self._program.process is not None
        os.killpg(self._program.process.pid, signal.SIGKILL)
        self._program.stop()

    def stop(self) -> None:
        if self._program is not None:
            self._program.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"


@pytest.fixture
def web_server(child_environment: dict[str, str], tmp_path: Path) -> Iterator[WebServer]:
    server = WebServer(child_environment, tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.mark.long
def test_a_server_that_is_killed_and_comes_back_leaves_no_id_twice_and_none_untold(
    secret: str, web_server: WebServer
) -> None:
    made: list[str] = []
    ended = threading.Event()
    client = Client(web_server.url, secret, first_block=20_000, report_seconds=0.01, timeout=30)

    def work() -> None:
        while not ended.wait(0.002):
            text = client.generate("run", owner="user-7") if len(made) % 50 == 0 else client.generate("run")
            made.append(text)

    def more(count: int) -> bool:
        wanted = len(made) + count
        return processes.wait_until(lambda: len(made) >= wanted, 300)

    with ThreadPoolExecutor(3) as pool:
        workers = [pool.submit(work) for _ in range(3)]
        try:
            assert more(200) and processes.wait_until(IssuedID.objects.exists, 300)
            web_server.kill()
            assert more(200)
            with pytest.raises(Unavailable):
                HttpSource(web_server.url, secret).call("GET", "/ids/stats")
            web_server.start()
            others = HttpSource(web_server.url, secret, timeout=60).call(
                "POST", "/ids/generate-many", {"type": "run", "count": 100}
            )["ids"]
            assert more(200)
        finally:
            ended.set()
        for worker in workers:
            worker.result()
    client.close()
    assert len({*made, *others}) == len(made) + len(others)
    assert set(IssuedID.objects.values_list("id", flat=True)) == {*made, *others}
    assert IssuedID.objects.filter(owner="user-7").exists()
    assert lookups.count_active("run") == len(made) + len(others)


def test_a_deprecated_type_warns_once(blocks: Blocks) -> None:
    lease = blocks.lease
    blocks.lease = lambda *asked: replace(lease(*asked), deprecated=True)  # type: ignore[method-assign]
    client = Client(source=blocks, first_block=2)
    with warnings.catch_warnings(record=True, action="always") as caught:
        for _ in range(20):
            client.generate("run")
    assert len(blocks.leased) > 2
    assert [str(one.message) for one in caught] == ['The ID type "run" is deprecated.']


def test_what_the_site_says_of_a_deprecated_type_is_passed_on_once(
    live_server: Any, transactional_db: None
) -> None:
    IDType.objects.create(value="old", description="Old.", status="deprecated")
    user = User.objects.create_superuser("ada")
    source = HttpSource(live_server.url, tokens.create(user, "x", ["ids:write"])[1])
    with warnings.catch_warnings(record=True, action="always") as caught:
        for _ in range(3):
            assert source.call("POST", "/ids/generate", {"type": "old"})["id"]
    # the server of this test warns in its threads besides
    here = [str(one.message) for one in caught if one.filename == __file__]
    assert here == ['The ID type "old" is deprecated.']
