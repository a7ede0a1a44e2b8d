from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """Indexes on the large table of issued IDs, which keeps taking new ones meanwhile."""

    atomic = False

    dependencies = [
        ("ids", "0005_service"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="issuedid",
            index=models.Index(
                models.F("owner"),
                models.F("id"),
                condition=models.Q(
                    models.Q(("owner", ""), _negated=True), models.Q(("state", "released"), _negated=True)
                ),
                name="issuedid_active_of_owner",
            ),
        ),
        AddIndexConcurrently(
            model_name="issuedid",
            index=models.Index(
                models.F("parent"),
                models.F("id"),
                condition=models.Q(("parent__isnull", False)),
                name="issuedid_children",
            ),
        ),
    ]
