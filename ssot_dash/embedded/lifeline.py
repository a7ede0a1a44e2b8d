"""Ends a process of the site whose supervisor is gone, however deaf the process is at that moment.

The kernel tells a child of its parent's death once (``processes.spawn``), and Celery forgets a signal that comes
while it starts: such a worker would look for its servers for ever.
"""

import os
import signal
import threading
import time

# In the environment of a supervised process: its supervisor's process id.
SUPERVISOR = "SSOT_SUPERVISOR"
_POLL_SECONDS = 0.5
_REQUESTS = 5  # once a second; then by force


def follow_supervisor() -> None:
    """Watch from a thread for the end of the supervisor that the environment names; nothing when it names none."""
    supervisor = os.environ.get(SUPERVISOR)
    if supervisor is not None:
        threading.Thread(target=_follow, args=(int(supervisor),), name="lifeline", daemon=True).start()


def _follow(supervisor: int) -> None:
    while os.getppid() == supervisor:
        time.sleep(_POLL_SECONDS)
    for _ in range(_REQUESTS):
        os.kill(os.getpid(), signal.SIGQUIT)
        time.sleep(1)
    os.killpg(0, signal.SIGKILL)
