"""Test runs: what a report of tests said at a commit."""

from django.conf import settings
from django.db import models
from django.db.models.functions import MD5
from django.urls import reverse

from audits.models.repository import Repository


class TestRun(models.Model):
    """The results of one execution of tests at a commit, as a report tells them.

    ``digest`` is the SHA-256 of the report's bytes: the same file for the same commit is the same run. The report is
    stored before anybody is told that it was received; ``state`` says whether it has been read since, or was read and
    has lost its results to age (then it is compared with nothing any more). ``counts`` are
    {outcome: number of results}; ``left_out`` the first entries of the report that gave no result or not all of one,
    [entry, why, line], of ``left_out_count``. ``commit_time`` is empty while the repository's copy lacks the commit.
    """

    __test__ = False  # for pytest: this is no class of tests

    class State(models.TextChoices):
        RECEIVED = "received", "Received"
        READ = "read", "Read"
        FAILED = "failed", "Can't be read"
        EMPTIED = "emptied", "Results deleted"

    class Source(models.TextChoices):
        UPLOAD = "upload", "uploaded"
        API = "api", "sent by a program"
        COMMAND = "command", "imported from a terminal"
        FOLDER = "folder", "found in the watched folder"
        SAMPLE = "sample", "part of the sample"
        RUNNER = "runner", "run here"

    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="test_runs")
    commit_sha = models.CharField(max_length=64)
    commit_time = models.DateTimeField(null=True, blank=True)
    branch = models.CharField(max_length=255, blank=True)
    name = models.CharField(max_length=200, help_text="The report's file name, or what its sender calls it.")
    digest = models.CharField(max_length=64)
    source = models.CharField(max_length=10, choices=Source.choices)
    received_at = models.DateTimeField(auto_now_add=True)
    received_from = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    state = models.CharField(max_length=10, choices=State.choices, default=State.RECEIVED)
    attempts = models.PositiveSmallIntegerField(default=0)
    dispatched_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True)
    counts = models.JSONField(default=dict, blank=True)
    tests = models.PositiveIntegerField(default=0)
    seconds = models.FloatField(null=True, blank=True)
    left_out = models.JSONField(default=list, blank=True)
    left_out_count = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["repository", "commit_sha", "digest"], name="one_run_per_commit_and_report"
            )
        ]
        indexes = [
            models.Index(fields=["repository", "-id"], name="test_runs_of_repository"),
            models.Index(fields=["id"], condition=models.Q(state="received"), name="test_runs_to_be_read"),
        ]

    def __str__(self) -> str:
        return f"{self.name} at {self.commit_sha[:9]}"

    def get_absolute_url(self) -> str:
        return reverse("audits:test-run", args=[self.pk])

    @property
    def bad(self) -> int:
        """How many results are failures or errors."""
        return int(self.counts.get("failed", 0)) + int(self.counts.get("error", 0))


class TestReport(models.Model):
    """The original bytes of a run's report, compressed with zlib."""

    __test__ = False

    run = models.OneToOneField(TestRun, on_delete=models.CASCADE, primary_key=True, related_name="report")
    data = models.BinaryField()

    def __str__(self) -> str:
        return f"Report of run {self.run_id}"


class Test(models.Model):
    """A test of a repository by its name, ``package.module.Class::test[parameter]``."""

    __test__ = False

    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="tests", db_index=False)
    name = models.TextField()

    class Meta:
        # Names can be longer than an index entry may be.
        constraints = [models.UniqueConstraint("repository", MD5("name"), name="one_test_per_name")]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("audits:test-detail", args=[self.pk])


class TestResult(models.Model):
    """How a test ended in a run. ``ordinal`` counts equal names in one report."""

    __test__ = False

    run = models.ForeignKey(TestRun, on_delete=models.CASCADE, related_name="results", db_index=False)
    test = models.ForeignKey(Test, on_delete=models.CASCADE, related_name="results")
    ordinal = models.PositiveIntegerField(default=0)
    outcome = models.CharField(max_length=8)
    phase = models.CharField(max_length=10, default="call")
    reason = models.CharField(max_length=100, blank=True)
    message = models.TextField(blank=True)
    seconds = models.FloatField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "test", "ordinal"], name="one_result_per_run_and_test")
        ]

    def __str__(self) -> str:
        return f"{self.test_id} {self.outcome} in {self.run_id}"
