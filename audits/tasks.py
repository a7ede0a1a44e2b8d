"""Celery tasks: thin, each takes a row's id and calls the service. Sending a message never breaks what the row says."""

import logging

from celery import shared_task
from celery.exceptions import SoftTimeLimitExceeded
from django.db import DatabaseError, transaction

from audits import auditing
from audits.models import Audit

logger = logging.getLogger(__name__)


@shared_task  # type: ignore[untyped-decorator]
def run_audit(audit_id: int) -> None:
    """Work on one audit, if it is (still) queued."""
    try:
        auditing.run(audit_id)
        if (follow_up := auditing.follow_up(audit_id)) is not None:
            _dispatch(follow_up.pk)
    except Audit.DoesNotExist:
        return  # its repository was deleted
    except (MemoryError, RecursionError, SoftTimeLimitExceeded):
        # Celery takes a MemoryError for its own and stops the worker. The row's lease ends by itself.
        logger.exception("Audit %s: the attempt ended without a word in its row", audit_id)


@shared_task  # type: ignore[untyped-decorator]
def dispatch_due() -> None:
    """The beat: take back what was lost, request what is due, send messages for what waits."""
    for step in (auditing.reap, auditing.due):
        try:
            step()
        except DatabaseError:
            # The next beat comes soon; meanwhile the other steps may still work.
            logger.exception("The dispatcher could not %s", step.__name__)
    for audit_id in auditing.to_dispatch():
        _send(audit_id)


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
