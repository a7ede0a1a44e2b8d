from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("audits", "0022_emptied_test_runs")]

    operations = [
        migrations.AddField(
            model_name="repository",
            name="judging_until",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
    ]
