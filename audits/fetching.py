"""Where a repository's git objects come from: checks locations, and keeps bare clones of https URLs.

Fetching is done by a child process (``fetch_child``) in a session of its own, with limits on time, bytes, memory and
idle time; it is killed with all that belongs to it when time is up or nobody wants the result any more. A first clone
becomes visible only when it is complete, and a failed fetch leaves the last good clone as it was.
"""

import errno
import ipaddress
import json
import os
import re
import selectors
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from django.conf import settings

from audits.engine.git import GitError, GitRepository
from audits.fetch_child import DISK_FULL
from audits.models import Repository

MAX_LOCATION = 500
MAX_NAME = 255
# libgit2 never repacks: with more packs than this, a clone is replaced by a fresh one.
MAX_PACKS = 60
POLL_SECONDS = 0.25

# Inside a clone: the URL that it was made from.
_URL_FILE = "ssot-url"
_CHILD = Path(__file__).with_name("fetch_child.py")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_HOST_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*", re.ASCII)
# git's rules for names of references, and no "@{", "^", "~", ":" that would make an expression of a name.
_BAD_IN_NAME = re.compile(r"[\s~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(/|$)")


class LocationError(ValueError):
    """A location, branch or revision that is not accepted; the message tells a person what is wrong and what to do."""


class FetchError(Exception):
    """A repository that could not be fetched: a code for programs, words for people. Holds no secrets."""

    def __init__(self, code: str, words: str) -> None:
        super().__init__(words)
        self.code = code


# --- Checks of what people enter ----------------------------------------------------------------------------


def is_url(location: str) -> bool:
    return not location.startswith("/")


def check_location(text: str) -> str:
    """The location as it shall be stored: an absolute path of a git repository here, or an https URL.

    Raises ``LocationError``. Names are not looked up: whether a host is an internal one is checked when it is
    fetched.
    """
    text = text.strip()
    if not text:
        raise LocationError("Enter a path on the server or an https:// URL.")
    if len(text) > MAX_LOCATION:
        raise LocationError(f"A location has at most {MAX_LOCATION} characters.")
    if _CONTROL.search(text):
        raise LocationError("Take the control characters out of the location.")
    return _check_path(text) if text.startswith("/") else _check_url(text)


def _check_path(text: str) -> str:
    path = Path(os.path.normpath(text))
    roots = [Path(root).resolve() for root in settings.SSOT_LOCAL_ROOTS]
    if not any(path.resolve().is_relative_to(root) for root in roots):
        raise LocationError("Local repositories must lie below one of the directories in SSOT_LOCAL_ROOTS.")
    try:
        GitRepository(path)
    except GitError:
        raise LocationError(
            "There is no git repository at this path on the server, or the site's user may not read it. Enter the"
            " directory that holds .git, or a bare repository."
        ) from None
    return str(path)


def _check_url(text: str) -> str:
    scheme, separator, _ = text.partition("://")
    if not separator or scheme.lower() != "https":
        raise LocationError(
            "Only https:// URLs are fetched, and absolute paths on the server are read. For SSH or another protocol,"
            " clone the repository on the server and enter that path."
        )
    url = _split(text)
    if url.username is not None or url.password is not None:
        raise LocationError(
            "Take the user name and password out of the URL: they would be shown to everyone who sees this page."
        )
    if url.query or url.fragment or "?" in text or "#" in text:
        raise LocationError("Take what follows the ? or # out of the URL.")
    host = url.hostname or ""
    if not host or not url.path.strip("/"):
        raise LocationError(
            "The URL lacks a host or a path. It should look like https://host/owner/name.git."
        )
    if re.search(r"[\s\\\"<>^`{|}]|[^!-~]", text):
        raise LocationError("A URL holds ASCII characters only and no space; write others in their %xx form.")
    if not _may_be_internal(url) and _is_internal_name(host):
        raise LocationError(
            f"The host {host} is an internal one. Ask the operator to list it in SSOT_GIT_HOSTS."
        )
    return text


def _split(text: str) -> SplitResult:
    try:
        url = urlsplit(text)
        host, port = url.hostname, url.port
    except ValueError:
        raise LocationError("This is not a URL. It should look like https://host/owner/name.git.") from None
    if port == 0 or (host and not _is_address(host) and not _HOST_NAME.fullmatch(host)):
        raise LocationError("The URL's host or port is not a valid one.")
    return url


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_internal_name(host: str) -> bool:
    if _is_address(host):
        return not ipaddress.ip_address(host).is_global
    # "127.1" and "0x7f000001" are addresses to some resolvers; a public host's name ends in letters.
    return host == "localhost" or "." not in host or not re.search(r"\.(xn--[a-z0-9-]+|[a-z]+)$", host)


def _may_be_internal(url: SplitResult) -> bool:
    host = url.hostname or ""
    return host in settings.SSOT_GIT_HOSTS or f"{host}:{url.port or 443}" in settings.SSOT_GIT_HOSTS


def check_branch(text: str) -> str:
    """The name of a branch, empty for the default one. Raises ``LocationError``."""
    text = text.strip()
    if len(text) > MAX_NAME:
        raise LocationError(f"A branch has at most {MAX_NAME} characters.")
    if (
        _CONTROL.search(text)
        or _BAD_IN_NAME.search(text)
        or text.startswith(("-", "/", "."))
        or text in {"@", "HEAD"}
    ):
        raise LocationError("This is not a name that git allows for a branch.")
    if text.endswith(("/", ".")):
        raise LocationError("A branch's name doesn't end in a slash or a dot.")
    return text


def check_revision(text: str) -> str:
    """A commit id, tag or branch, perhaps followed by ``~3`` or ``^2``; empty for the branch. Raises
    ``LocationError``.
    """
    text = text.strip()
    name = re.sub(r"([~^][0-9]{0,4})+$", "", text, flags=re.ASCII)
    if text and (len(text) > MAX_NAME or not name):
        raise LocationError("Enter a commit, a tag or a branch.")
    if name != "HEAD":
        try:
            check_branch(name)
        except LocationError:
            raise LocationError("This is not a commit, tag or branch as git writes them.") from None
    return text


# --- Where the objects are ----------------------------------------------------------------------------------


def clone_path(repository_id: int) -> Path:
    return Path(settings.DATA_DIR) / "clones" / str(repository_id)


def sample_path() -> Path:
    """Where the site builds its sample repository."""
    return Path(settings.DATA_DIR) / "sample"


def path_of(repository: Repository) -> Path:
    """Where the git objects of a repository are on this host: its own place, or that of its clone."""
    return clone_path(repository.pk) if is_url(repository.location) else Path(repository.location)


def remove_clone(repository_id: int) -> None:
    """Remove what was fetched for a repository, also what a killed fetch left behind."""
    clone = clone_path(repository_id)
    for directory in [clone, *clone.parent.glob(f"{clone.name}.*")]:
        shutil.rmtree(directory, ignore_errors=True)


def distrust_clone(repository: Repository) -> None:
    """Have the next fetch replace a clone in which objects turned out to be missing or broken."""
    if is_url(repository.location):
        (clone_path(repository.pk) / _URL_FILE).unlink(missing_ok=True)


# --- Fetching -----------------------------------------------------------------------------------------------


def fetch(url: str, clone: Path, *, progress: Callable[[int, int], None] = lambda done, total: None) -> None:
    """Bring the bare clone of ``url`` up to date, or make it.

    ``progress`` is called a few times a second with objects done and in total, and may raise to stop the fetch. Only
    one fetch per clone may run at a time. Raises ``FetchError``.
    """
    try:
        check_location(url)
    except LocationError as error:
        raise FetchError("location", str(error)) from error
    clone.parent.mkdir(parents=True, exist_ok=True)
    for leftover in clone.parent.glob(f"{clone.name}.*"):
        shutil.rmtree(leftover, ignore_errors=True)
    deadline = time.monotonic() + settings.SSOT_FETCH_SECONDS
    if _is_usable(clone, url):
        for leftover in (clone / "objects" / "pack").glob("pack_*"):
            leftover.unlink(missing_ok=True)  # half a pack of a fetch that was killed
        try:
            _run_child(url, clone, deadline, progress)
            return
        except FetchError as error:
            if error.code != "damaged":
                raise
    fresh = clone.with_name(f"{clone.name}.{uuid.uuid4().hex}")
    try:
        _run_child(url, fresh, deadline, progress)
        _remember_url(fresh, url)
        if clone.exists():
            clone.rename(clone.with_name(f"{clone.name}.{uuid.uuid4().hex}"))
        fresh.rename(clone)
    finally:
        for leftover in clone.parent.glob(f"{clone.name}.*"):
            shutil.rmtree(leftover, ignore_errors=True)


def _remember_url(clone: Path, url: str) -> None:
    try:
        (clone / _URL_FILE).write_text(url)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise FetchError("disk-full", DISK_FULL) from error
        raise


def _is_usable(clone: Path, url: str) -> bool:
    """Whether a clone can be updated: it is one of this URL, and not made of too many packs."""
    try:
        return (clone / _URL_FILE).read_text() == url and len(_packs(clone)) <= MAX_PACKS
    except OSError:
        return False


def _packs(clone: Path) -> list[Path]:
    return list((clone / "objects" / "pack").glob("*.pack"))


def _run_child(url: str, directory: Path, deadline: float, progress: Callable[[int, int], None]) -> None:
    done, total = 0, 0
    with _child(_order(url, directory)) as process:
        for line in _lines(process, deadline):
            message = json.loads(line) if line else {}
            if "error" in message:
                raise FetchError(message["error"], message["words"])
            if "fetched" in message:
                return
            done, total = message.get("done", done), message.get("total", total)
            progress(done, total)
        code = process.wait()
        if (
            code == -signal.SIGBUS
        ):  # libgit2 writes packs through memory maps: so it learns that there is no room
            raise FetchError("disk-full", DISK_FULL)
        raise FetchError("fetch-failed", f"the fetching process ended early (exit code {code})")


def _order(url: str, directory: Path) -> dict[str, object]:
    parts = urlsplit(url)
    return {
        "url": url,
        "host": parts.hostname,
        "port": parts.port or 443,
        "may_be_internal": _may_be_internal(parts),
        "directory": str(directory),
        "ca_file": settings.SSOT_GIT_CA_FILE,
        "seconds": settings.SSOT_FETCH_SECONDS,
        "idle_seconds": settings.SSOT_FETCH_IDLE_SECONDS,
        "max_bytes": settings.SSOT_FETCH_BYTES,
        "max_memory": settings.SSOT_FETCH_MEMORY_BYTES,
        "max_refs": settings.SSOT_FETCH_REFS,
    }


@contextmanager
def _child(order: dict[str, object]) -> Iterator[subprocess.Popen[bytes]]:
    """The fetching process, which is gone with all that it started when the context is left."""
    kept = ("PATH", "SSL_CERT_FILE", "SSL_CERT_DIR")
    process = subprocess.Popen(
        [sys.executable, "-I", str(_CHILD)],
        cwd="/",
        env={"LANG": "C.UTF-8", **{name: os.environ[name] for name in kept if name in os.environ}},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdin is not None
    try:
        with suppress(BrokenPipeError):
            process.stdin.write(json.dumps(order).encode() + b"\n")
            process.stdin.flush()
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdin.close()


def _lines(process: subprocess.Popen[bytes], deadline: float) -> Iterator[bytes]:
    """What the process says, line by line, and an empty line now and then while it is silent."""
    assert process.stdout is not None
    with process.stdout as stream, selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        begun = b""
        while True:
            if time.monotonic() > deadline:
                limit = settings.SSOT_FETCH_SECONDS
                raise FetchError(
                    "fetch-timeout", f"fetching took longer than {limit:,} s (SSOT_FETCH_SECONDS)"
                )
            if not selector.select(POLL_SECONDS):
                yield b""
                continue
            part = os.read(stream.fileno(), 1 << 16)
            if not part:
                return
            *lines, begun = (begun + part).split(b"\n")
            yield from lines
