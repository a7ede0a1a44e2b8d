"""Measures the whole site under many rows and many people. For developers, on a scratch site of their own."""

import os
import tempfile
import time
from argparse import ArgumentParser
from dataclasses import fields
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError
from django.urls import reverse

from audits import sample
from ssot_dash.load import filling, measuring, pages, pushes
from ssot_dash.load.crowd import Crowd, Poll
from ssot_dash.load.measuring import Figures
from ssot_dash.load.pushes import Pushed

_STATIONS = {
    "answered": "the hook has answered",
    "began": "the audit begins",
    "ended": "the audit has ended",
    "shown": "the page shows it",
}


class Command(BaseCommand):
    help = (
        "Measure the whole site, for developers, on a scratch site that `up` runs. `load fill`: a million violations "
        "and more into its database. `load pages`: how long every page and GET operation takes there, and its queries. "
        "`load crowd`: uploads, polling browsers and audits at once. `load push PATH`: from a push to the page that "
        "shows what it brought."
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
        crowd_parser = kinds.add_parser("crowd", help="uploads, browsers that poll and audits at once")
        crowd_parser.add_argument("--url", default=settings.SSOT_BASE_URL, help="of the web server")
        crowd_parser.add_argument("--seconds", type=float, default=600, help="how long (600)")
        crowd_parser.add_argument("--uploaders", type=int, default=20, help="programs that send reports (20)")
        crowd_parser.add_argument(
            "--pause", type=float, default=10, help="seconds between two of one's reports (10)"
        )
        crowd_parser.add_argument("--browsers", type=int, default=50, help="open pages that poll (50)")
        crowd_parser.add_argument(
            "--audited", default=sample.SLUG, metavar="SLUG", help="the repository that is audited"
        )

        push_parser = kinds.add_parser("push", help="commits upon a repository, each until the page shows it")
        push_parser.add_argument("path", type=Path, help="a git repository; it is only read")
        push_parser.add_argument("--rev", default="HEAD", help="the commit to begin with (HEAD)")
        push_parser.add_argument("--url", default=settings.SSOT_BASE_URL, help="of the web server")
        push_parser.add_argument("--times", type=int, default=10, help="how many pushes (10)")
        push_parser.add_argument(
            "--seconds",
            type=float,
            default=600,
            help="wait so long for one, the first audit among them (600)",
        )

    def handle(self, **options: Any) -> None:
        if options["kind"] == "fill":
            self._fill(options)
        elif options["kind"] == "push":
            self._push(options)
        elif options["kind"] == "crowd":
            self._crowd(options)
        else:
            self._pages(options)

    def _pages(self, options: dict[str, Any]) -> None:
        self._say(f"{_busy()} at the beginning")
        found: list[Figures] = []
        without: list[str] = []
        unanswered = ""
        with measuring.visitor(options["url"]) as visitor:
            for page in pages.pages(pages.Examples()):
                if options["only"] not in page.name:
                    continue
                if isinstance(page, pages.NoExample):
                    without.append(page.name)
                    continue
                try:
                    figures = visitor.measure(page, options["times"])
                except (OSError, HTTPException) as error:
                    # What was measured so far took minutes: it is told.
                    unanswered = f"{options['url']} does not answer for {page.path}: {error}"
                    break
                except KeyboardInterrupt:
                    unanswered = f"Interrupted before {page.path}; what comes after it was not asked for."
                    break
                if figures.status != HTTPStatus.METHOD_NOT_ALLOWED:
                    found.append(figures)
        found.sort(key=lambda figures: figures.at(0.95), reverse=True)
        self._say(
            "| page | p50 ms | p95 | max | queries | in them ms | Python CPU ms | database CPU ms | "
            "slowest query ms | kB |"
        )
        self._say("| --- " + "| ---: " * 9 + "|")
        for figures in found:
            self._say(_row(figures))
        self._say(f"\n{len(found)} addresses; {_busy()} at the end")
        if without:
            self._say(f"Not asked, for want of an example: {', '.join(without)}")
        for figures in found:
            if figures.slowest_seconds > options["sql"]:
                self._say(f"\n{figures.page.name}: {figures.slowest_seconds:.2f} s\n{figures.slowest}")
        if unanswered:
            raise CommandError(unanswered)
        if bad := [figures for figures in found if figures.status >= HTTPStatus.INTERNAL_SERVER_ERROR]:
            raise CommandError(f"{bad[0].page.path} answers {bad[0].status}")

    def _crowd(self, options: dict[str, Any]) -> None:
        examples = pages.Examples()
        if examples.repository is None or examples.type is None:
            raise CommandError("There is nothing to look at here: fill the site, or load the sample.")
        polls = (
            Poll(reverse("audits:overview"), "repository-list", 3),
            Poll(reverse("audits:audit-list"), "audit-results", 3),
            Poll(reverse("audits:repository-detail", args=[options["audited"]]), "audit-panel", 2),
            Poll(reverse("audits:test-run-list", args=[examples.repository.slug]), "test-runs", 3),
            Poll(reverse("operations"), "operations-live", 5),
            Poll(reverse("ids:type-list"), "idtype-rows", 4),
            Poll(reverse("ids:type-detail", args=[examples.type.value]), "type-live", 3),
        )
        self._say(f"{_busy()} at the beginning")
        with measuring.visitor(options["url"]) as visitor:
            crowd = Crowd(
                visitor,
                polls,
                slug=examples.repository.slug,
                audited=options["audited"],
                uploaders=options["uploaders"],
                browsers=options["browsers"],
                pause=options["pause"],
            )
            outcome = crowd.run(options["seconds"])
        self._say("| request | number | p50 ms | p95 | max |\n| --- " + "| ---: " * 4 + "|")
        for name, seconds in sorted(outcome.seconds.items()):
            ordered = sorted(seconds)
            times = [1000 * measuring.percentile(ordered, share) for share in (0.5, 0.95, 1.0)]
            self._say(f"| {name} | {len(ordered)} | {' | '.join(f'{value:.0f}' for value in times)} |")
        statuses = ", ".join(
            f"{count} x {status}" for status, count in sorted(outcome.statuses.items()) if count
        )
        first, most, last = (
            value / 1e6 for value in (outcome.memory[0], max(outcome.memory), outcome.memory[-1])
        )
        self._say(
            f"\nStatuses: {statuses}; {outcome.errors} errors, {outcome.refused} refused or unanswered."
        )
        self._say(f"Memory of the web processes: {first:.0f} MB, at most {most:.0f}, {last:.0f} at the end.")
        self._say(f"{_busy()} at the end")
        if outcome.errors:
            raise CommandError(f"{outcome.errors} answers were errors of the server.")

    def _push(self, options: dict[str, Any]) -> None:
        self._say(f"{_busy()} at the beginning")
        with tempfile.TemporaryDirectory(dir=settings.DATA_DIR) as folder:
            try:
                with (
                    pushes.borrowed(options["path"], options["rev"], Path(folder)) as repository,
                    measuring.visitor(options["url"]) as visitor,
                ):
                    found = [
                        pushes.push(visitor, repository, number, options["seconds"])
                        for number in range(options["times"] + 1)
                    ]
                    # before the repository goes: that can take longer than the pushes did
                    self._pushed(found)
            except (OSError, pushes.PushFailed) as error:
                raise CommandError(str(error)) from error

    def _pushed(self, found: list[Pushed]) -> None:
        first, *rest = found
        self._say(f"first audit, of everything: shown after {first.shown:.1f} s")
        self._say("| from the push until | p50 s | max |\n| --- | ---: | ---: |")
        for name, words in _STATIONS.items():
            ordered = sorted(getattr(each, name) for each in rest)
            if ordered:
                self._say(f"| {words} | {measuring.percentile(ordered, 0.5):.2f} | {ordered[-1]:.2f} |")
        if rest:
            phases = sorted(rest[-1].phases.items(), key=lambda item: item[1], reverse=True)
            words = ", ".join(f"{phase} {seconds:.2f}" for phase, seconds in phases[:8])
            self._say(f"The last audit, in seconds: {words}.")
        self._say(f"{len(rest)} pushes; {_busy()} at the end")

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
    rest = (figures.database, figures.cpu, figures.database_cpu, figures.slowest_seconds)
    return (
        f"| {name} | {' | '.join(f'{value:.0f}' for value in times)} | {figures.queries} | "
        f"{' | '.join('–' if value is None else f'{1000 * value:.0f}' for value in rest)} | "
        f"{figures.size / 1000:.0f} |"
    )
