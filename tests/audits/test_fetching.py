"""Locations that people enter, and clones from a real https server, a friendly and a hostile one."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pygit2
import pytest
from django.db import connection

from audits import auditing, fetching, removing, working
from audits.engine.findings import ProblemKind
from audits.engine.git import GitRepository
from audits.fetch_child import Refused, Tunnel, explain, is_public
from audits.fetching import FetchError, LocationError, check_branch, check_location, check_revision
from audits.models import State
from tests.audits.conftest import AddRepository, Drifting
from tests.ports import free_port
from tests.samples import commit_tree, init_repository
from tests.samples.git_server import GitServer

# --- Checks -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/owner/name",
        "https://git.example.org:8443/a/b.git",
        "HTTPS://git.example.org/%7Eada/x",
        "https://xn--bcher-kva.example/x",
        "https://a_b.example.org/x",
    ],
)
def test_https_urls_are_accepted_as_they_are(url: str) -> None:
    assert check_location(f" {url} ") == url


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        "./name",
        "../name",
        "~/name",
        "-u/x",
        "--upload-pack=touch /tmp/x",
        "ext::sh -c touch% /tmp/x",
        "fd::17",
        "file:///etc",
        "git://example.org/x",
        "http://example.org/x",
        "ftp://example.org/x",
        "ssh://git@example.org/x",
        "ssh://-oProxyCommand=touch/x",
        "git@example.org:owner/name",
        "example.org:owner/name",
        "https:/example.org/x",
        "https://",
        "https://example.org",
        "https://example.org/",
        "https:///x",
        "https://ada:secret@example.org/x",
        "https://token@example.org/x",
        "https://@example.org/x",
        "https://example.org/x?token=secret",
        "https://example.org/x#fragment",
        "https://example.org/x?",
        "https://example.org:0/x",
        "https://example.org:99999/x",
        "https://example.org:port/x",
        "https://exa mple.org/x",
        "https://example.org/x y",
        "https://example.org\\@evil.example/x",
        "https://-example.org/x",
        "https://bücher.example/x",
        "https://example.org/ü",
        "https://[::1/x",
        "https://localhost/x",
        "https://intranet/x",
        "https://127.0.0.1/x",
        "https://[::1]/x",
        "https://10.1.2.3/x",
        "https://169.254.169.254/latest/meta-data",
        "https://[::ffff:127.0.0.1]/x",
        "https://2130706433/x",
        "https://127.1/x",
        "https://0x7f000001/x",
        "https://example.org/x\ny",
        "https://example.org/\x00x",
        "https://example.org/\u202ex",
        "https://example.org/" + "x" * 500,
        "/nowhere/at/all",
        "/etc",
        "/etc/passwd\x00",
    ],
)
def test_other_locations_are_refused_in_words_that_hold_no_secret(text: str) -> None:
    with pytest.raises(LocationError) as refusal:
        check_location(text)
    assert len(str(refusal.value)) > 20
    assert "secret" not in str(refusal.value)


def test_a_listed_host_may_be_internal(settings: Any) -> None:
    settings.SSOT_GIT_HOSTS = ["intranet", "localhost:8443"]
    check_location("https://intranet/x")
    check_location("https://localhost:8443/x")
    with pytest.raises(LocationError, match="SSOT_GIT_HOSTS"):
        check_location("https://localhost:8444/x")


def test_work_trees_git_directories_and_bare_repositories_are_accepted(tmp_path: Path) -> None:
    tree = init_repository(tmp_path / "with space")
    bare = init_repository(tmp_path / "bare", bare=True)
    assert check_location(str(tree)) == str(tree)
    assert check_location(str(tree / ".git")) == str(tree / ".git")
    assert check_location(f"{bare}/../bare/") == str(bare)
    (tree / "below").mkdir()
    with pytest.raises(LocationError, match="no git repository"):
        check_location(str(tree / "below"))


def test_local_repositories_lie_below_the_allowed_directories(tmp_path: Path, settings: Any) -> None:
    inside = init_repository(tmp_path / "allowed" / "x")
    outside = init_repository(tmp_path / "allowed-not" / "x")
    (tmp_path / "allowed" / "link").symlink_to(outside)
    settings.SSOT_LOCAL_ROOTS = [str(tmp_path / "allowed")]
    check_location(str(inside))
    for location in (
        outside,
        tmp_path / "allowed" / "link",
        tmp_path / "allowed" / ".." / "allowed-not" / "x",
    ):
        with pytest.raises(LocationError, match="SSOT_LOCAL_ROOTS"):
            check_location(str(location))


@pytest.mark.parametrize("name", ["", "main", "feature/x-1", "release/1.2", "ümlaut", "a#b", "v1.0+x", "x@y"])
def test_names_that_git_allows_are_branches(name: str) -> None:
    assert check_branch(f" {name} ") == name
    assert check_revision(name) == name


BAD_NAMES = [
    "-x",
    "--all",
    "a..b",
    "a~1",
    "a^",
    "a:b",
    "a?",
    "a*",
    "a[b",
    "a\\b",
    "/a",
    "a/",
    "a//b",
    ".a",
    "a/.b",
    "a.lock",
    "a.lock/b",
    "a@{1}",
    "@",
    "HEAD",
    "a.",
    "a\x07b",
    "a\x00",
]


@pytest.mark.parametrize("name", [*BAD_NAMES, "a b", "x" * 256])
def test_names_that_git_refuses_are_no_branches(name: str) -> None:
    with pytest.raises(LocationError):
        check_branch(name)


@pytest.mark.parametrize(
    "text", ["HEAD", "HEAD~3", "main^", "main^2~10", "v1.0", "0123456789abcdef" * 2, "abc1234"]
)
def test_revisions_may_count_back(text: str) -> None:
    assert check_revision(text) == text


@pytest.mark.parametrize(
    "text",
    ["-x", "~1", "^main", ":/words", "main:path", "main^{tree}", "@{u}", "main@{yesterday}", "a..b", "a b"],
)
def test_other_expressions_are_no_revisions(text: str) -> None:
    with pytest.raises(LocationError):
        check_revision(text)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("127.0.0.1", False),
        ("0.0.0.0", False),  # noqa: S104 (an address to refuse)
        ("10.0.0.1", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
        ("ff02::1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::a00:1", False),
        ("2002:a00:1::", False),
    ],
)
def test_only_addresses_that_anybody_may_reach_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("could not write to '/x/objects/pack/pack_1': No space left on device", "disk-full"),
        ("failed to write: File too large", "too-large"),
        ("unexpected http status code: 404", "not-found"),
        ("something else", "fetch-failed"),
    ],
)
def test_what_libgit2_says_is_told_by_its_meaning_and_without_paths(words: str, code: str) -> None:
    refusal = explain(pygit2.GitError(words))
    assert refusal.code == code
    assert "/x" not in str(refusal)


# --- Fetching -----------------------------------------------------------------------------------------------


@pytest.fixture
def server(tmp_path: Path, settings: Any) -> Iterator[GitServer]:
    """An https server whose authority and (internal) address are allowed."""
    with GitServer(tmp_path).running() as server:
        settings.SSOT_GIT_HOSTS = [server.address]
        settings.SSOT_GIT_CA_FILE = str(server.ca_file)
        yield server


@pytest.fixture
def source(tmp_path: Path, server: GitServer) -> Path:
    """A repository with one commit, served as source.git."""
    path = init_repository(tmp_path / "source")
    commit_tree(path, {"a.py": "x = 1\n"}, "One", 1_700_000_000, [])
    server.repositories["source.git"] = path
    return path


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    return tmp_path / "clones" / "7"


def tip(path: Path, rev: str = "") -> str:
    return GitRepository(path).resolve(rev).sha


def refused(url: str, clone: Path) -> FetchError:
    with pytest.raises(FetchError) as refusal:
        fetching.fetch(url, clone)
    assert url not in str(refusal.value)
    return refusal.value


def fetching_processes() -> list[psutil.Process]:
    me = psutil.Process()
    return [p for p in me.children(recursive=True) if any("fetch_child" in part for part in p.cmdline())]


def test_a_clone_is_bare_and_follows_the_server(server: GitServer, source: Path, clone: Path) -> None:
    url = server.url("source.git")
    fetching.fetch(url, clone)
    first = tip(source)
    assert tip(clone) == first
    assert GitRepository(clone).read(first, "a.py") == b"x = 1\n"
    assert not (clone / "a.py").exists()
    second = commit_tree(source, {"a.py": "x = 2\n"}, "Two", 1_700_000_100, [first])
    side = commit_tree(source, {"b.py": ""}, "Side", 1_700_000_200, [first], branch="side")
    fetching.fetch(url, clone)
    assert (tip(clone), tip(clone, "refs/heads/side")) == (second, side)
    assert os.listdir(clone.parent) == ["7"]
    assert fetching_processes() == []


def test_rewritten_and_deleted_branches_are_followed(server: GitServer, source: Path, clone: Path) -> None:
    commit_tree(source, {"b.py": ""}, "Side", 1_700_000_200, [tip(source)], branch="side")
    fetching.fetch(server.url("source.git"), clone)
    (source / ".git/refs/heads/side").unlink()
    rewritten = commit_tree(source, {"a.py": "other"}, "Other", 1_700_000_300, [])
    fetching.fetch(server.url("source.git"), clone)
    assert tip(clone) == rewritten
    with pytest.raises(Exception, match="no commit, tag or branch"):
        tip(clone, "refs/heads/side")


def test_the_default_branch_is_the_servers(server: GitServer, source: Path, clone: Path) -> None:
    fetching.fetch(server.url("source.git"), clone)
    trunk = commit_tree(source, {"t.py": ""}, "Trunk", 1_700_000_200, [], branch="trunk")
    (source / ".git/HEAD").write_text("ref: refs/heads/trunk\n")
    fetching.fetch(server.url("source.git"), clone)
    assert tip(clone) == trunk


def test_an_empty_repository_can_be_fetched(server: GitServer, tmp_path: Path, clone: Path) -> None:
    server.repositories["empty.git"] = init_repository(tmp_path / "empty")
    fetching.fetch(server.url("empty.git"), clone)
    with pytest.raises(Exception, match="no commits"):
        tip(clone)


def test_another_url_replaces_the_clone(server: GitServer, source: Path, clone: Path, tmp_path: Path) -> None:
    fetching.fetch(server.url("source.git"), clone)
    old = tip(clone)
    server.repositories["other.git"] = init_repository(tmp_path / "other")
    new = commit_tree(tmp_path / "other", {"o.py": ""}, "Other", 1_700_000_000, [])
    fetching.fetch(server.url("other.git"), clone)
    assert tip(clone) == new
    with pytest.raises(Exception, match="no commit"):
        tip(clone, old)
    assert os.listdir(clone.parent) == ["7"]


def test_a_damaged_clone_is_replaced(server: GitServer, source: Path, clone: Path) -> None:
    fetching.fetch(server.url("source.git"), clone)
    for pack in (clone / "objects" / "pack").iterdir():
        pack.unlink()
    fetching.fetch(server.url("source.git"), clone)
    assert tip(clone) == tip(source)


def test_a_clone_of_very_many_packs_is_replaced(
    server: GitServer, source: Path, clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "MAX_PACKS", 1)
    for number in range(3):
        commit_tree(source, {"a.py": str(number)}, "Next", 1_700_001_000 + number, [tip(source)])
        fetching.fetch(server.url("source.git"), clone)
        assert tip(clone) == tip(source)
    assert len(list((clone / "objects" / "pack").glob("*.pack"))) == 1


def test_a_failed_fetch_leaves_the_last_good_clone(server: GitServer, source: Path, clone: Path) -> None:
    fetching.fetch(server.url("source.git"), clone)
    good = tip(clone)
    del server.repositories["source.git"]
    assert refused(server.url("source.git"), clone).code == "not-found"
    assert tip(clone) == good
    assert os.listdir(clone.parent) == ["7"]


@pytest.mark.parametrize(("name", "code"), [("missing.git", "not-found"), ("private.git", "authentication")])
def test_what_the_server_refuses_is_said(server: GitServer, clone: Path, name: str, code: str) -> None:
    assert refused(server.url(name), clone).code == code
    assert os.listdir(clone.parent) == []


def test_a_certificate_that_nobody_vouches_for_is_refused(
    server: GitServer, source: Path, clone: Path, settings: Any
) -> None:
    settings.SSOT_GIT_CA_FILE = ""
    refusal = refused(server.url("source.git"), clone)
    assert (refusal.code, "SSOT_GIT_CA_FILE" in str(refusal)) == ("certificate", True)
    assert server.requests == []


def test_a_certificate_for_another_host_is_refused(tmp_path: Path, clone: Path, settings: Any) -> None:
    with GitServer(tmp_path, host="git.example.org").running() as server:
        address = server.address.replace("git.example.org", "localhost")
        settings.SSOT_GIT_HOSTS = [address]
        settings.SSOT_GIT_CA_FILE = str(server.ca_file)
        assert refused(f"https://{address}/source.git", clone).code == "certificate"


def test_a_redirect_within_the_host_is_followed(server: GitServer, source: Path, clone: Path) -> None:
    server.moved_to = f"https://{server.address}"
    fetching.fetch(server.url("moved/source.git"), clone)
    assert tip(clone) == tip(source)


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_a_redirect_to_another_host_or_port_is_not_followed(
    server: GitServer, clone: Path, scheme: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as internal:
        internal.settimeout(0.5)
        server.moved_to = f"{scheme}://localhost:{internal.getsockname()[1]}"
        assert refused(server.url("moved/source.git"), clone).code == "redirect"
        with pytest.raises(TimeoutError):
            internal.accept()


def test_a_host_that_resolves_to_an_internal_address_is_not_connected_to() -> None:
    with socket.create_server(("127.0.0.1", 0)) as internal:
        internal.settimeout(0.5)
        port = internal.getsockname()[1]
        tunnel = Tunnel("localhost", port, may_be_internal=False, idle_seconds=5, max_bytes=1000)
        with socket.create_connection(("127.0.0.1", int(tunnel.url.rpartition(":")[2]))) as client:
            client.sendall(f"CONNECT localhost:{port} HTTP/1.1\r\n\r\n".encode())
            assert client.recv(100) == b""
        assert isinstance(tunnel.refusal, Refused)
        assert tunnel.refusal.code == "internal-host"
        with pytest.raises(TimeoutError):
            internal.accept()


def test_hosts_that_do_not_exist_or_answer_are_named(clone: Path, settings: Any) -> None:
    address = f"localhost:{free_port()}"
    settings.SSOT_GIT_HOSTS = [address]
    refusal = refused(f"https://{address}/x.git", clone)
    assert (refusal.code, address in str(refusal)) == ("unreachable", True)
    assert refused("https://no-such-host.invalid/x.git", clone).code == "unknown-host"


def test_a_server_that_falls_silent_is_given_up(server: GitServer, clone: Path, settings: Any) -> None:
    settings.SSOT_FETCH_IDLE_SECONDS = 1
    refusal = refused(server.url("silent.git"), clone)
    assert (refusal.code, "SSOT_FETCH_IDLE_SECONDS" in str(refusal)) == ("too-slow", True)


def test_a_server_that_drips_is_given_up(server: GitServer, clone: Path, settings: Any) -> None:
    settings.SSOT_FETCH_SECONDS = 2
    refusal = refused(server.url("drip.git"), clone)
    assert (refusal.code, "SSOT_FETCH_SECONDS" in str(refusal)) == ("fetch-timeout", True)
    assert os.listdir(clone.parent) == []
    assert fetching_processes() == []


def test_references_without_end_stop_at_the_limit_of_bytes(
    server: GitServer, clone: Path, settings: Any
) -> None:
    settings.SSOT_FETCH_BYTES = 3_000_000
    refusal = refused(server.url("endless.git"), clone)
    assert (refusal.code, "SSOT_FETCH_BYTES" in str(refusal)) == ("too-large", True)


def test_references_without_end_stop_at_the_limit_of_memory(
    server: GitServer, clone: Path, settings: Any
) -> None:
    settings.SSOT_FETCH_MEMORY_BYTES = 300 * 1024**2
    # Which library notices first, and how it words that, is chance.
    assert refused(server.url("endless.git"), clone).code in {"too-large", "certificate", "fetch-failed"}
    assert os.listdir(clone.parent) == []


def test_a_large_repository_is_refused(server: GitServer, source: Path, clone: Path, settings: Any) -> None:
    commit_tree(source, {"noise.bin": os.urandom(2_000_000)}, "Noise", 1_700_000_100, [tip(source)])
    settings.SSOT_FETCH_BYTES = 1_000_000
    assert refused(server.url("source.git"), clone).code == "too-large"
    assert os.listdir(clone.parent) == []


@pytest.mark.django_db(transaction=True)
def test_a_file_that_is_small_on_the_way_and_huge_when_unpacked_is_listed_and_not_read(
    server: GitServer, source: Path, add_repository: AddRepository, settings: Any
) -> None:
    huge = {"a.py": "x = 1\n", "huge.py": bytes(40_000_000), "huge.bin": bytes(40_000_001)}
    commit_tree(source, huge, "Huge", 1_700_000_100, [tip(source)])
    settings.SSOT_FETCH_BYTES = 1_000_000
    repository = add_repository(server.url("source.git"))
    audit, _ = auditing.request(repository)
    working.run(audit.pk)
    audit.refresh_from_db()
    assert (audit.state, audit.error_message) == (State.SUCCEEDED, "")
    (problem,) = audit.problems.all()
    assert (problem.path, problem.kind) == ("huge.py", ProblemKind.TOO_LARGE)
    assert "the limit is 524,288 (policy: limits.file_bytes)" in problem.message
    clone = GitRepository(fetching.path_of(repository))
    assert clone.read(audit.commit_sha, "huge.py") is None


def test_too_many_branches_are_refused(server: GitServer, source: Path, clone: Path, settings: Any) -> None:
    for number in range(4):
        commit_tree(source, {}, "Branch", 1_700_000_100, [], branch=f"b{number}")
    settings.SSOT_FETCH_REFS = 4
    refusal = refused(server.url("source.git"), clone)
    assert (refusal.code, str(refusal).startswith("5 branches")) == ("too-many-refs", True)


def test_what_the_caller_raises_stops_the_fetch_and_leaves_nothing(server: GitServer, clone: Path) -> None:
    class StopError(Exception):
        pass

    def stop(done: int, total: int) -> None:
        assert len(fetching_processes()) == 1
        raise StopError

    with pytest.raises(StopError):
        fetching.fetch(server.url("drip.git"), clone, progress=stop)
    assert fetching_processes() == []
    assert os.listdir(clone.parent) == []


def test_settings_of_the_user_and_the_system_are_not_read(
    server: GitServer, source: Path, clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = f'[url "https://elsewhere.invalid/"]\n    insteadOf = https://{server.address}/\n'
    (tmp_path / ".gitconfig").write_text(elsewhere)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / ".gitconfig"))
    monkeypatch.setenv("https_proxy", "http://elsewhere.invalid:1")
    fetching.fetch(server.url("source.git"), clone)
    assert tip(clone) == tip(source)


def test_a_worker_that_is_killed_takes_the_fetch_with_it(
    server: GitServer, clone: Path, settings: Any
) -> None:
    script = """
        import os, django
        from pathlib import Path
        django.setup()
        from audits import fetching
        fetching.fetch(os.environ["URL"], Path(os.environ["CLONE"]))
    """
    environment = {
        **os.environ,
        "URL": server.url("drip.git"),
        "CLONE": str(clone),
        "SSOT_GIT_HOSTS": server.address,
        "SSOT_GIT_CA_FILE": str(server.ca_file),
    }
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], env=environment, cwd=root
    ) as worker:
        until(lambda: server.requests)
        (child,) = fetching_processes()
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    until(lambda: not child.is_running())
    fetching.remove_clone(7)
    settings.SSOT_FETCH_SECONDS = 1
    refused(server.url("drip.git"), clone)
    assert os.listdir(clone.parent) == []


@contextmanager
def in_a_thread(work: Callable[[], None]) -> Iterator[None]:
    def begin() -> None:
        try:
            work()
        finally:
            connection.close()

    thread = threading.Thread(target=begin)
    thread.start()
    yield
    thread.join()


def until(condition: Any) -> None:
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


# --- With the ledger ----------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_repository_behind_https_is_audited(
    server: GitServer, drifting: Drifting, add_repository: AddRepository
) -> None:
    server.repositories["drifting.git"] = drifting.path
    repository = add_repository(server.url("drifting.git"))
    for rev, findings in ((drifting.second, 3), ("", 0)):
        audit, _ = auditing.request(repository, rev)
        working.run(audit.pk)
        audit.refresh_from_db()
        assert (audit.state, audit.findings_count) == (State.SUCCEEDED, findings)
    assert fetching.path_of(repository) == fetching.clone_path(repository.pk)
    removing.remove(repository)
    removing.go_on(repository.pk)
    assert not fetching.clone_path(repository.pk).exists()


@pytest.mark.django_db(transaction=True)
def test_a_fetch_that_fails_ends_the_audit_in_clear_words(
    server: GitServer, add_repository: AddRepository
) -> None:
    audit, _ = auditing.request(add_repository(server.url("missing.git")))
    working.run(audit.pk)
    audit.refresh_from_db()
    assert (audit.state, audit.error_code) == (State.FAILED, "not-found")
    assert audit.error_message == ("The server knows no repository at this address, or it isn't open to all.")


@pytest.mark.django_db(transaction=True)
def test_cancelling_stops_the_fetch(server: GitServer, add_repository: AddRepository) -> None:
    repository = add_repository(server.url("drip.git"))
    audit, _ = auditing.request(repository)

    def cancel_when_it_fetches() -> None:
        until(lambda: server.requests)
        auditing.cancel(audit)

    with in_a_thread(cancel_when_it_fetches):
        working.run(audit.pk)
    audit.refresh_from_db()
    assert audit.state == State.CANCELLED
    assert fetching_processes() == []
    assert not fetching.clone_path(repository.pk).exists()
