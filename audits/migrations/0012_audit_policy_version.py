import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("audits", "0011_policy_versions")]

    operations = [
        migrations.RemoveField(model_name="repository", name="policy_text"),
        migrations.AlterField(
            model_name="audit",
            name="trigger",
            field=models.CharField(
                choices=[
                    ("click", "by hand"),
                    ("schedule", "by schedule"),
                    ("sample", "for the sample"),
                    ("follow-up", "after new commits"),
                    ("push", "after a push"),
                    ("policy", "for a new policy"),
                ],
                default="click",
                max_length=10,
            ),
        ),
        migrations.AddField(
            model_name="audit",
            name="policy_version",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="audits",
                to="audits.policyversion",
            ),
        ),
    ]
