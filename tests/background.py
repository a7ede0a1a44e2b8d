"""Tests that were started in the background."""

import signal


def hear_ctrl_c() -> None:
    """In a child, before its program starts: what a shell runs in the background ignores Ctrl-C, and so would what that
    starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
