"""Bring database, static files and sample up to date."""

import hashlib
import json
import os
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, connection
from django.db.migrations.executor import MigrationExecutor

from ssot_dash.views import first_sign_in_path

# PostgreSQL's lock number for "somebody migrates": two hosts that start on one database take turns.
MIGRATION_LOCK = 0x55074DA5


class Command(BaseCommand):
    help = "Migrate the database, collect static files when they changed, load the sample once (up does all this)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--no-sample", action="store_true", help="do without the sample repository")
        parser.add_argument("--report", type=int, metavar="FD", help="descriptor for up's progress lines")

    def handle(self, *args: Any, **options: Any) -> None:
        self.report = options["report"]
        try:
            connection.ensure_connection()
        except OperationalError as error:
            raise CommandError(f"The database can't be reached: {error}") from error
        self.migrate()
        self.collect_static()
        if not options["no_sample"]:
            self.load_sample()
        if path := first_sign_in_path():
            self.tell("welcome", path)

    def migrate(self) -> None:
        with turn_to_migrate():
            executor = MigrationExecutor(connection)
            if plan := executor.migration_plan(executor.loader.graph.leaf_nodes()):
                self.tell("say", f"Bringing the database up to date ({len(plan)} migrations) ...")
                call_command("migrate", interactive=False, verbosity=0)

    def collect_static(self) -> None:
        state = Path(settings.STATIC_ROOT) / ".collected"
        wanted = _static_state()
        if state.is_file() and state.read_text() == wanted:
            return
        self.tell("say", "Collecting static files ...")
        _remove_unused(Path(settings.STATIC_ROOT))
        call_command("collectstatic", interactive=False, verbosity=0)
        state.write_text(wanted)

    def load_sample(self) -> None:
        loaded = Path(settings.DATA_DIR) / "sample-loaded"
        if loaded.exists():  # once: whoever removes the sample wants it gone
            return
        self.tell("say", "Loading the sample repository ...")
        call_command("load_sample", unless_removed=True)
        loaded.touch()

    def tell(self, word: str, text: str) -> None:
        if self.report is None:
            self.stdout.write(text)
        else:
            os.write(self.report, f"{word} {text}\n".encode())


@contextmanager
def turn_to_migrate() -> Iterator[None]:
    """Waits until nobody else migrates. The lock is a transaction's, on a connection of its own: behind a pooler, what
    is asked outside of a transaction may reach another session, which could not give a session's lock back."""
    own = connection.copy()
    try:
        own.set_autocommit(False)
        with own.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [MIGRATION_LOCK])
        yield
    finally:
        own.close()


def _remove_unused(collected: Path) -> None:
    """Remove what was collected before, but not what pages and web processes of the last release still ask for."""
    try:
        kept = set(json.loads((collected / "staticfiles.json").read_text())["paths"].values())
    except FileNotFoundError:
        return
    for path in collected.rglob("*"):
        name = str(path.relative_to(collected)).removesuffix(".gz").removesuffix(".br")
        if path.is_file() and name not in kept | {"staticfiles.json"}:
            path.unlink()


def _static_state() -> str:
    """A digest of the names, sizes and times of all static files, and of what processes them."""
    files = []
    for finder in get_finders():
        for name, storage in finder.list([]):
            status = os.stat(storage.path(name))
            files.append((name, status.st_size, status.st_mtime_ns))
    described = json.dumps([django.__version__, settings.STORAGES["staticfiles"], sorted(files)])
    return hashlib.sha256(described.encode()).hexdigest()
