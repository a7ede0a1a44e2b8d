"""A fire drill: hurts a private site in many ways and says what it survived, and whether anything was lost."""

import signal
import sys
import textwrap
from argparse import ArgumentParser
from collections.abc import Iterable
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ssot_dash.drill import instance
from ssot_dash.drill.catalogue import CASES
from ssot_dash.drill.settings import TICK_SECONDS
from ssot_dash.drill.trial import Ground, Score, attempt
from ssot_dash.embedded.errors import CannotStart


def _end(*_: object) -> None:
    """Told to stop, the drill takes its site and its files with it."""
    sys.exit("Stopped.")


class Command(BaseCommand):
    help = (
        "Hurt a private site (real processes, a temporary directory, reachable from here alone) in the ways F1 to "
        "H4 of docs/reliability.md, and print what it survived and whether anything was lost. For developers."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("cases", nargs="*", metavar="CASE", help="such as F3 (default: all)")
        parser.add_argument("--times", type=int, default=5, help="how often each is tried (5)")
        parser.add_argument("--full", action="store_true", help="let faults last as long as the case says")
        parser.add_argument(
            "--broker",
            default="",
            metavar="URL",
            help="a broker of this machine that nothing else uses (amqp://me:secret@127.0.0.1//) instead of its own",
        )
        parser.add_argument("--list", action="store_true", help="only say what the cases are")

    def handle(self, **options: Any) -> None:
        wanted = [name.upper() for name in options["cases"]] or list(CASES)
        if unknown := [name for name in wanted if name not in CASES]:
            raise CommandError(f"There is no case {unknown[0]}. There are {', '.join(CASES)}.")
        if not 1 <= options["times"] <= 1000:
            raise CommandError("--times is from 1 to 1000")
        if options["list"]:
            for name in wanted:
                self.stdout.write(f"{name:<4} {CASES[name].title}")
            return
        signal.signal(signal.SIGTERM, _end)
        try:
            scores = self._run(wanted, options["times"], options["broker"], full=options["full"])
        except CannotStart as error:
            raise CommandError(str(error)) from error
        self._table(scores)
        if any(score.survived < score.tries or score.kept < score.tries for score in scores):
            raise CommandError("Not everything was survived without a loss.")

    def _run(self, wanted: Iterable[str], times: int, broker: str, *, full: bool) -> list[Score]:
        settings = ", ".join(f"{name}={value}" for name, value in instance.SETTINGS.items())
        self._say(f"A private site with {settings} and a tick of the scheduler every {TICK_SECONDS} s.")
        scores = []
        with instance.running(broker) as site:
            ground = Ground(site)
            for name in wanted:
                score = Score(CASES[name])
                scores.append(score)
                for _ in range(times):
                    attempt(score.case, ground, score, full=full)
                    if score.not_run:
                        break
                self._say(self._line(score))
        return scores

    def _table(self, scores: Iterable[Score]) -> None:
        self._say(
            "\n| case | survived | nothing lost | seconds each | note |\n| --- | --- | --- | --- | --- |"
        )
        for score in scores:
            self._say(self._row(score))

    def _row(self, score: Score) -> str:
        note = "; ".join(score.notes)
        name = f"{score.case.name} {score.case.title}"
        if score.not_run:
            return f"| {name} | not run | not run | | {score.not_run} |"
        return (
            f"| {name} | {score.survived} of {score.tries} | {score.kept} of {score.tries} | "
            f"{score.seconds / score.tries:.0f} | {note} |"
        )

    def _line(self, score: Score) -> str:
        if score.not_run:
            return f"{score.case.name:<4} not run: {score.not_run}"
        words = textwrap.shorten("; ".join(score.notes), 300)
        return (
            f"{score.case.name:<4} survived {score.survived} of {score.tries}, nothing lost {score.kept} of "
            f"{score.tries}, {score.seconds / score.tries:.0f} s each. {words}"
        )

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()
