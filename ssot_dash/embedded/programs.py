"""The site's own processes and how each is stopped: web server, workers, scheduler."""

import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ssot_dash.embedded.data import BASE_DIR
from ssot_dash.embedded.supervisor import Program

_THREADS = 8


def web(environment: Mapping[str, str], listening: socket.socket, logs: Path) -> Program:
    """The web server. The listening socket is its parent's: connections wait in it while the server starts, also
    again after a crash."""
    return Program(
        name="web",
        command=[
            *(sys.executable, "-m", "gunicorn", "ssot_dash.wsgi:application"),
            *("--bind", f"fd://{listening.fileno()}"),
            *("--preload", "--worker-class", "gthread", "--workers", str(min(max(_cores(), 2), 4))),
            *("--threads", str(_THREADS), "--timeout", "60", "--graceful-timeout", "5"),
            *("--access-logfile", "-", "--no-control-socket"),
            *(("--worker-tmp-dir", "/dev/shm") if os.access("/dev/shm", os.W_OK) else ()),  # noqa: S108
        ],
        cwd=BASE_DIR,
        environment=environment,
        log=logs / "web.log",
        stop_signals=((signal.SIGTERM, 8.0),),
        pass_fds=(listening.fileno(),),
    )


def worker(
    environment: Mapping[str, str],
    logs: Path,
    name: str = "worker",
    concurrency: int | None = None,
    queues: Sequence[str] = (),
) -> Program:
    """A Celery worker. Without a number of processes, it has one per core, and at least two; without ``queues``, it
    listens to all.

    Several on one host need a name each; ``worker`` is the one that Celery calls ``celery@host``.
    """
    prefix = environment.get("SSOT_QUEUE_PREFIX", "")
    return Program(
        name=name,
        command=[
            *(sys.executable, "-m", "celery", "--app", "ssot_dash.celery", "worker"),
            *("--pool", "prefork", "--concurrency", str(concurrency or max(_cores(), 2))),
            *(("--hostname", f"{name}@%h") if name != "worker" else ()),
            *(("--queues", ",".join(prefix + queue for queue in queues)) if queues else ()),
            *("--loglevel", "INFO", "--without-gossip", "--without-mingle"),
        ],
        cwd=BASE_DIR,
        environment=environment,
        log=logs / f"{name}.log",
        # SIGTERM: no new tasks, and five seconds for those that run. It is repeated because Celery forgets one that
        # comes while it starts. SIGQUIT: what still runs goes back to the queue.
        stop_signals=(*[(signal.SIGTERM, 1.0)] * 5, (signal.SIGQUIT, 5.0)),
        parent_death_signal=signal.SIGQUIT,
    )


def attendant(environment: Mapping[str, str], logs: Path) -> Program:
    """One more worker, for what is done in a moment: ticks and notices come through however long audits take."""
    return worker(environment, logs, "attendant", concurrency=1, queues=("default", "notices"))


def beat(environment: Mapping[str, str], logs: Path, name: str = "beat") -> Program:
    """Celery's scheduler. A second one needs a name of its own."""
    return Program(
        name=name,
        command=[
            *(sys.executable, "-m", "celery", "--app", "ssot_dash.celery", "beat"),
            *("--loglevel", "INFO", "--pidfile", ""),
            *(("--schedule", str(logs / f"{name}-schedule")) if name != "beat" else ()),
        ],
        cwd=BASE_DIR,
        environment=environment,
        log=logs / f"{name}.log",
        stop_signals=((signal.SIGTERM, 5.0),),
    )


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
