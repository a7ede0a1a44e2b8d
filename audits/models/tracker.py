"""Tracker documents, their versions through history, and what each version claims anew."""

from django.db import models
from django.urls import reverse

from audits.models.repository import Repository


class TrackerScan(models.Model):
    """How far a repository's history was searched for trackers: up to ``head_sha``, with ``pattern``.

    ``error`` says why the last search could not be made; then what was found before stays.
    """

    repository = models.OneToOneField(Repository, on_delete=models.CASCADE, related_name="tracker_scan")
    head_sha = models.CharField(max_length=64, blank=True)
    pattern = models.CharField(max_length=200, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    tried_sha = models.CharField(max_length=64, blank=True)
    tried_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True)

    def __str__(self) -> str:
        return f"Trackers of {self.repository_id} up to {self.head_sha[:9]}"


class Tracker(models.Model):
    """A document that follows a remediation: a file of the repository, through all its versions and renames, or a
    text that somebody pasted.

    ``path`` is where it stands now, or stood last. ``issue`` is the one whose claims it holds.
    """

    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="trackers")
    issue = models.ForeignKey(
        "audits.Issue", null=True, blank=True, on_delete=models.SET_NULL, related_name="trackers"
    )
    path = models.TextField()
    title = models.TextField(blank=True)
    is_pasted = models.BooleanField(default=False)
    is_gone = models.BooleanField(default=False)

    class Meta:
        ordering = ["path", "id"]

    def __str__(self) -> str:
        return self.title or self.path

    def get_absolute_url(self) -> str:
        return reverse("audits:tracker", args=[self.pk])


class TrackerVersion(models.Model):
    """What a tracker said from one commit on. ``position`` orders versions, parents before children.

    ``time`` is the commit's, or when the text was pasted; then ``commit_sha`` is empty. ``text`` is as it was read:
    ``was_damaged`` says that UTF-8 had been read as Windows-1252 before, and that this is undone. ``original`` are
    the bytes of what was pasted; those of a file are in git. ``error`` says why it can't be read.
    """

    tracker = models.ForeignKey(Tracker, on_delete=models.CASCADE, related_name="versions", db_index=False)
    position = models.PositiveIntegerField()
    commit_sha = models.CharField(max_length=64, blank=True)
    time = models.DateTimeField()
    utc_offset = models.SmallIntegerField(
        default=0, help_text="Minutes east of UTC, where the commit was made."
    )
    author = models.CharField(max_length=200, blank=True)
    subject = models.CharField(max_length=300, blank=True)
    path = models.TextField()
    blob_sha = models.CharField(max_length=64, blank=True)
    text = models.TextField(blank=True)
    was_damaged = models.BooleanField(default=False)
    original = models.BinaryField(null=True, blank=True)
    error = models.TextField(blank=True)

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["tracker", "position"], name="one_version_per_position")
        ]
        indexes = [models.Index(fields=["commit_sha"], name="tracker_versions_by_commit")]

    def __str__(self) -> str:
        return f"{self.tracker_id} at {self.commit_sha[:9] or self.time}"


class Claim(models.Model):
    """Something that a version says and the one before it didn't. ``number`` is what it counts, ``path`` the file that
    it names; ``line`` is in the version's text.
    """

    version = models.ForeignKey(TrackerVersion, on_delete=models.CASCADE, related_name="claims")
    kind = models.CharField(max_length=10)
    step = models.PositiveSmallIntegerField(null=True, blank=True)
    words = models.TextField()
    line = models.PositiveIntegerField()
    number = models.BigIntegerField(null=True, blank=True)
    path = models.TextField(blank=True)

    class Meta:
        ordering = ["version__position", "line", "id"]

    def __str__(self) -> str:
        return f"{self.kind}: {self.words}"
