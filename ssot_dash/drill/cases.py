"""Faults of workers, of the broker and of the database while the site works. Each has a number that stays its own."""

import contextlib
from concurrent.futures import ThreadPoolExecutor
from signal import SIGSTOP, SIGTERM

from ssot_dash.drill.instance import kill, let_go
from ssot_dash.drill.trial import Trial
from ssot_dash.embedded import processes

_WAITS_TO_RECORD = "SELECT 1 FROM pg_locks WHERE relation = 'audits_lifespan'::regclass AND NOT granted"

# --- Workers --------------------------------------------------------------------------------------------------------


def f2(trial: Trial) -> None:
    """The process that records a result is killed in the middle of it.

    Nobody ever sees a part of a result, and the next attempt records all of it.
    """
    (slug,) = trial.repository(trial.ground.large)
    site = trial.site

    def visible() -> int:
        rows = site.rows(
            "SELECT count(*) FROM audits_violation AS v JOIN audits_repository AS r ON r.id = v.repository_id "
            "WHERE r.slug = %s",
            slug,
        )
        return int(rows[0][0]) if rows else 0

    # Recording waits here: violations are written by then, lifespans are not.
    with site.database() as database, database.transaction():
        database.execute("LOCK TABLE audits_lifespan IN SHARE MODE")
        trial.audit(slug)
        site.until(lambda: site.rows(_WAITS_TO_RECORD), 60, "the result was not recorded")
        trial.expect(visible() == 0, "a part of the result was visible")
        kill(*site.pool())
    partial: set[int] = set()

    def watched_to_the_end() -> bool:
        partial.add(visible())
        return trial.have_ended()

    site.until(watched_to_the_end, 120, "not recorded again")
    trial.expect(partial <= {0, 30}, f"a part of the result was visible: {sorted(partial)} violations")
    trial.notes.append(f"attempts: {max(trial.attempts(), default=0)}")


def f3(trial: Trial) -> None:
    """A whole worker is killed in the middle of an audit; a second one has nothing to do.

    Its audit is taken back and done by a worker that lives.
    """
    site = trial.site
    other = site.add_worker("worker-2")
    try:
        (slug,) = trial.repository(trial.ground.large)
        trial.audit(slug)
        held = site.hold(site.worker, other)
        busy = site.worker if set(held) & set(site.parsers(site.worker)) else other
        assert busy.process is not None
        kill(busy.process.pid, *site.pool(busy), *held)
        site.until(trial.have_ended, 120, "not taken over")
        trial.expect(trial.attempts() == [2], f"attempts: {trial.attempts()}")
    finally:
        site.remove(other)


def f4(trial: Trial) -> None:
    """A worker is told to stop (SIGTERM) in the middle of an audit, as an upgrade does it.

    The audit ends there, or goes back and is done by the next worker.
    """
    site = trial.site
    (slug,) = trial.repository(trial.ground.large)
    trial.audit(slug)
    held = site.hold()
    assert site.worker.process is not None
    site.worker.process.send_signal(SIGTERM)
    site.tend(2)
    let_go(held)


# --- The broker -----------------------------------------------------------------------------------------------------


def f6(trial: Trial) -> None:
    """The broker forgets everything (FLUSHALL) while many audits are queued.

    Their messages are sent again, because the rows say that they are queued.
    """
    site = trial.site
    number = trial.amount(200, 50, "audits")
    slugs = trial.repository(trial.ground.small, number)
    site.worker.stop()
    try:
        for slug in slugs:
            trial.audit(slug)
        with contextlib.closing(site.broker()) as broker:
            waiting = broker.llen("celery")
            trial.expect(waiting >= number, f"only {waiting} messages waited")
            broker.flushall()
    finally:
        site.launch(site.worker)


def f7(trial: Trial) -> None:
    """There is no broker when somebody clicks on "audit".

    The click is answered within two seconds, and the audit runs once the broker is back.
    """
    site = trial.site
    (slug,) = trial.repository(trial.ground.small)
    site.valkey.stop()
    try:
        answer = trial.audit(slug)
        trial.expect(answer.seconds < 2, f"answered after {answer.seconds:.1f} s")
        site.tend(trial.pause(10, 5))
    finally:
        site.valkey.launch()
        site.valkey.wait_ready()
    trial.notes.append(f"answered in {answer.seconds:.1f} s")


def f18(trial: Trial) -> None:
    """Fifty clicks on "audit" of one repository at the same moment.

    One audit begins, and the other answers point to it.
    """
    (slug,) = trial.repository(trial.ground.large)
    held = trial.site.pool()
    for pid in held:  # so that the first one has not ended before the last click
        processes.send(pid, SIGSTOP)
    try:
        with ThreadPoolExecutor(50) as clicks:
            answers = list(clicks.map(lambda _: trial.site.audit(slug), range(50)))
    finally:
        let_go(held)
    trial.expect(all(answer.accepted for answer in answers), "some clicks were refused")
    numbers = [answer.body["id"] for answer in answers if answer.accepted]
    trial.accepted |= dict.fromkeys(numbers, slug)
    new = [answer for answer in answers if answer.status == 202]
    trial.expect(len(new) == 1, f"{len(new)} answers said that they began one")
    trial.expect(len(set(numbers)) == 1, f"{len(set(numbers))} audits")
