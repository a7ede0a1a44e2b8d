"""Servers for the whole run, then Django on top of them.

``pytest`` starts a private PostgreSQL and Valkey in a temporary directory, once, in the process that you started;
pytest-xdist's workers inherit their addresses and have a database (pytest-django's ``_gw0`` suffix) and a broker
number (tests/settings.py) each. With DATABASE_URL or BROKER_URL set, those are used instead.

All this is done when this file is imported, because other conftest files may import models.
"""

import atexit
import gc
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import cache_from_source
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import django
import pytest
from celery import current_app
from django.db import connection
from django.test import TransactionTestCase
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from pytest_django.plugin import DjangoDbBlocker, blocking_manager_key

from ssot_dash.embedded import binaries, processes
from ssot_dash.embedded.data import BASE_DIR
from ssot_dash.embedded.errors import CannotStart
from ssot_dash.embedded.postgres import Postgres
from ssot_dash.embedded.server import Server
from ssot_dash.embedded.supervisor import Program
from ssot_dash.embedded.valkey import Valkey

# Marks of tests that take long, the longest first.
LONG = ("long", "celery", "browser")
# Tests that reckon with the day take less, also on a busy machine.
SHORTLY_SECONDS = 60


def start_servers() -> None:
    """Start what the environment does not name already, until this process ends."""
    data = Path(tempfile.mkdtemp(prefix="ssot-dash-tests-"))
    servers: list[Server] = []
    if not os.environ.get("DATABASE_URL"):
        # Nothing of a test run needs to outlive a power cut.
        servers.append(Postgres(data, binaries.find(), {"fsync": "off", "full_page_writes": "off"}))
    if not os.environ.get("BROKER_URL"):
        servers.append(Valkey(data, binaries.find()))

    @atexit.register
    def stop_servers() -> None:
        for server in servers:
            server.stop()
        shutil.rmtree(data, ignore_errors=True)

    for server in servers:
        server.launch()
    for server in servers:
        server.wait_ready()
        os.environ["DATABASE_URL" if isinstance(server, Postgres) else "BROKER_URL"] = server.url
    os.environ["SSOT_DATA_DIR"] = str(data)


if "PYTEST_XDIST_WORKER" not in os.environ:
    if "DJANGO_SETTINGS_MODULE" in os.environ:
        pytest.exit("Unset DJANGO_SETTINGS_MODULE: the tests have settings of their own.", returncode=3)
    try:
        start_servers()
    except CannotStart as error:
        pytest.exit(str(error), returncode=3)
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
django.setup()

from ids import leasing, metrics, minting  # noqa: E402 - models need Django to be set up
from ids.models import IDCounter, IDLease, IDTally  # noqa: E402 - as above
from tests import as_migrated  # noqa: E402 - as above

# How long an example takes says how busy the machine is, not whether the code is right.
hypothesis_settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("tests")


def pytest_configure(config: pytest.Config) -> None:
    """Before pytest-xdist's workers make a database each: one that is migrated already, for them to copy."""
    if not getattr(config.option, "numprocesses", None) or "PYTEST_XDIST_WORKER" in os.environ:
        return
    template = f"{connection.settings_dict['NAME']}_template"
    with connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {template}")
        cursor.execute(f"CREATE DATABASE {template}")
    connection.close()
    address = urlsplit(os.environ["DATABASE_URL"])
    with subprocess.Popen(
        [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
        cwd=BASE_DIR,
        env={**os.environ, "DATABASE_URL": urlunsplit(address._replace(path="/" + template))},
    ) as migrate:
        collect_once()
    if migrate.returncode != 0:
        raise subprocess.CalledProcessError(migrate.returncode, migrate.args)
    os.environ["SSOT_TEST_TEMPLATE"] = template


def collect_once() -> None:
    """Have tests compiled, in a process of its own: workers that begin together would all do it, each for itself.

    What doesn't work here is told by the workers.
    """
    compiled = Path(cache_from_source(__file__)).parent.glob("test_*-pytest-*.pyc")
    if not sys.dont_write_bytecode and not any(compiled):
        subprocess.run(
            [sys.executable, "-m", "pytest", "--collect-only", "-p", "no:xdist", "-p", "no:cacheprovider"],
            cwd=BASE_DIR,
            env={name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long begins first, so that a run doesn't end with one test while the other workers have none left.

    pytest-xdist cuts the list into as many parts as there are workers: each part begins with its share.
    """
    if "PYTEST_XDIST_WORKER_COUNT" not in os.environ:
        return
    left = int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    early = sorted((item for item in items if _lateness(item) < len(LONG)), key=_lateness)
    others = [item for item in items if _lateness(item) == len(LONG)]
    parts = [early[number::left] for number in range(left)]
    size = len(items)
    items.clear()
    for part in parts:
        room = max(size // left - len(part), 0)
        items += [*part, *others[:room]]
        del others[:room]
        size -= len(part) + room
        left -= 1
    items += others


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """What was imported and collected stays until the end, so nobody has to look for garbage in it again and again."""
    gc.collect()
    gc.freeze()


def _lateness(item: pytest.Item) -> int:
    """0 for what begins first."""
    return next((place for place, mark in enumerate(LONG) if item.get_closest_marker(mark)), len(LONG))


# What Django does after each test that commits, instead of truncating every table.
TransactionTestCase._fixture_teardown = lambda _: as_migrated.put_back()


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    """pytest-django's database, whose rows are remembered before the first test."""
    with django_db_blocker.unblock():
        as_migrated.remember()


@pytest.fixture(autouse=True)
def no_leases_of_another_test() -> Iterator[None]:
    """Each test's database is new to this process, so what it leased before must not be handed out."""
    minting.forget_leases()
    metrics.forget()
    yield
    minting.forget_leases()
    metrics.forget()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """No test begins shortly before midnight (UTC): one that reckons with today would end tomorrow."""
    left = 86_400 - time.time() % 86_400
    if left < SHORTLY_SECONDS:
        time.sleep(left)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """A lease is committed whatever becomes of a test's transaction: its rows go when that has been rolled back.

    After the last test of a run the database itself is gone.
    """
    has_leased = leasing._own._wrapper is not None
    yield
    if has_leased and nextitem is not None:
        with item.config.stash[blocking_manager_key].unblock():
            for model in (IDLease, IDTally, IDCounter):
                model.objects.all().delete()


@pytest.fixture
def child_environment(transactional_db: None) -> dict[str, str]:
    """The environment for a process of the site that shall work on this test's database and broker.

    Such a process sees committed rows only, hence the transactional database.
    """
    name = connection.settings_dict["NAME"]
    address = urlsplit(os.environ["DATABASE_URL"])
    return {**os.environ, "DATABASE_URL": urlunsplit(address._replace(path="/" + quote(str(name))))}


@pytest.fixture
def start_worker(child_environment: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Program]]:
    """Starts real Celery workers on this test's database and broker: ``start_worker(concurrency=1, **environment)``.

    Returns when the worker takes messages. Its ``process`` is Celery's main process, ``log`` what it wrote. Messages of
    other tests are thrown away first; the test that uses this should bear the mark ``celery``.
    """
    workers: list[Program] = []
    current_app.control.purge()

    def start(concurrency: int = 1, **environment: str) -> Program:
        name = f"worker-{len(workers) + 1}"
        worker = Program(
            name=name,
            command=[
                *(sys.executable, "-m", "celery", "--app", "ssot_dash.celery", "worker", "--pool", "prefork"),
                *("--concurrency", str(concurrency), "--hostname", f"{name}@tests", "--loglevel", "INFO"),
                *("--without-gossip", "--without-mingle"),
            ],
            cwd=BASE_DIR,
            environment={**child_environment, "PYTHONUNBUFFERED": "1", **environment},
            log=tmp_path / f"{name}.log",
            stop_signals=((signal.SIGQUIT, 10.0),),
        )
        worker.launch()
        workers.append(worker)
        assert processes.wait_until(lambda: " ready." in worker.log.read_text(), 300), worker.log.read_text()
        return worker

    yield start
    for worker in workers:
        worker.stop()
