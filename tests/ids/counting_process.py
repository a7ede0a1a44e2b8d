"""Issues IDs, forks, and ends: ``counting_process.py CALLS [killed]``.

The parent and its child issue CALLS IDs each, one after the other. With ``killed`` both die at once afterwards.
"""

import os
import signal
import sys

import django

django.setup()

from django.db import connections  # noqa: E402

from ids import metrics, minting  # noqa: E402


def issue(calls: int) -> None:
    for _ in range(calls):
        minting.generate("run")


def end() -> None:
    if sys.argv[2:] == ["killed"]:
        os.kill(os.getpid(), signal.SIGKILL)


calls = int(sys.argv[1])
issue(calls)
connections.close_all()
if child := os.fork():
    os.waitpid(child, 0)
    end()
else:
    issue(calls)
    end()
    metrics.flush_at_exit()
    connections.close_all()
    os._exit(0)
