#!/usr/bin/env python3
"""Starts anywhere: makes .venv with the standard library alone, then is Django's manage.py inside it."""

import os
import sys

if sys.version_info < (3, 11):  # noqa: UP036 - this file has to be understood by older ones to say so
    sys.exit(f"SSOT Dash needs Python 3.11 or newer; this is {sys.version.split()[0]} ({sys.executable}).")

# After the check above: these use what 3.11 brought.
try:
    from ssot_dash.embedded import bootstrap, data
    from ssot_dash.embedded.errors import CannotStart
except ModuleNotFoundError as error:
    sys.exit(
        f"{error}: only a part of Python's standard library is here. On Debian: apt install python3 python3-pip"
    )


def main() -> None:
    bootstrap.enter(sys.argv)
    try:
        data.prepare_environment(sys.argv, os.environ)
    except CannotStart as error:
        sys.exit(str(error))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ssot_dash.settings")
    try:
        from django.core.management import execute_from_command_line  # noqa: PLC0415 - there is none before enter()
    except ModuleNotFoundError as error:
        sys.exit(
            f"{error}. This is a virtual environment of your own ({sys.prefix}): leave it (deactivate) and run "
            "python3 manage.py again, or install the requirements here:\n"
            f"  {sys.executable} -m pip install --require-hashes -r requirements.txt"
        )
    try:
        execute_from_command_line(sys.argv)
    except Exception as error:
        from django.db import OperationalError  # noqa: PLC0415 - as above

        if not isinstance(error, OperationalError):
            raise
        if os.environ.get("DATABASE_URL"):
            sys.exit(f"The database that DATABASE_URL names can't be used: {error}")
        sys.exit(
            "There is no database to ask: start the site (python3 manage.py up), or say where it is: its data "
            "directory in SSOT_DATA_DIR, or its database in DATABASE_URL."
        )


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("\nInterrupted.")
