"""Tests that the site runs itself: what to run for a repository, and each time that it was run."""

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.urls import reverse

from audits.models.repository import Repository, Schedule
from audits.models.testrun import TestRun


class TestCommand(models.Model):
    """The command that runs a repository's tests, in a throw-away checkout of a commit, and its limits.

    ``command`` is a program and its arguments, without a shell; ``report`` the JUnit file that it writes, relative to
    the checkout. ``seconds`` are wall time, ``memory_mb`` the address space of each process in MiB.
    """

    __test__ = False  # for pytest: this is no class of tests

    repository = models.OneToOneField(Repository, on_delete=models.CASCADE, related_name="test_command")
    command = models.CharField(max_length=2_000)
    report = models.CharField(max_length=300, default="report.xml")
    seconds = models.PositiveIntegerField(
        default=600, validators=[MinValueValidator(1), MaxValueValidator(86_400)]
    )
    memory_mb = models.PositiveIntegerField(
        default=2_048, validators=[MinValueValidator(64), MaxValueValidator(1_048_576)]
    )
    processes = models.PositiveIntegerField(
        default=256, validators=[MinValueValidator(1), MaxValueValidator(65_536)]
    )
    schedule = models.CharField(max_length=10, choices=Schedule.choices, default=Schedule.OFF)
    next_run_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.command


class TestExecution(models.Model):
    """One time that a repository's tests were run here.

    ``command`` is as it was then. ``is_offline`` says whether the network was cut off, None before it began.
    ``alive_until`` is when it counts as lost unless its worker says otherwise. ``output`` is the end of what the
    command wrote. ``run`` is the test run that came of it.
    """

    __test__ = False

    class State(models.TextChoices):
        QUEUED = "queued", "Queued"
        RUNNING = "running", "Running"
        SUCCEEDED = "succeeded", "Reported"
        FAILED = "failed", "Failed"

    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="executions")
    rev = models.CharField(max_length=255, blank=True, help_text="Empty: the newest commit of the branch.")
    commit_sha = models.CharField(max_length=64, blank=True)
    command = models.CharField(max_length=2_000)
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    queued_at = models.DateTimeField(auto_now_add=True)
    dispatched_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    alive_until = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    is_offline = models.BooleanField(null=True, blank=True)
    exit_status = models.IntegerField(null=True, blank=True)
    error = models.TextField(blank=True)
    output = models.TextField(blank=True)
    run = models.ForeignKey(TestRun, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["repository"],
                condition=models.Q(state__in=["queued", "running"]),
                name="one_execution_in_flight",
            )
        ]

    def __str__(self) -> str:
        return f"{self.command[:40]} at {self.commit_sha[:9] or self.rev or 'the branch'}"

    def get_absolute_url(self) -> str:
        return reverse("audits:test-execution", args=[self.pk])

    @property
    def is_in_flight(self) -> bool:
        return self.state in {self.State.QUEUED, self.State.RUNNING}
