"""Whose turn it is: a message only says that some audit waits, and which one is begun is decided here, from the rows.

An audit counts as asked for later by as long as its repository has kept workers busy in the last hour. So a repository
that is audited over and over waits for others that are not, nobody waits for ever, and those who have used as much are
served in the order in which they asked. (A repository has one audit in flight at most, so none runs beside itself.)

Audits that may take long, of a whole history say, never take all processes: the last one is left to audits of commits.
"""

from collections.abc import Collection
from typing import Final

from django.db import connection
from django.dispatch import Signal

from audits import workforce
from audits.models import Audit, Covers, State

LONG: Final = (Covers.HISTORY, Covers.DUPLICATES)
# Sent with ``audit_id`` when an audit's turn has come: the message may have named another one.
begun = Signal()

# Of each repository its last few audits are looked at: the row of its oldest need not be read.
_NEXT = """
SELECT waiting.id
  FROM audits_audit AS waiting
  LEFT JOIN LATERAL (
    SELECT sum(extract(epoch FROM coalesce(last.finished_at, now())
                                - greatest(last.started_at, now() - interval '1 hour'))) AS seconds
      FROM (SELECT started_at, finished_at FROM audits_audit AS earlier
             WHERE earlier.repository_id = waiting.repository_id ORDER BY id DESC LIMIT 20) AS last
     WHERE last.started_at IS NOT NULL AND coalesce(last.finished_at, now()) > now() - interval '1 hour'
  ) AS used ON true
 WHERE waiting.state = 'queued' AND NOT waiting.covers = ANY(%s)
 ORDER BY waiting.queued_at + coalesce(used.seconds, 0) * interval '1 second', waiting.id
 LIMIT 1
"""


def next_audit() -> int | None:
    """The queued audit that is to begin now; None when there is none, or none that may."""
    with connection.cursor() as cursor:
        cursor.execute(_NEXT, [list(_not_now())])
        row = cursor.fetchone()
    return None if row is None else int(row[0])


def _not_now() -> Collection[str]:
    """The kinds of audits that have to wait, because as many as may already run. Two workers that ask in the same
    moment can make it one more."""
    processes = workforce.known().auditing()
    if not processes:
        return ()
    running = Audit.objects.filter(state=State.RUNNING, covers__in=LONG).count()
    return LONG if running >= max(processes - 1, 1) else ()


def is_any_held_back() -> bool:
    """Whether a long audit waits whose message may have come while it was not to begin."""
    return Audit.objects.filter(state=State.QUEUED, covers__in=LONG, dispatched_at__isnull=False).exists()
