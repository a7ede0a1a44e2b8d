"""Fills a scratch site's database with many rows, by statements of the database alone: millions take minutes.

What is written has the shape of what audits, uploads and programs write, and its own arithmetic instead of chance, so
that two fillings of one size are alike. Rows have numbers of their own, reserved before: what refers to a row is
computed and never looked up. Foreign keys are off meanwhile, and checked as a whole at the end.
"""

import json
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from django.db import connection

from audits import scoring
from audits.models import Repository
from ids.models import IssuedID

MARK: Final = "load-"
# Of everything that belongs to repositories, what the first one holds. The others share the rest equally.
_FIRST_SHARE: Final = 0.3
_ID_BATCH: Final = 500_000


class NotEmpty(Exception):
    """The site holds something besides the sample."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many rows of each kind there shall be, over all repositories or types."""

    repositories: int = 50
    violations: int = 1_000_000
    commits: int = 100_000
    audits: int = 10_000
    test_runs: int = 2_000
    test_results: int = 5_000_000
    issues: int = 2_000
    types: int = 100
    ids: int = 10_000_000
    activities: int = 200_000

    def check(self) -> None:
        """Raises ValueError where a size can't be had."""
        for field in fields(self):
            if not 1 <= getattr(self, field.name) <= 1_000_000_000:
                raise ValueError(f"{field.name} is from 1 to 1,000,000,000")
        if not 2 <= self.repositories <= 999:
            raise ValueError("repositories is from 2 to 999")
        if self.commits < 20 * self.repositories or self.audits < 5 * self.repositories:
            raise ValueError("A repository needs 20 commits and 5 audits at least.")
        if self.test_results < self.test_runs:
            raise ValueError("A test run needs a result at least.")


def fill(sizes: Sizes, *, say: Callable[[str], object], anyway: bool = False) -> None:
    """Write all of it, and have the database gather its statistics. Raises ``NotEmpty``."""
    _check(anyway=anyway)
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")
        cursor.execute(_FOREIGN_KEYS)
        keys = cursor.fetchall()
        for table, name, _ in keys:
            cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
        try:
            _Filling(sizes, say).run()
        finally:
            say("foreign keys")
            for table, name, definition in keys:
                cursor.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")
            cursor.execute("RESET synchronous_commit")
        say("statistics")
        # also what index-only scans need: they read the table of whatever no vacuum has seen
        cursor.execute("VACUUM (ANALYZE)")
    say("scores")
    for pk in Repository.objects.filter(slug__startswith=MARK).values_list("pk", flat=True):
        scoring.renew_all(pk)


def _check(*, anyway: bool) -> None:
    if Repository.objects.filter(slug__startswith=MARK).exists():
        raise NotEmpty("It was filled before: begin with a new data directory.")
    if not anyway and (Repository.objects.filter(is_sample=False).exists() or IssuedID.objects.exists()):
        raise NotEmpty("The site holds repositories besides the sample, or issued IDs.")


@dataclass(frozen=True, slots=True)
class _Part:
    """What one repository gets: its number from 1 on, how many rows, and the row number before its first of each."""

    number: int
    rows: Mapping[str, int]
    before: Mapping[str, int]

    @property
    def values(self) -> dict[str, Any]:
        return {
            "k": self.number,
            **self.rows,
            **{f"{name}_0": before for name, before in self.before.items()},
        }


class _Filling:
    def __init__(self, sizes: Sizes, say: Callable[[str], object]) -> None:
        self.sizes = sizes
        self.say = say
        self.tests = max(sizes.test_results // sizes.test_runs, 1)
        self.base = {name: self._last(table) for name, table in _TABLES.items()}
        self.used = dict(self.base)

    def run(self) -> None:
        for part in self._parts():
            values = part.values | {"tests": self.tests, "report": zlib.compress(b"<testsuite/>")}
            for sql in _OF_A_REPOSITORY:
                self._do(sql, values)
            self.say(
                f"repository {part.number} of {self.sizes.repositories}: {part.rows['violations']:,} violations"
            )
        self._issued()
        self._do(_ACTIVITY, {"n": self.sizes.activities})
        for table in (*_TABLES.values(), "ssot_dash_activity"):
            self._do(
                f"SELECT setval(pg_get_serial_sequence('{table}', 'id'),"
                f" greatest((SELECT max(id) FROM {table}), 1))"
            )

    def _parts(self) -> Iterable[_Part]:
        sizes = self.sizes
        whole = {
            "violations": sizes.violations,
            "commits": sizes.commits,
            "audits": sizes.audits,
            "runs": sizes.test_runs,
            "issues": sizes.issues,
        }
        others = sizes.repositories - 1
        least = {"violations": 0, "commits": 20, "audits": 5, "runs": 0, "issues": 0}
        for number in range(1, sizes.repositories + 1):
            rows = {}
            for name, total in whole.items():
                first = max(int(total * _FIRST_SHARE), least[name])
                rest = max(total - first, others * least[name])
                rows[name] = (
                    first if number == 1 else rest * (number - 1) // others - rest * (number - 2) // others
                )
            before = {name: self.used[name] for name in self.used}
            yield _Part(number, rows, before)
            for name, used in {
                **rows,
                "repositories": 1,
                "tests": self.tests,
                "trackers": rows["issues"],
            }.items():
                self.used[name] += used
            self.used["versions"] += _VERSIONS * rows["issues"]

    def _issued(self) -> None:
        """A third of all IDs is of the first type."""
        sizes = self.sizes
        first = sizes.ids * 3 // 10 if sizes.types > 1 else sizes.ids
        for number in range(1, sizes.types + 1):
            others = max(sizes.types - 1, 1)
            rest = sizes.ids - first
            count = first if number == 1 else rest * (number - 1) // others - rest * (number - 2) // others
            values = {
                "k": number,
                "type": self.base["types"] + number,
                "count": count,
                "value": f"{MARK}{number:03}",
            }
            self._do(_TYPE, values)
            for start in range(0, count, _ID_BATCH):
                self._do(_ISSUED, values | {"from": start + 1, "to": min(start + _ID_BATCH, count)})
            self._do(_COUNTER, values)
            self._do(_USE, values)
            if number == 1 or number % 10 == 0:
                self.say(f"type {number} of {sizes.types}: {count:,} IDs")

    def _do(self, sql: str, values: Mapping[str, Any] | None = None) -> None:
        with connection.cursor() as cursor:
            cursor.execute(sql, values)

    def _last(self, table: str) -> int:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT coalesce(max(id), 0) FROM {table}")
            return int(cursor.fetchone()[0])


_FOREIGN_KEYS: Final = """
SELECT conrelid::regclass::text, quote_ident(conname), pg_get_constraintdef(oid) FROM pg_constraint
 WHERE contype = 'f' AND conrelid::regclass::text ~ '^(audits|ids)_' ORDER BY 1, 2
"""
_VERSIONS: Final = 4
# What gets numbers of its own here, and where.
_TABLES: Final = {
    "repositories": "audits_repository",
    "audits": "audits_audit",
    "violations": "audits_violation",
    "commits": "audits_commit",
    "tests": "audits_test",
    "runs": "audits_testrun",
    "issues": "audits_issue",
    "trackers": "audits_tracker",
    "versions": "audits_trackerversion",
    "types": "ids_idtype",
}

# --- A repository -----------------------------------------------------------------------------------------------------
# Of its audits the first follows the history, one of twenty has failed, and the others are of commits at equal
# distances; the last one is of the newest commit, and the current one. ``h(n)`` is a number that looks like chance.

_MIX: Final = "(hashint8({})::bigint + 2147483648)"
_FAILED: Final = "(%(audits)s / 20)"
_GOOD: Final = f"(%(audits)s - 1 - {_FAILED})"
_REPOSITORY_ID: Final = "(%(repositories_0)s + 1)"
_CURRENT: Final = "(%(audits_0)s + %(audits)s)"
_ZONES: Final = "(ARRAY['prod', 'prod', 'test', 'script', 'archive', 'prod', 'test', 'prod'])"
_RULES: Final = (
    "(ARRAY['missing-member', 'missing-member', 'name-family', 'unresolved-import', 'forbidden-reference', "
    "'forbidden-reference', 'forbidden-reference', 'literal', 'deprecated-symbol', 'unique-definition'])"
)


def _sha(position: str) -> str:
    """The id of a repository's commit at a position."""
    text = f"'%(k)s-' || {position}"
    return f"md5({text}) || left(md5({text} || '-'), 8)"


def _time(position: str) -> str:
    return f"now() - interval '365 days' + ({position}) * interval '365 days' / (%(commits)s + 1)"


def _audit_at(position: str) -> str:
    """The audit of the first audited commit from a position on."""
    return f"(%(audits_0)s + 1 + {_FAILED} + ceil(({position})::numeric * {_GOOD} / %(commits)s)::bigint)"


_REPOSITORY: Final = f"""
INSERT INTO audits_repository (id, name, slug, location, branch, schedule, tracker_pattern, test_run_folder, is_sample,
    created_at, current_audit_id, canonical, score)
VALUES ({_REPOSITORY_ID}, 'Load ' || lpad(%(k)s::text, 3, '0'), '{MARK}' || lpad(%(k)s::text, 3, '0'),
    '/nowhere/load-%(k)s', 'main', 'off', 'SSOT-*.md', '', false, now() - interval '400 days', {_CURRENT},
    '{{"tables": {{}}, "forbidden": {{}}}}', '{{"subjects": 0, "clean": {{}}}}')
"""

# Everything that depends on a violation's number: when it came, whether and when it went.
_DRAFT: Final = f"""
CREATE TEMP TABLE load_draft AS
SELECT n, is_open, came, CASE WHEN NOT is_open
           THEN came + 1 + {_MIX.format("n * 7 + 3")} %% (%(commits)s - came) END AS went
  FROM (SELECT n, {_MIX.format("n * 5 + 1")} %% 10 < 6 AS is_open,
               1 + {_MIX.format("n * 3 + 2")} %% (%(commits)s * 9 / 10) AS came
          FROM generate_series(1::bigint, %(violations)s) AS n) AS drawn
"""

_VIOLATIONS: Final = f"""
INSERT INTO audits_violation (id, repository_id, fingerprint, rule, subject, member, path, scope, ordinal, zone,
    severity, line, "column", message, hint, annotations, definition_path, definition_line, is_open, latest_audit_id)
SELECT %(violations_0)s + n, {_REPOSITORY_ID}, left(md5('%(k)s/' || n), 32), rule, subject,
       'MEMBER_' || s %% 23, zone || '/package_' || f %% 41 || '/module_' || f || '.py',
       'Class_' || h %% 7 || '.method', 0, zone,
       CASE WHEN zone <> 'prod' THEN 'P3' ELSE 'P' || (h / 64 %% 3) END, 1 + h %% 900, h %% 60,
       subject || ' has no member MEMBER_' || s %% 23 || ': nothing of that name is defined there.',
       'Nearest name: MEMBER_' || s %% 19, CASE WHEN h %% 5 = 0 THEN ARRAY['guarded'] ELSE '{{}}'::varchar[] END,
       'app/core/definitions_' || s %% 17 || '.py', 10 + s %% 300, is_open,
       CASE WHEN is_open THEN {_CURRENT} ELSE greatest({_audit_at("went")} - 1, {_audit_at("came")}) END
  FROM (SELECT *, {_RULES}[1 + s %% 10] AS rule, {_ZONES}[1 + f %% 8] AS zone,
               'app.core.module_' || s / 11 || '.Subject' || s AS subject
          FROM (SELECT *, {_MIX.format("n")} AS h, {_MIX.format("n * 11")} %% (%(violations)s / 60 + 1) AS s,
                       {_MIX.format("n * 13")} %% (%(violations)s / 25 + 1) AS f
                  FROM load_draft) AS hashed) AS named
 ORDER BY n
"""

_SIGHTINGS: Final = f"""
INSERT INTO audits_sighting (audit_id, violation_id, line, "column")
SELECT audit, %(violations_0)s + n, 1 + {_MIX.format("n")} %% 900, {_MIX.format("n")} %% 60
  FROM (SELECT n, {_audit_at("came")} AS audit FROM load_draft
         UNION SELECT n, {_CURRENT} FROM load_draft WHERE is_open
         UNION SELECT n, greatest({_audit_at("went")} - 1, {_audit_at("came")}) FROM load_draft
                WHERE NOT is_open) AS seen
 ORDER BY n, audit
"""

_LIFESPANS: Final = f"""
INSERT INTO audits_lifespan (violation_id, introduced_in_id, gone_in_id)
SELECT %(violations_0)s + n, {_audit_at("came")}, {_audit_at("went")} FROM load_draft ORDER BY n
"""

_EVENTS: Final = """
INSERT INTO audits_event (violation_id, commit_id, kind)
SELECT %(violations_0)s + n, %(commits_0)s + came, 'introduced' FROM load_draft
 UNION ALL SELECT %(violations_0)s + n, %(commits_0)s + went, 'gone' FROM load_draft WHERE NOT is_open
"""

# The counts of the newest commit, as an audit has them: {rule: {zone: number}}.
_COUNTS: Final = f"""
CREATE TEMP TABLE load_counts AS
SELECT rule, zone, count(*) AS number FROM audits_violation
 WHERE repository_id = {_REPOSITORY_ID} AND is_open GROUP BY rule, zone
"""
_COUNTS_SHARE: Final = """
(SELECT coalesce(jsonb_object_agg(rule, zones), '{{}}') FROM (
    SELECT rule, jsonb_object_agg(zone, number * {share}) AS zones FROM load_counts GROUP BY rule) AS by_rule)
"""

_COMMITS: Final = f"""
INSERT INTO audits_commit (id, repository_id, sha, position, time, author, subject, parents, on_main, introduced, gone,
    counts, unseen)
SELECT %(commits_0)s + n, {_REPOSITORY_ID}, {_sha("n")}, n, {_time("n")},
       'Developer ' || n %% 37, 'Change number ' || n || ' of many',
       CASE WHEN n > 1 THEN ARRAY[{_sha("(n - 1)")}] ELSE '{{}}'::varchar[] END, true,
       coalesce(introduced, 0), coalesce(gone, 0),
       {_COUNTS_SHARE.format(share="n / %(commits)s")}, 0
  FROM generate_series(1, %(commits)s) AS n
  LEFT JOIN (SELECT came AS n, count(*) AS introduced FROM load_draft GROUP BY came) AS i USING (n)
  LEFT JOIN (SELECT went AS n, count(*) AS gone FROM load_draft GROUP BY went) AS g USING (n)
 ORDER BY n
"""

_AUDITS: Final = f"""
INSERT INTO audits_audit (id, repository_id, rev, covers, trigger, state, attempts, cancel_requested, queued_at,
    dispatched_at, started_at, finished_at, phase, files_done, files_total, findings_so_far, commit_sha, commit_time,
    commit_author, commit_subject, audited_parents, policy_digest, engine_version, files_read, files_parsed,
    findings_count, problems_count, counts, moves, timings, error_code, error_message, announced_at)
SELECT %(audits_0)s + n, {_REPOSITORY_ID}, '', CASE WHEN n = 1 THEN 'history' ELSE 'commit' END, 'push',
       CASE WHEN is_good THEN 'succeeded' ELSE 'failed' END, 1, false, at, at, at + interval '1 second',
       at + interval '9 seconds', '', 9000, 9000, 0, CASE WHEN is_good THEN {_sha("position")} ELSE '' END,
       CASE WHEN is_good THEN {_time("position")} END, 'Developer', 'Change number ' || position || ' of many',
       CASE WHEN is_good AND before > 0 THEN ARRAY[{_sha("before")}] ELSE '{{}}'::varchar[] END,
       'load', CASE WHEN n = 1 THEN '' ELSE '1' END, 9000, 40, coalesce(number, 0), 0,
       CASE WHEN n = %(audits)s THEN {_COUNTS_SHARE.format(share="1")} ELSE '{{}}'::jsonb END, '[]',
       '{{"fetch": 1.0, "parse": 5.0, "rules": 2.0}}', CASE WHEN is_good THEN '' ELSE 'fetch' END,
       CASE WHEN is_good THEN '' ELSE 'The repository could not be fetched.' END, at + interval '10 seconds'
  FROM (SELECT n, n = 1 OR j > 0 AS is_good, position, before, {_time("position")} + interval '1 minute' AS at
          FROM (SELECT n, j, CASE WHEN n = 1 THEN %(commits)s WHEN j > 0 THEN j * %(commits)s / {_GOOD}
                                  ELSE (n - 1) * %(commits)s / ({_FAILED} + 1) END AS position,
                       CASE WHEN j > 1 THEN (j - 1) * %(commits)s / {_GOOD} ELSE 0 END AS before
                  FROM (SELECT n, n - 1 - {_FAILED} AS j FROM generate_series(1::bigint, %(audits)s) AS n) AS a) AS b
       ) AS c
  LEFT JOIN (SELECT audit_id - %(audits_0)s AS n, count(*) AS number FROM audits_sighting
              WHERE audit_id > %(audits_0)s AND audit_id <= %(audits_0)s + %(audits)s GROUP BY audit_id) AS s USING (n)
 ORDER BY n
"""

_HISTORY: Final = f"""
INSERT INTO audits_history (repository_id, audit_id, head_sha, policy_digest, engine_version)
VALUES ({_REPOSITORY_ID}, %(audits_0)s + 1, {_sha("%(commits)s")}, 'load', '1')
"""

_TESTS: Final = f"""
INSERT INTO audits_test (id, repository_id, name)
SELECT %(tests_0)s + n, {_REPOSITORY_ID},
       'tests.package_' || n %% 40 || '.test_module_' || n %% 400 || '::test_case_' || n
  FROM generate_series(1, %(tests)s) AS n
"""
_RESULTS: Final = f"""
INSERT INTO audits_testresult (run_id, test_id, ordinal, outcome, phase, reason, message, seconds)
SELECT %(runs_0)s + r, %(tests_0)s + t, 0,
       CASE WHEN h < 95 THEN 'passed' WHEN h < 97 THEN 'failed' ELSE 'skipped' END, 'call',
       CASE WHEN h BETWEEN 95 AND 96 THEN 'AssertionError' ELSE '' END,
       CASE WHEN h BETWEEN 95 AND 96 THEN 'assert ' || t || ' == ' || r ELSE '' END, h / 1000.0
  FROM (SELECT r, t, {_MIX.format("t * 31 + r / 7")} %% 100 AS h
          FROM generate_series(1::bigint, %(runs)s) AS r, generate_series(1::bigint, %(tests)s) AS t) AS drawn
"""
_RUNS: Final = f"""
INSERT INTO audits_testrun (id, repository_id, commit_sha, commit_time, branch, name, digest, source, received_at,
    state, attempts, error, counts, tests, seconds, left_out, left_out_count)
SELECT %(runs_0)s + n, {_REPOSITORY_ID}, {_sha("position")}, {_time("position")}, 'main', 'unit.xml',
       md5(n::text) || md5('%(k)s'), 'api', {_time("position")} + interval '5 minutes', 'read', 1, '',
       (SELECT jsonb_object_agg(outcome, number) FROM (
           SELECT outcome, count(*) AS number FROM audits_testresult WHERE run_id = %(runs_0)s + n GROUP BY outcome
       ) AS counted), %(tests)s, 90, '[]', 0
  FROM (SELECT n, n * %(commits)s / %(runs)s AS position FROM generate_series(1::bigint, %(runs)s) AS n) AS placed
"""
_REPORTS: Final = """
INSERT INTO audits_testreport (run_id, data) SELECT %(runs_0)s + n, %(report)s FROM generate_series(1, %(runs)s) AS n
"""

# --- Its issues, each with a tracker ----------------------------------------------------------------------------------

_ISSUES: Final = f"""
INSERT INTO audits_issue (id, repository_id, title, kind, priority, created_at, state, stands_at, verdicts, open_places,
    contradictions, summary, evidence_at, judged_at)
SELECT %(issues_0)s + n, {_REPOSITORY_ID}, 'Bring subject ' || n || ' back to its source', 'regression', n %% 4,
       now() - n * interval '3 hours', (ARRAY['open', 'fixed', 'back', 'verified'])[1 + n %% 4], n %% 8,
       '["verified", "verified", "claimed", "contradicted", "unclaimed", "unclaimed", "unclaimed"]', n %% 60, n %% 3,
       '["Places of the subject stand in the code.", "The tracker says that there are none."]', now(), now()
  FROM generate_series(1, %(issues)s) AS n
"""
_SUBJECTS: Final = f"""
INSERT INTO audits_issuesubject (issue_id, rule, subject)
SELECT %(issues_0)s + 1 + row_number() OVER (ORDER BY subject, rule) %% greatest(%(issues)s, 1), rule, subject
  FROM (SELECT rule, subject FROM audits_violation WHERE repository_id = {_REPOSITORY_ID} GROUP BY rule, subject
         LIMIT 3 * %(issues)s) AS chosen WHERE %(issues)s > 0
"""
_REFERENCES: Final = """
INSERT INTO audits_issuereference (issue_id, kind, number, url)
SELECT %(issues_0)s + n, 'issue', 1000 + n, '' FROM generate_series(1, %(issues)s) AS n
"""
_NOTES: Final = """
INSERT INTO audits_issuenote (issue_id, kind, step, text, url, at)
SELECT %(issues_0)s + n, (ARRAY['comment', 'evidence', 'claim'])[1 + m %% 3], m %% 7, 'Word ' || m || ' on the issue',
       '', now() - n * interval '3 hours' + m * interval '7 minutes'
  FROM generate_series(1, %(issues)s) AS n, generate_series(1, 6) AS m
"""
_JUDGEMENTS: Final = f"""
INSERT INTO audits_judgement (issue_id, position, step, topic, verdict, claim, evidence, at, version_id, line, links)
SELECT %(issues_0)s + n, m, m %% 7, (ARRAY['places', 'files', 'tests pass', 'no regression'])[1 + m %% 4],
       (ARRAY['verified', 'claimed', 'contradicted', 'unclaimed'])[1 + (m + n) %% 4], 'Step ' || m || ' completed',
       'Measured at {{commit:' || {_sha("%(commits)s")} || '}}.',
       now() - n * interval '3 hours' + m * interval '9 minutes',
       %(versions_0)s + (n - 1) * {_VERSIONS} + 1 + m %% {_VERSIONS}, 1 + m, '[]'
  FROM generate_series(1, %(issues)s) AS n, generate_series(0, 11) AS m
"""
_TRACKERS: Final = f"""
INSERT INTO audits_tracker (id, repository_id, issue_id, path, title, is_pasted, is_gone)
SELECT %(trackers_0)s + n, {_REPOSITORY_ID}, %(issues_0)s + n, 'docs/SSOT-' || n || '.md', 'Subject ' || n, false, false
  FROM generate_series(1, %(issues)s) AS n
"""
_TRACKER_VERSIONS: Final = f"""
INSERT INTO audits_trackerversion (id, tracker_id, position, commit_sha, time, utc_offset, author, subject, path,
    blob_sha, text, was_damaged, error)
SELECT %(versions_0)s + (n - 1) * {_VERSIONS} + m, %(trackers_0)s + n, m, {_sha("position")}, {_time("position")}, 0,
       'Developer', 'Write down what was done', 'docs/SSOT-' || n || '.md', {_sha("position")},
       '# Subject ' || n || E'\n\n' || repeat(E'- [x] A step of the work is completed\n', 40), false, ''
  FROM (SELECT n, m, 1 + (n * 7 + m * %(commits)s / {_VERSIONS + 1}) %% %(commits)s AS position
          FROM generate_series(1, %(issues)s) AS n, generate_series(1, {_VERSIONS}) AS m) AS placed
"""
_CLAIMS: Final = f"""
INSERT INTO audits_claim (version_id, kind, step, words, line, path)
SELECT %(versions_0)s + v, 'step', m %% 7, 'A step of the work is completed', 2 + m, ''
  FROM generate_series(1, %(issues)s * {_VERSIONS}) AS v, generate_series(1, 8) AS m
"""

_OF_A_REPOSITORY: Final = (
    *(
        _REPOSITORY,
        _DRAFT,
        _VIOLATIONS,
        _SIGHTINGS,
        _LIFESPANS,
        _EVENTS,
        _COUNTS,
        _COMMITS,
        _AUDITS,
        _HISTORY,
    ),
    "DROP TABLE load_draft, load_counts",
    *(_TESTS, _RESULTS, _RUNS, _REPORTS),
    *(_ISSUES, _SUBJECTS, _REFERENCES, _NOTES, _JUDGEMENTS, _TRACKERS, _TRACKER_VERSIONS, _CLAIMS),
)

# --- IDs --------------------------------------------------------------------------------------------------------------
# A year of them, evenly; one of nine is released.

_TYPE: Final = """
INSERT INTO ids_idtype (id, value, description, status, format, owner, is_tracked, created_at, updated_at)
VALUES (%(type)s, %(value)s, 'One of many types', CASE WHEN %(k)s %% 12 = 0 THEN 'deprecated' ELSE 'active' END,
        'structured', 'team-' || %(k)s %% 9, true, now(), now())
"""
_ISSUED: Final = f"""
INSERT INTO ids_issuedid (id, type_id, counter, prefix, context, issued_at, state, owner, issuer, released_at)
SELECT %(value)s || '_' || n || '_' || lpad(to_hex({_MIX.format("n")}), 8, '0'), %(type)s, n, '', '{{"step": 1}}', at,
       CASE WHEN n %% 9 = 0 THEN 'released' ELSE 'issued' END,
       CASE WHEN n %% 5 = 0 THEN 'owner-' || n %% 10007 ELSE '' END, 'token:load',
       CASE WHEN n %% 9 = 0 THEN at + interval '1 hour' END
  FROM (SELECT n, now() - interval '365 days' + n * (interval '365 days' / (%(count)s + 1)) AS at
          FROM generate_series(%(from)s::bigint, %(to)s) AS n) AS timed
"""
_COUNTER: Final = """
INSERT INTO ids_idcounter (type_id, next_counter, issued, released, last_issued_at, leased_at)
VALUES (%(type)s, %(count)s + 1, %(count)s, %(count)s / 9, now(), now())
"""
# Of each grain what its retention keeps by default: a day of minutes, a month of hours, all days of a year.
_USE: Final = f"""
INSERT INTO ids_typeuse (type_id, grain, starts_at, kind, reason, count, seconds, buckets)
SELECT %(type)s, grain, start, kind, reason, 1 + {_MIX.format("extract(epoch FROM start)::bigint + %(k)s")} %% 200, 0.1,
       CASE WHEN kind = 'generated' THEN array_fill(7::bigint, ARRAY[15]) END
  FROM (SELECT 60 AS grain, generate_series(date_trunc('minute', now()) - interval '1 day', now(), '1 minute') AS start
        UNION ALL SELECT 3600, generate_series(date_trunc('hour', now()) - interval '31 days', now(), '1 hour')
        UNION ALL SELECT 86400, generate_series(
            date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' - interval '365 days', now(), '1 day')
        UNION ALL SELECT 0, to_timestamp(0)) AS times,
       (VALUES ('generated', ''), ('looked-up', ''), ('validated', ''), ('released', ''),
               ('rejected', 'retired'), ('rejected', 'format')) AS kinds (kind, reason)
"""

_WORDS: Final = (
    "started an audit",
    "edited a policy",
    "made an issue",
    "made a token",
    "accepted a violation",
)
_ACTIVITY: Final = f"""
INSERT INTO ssot_dash_activity (at, user_id, "user", token, address, verb, is_refused, repository_id, repository,
    object, url, details)
SELECT now() - interval '365 days' + n * interval '365 days' / (%(n)s + 1), NULL, 'person-' || n %% 60, '', '192.0.2.1',
       (ARRAY[{", ".join(f"'{word}'" for word in _WORDS)}])[1 + n %% {len(_WORDS)}], n %% 50 = 0, NULL,
       '{MARK}' || lpad((1 + n %% 50)::text, 3, '0'), 'Object ' || n, '/somewhere/', '{json.dumps({"reason": "load"})}'
  FROM generate_series(1::bigint, %(n)s) AS n
"""
