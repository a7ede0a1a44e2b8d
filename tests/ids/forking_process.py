"""A process that leases a block, forks, and issues IDs in parent and children: prints all of them.

``python -m tests.ids.forking_process TYPE``
"""

import os
import sys

import django
from django.db import connection

django.setup()

from ids.minting import generate  # noqa: E402 - models need Django to be set up

CHILDREN = 3
EACH = 20


def issue(type_value: str) -> None:
    for _ in range(EACH):
        os.write(1, f"{generate(type_value)}\n".encode())


def main(type_value: str) -> None:
    issue(type_value)
    children = []
    for _ in range(CHILDREN):
        if child := os.fork():
            children.append(child)
            continue
        # The socket is the parent's: leave it open, and let Django make another. IDs are none of this code's concern.
        connection.connection = None
        issue(type_value)
        os._exit(0)
    issue(type_value)
    sys.exit(any(os.waitpid(child, 0)[1] for child in children))


if __name__ == "__main__":
    main(sys.argv[1])
