"""``python -m audits.engine audit PATH``: the engine alone, without Django; as ``ssot-dash`` when it is installed."""

import sys
from argparse import ArgumentParser

from audits.engine import command


def main() -> int:
    """Runs the command line; answers the exit status."""
    parser = ArgumentParser(prog="ssot-dash", description="Audits git repositories, without a server.")
    commands = parser.add_subparsers(required=True)
    command.add_arguments(commands.add_parser("audit", help=command.HELP, description=command.HELP))
    try:
        return command.run(parser.parse_args())
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted.\n")
        return 130


if __name__ == "__main__":
    sys.exit(main())
