import django.db.models.deletion
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """Where the trend of canonical subjects is kept, an index of commits, and statistics: with them the planner knows
    that standings have few rows, and counts them in memory instead of sorting all violations on the disk.

    Not in a transaction, so that audits go on meanwhile. Trends come with the next audit of each repository.
    """

    atomic = False

    dependencies = [("audits", "0020_counting_violations")]

    operations = [
        migrations.CreateModel(
            name="SubjectTrend",
            fields=[
                (
                    "repository",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="subject_trend",
                        serialize=False,
                        to="audits.repository",
                    ),
                ),
                ("levels", models.JSONField(default=list)),
            ],
        ),
        AddIndexConcurrently(
            model_name="commit",
            index=models.Index(fields=["repository", "time"], name="commits_by_time"),
        ),
        migrations.RunSQL(
            """
            CREATE STATISTICS audits_violation_standings (ndistinct)
                ON rule, subject, zone FROM audits_violation
            """,
            "DROP STATISTICS audits_violation_standings",
        ),
        migrations.RunSQL("ANALYZE audits_violation", migrations.RunSQL.noop),
    ]
