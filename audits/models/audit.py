"""One audit: its place in the ledger, its result, and the facts that audits share."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.urls import reverse

from audits.models.repository import Repository


class State(models.TextChoices):
    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


IN_FLIGHT = (State.QUEUED, State.RUNNING)


class Trigger(models.TextChoices):
    CLICK = "click", "by hand"
    SCHEDULE = "schedule", "by schedule"
    SAMPLE = "sample", "for the sample"
    FOLLOW_UP = "follow-up", "after new commits"
    PUSH = "push", "after a push"
    POLICY = "policy", "for a new policy"


class Covers(models.TextChoices):
    COMMIT = "commit", "one commit"
    HISTORY = "history", "the whole history"
    DUPLICATES = "duplicates", "possible duplicates"


class Audit(models.Model):
    """One run over (repository, commit, policy, engine). The row is the truth; a message only carries its id.

    States move by conditional UPDATE (queued -> running -> succeeded | failed | cancelled; the last three are final).
    ``lease_token`` fences writes: whoever lost the lease writes nothing more. ``same_as`` points to an earlier audit
    with the same key, whose result this one shares. ``audited_parents`` are the commits that a succeeded audit's
    commit is compared with: its nearest ancestors that were audited too, whenever that was. ``policy_version`` is the
    repository's policy when the audit began (None: the default one, or one from before versions were kept), and
    ``policy_digest`` what that came to. While an audit waits for
    another attempt, ``error_message`` says why the last one ended. An audit that ``covers`` the history counts commits
    instead of files while it follows them, and has no sightings; neither has one that covers possible duplicates,
    which are no violations.
    """

    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="audits")
    rev = models.CharField(
        max_length=255, blank=True, help_text="A commit, tag or branch. Empty: the repository's branch."
    )
    covers = models.CharField(max_length=10, choices=Covers.choices, default=Covers.COMMIT)
    trigger = models.CharField(max_length=10, choices=Trigger.choices, default=Trigger.CLICK)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    attempts = models.PositiveSmallIntegerField(default=0)
    lease_token = models.UUIDField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    cancel_requested = models.BooleanField(default=False)
    queued_at = models.DateTimeField(auto_now_add=True)
    dispatched_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    phase = models.CharField(max_length=40, blank=True)
    files_done = models.PositiveIntegerField(default=0)
    files_total = models.PositiveIntegerField(default=0)
    findings_so_far = models.PositiveIntegerField(default=0)
    seconds_left = models.PositiveIntegerField(
        null=True, blank=True, help_text="An estimate, for this phase."
    )

    commit_sha = models.CharField(max_length=64, blank=True)
    commit_time = models.DateTimeField(null=True, blank=True)
    commit_author = models.CharField(max_length=200, blank=True)
    commit_subject = models.CharField(max_length=300, blank=True)
    audited_parents = ArrayField(models.CharField(max_length=64), default=list, blank=True)
    policy_version = models.ForeignKey(
        "audits.PolicyVersion",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="audits",
        db_index=False,  # the index ``audits_by_policy`` serves it
    )
    policy_digest = models.CharField(max_length=64, blank=True)
    engine_version = models.CharField(max_length=32, blank=True)
    same_as = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.CASCADE, related_name="repeats"
    )
    files_read = models.PositiveIntegerField(default=0)
    files_parsed = models.PositiveIntegerField(default=0)
    findings_count = models.PositiveIntegerField(default=0)
    problems_count = models.PositiveIntegerField(default=0)
    counts = models.JSONField(default=dict, blank=True, help_text="{rule: {zone: number of findings}}")
    moves = models.JSONField(
        default=list, blank=True, help_text="[[old, new, zone, folder, uses of the old one, of the new one]]"
    )
    timings = models.JSONField(default=dict, blank=True, help_text="{phase: seconds}")
    error_code = models.CharField(max_length=40, blank=True)
    announced_at = models.DateTimeField(null=True, blank=True)
    error_message = models.TextField(blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["repository"], condition=models.Q(state__in=IN_FLIGHT), name="one_audit_in_flight"
            ),
            models.UniqueConstraint(
                fields=["repository", "commit_sha", "policy_digest", "engine_version"],
                condition=models.Q(state=State.SUCCEEDED, same_as=None, covers=Covers.COMMIT),
                name="one_result_per_commit_policy_and_engine",
            ),
        ]
        indexes = [
            models.Index(fields=["repository", "-id"], name="audits_of_repository"),
            models.Index(fields=["state"], condition=models.Q(state__in=IN_FLIGHT), name="audits_in_flight"),
            models.Index(
                fields=["policy_version"],
                condition=models.Q(policy_version__isnull=False),
                name="audits_by_policy",
            ),
            models.Index(
                fields=["finished_at"],
                condition=models.Q(announced_at=None, finished_at__isnull=False),
                name="audits_to_be_announced",
            ),
        ]

    def __str__(self) -> str:
        return f"Audit {self.pk} of {self.repository_id} at {self.commit_sha[:9] or self.rev or 'branch'}"

    def get_absolute_url(self) -> str:
        return reverse("audits:audit-detail", args=[self.pk])

    @property
    def result(self) -> "Audit":
        """The audit whose sightings and problems are this one's."""
        return self.same_as or self

    @property
    def in_flight(self) -> bool:
        return self.state in IN_FLIGHT


class AuditProblem(models.Model):
    """Something that the audit could not look at."""

    audit = models.ForeignKey(Audit, on_delete=models.CASCADE, related_name="problems")
    path = models.TextField(blank=True)
    kind = models.CharField(max_length=30)
    rule = models.CharField(max_length=60, blank=True, help_text="the rule that failed")
    message = models.TextField()

    class Meta:
        ordering = ["path", "id"]

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class BlobFacts(models.Model):
    """Facts of one blob, shared by all repositories, commits and workers; a pure function of the blob's bytes."""

    pk = models.CompositePrimaryKey("blob_sha", "version")
    blob_sha = models.CharField(max_length=64)
    version = models.PositiveSmallIntegerField()
    facts = models.BinaryField()

    class Meta:
        verbose_name_plural = "blob facts"

    def __str__(self) -> str:
        return f"{self.blob_sha} v{self.version}"


class RememberedResult(models.Model):
    """What the engine found in a tree, under a digest of all that this depends on; the last few are kept."""

    key = models.CharField(max_length=64, unique=True)
    result = models.BinaryField()

    def __str__(self) -> str:
        return self.key


class PartOffer(models.Model):
    """A part of the files of a running audit that other workers may parse: the compressed sources by blob id.

    The row is deleted when the part is parsed or taken back. The table is unlogged: after a crash of the database it is
    empty, and the audit's own worker parses what was in it.
    """

    audit = models.ForeignKey(Audit, on_delete=models.CASCADE, related_name="+")
    facts_version = models.PositiveSmallIntegerField()
    file_bytes = models.PositiveBigIntegerField()
    file_seconds = models.PositiveIntegerField()
    sources = models.BinaryField()
    taken_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"Part {self.pk} of audit {self.audit_id}"
