from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """Not in a transaction, so that the index of a large table is built while audits go on."""

    atomic = False

    dependencies = [("audits", "0012_audit_policy_version")]

    operations = [
        AddIndexConcurrently(
            model_name="audit",
            index=models.Index(
                condition=models.Q(("policy_version__isnull", False)),
                fields=["policy_version"],
                name="audits_by_policy",
            ),
        ),
    ]
