"""A process that issues IDs until the file STOP appears, and logs each as soon as it has it.

``python -m tests.ids.issuing_process LOG STOP TYPE...``. Each line is one ID after a word: ``kept`` when its
transaction was committed, ``undone`` when it was rolled back on purpose. The test kills such processes at any moment.
"""

import itertools
import os
import sys
from pathlib import Path

import django
from django.db import transaction

django.setup()

from ids.minting import generate  # noqa: E402 - models need Django to be set up


def main(log: int, stop: Path, types: list[str]) -> None:
    for turn, type_value in enumerate(itertools.cycle(types)):
        if stop.exists():
            return
        if turn % 5:
            word, identifier = "kept", generate(type_value)
        else:
            with transaction.atomic():
                word, identifier = "undone", generate(type_value, prefix="undone", context={"turn": turn})
                transaction.set_rollback(True)
        os.write(log, f"{word} {identifier}\n".encode())  # one call: a kill leaves no half line


if __name__ == "__main__":
    main(os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND), Path(sys.argv[2]), sys.argv[3:])
