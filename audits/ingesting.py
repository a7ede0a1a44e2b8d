"""Takes in test reports: the only writer of test runs and their results.

A report is stored, with its digest, before anybody is told that it was received; reading it comes after that and can
be done again by anybody at any time.
"""

import hashlib
import logging
import zlib
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Now

from audits import fetching, recording
from audits.engine.git import GitError, GitRepository
from audits.models import Judgement, Repository, TestReport, TestResult, TestRun
from audits.testruns import Limits, ReportError, Result, Skipped, read_json_report, read_junit

logger = logging.getLogger(__name__)

# Of the entries that gave no result: these many are kept with their reasons.
LEFT_OUT_SHOWN = 200
_HEX = frozenset("0123456789abcdef")


class ReceiveError(ValueError):
    """A report that is not accepted; the message tells a person what is wrong and what to do."""

    def __init__(self, message: str, code: str = "invalid") -> None:
        super().__init__(message)
        self.code = code


def limits() -> Limits:
    """What a report may hold, by the site's settings."""
    return Limits(size=settings.SSOT_TEST_REPORT_BYTES, cases=settings.SSOT_TEST_REPORT_CASES)


def check_size(size: int) -> None:
    """Raises ``ReceiveError`` for a report of more bytes than are taken in."""
    if size > settings.SSOT_TEST_REPORT_BYTES:
        words = f"The report has {size:,} bytes; the limit is {settings.SSOT_TEST_REPORT_BYTES:,}"
        raise ReceiveError(f"{words} (SSOT_TEST_REPORT_BYTES).", "too-large")


def receive(
    repository: Repository,
    data: bytes,
    *,
    name: str,
    commit: str,
    branch: str = "",
    source: TestRun.Source = TestRun.Source.UPLOAD,
    user: AbstractBaseUser | AnonymousUser | None = None,
) -> tuple[TestRun, bool]:
    """Store a report. Answers its run, and whether it is new: the same bytes for the same commit are the same run. One
    whose results were deleted is read again, unless its file just lies in the watched folder still.

    ``commit`` is a full id, or anything that names a commit in the repository's copy. The caller has the run read.
    Raises ``ReceiveError``.
    """
    if not data:
        raise ReceiveError("The report is empty.")
    check_size(len(data))
    sha, time = _commit(repository, commit)
    digest = hashlib.sha256(data).hexdigest()
    with transaction.atomic():
        run, is_new = TestRun.objects.get_or_create(
            repository=repository,
            commit_sha=sha,
            digest=digest,
            defaults={
                "commit_time": time,
                "branch": recording.clean(branch, 255),
                "name": recording.clean(name, 200) or "report",
                "source": source,
                "received_from_id": user.pk if user is not None and user.is_authenticated else None,
            },
        )
        if not is_new and source != TestRun.Source.FOLDER:
            again = TestRun.objects.filter(pk=run.pk, state=TestRun.State.EMPTIED)
            is_new = bool(again.update(state=TestRun.State.RECEIVED, received_at=Now(), attempts=0))
        if is_new:
            run.refresh_from_db()
            TestReport.objects.update_or_create(run=run, defaults={"data": zlib.compress(data, 6)})
    return run, is_new


def _commit(repository: Repository, text: str) -> tuple[str, datetime | None]:
    """The full id of a commit, and its time when this host's copy has it."""
    text = text.strip()
    is_full = len(text) in {40, 64} and set(text.lower()) <= _HEX
    try:
        rev = fetching.check_revision(text)
        if not rev:
            raise ReceiveError("Name the commit that the tests ran at.")
        found = GitRepository(fetching.path_of(repository)).resolve(rev.lower() if is_full else rev)
    except fetching.LocationError as error:
        raise ReceiveError(str(error)) from error
    except GitError as error:
        if is_full:
            return text.lower(), None
        raise ReceiveError(
            f"The commit {text[:40]!r} can’t be found in this repository’s copy: give its full id of 40 digits."
        ) from error
    return found.sha, found.time


# --- Reading ------------------------------------------------------------------------------------------------


def to_read() -> list[int]:
    """The runs that wait to be read and for which nobody was sent a while ago, each claimed for the caller."""
    recently = Now() - Value(timedelta(seconds=settings.SSOT_REDISPATCH_SECONDS))
    waiting = TestRun.objects.filter(state=TestRun.State.RECEIVED, repository__removed_at=None).filter(
        Q(dispatched_at=None) | Q(dispatched_at__lt=recently)
    )
    wanted = waiting.order_by("pk").values_list("pk", flat=True)[: settings.SSOT_REDISPATCH_BATCH]
    return [pk for pk in wanted if waiting.filter(pk=pk).update(dispatched_at=Now())]


def read(run_id: int) -> TestRun | None:
    """Read a run's report into results, all or nothing. None when there is nothing to do (any more)."""
    waiting = TestRun.objects.filter(pk=run_id, state=TestRun.State.RECEIVED, repository__removed_at=None)
    if not waiting.update(attempts=F("attempts") + 1):
        return None
    try:
        with transaction.atomic():
            run = waiting.select_for_update(skip_locked=True, of=("self",)).select_related("report").first()
            if run is None:
                return None
            if run.attempts > settings.SSOT_MAX_ATTEMPTS:
                raise ReportError("reading it was tried too often without an end")
            _store(run, _rows(run.name, zlib.decompress(bytes(run.report.data))))
    except ReportError as error:
        words = str(error)
        waiting.update(state=TestRun.State.FAILED, error=recording.clean(f"{words[:1].upper()}{words[1:]}."))
    return TestRun.objects.get(pk=run_id)


def _rows(name: str, data: bytes) -> Iterable[Result | Skipped]:
    stream: BinaryIO = BytesIO(data)
    start = data[:64].lstrip(b"\xef\xbb\xbf \t\r\n")
    is_json = start[:1] in {b"{", b"["} or (name.lower().endswith(".json") and start[:1] != b"<")
    return read_json_report(stream, limits()) if is_json else read_junit(stream, limits())


_RESULTS_TABLE = (
    "CREATE TEMPORARY TABLE audits_results (name text, ordinal integer, outcome varchar(8), phase varchar(10),"
    " reason varchar(100), message text, seconds double precision) ON COMMIT DROP"
)
_NEW_TESTS = (
    "INSERT INTO audits_test (repository_id, name) SELECT DISTINCT %(repository)s::bigint, name FROM audits_results"
    " ON CONFLICT DO NOTHING"
)
_NEW_RESULTS = (
    "INSERT INTO audits_testresult (run_id, test_id, ordinal, outcome, phase, reason, message, seconds)"
    " SELECT %(run)s, test.id, new.ordinal, new.outcome, new.phase, new.reason, new.message, new.seconds"
    " FROM audits_results AS new JOIN audits_test AS test"
    " ON test.repository_id = %(repository)s AND md5(test.name) = md5(new.name)"
    " ON CONFLICT DO NOTHING"
)


def _store(run: TestRun, rows: Iterable[Result | Skipped]) -> None:
    counts: Counter[str] = Counter()
    left_out: list[list[object]] = []
    left_out_count, seconds = 0, 0.0
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS pg_temp.audits_results")
        cursor.execute(_RESULTS_TABLE)
        with cursor.copy("COPY audits_results FROM STDIN") as copy:
            for row in rows:
                if isinstance(row, Skipped):
                    left_out_count += 1
                    if len(left_out) < LEFT_OUT_SHOWN:
                        left_out.append([recording.clean(row.entry), recording.clean(row.why), row.line])
                    continue
                counts[row.outcome] += 1
                seconds += row.seconds or 0
                copy.write_row(
                    (
                        recording.clean(row.test),
                        row.ordinal,
                        str(row.outcome),
                        row.phase,
                        recording.clean(row.reason, 100),
                        recording.clean(row.message),
                        row.seconds,
                    )
                )
        cursor.execute("ANALYZE audits_results")
        cursor.execute("SELECT count(DISTINCT name) FROM audits_results")
        (tests,) = cursor.fetchone() or (0,)
        ids = {"run": run.pk, "repository": run.repository_id}
        cursor.execute(_NEW_TESTS, ids)
        cursor.execute(_NEW_RESULTS, ids)
    run.state, run.error = TestRun.State.READ, ""
    run.counts, run.tests, run.seconds = dict(counts), tests, round(seconds, 3)
    run.left_out, run.left_out_count = left_out, left_out_count
    run.save(update_fields=["state", "error", "counts", "tests", "seconds", "left_out", "left_out_count"])


# --- The watched folder -------------------------------------------------------------------------------------


def collect(repository: Repository) -> list[TestRun]:
    """Receive what is new in a repository's watched folder: ``<folder>/<commit>/<report>``, XML or JSON.

    A file that is not accepted is told about in the log and tried again the next time. Nothing is moved or deleted.
    """
    folder = Path(repository.test_run_folder)
    found = []
    for path in sorted(folder.glob("*/*")) if repository.test_run_folder else ():
        if path.suffix.lower() not in {".xml", ".json"} or not path.is_file() or path.is_symlink():
            continue
        try:
            if path.stat().st_size > settings.SSOT_TEST_REPORT_BYTES:
                raise ReceiveError(f"larger than {settings.SSOT_TEST_REPORT_BYTES:,} bytes")
            run, is_new = receive(
                repository,
                path.read_bytes(),
                name=path.name,
                commit=path.parent.name,
                source=TestRun.Source.FOLDER,
            )
        except (OSError, ReceiveError) as error:
            logger.warning("Test report %s is not taken in: %s", path, error)
            continue
        found += [run] if is_new else []
    return found


# --- Growing old --------------------------------------------------------------------------------------------


def outdated(before: datetime) -> QuerySet[TestRun]:
    """Runs that were received before a time and whose results nothing needs any more, the oldest first.

    Needed are those that the verdicts of issues rest on, those at the commits that repositories stand at, and of each
    branch the newest, which the next one is compared with.
    """
    read = TestRun.objects.filter(state=TestRun.State.READ)
    newer = read.filter(repository=OuterRef("repository"), branch=OuterRef("branch"), pk__gt=OuterRef("pk"))
    current = Repository.objects.filter(
        pk=OuterRef("repository"), current_audit__commit_sha=OuterRef("commit_sha")
    )
    judgements = Judgement.objects.exclude(links=[]).only("links")
    evidence = {run for judgement in judgements for run in judgement.runs}
    return (
        read.filter(Exists(newer), ~Exists(current), received_at__lt=before)
        .exclude(pk__in=evidence)
        .order_by("pk")
    )


def empty(run_ids: Iterable[int]) -> int:
    """Delete the results of runs, of each in a transaction of its own; of how many. What is counted of them stays."""
    emptied = 0
    for run_id in run_ids:
        with transaction.atomic():
            run = TestRun.objects.filter(pk=run_id, state=TestRun.State.READ)
            if run.update(state=TestRun.State.EMPTIED):
                TestResult.objects.filter(run=run_id).delete()
                emptied += 1
    return emptied
