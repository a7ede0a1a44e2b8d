"""``python -m audits.engine audit PATH``: the engine alone, without Django; as ``ssot-dash`` when it is installed."""

import sys
from argparse import ArgumentParser

from audits.engine import command, duplicates_command


def main() -> int:
    """Runs the command line; answers the exit status."""
    parser = ArgumentParser(prog="ssot-dash", description="Audits git repositories, without a server.")
    commands = parser.add_subparsers(required=True)
    for name, module in (("audit", command), ("duplicates", duplicates_command)):
        subparser = commands.add_parser(name, help=module.HELP, description=module.HELP)
        module.add_arguments(subparser)
        subparser.set_defaults(run=module.run)
    options = parser.parse_args()
    try:
        return int(options.run(options))
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted.\n")
        return 130


if __name__ == "__main__":
    sys.exit(main())
