"""``bench`` of the audits, and ``bench ids``, which needs a PostgreSQL and a web server of its own to measure on."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandError

from audits.management.commands import bench
from ids import benchmarks
from ids.benchmarks import Figure
from ssot_dash import scratch


class Command(bench.Command):
    help = (
        bench.Command.help
        + " `bench ids`: in memory, in the database and over HTTP, each beside a peer; `bench ids --crash 1000000`: "
        "no duplicates through kills and crashes."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        ids = self.kinds.add_parser("ids", help="the service of IDs, beside peers or through crashes")
        ids.add_argument("--crash", type=int, metavar="IDS", help="issue so many through kills and crashes")
        ids.add_argument("--seconds", type=float, default=5.0, help="of each measurement over HTTP (5)")
        ids.add_argument(
            "--here", action="store_true", help="in the database of the settings; figures as JSON"
        )

    def handle(self, **options: Any) -> None:
        if options["kind"] != "ids":
            super().handle(**options)
        elif options["here"]:
            for figure in benchmarks.figures():
                self.stdout.write(json.dumps(asdict(figure)))
        elif options["crash"] is not None:
            self._crash(options["crash"])
        else:
            with scratch.site() as site:
                for figure in scratch.figures(site):
                    self._figure(figure)
                for figure in scratch.http_figures(site, options["seconds"]):
                    self._figure(figure)

    def _figure(self, figure: Figure) -> None:
        wanted = ""
        if figure.wanted is not None:
            wanted = f"  wanted {figure.wanted:.2f}: {'met' if figure.ratio >= figure.wanted else 'NOT MET'}"
        self.stdout.write(
            f"{figure.name:<52}{figure.rate:>10,.0f}/s {figure.ratio:>6.2f} x {figure.peer} "
            f"({figure.peer_rate:,.0f}/s){wanted}{figure.note}"
        )
        self.stdout.flush()

    def _crash(self, wanted: int) -> None:
        with scratch.site() as site:
            found = scratch.crash(site, wanted, say=self.stdout.write)
        self.stdout.write(
            f"{found.logged:,} IDs in the logs of {found.processes} processes, {found.kills} of them killed, over "
            f"{found.crashes} crashes of PostgreSQL, in {found.seconds:.0f} s: {found.duplicates} duplicates; "
            f"{found.lost} that were committed and are not in the registry."
        )
        if found.duplicates or found.lost:
            raise CommandError("The service of IDs does not keep its promise.")
