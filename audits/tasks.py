"""Celery tasks: thin, each takes a row's id and calls the service. Sending a message never breaks what the row says."""

import logging

from celery import Task, shared_task
from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import DatabaseError, transaction

from audits import (
    auditing,
    executing,
    ingesting,
    inquiries,
    notifying,
    pushing,
    remediation,
    removing,
    scoring,
    sharing,
    turns,
    waiving,
    working,
)
from audits.facts_store import forget_old_facts
from audits.models import Audit, Covers, PolicyInquiry, Repository, State, TestExecution, TestRun

logger = logging.getLogger(__name__)

HELP_SECONDS = 60  # after which nobody need come to help any more


@shared_task  # type: ignore[untyped-decorator]
def run_audit(audit_id: int) -> None:
    """Work on a queued audit, if there is (still) one: that whose message this is, or another whose turn comes before.
    That one's message is for the others."""
    try:
        ended = working.run_next(_call_helpers)
        if ended is None:
            return
        _evidence_of(ended)
        if (follow_up := auditing.follow_up(ended)) is not None:
            _dispatch(follow_up.pk)
        if turns.is_any_held_back():
            _send(ended)
    except Audit.DoesNotExist:
        return  # its repository was deleted
    except (MemoryError, RecursionError, SoftTimeLimitExceeded):
        # Celery takes a MemoryError for its own and stops the worker. The row's lease ends by itself.
        logger.exception("Audit %s: the attempt ended without a word in its row", audit_id)


@shared_task  # type: ignore[untyped-decorator]
def parse_facts(audit_id: int) -> None:
    """Parse some files of an audit that another worker works on, if it (still) offers any."""
    try:
        sharing.help_with(audit_id)
    except (MemoryError, RecursionError, SoftTimeLimitExceeded):
        logger.exception("Helping audit %s ended early; its own worker does the rest", audit_id)


def _call_helpers(audit_id: int, helpers: int) -> None:
    for _ in range(min(helpers, settings.SSOT_SHARE_HELPERS)):
        try:
            parse_facts.apply_async([audit_id], retry=False, expires=HELP_SECONDS)
        except Exception as error:  # noqa: BLE001 (whatever ails the broker, the audit goes on alone)
            logger.warning("Nobody helps audit %s: the broker took no message (%s)", audit_id, error)
            return


def _evidence_of(audit_id: int) -> None:
    """A succeeded audit is evidence for its repository's issues."""
    succeeded = Audit.objects.filter(pk=audit_id, state=State.SUCCEEDED).exclude(covers=Covers.DUPLICATES)
    for repository_id in succeeded.values_list("repository", flat=True):
        evidence_arrived(repository_id)


@shared_task  # type: ignore[untyped-decorator]
def read_test_run(run_id: int) -> None:
    """Read a test report, if it still waits."""
    run = ingesting.read(run_id)
    if run is not None:
        evidence_arrived(run.repository_id)


@shared_task  # type: ignore[untyped-decorator]
def execute_tests(execution_id: int) -> None:
    """Run a repository's tests, if that still waits."""
    try:
        run = executing.run(execution_id)
    except (MemoryError, RecursionError, SoftTimeLimitExceeded):
        # As with audits; the row counts as lost when its time is over.
        logger.exception("Execution %s ended without a word in its row", execution_id)
        return
    if run is not None:
        evidence_arrived(run.repository_id)


@shared_task(time_limit=60, soft_time_limit=50)  # type: ignore[untyped-decorator]
def send_notices(delivery_id: str) -> None:
    """Try to deliver notices."""
    notifying.send(delivery_id)


@shared_task  # type: ignore[untyped-decorator]
def keep_up(repository_id: int) -> None:
    """Follow a repository's trackers and judge its issues anew, as far as there is something to do. Many issues are
    judged in turns, between which audits begin."""
    if remediation.keep_up(repository_id, seconds=remediation.TURN_SECONDS):
        _send_keep_up(repository_id)


@shared_task  # type: ignore[untyped-decorator]
def finish_removal(repository_id: int) -> None:
    """Delete what is left of a removed repository, in turns, between which audits begin."""
    if removing.go_on(repository_id, seconds=removing.TURN_SECONDS):
        _deliver(finish_removal, repository_id)


@shared_task  # type: ignore[untyped-decorator]
def collect_test_runs(repository_id: int) -> None:
    """Take in what is new in a repository's watched folder."""
    for repository in Repository.objects.filter(pk=repository_id):
        for run in ingesting.collect(repository):
            _deliver(read_test_run, run.pk)


@shared_task  # type: ignore[untyped-decorator]
def answer_inquiry(inquiry_id: int) -> None:
    """Say what a draft of a policy would change, if somebody (still) waits for it."""
    inquiries.answer(inquiry_id)


@shared_task  # type: ignore[untyped-decorator]
def dispatch_due() -> None:
    """The beat: take back what was lost, request what is due, send messages for what waits."""
    steps = (
        auditing.reap,
        auditing.due,
        pushing.due,
        executing.reap,
        executing.due,
        inquiries.tidy,
        forget_old_facts,
        sharing.tidy,
        _dispatch_lapsed,
        _dispatch_evidence,
        notifying.announce_audits,
        notifying.gather,
        _dispatch_notices,
        _dispatch_inquiries,
        _dispatch_removals,
    )
    for step in steps:
        try:
            step()
        except DatabaseError:
            # The next beat comes soon; meanwhile the other steps may still work.
            logger.exception("The dispatcher could not %s", step.__name__)
    for audit_id in auditing.to_dispatch():
        _send(audit_id)


def _dispatch_inquiries() -> None:
    for inquiry_id in inquiries.to_answer():
        _deliver(answer_inquiry, inquiry_id)


def _dispatch_removals() -> None:
    for repository_id in removing.due():
        _deliver(finish_removal, repository_id)


def _dispatch_lapsed() -> None:
    """What was accepted until a day that has passed is open again, and verdicts say so."""
    for repository_id in waiving.lapsed():
        scoring.renew(repository_id)
        evidence_arrived(repository_id)


def _dispatch_notices() -> None:
    for delivery_id in notifying.to_send():
        _deliver(send_notices, delivery_id)


def _dispatch_evidence() -> None:
    watched = Repository.objects.exclude(test_run_folder="").values_list("pk", flat=True)
    for repository_id in watched:
        _deliver(collect_test_runs, repository_id)
    for run_id in ingesting.to_read():
        _deliver(read_test_run, run_id)
    for execution_id in executing.to_dispatch():
        _deliver(execute_tests, execution_id)
    for repository_id in remediation.behind():
        _send_keep_up(repository_id)


def read_after_commit(run: TestRun) -> None:
    """Send the message for a received test run once its row is committed. Without a broker, the beat does it later."""
    transaction.on_commit(lambda: _deliver(read_test_run, run.pk))


def pushed(repository: Repository) -> None:
    """Audit what was pushed now, unless an audit is in flight: then the beat does it later."""
    audit = pushing.request(repository)
    if audit is not None:
        dispatch_after_commit(audit)


def remove(repository: Repository) -> None:
    """Remove a repository, and have its rows deleted. Without a broker, the beat begins with that later."""
    with transaction.atomic():
        removing.remove(repository)
        transaction.on_commit(lambda: _deliver(finish_removal, repository.pk))


def execute_after_commit(execution: TestExecution) -> None:
    """Send the message for requested tests once their row is committed. Without a broker, the beat does it later."""
    transaction.on_commit(lambda: _deliver(execute_tests, execution.pk))


def answer_after_commit(inquiry: PolicyInquiry) -> None:
    """Send the message for a new inquiry once its row is committed. Without a broker, the beat does it later."""
    transaction.on_commit(lambda: _deliver(answer_inquiry, inquiry.pk))


def keep_up_after_commit(repository_id: int) -> None:
    """Have a repository's issues judged once what was written is committed."""
    transaction.on_commit(lambda: _send_keep_up(repository_id))


def evidence_arrived(repository_id: int) -> None:
    """Have a repository's issues judged anew, because something arrived that may change their verdicts."""
    remediation.arrived(repository_id)
    _send_keep_up(repository_id)


def _send_keep_up(repository_id: int) -> None:
    _deliver(keep_up, repository_id)


def _deliver(task: Task, row_id: int | str) -> None:
    try:
        task.apply_async([row_id], retry=False)
    except Exception as error:  # noqa: BLE001 (whatever ails the broker, the rows wait for the next beat)
        logger.warning("%s of %s waits: the broker took no message (%s)", task.name, row_id, error)


def dispatch_after_commit(audit: Audit) -> None:
    """Send the message for a new audit once its row is committed. Without a broker, the beat does it later."""
    transaction.on_commit(lambda: _dispatch(audit.pk))


def _dispatch(audit_id: int) -> None:
    if auditing.mark_dispatched(audit_id):
        _send(audit_id)


def _send(audit_id: int) -> None:
    try:
        run_audit.apply_async([audit_id], retry=False)
    except Exception as error:  # noqa: BLE001 (whatever ails the broker, the row waits for the next beat)
        logger.warning("Audit %s waits: the broker took no message (%s)", audit_id, error)
        auditing.not_dispatched(audit_id)
