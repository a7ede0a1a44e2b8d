"""Faults of workers, of the broker and of the database while the site works. Each has a number that stays its own."""

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from signal import SIGSTOP, SIGTERM

from ssot_dash.drill.instance import Instance, kill, let_go
from ssot_dash.drill.trial import NotRun, Trial
from ssot_dash.embedded import processes, programs

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


def _with_its_own_broker(trial: Trial) -> Instance:
    if trial.site.given_broker:
        raise NotRun("hurts the drill's own broker, and was given another one")
    return trial.site


def f5(trial: Trial) -> None:
    """The broker goes away (SIGTERM) while four audits run, and comes back.

    The workers come back as well, all audits end, and what is delivered twice does no harm.
    """
    site = _with_its_own_broker(trial)
    other = site.add_worker("worker-2")  # four processes in all
    try:
        slugs = trial.repository(trial.ground.large, 4)
        for slug in slugs:
            trial.audit(slug)
        held = site.hold(site.worker, other, audits=4)
        site.valkey.stop()
        try:
            let_go(held)
            site.tend(trial.pause(60, 8))
        finally:
            site.valkey.launch()
            site.valkey.wait_ready()
        site.until(trial.have_ended, 120, "not all ended")
    finally:
        site.remove(other)


def f6(trial: Trial) -> None:
    """The broker forgets everything (FLUSHALL) while many audits are queued.

    Their messages are sent again, because the rows say that they are queued.
    """
    site = _with_its_own_broker(trial)
    number = trial.amount(200, 50, "audits")
    slugs = trial.repository(trial.ground.small, number)
    site.worker.stop()
    try:
        for slug in slugs:
            trial.audit(slug)
        with contextlib.closing(site.broker()) as broker:
            waiting = broker.llen("audits")
            trial.expect(waiting >= number, f"only {waiting} messages waited")
            broker.flushall()
    finally:
        site.launch(site.worker)


def f7(trial: Trial) -> None:
    """There is no broker when somebody clicks on "audit".

    The click is answered within two seconds, and the audit runs once the broker is back.
    """
    site = _with_its_own_broker(trial)
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


def f8(trial: Trial) -> None:
    """The broker has no room for another message (maxmemory) when somebody clicks on "audit".

    The click is answered within two seconds, and the audit runs once there is room.
    """
    site = _with_its_own_broker(trial)
    (slug,) = trial.repository(trial.ground.small)
    with contextlib.closing(site.broker()) as broker:
        broker.config_set("maxmemory", 1)
        try:
            answer = trial.audit(slug)
            trial.expect(answer.seconds < 2, f"answered after {answer.seconds:.1f} s")
            site.tend(5)
        finally:
            broker.config_set("maxmemory", 0)


# --- The database ---------------------------------------------------------------------------------------------------


def f9(trial: Trial) -> None:
    """PostgreSQL is restarted (fast) while nothing is to be done.

    The next requests succeed, and so does the next audit.
    """
    site = trial.site
    (slug,) = trial.repository(trial.ground.small)
    trial.expect(site.ask("GET", "/api/v1/repositories").status == 200, "not well before")
    site.postgres.stop()
    site.postgres.launch()
    site.postgres.wait_ready()
    answers = [site.ask("GET", "/api/v1/repositories").status for _ in range(10)]
    trial.expect(answers == [200] * 10, f"answers after the restart: {answers}")
    trial.audit(slug)


def f10(trial: Trial) -> None:
    """PostgreSQL is restarted (fast) in the middle of an audit.

    The audit goes on or is tried again, and nothing of it is recorded twice.
    """
    site = trial.site
    (slug,) = trial.repository(trial.ground.large)
    trial.audit(slug)
    held = site.hold()
    site.postgres.stop()
    site.postgres.launch()
    site.postgres.wait_ready()
    let_go(held)
    site.until(trial.have_ended, 120, "not ended")
    trial.notes.append(f"attempts: {max(trial.attempts(), default=0)}")


def f11(trial: Trial) -> None:
    """PostgreSQL is away when a worker takes the message of an audit, and for a while after.

    The audit is done once the database is back.
    """
    site = trial.site
    (slug,) = trial.repository(trial.ground.small)
    held = site.pool()
    for pid in held:
        processes.send(pid, SIGSTOP)
    try:
        trial.audit(slug)
        site.postgres.stop()
    finally:
        let_go(held)
    site.tend(trial.pause(120, 10))
    site.postgres.launch()
    site.postgres.wait_ready()


# --- The scheduler --------------------------------------------------------------------------------------------------


def f12(trial: Trial) -> None:
    """Two schedulers run at the same time.

    Each slot of a schedule is audited once.
    """
    site = trial.site
    slugs = trial.repository(trial.ground.small, 5)
    second = site.add(programs.beat(site.environment, site.logs, "beat-2"))
    slots = 0
    try:
        end = time.monotonic() + trial.pause(300, 20)
        while time.monotonic() < end:
            slots += len(_slot(trial, slugs))
            site.until(lambda: not _pending(trial, slugs), 60, "a slot was not audited")
    finally:
        site.remove(second)
        _off(trial, slugs)
    audits = site.rows(_OF_SLUGS, slugs)
    trial.accepted |= dict(audits)
    trial.expect(len(audits) == slots, f"{len(audits)} audits for {slots} slots")
    trial.notes.append(f"{slots} slots")


def f13(trial: Trial) -> None:
    """There is no worker for a long time, and schedules go on.

    Each repository has at most one audit that waits; it is done when there is a worker.
    """
    site = trial.site
    slugs = trial.repository(trial.ground.small, 5)
    # The scheduler's tick is a message as well: with no worker at all nothing is requested. So another host's ticks.
    site.worker.stop()
    try:
        hours = 4
        for _ in range(hours):
            _slot(trial, slugs)
            site.shell("from audits import auditing; auditing.due()")
            waiting = site.rows(_WAITING, slugs)
            trial.expect([number for (number,) in waiting] == [1] * 5, f"waiting for each: {waiting}")
        trial.notes.append(f"{hours} slots that were missed instead of an hour's wait")
    finally:
        _off(trial, slugs)
        site.launch(site.worker)
    trial.accepted |= dict(site.rows(_OF_SLUGS, slugs))
    trial.expect(len(trial.accepted) == 5, f"{len(trial.accepted)} audits of 5 repositories")


_OF_SLUGS = """
SELECT a.id, r.slug FROM audits_audit AS a JOIN audits_repository AS r ON r.id = a.repository_id WHERE r.slug = ANY(%s)
"""
_WAITING = """
SELECT count(*) FROM audits_audit AS a JOIN audits_repository AS r ON r.id = a.repository_id
 WHERE r.slug = ANY(%s) AND a.state = 'queued' GROUP BY r.id
"""
_PENDING = """
SELECT 1 FROM audits_repository AS r
 WHERE r.slug = ANY(%s) AND (r.next_audit_at <= now() OR EXISTS (
    SELECT 1 FROM audits_audit AS a WHERE a.repository_id = r.id AND a.state IN ('queued', 'running')))
"""


def _slot(trial: Trial, slugs: list[str]) -> list[str]:
    """The next slot of hourly repositories comes now."""
    trial.site.rows(
        "UPDATE audits_repository SET schedule = 'hourly', next_audit_at = now() - interval '1 s' "
        "WHERE slug = ANY(%s)",
        slugs,
    )
    return slugs


def _pending(trial: Trial, slugs: list[str]) -> bool:
    return bool(trial.site.rows(_PENDING, slugs))


def _off(trial: Trial, slugs: list[str]) -> None:
    trial.site.rows("UPDATE audits_repository SET schedule = 'off' WHERE slug = ANY(%s)", slugs)


# --- Many at once ---------------------------------------------------------------------------------------------------


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
