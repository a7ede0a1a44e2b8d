from django.db import migrations, models


class Migration(migrations.Migration):
    """One more state of a test run: no row changes."""

    dependencies = [("audits", "0021_subject_trend")]

    operations = [
        migrations.AlterField(
            model_name="testrun",
            name="state",
            field=models.CharField(
                choices=[
                    ("received", "Received"),
                    ("read", "Read"),
                    ("failed", "Can't be read"),
                    ("emptied", "Results deleted"),
                ],
                default="received",
                max_length=10,
            ),
        ),
    ]
