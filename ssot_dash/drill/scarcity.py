"""Faults of time and memory, and those of the service of IDs."""

from signal import SIGSTOP, SIGTERM

from ssot_dash import scratch
from ssot_dash.drill.instance import children, descendants, let_go
from ssot_dash.drill.trial import Trial
from ssot_dash.embedded import processes

_LIMIT = 8  # seconds that an audit may take in F14 and F15


def f14(trial: Trial) -> None:
    """An audit takes longer than it may.

    It ends as failed, for that reason, and leaves no process behind.
    """
    site = trial.site
    trial.ends = "failed"
    (slug,) = trial.repository(trial.ground.large)
    with site.with_settings(SSOT_AUDIT_SECONDS=str(_LIMIT)):
        answer = trial.audit(slug)
        held = site.hold()
        site.until(trial.have_ended, 60, "it went on for ever")
        found = site.rows("SELECT error_code FROM audits_audit WHERE id = %s", answer.body["id"])
        trial.expect(found == [("timeout",)], f"failed for another reason: {found}")
        site.until(lambda: not set(held) & set(site.parsers()), 15, "its processes were left behind")
    trial.notes.append(f"a limit of {_LIMIT} s")


def f15(trial: Trial) -> None:
    """A task does not react to its limit: its process hangs altogether.

    The hard limit ends the process, and the audit is done by another attempt.
    """
    site = trial.site
    (slug,) = trial.repository(trial.ground.large)
    with site.with_settings(SSOT_AUDIT_SECONDS=str(_LIMIT)):
        trial.audit(slug)
        held = site.hold()
        hanging = [pid for pid in site.pool() if set(held) & set(descendants(pid))]
        for pid in hanging:
            processes.send(pid, SIGSTOP)
        let_go(held)
        site.until(lambda: not set(hanging) & set(site.pool()), 60, "the process that hung was not ended")
        site.until(trial.have_ended, 60, "not done by another attempt")
        trial.expect(trial.attempts() == [2], f"attempts: {trial.attempts()}")
    trial.notes.append(f"a limit of {_LIMIT} s, and the process stopped")


def f16(trial: Trial) -> None:
    """Files that make a parser ask for all memory there is.

    Their parsers are ended by their limits, the other files are read, and the worker lives on.
    """
    site = trial.site
    (slug,) = trial.repository(trial.ground.greedy)
    assert site.worker.process is not None
    before = site.worker.process.pid, set(children(site.worker.process.pid))
    trial.audit(slug)
    site.until(trial.have_ended, 120, "not ended")
    assert site.worker.process is not None
    after = site.worker.process.pid, set(children(site.worker.process.pid))
    trial.expect(before == after, "a process of the worker was replaced")
    trial.notes.append("files within the limits of size that need much; no hog of 600 MB in the task itself")


def f19(trial: Trial) -> None:
    """Eight processes issue IDs while some are killed and PostgreSQL crashes three times.

    No ID is handed out twice, and none that was committed is missing.
    """
    wanted = trial.amount(1_000_000, 30_000, "IDs")
    with scratch.site() as made:
        found = scratch.crash(made, wanted)
    if found.duplicates or found.lost:
        trial.lost.append(f"{found.duplicates} duplicates, {found.lost} lost")
    trial.expect(found.crashes == 3, f"{found.crashes} crashes")


def f20(trial: Trial) -> None:
    """A counter is behind the highest issued ID, as after a restore in part.

    No ID is issued and the answer says why; the repair command mends it.
    """
    site = trial.site
    site.shell("from ids.models import IDType; IDType.objects.get_or_create(value='drill')")
    issued = site.ask("POST", "/api/v1/ids/generate-many", {"type": "drill", "count": 100})
    trial.expect(issued.accepted, f"not issued before: {issued.status}")
    site.rows(
        "UPDATE ids_idcounter SET next_counter = 1 FROM ids_idtype AS t WHERE t.id = type_id AND t.value = 'drill'"
    )
    for pid in children(site.web.process.pid) if site.web.process is not None else ():
        processes.send(pid, SIGTERM)  # blocks that were leased before a restore are gone with the processes
    site.until(lambda: site.ask("GET", "/healthz").status == 200, 60, "no web server")
    refused = site.ask("POST", "/api/v1/ids/generate-many", {"type": "drill", "count": 100})
    trial.expect(not refused.accepted, "IDs were issued from a counter that is behind")
    trial.expect(
        "repair_counters" in str(refused.body), f"the answer does not say what to do: {refused.status}"
    )
    site.manage("repair_counters", "--ahead", "1000")
    again = site.ask("POST", "/api/v1/ids/generate-many", {"type": "drill", "count": 100})
    trial.expect(again.accepted, f"not issued after the repair: {again.status}")
    rows = site.rows("SELECT count(*), count(DISTINCT counter) FROM ids_issuedid WHERE id LIKE 'drill\\_%%'")
    if len(set(rows[0])) != 1:
        trial.lost.append(f"counters were issued twice: {rows}")
