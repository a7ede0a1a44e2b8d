"""Measures the whole site under many rows and many people. For developers, on a scratch site of their own."""

import os
import time
from argparse import ArgumentParser
from dataclasses import fields
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from ssot_dash.load import filling, measuring, pages
from ssot_dash.load.measuring import Figures


class Command(BaseCommand):
    help = (
        "Measure the whole site, for developers, on a scratch site that `up` runs. `load fill`: a million violations "
        "and more into its database. `load pages`: how long every page and GET operation takes there, and its queries."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        kinds = parser.add_subparsers(dest="kind", required=True)
        fill = kinds.add_parser(
            "fill", help="many rows of everything, on a site that holds nothing but the sample"
        )
        for field in fields(filling.Sizes):
            name = field.name.replace("_", "-")
            fill.add_argument(
                f"--{name}", type=int, default=field.default, metavar="N", help=f"so many ({field.default:,})"
            )
        fill.add_argument(
            "--anyway",
            action="store_true",
            help="also where there is more than the sample: nothing takes it back",
        )
        pages_parser = kinds.add_parser("pages", help="every page and GET operation, one after the other")
        pages_parser.add_argument("--url", default=settings.SSOT_BASE_URL, help="of the web server")
        pages_parser.add_argument("--times", type=int, default=10, help="how often each is asked (10)")
        pages_parser.add_argument("--only", default="", metavar="TEXT", help="those with this in their name")
        pages_parser.add_argument(
            "--sql", type=float, default=0.25, help="print queries that take longer (0.25 s)"
        )

    def handle(self, **options: Any) -> None:
        if options["kind"] == "fill":
            self._fill(options)
        else:
            self._pages(options)

    def _pages(self, options: dict[str, Any]) -> None:
        self._say(f"{_busy()} at the beginning")
        found: list[Figures] = []
        without: list[str] = []
        with measuring.visitor(options["url"]) as visitor:
            for page in pages.pages(pages.Examples()):
                if options["only"] not in page.name:
                    continue
                if isinstance(page, pages.NoExample):
                    without.append(page.name)
                    continue
                try:
                    figures = visitor.measure(page, options["times"])
                except OSError as error:
                    raise CommandError(
                        f"{options['url']} does not answer for {page.path}: {error}"
                    ) from error
                if figures.status != HTTPStatus.METHOD_NOT_ALLOWED:
                    found.append(figures)
        found.sort(key=lambda figures: figures.at(0.95), reverse=True)
        self._say(
            "| page | p50 ms | p95 | max | queries | in them ms | Python CPU ms | slowest query ms | kB |"
        )
        self._say("| --- " + "| ---: " * 8 + "|")
        for figures in found:
            self._say(_row(figures))
        self._say(f"\n{len(found)} addresses; {_busy()} at the end")
        if without:
            self._say(f"Not asked, for want of an example: {', '.join(without)}")
        for figures in found:
            if figures.slowest_seconds > options["sql"]:
                self._say(f"\n{figures.page.name}: {figures.slowest_seconds:.2f} s\n{figures.slowest}")
        if bad := [figures for figures in found if figures.status >= HTTPStatus.INTERNAL_SERVER_ERROR]:
            raise CommandError(f"{bad[0].page.path} answers {bad[0].status}")

    def _fill(self, options: dict[str, Any]) -> None:
        sizes = filling.Sizes(**{field.name: options[field.name] for field in fields(filling.Sizes)})
        began = time.monotonic()

        def say(text: str) -> None:
            self._say(f"{time.monotonic() - began:6.0f} s  {text}")

        try:
            sizes.check()
            filling.fill(sizes, say=say, anyway=options["anyway"])
        except (filling.NotEmpty, ValueError) as error:
            raise CommandError(str(error)) from error
        except DatabaseError as error:
            raise CommandError(f"It is filled in part: begin with a new data directory. {error}") from error
        say("done")

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()


def _busy() -> str:
    """How busy the machine is: figures without that say little."""
    return f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"


def _row(figures: Figures) -> str:
    name = figures.page.name if figures.status == HTTPStatus.OK else f"{figures.page.name} ({figures.status})"
    times = [1000 * figures.at(share) for share in (0.5, 0.95, 1.0)]
    rest = (figures.database, figures.cpu, figures.slowest_seconds)
    return (
        f"| {name} | {' | '.join(f'{value:.0f}' for value in times)} | {figures.queries} | "
        f"{' | '.join(f'{1000 * value:.0f}' for value in rest)} | {figures.size / 1000:.0f} |"
    )
