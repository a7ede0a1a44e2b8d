"""What the current audit of a repository saw of its enums of ID types."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from audits.models.audit import Audit
from audits.models.repository import Repository


class RegistryReading(models.Model):
    """That an audit looked for the enums that the policy names. A repository has one, of its current audit."""

    repository = models.OneToOneField(Repository, on_delete=models.CASCADE, related_name="registry_reading")
    audit = models.ForeignKey(Audit, on_delete=models.CASCADE, related_name="+")
    enums = ArrayField(models.TextField(), default=list)

    def __str__(self) -> str:
        return f"{self.repository_id}: {', '.join(self.enums)}"


class MemberUse(models.Model):
    """A place that names a member of such an enum, or that defines it. ``value`` is the ID type's."""

    reading = models.ForeignKey(
        RegistryReading, on_delete=models.CASCADE, related_name="uses", db_index=False
    )
    value = models.CharField(max_length=100)
    enum = models.TextField()
    member = models.TextField()
    path = models.TextField()
    line = models.PositiveIntegerField()
    scope = models.TextField(blank=True)
    zone = models.CharField(max_length=10)
    is_definition = models.BooleanField(default=False)

    class Meta:
        indexes = [models.Index(fields=["reading", "value"], name="memberuse_of_type")]

    def __str__(self) -> str:
        return f"{self.enum}.{self.member} at {self.path}:{self.line}"
