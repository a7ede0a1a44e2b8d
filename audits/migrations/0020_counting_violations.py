from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """What counting a million violations needs. Not in a transaction, so that audits go on meanwhile.

    The statistics say how few combinations there are of what the list of violations groups by: without them the
    planner multiplies, expects a group for every third violation, and sorts them all on the disk.
    """

    atomic = False

    dependencies = [("audits", "0019_part_offers")]

    operations = [
        AddIndexConcurrently(
            model_name="violation",
            index=models.Index(
                condition=models.Q(("is_open", True)),
                fields=["repository", "rule", "zone", "severity", "waived_until"],
                name="open_violations_counted",
            ),
        ),
        migrations.RunSQL(
            """
            CREATE STATISTICS audits_violation_facets (ndistinct)
                ON rule, zone, severity, annotations, is_open, waived_until FROM audits_violation
            """,
            "DROP STATISTICS audits_violation_facets",
        ),
        migrations.RunSQL(
            "CREATE STATISTICS audits_violation_subjects (ndistinct) ON rule, subject FROM audits_violation",
            "DROP STATISTICS audits_violation_subjects",
        ),
        migrations.RunSQL("ANALYZE audits_violation", migrations.RunSQL.noop),
    ]
